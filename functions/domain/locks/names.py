"""Which kept states name which versions, asked in key order.

Security rules:
- States of the same manifest root name the same versions, and are read once.
- One state that cannot be read, or does not prove itself, costs the others nothing: to lock a version too many harms
  nobody, and to lock none because of one damaged state would leave all of them open. It is told as unproven.
- What was counted of a state counts only after `finish`: its names prove themselves at their end.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

from functions.domain.cut import NotInOrder
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.prune.pins import Names, PinnedVersions, PinsUnproven
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ListedVersion, ObjectKey, ObjectVersion, VersionId

_BROKEN = (StateDamaged, UnreadableDocument, PinsUnproven)


class KeptNames:
    """What the states of `headers` name, by manifest root; asked once, from one key to the last."""

    def __init__(self, headers: Iterable[StateHeader], read: Callable[[StateHeader], Names]) -> None:
        """`read` gives a state's entries; it raises where they are not proven, at the latest at their end."""
        self.unproven: set[Digest] = set()
        """Manifest roots of states that did not prove themselves."""
        self._pinned: dict[Digest, PinnedVersions] = {}
        for header in headers:
            root = header.manifest_root
            if root not in self._pinned and root not in self.unproven:
                try:
                    self._pinned[root] = PinnedVersions([header], read)
                except _BROKEN:
                    self.unproven.add(root)

    def of(self, key: ObjectKey) -> Mapping[VersionId, tuple[Digest, ...]]:
        """Versions of `key`, and the manifest roots of the states that name each. Keys have to ascend."""
        found: dict[VersionId, tuple[Digest, ...]] = {}
        for root, pinned in list(self._pinned.items()):
            try:
                named = pinned.named(key)
            except _BROKEN:
                self._give_up(root)
                continue
            for version_id in named:
                found[version_id] = (*found.get(version_id, ()), root)
        return found

    def finish(self) -> None:
        """Read every state to its end, so that each is proven or told as unproven."""
        for root, pinned in list(self._pinned.items()):
            try:
                pinned.finish()
            except _BROKEN:
                self._give_up(root)

    def _give_up(self, root: Digest) -> None:
        del self._pinned[root]
        self.unproven.add(root)


NamedVersion = tuple[ObjectVersion, tuple[Digest, ...]]
"""A listed version, and the manifest roots of the kept states that name it."""


def named_by_key(listing: Iterable[ListedVersion], names: KeptNames) -> Iterator[tuple[ObjectKey, list[NamedVersion]]]:
    """Each key of `listing` (S3's order) with those of its versions that kept states name.

    Raises NotInOrder: in a listing that is not in key order, a version is looked for where it is not.
    """
    last: ObjectKey | None = None
    for key, entries in groupby(listing, key=attrgetter("key")):
        if last is not None and key <= last:
            raise NotInOrder(f"{key!r} was listed after {last!r}; nothing is said of the locks")
        last = key
        named = names.of(key)
        yield (
            key,
            [
                (entry, named[entry.version_id])
                for entry in entries
                if isinstance(entry, ObjectVersion) and entry.version_id in named
            ],
        )

"""Which kept states name which versions, asked in key order.

Security rules:
- States on one base are read as one stream, each with what it names itself.
- One state that cannot be read, or does not prove itself, costs the others nothing: to lock a version too many harms
  nobody, and to lock none because of one damaged state would leave all of them open. It is told as unproven.
- What was counted of a state counts only after `finish`: its names prove themselves at their end.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter

from functions.domain.cut import NotInOrder
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.prune.named import NamesReader, States, StrandDamaged, by_base
from functions.domain.prune.pins import Cursor
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ListedVersion, ObjectKey, ObjectVersion, VersionId

_BROKEN = (StateDamaged, UnreadableDocument)


class KeptNames:
    """What the states of `headers` name, by manifest root; asked once, from one key to the last."""

    def __init__(self, headers: Iterable[StateHeader], reader: NamesReader) -> None:
        self.unproven: set[Digest] = set()
        """Manifest roots of states that did not prove themselves."""
        self._strands: list[tuple[States, Cursor]] = []
        for on_one_base in by_base(headers):
            try:
                states = reader.find(on_one_base)
                self._strands.append((states, Cursor(reader.read(states))))
            except _BROKEN:
                self.unproven.update(header.manifest_root for header in on_one_base)

    def of(self, key: ObjectKey) -> Mapping[VersionId, tuple[Digest, ...]]:
        """Versions of `key`, and the manifest roots of the states that name each. Keys have to ascend."""
        found: dict[VersionId, dict[Digest, None]] = {}
        for strand in list(self._strands):
            states, cursor = strand
            try:
                lives = cursor.lives(key)
            except _BROKEN as error:
                self._give_up(strand, error)
                continue
            for life in lives:
                naming = [header for header, place in states.placed if life.first <= place < life.end]
                if naming:
                    found.setdefault(life.version_id, {}).update((header.manifest_root, None) for header in naming)
        return {version_id: tuple(roots) for version_id, roots in found.items()}

    def finish(self) -> None:
        """Read every state to its end, so that each is proven or told as unproven."""
        for strand in list(self._strands):
            try:
                strand[1].finish()
            except _BROKEN as error:
                self._give_up(strand, error)

    def _give_up(self, strand: tuple[States, Cursor], error: Exception) -> None:
        self._strands.remove(strand)
        proven = error.place if isinstance(error, StrandDamaged) else 0
        self.unproven.update(header.manifest_root for header, place in strand[0].placed if place >= proven)


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

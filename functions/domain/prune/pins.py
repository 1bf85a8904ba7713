"""What the kept states name: clause (a) of a prune, and promise P2.

Security rules:
- Every state that is handed in is read, to its end: one that is not read would be one whose versions go. States
  with the same manifest root name the same versions, and are read once.
- A stream that is not in strict key order, or does not have exactly as many entries as its header says, raises:
  a pin that is looked for in the wrong place is not found.
- The streams have to prove themselves against their headers (chunks' digest, roots), at the latest at their end.
  So a plan or a confirmation counts only after `finish`.
- Keys are asked for in ascending order. Anything else raises instead of answering "nothing".
"""

from collections.abc import Callable, Iterable, Iterator

from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, StateId, VersionId

Names = Iterable[tuple[ObjectKey, VersionId]]
"""A state's entries, in key order."""


class PinsUnproven(Exception):
    """It cannot be told what kept states name; nothing may be deleted."""


class PinnedVersions:
    """All that the states of `headers` name, streamed in key order; asked once, from the first key to the last."""

    def __init__(self, headers: Iterable[StateHeader], read: Callable[[StateHeader], Names]) -> None:
        """`read` gives a state's entries; it raises where they are not proven, at the latest at their end."""
        by_root: dict[str, StateHeader] = {}
        states: set[StateId] = set()
        for header in headers:
            states.add(header.id)
            by_root.setdefault(header.manifest_root, header)
        self.states = frozenset(states)
        """The states whose versions are pinned."""
        self._cursors = [_Cursor(header, read(header)) for header in by_root.values()]
        self._asked: ObjectKey | None = None

    def named(self, key: ObjectKey) -> frozenset[VersionId]:
        """The versions of `key` that kept states name. Raises PinsUnproven."""
        if self._asked is not None and key < self._asked:
            raise PinsUnproven(f"{key!r} was looked up after {self._asked!r}; nothing was decided")
        self._asked = key
        found: set[VersionId] = set()
        for cursor in self._cursors:
            if cursor.key is not None and cursor.key < key:
                cursor.seek(key)
            if cursor.key == key:
                found.add(cursor.version_id)
        return frozenset(found)

    def finish(self) -> None:
        """Read every state to its end, so that each is proven. Raises PinsUnproven, and whatever `read` raises."""
        for cursor in self._cursors:
            cursor.seek(None)


class _Cursor:
    """A place in one state's entries: the first at or after the key that was sought."""

    __slots__ = ("_count", "_entries", "_header", "key", "version_id")

    def __init__(self, header: StateHeader, entries: Names) -> None:
        self._header = header
        self._entries: Iterator[tuple[ObjectKey, VersionId]] = iter(entries)
        self._count = 0
        self.key: ObjectKey | None = None
        """None: the end is reached."""
        self.version_id = VersionId("")
        first = next(self._entries, None)
        if first is None:
            self._end()
        else:
            self.key, self.version_id = first
            self._count = 1

    def seek(self, key: ObjectKey | None) -> None:
        """To the first entry at or after `key`; None: to the end."""
        at = self.key
        if at is None:
            return
        count = self._count
        for found, version_id in self._entries:
            if found <= at:
                raise PinsUnproven(f"state {self._header.id[:12]} names {found!r} after {at!r}; nothing was decided")
            at = found
            count += 1
            if key is not None and found >= key:
                self.key, self.version_id, self._count = found, version_id, count
                return
        self.key, self._count = None, count
        self._end()

    def _end(self) -> None:
        if self._count != self._header.objects:
            raise PinsUnproven(
                f"state {self._header.id[:12]} has {self._count} entries, expected {self._header.objects}; "
                "nothing was decided"
            )

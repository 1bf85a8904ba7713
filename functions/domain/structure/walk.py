"""Every tree of every snapshot, each once, as `restic check` walks them.

Trees are small and lie together in packs, a directory's children before it. So a pack is read in windows, the
last first, and whatever a window's trees lead to within it is followed before the next is read.
"""

import heapq
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from functions.domain.structure.blobs import BlobIndex
from functions.domain.structure.crypto import Key
from functions.domain.structure.formats import Blob, BlobKind, parse_tree
from functions.domain.structure.packs import BlobOpener
from functions.domain.structure.reading import Limits, RangedReader, Unreadable, read_ahead, read_exactly
from functions.domain.structure.report import Tally
from functions.domain.values import ObjectVersion

WINDOW = 1 << 19
_BEYOND = 1 << 16
"""Bytes read past a window, for the tree that begins in it and ends after it."""
_AHEAD = 8 * WINDOW
"""Bytes of windows under way at once: following them takes longer than S3 needs for as many."""


@dataclass(frozen=True, slots=True)
class _Window:
    place: tuple[int, int]
    """Its number in the pack, negated so that the last sorts first, and the pack's number."""
    pack: ObjectVersion
    start: int
    length: int
    rows: list[int]
    """Trees that begin in it and are wanted; more may be by the time it is read."""


@dataclass(slots=True)
class Walked:
    """What a walk found."""

    trees: int = 0
    blobs: int = 0
    missing_trees: Tally = field(default_factory=Tally)
    missing_blobs: Tally = field(default_factory=Tally)


class TreeWalk:
    """One walk over the trees of one state."""

    def __init__(
        self,
        index: BlobIndex,
        packs: Sequence[ObjectVersion | None],
        reader: RangedReader,
        key: Key,
        *,
        limits: Limits,
        damaged: Tally,
    ) -> None:
        """`packs` holds, by the index's numbers, what the state has of each."""
        self._index = index
        self._packs = packs
        self._all_packs = None not in packs
        self._reader = reader
        self._limits = limits
        self._damaged = damaged
        self._opener = BlobOpener(key, limits)
        self._wanted: dict[tuple[int, int], list[int]] = {}  # by a window's place
        self._order: list[tuple[int, int]] = []
        self._walked = Walked()

    def walk(self, roots: Sequence[tuple[bytes, str]], executor: Executor) -> Walked:
        """Follow each root, given with the key of the snapshot that names it."""
        for name, snapshot in roots:
            self._want_trees([name], snapshot)
        limits = replace(self._limits, in_flight_bytes=min(_AHEAD, self._limits.in_flight_bytes))
        for window, content in read_ahead(executor, limits, self._next_window, self._read):
            if isinstance(content, Unreadable):
                for row in window.rows:
                    self._give_up(row, window.pack, content)
            else:
                self._follow(window, content)
        return self._walked

    # --- what to read ------------------------------------------------------------------------------

    def _want_trees(self, names: Sequence[bytes], by: str) -> None:
        rows, unknown = self._index.need(BlobKind.TREE, names)
        for name in unknown:
            self._walked.missing_trees.note(name.hex(), f"no index has it; {by} needs it")
        for row in rows:
            self._want_copy(self._index.copies(row))

    def _want_copy(self, rows: range, unread: tuple[ObjectVersion, str] | None = None) -> None:
        """Ask for the first of `rows` that a pack of the state can hold; when there is none, say what is wrong."""
        for row in rows:
            number, blob = self._index.row(row)
            if (pack := self._packs[number]) is None:
                continue
            try:
                self._opener.check(blob, pack.size)
            except Unreadable as error:
                unread = (pack, f"tree {blob.name.hex()}: {error}")
                continue
            window = (-(blob.offset // WINDOW), number)
            if window not in self._wanted:
                self._wanted[window] = []
                heapq.heappush(self._order, window)
            self._wanted[window].append(row)
            return
        if unread is not None:
            self._damaged.note(unread[0].key, unread[1])
        else:
            _, blob = self._index.row(rows[0])
            self._walked.missing_trees.note(blob.name.hex(), "no pack of the state holds it")

    def _give_up(self, row: int, pack: ObjectVersion, fault: Unreadable) -> None:
        """This copy cannot be read: try the next, as restic does."""
        _, blob = self._index.row(row)
        copies = self._index.rows(BlobKind.TREE, blob.name)
        self._want_copy(range(row + 1, copies.stop), (pack, f"tree {blob.name.hex()}: {fault}"))

    def _next_window(self) -> tuple[int, _Window] | None:
        while self._order:
            place = heapq.heappop(self._order)
            rows, pack = self._wanted.pop(place, []), self._packs[place[1]]
            if rows and pack is not None:
                start = -place[0] * WINDOW
                last = max(map(self._index.end, rows))
                length = max(last, min(start + WINDOW + _BEYOND, pack.size)) - start
                return length, _Window(place, pack, start, length, rows)
        return None

    def _read(self, window: _Window) -> bytes:
        return read_exactly(self._reader, window.pack, window.start, window.length)

    # --- what was read -----------------------------------------------------------------------------

    def _follow(self, window: _Window, content: bytes) -> None:
        view = memoryview(content)
        rows = window.rows
        while rows:
            for row in rows:
                _, blob = self._index.row(row)
                at = blob.offset - window.start
                try:
                    self._tree(blob, window.pack, view[at : at + blob.length])
                except Unreadable as fault:
                    self._give_up(row, window.pack, fault)
            rows = self._wanted_within(window)

    def _wanted_within(self, window: _Window) -> list[int]:
        """What came to be wanted of what this window holds; it need not be read again."""
        rows = self._wanted.pop(window.place, [])
        end = window.start + window.length
        held = [row for row in rows if self._index.end(row) <= end]
        if len(held) < len(rows):
            self._wanted[window.place] = sorted(set(rows) - set(held))
        return held

    def _tree(self, blob: Blob, pack: ObjectVersion, sealed: memoryview) -> None:
        tree = parse_tree(self._opener.open(blob, sealed))
        self._walked.trees += 1
        for fault in tree.faults[:1]:
            self._damaged.note(pack.key, f"tree {blob.name.hex()}: {fault}")
        by = f"tree {blob.name.hex()}"
        self._want_trees(tree.subtrees, by)
        self._want_data(tree.contents, by)

    def _want_data(self, names: Sequence[bytes], by: str) -> None:
        rows, unknown = self._index.need(BlobKind.DATA, names)
        for name in unknown:
            self._walked.missing_blobs.note(name.hex(), f"no index has it; {by} needs it")
        lost = [] if self._all_packs else [row for row in rows if not self._held(row)]
        for row in lost:
            _, blob = self._index.row(row)
            self._walked.missing_blobs.note(blob.name.hex(), f"no pack of the state holds it; {by} needs it")
        self._walked.blobs += len(rows) - len(lost)

    def _held(self, row: int) -> bool:
        """Whether a pack of the state should hold a copy of the blob."""
        return any(self._packs[self._index.pack(copy)] is not None for copy in self._index.copies(row))

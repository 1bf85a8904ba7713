"""A state's entries, held packed.

As objects they take 450 bytes each, as columns nearly as much; packed like a base's chunks they take about 80, and are
at once what a recorder writes.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import zip_longest

from functions.domain.chunks import Packer, decode_columns
from functions.domain.columns import Columns, in_runs
from functions.domain.values import ObjectVersion


class Entries(Collection[ObjectVersion]):
    """Versions in key order, unpacked a chunk at a time whenever they are gone through. Equal where they are the
    same versions, however packed."""

    __slots__ = ("_count", "chunks")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, chunks: tuple[bytes, ...], count: int) -> None:
        """`chunks` of a base, which hold `count` versions."""
        self.chunks = chunks
        self._count = count

    @classmethod
    def of(cls, versions: Iterable[ObjectVersion]) -> "Entries":
        """`versions` in key order."""
        builder = EntriesBuilder()
        for run in in_runs(versions):
            builder.add(run)
        return builder.build()

    def blocks(self) -> Iterator[Columns]:
        """All of them, in runs of a few thousand."""
        return map(decode_columns, self.chunks)

    def __iter__(self) -> Iterator[ObjectVersion]:
        for block in self.blocks():
            yield from block.versions()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, version: object) -> bool:
        return any(version == each for each in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entries):
            return NotImplemented
        if self.chunks == other.chunks:
            return True
        return len(self) == len(other) and all(one == each for one, each in zip_longest(self, other))


class EntriesBuilder:
    """Packs entries as they come, however they are cut into runs. What it makes has the chunks of `chunks.encode`."""

    def __init__(self) -> None:
        self._packer = Packer()
        self._chunks: list[bytes] = []
        self._count = 0

    def add(self, columns: Columns) -> None:
        """The next entries in key order; versions only."""
        self._chunks += self._packer.add(columns)
        self._count += len(columns)

    def build(self) -> Entries:
        """All that were added. Nothing is added after it."""
        self._chunks += self._packer.rest()
        return Entries(tuple(self._chunks), self._count)

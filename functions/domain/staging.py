"""A listing in parts: what the children of a Distributed Map list, and one function closes a recording with.

A repository of more versions than one function can list is cut into ranges of keys (`ranges`). Each child lists one and
writes it down; who closes the recording reads them one after another, and sees what a listing of its own would show.

A part is one zstd frame of lines of JSON: a header, blocks of columns, and how many entries there were, without which
it is not whole.

Security rules:
- The ranges of a manifest leave out no key and overlap in none, or the manifest is not read.
- A part that is not whole, or that holds a key outside its range, is an error: nothing is recorded without it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import zstandard
from pydantic import Field, TypeAdapter, ValidationError

from functions.domain.columns import Columns
from functions.domain.delta import ascend
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.ranges import SMALLEST, KeyRange, key_ranges
from functions.domain.restic import FileType
from functions.domain.values import AttemptId, ObjectKey, RepositoryName

FORMAT = 1
CHILDREN = 20
"""Among so many is divided what one function alone may list: half a million entries each, a few seconds and 40 MB."""
_LEVEL = 3
_FIELDS = ("keys", "version_ids", "sizes", "times", "etags", "classes")


class StagedRange(Part):
    """A run of key ranges that one child lists: an item of the manifest that the map hands out."""

    number: int = Field(ge=0)
    after: ObjectKey | None
    cuts: tuple[ObjectKey, ...]
    """Between the ranges that the child lists side by side."""
    last: ObjectKey | None

    @property
    def ranges(self) -> tuple[KeyRange, ...]:
        return tuple(map(KeyRange, (self.after, *self.cuts), (*self.cuts, self.last)))

    def holds(self, keys: Sequence[ObjectKey]) -> bool:
        """Whether all of `keys`, which ascend, lie in it."""
        return not keys or (
            (self.after is None or keys[0] > self.after) and (self.last is None or keys[-1] <= self.last)
        )


_RANGES = TypeAdapter(tuple[StagedRange, ...])


def staged_ranges(expected: Mapping[FileType, int], alone: int) -> tuple[StagedRange, ...]:
    """All keys, for as many objects of each type, where one function alone may list `alone` entries."""
    share = max(1, alone // CHILDREN)
    size = min(SMALLEST, share)
    return runs_of(key_ranges(expected, size), share // size)


def runs_of(ranges: Sequence[KeyRange], most: int) -> tuple[StagedRange, ...]:
    """Ranges that follow one another, `most` of them to each child."""
    runs = (ranges[first : first + most] for first in range(0, len(ranges), most))
    return tuple(
        StagedRange(
            number=number,
            after=run[0].after,
            cuts=tuple(each.last for each in run[:-1] if each.last is not None),
            last=run[-1].last,
        )
        for number, run in enumerate(runs)
    )


def encode_manifest(ranges: Iterable[StagedRange]) -> bytes:
    """What the map reads: one item for each range."""
    return _RANGES.dump_json(tuple(ranges))


def decode_manifest(content: bytes) -> tuple[StagedRange, ...]:
    """Raises UnreadableDocument unless the ranges hold every key exactly once."""
    try:
        ranges = _RANGES.validate_json(content)
    except ValidationError as error:
        raise UnreadableDocument(f"a manifest of ranges is malformed in {error.error_count()} places") from error
    every = [range_ for each in ranges for range_ in each.ranges]
    edges = [None, *(range_.last for range_ in every)]
    if (
        [each.number for each in ranges] != list(range(len(ranges)))
        or [range_.after for range_ in every] != edges[:-1]
        or not ascend(edge for edge in edges[1:-1] if edge is not None)
        or [place for place, edge in enumerate(edges) if edge is None] != [0, len(every)]
    ):
        raise UnreadableDocument("the ranges of a manifest do not follow one another")
    return ranges


def encode_part(blocks: Iterable[Columns]) -> bytes:
    """The bytes of one part; memory holds it compressed."""
    frame = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
    packed = bytearray(frame.compress(_line({"format": FORMAT})))
    count = 0
    for block in blocks:
        packed += frame.compress(_line({field: getattr(block, field) for field in _FIELDS}))
        count += len(block)
    packed += frame.compress(_line({"entries": count}))
    return bytes(packed + frame.flush())


def decode_part(content: bytes, range_: StagedRange) -> Iterator[Columns]:
    """The blocks of a part. Raises UnreadableDocument, at the latest at its end."""
    what = f"part {range_.number} of a listing"
    count, entries = 0, None
    lines = _lines(content)
    try:
        if json.loads(next(lines, b"")) != {"format": FORMAT}:
            raise UnreadableDocument(f"{what} has another format than {FORMAT}; nothing was recorded")
        for line in lines:
            if entries is not None:
                raise UnreadableDocument(f"{what} goes on after its end; nothing was recorded")
            found = json.loads(line)
            if "entries" in found:
                entries = found["entries"]
                continue
            columns = _columns(found)
            if not range_.holds(columns.keys):
                raise UnreadableDocument(f"{what} leaves its range of keys; nothing was recorded")
            count += len(columns)
            yield columns
    except (zstandard.ZstdError, ValueError, TypeError, KeyError) as error:
        raise UnreadableDocument(f"{what} is damaged; nothing was recorded") from error
    if entries != count:
        raise UnreadableDocument(f"{what} is not whole; nothing was recorded")


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _lines(content: bytes) -> Iterator[bytes]:
    """Of a frame; of one that is cut short, as many as are whole. Raises ZstdError."""
    rest = b""
    for piece in zstandard.ZstdDecompressor().read_to_iter(content):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _columns(found: Any) -> Columns:
    """Raises ValueError, TypeError, KeyError."""
    columns = Columns(*(found[field] for field in _FIELDS))
    if len({len(getattr(columns, field)) for field in _FIELDS}) != 1:
        raise ValueError("columns of different lengths")
    return columns


# --- its files in the records bucket ---------------------------------------------------------------


def manifest_file(repository: RepositoryName, attempt: AttemptId) -> str:
    return f"recordings/{repository}/{attempt}/manifest.json"


def part_file(repository: RepositoryName, attempt: AttemptId, number: int) -> str:
    return f"recordings/{repository}/{attempt}/parts/{number:05d}.zst"

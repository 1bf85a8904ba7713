"""A listing in parts says exactly what the whole one says, or nothing."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.columns import MARKER, Columns
from functions.domain.documents import UnreadableDocument
from functions.domain.ranges import KeyRange
from functions.domain.restic import FileType
from functions.domain.staging import (
    StagedRange,
    decode_manifest,
    decode_part,
    encode_manifest,
    encode_part,
    runs_of,
    staged_ranges,
)
from functions.domain.values import ObjectKey, VersionId

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).map(ObjectKey)
BOUNDARIES = st.lists(KEYS, unique=True, max_size=8).map(sorted)


def staged(boundaries: Sequence[ObjectKey]) -> tuple[StagedRange, ...]:
    return runs_of(list(map(KeyRange, (None, *boundaries), (*boundaries, None))), 2)


ALL = runs_of([KeyRange(None, None)], 1)[0]


@st.composite
def listings(draw: st.DrawFn) -> list[Columns]:
    """Blocks of a listing: ascending keys, some with several entries."""
    blocks = [Columns()]
    for key in sorted(draw(st.lists(KEYS, unique=True, max_size=20))):
        for number in range(draw(st.integers(1, 3))):
            marker = draw(st.booleans())
            blocks[-1].keys.append(key)
            blocks[-1].version_ids.append(VersionId(draw(st.text("abc=&\"'", min_size=1, max_size=9)) + str(number)))
            blocks[-1].sizes.append(MARKER if marker else draw(st.integers(0, 1 << 60)))
            blocks[-1].times.append(draw(st.integers(0, 1 << 33)))
            blocks[-1].etags.append("" if marker else draw(st.text("0123456789abcdef-", max_size=34)))
            blocks[-1].classes.append("" if marker else "STANDARD")
            if draw(st.booleans()):
                blocks.append(Columns())
    return [block for block in blocks if len(block)]


def whole(blocks: list[Columns]) -> Columns:
    columns = Columns()
    for block in blocks:
        columns.extend(block)
    return columns


def cut(blocks: list[Columns], ranges: tuple[StagedRange, ...]) -> list[list[Columns]]:
    everything = whole(blocks)
    places = [sum(key <= (range_.after or "") for key in everything.keys) for range_ in ranges]
    return [[everything.part(start, stop)] for start, stop in pairwise([*places, len(everything)])]


@given(listings())
def test_a_part_is_read_as_it_was_listed(blocks: list[Columns]) -> None:
    assert list(decode_part(encode_part(blocks), ALL)) == blocks


@given(listings(), BOUNDARIES)
def test_the_parts_of_all_ranges_are_the_listing(blocks: list[Columns], boundaries: list[ObjectKey]) -> None:
    ranges = decode_manifest(encode_manifest(staged(boundaries)))
    parts = [encode_part(part) for part in cut(blocks, ranges)]
    read = [block for part, range_ in zip(parts, ranges, strict=True) for block in decode_part(part, range_)]
    assert whole(read) == whole(blocks)


@given(BOUNDARIES, KEYS)
def test_each_key_lies_in_exactly_one_range(boundaries: list[ObjectKey], key: ObjectKey) -> None:
    assert sum(range_.holds([key]) for range_ in staged(boundaries)) == 1


@given(listings().filter(len), st.data())
def test_a_damaged_part_is_never_read_as_another(blocks: list[Columns], data: st.DataObject) -> None:
    part = bytearray(encode_part(blocks))
    if data.draw(st.booleans()):
        del part[data.draw(st.integers(0, len(part) - 1)) :]
    else:
        place = data.draw(st.integers(0, len(part) - 1))
        part[place] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(UnreadableDocument):
        assert whole(list(decode_part(bytes(part), ALL))) == whole(blocks)


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b'{"format":2}\n{"entries":0}\n',
        b'{"format":1}\n',
        b'{"format":1}\n{"entries":1}\n',
        b'{"format":1}\n{"entries":0}\n{"entries":0}\n',
        b'{"format":1}\n{"keys":["a"]}\n{"entries":1}\n',
        b'{"format":1}\n{"keys":["a"],"version_ids":[],"sizes":[1],"times":[1],"etags":[""],"classes":[""]}\n{"entries":1}\n',
        b'{"format":1}\n[]\n',
        b'{"format":1}\nnothing\n',
    ],
    ids=["empty", "format", "no end", "fewer", "two ends", "fields", "lengths", "a list", "no JSON"],
)
def test_a_part_that_is_not_whole_is_refused(lines: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="nothing was recorded"):
        list(decode_part(zstandard.compress(lines), ALL))


def test_a_part_with_a_key_of_another_range_is_refused() -> None:
    first = StagedRange(number=0, after=None, cuts=(), last=ObjectKey("data/80"))
    second = StagedRange(number=1, after=ObjectKey("data/80"), cuts=(), last=None)
    columns = Columns([ObjectKey("data/80/a")], [VersionId("1")], [5], [1], [""], ["STANDARD"])
    assert list(decode_part(encode_part([columns]), second)) == [columns]
    with pytest.raises(UnreadableDocument, match="leaves its range"):
        list(decode_part(encode_part([columns]), first))


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'[{"number":0,"after":null,"cuts":[],"last":"m"}]',
        b'[{"number":0,"after":"a","cuts":[],"last":null}]',
        b'[{"number":0,"after":null,"cuts":[],"last":"m"},{"number":1,"after":"n","cuts":[],"last":null}]',
        b'[{"number":0,"after":null,"cuts":["m","a"],"last":null}]',
        b'[{"number":0,"after":null,"cuts":["m","m"],"last":null}]',
        b'[{"number":1,"after":null,"cuts":[],"last":null}]',
        b'[{"number":0,"after":null,"cuts":[],"last":null},{"number":1,"after":null,"cuts":[],"last":null}]',
    ],
    ids=["empty", "none", "no end", "no beginning", "a gap", "backwards", "nothing between", "numbers", "twice"],
)
def test_ranges_that_leave_out_a_key_or_hold_one_twice_are_refused(manifest: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        decode_manifest(manifest)


@pytest.mark.parametrize(
    ("packs", "alone", "children", "most_ranges"),
    [(0, 10_000_000, 1, 1), (10_000_000, 10_000_000, 21, 62), (40_000_000, 10_000_000, 81, 62), (120, 100, 24, 1)],
)
def test_a_child_lists_a_twentieth_of_what_one_function_may(
    packs: int, alone: int, children: int, most_ranges: int
) -> None:
    ranges = decode_manifest(encode_manifest(staged_ranges({FileType.PACK: packs}, alone)))
    assert len(ranges) == children
    assert max(len(each.ranges) for each in ranges) == most_ranges

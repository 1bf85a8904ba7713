"""The index answers as a dictionary would, whatever names and numbers are in it."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.structure.blobs import BlobIndex
from functions.domain.structure.formats import HEADER_OVERHEAD, Blob, BlobKind, IndexedPack, entry_bytes
from functions.domain.structure.reading import Unreadable

# Few values, so that names recur, in both kinds and in several packs, and look like parts of each other.
_names = st.integers(0, 3).map(lambda number: bytes(31) + bytes([number]))
_numbers = st.integers(0, 2)
_blobs = st.builds(Blob, st.sampled_from(BlobKind), _names, _numbers, _numbers, _numbers)
_indexes = st.lists(st.lists(st.tuples(_names, st.lists(_blobs, max_size=6)), max_size=4), max_size=3)
Index = Sequence[tuple[bytes, Sequence[Blob]]]


def indexed(name: bytes, blobs: Sequence[Blob]) -> IndexedPack:
    return IndexedPack(name, *(list(zip(*blobs, strict=True)) or [()] * 5))


def filled(*indexes: Index) -> BlobIndex:
    filled = BlobIndex()
    for index in indexes:
        filled.add(indexed(name, blobs) for name, blobs in index)
    filled.close()
    return filled


@given(_indexes)
def test_each_blob_is_found_in_each_of_its_packs_once(indexes: list[Index]) -> None:
    told = {(name, blob) for index in indexes for name, blobs in index for blob in blobs}
    index = filled(*indexes)
    found = [index.row(row) for row in range(len(index))]
    assert sorted((index.packs[number], blob) for number, blob in found) == sorted(told)
    for kind in BlobKind:
        for last in range(5):
            name = bytes(31) + bytes([last])
            rows = [row for row, (_, blob) in enumerate(found) if (blob.kind, blob.name) == (kind, name)]
            assert list(index.rows(kind, name)) == rows
            assert index.need(kind, [name, name]) == (rows[:1], [] if rows else [name, name])
            assert index.need(kind, [name])[0] == []


@given(_indexes)
def test_a_pack_is_as_large_as_what_is_told_of_it_alike_or_not(indexes: list[Index]) -> None:
    told = {(name, blob) for index in indexes for name, blobs in index for blob in blobs}
    index = filled(*indexes)
    for number, name in enumerate(index.packs):
        blobs = [blob for pack, blob in told if pack == name]
        entries = sum(blob.length + entry_bytes(blob.uncompressed) for blob in blobs)
        assert index.pack_size(number) == HEADER_OVERHEAD + entries


@given(_indexes, _indexes)
def test_of_an_index_that_turns_out_unreadable_nothing_is_kept(indexes: list[Index], broken: list[Index]) -> None:
    index, expected = BlobIndex(), filled(*indexes)
    for good in indexes:
        index.add(indexed(name, blobs) for name, blobs in good)
    for bad in broken:
        with pytest.raises(Unreadable):
            index.add(_breaking(bad))
    index.close()
    assert [index.row(row) for row in range(len(index))] == [expected.row(row) for row in range(len(expected))]
    assert index.packs == expected.packs
    sizes = [[each.pack_size(number) for number in range(len(each.packs))] for each in (index, expected)]
    assert sizes[0] == sizes[1]


def _breaking(index: Index) -> Iterator[IndexedPack]:
    for name, blobs in index:
        yield indexed(name, blobs)
    raise Unreadable("the rest is damaged")


def test_what_looks_like_a_name_across_two_records_is_not_found() -> None:
    """All that follows one name, 17 bytes, and the first 16 of the next read as 33 zeros."""
    names = [bytes(17) + b"a" * 15, bytes(17) + b"b" * 15]
    index = filled([(b"p" * 32, [Blob(BlobKind.DATA, name, 0, 0, 0) for name in names])])
    assert list(index.rows(BlobKind.DATA, bytes(32))) == []
    assert [len(index.rows(BlobKind.DATA, name)) for name in names] == [1, 1]


@pytest.mark.parametrize("blobs", [1, 64, 65, 1000])
def test_names_that_begin_alike_are_told_apart_however_many_they_are(blobs: int) -> None:
    names = [bytes(28) + (3 * number).to_bytes(4) for number in range(blobs)]
    index = filled([(b"p" * 32, [Blob(BlobKind.TREE, name, 0, 0, 0) for name in names])])
    assert [list(index.rows(BlobKind.TREE, name)) for name in names] == [[row] for row in range(blobs)]
    others = [bytes(28) + (3 * number + 1).to_bytes(4) for number in range(blobs)]
    assert index.need(BlobKind.TREE, others) == ([], others)
    assert index.need(BlobKind.DATA, names) == ([], names)


def test_what_no_snapshot_needs_is_counted_in_bytes() -> None:
    blobs = [Blob(BlobKind.DATA, bytes([number]) * 32, 0, 10**number, 0) for number in range(1, 6)]
    index = filled([(b"p" * 32, blobs)], [(b"q" * 32, blobs[:1])])
    index.need(BlobKind.DATA, [blob.name for blob in blobs[::2]])
    assert index.unneeded_bytes() == 10**2 + 10**4 + 10, "the second copy too"

"""A state's entries held packed are the entries."""

from dataclasses import replace

from hypothesis import given

from functions.domain import chunks
from functions.domain.columns import Columns
from functions.domain.entries import Entries, EntriesBuilder
from functions.domain.values import ObjectVersion
from tests.builders import block_lengths, in_blocks, restic_states
from tests.domain.test_chunks import restic_like


@given(restic_states, block_lengths)
def test_they_come_back_as_they_were_put_in_however_they_were_cut(
    entries: list[ObjectVersion], lengths: list[int]
) -> None:
    builder = EntriesBuilder()
    for block in in_blocks(entries, lengths):
        builder.add(block)
    packed = builder.build()
    assert list(packed) == entries
    assert len(packed) == len(entries)
    assert [entry for block in packed.blocks() for entry in block.entries()] == entries
    assert packed == Entries.of(entries)
    assert packed.chunks == tuple(chunks.encode(entries))


@given(restic_states.filter(bool))
def test_they_are_equal_only_to_the_same_entries(entries: list[ObjectVersion]) -> None:
    packed = Entries.of(entries)
    assert packed != Entries.of(entries[1:])
    assert packed != Entries.of([replace(entries[0], etag="another"), *entries[1:]])
    assert packed != entries
    assert entries[0] in packed
    assert replace(entries[0], size=entries[0].size + 1) not in packed


def test_they_are_equal_however_they_are_packed() -> None:
    entries = restic_like(10)
    halves = tuple(chunk for half in (entries[:5], entries[5:]) for chunk in chunks.encode(half))
    assert Entries(halves, 10) == Entries.of(entries)
    assert Entries(halves, 10) != Entries.of([*entries[:9], replace(entries[9], etag="another")])


def test_they_take_about_eighty_bytes_each_and_are_unpacked_a_few_thousand_at_a_time() -> None:
    builder = EntriesBuilder()
    builder.add(Columns.of(restic_like(20_000)))
    packed = builder.build()
    assert sum(map(len, packed.chunks)) / len(packed) < 80
    assert max(map(len, packed.blocks())) < 5_000

"""Chunks give back exactly what was put in, are small enough, and are refused when damaged."""

import base64
import contextlib
import hashlib
import json
import random
import tracemalloc
from datetime import UTC, datetime

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain import chunks
from functions.domain.columns import Columns
from functions.domain.documents import UnreadableDocument
from functions.domain.entries import Entries
from functions.domain.values import ObjectVersion
from tests.builders import (
    block_lengths,
    in_blocks,
    in_key_order,
    instants,
    marker,
    named,
    restic_keys,
    restic_states,
    states,
    version,
)

DYNAMODB_ITEM = 400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ODD = [
    version("config", version_id="null", etag="multi-2", storage_class="GLACIER"),
    version("k" * 1_024, version_id="\u00fc" * 512),
    version(named("index", "i"), etag="A" * 32),
    version(named("snapshots", "s"), version_id="i" * 1_024, storage_class="OTHER"),
    version(named("keys", "k")),
    version("data/00/" + "f" * 64),
]


def decoded(packed: list[bytes]) -> list[ObjectVersion]:
    return [entry for chunk in packed for entry in chunks.decode(chunk)]


@given(states)
def test_every_entry_comes_back_exactly(entries: list[ObjectVersion]) -> None:
    assert decoded(list(chunks.encode(entries))) == entries


@given(states)
def test_names_are_those_of_the_entries(entries: list[ObjectVersion]) -> None:
    names = [chunks.decode_names(chunk) for chunk in chunks.encode(entries)]
    assert [key for each in names for key in each.keys] == [entry.key for entry in entries]
    assert [version_id for each in names for version_id in each.version_ids] == [e.version_id for e in entries]


@given(states.filter(bool), st.data())
def test_the_names_of_a_damaged_chunk_are_refused_or_read_but_never_crash_the_reader(
    entries: list[ObjectVersion], data: st.DataObject
) -> None:
    """Which of the two, its digest shows, which whoever reads names compares."""
    chunk = bytearray(next(chunks.encode(entries)))
    at = data.draw(st.integers(0, len(chunk) - 1))
    chunk[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(UnreadableDocument):
        chunks.decode_names(bytes(chunk))


def test_an_empty_state_has_no_chunks() -> None:
    assert list(chunks.encode([])) == []
    assert packed_in(in_blocks([], [1])) == []


def packed_in(blocks: list[Columns]) -> list[bytes]:
    packer = chunks.Packer()
    return [chunk for block in blocks for chunk in packer.add(block)] + list(packer.rest())


@given(restic_states, block_lengths)
def test_the_chunks_do_not_depend_on_how_the_entries_are_cut_into_blocks(
    entries: list[ObjectVersion], lengths: list[int]
) -> None:
    packed = packed_in(in_blocks(entries, lengths))
    assert packed == list(chunks.encode(entries))
    assert [entry for chunk in packed for entry in chunks.decode_columns(chunk).entries()] == entries


def bound(entry: ObjectVersion, named: bool) -> int:
    key = 32 if named else len(entry.key.encode())
    return 32 + key + len(entry.version_id.encode()) + len(entry.etag.encode())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 3_000), min_size=1, max_size=5))
def test_a_chunk_is_full_when_the_next_entry_might_not_fit(seed: int, lengths: list[int]) -> None:
    """Where a chunk ends is a part of the format: who packs the same entries again gets the same chunks."""
    source = random.Random(seed)
    names = source.randbytes(32 * 3_000).hex()
    odd = source.choice([0, 0.001, 0.5])
    keys = [f"data/{names[at : at + 2]}/{names[at : at + 64]}" for at in range(0, len(names), 64)]
    width = source.choice([32, 300, 1_024])
    entries = in_key_order(
        [
            version("\u00fc" * source.randrange(1, 512), version_id="i" * source.randrange(1, 1_025), etag="multi-2")
            if source.random() < odd
            else version(key, version_id="v" * width)
            for key in keys
        ]
    )
    entries = [entry for at, entry in enumerate(entries) if at == 0 or entry.key != entries[at - 1].key]
    counts, weight = [0], 0
    for entry in entries:
        added = bound(entry, named=entry.key.startswith("data/"))
        if counts[-1] and weight + added > chunks.COLUMN_BYTES:
            counts.append(0)
            weight = 0
        counts[-1] += 1
        weight += added
    packed = packed_in(in_blocks(entries, lengths))
    assert [len(chunks.decode_columns(chunk)) for chunk in packed] == counts
    assert decoded(packed) == entries


def test_an_entry_that_is_larger_than_any_of_s3_has_a_chunk_of_its_own() -> None:
    entries = [version(letter * 200_000, version_id=letter * 110_000) for letter in "abc"]
    entries.insert(1, version("b"))
    packed = packed_in(in_blocks(entries, [4]))
    assert [json.loads(chunk.partition(b"\n")[0])["entries"] for chunk in packed] == [1, 1, 1, 1]


def test_the_columns_of_a_chunk_are_those_of_the_first_release_with_this_format() -> None:
    """Known bytes, before zstd, whose frames may change with its version."""
    entries = in_key_order([*restic_like(3_000), *ODD])
    columns = hashlib.sha256()
    for chunk in chunks.encode(entries):
        head, _, frame = chunk.partition(b"\n")
        columns.update(head + zstandard.ZstdDecompressor().decompress(frame))
    assert columns.hexdigest() == "c1b6b62bcacf9afa24fd3d6810114734abf9230b8c17f69e77c9cd715f8fd77a"


def test_a_delete_marker_is_in_no_chunk() -> None:
    with pytest.raises(OverflowError):
        packed_in([Columns.of([marker("config", written=0)])])


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
longest = st.one_of(
    st.text("k", min_size=1_024, max_size=1_024), st.text("\u00fc", min_size=512, max_size=512), any_text.filter(bool)
)
odd_versions = st.builds(
    ObjectVersion,
    key=st.one_of(restic_keys, longest, restic_keys.map(str.upper), restic_keys.map(lambda key: key + "\n")),
    version_id=st.one_of(st.just("null"), st.just(""), longest, st.text("ab\n", min_size=32, max_size=32)),
    size=st.integers(0, 2**64 - 1),
    last_modified=st.one_of(instants, st.just(EPOCH)),
    etag=st.one_of(
        st.just(""),
        st.binary(min_size=16, max_size=16).map(bytes.hex),
        st.binary(min_size=16, max_size=16).map(lambda md5: f"{md5.hex()}-7"),
        st.binary(min_size=16, max_size=16).map(lambda md5: md5.hex().upper()),
        st.text(" 0f", min_size=32, max_size=32),
        any_text,
    ),
    storage_class=st.one_of(st.sampled_from(["STANDARD", "DEEP_ARCHIVE", ""]), any_text),
)


@given(st.lists(odd_versions, max_size=12, unique_by=lambda entry: entry.key).map(in_key_order), block_lengths)
def test_whatever_s3_may_ever_list_comes_back_exactly(entries: list[ObjectVersion], lengths: list[int]) -> None:
    packed = packed_in(in_blocks(entries, lengths))
    assert decoded(packed) == entries
    assert list(Entries.of(entries)) == entries
    assert [key for chunk in packed for key in chunks.decode_names(chunk).keys] == [entry.key for entry in entries]


def restic_like(count: int) -> list[ObjectVersion]:
    source = random.Random(7)
    entries = []
    for _ in range(count):
        name = source.randbytes(32).hex()
        version_id = base64.b64encode(source.randbytes(24)).decode()
        size = source.randrange(4_000_000, 20_000_000)
        entries.append(
            version(
                f"data/{name[:2]}/{name}",
                version_id=version_id,
                size=size,
                etag=source.randbytes(16).hex(),
                written=-size,
            )
        )
    return in_key_order(entries)


def test_an_entry_of_a_restic_repository_takes_about_eighty_bytes() -> None:
    entries = restic_like(20_000)
    assert sum(map(len, chunks.encode(entries))) / len(entries) < 85


def test_entries_that_do_not_compress_still_make_chunks_under_the_limit_of_an_item() -> None:
    source = random.Random(7)
    noise = [chr(code) for code in range(0x4E00, 0x9FFF)]
    entries = in_key_order(
        [
            version(
                "".join(source.choices(noise, k=341)), version_id="".join(source.choices(noise, k=341)), etag="e" * 60
            )
            for _ in range(1_000)
        ]
    )
    packed = list(chunks.encode(entries))
    assert max(map(len, packed)) <= chunks.LARGEST_CHUNK < DYNAMODB_ITEM
    assert decoded(packed) == entries


def test_an_unknown_format_is_refused_by_name() -> None:
    (chunk,) = chunks.encode([version("config")])
    with pytest.raises(UnreadableDocument, match=r"format 9 .* reads 1 and 2"):
        chunks.decode(chunk.replace(b'"format":2', b'"format":9'))


@given(states.filter(bool), st.data())
def test_a_damaged_chunk_is_refused_or_unchanged_but_never_crashes_the_reader(
    entries: list[ObjectVersion], data: st.DataObject
) -> None:
    chunk = bytearray(next(iter(chunks.encode(entries))))
    position = data.draw(st.integers(0, len(chunk) - 1))
    chunk[position] ^= data.draw(st.integers(1, 255))
    try:
        chunks.decode(bytes(chunk))
    except UnreadableDocument:
        return


def test_a_chunk_with_a_time_that_no_clock_can_show_is_refused() -> None:
    (chunk,) = chunks.encode([version("config")])
    head, _, frame = chunk.partition(b"\n")
    columns = bytearray(zstandard.ZstdDecompressor().decompress(frame))
    (place,) = [
        start
        for start in range(len(columns) - 8)
        if int.from_bytes(columns[start : start + 8], "little") == int(version("config").last_modified.timestamp())
    ]
    columns[place : place + 8] = (2**62).to_bytes(8, "little")
    with pytest.raises(UnreadableDocument, match="damaged"):
        chunks.decode(head + b"\n" + zstandard.ZstdCompressor().compress(bytes(columns)))


def test_a_chunk_that_would_unpack_to_more_than_a_chunk_holds_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 28))
    header = b'{"bytes":268435456,"classes":[],"entries":0,"format":1}\n'
    tracemalloc.start()
    with pytest.raises(UnreadableDocument, match="another size"):
        chunks.decode(header + bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@given(states.filter(bool), st.data())
def test_a_truncated_chunk_is_refused(entries: list[ObjectVersion], data: st.DataObject) -> None:
    chunk = next(iter(chunks.encode(entries)))
    with pytest.raises(UnreadableDocument):
        chunks.decode(chunk[: data.draw(st.integers(0, len(chunk) - 1))])


def test_the_digest_of_a_chunk_set_depends_on_order_and_number() -> None:
    assert len({chunks.digest(each) for each in ([b"a", b"b"], [b"b", b"a"], [b"a"], [], [b"ab"])}) == 5

"""Chunks give back exactly what was put in, are small enough, and are refused when damaged."""

import base64
import contextlib
import random
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.values import ObjectVersion
from tests.builders import in_key_order, states, version

DYNAMODB_ITEM = 400_000


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

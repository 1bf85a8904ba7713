"""Batch files: what is written is what is read, byte for byte as it always was, and each batch has its bounds."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.batches import (
    ManifestItem,
    _Line,
    cut_columns,
    cut_runs,
    decode_batch,
    encode_batch,
    encode_columns,
    encode_manifest,
)
from functions.domain.columns import Columns
from functions.domain.documents import UnreadableDocument
from functions.domain.values import Digest, ObjectVersion, VersionId
from tests import builders
from tests.builders import marker, version

NOTHING = Digest("0" * 64)


def line_by_line(entries: list[ObjectVersion]) -> bytes:
    """A batch file by the model of its lines, as all were written until November 2026."""
    lines = [
        _Line(
            key=entry.key,
            version_id=entry.version_id,
            size=entry.size,
            last_modified=entry.last_modified,
            etag=entry.etag,
            storage_class=entry.storage_class,
        ).model_dump(mode="json")
        for entry in entries
    ]
    return b"".join(json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n" for line in lines)


def model_by_model(content: bytes) -> tuple[ObjectVersion, ...]:
    """The same of reading."""
    try:
        return tuple(_Line.model_validate(json.loads(line)).version() for line in content.splitlines())
    except ValueError as error:
        raise UnreadableDocument(str(error)) from error


def read_by(read: Callable[[bytes], tuple[ObjectVersion, ...]], content: bytes) -> tuple[ObjectVersion, ...] | None:
    """None: it is refused."""
    try:
        return read(content)
    except UnreadableDocument:
        return None


@given(builders.states)
def test_a_batch_file_is_written_as_it_always_was(entries: list[ObjectVersion]) -> None:
    assert encode_batch(entries) == line_by_line(entries)


odd_values = st.one_of(
    st.integers(-2, 2**70),
    st.booleans(),
    st.none(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.none(), max_size=1),
    st.sampled_from(["12", " 7", "2026-11-21T23:25:47Z", "2026-11-21T23:25:47+00:00", "2026-13-21T23:25:47Z"]),
    st.just("\ud800"),
)
fields = st.sampled_from([*_Line.model_fields, "more"])


@given(builders.versions, st.dictionaries(fields, odd_values, max_size=2), st.sets(fields, max_size=1), st.booleans())
def test_a_batch_file_is_read_as_strictly_as_it_always_was(
    entry: ObjectVersion, changes: dict[str, Any], without: set[str], ascii_only: bool
) -> None:
    line = {**json.loads(line_by_line([entry])), **changes}
    text = json.dumps({name: line[name] for name in line if name not in without}, ensure_ascii=ascii_only)
    content = text.encode(errors="surrogatepass") + b"\n"
    assert read_by(decode_batch, content) == read_by(model_by_model, content)


@given(builders.states)
def test_a_batch_file_holds_its_entries_whole(entries: list[ObjectVersion]) -> None:
    content = encode_batch(entries)
    assert list(decode_batch(content)) == entries
    assert content.count(b"\n") == len(entries)


def test_a_batch_file_has_one_entry_a_line_whatever_the_key_holds() -> None:
    odd = [version(key, size=0) for key in ("a\nb", "c\r\nd", "e f", "g\x85h", 'i"j\\k', "日本")]
    lines = encode_batch(odd).splitlines()
    assert [json.loads(line)["key"] for line in lines] == [entry.key for entry in odd]


@pytest.mark.parametrize("content", [b"{", b"[]\n", b'{"key":"config"}\n', b"null\n", b"\xff\n", b"7\n"])
def test_a_malformed_batch_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        decode_batch(content)


def test_a_delete_marker_is_no_entry_of_a_batch() -> None:
    with pytest.raises(ValueError, match="no entry of a batch"):
        encode_columns(Columns.of([marker("config", written=0)]))


@given(st.lists(st.lists(st.integers(0, 12), max_size=9), max_size=6), st.integers(1, 5), st.integers(1, 20))
def test_columns_are_cut_into_the_runs_of_their_entries(blocks: list[list[int]], objects: int, size: int) -> None:
    numbered = iter(range(100))
    columns = [Columns.of([version(f"{next(numbered):03}", size=each) for each in block]) for block in blocks]
    entries = [entry for block in columns for entry in block.versions()]
    cut = [tuple(run.versions()) for run in cut_columns(columns, objects=objects, size=size)]
    assert cut == list(cut_runs(entries, objects=objects, size=size))
    for before, after in pairwise(cut):
        full = len(before) == objects or sum(entry.size for entry in (*before, after[0])) > size
        assert full, "a run is cut only when the next entry does not fit"


def test_the_manifest_is_the_array_that_the_distributed_map_reads() -> None:
    item = ManifestItem(batch="restores/p/batches/00000.jsonl", version_id=VersionId("v1"), digest=NOTHING, number=0)
    assert json.loads(encode_manifest([item])) == [
        {"batch": "restores/p/batches/00000.jsonl", "version_id": "v1", "digest": NOTHING, "number": 0}
    ]

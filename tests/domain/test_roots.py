"""Two states have the same root exactly when they hold the same."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from functions.domain.columns import Columns
from functions.domain.restic import digests_of_packs, promised_sha256
from functions.domain.roots import (
    AttributesRoot,
    ContentRoot,
    ManifestRoot,
    Root,
    attributes_root,
    content_of,
    content_root,
    manifest_root,
)
from functions.domain.values import ObjectKey, ObjectVersion
from tests.builders import block_lengths, in_blocks, in_key_order, marker, pack, restic_states, states, version


def test_the_roots_of_an_empty_state_differ_from_each_other() -> None:
    assert manifest_root([]) != content_root([])


def test_the_manifest_root_covers_key_version_and_size_and_nothing_else() -> None:
    entry = version(pack("a"), version_id="1", size=7)
    root = manifest_root([entry])
    assert manifest_root([replace(entry, size=8)]) != root
    assert manifest_root([version(pack("a"), version_id="2", size=7)]) != root
    assert manifest_root([version(pack("b"), version_id="1", size=7)]) != root
    assert manifest_root([replace(entry, etag="x", storage_class="GLACIER")]) == root


def test_the_content_root_is_the_same_for_a_copy_with_other_version_ids() -> None:
    original, copy = version(pack("a"), version_id="1"), version(pack("a"), version_id="2", written=99)
    assert content_root(content_of([original])) == content_root(content_of([copy]))


def test_moving_bytes_between_neighbouring_fields_changes_the_root() -> None:
    assert manifest_root([version("ab", version_id="c")]) != manifest_root([version("a", version_id="bc")])


@given(states, states)
def test_different_states_have_different_roots(one: list[ObjectVersion], other: list[ObjectVersion]) -> None:
    assume([(v.key, v.version_id, v.size) for v in one] != [(v.key, v.version_id, v.size) for v in other])
    assert manifest_root(one) != manifest_root(other)


def manifest_as_defined(entries: Sequence[ObjectVersion]) -> bytes:
    rows = [
        (
            len(key).to_bytes(4, "big"),
            key,
            len(version_id).to_bytes(4, "big"),
            version_id,
            entry.size.to_bytes(8, "big"),
        )
        for entry in entries
        for key, version_id in [(entry.key.encode(), entry.version_id.encode())]
    ]
    return b"rwm manifest root 1\0" + b"".join(field for row in rows for field in row)


def content_as_defined(entries: Sequence[ObjectVersion]) -> bytes:
    rows = [
        (
            len(entry.key.encode()).to_bytes(4, "big"),
            entry.key.encode(),
            entry.size.to_bytes(8, "big"),
            bytes.fromhex(promised_sha256(entry.key) or ""),
        )
        for entry in entries
    ]
    return b"rwm content root 1\0" + b"".join(field for row in rows for field in row)


def attributes_as_defined(entries: Sequence[ObjectVersion]) -> bytes:
    blocks = [entries[start : start + 1024] for start in range(0, len(entries), 1024)]
    pieces = [
        [
            [int(each.last_modified.timestamp()) for each in block],
            [each.etag for each in block],
            [each.storage_class for each in block],
        ]
        for block in blocks
    ]
    return b"rwm attributes root 1\0" + b"".join(json.dumps(piece, separators=(",", ":")).encode() for piece in pieces)


DEFINITIONS: list[tuple[Callable[[], Root], Callable[[Sequence[ObjectVersion]], bytes]]] = [
    (ManifestRoot, manifest_as_defined),
    (ContentRoot, content_as_defined),
    (AttributesRoot, attributes_as_defined),
]


@given(restic_states, block_lengths)
def test_a_root_is_what_it_is_defined_to_be_however_the_entries_are_cut_into_blocks(
    entries: list[ObjectVersion], lengths: list[int]
) -> None:
    for root, as_defined in DEFINITIONS:
        fed = root()
        for block in in_blocks(entries, lengths):
            fed.update(block)
        assert fed.digest() == hashlib.sha256(as_defined(entries)).hexdigest()
    assert manifest_root(entries) == hashlib.sha256(manifest_as_defined(entries)).hexdigest()
    assert content_root(content_of(entries)) == hashlib.sha256(content_as_defined(entries)).hexdigest()
    assert attributes_root(entries) == hashlib.sha256(attributes_as_defined(entries)).hexdigest()


@pytest.mark.parametrize("lengths", [[9_000], [1_000], [1_024], [1, 1_023, 1_025], [700, 5_000, 1]])
def test_roots_of_more_entries_than_are_worked_on_at_once_do_not_depend_on_how_they_are_cut(lengths: list[int]) -> None:
    entries = in_key_order([version(pack(str(number)), size=number, written=-number) for number in range(9_000)])
    for root, as_defined in DEFINITIONS:
        fed = root()
        for block in in_blocks(entries, lengths):
            fed.update(block)
            fed.digest()
        assert fed.digest() == hashlib.sha256(as_defined(entries)).hexdigest()


@pytest.mark.parametrize("root", [ManifestRoot, ContentRoot])
@pytest.mark.parametrize("key", [pack("a"), "config"])
def test_a_delete_marker_has_no_place_in_a_state(root: Callable[[], Root], key: str) -> None:
    with pytest.raises(OverflowError):
        root().update(Columns.of([marker(key, written=0)]))


NEARLY_PACKS = st.one_of(
    st.just(pack("a")),
    st.just(pack("a").upper()),
    st.just(pack("a").replace("data/", "Data/")),
    st.just(pack("a")[:-1]),
    st.just(pack("a") + "0"),
    st.just(pack("a")[:-2] + "\n0"),
    st.just(pack("a")[:-2] + "Ab"),
    st.just(pack("a")[:-2] + " 0"),
    st.just(pack("a")[:-2] + "  "),
    st.just(pack("a")[:-1] + "é"),
    st.just(pack("a")[:-1] + "\u0660"),
    st.just("data/00/" + pack("a")[8:]),
    st.just(pack("a")[:7] + "-" + pack("a")[8:]),
    st.just("index/" + pack("a")[6:]),
)


@given(st.lists(NEARLY_PACKS, max_size=4))
def test_what_packs_promise_together_is_what_each_of_them_promises(texts: list[str]) -> None:
    keys = [ObjectKey(text) for text in texts]
    promised = [promised_sha256(key) if key.startswith("data/") else None for key in keys]
    found = digests_of_packs(keys)
    if keys and all(promised):
        assert found == bytes.fromhex("".join(digest or "" for digest in promised))
    else:
        assert found is None


def test_keys_that_only_read_one_after_another_look_like_packs_are_none() -> None:
    together = pack("a") + pack("b")
    keys = [ObjectKey(together[:71]), ObjectKey(together[71:])]
    assert digests_of_packs(keys) is None
    wrong, right = ([version(key, size=1) for key in each] for each in (keys, [pack("a"), pack("b")]))
    assert content_root(content_of(wrong)) != content_root(content_of(right))

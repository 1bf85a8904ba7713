"""The parsers give a value or Unreadable, whatever the bytes; and they read what restic writes."""

import base64
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.structure.crypto import Key, Scrypted, WrongKey
from functions.domain.structure.formats import (
    Blob,
    BlobKind,
    header_bytes,
    inflate_blob,
    inflate_file,
    irreducible,
    parse_config,
    parse_header,
    parse_index,
    parse_key_file,
    parse_master_key,
    parse_snapshot,
    parse_tree,
)
from functions.domain.structure.reading import Limits, Unreadable
from tests.domain.structure.repositories import cheap_key_file, seal

KEY = Key(bytes(range(32)), bytes(range(16)), bytes(range(16, 32)))
POLYNOMIAL = 0x27978FFD204A81
NAME = hashlib.sha256(b"blob").hexdigest()
LONGEST = 20_000
"""Milliseconds that 300 bytes may take: a parser that runs away is found, a machine that waits a second is not."""


def _encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def _base64(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


INDEX = {
    "supersedes": [NAME],
    "packs": [
        {
            "id": NAME,
            "blobs": [
                {"id": NAME, "type": "data", "offset": 0, "length": 40},
                {"id": NAME, "type": "tree", "offset": 40, "length": 99, "uncompressed_length": 300},
            ],
        }
    ],
}
TREE = {
    "nodes": [
        {"name": "d", "type": "dir", "mode": 2147484141, "subtree": NAME, "content": None},
        {"name": "f", "type": "file", "size": 12, "content": [NAME, NAME]},
        {"name": "l", "type": "symlink", "linktarget": "f"},
    ]
}
HEADER = (
    b"\x00" + (40).to_bytes(4, "little") + bytes(range(32)) + b"\x03" + bytes([99, 0, 0, 0, 44, 1, 0, 0]) + b"n" * 32
)
CONFIG = {"version": 2, "id": NAME, "chunker_polynomial": f"{POLYNOMIAL:x}"}


def _cut(plain: bytes) -> list[bytes]:
    return [plain[at : at + 7] for at in range(0, len(plain), 7)]


PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "config": (parse_config, _encoded(CONFIG)),
    "key file": (parse_key_file, cheap_key_file(KEY)),
    "master key": (parse_master_key, _encoded({"mac": {"k": _base64(16), "r": _base64(16)}, "encrypt": _base64(32)})),
    "snapshot": (parse_snapshot, _encoded({"tree": NAME, "paths": ["/home"], "time": "now"})),
    "index": (lambda plain: list(parse_index([plain])), _encoded(INDEX)),
    "index in small pieces": (lambda plain: list(parse_index(_cut(plain))), _encoded(INDEX)),
    "tree": (parse_tree, _encoded(TREE)),
    "header": (lambda plain: list(parse_header(plain)), HEADER),
    "length of a header": (lambda tail: header_bytes(tail, 1000), bytes(96) + bytes([80, 0, 0, 0])),
    "file": (
        lambda plain: list(inflate_file(KEY.begin(seal(KEY, plain)), 1000, 10)),
        b"\x02" + zstandard.compress(_encoded(INDEX)),
    ),
    "blob": (
        lambda stored: inflate_blob(stored, 500, 1000, zstandard.ZstdDecompressor()),
        zstandard.compress(b"ab" * 250),
    ),
    "sealed": (KEY.open, seal(KEY, b"a message")),
}


def _value_or_unreadable(parse: Callable[[bytes], object], content: bytes) -> None:
    fault: BaseException | None = None
    try:
        parse(content)
    except Unreadable as error:
        fault = error
    assert fault is None or fault.__context__ is None, "an error in JSON holds the whole text"


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_reads_what_restic_writes(name: str) -> None:
    parse, valid = PARSERS[name]
    parse(valid)


@pytest.mark.parametrize("name", PARSERS)
@settings(deadline=LONGEST)
@given(content=st.binary(max_size=300))
def test_a_parser_takes_any_bytes(name: str, content: bytes) -> None:
    _value_or_unreadable(PARSERS[name][0], content)


@pytest.mark.parametrize("name", PARSERS)
@settings(deadline=LONGEST)
@given(data=st.data())
def test_a_parser_takes_what_was_valid_before_some_of_it_changed(name: str, data: st.DataObject) -> None:
    parse, valid = PARSERS[name]
    start = data.draw(st.integers(0, len(valid)))
    end = data.draw(st.integers(start, min(len(valid), start + 20)))
    _value_or_unreadable(parse, valid[:start] + data.draw(st.binary(max_size=20)) + valid[end:])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(NAME),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize("name", ["config", "key file", "master key", "snapshot", "index", "tree"])
@settings(deadline=LONGEST)
@given(data=st.data())
def test_a_parser_takes_any_json_in_the_place_of_any_other(name: str, data: st.DataObject) -> None:
    parse, valid = PARSERS[name]
    document = json.loads(valid)
    place = document
    while isinstance(place, dict | list) and place:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = data.draw(_json)
            break
        place = place[step]
    _value_or_unreadable(parse, json.dumps(document).encode())


# --- exactly ---------------------------------------------------------------------------------------


def test_an_index_is_read_pack_by_pack_and_so_is_an_old_one() -> None:
    name = bytes.fromhex(NAME)
    expected = [Blob(BlobKind.DATA, name, 0, 40, 0), Blob(BlobKind.TREE, name, 40, 99, 300)]
    for document in (INDEX, INDEX["packs"]):
        (pack,) = parse_index([_encoded(document)])
        assert (pack.name, list(pack.blobs)) == (name, expected)


PLAIN_TREE = json.dumps(TREE, separators=(",", ":")).encode() + b"\n"
"""As restic writes it, so that the fast parser takes it."""
_CURIOUS = (
    b"",
    b"NaN",
    b"-Infinity",
    b'"',
    b"\\ud800",
    b"\xff",
    b"]",
    b"}",
    b"{",
    b",",
    b"null",
    b"0",
    b"dir",
    b"1e999",
)
_odd_pieces = st.sampled_from(_CURIOUS) | st.binary(max_size=4)


def _outcome(parse: Callable[[bytes], Any], content: bytes) -> Any:
    try:
        return [list(each) for each in parse(content)]
    except Unreadable:
        return Unreadable


@settings(deadline=LONGEST)
@given(data=st.data())
def test_the_fast_parser_of_trees_says_what_the_careful_one_says(data: st.DataObject) -> None:
    """A space in front keeps the fast one away."""
    start = data.draw(st.integers(0, len(PLAIN_TREE)))
    end = data.draw(st.integers(start, min(len(PLAIN_TREE), start + 20)))
    changed = PLAIN_TREE[:start] + data.draw(_odd_pieces) + PLAIN_TREE[end:]
    assert _outcome(parse_tree, changed) == _outcome(parse_tree, b" " + changed)


@pytest.mark.parametrize("unknown", [b"NaN", b"[-Infinity]", b"01", b'"\n"', b"[1,]"])
def test_what_is_no_json_is_none_to_the_fast_parser_either(unknown: bytes) -> None:
    changed = PLAIN_TREE.replace(b'"mode":', b'"mode":%b,"unknown":' % unknown)
    assert changed != PLAIN_TREE
    with pytest.raises(Unreadable):
        parse_tree(changed)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "\ud800", '},{"name":"', "a" * 300_000])
def test_a_name_may_hold_anything(name: str) -> None:
    node = {"name": name, "type": "file", "content": [NAME]}
    tree = json.dumps({"nodes": [node, node]}, separators=(",", ":")).encode() + b"\n"
    assert parse_tree(tree).contents == [bytes.fromhex(NAME)] * 2


@pytest.mark.parametrize("unknown", [None, [{"name": "nested"}, {"name": "so that the cuts are wrong"}]])
def test_a_tree_of_many_nodes_is_parsed_in_stretches(unknown: Any) -> None:
    nodes = [
        {"name": f"{number}", "type": "file", "unknown": unknown, "content": [f"{number:064x}"]}
        for number in range(1, 20_001)
    ]
    tree = json.dumps({"nodes": nodes}, separators=(",", ":")).encode() + b"\n"
    assert len(tree) > 1 << 20
    assert parse_tree(tree).contents == [number.to_bytes(32) for number in range(1, 20_001)]
    assert _outcome(parse_tree, tree[:-10] + tree[-9:]) is Unreadable


@given(st.recursive(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_where_an_index_is_cut_into_pieces_does_not_matter(unknown: object) -> None:
    plain = json.dumps({"unknown": unknown, **INDEX}, ensure_ascii=False).encode()
    assert list(parse_index(_cut(plain))) == list(parse_index([plain]))


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": 7},
        {"id": NAME[:-2]},
        {"id": NAME[:-2] + "  "},
        {"id": NAME[:2] + "  " + NAME[2:]},
        {"id": NAME[:-1] + "g"},
        {"id": "0" * 64},
        {"type": None},
        {"type": "teapot"},
        {"type": []},
        *({field: wrong} for field in ("offset", "length") for wrong in (None, True, -1, 1.5, "7", 1 << 32)),
        {"uncompressed_length": None},
        {"uncompressed_length": 1 << 32},
    ],
)
def test_a_blob_that_restic_would_not_index_is_unreadable(change: dict[str, Any]) -> None:
    blob = {"id": NAME, "type": "data", "offset": 0, "length": 40}
    for blobs in ([blob | change], [blob, blob | change]):
        with pytest.raises(Unreadable):
            list(parse_index([_encoded({"packs": [{"id": NAME, "blobs": blobs}]})]))


@pytest.mark.parametrize("blobs", [None, {}, [None], [[]], ["blob"], [{}]])
def test_blobs_that_are_none_are_unreadable(blobs: object) -> None:
    with pytest.raises(Unreadable):
        list(parse_index([_encoded({"packs": [{"id": NAME, "blobs": blobs}]})]))


@pytest.mark.parametrize(
    "wrong", [NAME[:-2], NAME[:-2] + "  ", NAME[:2] + "  " + NAME[2:], NAME[:-1] + "g", "0" * 64, 7]
)
def test_a_tree_that_names_what_is_no_sha256_is_unreadable(wrong: object) -> None:
    for node in (
        {"name": "f", "type": "file", "content": [NAME, wrong]},
        {"name": "d", "type": "dir", "subtree": wrong},
    ):
        tree = json.dumps({"nodes": [node]}, separators=(",", ":")).encode() + b"\n"
        for content in (tree, b" " + tree):
            with pytest.raises(Unreadable):
                parse_tree(content)


def test_a_header_gives_offsets_and_kinds() -> None:
    assert list(parse_header(HEADER)) == [
        Blob(BlobKind.DATA, bytes(range(32)), 0, 40, 0),
        Blob(BlobKind.TREE, b"n" * 32, 40, 99, 300),
    ]


def test_a_tree_gives_what_it_refers_to() -> None:
    name = bytes.fromhex(NAME)
    tree = parse_tree(_encoded(TREE))
    assert [list(each) for each in tree] == [[name], [name, name], []]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": 3},
        {"version": True},
        {"version": "2"},
        {"chunker_polynomial": "27978ffd204a80"},
        {"chunker_polynomial": "-27978ffd204a81"},
        {"chunker_polynomial": "f" * 1000},
        {"chunker_polynomial": 7},
        {"id": None},
    ],
)
def test_a_config_that_restic_would_not_take_is_unreadable(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        parse_config(_encoded({**CONFIG, **change}))


def test_irreducible_polynomials_are_told_from_products() -> None:
    """x^2+x+1, x^3+x+1 and x^8+x^4+x^3+x+1 (AES's) have no factors; squares and multiples of x do."""
    assert all(map(irreducible, (0b111, 0b1011, 0x11B, POLYNOMIAL, 0x36BFD42B61DCE1)))
    assert not any(map(irreducible, (0, 1, 0b101, 0b110, 0x11A, 0b1111, POLYNOMIAL ^ 1)))


# --- the cryptography ------------------------------------------------------------------------------


def test_what_was_sealed_opens_and_only_unchanged() -> None:
    sealed = seal(KEY, b"a message")
    assert KEY.open(sealed) == b"a message"
    for at in range(16, len(sealed)):
        with pytest.raises(WrongKey):
            KEY.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


def test_poly1305_aes_is_bernsteins() -> None:
    """The first test vector of "The Poly1305-AES message-authentication code", D. J. Bernstein, 2005."""
    key = Key(
        bytes(32), bytes.fromhex("ec074c835580741701425b623235add6"), bytes.fromhex("851fc40c3467ac0be05cc20404f3f700")
    )
    nonce = bytes.fromhex("fb447350c4e868c52ac3275cf9d4327e")
    tag = bytes.fromhex("f4c633c3044fc145f84f335cb81953de")
    assert len(key.open(nonce + bytes.fromhex("f3f6") + tag)) == 2


def test_a_zero_iv_is_refused() -> None:
    with pytest.raises(Unreadable, match="IV is zero"):
        KEY.open(bytes(16) + os.urandom(40))


def test_keys_have_no_representation() -> None:
    assert repr(KEY) == "Key()"
    assert "data" not in repr(parse_key_file(cheap_key_file(KEY)))


@pytest.mark.parametrize("n", [0, 1, 3, 1000, 1 << 20])
def test_scrypt_derives_nothing_from_parameters_that_are_refused(n: int) -> None:
    with pytest.raises(Unreadable):
        Scrypted(n=n, r=8, p=1, salt=bytes(64)).derive("any", Limits())

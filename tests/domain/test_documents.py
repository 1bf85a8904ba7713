"""A stored document is exactly the bytes its digest names, or it is refused."""

import json

import pytest

from functions.domain.documents import Document, UnreadableDocument
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, Digest, ObjectVersion, RepositoryName, from_zulu, zulu
from tests.builders import NOON, at, listing, named, pack, version
from tests.cuts import take_cut

ALPHA = RepositoryName("alpha")


def header(*entries: ObjectVersion, parent: StateHeader | None = None, seconds: float = 0) -> StateHeader:
    return describe(
        take_cut(listing(*entries), at(seconds)),
        repository=ALPHA,
        parent=parent,
        own_chunks=ChunkSet(attempt=AttemptId(f"attempt at {seconds}"), count=1, digest=Digest("0" * 64)),
        recorded_at=at(seconds + 3),
        cause=Cause(reason="event", sent=NOON),
    )


def test_a_header_read_back_is_equal_and_has_the_same_id() -> None:
    written = header(version(pack("a")), version("config"))
    read = StateHeader.parse(written.canonical())
    assert read == written
    assert read.id == written.id


def test_the_id_of_a_header_changes_with_anything_in_it() -> None:
    written = header(version(pack("a")))
    others = [
        written.model_copy(update=update)
        for update in ({"generation": 2}, {"edge": True}, {"parent": written.id}, {"recorded_at": at(9)})
    ]
    assert len({written.id, *(other.id for other in others)}) == 5


def test_a_header_names_its_parent_so_that_the_chain_depends_on_every_link() -> None:
    first = header(version(pack("a")))
    second = header(version(pack("b")), parent=first, seconds=60)
    assert (second.generation, second.parent) == (2, first.id)


def test_a_state_equal_to_its_parent_names_the_parents_chunks() -> None:
    first = header(version(pack("a")))
    second = header(version(pack("a")), parent=first, seconds=60)
    assert (first.kind, second.kind) == ("base", "same")
    assert second.chunks == first.chunks
    assert header(version(pack("b")), parent=first, seconds=60).chunks.attempt == "attempt at 60"


def test_a_header_counts_by_restic_type_and_knows_aliens() -> None:
    written = header(
        version(pack("a"), size=5),
        version(pack("b"), size=6),
        version("config", size=1),
        version(named("keys", "k"), size=2),
        version("README", size=3),
    )
    counted = {kind.value: (tally.objects, tally.bytes) for kind, tally in written.by_type.items()}
    assert counted == {"pack": (2, 11), "config": (1, 1), "key": (1, 2), "alien": (1, 3)}
    assert (written.objects, written.bytes) == (5, 17)


def test_an_unknown_format_is_refused_by_name() -> None:
    content = json.loads(header().canonical())
    with pytest.raises(UnreadableDocument, match="has format 9 and this version of RWM reads 1"):
        StateHeader.parse(json.dumps({**content, "format": 9}).encode())


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"[]",
        b"null",
        b'{"format":1}',
        b"\xff",
        header().canonical() + b"\n",
        header().canonical().replace(b'"objects":0', b'"objects":-1'),
        header().canonical().replace(b"{", b'{"extra":1,', 1),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(stored: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        StateHeader.parse(stored)


def test_two_kinds_of_document_with_the_same_bytes_have_different_digests() -> None:
    class Plan(Document):
        KIND = "plan"

    class Header(Document):
        KIND = "header"

    assert Plan().canonical() == Header().canonical()
    assert Plan().digest != Header().digest


def test_a_head_never_has_the_digest_of_a_header() -> None:
    written = header()
    assert Head.of(written).digest != written.digest
    assert Head.of(written).state == written.id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-21",
        "2026-11-21T23:25:47",
        "2026-11-21T23:25:47+00:00",
        "2026-11-21T23:25:47.5Z",
        "2026-1-21T23:25:47Z",
        "2026-W47-6T23:25:47Z",
        "2026-13-21T23:25:47Z",
        "2026-11-21 23:25:47Z",
        "2026-11-21T23:25:47Z\n",
        "\u0662026-11-21T23:25:47Z",
    ],
)
def test_an_instant_has_one_spelling_only(text: str) -> None:
    assert from_zulu(zulu(NOON)) == NOON
    with pytest.raises(ValueError, match=r"is no time like|month must be"):
        from_zulu(text)


def test_a_number_in_the_place_of_an_instant_makes_a_document_unreadable() -> None:
    stored = header(version(pack("a"))).canonical().replace(zulu(at(3)).join('""').encode(), b"5")
    assert b":5," in stored
    with pytest.raises(UnreadableDocument):
        StateHeader.parse(stored)

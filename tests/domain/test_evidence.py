"""Evidence survives being stored, whatever an attacker named his keys, and is believed only with its verdict."""

from dataclasses import replace
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.documents import UnreadableDocument
from functions.domain.evidence import LARGEST_PART, findings_of, pack_evidence, unpack_evidence
from functions.domain.values import Evidence, Finding, ObjectKey, Severity, VersionId
from tests.builders import instants, keys, pack, texts
from tests.domain.judging import ALPHA, evidence, finding, header, judge

version_ids = st.one_of(texts, st.text('\x01"\\é', min_size=512, max_size=512)).map(VersionId)
pieces = st.builds(
    Evidence,
    key=st.one_of(keys, st.sampled_from(["one", "two"])).map(ObjectKey),
    version_ids=st.lists(version_ids, max_size=90).map(tuple),
    since=instants,
    standing=st.booleans(),
)
findings = st.lists(
    st.builds(
        Finding,
        id=st.sampled_from(["pack-overwritten", "alien-key"]),
        severity=st.sampled_from(Severity),
        repository=st.just(ALPHA),
        since=instants,
        what=texts,
        remedy=texts,
        evidence=st.lists(pieces, max_size=6).map(tuple),
    ),
    max_size=4,
)


def bare(found: list[Finding]) -> list[Finding]:
    return [replace(each, evidence=()) for each in found]


@given(findings)
def test_evidence_reads_back_exactly_as_it_was_found(found: list[Finding]) -> None:
    assert list(unpack_evidence(pack_evidence(found), bare(found))) == found


@given(findings)
def test_no_part_is_larger_than_an_item_may_be(found: list[Finding]) -> None:
    for part in pack_evidence(found):
        assert zstandard.frame_content_size(part) <= LARGEST_PART
        assert len(part) < LARGEST_PART + 2000


def test_the_worst_key_of_the_worst_flood_fits() -> None:
    """Every byte of a key and of its version ids takes six in JSON, and none of them compresses away."""
    flood = finding(evidence("\x01" * 1024, *(chr(1 + number % 8) * 1024 for number in range(1000))))
    parts = list(pack_evidence([flood]))
    assert len(parts) > 10
    assert all(zstandard.frame_content_size(part) <= LARGEST_PART for part in parts)
    assert unpack_evidence(parts, bare([flood])) == (flood,)


def test_one_key_with_two_pieces_of_evidence_keeps_both() -> None:
    apart = finding(evidence("config", "a"), evidence("config", "b", since=5))
    assert unpack_evidence(pack_evidence([apart]), bare([apart])) == (apart,)


def test_a_verdicts_evidence_is_read_back_with_its_findings() -> None:
    found = judge(
        header(), finding(evidence(pack("a"), "1", "2"), evidence(pack("b"), "3")), finding(finding_id="busy-too-long")
    )
    assert findings_of(found.verdict, pack_evidence(found.findings)) == found.findings


@pytest.mark.parametrize(
    "edited",
    [
        [evidence(pack("a"), "1", "2", "9")],
        [evidence(pack("a"), "1")],
        [evidence(pack("b"), "1", "2")],
        [evidence(pack("a"), "1", "2", standing=True)],
        [evidence(pack("a"), "1", "2"), evidence(pack("b"), "3")],
        [],
    ],
    ids=["a version more", "a version less", "another key", "standing", "a key more", "nothing"],
)
def test_evidence_that_is_not_its_verdicts_is_refused(edited: list[Evidence]) -> None:
    """Somebody who can write the table must not choose what an approver lays to rest."""
    verdict = judge(header(), finding(evidence(pack("a"), "1", "2"))).verdict
    with pytest.raises(UnreadableDocument, match="somebody changed the operations table; nothing was decided"):
        findings_of(verdict, pack_evidence([finding(*edited)]))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"[]",
        b'[0, "k", 7, "2026-11-21T12:00:00Z", false, false]',
        b'[0, "k", [], "noon", false, false]',
        b'[5, "k", [], "2026-11-21T12:00:00Z", false, false]',
        b'[-1, "k", [], "2026-11-21T12:00:00Z", false, false]',
        b'["x", "k", [], "2026-11-21T12:00:00Z", false, false]',
    ],
)
def test_malformed_evidence_is_refused_or_does_not_match_its_verdict(content: bytes) -> None:
    verdict = judge(header(), finding(evidence("config", "1"))).verdict
    with pytest.raises(UnreadableDocument):
        findings_of(verdict, [zstandard.compress(content)])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_without_a_crash(content: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        unpack_evidence([content], bare([finding()]))


def bomb(with_size: bool) -> bytes:
    compressor: Any = zstandard.ZstdCompressor(write_content_size=with_size)
    return bytes(compressor.compress(b" " * 50_000_000))


@pytest.mark.parametrize("with_size", [True, False])
def test_a_zstd_bomb_is_refused_before_it_is_decompressed(with_size: bool) -> None:
    with pytest.raises(UnreadableDocument, match=f"does not say that it has at most {LARGEST_PART} bytes"):
        unpack_evidence([bomb(with_size)], bare([finding()]))

"""Evidence in parts that fit into items of DynamoDB, however many keys an attack touched.

Security rule: evidence lies beside its verdict and is believed only when it has the fingerprints that the
verdict, which is named by its digest, has of it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import zstandard

from functions.domain.documents import UnreadableDocument
from functions.domain.values import Evidence, Finding, ObjectKey, VersionId, from_zulu, zulu
from functions.domain.verdict import Verdict, fingerprint

LARGEST_PART = 300_000
"""Bytes before compression: the worst that can be stored stays below an item's 400 KB."""
MOST_VERSIONS = 40
"""Of one key in one line: an id has up to 1,024 bytes and JSON may write six for each, so no line passes a part."""


def pack_evidence(findings: Sequence[Finding]) -> Iterator[bytes]:
    """All evidence of `findings`; each line says of which of them, by number, it is."""
    lines: list[bytes] = []
    size = 0
    for number, finding in enumerate(findings):
        for line in _lines(number, finding):
            if lines and size + len(line) > LARGEST_PART:
                yield _compress(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
    if lines:
        yield _compress(lines)


def unpack_evidence(parts: Iterable[bytes], findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """`findings` with the evidence that `parts` hold of them. Raises UnreadableDocument."""
    evidence: list[list[Evidence]] = [[] for _ in findings]
    for part in parts:
        for line in _decompress(part).splitlines():
            number, found, goes_on = _read(line)
            if not 0 <= number < len(evidence):
                raise UnreadableDocument(f"stored evidence is of finding {number}, and there are {len(evidence)}")
            known = evidence[number]
            if goes_on and known and known[-1].key == found.key:
                known[-1] = replace(known[-1], version_ids=known[-1].version_ids + found.version_ids)
            else:
                known.append(found)
    return tuple(
        replace(finding, evidence=tuple(found)) if found else finding
        for finding, found in zip(findings, evidence, strict=True)
    )


def findings_of(verdict: Verdict, parts: Iterable[bytes]) -> tuple[Finding, ...]:
    """The findings of `verdict` with the evidence in `parts`.

    Raises UnreadableDocument for evidence that is not exactly what the verdict was concluded from.
    """
    bare = [
        Finding(each.id, each.severity, verdict.repository, each.since, each.what, each.remedy, more=each.more)
        for each in verdict.findings
    ]
    found = unpack_evidence(parts, bare)
    for each, kept in zip(found, verdict.findings, strict=True):
        if fingerprint(each) != kept.fingerprint:
            raise UnreadableDocument(
                f"the evidence of {kept.id} names {len(each.evidence)} keys and is not that of its verdict, which has "
                f"{kept.keys}; somebody changed the operations table; nothing was decided"
            )
    return found


def _lines(number: int, finding: Finding) -> Iterator[bytes]:
    for each in finding.evidence:
        for start in range(0, max(len(each.version_ids), 1), MOST_VERSIONS):
            some = each.version_ids[start : start + MOST_VERSIONS]
            yield json.dumps([number, each.key, list(some), zulu(each.since), each.standing, start > 0]).encode()


def _read(line: bytes) -> tuple[int, Evidence, bool]:
    """The number of the finding, evidence, and whether it goes on with that of the line before."""
    try:
        content: Any = json.loads(line)
        number, key, version_ids, since, standing, goes_on = content
        evidence = Evidence(
            key=ObjectKey(str(key)),
            version_ids=tuple(VersionId(str(each)) for each in version_ids),
            since=from_zulu(since),
            standing=standing is True,
        )
        return int(number), evidence, goes_on is True
    except (ValueError, TypeError) as error:
        raise UnreadableDocument(f"stored evidence is malformed: {error}") from error


def _compress(lines: list[bytes]) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(b"\n".join(lines))


def _decompress(part: bytes) -> bytes:
    try:
        # A frame that says how large it is would not be held to max_output_size.
        if not 0 <= zstandard.frame_content_size(part) <= LARGEST_PART:
            raise UnreadableDocument(f"stored evidence does not say that it has at most {LARGEST_PART} bytes")
        return zstandard.ZstdDecompressor().decompress(part)
    except zstandard.ZstdError as error:
        raise UnreadableDocument(f"stored evidence cannot be decompressed: {error}") from error

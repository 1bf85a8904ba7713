"""Evidence in parts that fit into items of DynamoDB, however many keys an attack touched."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import zstandard

from functions.domain.documents import UnreadableDocument
from functions.domain.values import Evidence, Finding, ObjectKey, VersionId, from_zulu, zulu

LARGEST_PART = 300_000
"""Bytes before compression: the worst that can be stored stays below an item's 400 KB."""
MOST_VERSIONS = 200
"""Of one key in one line: version ids have up to 1,024 bytes each."""


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
            number, found = _read(line)
            if not 0 <= number < len(evidence):
                raise UnreadableDocument(f"stored evidence is of finding {number}, and there are {len(evidence)}")
            known = evidence[number]
            if known and known[-1].key == found.key and known[-1].standing == found.standing:
                known[-1] = replace(known[-1], version_ids=known[-1].version_ids + found.version_ids)
            else:
                known.append(found)
    return tuple(
        replace(finding, evidence=tuple(found)) if found else finding
        for finding, found in zip(findings, evidence, strict=True)
    )


def _lines(number: int, finding: Finding) -> Iterator[bytes]:
    for each in finding.evidence:
        for start in range(0, max(len(each.version_ids), 1), MOST_VERSIONS):
            some = each.version_ids[start : start + MOST_VERSIONS]
            yield json.dumps([number, each.key, list(some), zulu(each.since), each.standing]).encode()


def _read(line: bytes) -> tuple[int, Evidence]:
    try:
        content: Any = json.loads(line)
        number, key, version_ids, since, standing = content
        evidence = Evidence(
            key=ObjectKey(str(key)),
            version_ids=tuple(VersionId(str(each)) for each in version_ids),
            since=from_zulu(since),
            standing=standing is True,
        )
        return int(number), evidence
    except (ValueError, TypeError) as error:
        raise UnreadableDocument(f"stored evidence is malformed: {error}") from error


def _compress(lines: list[bytes]) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(b"\n".join(lines))


def _decompress(part: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(part, max_output_size=2 * LARGEST_PART)
    except zstandard.ZstdError as error:
        raise UnreadableDocument(f"stored evidence cannot be decompressed: {error}") from error

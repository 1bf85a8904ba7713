"""A state's entries are believed only when every digest of its header holds, each of them alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from functions.domain import chunks
from functions.domain.cut import take_cut
from functions.domain.ledger import StateDamaged, read_state
from functions.domain.roots import content_of, content_root, manifest_root
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, ObjectVersion, RepositoryName
from tests.builders import NOON, at, listing, pack, version

ATTEMPT = AttemptId("attempt")
ENTRIES = (version("config", version_id="1"), version(pack("a"), version_id="2"))


@dataclass(frozen=True, slots=True)
class StoredChunks:
    """A LedgerReader that holds one attempt's chunks."""

    stored: tuple[bytes, ...]

    def head(self, repository: RepositoryName) -> Head | None:
        raise NotImplementedError

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None:
        raise NotImplementedError

    def headers(self, repository: RepositoryName) -> Iterator[StateHeader]:
        raise NotImplementedError

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        return self.stored[number] if attempt == ATTEMPT and number < len(self.stored) else None


def packed(*entries: ObjectVersion) -> tuple[bytes, ...]:
    return tuple(chunks.encode(entries))


def header(*entries: ObjectVersion) -> StateHeader:
    stored = packed(*entries)
    return describe(
        take_cut(listing(*entries), NOON),
        repository=RepositoryName("alpha"),
        parent=None,
        own_chunks=ChunkSet(attempt=ATTEMPT, count=len(stored), digest=chunks.digest(stored)),
        recorded_at=at(5),
        cause=Cause(reason="event"),
    )


def test_a_state_reads_back_as_it_was_recorded() -> None:
    assert read_state(StoredChunks(packed(*ENTRIES)), header(*ENTRIES)) == ENTRIES


def test_other_chunks_of_the_very_same_entries_are_refused() -> None:
    apart = tuple(chunk for entry in ENTRIES for chunk in packed(entry))
    told = header(*ENTRIES)
    two = told.model_copy(update={"chunks": told.chunks.model_copy(update={"count": 2})})
    with pytest.raises(StateDamaged, match="not those its header names"):
        read_state(StoredChunks(apart), two)


def test_a_chunk_that_is_missing_is_named() -> None:
    with pytest.raises(StateDamaged, match=r"chunk 0 of 1 .* is missing"):
        read_state(StoredChunks(()), header(*ENTRIES))


def test_chunks_that_the_header_names_with_another_manifest_root_are_refused() -> None:
    """The same keys and sizes, so that the content root cannot tell: only other versions."""
    others = [version(entry.key, version_id="forged") for entry in ENTRIES]
    forged = header(*ENTRIES).model_copy(update={"manifest_root": manifest_root(others)})
    with pytest.raises(StateDamaged, match=r"manifest root is .*, expected"):
        read_state(StoredChunks(packed(*ENTRIES)), forged)


def test_chunks_that_the_header_names_with_another_content_root_are_refused() -> None:
    forged = header(*ENTRIES).model_copy(update={"content_root": content_root(content_of(ENTRIES[:1]))})
    with pytest.raises(StateDamaged, match=r"content root is .*, expected"):
        read_state(StoredChunks(packed(*ENTRIES)), forged)

"""The whole chain of a repository, from its first state to its head: the first thing in it that does not hold.

Security rules:
- The head is read first, then the anchors, then the headers: what is recorded meanwhile can only add states, and a
  state that an anchor names and the ledger has not was cut off.
- Each header has the id it is stored under, is the next generation, and names the one before it; a `same` state has
  its chunks and roots, a delta lies on it.
- Every head that was written to the records bucket is, byte for byte, what the header makes it; of each state but the
  newest there is one. The newest may still be without: record writes it after its commit.
- Each state that is not dropped is made of its base and its deltas, and its three roots are computed from its entries.
  Chunks of a dropped state are looked at only where another one lies on them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged, stream_state
from functions.domain.ports import AnchorReader, LedgerReader
from functions.domain.state import ChunkSet, Head, StateHeader
from functions.domain.values import AttemptId, RepositoryName, StateId


class LedgerBroken(StateDamaged):
    """The first state of a chain that does not hold, and why."""

    def __init__(self, repository: RepositoryName, generation: int, why: str) -> None:
        super().__init__(f"generation {generation} of {repository} does not hold: {why}")
        self.generation = generation


@dataclass(slots=True)
class Proven:
    """What a walk has proven so far."""

    states: int = 0
    bases: int = 0
    deltas: int = 0
    entries: int = 0
    """Of the states whose roots were computed, added up."""
    dropped: int = 0
    """States whose entries were not looked at, since a prune dropped them."""
    anchored: int = 0
    head: Head | None = None
    chunks: ChunkSet | None = None
    """Of the last state whose roots were computed."""


def prove_ledger(
    ledger: LedgerReader,
    anchors: AnchorReader,
    repository: RepositoryName,
    watch: Callable[[StateHeader], None] = lambda _: None,
) -> Proven:
    """Walk the chain from generation 1. `watch` is told each state once it is proven. Raises LedgerBroken.

    Memory holds the chunks of one strand, and what its deltas change.
    """
    try:
        head = ledger.head(repository)
    except UnreadableDocument as error:
        raise StateDamaged(f"the head of {repository} cannot be read: {error}") from error
    anchored = _Anchored(repository, anchors)
    proven = Proven(head=head)
    strand = _StrandAtHand(ledger)
    dropped = ledger.dropped(repository)
    before: StateHeader | None = None
    for header in _oldest_first(repository, ledger):
        generation = header.generation
        try:
            _follows(header, before, repository)
            anchored.check(header, needed=head is not None and generation < head.generation)
            _prove(header, strand, dropped, proven)
        except StateDamaged as error:
            raise LedgerBroken(repository, generation, str(error)) from error
        if head is not None and generation == head.generation and header.id != head.state:
            raise LedgerBroken(
                repository, generation, f"it is state {header.id[:12]}, and the head names {head.state[:12]}"
            )
        proven.states += 1
        watch(header)
        before = header
    last = before.generation if before else 0
    anchored.check_end(last)
    if head is None and before is not None:
        raise LedgerBroken(repository, last, "there are states and no head")
    if head is not None and head.generation > last:
        raise LedgerBroken(repository, last + 1, f"it is missing; the head is generation {head.generation}")
    proven.anchored = anchored.count
    return proven


def _prove(header: StateHeader, strand: "_StrandAtHand", dropped: frozenset[StateId], proven: Proven) -> None:
    proven.bases += header.kind == "base"
    proven.deltas += header.kind == "delta"
    if header.id in dropped:
        proven.dropped += 1
        return
    if header.kind == "same" and header.chunks == proven.chunks:
        # Its roots are those of the state before, which `_follows` compared.
        return
    strand.begin(header)
    if sum(sum(block.sizes) for block in stream_state(strand, header)) != header.bytes:
        raise StateDamaged(f"state {header.id[:12]} has another number of bytes than its header says")
    proven.entries += header.objects
    proven.chunks = header.chunks


def _follows(header: StateHeader, before: StateHeader | None, repository: RepositoryName) -> None:
    place = (before.generation + 1, before.id) if before else (1, None)
    if (header.generation, header.parent) != place or header.repository != repository:
        raise StateDamaged(f"state {header.id[:12]} does not follow the state before it")
    if header.kind == "same" and (before is None or _entries_of(header) != _entries_of(before)):
        raise StateDamaged(f"state {header.id[:12]} has other entries than the state before it, and says the same")
    on = header.delta
    if header.kind == "delta" and (
        before is None or on is None or (on.generation, on.state) != (before.generation, before.id)
    ):
        raise StateDamaged(f"state {header.id[:12]} is a delta on another state than the one before it")


def _entries_of(header: StateHeader) -> tuple[object, ...]:
    """All that two states have in common that have the same entries."""
    roots = (header.manifest_root, header.content_root, header.attributes_root)
    return (*roots, header.chunks, header.delta, header.objects, header.bytes, header.by_type)


def _oldest_first(repository: RepositoryName, ledger: LedgerReader) -> Iterator[StateHeader]:
    """The headers; a place in which there is none, or none that can be read, is where the chain breaks."""
    expected = 1
    headers = ledger.headers(repository, oldest_first=True)
    while True:
        try:
            header = next(headers, None)
        except UnreadableDocument as error:
            raise LedgerBroken(repository, expected, str(error)) from error
        if header is None:
            return
        if header.generation != expected:
            raise LedgerBroken(repository, expected, f"it is missing; the next one is generation {header.generation}")
        yield header
        expected += 1


class _StrandAtHand:
    """What is fetched of the ledger, kept as long as states lie on the same base: their base and each delta are
    fetched once."""

    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger
        self._base: ChunkSet | None = None
        self._headers: dict[int, StateHeader | None] = {}
        self._chunks: dict[tuple[AttemptId, int], bytes | None] = {}

    def begin(self, header: StateHeader) -> None:
        """A state is read next."""
        if header.base != self._base:
            self._headers.clear()
            self._chunks.clear()
            self._base = header.base

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None:
        if generation not in self._headers:
            self._headers[generation] = self._ledger.header(repository, generation)
        return self._headers[generation]

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None:
        if (attempt, number) not in self._chunks:
            self._chunks[attempt, number] = self._ledger.chunk(attempt, number)
        return self._chunks[attempt, number]


class _Anchored:
    """The heads in the records bucket, beside the headers."""

    def __init__(self, repository: RepositoryName, anchors: AnchorReader) -> None:
        self._repository = repository
        self._anchors = anchors.anchors(repository)
        self._next = next(self._anchors, None)
        self.count = 0

    def check(self, header: StateHeader, *, needed: bool) -> None:
        """Raises StateDamaged unless every anchor of this generation is this state's, and if `needed` there is one."""
        found = False
        while self._next is not None and self._next.generation <= header.generation:
            anchor = self._next
            if anchor.generation < header.generation or anchor.content != Head.of(header).canonical():
                raise StateDamaged(
                    f"the records bucket has state {anchor.state[:12]} as generation {anchor.generation}, the ledger "
                    f"has {header.id[:12]}"
                )
            found = True
            self.count += 1
            self._next = next(self._anchors, None)
        if needed and not found:
            raise StateDamaged(f"the records bucket has no head of state {header.id[:12]}")

    def check_end(self, last: int) -> None:
        """Raises LedgerBroken where a state was anchored after the last one."""
        if self._next is not None:
            raise LedgerBroken(
                self._repository,
                last + 1,
                f"it is missing; the records bucket has state {self._next.state[:12]} as generation "
                f"{self._next.generation}",
            )

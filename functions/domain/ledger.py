"""Reading the ledger so that what it says can be trusted.

Security rules:
- A header is believed only when its bytes have the id it is stored under.
- A state's entries are believed only when the chunks of its base and of each delta on it have the digests of their
  headers, every change fits, the entries are in key order, and their roots are those of the state's header.
- The header of a state names the one on which its delta lies by id, and so on down to the base: nothing beneath a
  state can be exchanged, and no delta be left out, without another header.
- A read that fails any of this raises, and says which state cannot be used.
"""

import hashlib
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, tee
from typing import Protocol

from functions.domain import chunks
from functions.domain.columns import Columns, in_runs
from functions.domain.delta import DoesNotFit, Overlay, apply, ascend
from functions.domain.documents import UnreadableDocument
from functions.domain.roots import AttributesRoot, ContentRoot, ManifestRoot
from functions.domain.state import ChunkSet, StateHeader
from functions.domain.values import AttemptId, ObjectKey, ObjectVersion, RepositoryName
from functions.domain.verdict import Verdict, is_good, newest_outcomes

AHEAD = 4
"""Chunks of one state that are fetched before they are needed."""


class StoredStates(Protocol):
    """What of a LedgerReader it takes to read a state."""

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None: ...

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None: ...


class StateDamaged(Exception):
    """The ledger does not hold what the header of a state promises; the state must not be used."""


class NoSuchState(Exception):
    """A STATE that names no state, or more than one."""


@dataclass(frozen=True, slots=True)
class Strand:
    """A base, and on it the deltas that lead to one state."""

    base: ChunkSet
    deltas: tuple[StateHeader, ...]
    """Each names the chunks of one delta, the oldest first; the state's own header is the last."""


def read_strand(ledger: StoredStates, header: StateHeader, known: ChunkSet | None = None) -> Strand:
    """The strand that ends with a state, or the end of it that lies on `known` chunks; reads one header for each
    delta, and no chunk. Raises StateDamaged."""
    deltas: list[StateHeader] = []
    at = header
    while at.chunks != known and (on := at.delta) is not None:
        deltas.append(at)
        try:
            below = ledger.header(at.repository, on.generation)
        except UnreadableDocument as error:
            raise StateDamaged(f"state {header.id[:12]}: {error}") from error
        if below is None or below.id != on.state:
            raise StateDamaged(
                f"state {header.id[:12]} lies on state {on.state[:12]}, which the ledger does not hold in its place"
            )
        # Each has one link less, so that this ends.
        if below.base != on.base or below.links != on.links - 1:
            raise StateDamaged(f"state {header.id[:12]} lies on state {on.state[:12]}, which has another base")
        at = below
    return Strand(at.chunks, tuple(reversed(deltas)))


def read_chunks(
    ledger: StoredStates, header: StateHeader, where: ChunkSet, threads: Executor | None = None
) -> Iterator[bytes]:
    """The chunks of `where`, in order, for the state of `header`.

    They stream out before they are proven: nothing may be decided on them before the end. With `threads`, which
    several may share, a few are fetched ahead. Raises StateDamaged, at the latest at the end.
    """
    hashes: list[bytes] = []
    for number, chunk in enumerate(_fetch(ledger, where, threads)):
        if chunk is None:
            raise StateDamaged(f"chunk {number} of {where.count} of state {header.id[:12]} is missing")
        hashes.append(hashlib.sha256(chunk).digest())
        yield chunk
    if chunks.digest_of_set(hashes) != where.digest:
        raise StateDamaged(f"the chunks of state {header.id[:12]} are not those its header names")


def stream_state(ledger: StoredStates, header: StateHeader, threads: Executor | None = None) -> Iterator[Columns]:
    """The entries of a state, in key order, a few thousand at a time.

    They stream out before they are proven: nothing may be decided on them before the end. Memory holds a few blocks,
    and what the deltas of the strand change, which is at most a fifth of the base. Raises StateDamaged, at the latest
    at the end.
    """
    strand = read_strand(ledger, header)
    base = map(chunks.decode_columns, read_chunks(ledger, header, strand.base, threads))
    return _proven(header, _made(ledger, header, strand, base))


def stream_states(
    ledger: StoredStates, one: StateHeader, other: StateHeader
) -> tuple[Iterator[Columns], Iterator[Columns]]:
    """The entries of two states as `stream_state` gives them, to be gone through side by side: a base on which both
    lie is read once. Raises what `stream_state` raises."""
    strand, others = read_strand(ledger, one), read_strand(ledger, other)
    base: Iterator[Columns] = map(chunks.decode_columns, read_chunks(ledger, one, strand.base))
    others_base: Iterator[Columns] = map(chunks.decode_columns, read_chunks(ledger, other, others.base))
    if strand.base == others.base:
        # What the one is ahead of the other is held meanwhile: a block, when both are gone through in key order.
        base, others_base = tee(base)
    return _proven(one, _made(ledger, one, strand, base)), _proven(other, _made(ledger, other, others, others_base))


def read_state(ledger: StoredStates, header: StateHeader) -> tuple[ObjectVersion, ...]:
    """The entries of a state, in key order, proven against its header. Raises StateDamaged."""
    return tuple(chain.from_iterable(block.versions() for block in stream_state(ledger, header)))


def _made(ledger: StoredStates, header: StateHeader, strand: Strand, base: Iterable[Columns]) -> Iterator[Columns]:
    """The base with all deltas made. The deltas are proven before anything is made of them. Raises StateDamaged, for a
    chunk of the base that cannot be read, too."""
    overlay = Overlay()
    try:
        for link in strand.deltas:
            stored = list(read_chunks(ledger, link, link.chunks))
            overlay.add(change for chunk in stored for change in chunks.decode_delta(chunk))
        yield from overlay.over(base)
    except (UnreadableDocument, DoesNotFit) as error:
        raise StateDamaged(f"state {header.id[:12]}: {error}") from error


def _proven(header: StateHeader, blocks: Iterable[Columns]) -> Iterator[Columns]:
    """The same blocks; at the end, that they are exactly the entries of a state, in key order. Raises StateDamaged."""
    manifest, content, attributes = ManifestRoot(), ContentRoot(), AttributesRoot()
    count = 0
    last: list[ObjectKey] = []
    for block in blocks:
        if not ascend(chain(last, block.keys)):
            raise StateDamaged(f"the entries of state {header.id[:12]} are not in key order")
        last = block.keys[-1:] or last
        count += len(block)
        manifest.update(block)
        content.update(block)
        if header.attributes_root is not None:
            attributes.update(block)
        yield block
    if count != header.objects:
        raise StateDamaged(f"state {header.id[:12]} has {count} entries, expected {header.objects}")
    roots = (
        ("manifest", manifest.digest(), header.manifest_root),
        ("content", content.digest(), header.content_root),
        ("attributes", attributes.digest() if header.attributes_root is not None else None, header.attributes_root),
    )
    for name, actual, expected in roots:
        if actual != expected:
            raise StateDamaged(f"state {header.id[:12]}: {name} root is {actual}, expected {expected}")


@dataclass(frozen=True, slots=True)
class StateRead:
    """A state, read after another."""

    entries: Sequence[ObjectVersion]
    """In key order."""
    new: Iterable[ObjectVersion]
    """Those that the state read before it does not have; all, where it lies on none that was read."""
    from_base: bool
    """It was not made of the state read before it."""


class StatesInTurn:
    """Reads states of one repository, the oldest first: each base and each delta once. Memory holds one state.

    The chunks are proven by their digests, every change fits, and there are as many entries as the header says; that
    their roots are the header's is for `prove_entries`.
    """

    def __init__(self, ledger: StoredStates) -> None:
        self._ledger = ledger
        self._known: ChunkSet | None = None
        """Of what `_entries` was made last."""
        self._entries: Sequence[ObjectVersion] = ()

    def read(self, header: StateHeader) -> StateRead:
        """Raises StateDamaged."""
        known, entries = self._known, self._entries
        self._known, self._entries = None, ()
        strand = read_strand(self._ledger, header, known)
        from_base = strand.base != known
        put: dict[ObjectKey, ObjectVersion | None] = {}
        try:
            if from_base:
                stored = list(read_chunks(self._ledger, header, strand.base))
                entries = [version for chunk in stored for version in chunks.decode(chunk)]
            for link in strand.deltas:
                stored = list(read_chunks(self._ledger, link, link.chunks))
                changes = [change for chunk in stored for change in chunks.decode_delta(chunk)]
                entries = apply(entries, changes)
                put.update((each.key, each if isinstance(each, ObjectVersion) else None) for each in changes)
        except (UnreadableDocument, DoesNotFit) as error:
            raise StateDamaged(f"state {header.id[:12]}: {error}") from error
        if len(entries) != header.objects:
            raise StateDamaged(f"state {header.id[:12]} has {len(entries)} entries, expected {header.objects}")
        self._known, self._entries = header.chunks, entries
        return StateRead(entries, entries if from_base else filter(None, put.values()), from_base)


def prove_entries(header: StateHeader, versions: Sequence[ObjectVersion]) -> None:
    """That these are exactly the entries of a state, in key order. Raises StateDamaged."""
    for _ in _proven(header, in_runs(versions)):
        """Proven at the end."""


def _fetch(ledger: StoredStates, where: ChunkSet, threads: Executor | None) -> Iterator[bytes | None]:
    """All that are counted, in order; None: it is not there."""
    if threads is None:
        yield from (ledger.chunk(where.attempt, number) for number in range(where.count))
        return
    fetched: deque[Future[bytes | None]] = deque()
    for number in range(where.count):
        fetched.append(threads.submit(ledger.chunk, where.attempt, number))
        if len(fetched) > AHEAD:
            yield fetched.popleft().result()
    while fetched:
        yield fetched.popleft().result()


_HEX = re.compile(r"[0-9a-f]{4,64}")


def choose_state(
    headers: Iterable[StateHeader],
    wanted: str,
    repository: RepositoryName,
    verdicts: Iterable[Verdict] | None = None,
) -> StateHeader:
    """The state that a person means by `wanted`: an id or a unique prefix of one (4 digits or more), a time
    (`2026-11-21`, `2026-11-21T23:25[:47][Z or offset]`, UTC unless it says otherwise: the newest state at or
    before its end), `latest`, or, where the repository's `verdicts` are given, `last-good`.

    `headers` and `verdicts` with those of the newest state first. Raises NoSuchState, whose message says what would do.
    """
    if wanted == "last-good":
        return _last_good(headers, verdicts, repository)
    known = list(headers)
    if not known:
        raise _nothing_recorded(repository)
    if wanted == "latest":
        return known[0]
    if _HEX.fullmatch(wanted):
        named = [header for header in known if header.id.startswith(wanted)]
        if len(named) == 1:
            return named[0]
        if named:
            ids = ", ".join(header.id[:16] for header in named[:5])
            raise NoSuchState(f"{wanted} is the start of {len(named)} states of {repository} ({ids}); give more digits")
        raise NoSuchState(f"{repository} has no state {wanted}; `rwm states {repository}` lists them")
    until = _end_of(wanted)
    for header in known:
        if header.cut_time <= until:
            return header
    oldest = known[-1].cut_time
    raise NoSuchState(f"the oldest state of {repository} is of {oldest:%Y-%m-%dT%H:%M:%SZ}, after {wanted}")


def with_verdicts(
    headers: Iterable[StateHeader], verdicts: Iterable[Verdict]
) -> Iterator[tuple[StateHeader, tuple[Verdict, ...]]]:
    """Each header with the verdicts on its place in the chain; both with those of the newest state first, and read
    no further than the headers are taken.
    """
    places = groupby(verdicts, key=lambda verdict: verdict.generation)
    generation: int | None = None
    judged: Iterator[Verdict] = iter(())
    for header in headers:
        # Only now: a state is committed after its verdict, so that whoever sees the one finds the other.
        while generation is None or generation > header.generation:
            generation, judged = next(places, (0, iter(())))
        yield header, tuple(judged) if generation == header.generation else ()


def _last_good(
    headers: Iterable[StateHeader], verdicts: Iterable[Verdict] | None, repository: RepositoryName
) -> StateHeader:
    if verdicts is None:
        raise NoSuchState(f"which state of {repository} is `last-good` cannot be told here; name it by its id")
    passed_over: Counter[str] = Counter()
    for header, judged in with_verdicts(headers, verdicts):
        if is_good(header, judged):
            return header
        against = set(newest_outcomes(header, judged).values()) - {"pass"}
        passed_over["with a FAIL or a HOLD" if against else "busy" if header.busy else "never judged"] += 1
    if not passed_over:
        raise _nothing_recorded(repository)
    states = ", ".join(f"{count} {why}" for why, count in sorted(passed_over.items()))
    raise NoSuchState(
        f"no state of {repository} is known to be good: {states}; `rwm check {repository}` judges the newest"
    )


def _nothing_recorded(repository: RepositoryName) -> NoSuchState:
    return NoSuchState(f"repository {repository} has no recorded state yet; publish an event or run `rwm record`")


def _end_of(wanted: str) -> datetime:
    """The last second of the day, minute or second that `wanted` names."""
    try:
        instant = datetime.fromisoformat(wanted)
    except ValueError as error:
        raise NoSuchState(
            f"{wanted!r} is no state's id (4 hex digits or more), no time like 2026-11-21T23:25Z, not `latest` and "
            "not `last-good`"
        ) from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", wanted):
        return instant + timedelta(days=1, seconds=-1)
    if re.fullmatch(r"[\d-]+[T ]\d{2}:?\d{2}(Z|[+-][\d:]+)?", wanted):
        return instant + timedelta(seconds=59)
    return instant

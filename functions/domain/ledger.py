"""Reading the ledger so that what it says can be trusted.

Security rules:
- A header is believed only when its bytes have the id it is stored under.
- A state's entries are believed only when the chunks have the digest of the header, the entries are in
  key order, and the manifest root of the entries is the header's.
- A read that fails any of this raises, and says which state cannot be used.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ports import LedgerReader
from functions.domain.roots import content_of, content_root, manifest_root
from functions.domain.state import StateHeader
from functions.domain.values import ObjectVersion, RepositoryName
from functions.domain.verdict import Verdict, is_good, newest_outcomes


class StateDamaged(Exception):
    """The ledger does not hold what the header of a state promises; the state must not be used."""


class NoSuchState(Exception):
    """A STATE that names no state, or more than one."""


def read_state(ledger: LedgerReader, header: StateHeader) -> tuple[ObjectVersion, ...]:
    """The entries of a state, in key order, proven against its header. Raises StateDamaged."""
    stored = list(_stored_chunks(ledger, header))
    if chunks.digest(stored) != header.chunks.digest:
        raise StateDamaged(f"the chunks of state {header.id[:12]} are not those its header names")
    try:
        versions = tuple(version for chunk in stored for version in chunks.decode(chunk))
    except UnreadableDocument as error:
        raise StateDamaged(f"state {header.id[:12]}: {error}") from error
    if (actual := manifest_root(versions)) != header.manifest_root:
        raise StateDamaged(f"state {header.id[:12]}: manifest root is {actual}, expected {header.manifest_root}")
    if (actual := content_root(content_of(versions))) != header.content_root:
        raise StateDamaged(f"state {header.id[:12]}: content root is {actual}, expected {header.content_root}")
    return versions


def _stored_chunks(ledger: LedgerReader, header: StateHeader) -> Iterator[bytes]:
    for number in range(header.chunks.count):
        chunk = ledger.chunk(header.chunks.attempt, number)
        if chunk is None:
            raise StateDamaged(f"chunk {number} of {header.chunks.count} of state {header.id[:12]} is missing")
        yield chunk


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
    generation, judged = next(places, (0, iter(())))
    for header in headers:
        while generation > header.generation:
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

"""Reading the ledger so that what it says can be trusted.

Security rules:
- A header is believed only when its bytes have the id it is stored under.
- A state's entries are believed only when the chunks have the digest of the header, the entries are in
  key order, and the manifest root of the entries is the header's.
- A read that fails any of this raises, and says which state cannot be used.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from functions.domain import chunks
from functions.domain.documents import UnreadableDocument
from functions.domain.ports import LedgerReader
from functions.domain.roots import content_of, content_root, manifest_root
from functions.domain.state import StateHeader
from functions.domain.values import ObjectVersion, RepositoryName


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


def choose_state(headers: Iterable[StateHeader], wanted: str, repository: RepositoryName) -> StateHeader:
    """The state that a person means by `wanted`: an id or a unique prefix of one (4 digits or more), a time
    (`2026-11-21`, `2026-11-21T23:25[:47][Z or offset]`, UTC unless it says otherwise: the newest state at or
    before its end), or `latest`.

    `headers` newest first. Raises NoSuchState, whose message says what would do.
    """
    known = list(headers)
    if not known:
        raise NoSuchState(f"repository {repository} has no recorded state yet; publish an event or run `rwm record`")
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


def _end_of(wanted: str) -> datetime:
    """The last second of the day, minute or second that `wanted` names."""
    try:
        instant = datetime.fromisoformat(wanted)
    except ValueError as error:
        raise NoSuchState(
            f"{wanted!r} is no state's id (4 hex digits or more), no time like 2026-11-21T23:25Z, and not `latest`"
        ) from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    if re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", wanted):
        return instant + timedelta(days=1, seconds=-1)
    if re.fullmatch(r"[\d-]+[T ]\d{2}:?\d{2}(Z|[+-][\d:]+)?", wanted):
        return instant + timedelta(seconds=59)
    return instant

"""What keeps a state, and what says that it is kept no longer.

A state is *kept* until a prune marks it dropped. Its header stays for ever, but its versions may go from then on: it
is restored from no more, checked no more, and nothing is compared with it.

A hold is a person's word that a state stays, whatever its age. A restore that is under way holds, too: it announces
itself before it reads its state, and stops every prune of its repository until it has ended.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from functions.domain.state import StateHeader
from functions.domain.values import Digest, StateId


@dataclass(frozen=True, slots=True)
class DroppedState:
    """The mark on a state that is kept no longer."""

    state: StateId
    generation: int
    plan: Digest
    """Of the prune plan that dropped it."""
    execution: str
    """Of that prune."""
    at: datetime

    def __str__(self) -> str:
        return f"state {self.state} was dropped by prune {self.execution} at {self.at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Hold:
    """A person's word that a state is kept."""

    state: StateId
    by: str
    """What the caller said of itself; CloudTrail has the proof, where it logs calls of functions."""
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Restoring:
    """A restore's word that it is under way."""

    execution: str
    """Name of the restore workflow's."""
    state: StateId
    since: datetime
    """By the clock of the function that wrote it; nothing is decided by it."""


class RestoreUnderWay(Exception):
    """A restore runs, or nobody can tell that it does not; nothing was dropped and nothing was deleted."""


@dataclass(frozen=True, slots=True)
class Held:
    """What stops a prune: states that people hold, and restores that are under way."""

    states: frozenset[StateId] = frozenset()
    restores: frozenset[str] = frozenset()
    """Their executions."""


def kept_of(headers: Iterable[StateHeader], dropped: Container[StateId]) -> Iterator[StateHeader]:
    """Those that are not dropped, in the same order, read as they are taken."""
    return (header for header in headers if header.id not in dropped)

"""The page of a repository: one document of all that people want to see, from which HTML and `--json` are made.

It names states, types, counts and findings; no key, no host, no path.
"""

from typing import Literal

from functions.domain.cost import Estimate, PackSaving
from functions.domain.documents import Instant, Part
from functions.domain.pack_size import PackAdvice
from functions.domain.prune.approval import Status
from functions.domain.prune.rules import Reason, Waits
from functions.domain.restic import FileType
from functions.domain.restore.drill import DrillFailure
from functions.domain.state import Tally
from functions.domain.timeline import Found, Timeline
from functions.domain.values import Digest, RepositoryName, StateId

Health = Literal["fail", "hold", "late", "good", "unjudged", "empty", "broken"]
"""Of the newest state, the worst first: a FAIL or a HOLD on it; too old; good; nobody judged it; none is recorded; the
ledger cannot be believed."""


class Point(Part):
    """What the repository held at a cut."""

    at: Instant
    objects: int
    bytes: int
    """Of current objects."""
    noncurrent: int
    """Versions that were not current, of any key."""


class Listed(Part):
    """All object versions, as a prune listed them."""

    at: Instant
    versions: int
    bytes: int
    noncurrent_bytes: int
    """Beyond those of the state of that time. Lock files are among them."""


class Grown(Part):
    points: tuple[Point, ...]
    """The oldest first: the last state of each day, and of each week where there are many."""
    listed: tuple[Listed, ...]
    """The oldest first. Bytes of noncurrent versions are known from these, and else unknown."""


class Sizes(Part):
    """Objects of one type in the newest state."""

    type: FileType
    objects: int
    bytes: int
    by_size: tuple[int, ...]
    """How many there are in each range; `edges` has where they end."""


class KeptState(Part):
    """What a state that is kept needs."""

    id: StateId
    generation: int
    cut_time: Instant
    why: tuple[str, ...]
    """Why it is kept; empty: the next prune drops it."""
    until: Instant | None
    bytes: int
    """Of all that it names."""
    only: Tally | None
    """What no other kept state names; None: unknown."""


class Kept(Part):
    """What kept states need."""

    states: tuple[KeptState, ...]
    """The newest first."""
    together: Tally | None
    """All that they name, each version once."""
    one_in: int
    """One pack in so many was looked at; 1: all were."""
    unknown: str
    """Why it is not known; empty: it is."""


class Freed(Part):
    reason: Reason
    entries: int
    bytes: int


class StillWaits(Part):
    why: Waits
    entries: int
    bytes: int
    first: Instant | None
    last: Instant | None


class PlannedPrune(Part):
    """The newest prune plan."""

    plan: Digest
    drawn_at: Instant
    status: Status
    versions: int
    markers: int
    bytes: int
    drops: int
    totals: tuple[Freed, ...]
    waiting: tuple[StillWaits, ...]


class NextPrune(Part):
    """When the next one comes, and what it would free."""

    schedule: str | None
    """None: only when asked for."""
    at: Instant | None
    """About. None: not known before the first of a rate, and there is none without a schedule or after its last."""
    frees: int | None
    """Bytes, about; None: unknown."""
    basis: Literal["plan", "waited", "unknown"]
    """Where `frees` is from: the newest plan, which is not carried out yet; or what that one let wait, and whose time
    has come by then, to which later changes add."""
    due: int
    """States that it drops, as it is now."""
    newest: PlannedPrune | None


class PruneDone(Part):
    execution: str
    at: Instant
    outcome: Literal["done", "incomplete", "harmed"]
    reclaimed: Tally
    kept_states: int
    harmed_states: int


class LockWeek(Part):
    begins: Instant
    states: int
    """Kept states of which the first lock ends in this week."""


class LockOutlook(Part):
    """What the last look at the locks found."""

    made_at: Instant
    complete: bool
    object_lock: bool
    lock_days: int
    earliest: Instant | None
    unlocked: int
    """Versions without a lock."""
    without: int
    """States of which no version has one, as far as is known."""
    weeks: tuple[LockWeek, ...]


class DrillSeen(Part):
    at: Instant
    outcome: Literal["restored", "failed"]
    level: Literal["content", "complete"] | None
    why: DrillFailure | None
    seconds: int
    objects: int
    bytes: int
    sampled: bool
    state: StateId | None


class Drills(Part):
    schedule: str | None
    newest: DrillSeen | None
    last_restored: Instant | None
    overdue: str
    """Empty: it is not."""


class Backup(Part):
    """A state that a host's event asked for."""

    at: Instant
    state: StateId
    snapshot: str | None
    outcome: Literal["complete", "incomplete"] | None


class Page(Part):
    """All of it."""

    repository: RepositoryName
    made_at: Instant
    health: Health
    findings: tuple[Found, ...]
    """Of the newest state, the worst first."""
    trouble: str
    """Why the ledger cannot be believed; empty: it can."""
    states: int
    """Ever recorded."""
    max_age: int
    """Seconds that the newest state may be old."""
    timeline: Timeline
    grown: Grown
    edges: tuple[int, ...]
    """Bytes at which ranges of sizes end."""
    sizes: tuple[Sizes, ...]
    packs: PackAdvice | None
    saving: PackSaving | None
    kept: Kept
    prune: NextPrune
    prunes: tuple[PruneDone, ...]
    """The newest first, ten at most."""
    cost: Estimate | None
    locks: LockOutlook | None
    drills: Drills
    backups: tuple[Backup, ...]
    """The newest first, ten at most."""


class Pages(Part):
    """Several repositories, as `--all --json` prints them."""

    pages: tuple[Page, ...]

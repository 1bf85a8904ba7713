"""A repository on the strict fake, its recorded states, and a prune of it by the pure functions alone."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.domain import chunks
from functions.domain.cut import Cut
from functions.domain.key_history import KeyHistory
from functions.domain.prune.confirm import Confirmed, confirm, confirm_markers
from functions.domain.prune.draft import Basis, Batch, Draft
from functions.domain.prune.entries import PlannedEntry, decode_batch
from functions.domain.prune.histories import Histories
from functions.domain.prune.named import StoredNames
from functions.domain.prune.pins import PinnedVersions
from functions.domain.prune.plan import Phase, PrunePlan
from functions.domain.prune.rules import PruneRules
from functions.domain.repositories import Retention
from functions.domain.state import StateHeader
from functions.domain.values import (
    ListedVersion,
    ObjectKey,
    ObjectVersion,
    StateId,
    VersionId,
)
from functions.domain.verdict import Outcome, SeenFinding
from tests.builders import NOON
from tests.cuts import take_cut
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import FakeLedger
from tests.fakes.ports import FakeVersionLister
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_model import Limits, Upload, VersioningStatus
from tests.strands import write

DAY = timedelta(days=1)
BUCKET = "protected"
RULES = PruneRules(grace=10 * DAY, locks_grace=DAY)
EXECUTION = "prune-tuesday"


def header_of(cut: Cut) -> StateHeader:
    """The header of a first state."""
    return write(FakeLedger(), cut)


def unproven(*entries: ObjectVersion) -> PinnedVersions:
    """A state of these entries, the last of which is not the one that was recorded."""
    ledger = FakeLedger()
    header = write(ledger, entries, size=1)
    forged = replace(entries[-1], version_id=VersionId("forged"))
    (ledger.chunks[header.chunks.attempt, len(entries) - 1],) = chunks.encode([forged])
    return PinnedVersions([header], StoredNames(ledger))


def pins(*states: Sequence[ObjectVersion]) -> PinnedVersions:
    """States that name exactly these entries, each a delta on the one before it."""
    ledger = FakeLedger()
    headers = [write(ledger, entries) for entries in states]
    return PinnedVersions(headers, StoredNames(ledger))


def basis(
    fresh: StateHeader,
    *,
    rules: PruneRules = RULES,
    dropped: Collection[StateId] = (),
    holds: Collection[StateId] = (),
    check: Outcome = "pass",
    drawn_at: datetime = NOON,
) -> Basis:
    return Basis(
        fresh=fresh,
        execution=EXECUTION,
        drawn_at=drawn_at,
        rules=rules,
        retention=Retention(),
        dropped=frozenset(dropped),
        holds=frozenset(holds),
        check=check,
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """A plan with its batch files."""

    plan: PrunePlan
    batches: tuple[Batch, ...]

    def entries(self, phase: Phase) -> list[PlannedEntry]:
        return [
            entry for batch in self.batches if batch.planned.phase is phase for entry in decode_batch(batch.content)
        ]

    @property
    def versions(self) -> set[tuple[str, str]]:
        return {(entry.key, entry.version_id) for entry in self.entries(Phase.VERSIONS)}

    @property
    def markers(self) -> set[tuple[str, str]]:
        return {(entry.key, entry.version_id) for entry in self.entries(Phase.MARKERS)}


def draw(
    listing: Iterable[ListedVersion], pinned: PinnedVersions, based: Basis, findings: Sequence[SeenFinding] = ()
) -> Drawn:
    draft = Draft(based, Histories(listing), pinned)
    batches = tuple(draft.batches())
    return Drawn(draft.plan(findings), batches)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A state with its entries."""

    header: StateHeader
    entries: tuple[ObjectVersion, ...]

    @property
    def names(self) -> list[tuple[ObjectKey, VersionId]]:
        return [(each.key, each.version_id) for each in self.entries]


@dataclass(slots=True)
class World:
    """One bucket, one clock, the states recorded so far."""

    clock: FakeClock = field(default_factory=FakeClock)
    s3: FakeS3 = field(init=False)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    states: list[Recorded] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3 = FakeS3(self.clock, limits=Limits(part_bytes=0))
        self.s3.create_bucket(BUCKET)
        self.s3.put_versioning(BUCKET, VersioningStatus.ENABLED)

    # --- what a host does ------------------------------------------------------------------------------

    def put(self, key: str, body: bytes = b"bytes") -> str:
        self._pass()
        return self.s3.put(BUCKET, key, body).version_id

    def hide(self, key: str) -> str:
        self._pass()
        return self.s3.delete(BUCKET, key).marker_version_id

    def begin_upload(self, key: str) -> None:
        self._pass()
        self.uploads.append(self.s3.create_multipart_upload(BUCKET, key))

    def complete_upload(self) -> None:
        """The oldest that is pending, if there is any."""
        self._pass()
        if self.uploads:
            upload = self.uploads.pop(0)
            part = self.s3.upload_part(BUCKET, upload.key, upload.upload_id, 1, b"late")
            self.s3.complete_multipart_upload(BUCKET, upload.key, upload.upload_id, [(1, part.etag)])

    def days(self, days: float) -> None:
        self.clock.advance(days * DAY)

    def _pass(self) -> None:
        self.clock.advance(5)

    # --- what RWM sees ---------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.clock.second()

    def listing(self) -> list[ListedVersion]:
        return list(FakeVersionLister(self.s3, BUCKET).versions())

    def histories(self, keys: Collection[str]) -> list[KeyHistory]:
        """Every entry of each key, whether anything might go or not, as `apply_prune` lists them."""
        by_key: dict[ObjectKey, list[ListedVersion]] = {}
        for entry in self.listing():
            if entry.key in keys:
                by_key.setdefault(entry.key, []).append(entry)
        return [KeyHistory(key, tuple(entries), len(entries)) for key, entries in by_key.items()]

    def current(self) -> dict[str, str]:
        """What anybody sees who asks for no version."""
        return {version.key: version.version_id for version in self.s3.list_objects(BUCKET).objects}

    def record(self) -> Recorded:
        self._pass()
        at = self.now
        self._pass()
        cut = take_cut(self.listing(), at)
        # Sometimes a base, as record rebases: most prunes of most states have to do with both.
        header = write(self.ledger, cut, base=len(self.states) % 3 == 2)
        self.states.append(Recorded(header, tuple(cut.versions)))
        return self.states[-1]

    # --- a prune ---------------------------------------------------------------------------------------

    def pinned(self, kept: Iterable[Recorded]) -> PinnedVersions:
        return PinnedVersions([each.header for each in kept], StoredNames(self.ledger))

    def plan(self, kept: Sequence[Recorded], rules: PruneRules = RULES) -> Drawn:
        """From the newest of `kept`; every other state is to be dropped."""
        ids = {each.header.id for each in kept}
        dropped = [each.header.id for each in self.states if each.header.id not in ids]
        return draw(
            self.listing(),
            self.pinned(kept),
            basis(kept[-1].header, rules=rules, dropped=dropped, drawn_at=self.now),
        )

    def apply(
        self,
        drawn: Drawn,
        kept: Sequence[Recorded],
        rules: PruneRules = RULES,
        *,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """Both phases, as a careful `apply_prune` does; `between` is what happens in the middle."""
        for batch in drawn.batches:
            if batch.planned.phase is Phase.VERSIONS:
                entries = decode_batch(batch.content)
                histories = self.histories({entry.key for entry in entries})
                self.delete(confirm(entries, histories, self.pinned(kept), rules, self.now))
        between()
        for batch in drawn.batches:
            if batch.planned.phase is Phase.MARKERS:
                entries = decode_batch(batch.content)
                pending = {ObjectKey(upload.key) for upload in self.s3.list_multipart_uploads(BUCKET)}
                histories = self.histories({entry.key for entry in entries})
                self.delete(confirm_markers(entries, histories, pending, rules, self.now))

    def delete(self, confirmed: Confirmed) -> None:
        if confirmed.go:
            answer = self.s3.delete_objects(BUCKET, [(entry.key, entry.version_id) for entry in confirmed.go])
            assert not answer.errors

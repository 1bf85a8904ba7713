"""A repository that really lives, and is pruned every week by the real steps, from record to verify.

The real restic backs up, forgets and prunes on the fake; everything that people and the workflow would do follows.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from functions.check.consistent import ConsistentPorts, check_consistent
from functions.domain.checking import VerdictPorts
from functions.domain.content.known import Memory
from functions.domain.ledger import read_state
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.approved import PlanRequest
from functions.domain.prune.plan import Phase
from functions.domain.prune.report import PruneReport
from functions.domain.recording import Recorded, Wish
from functions.domain.repositories import Migration, Repository, Retention
from functions.domain.state import Cause, StateHeader
from functions.domain.values import AttemptId, StateId
from functions.domain.verdict import SeenFinding
from functions.prune.drop_states import DropPorts, drop_states
from functions.prune.lease import LeasePorts, take_lease
from functions.record.record import RecordPorts, record
from tests.domain.consistent.life import DAY
from tests.fakes.content import FakeVerifiedSets
from tests.fakes.holds import FakeExecutions
from tests.fakes.ledger import FakeFindingLog
from tests.fakes.operations import FakeAcknowledgements
from tests.fakes.pinned_view import PinnedView
from tests.fakes.ports import (
    FakeBucketConfiguration,
    FakeHeadAnchor,
    FakeRecordReader,
    FakeVersionLister,
)
from tests.fakes.restic import Restic
from tests.fakes.s3_model import DefaultRetention, LockMode
from tests.fakes.s3_server import S3Server
from tests.prune import apply_world
from tests.prune.apply_world import KEY_PREFIX, WHOLE, Planned
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, TARGET

GRACE = 5 * DAY
SHORT = Retention(keep_within=GRACE, days=0, weeks=2, months=0, years=0)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of one prune."""

    shelved: ShelvedPlan
    dropped: int
    report: PruneReport


class World(apply_world.World):
    """What is deployed, for one repository."""

    def __init__(self, **settings: Any) -> None:
        short = {"grace_days": GRACE, "lock_days": GRACE.days, "retention": SHORT, "maintenance": "create"}
        super().__init__(**{**short, **settings})
        self.s3.put_lock_configuration(PROTECTED, DefaultRetention(LockMode.GOVERNANCE, self.repository.lock_days))
        self.acknowledgements = FakeAcknowledgements()
        self.sets = FakeVerifiedSets()
        self.executions = FakeExecutions()
        self._attempts = count()
        self.contents: dict[StateId, Mapping[str, bytes]] = {}
        """What hosts saw when each state was recorded, lock files aside."""

    @property
    def _verdict_ports(self) -> VerdictPorts:
        return VerdictPorts(self.verdicts, self.acknowledgements, self.notifier, self.verdicts)

    def recorded(self) -> StateHeader:
        """What the schedule records now."""
        self.s3.clock.advance(10)
        ports = RecordPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED),
            lister=FakeVersionLister(self.s3, PROTECTED, KEY_PREFIX),
            ledger=self.ledger,
            anchor=FakeHeadAnchor(self.s3, RECORDS),
            findings=FakeFindingLog(),
            memory=Memory(self.sets, self.ledger),
            approvals=self.approvals,
            verdict=self._verdict_ports,
            pause=self.wait,
            new_attempt=lambda: AttemptId(f"attempt-{next(self._attempts)}"),
        )
        outcome = record(self.repository, Wish(Cause(reason="schedule")), ports)
        assert isinstance(outcome, Recorded)
        seen = self._current(PROTECTED, KEY_PREFIX)
        self.contents[outcome.header.id] = {key: body for key, body in seen if not key.startswith("locks/")}
        return outcome.header

    def wait(self, seconds: float) -> None:
        self.s3.clock.advance(seconds)

    def checked(self, execution: str) -> tuple[SeenFinding, ...]:
        """What a check of the newest state finds."""
        ports = ConsistentPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED),
            lister=FakeVersionLister(self.s3, PROTECTED, KEY_PREFIX),
            ledger=self.ledger,
            memory=Memory(self.sets, self.ledger),
            approvals=self.approvals,
            verdict=self._verdict_ports,
        )
        self.s3.clock.advance(1)
        return check_consistent(self.repository, "", execution, ports).verdict.findings

    def prune_as_planned(self, execution: str) -> Pruned:
        """Every step of a prune, in the workflow's order, which nobody has to be asked about."""
        self.recorded()
        self.checked(execution)
        planned = self.planned(execution)
        (shelved,) = [each for each in self.shelf.plans(REPOSITORY) if each.plan == planned.plan]
        assert shelved.approval == "not-needed", shelved.findings
        token = f"token of {execution}"
        take_lease(REPOSITORY, execution, token, self._lease_ports(), self.s3.clock.now())
        dropped = drop_states(self.repository, self._to_drop(planned), self._drop_ports()).dropped
        for phase in Phase:
            self.apply_phase(planned, phase)
        assert self.lease.release(REPOSITORY, execution)
        return Pruned(shelved, dropped, self.look_after(planned))

    def _lease_ports(self) -> LeasePorts:
        return LeasePorts(self.lease, self.executions, self.holds, FakeExecutions())

    def _to_drop(self, planned: Planned) -> PlanRequest:
        return PlanRequest(
            repository=REPOSITORY,
            execution=planned.execution,
            plan=planned.plan,
            plan_version=planned.plan_version,
        )

    def _drop_ports(self) -> DropPorts:
        return DropPorts(
            now=FakeBucketConfiguration(self.s3, RECORDS).now,
            ledger=self.ledger,
            dropper=self.dropper,
            verdicts=self.verdicts,
            shelf=self.shelf,
            approvals=self.approvals,
            lease=self.lease,
            holds=self.holds,
            stored=FakeRecordReader(self.s3, RECORDS),
        )

    def declare_migration(self) -> None:
        now = self.s3.clock.second()
        declared = Migration(since=now, until=now + timedelta(hours=1))
        self.repository = Repository.model_validate({**dict(self.repository), "migrations": (declared,)})

    # --- looking ---------------------------------------------------------------------------------------

    def dropped(self) -> list[StateHeader]:
        kept = {header.id for header in self.kept()}
        return [header for header in self.ledger.headers(REPOSITORY) if header.id not in kept]

    def named(self, states: Iterable[StateHeader]) -> set[tuple[str, str]]:
        return {(entry.key, entry.version_id) for header in states for entry in read_state(self.ledger, header)}

    def overdue(self, longer_than: timedelta) -> int:
        """Bytes of versions that are noncurrent for longer than that, and that no kept state names."""
        named = self.named(self.kept())
        return sum(
            size
            for name, (since, size) in self._noncurrent().items()
            if self.s3.clock.now() - since > longer_than and name not in named
        )

    def current_or_noncurrent_within(self, last: timedelta) -> set[tuple[str, str]]:
        noncurrent, begin = self._noncurrent(), self.s3.clock.now() - last
        return {name for name in self.there() if name not in noncurrent or noncurrent[name][0] >= begin}

    def _noncurrent(self) -> dict[tuple[str, str], tuple[datetime, int]]:
        """Since when each version that is not current is not, and its bytes."""
        found: dict[tuple[str, str], tuple[datetime, int]] = {}
        everything = (entry.version for entry in self.s3.everything(PROTECTED))
        for key, entries in groupby(everything, key=attrgetter("key")):
            successor: datetime | None = None
            for version in entries:
                if successor is not None and not version.is_delete_marker:
                    found[key.removeprefix(KEY_PREFIX), version.version_id] = (successor, len(version.body))
                successor = version.last_modified
        return found

    def assert_kept_states_have_their_bytes(self) -> None:
        """Each version that a kept state names is there, with the bytes that hosts saw when it was recorded."""
        for header in self.kept():
            entries = read_state(self.ledger, header)
            named = {
                entry.key: self.s3.get(PROTECTED, KEY_PREFIX + entry.key, entry.version_id).body for entry in entries
            }
            assert named == self.contents[header.id], header.generation

    def assert_restored(self, header: StateHeader) -> None:
        """RWM restores the state, to exactly its bytes."""
        for entry in self.s3.everything(TARGET):
            self.s3.delete_version(TARGET, entry.version.key, entry.version.version_id)
        assert self.restore(header.id, execution=f"of-{header.generation}", wishes=WHOLE).outcome == "restored"
        assert self.restored() == self.contents[header.id], header.generation

    def restic_says(self, header: StateHeader, folder: Path, *arguments: str) -> str:
        """What the real restic makes of a state, and of nothing beside it."""
        folder.mkdir(exist_ok=True)
        with S3Server(PinnedView(self.s3, PROTECTED, KEY_PREFIX, read_state(self.ledger, header))) as server:
            restic = Restic(server.endpoint, f"{PROTECTED}/{PREFIX}", "owner", "any secret", folder)
            return restic.run(*arguments, "--no-lock").stdout


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file beneath `folder`, by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}

"""A repository that lives for weeks, and the steps of its prunes, all in memory.

`apply-prune` and `verify-prune` run as principals of their own with the permissions of their roles and no others.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from functions.domain.keeping import DroppedState
from functions.domain.ledger import read_state
from functions.domain.prune.approval import Approval
from functions.domain.prune.approved import PlanRequest
from functions.domain.prune.lease import Lease
from functions.domain.prune.lookup import Proofs
from functions.domain.prune.plan import Phase, PrunePlan, manifest_file, plan_file, read_batch, read_plan
from functions.domain.prune.report import PruneReport
from functions.domain.repositories import Repository, Retention
from functions.domain.restore.plan import Wishes
from functions.domain.state import StateHeader
from functions.domain.values import Digest, Finding, VersionId
from functions.domain.verdict import CheckLevel, Outcome, conclude
from functions.prune.apply import AppliedBatch, ApplyPorts, ApplyRequest, apply_batch
from functions.prune.plan import PlanPorts, plan_prune
from functions.prune.verify import VerifyPorts, verify_prune
from tests.fakes.deleter import FakeKeyHistories, FakePendingUploads, FakePruneReports, FakeVersionDeleter
from tests.fakes.faults import Hook
from tests.fakes.holds import FakeLease
from tests.fakes.ledger import FakeStateDropper
from tests.fakes.operations import FakeNotifier, FakeVerdicts
from tests.fakes.plans import FakeApprovals, FakePlanShelf
from tests.fakes.ports import FakeBucketConfiguration, FakeRecordReader, FakeRecordWriter, FakeVersionLister
from tests.fakes.s3 import Integrity
from tests.restore import world as backed_up
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, a_backup, a_pack

DAY = timedelta(days=1)
GRACE = 10 * DAY
APPLY, VERIFY = "apply-prune", "verify-prune"
KEY_PREFIX = f"{PREFIX}/"
OLD = a_pack(b"pack 0")
"""What the life below hides after a while."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What the workflow carries from one step to the next."""

    execution: str
    plan: Digest
    plan_version: VersionId
    manifests: Mapping[Phase, VersionId]


WHOLE = Wishes(with_revoked_keys=True)
"""A kept state restores with all that it names, whatever was removed since."""


@dataclass(slots=True)
class Pauses:
    """How long a step waited, in seconds, without waiting."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class World(backed_up.World):
    """One repository of one deployment: hosts, states, prunes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        given: dict[str, Any] = {
            "name": REPOSITORY,
            "bucket": PROTECTED,
            "prefix": PREFIX,
            "grace_days": GRACE,
            "lock_days": 1,
            "retention": Retention(keep_within=GRACE, days=0, weeks=0, months=0, years=0),
        }
        self.repository = Repository(**{**given, **settings})
        self.verdicts = FakeVerdicts()
        self.lease = FakeLease()
        self.shelf = FakePlanShelf()
        self.approvals = FakeApprovals()
        self.notifier = FakeNotifier()
        self.prune_reports = FakePruneReports()
        self.dropper = FakeStateDropper(self.ledger, self.holds, self.lease)
        self.deleter = FakeVersionDeleter(self.s3, PROTECTED, KEY_PREFIX, APPLY)
        self.pauses = Pauses()
        self.proofs: Proofs = {}
        allow = self.s3.access.allow
        allow(
            APPLY,
            [
                "s3:DeleteObjectVersion",
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetBucketVersioning",
                "s3:ListBucketMultipartUploads",
                "s3:ListBucketVersions",
            ],
            PROTECTED,
        )
        allow(APPLY, ["s3:GetObject", "s3:GetObjectVersion"], RECORDS, "prunes/")
        allow(APPLY, ["s3:PutObject"], RECORDS, "prunes/")
        allow(VERIFY, ["s3:GetBucketVersioning", "s3:ListBucketVersions"], PROTECTED)
        allow(VERIFY, ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], RECORDS, "prunes/")
        allow(VERIFY, ["s3:ListBucket"], RECORDS)

    # --- what hosts and maintenance do -----------------------------------------------------------------

    def put(self, key: str, content: bytes = b"bytes") -> str:
        self.s3.clock.advance(5)
        integrity = Integrity(algorithm="SHA256")
        return self.s3.put(PROTECTED, KEY_PREFIX + key, content, integrity=integrity).version_id

    def back_up(self, objects: Mapping[str, bytes]) -> None:
        for key, content in objects.items():
            self.put(key, content)

    def hide(self, *keys: str) -> None:
        for key in keys:
            self.s3.clock.advance(5)
            self.s3.delete(PROTECTED, KEY_PREFIX + key)

    def begin_upload(self, key: str) -> Callable[[], None]:
        """Begin an upload in parts; what is returned completes it."""
        upload = self.s3.create_multipart_upload(PROTECTED, KEY_PREFIX + key)

        def complete() -> None:
            part = self.s3.upload_part(PROTECTED, upload.key, upload.upload_id, 1, b"late")
            self.s3.complete_multipart_upload(PROTECTED, upload.key, upload.upload_id, [(1, part.etag)])

        return complete

    def days(self, days: float) -> None:
        self.s3.clock.advance(days * DAY)

    # --- states and verdicts ---------------------------------------------------------------------------

    def judge(self, header: StateHeader, *found: Finding, by: str = "record") -> None:
        self.verdicts.append(
            conclude(header, CheckLevel.CONSISTENT, found, (), judged_at=self.s3.clock.second(), by=by)
        )

    def good(self) -> StateHeader:
        """Record a state that is found to be clean."""
        header = self.record()
        self.judge(header)
        return header

    def daily(self, days: int, *, name: str = "day") -> list[StateHeader]:
        """`days` of a backup and a state each."""
        found = []
        for number in range(days):
            content = f"{name} {number}".encode()
            self.back_up({a_pack(content): content})
            found.append(self.good())
            self.days(1)
        return found

    def kept(self) -> list[StateHeader]:
        dropped = {mark.state for mark in self.ledger.marks.values()}
        headers = [self.ledger._header(*place) for place in sorted(self.ledger.stored_headers)]
        return [header for header in headers if header is not None and header.id not in dropped]

    # --- the steps -------------------------------------------------------------------------------------

    def plan_prune(self, execution: str = "sunday", *found: Finding, posture: Outcome = "pass") -> Planned:
        """Record, check, and plan."""
        header = self.record()
        self.judge(header, *found, by=execution)
        return self.planned(execution, posture)

    def planned(self, execution: str, posture: Outcome = "pass") -> Planned:
        """Plan, on what this execution has checked."""
        ports = PlanPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED),
            lister=FakeVersionLister(self.s3, PROTECTED, KEY_PREFIX),
            ledger=self.ledger,
            verdicts=self.verdicts,
            holds=self.holds,
            approvals=self.approvals,
            records=FakeRecordWriter(self.s3, RECORDS),
            shelf=self.shelf,
        )
        planned = plan_prune(self.repository, execution, posture, ports)
        return Planned(execution, planned.shelved.plan, planned.shelved.version_id, planned.manifests)

    def decide(self, plan: Digest, decision: Any = "approved") -> None:
        shelved = self.shelf.find(self.repository.repository, plan)
        assert shelved is not None
        self.approvals.decide(
            Approval(
                repository=shelved.repository,
                plan=plan,
                state=shelved.state,
                generation=shelved.generation,
                decision=decision,
                by="anna",
                at=self.s3.clock.second(),
            )
        )

    def take_lease(self, execution: str = "sunday", token: str = "") -> str:
        token = token or f"token of {execution}"
        lease = Lease(token, execution, self.s3.clock.second())
        self.lease.take(REPOSITORY, lease, self.lease.leases.get(REPOSITORY))
        return token

    def drop(self, planned: Planned) -> None:
        """Mark the states that the plan drops."""
        plan, head = self.stored(planned), self.ledger.head(REPOSITORY)
        assert head is not None
        now = self.s3.clock.second()
        marks = [
            DroppedState(header.id, header.generation, plan.digest, planned.execution, now)
            for header in self.kept()
            if header.id in plan.dropped
        ]
        for start in range(0, len(marks), 40):
            self.dropper.drop(head, marks[start : start + 40])

    def children(self, planned: Planned, phase: Phase, token: str = "") -> list[ApplyRequest]:
        """What the Distributed Map of `phase` would give to its children."""
        if phase not in planned.manifests:
            return []
        name = manifest_file(REPOSITORY, planned.execution, phase)
        items = json.loads(FakeRecordReader(self.s3, RECORDS).get(name, planned.manifests[phase]))
        given = {
            "repository": REPOSITORY,
            "execution": planned.execution,
            "plan": planned.plan,
            "plan_version": planned.plan_version,
            "phase": phase,
            "token": token or f"token of {planned.execution}",
        }
        return [ApplyRequest.model_validate({**given, "batch": item}) for item in items]

    def apply(self, request: ApplyRequest, *, threads: int = 1, repository: Repository | None = None) -> AppliedBatch:
        ports = ApplyPorts(
            configuration=FakeBucketConfiguration(self.s3, PROTECTED, APPLY),
            histories=FakeKeyHistories(self.s3, PROTECTED, KEY_PREFIX, APPLY),
            uploads=FakePendingUploads(self.s3, PROTECTED, KEY_PREFIX, APPLY),
            deleter=self.deleter,
            ledger=self.ledger,
            proofs=self.proofs,
            verdicts=self.verdicts,
            shelf=self.shelf,
            approvals=self.approvals,
            lease=self.lease,
            holds=self.holds,
            stored=FakeRecordReader(self.s3, RECORDS, APPLY),
            records=FakeRecordWriter(self.s3, RECORDS, APPLY),
            pause=self.pauses,
            jitter=lambda longest: longest,
            threads=threads,
        )
        return apply_batch(request, repository or self.repository, ports)

    def apply_phase(self, planned: Planned, phase: Phase) -> list[AppliedBatch]:
        return [self.apply(request) for request in self.children(planned, phase)]

    def look_after(self, planned: Planned) -> PruneReport:
        request = PlanRequest(
            repository=REPOSITORY,
            execution=planned.execution,
            plan=planned.plan,
            plan_version=planned.plan_version,
        )
        ports = VerifyPorts(
            configuration=FakeBucketConfiguration(self.s3, PROTECTED, VERIFY),
            lister=FakeVersionLister(self.s3, PROTECTED, KEY_PREFIX, VERIFY),
            ledger=self.ledger,
            stored=FakeRecordReader(self.s3, RECORDS, VERIFY),
            records=FakeRecordWriter(self.s3, RECORDS, VERIFY),
            notifier=self.notifier,
            reports=self.prune_reports,
        )
        return verify_prune(request, self.repository, ports)

    def ready(self, execution: str = "sunday", *found: Finding) -> Planned:
        """Planned on a check that found these, approved, the lease taken, the states dropped."""
        planned = self.plan_prune(execution, *found)
        self.decide(planned.plan)
        self.take_lease(execution)
        self.drop(planned)
        return planned

    def prune(self, execution: str = "sunday", *found: Finding) -> PruneReport:
        """All of it, as the workflow runs it, with an approver who says yes to everything."""
        planned = self.ready(execution, *found)
        for phase in Phase:
            self.apply_phase(planned, phase)
        self.lease.release(REPOSITORY, execution)
        return self.look_after(planned)

    # --- looking ---------------------------------------------------------------------------------------

    def stored(self, planned: Planned) -> PrunePlan:
        name = plan_file(REPOSITORY, planned.execution)
        return read_plan(FakeRecordReader(self.s3, RECORDS), name, planned.plan_version, planned.plan)

    def planned_names(self, planned: Planned, phase: Phase) -> set[tuple[str, str]]:
        plan, stored = self.stored(planned), FakeRecordReader(self.s3, RECORDS)
        entries = [entry for batch in plan.of_phase(phase) for entry in read_batch(stored, plan, batch.number)]
        return {(entry.key, entry.version_id) for entry in entries}

    def there(self) -> set[tuple[str, str]]:
        """Every version and marker of the repository."""
        found = (entry.version for entry in self.s3.everything(PROTECTED))
        return {(each.key.removeprefix(KEY_PREFIX), each.version_id) for each in found}

    def current(self) -> set[str]:
        return set(dict(self._current(PROTECTED, KEY_PREFIX)))

    def missing(self, states: Iterable[StateHeader] | None = None) -> set[tuple[str, str]]:
        """Versions that kept states name, and that are gone."""
        there, hook = self.there(), self.ledger.hook
        self.ledger.hook = lambda _: None
        try:
            named = {
                (entry.key, entry.version_id)
                for header in (self.kept() if states is None else states)
                for entry in read_state(self.ledger, header)
            }
        finally:
            self.ledger.hook = hook
        return {(key, version_id) for key, version_id in named if (key, version_id) not in there}

    def restores(self, header: StateHeader) -> bool:
        """Whether a restore of the state is complete: damage that the state itself names comes back, too."""
        for entry in self.s3.everything(backed_up.TARGET):
            self.s3.delete_version(backed_up.TARGET, entry.version.key, entry.version.version_id)
        return self.restore(header.id, execution=f"of-{header.generation}", wishes=WHOLE).outcome != "incomplete"

    def watch(self, hook: Hook) -> None:
        """Let `hook` see every call to S3 and to every table."""
        super().watch(hook)
        tables = (self.verdicts, self.holds, self.lease, self.shelf, self.approvals, self.notifier, self.prune_reports)
        for each in tables:
            each.hook = hook


def lived(world: World | None = None, *, hidden: Sequence[str] = (OLD,), before: int = 3, after: int = 30) -> World:
    """Days of backups; then maintenance hides `hidden`; then more days, until all of it is past its grace."""
    world = world or World()
    world.back_up(a_backup())
    world.daily(before, name="before")
    world.hide(*hidden)
    world.daily(after, name="after")
    return world

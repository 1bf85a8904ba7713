"""A prune and a restore as their workflows run them, one step at a time, so that anything can happen in between.

The workflow is not trusted: a careless one goes on where it should have stopped, and runs phases out of order. What
the steps guard, they have to guard by themselves.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from functions.check.consistent import check_consistent
from functions.domain.checking import CheckRefused
from functions.domain.keeping import RestoreUnderWay
from functions.domain.prune.approval import NotApproved
from functions.domain.prune.approved import PlanRequest
from functions.domain.prune.lease import LeaseHeld
from functions.domain.prune.plan import Phase, PlanMismatch, manifest_file
from functions.domain.prune.validity import PruneRefused
from functions.domain.repositories import Repository
from functions.domain.restore.plan import Wishes, read_plan
from functions.domain.restore.proof import BatchResult
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import Location, RestoreRefused
from functions.domain.values import Digest, StateId, VersionId
from functions.domain.verdict import Outcome
from functions.prune.apply import AppliedBatch, ApplyRequest, PruneStopped, apply_batch
from functions.prune.ask_approval import AskRequest, ask_approval
from functions.prune.drop_states import DropStopped, drop_states
from functions.prune.lease import take_lease
from functions.prune.plan import PlannedPrune, plan_prune
from functions.prune.verify import verify_prune
from functions.restore.announce import announce
from functions.restore.copy import CopyRequest, copy_batch, read_announced
from functions.restore.end import EndRequest, end_restore
from functions.restore.plan import WrittenPlan, plan_restore
from functions.restore.settling import ObjectCopier, Rounds
from functions.restore.verify import verify_restore
from tests.fakes.ports import (
    FakePinnedReader,
    FakeRecordReader,
    FakeRecordWriter,
    FakeTargetLister,
    FakeTargetReader,
    FakeThawedReader,
    FakeVersionCopier,
)
from tests.fakes.s3_errors import S3Error
from tests.promises.truth import VALID, Applying, Plan, Truth
from tests.promises.world import PROTECTED, RECORDS, TARGET, TROUBLED, Trouble, World

STOPS = (PruneRefused, CheckRefused, LeaseHeld, RestoreUnderWay, DropStopped, PruneStopped, NotApproved, PlanMismatch)
"""By which a step says that the prune goes no further."""
TRIES = 3
"""Of a step in trouble, before the workflow gives up."""
Refusals = dict[str, Callable[[], S3Error | None]]


@dataclass(slots=True)
class Prune:
    """One execution of the prune's workflow."""

    world: World
    truth: Truth
    repository: Repository
    execution: str
    posture: Outcome = "pass"
    dry_run: bool = False
    careless: bool = False
    stage: str = "record"
    ended: str = ""
    """How, once it is over."""
    planned: PlannedPrune | None = None
    plan: Plan | None = None
    token: str = ""
    left: list[ApplyRequest] = field(default_factory=list)
    tries: int = 0

    def __post_init__(self) -> None:
        self.world.executions.ends[self.execution] = None

    @property
    def task(self) -> str:
        return f"task of {self.execution}"

    def advance(self, trouble: Trouble, refusals: Refusals | None = None, pick: int = 0) -> str:
        """Run the next step, which may be in trouble; what it came to."""
        stage = self.stage
        try:
            with self.world.in_trouble(trouble):
                getattr(self, f"_{stage}")(refusals or {}, pick)
        except TROUBLED as error:
            if not trouble.struck and not refusals:
                raise
            self.tries += 1
            if self.tries >= TRIES:
                self._stop(f"{stage}: {type(error).__name__}")
            return f"{stage}: {type(error).__name__}"
        except STOPS as error:
            said = f"{stage}: {error}"
            if self.careless and stage == "drop":
                # As if the workflow caught the wrong errors.
                self.stage = "versions"
                self.left = self.children(Phase.VERSIONS)
            else:
                self._stop(said)
            return said
        self.tries = 0
        return stage

    def abort(self) -> None:
        """Somebody stops the execution: nothing is tidied up."""
        self._end("aborted")

    def _stop(self, why: str) -> None:
        """The workflow's way out."""
        self.tries = 0
        self.left = []
        self.ended = why
        if self.stage in ("drop", "versions", "markers"):
            self.stage = "release"
        elif self.stage in ("release", "verify"):
            self._end(why)
        else:
            self._end(why)

    def _end(self, how: str) -> None:
        self.stage = "over"
        self.ended = self.ended or how
        self.world.executions.ends[self.execution] = self.truth.now

    # --- the steps -------------------------------------------------------------------------------------

    def _record(self, _: Refusals, __: int) -> None:
        self.world.scheduled(self.repository)
        self.stage = "check"

    def _check(self, _: Refusals, __: int) -> None:
        check_consistent(self.repository, "", self.execution, self.world.consistent_ports(self.repository))
        self.stage = "draw"

    def _draw(self, _: Refusals, __: int) -> None:
        ports = self.world.plan_ports(self.repository)
        self.planned = plan_prune(self.repository, self.execution, self.posture, ports, dry_run=self.dry_run)
        shelved = self.planned.shelved
        self.truth.shelve(shelved, self.execution, self.posture)
        self.plan = self.truth.plans[shelved.plan]
        if not shelved.entries or self.dry_run:
            self._end("nothing-to-do")
        elif shelved.approval == "needed":
            self.stage = "ask"
        else:
            self.stage = "lease"

    def _ask(self, _: Refusals, __: int) -> None:
        assert self.planned is not None
        if self.task in self.world.tasks.ended:
            self.stage = "wait"
            return
        token = self.world.tasks.begin(self.task)
        request = AskRequest(
            repository=self.repository.name, execution=self.execution, plan=self.planned.shelved.plan, token=token
        )
        ask_approval(request, self.world.ask_ports())
        self.stage = "wait"

    def _wait(self, _: Refusals, __: int) -> None:
        """For a person; a day is the longest."""
        assert self.plan is not None
        answer = self.world.tasks.ended.get(self.task)
        if answer is None and self.truth.now >= self.plan.drawn_at + VALID:
            self.world.tasks.time_out(self.task)
            self._end("expired")
        elif isinstance(answer, tuple):
            self._end("rejected")
        elif answer is not None or self.careless:
            self.stage = "lease"

    def _lease(self, _: Refusals, pick: int) -> None:
        token = f"token {pick} of {self.execution}"
        lease = take_lease(self.repository.repository, self.execution, token, self.world.lease_ports(), self.truth.now)
        self.token = lease.token
        self.stage = "drop"

    def _drop(self, _: Refusals, __: int) -> None:
        assert self.planned is not None
        shelved = self.planned.shelved
        request = PlanRequest(
            repository=self.repository.name,
            execution=self.execution,
            plan=shelved.plan,
            plan_version=shelved.version_id,
        )
        drop_states(self.repository, request, self.world.drop_ports(self.truth.dropping(self.plan)))
        self.stage = "versions"
        self.left = self.children(Phase.VERSIONS)
        if self.careless:
            self.left += self.children(Phase.MARKERS)

    def _versions(self, refusals: Refusals, pick: int) -> None:
        if self.left:
            index = pick % len(self.left)
            run_apply(self.world, self.truth, self.repository, self.left[index], refusals)
            del self.left[index]
        if not self.left:
            self.stage = "markers"
            self.left = self.children(Phase.MARKERS)

    def _markers(self, refusals: Refusals, pick: int) -> None:
        if self.left:
            index = pick % len(self.left)
            run_apply(self.world, self.truth, self.repository, self.left[index], refusals)
            del self.left[index]
        if not self.left:
            self.stage = "release"

    def _release(self, _: Refusals, __: int) -> None:
        self.world.lease.release(self.repository.repository, self.execution)
        self.stage = "verify"

    def _verify(self, _: Refusals, __: int) -> None:
        assert self.planned is not None
        assert self.plan is not None
        shelved = self.planned.shelved
        request = PlanRequest(
            repository=self.repository.name,
            execution=self.execution,
            plan=shelved.plan,
            plan_version=shelved.version_id,
        )
        kept = len(self.truth.kept(self.repository.repository))
        report = verify_prune(request, self.repository, self.world.verify_ports(self.repository))
        gone = {phase: sum(not self.truth.is_there(*each) for each in self.plan.entries(phase)) for phase in Phase}
        told = (report.reclaimed.objects, report.reclaimed_markers)
        if told != (gone[Phase.VERSIONS], gone[Phase.MARKERS]):
            self.truth.say(f"verify says {told} are gone, and it is {gone}")
        # One may have been recorded meanwhile.
        if report.harmed_states or not kept <= report.kept_states <= len(self.truth.kept(self.repository.repository)):
            self.truth.say(f"verify finds {report.kept_states_whole} of {report.kept_states} kept states whole")
        self._end(report.outcome)

    def children(self, phase: Phase) -> list[ApplyRequest]:
        """What the Distributed Map of `phase` would give to its children."""
        assert self.planned is not None
        if phase not in self.planned.manifests:
            return []
        name = manifest_file(self.repository.repository, self.execution, phase)
        with self.world.undisturbed():
            items = json.loads(FakeRecordReader(self.world.s3, RECORDS).get(name, self.planned.manifests[phase]))
        shelved = self.planned.shelved
        given = {
            "repository": self.repository.name,
            "execution": self.execution,
            "plan": shelved.plan,
            "plan_version": shelved.version_id,
            "phase": phase,
            "token": self.token,
        }
        return [ApplyRequest.model_validate({**given, "batch": item}) for item in items]


def run_apply(
    world: World, truth: Truth, repository: Repository, request: ApplyRequest, refusals: Refusals
) -> AppliedBatch:
    """One child, watched; and what it says of itself, compared with what is so."""
    plan = truth.plans.get(request.plan)
    applying = Applying(truth, plan, repository.repository, request.execution, request.token, request.phase)
    applied = apply_batch(request, repository, world.apply_ports(repository, refusals, applying.before, applying.after))
    if plan is not None:
        entries = plan.batches[request.batch.number][1]
        there = sum(truth.is_there(*entry) for entry in entries)
        result = applied.result
        stays = sum(each.entries for each in result.stays)
        if (result.gone.objects, stays) != (len(entries) - there, there):
            truth.say(f"a result says {result.gone.objects} gone and {stays} there, and {there} of them are")
        if result.failed and getattr(refusals, "passes", True) and not world.trouble.struck:
            truth.say(f"{result.failed} entries failed without a trouble that lasts: {result.stays}")
    return applied


@dataclass(slots=True)
class Restore:
    """One execution of the restore's workflow, into a prefix of its own."""

    world: World
    truth: Truth
    repository: Repository
    state: StateId
    execution: str
    stage: str = "plan"
    written: WrittenPlan | None = None
    left: list[CopyRequest] = field(default_factory=list)
    troubled: bool = False
    tries: int = 0
    ended: str = ""

    def __post_init__(self) -> None:
        self.world.restore_executions.ends[self.execution] = None

    @property
    def target(self) -> Location:
        return Location(bucket=TARGET, prefix=self.execution)

    def advance(self, trouble: Trouble) -> str:
        stage = self.stage
        try:
            with self.world.in_trouble(trouble):
                getattr(self, f"_{stage}")()
        except RestoreRefused as error:
            if not (self.state in self.truth.dropped or self.troubled):
                self.truth.say(f"kept state {self.state[:12]} was not restored: {error}")
            self.stage, self.ended = "end", "refused"
            return f"{stage}: refused"
        except TROUBLED as error:
            if not trouble.struck:
                raise
            self.troubled = True
            self.tries += 1
            if self.tries >= TRIES:
                self.abort()
            return f"{stage}: {type(error).__name__}"
        self.troubled = self.troubled or trouble.struck
        return stage

    def abort(self) -> None:
        """Somebody stops the execution: no last step runs, and what it announced stays."""
        self.ended = self.ended or "aborted"
        self._over()

    def _over(self) -> None:
        self.stage = "over"
        self.world.restore_executions.ends[self.execution] = self.truth.now

    def _end(self) -> None:
        request = EndRequest(repository=self.repository.name, execution=self.execution)
        end_restore(request, self.world.holds)
        self._over()

    def _plan(self) -> None:
        world, me = self.world, "plan-restore"
        header = announce(
            self.repository.repository,
            self.state,
            self.execution,
            self.truth.now,
            ledger=world.ledger,
            announcer=world.holds,
        )
        self.written = plan_restore(
            self.repository.repository,
            header.id,
            source=Location(bucket=PROTECTED, prefix=self.repository.prefix),
            target=self.target,
            ledger=world.ledger,
            lister=FakeTargetLister(world.s3, TARGET, self.target.key_prefix, me),
            reader=FakeTargetReader(world.s3, TARGET, self.target.key_prefix, me),
            pinned=FakeThawedReader(FakePinnedReader(world.s3, PROTECTED, self.repository.key_prefix, me)),
            records=FakeRecordWriter(world.s3, RECORDS, me),
            # All of the state: what was removed since, an attacker may have removed.
            wishes=Wishes(with_revoked_keys=True),
        )
        self.left = list(self._children(self.written))
        self.stage = "copy"

    def _children(self, written: WrittenPlan) -> Iterator[CopyRequest]:
        with self.world.undisturbed():
            name = f"restores/{written.plan}/manifest.json"
            items = json.loads(FakeRecordReader(self.world.s3, RECORDS).get(name, written.manifest_version))
        for item in items:
            yield CopyRequest.model_validate(
                {
                    "plan": written.plan,
                    "plan_version": written.plan_version,
                    "execution": self.execution,
                    "batch": item,
                }
            )

    def _copy(self) -> None:
        if self.left:
            self._copy_one(self.left[0])
            del self.left[0]
        if not self.left:
            self.stage = "verify"

    def _copy_one(self, request: CopyRequest) -> BatchResult:
        world, me = self.world, "copy-batch"
        plan, versions = read_announced(request, FakeRecordReader(world.s3, RECORDS, me))
        source, target = self.repository.key_prefix, self.target.key_prefix
        return copy_batch(
            plan,
            request.batch.number,
            versions,
            request.execution,
            lister=FakeTargetLister(world.s3, TARGET, target, me),
            copier=ObjectCopier(
                pinned=FakeThawedReader(FakePinnedReader(world.s3, PROTECTED, source, me)),
                reader=FakeTargetReader(world.s3, TARGET, target, me),
                copier=FakeVersionCopier(world.s3, PROTECTED, TARGET, source, target, me),
            ),
            records=FakeRecordWriter(world.s3, RECORDS, me),
            rounds=Rounds(threads=1),
        )

    def _verify(self) -> None:
        assert self.written is not None
        world, me = self.world, "verify-restore"
        stored = FakeRecordReader(world.s3, RECORDS, me)
        report = verify_restore(
            read_plan(stored, Digest(self.written.plan), VersionId(self.written.plan_version)),
            self.execution,
            self.truth.now,
            lister=FakeTargetLister(world.s3, TARGET, self.target.key_prefix, me),
            stored=stored,
            records=FakeRecordWriter(world.s3, RECORDS, me),
            reports=world.restore_reports,
        )
        self._judge(report)

    def _judge(self, report: RestoreReport) -> None:
        self.stage, self.ended = "end", report.outcome
        if report.outcome == "incomplete":
            if not self.troubled:
                self.truth.say(f"kept state {self.state[:12]} does not restore: {report.troubles[:1]}")
            return
        prefix = self.target.key_prefix
        found = {
            key.removeprefix(prefix): history[-1].body
            for key, history in self.world.s3._bucket(TARGET)._histories.items()
            if key.startswith(prefix)
        }
        if found != self.truth.states[self.state].content:
            self.truth.say(f"a restore of {self.state[:12]} ended {report.outcome} and is not the state")
        self.truth.deleted["restores"] += 1

"""A repository that lived for a while, and planning, asking and approving a prune of it, all in memory.

Each step runs as a principal of its own with the permissions of its role and no others.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.entries import PlannedEntry, decode_batch
from functions.domain.prune.plan import Phase, PrunePlan, manifest_file, read_batch, read_plan
from functions.domain.repositories import Repository
from functions.domain.state import StateHeader
from functions.domain.values import Digest, Finding
from functions.domain.verdict import CheckLevel, Outcome, conclude
from functions.prune.approve import ApprovePorts, Asked, Decided, approve
from functions.prune.ask_approval import AskPorts, AskRequest, ask_approval
from functions.prune.plan import PlannedPrune, PlanPorts, plan_prune
from tests.fakes.faults import Hook
from tests.fakes.operations import FakeNotifier, FakeVerdicts
from tests.fakes.plans import FakeApprovals, FakePlanShelf, FakeTasks, FakeTokens
from tests.fakes.ports import FakeBucketConfiguration, FakeRecordReader, FakeRecordWriter, FakeVersionLister
from tests.restore import world as backed_up
from tests.restore.world import PREFIX, PROTECTED, RECORDS, REPOSITORY, a_backup, a_pack

DAY = timedelta(days=1)
EXECUTION = "prune-monday"
APPROVER = "arn:aws:sts::123456789012:assumed-role/rwm-approver/somebody"
TOKEN = "AQB8-a-task-token"
SHORT = {"keep_within": "10d", "days": 0, "weeks": 0, "months": 0, "years": 0}
OLD_PACKS = [b"pack 0", b"pack 1"]


class World(backed_up.World):
    """One repository of one deployment, whose prune is planned."""

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.repository = Repository.model_validate(
            {
                "name": REPOSITORY,
                "bucket": PROTECTED,
                "prefix": PREFIX,
                "grace_days": "10d",
                "lock_days": 1,
                "retention": SHORT,
                "thresholds": {"prune_frees": 1.0},
                **settings,
            }
        )
        self.verdicts = FakeVerdicts()
        self.shelf = FakePlanShelf()
        self.approvals = FakeApprovals()
        self.tokens = FakeTokens()
        self.tasks = FakeTasks()
        self.notifier = FakeNotifier()
        allow = self.s3.access.allow
        seeing = ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:ListBucketVersions"]
        allow("plan-prune", seeing, PROTECTED)
        allow("plan-prune", ["s3:PutObject"], RECORDS, "prunes/")
        allow("approve", ["s3:GetBucketVersioning"], RECORDS)

    # --- a life ----------------------------------------------------------------------------------------

    def days(self, days: float) -> None:
        self.s3.clock.advance(days * DAY)

    def hide(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete(PROTECTED, f"{PREFIX}/{key}")

    def judge(
        self,
        header: StateHeader,
        *findings: Finding,
        by: str = "record",
        level: CheckLevel = CheckLevel.CONSISTENT,
        target: str | None = None,
    ) -> None:
        now = self.s3.clock.second()
        self.verdicts.append(conclude(header, level, findings, [], judged_at=now, by=by, target=target))

    def checked(self, *findings: Finding, by: str = "record") -> StateHeader:
        """Record a state, and let it be judged."""
        header = self.record()
        self.judge(header, *findings, by=by)
        return header

    def live(self) -> list[StateHeader]:
        """A backup, of which restic hid two packs that are past grace now; all states but the last of ten days may be
        dropped, and only the first one names these packs."""
        self.back_up(a_backup(packs=8))
        first = self.checked()
        self.days(1)
        self.hide(*map(a_pack, OLD_PACKS))
        states = [first, self.checked()]
        for _ in range(6):
            self.days(4)
            states.append(self.checked())
        return states

    def fresh(self, *findings: Finding, execution: str = EXECUTION) -> StateHeader:
        """What record and check do at the beginning of the prune."""
        self.days(1)
        return self.checked(*findings, by=execution)

    # --- the steps -------------------------------------------------------------------------------------

    def plan_ports(self) -> PlanPorts:
        me = "plan-prune"
        return PlanPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED, me),
            lister=FakeVersionLister(self.s3, PROTECTED, f"{PREFIX}/", me),
            ledger=self.ledger,
            verdicts=self.verdicts,
            holds=self.holds,
            approvals=self.approvals,
            records=FakeRecordWriter(self.s3, RECORDS, me),
            shelf=self.shelf,
        )

    def plan_prune(
        self, execution: str = EXECUTION, *, posture: Outcome = "pass", dry_run: bool = False
    ) -> PlannedPrune:
        return plan_prune(self.repository, execution, posture, self.plan_ports(), dry_run=dry_run)

    def ask(self, plan: Digest, token: str = TOKEN, execution: str = EXECUTION) -> bool:
        request = AskRequest(repository=REPOSITORY, execution=execution, plan=plan, token=SecretStr(token))
        ports = AskPorts(self.shelf, self.approvals, self.tokens, self.tasks, self.notifier)
        return ask_approval(request, ports)

    def decide(self, plan: str, decision: Any = "approve", by: str = APPROVER) -> Decided:
        asked = Asked(repository=REPOSITORY, plan=Digest(plan), decision=decision, by=by)
        return approve(REPOSITORY, asked, self.approve_ports())

    def approve_ports(self) -> ApprovePorts:
        clock = FakeBucketConfiguration(self.s3, RECORDS, "approve")
        return ApprovePorts(self.shelf, self.approvals, self.tokens, self.tasks, clock)

    # --- looking ---------------------------------------------------------------------------------------

    def stored(self, planned: PlannedPrune) -> PrunePlan:
        shelved = planned.shelved
        return read_plan(FakeRecordReader(self.s3, RECORDS), shelved.file, shelved.version_id, shelved.plan)

    def entries(self, planned: PlannedPrune, phase: Phase = Phase.VERSIONS) -> list[PlannedEntry]:
        """What the children of the Distributed Map would be given, each batch proven by the plan."""
        if phase not in planned.manifests:
            return []
        reader, plan = FakeRecordReader(self.s3, RECORDS), self.stored(planned)
        name = manifest_file(REPOSITORY, planned.shelved.execution, phase)
        found: list[PlannedEntry] = []
        for item in json.loads(reader.get(name, planned.manifests[phase])):
            assert plan.batches[item["number"]].phase is phase
            assert plan.batches[item["number"]].digest == item["digest"]
            entries = read_batch(reader, plan, item["number"], item["version_id"])
            assert entries == decode_batch(reader.get(item["batch"], item["version_id"]))
            found += entries
        return found

    def goes_as_written(self, shelved: ShelvedPlan) -> dict[Phase, set[str]]:
        """What the newest files of a plan on the shelf say that goes."""
        reader = FakeRecordReader(self.s3, RECORDS)
        plan = read_plan(reader, shelved.file, shelved.version_id, shelved.plan)
        found: dict[Phase, set[str]] = {}
        for phase in Phase:
            items = json.loads(reader.get(manifest_file(REPOSITORY, shelved.execution, phase)))
            batches = [read_batch(reader, plan, item["number"], item["version_id"]) for item in items]
            found[phase] = {entry.key for batch in batches for entry in batch}
        return found

    def goes(self, planned: PlannedPrune, phase: Phase = Phase.VERSIONS) -> set[str]:
        return {entry.key for entry in self.entries(planned, phase)}

    @property
    def now(self) -> datetime:
        return self.s3.clock.second()

    def shelved(self) -> list[ShelvedPlan]:
        return [ShelvedPlan.parse(stored) for stored in self.shelf.stored.values()]

    def watch(self, hook: Hook) -> None:
        """Let `hook` see every call to S3, to every table, and to Step Functions."""
        super().watch(hook)
        for fake in (self.verdicts, self.holds, self.shelf, self.approvals, self.tokens, self.tasks, self.notifier):
            fake.hook = hook

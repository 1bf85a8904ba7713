"""A planned prune whose lease is taken, and dropping its states, in memory."""

from datetime import datetime

from functions.domain.keeping import Hold
from functions.domain.prune.approved import PlanRequest
from functions.domain.prune.lease import Lease
from functions.domain.state import StateHeader
from functions.domain.values import StateId
from functions.prune.drop_states import DropPorts, Marked, drop_states
from functions.prune.plan import PlannedPrune
from tests.fakes.faults import Hook
from tests.fakes.holds import FakeExecutions, FakeLease
from tests.fakes.ledger import FakeStateDropper
from tests.fakes.ports import FakeBucketConfiguration, FakeRecordReader
from tests.prune import plan_world
from tests.prune.plan_world import EXECUTION
from tests.restore.world import RECORDS, REPOSITORY

MINUTE = 60


class World(plan_world.World):
    """One repository, whose prune goes on after its plan."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        self.lease = FakeLease()
        self.executions = FakeExecutions()
        self.dropper = FakeStateDropper(self.ledger, self.holds, self.lease)
        allow = self.s3.access.allow
        allow("drop-states", ["s3:GetBucketVersioning"], RECORDS)
        allow("drop-states", ["s3:GetObject", "s3:GetObjectVersion"], RECORDS, "prunes/")

    def take_lease(self, execution: str = EXECUTION) -> None:
        self.lease.leases[REPOSITORY] = Lease(f"token of {execution}", execution, self.now)

    def planned(self) -> PlannedPrune:
        """A life, a plan that drops states of it, and the lease."""
        self.live()
        self.fresh()
        planned = self.plan_prune()
        assert planned.shelved.drops > 0
        self.take_lease()
        self.s3.clock.advance(MINUTE)
        return planned

    def request(self, planned: PlannedPrune, **changes: object) -> PlanRequest:
        shelved = planned.shelved
        asked = {
            "repository": REPOSITORY,
            "execution": shelved.execution,
            "plan": shelved.plan,
            "plan_version": shelved.version_id,
        }
        return PlanRequest.model_validate({**asked, **changes})

    def drop_ports(self) -> DropPorts:
        me = "drop-states"
        return DropPorts(
            now=FakeBucketConfiguration(self.s3, RECORDS, me).now,
            ledger=self.ledger,
            dropper=self.dropper,
            verdicts=self.verdicts,
            shelf=self.shelf,
            approvals=self.approvals,
            lease=self.lease,
            holds=self.holds,
            stored=FakeRecordReader(self.s3, RECORDS, me),
        )

    def drop(self, planned: PlannedPrune, **changes: object) -> Marked:
        return drop_states(self.repository, self.request(planned, **changes), self.drop_ports())

    def hold(self, header: StateHeader, at: datetime | None = None) -> None:
        said = Hold(header.id, "arn:somebody", at or self.now, "evidence")
        self.holds.hold(REPOSITORY, header.generation, said)

    def dropped(self) -> set[StateId]:
        return {mark.state for mark in self.ledger.marks.values()}

    def watch(self, hook: Hook) -> None:
        super().watch(hook)
        for fake in (self.lease, self.executions, self.dropper):
            fake.hook = hook

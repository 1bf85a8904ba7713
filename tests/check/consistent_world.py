"""A recorded repository, and the check of its states; everything of it in memory."""

from dataclasses import dataclass

from functions.check.consistent import ConsistentPorts, check_consistent
from functions.domain.checking import VerdictPorts
from functions.domain.content.known import Memory
from functions.domain.values import Severity
from functions.domain.verdict import Judged
from tests.fakes.ports import FakeBucketConfiguration, FakeVersionLister
from tests.record.world import BUCKET, World


@dataclass(frozen=True)
class Check:
    """The check over a world that record made."""

    world: World

    @property
    def ports(self) -> ConsistentPorts:
        world = self.world
        return ConsistentPorts(
            bucket=FakeBucketConfiguration(world.s3, BUCKET),
            lister=FakeVersionLister(world.s3, BUCKET, world.repository.key_prefix),
            ledger=world.ledger,
            memory=Memory(world.sets, world.ledger),
            approvals=world.approvals,
            verdict=VerdictPorts(world.verdicts, world.acknowledgements, world.notifier, world.verdicts),
        )

    def run(self, state: str = "") -> Judged:
        self.world.clock.advance(1)
        return check_consistent(self.world.repository, state, "execution", self.ports)

    def found(self, state: str = "") -> set[str]:
        """The ids of what it finds, beside notes."""
        return {finding.id for finding in self.run(state).findings if finding.severity is not Severity.NOTE}

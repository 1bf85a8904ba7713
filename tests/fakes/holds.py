"""Holds, the prune lease, and what Step Functions says of executions, in memory, with the fakes' fault hook."""

from dataclasses import dataclass, replace
from datetime import datetime

from functions.domain.keeping import Held, Hold, Restoring
from functions.domain.ports import LeaseTaken, StateDropped, UnknownExecution
from functions.domain.prune.lease import Lease
from functions.domain.values import RepositoryName, StateId, whole_second
from tests.builders import NOON
from tests.fakes.ledger import FakeLedger, FakeTable


@dataclass(frozen=True, slots=True)
class Released:
    """What is kept of a hold that was taken away."""

    hold: Hold
    by: str
    at: datetime


class FakeHolds(FakeTable):
    """HoldLog, RestoreAnnouncer, RestoreEnder and AnnouncedRestores, over the ledger whose states are held."""

    def __init__(self, ledger: FakeLedger) -> None:
        super().__init__()
        self._ledger = ledger
        self.holds: dict[tuple[RepositoryName, StateId], Hold] = {}
        self.released: list[Released] = []
        self.restores: dict[tuple[RepositoryName, str], Restoring] = {}
        """Those under way, by their executions."""

    def of(self, repository: RepositoryName) -> Held:
        with self._operation("QueryHolds", repository):
            states = frozenset(state for name, state in self.holds if name == repository)
        with self._operation("QueryRestores", repository):
            return Held(states, self.restoring(repository))

    def restoring(self, repository: RepositoryName) -> frozenset[str]:
        """Executions of restores that are under way; no operation."""
        return frozenset(execution for name, execution in self.restores if name == repository)

    def begin_restore(self, repository: RepositoryName, execution: str = "restore-1") -> None:
        """A restore is under way; no operation."""
        self.restores[repository, execution] = Restoring(execution, StateId("f" * 64), NOON)

    def announce(self, repository: RepositoryName, generation: int, restoring: Restoring) -> None:
        with self._operation("Announce", f"{repository}/{restoring.execution}"):
            if (repository, generation) in self._ledger.marks:
                raise StateDropped(f"state {restoring.state} was dropped by a prune; no restore was announced")
            said = replace(restoring, since=whole_second(restoring.since))
            self.restores.setdefault((repository, restoring.execution), said)

    def end(self, repository: RepositoryName, execution: str) -> None:
        with self._operation("EndRestore", f"{repository}/{execution}"):
            self.restores.pop((repository, execution), None)

    def under_way(self, repository: RepositoryName) -> tuple[Restoring, ...]:
        with self._operation("QueryAnnounced", repository):
            found = [restoring for (name, _), restoring in self.restores.items() if name == repository]
        return tuple(sorted(found, key=lambda each: (each.since, each.execution)))

    def forget(self, repository: RepositoryName, restoring: Restoring) -> None:
        with self._operation("ForgetRestore", f"{repository}/{restoring.execution}"):
            if self.restores.get((repository, restoring.execution)) == restoring:
                del self.restores[repository, restoring.execution]

    def held(self, repository: RepositoryName) -> tuple[Hold, ...]:
        with self._operation("QueryHolds", repository):
            found = [hold for (name, _), hold in self.holds.items() if name == repository]
        return tuple(sorted(found, key=lambda hold: (hold.at, hold.state)))

    def hold(self, repository: RepositoryName, generation: int, hold: Hold) -> Hold:
        with self._operation("Hold", f"{repository}/{hold.state}"):
            if (repository, generation) in self._ledger.marks:
                raise StateDropped(f"state {hold.state} was dropped by a prune; nothing was held")
            return self.holds.setdefault((repository, hold.state), replace(hold, at=whole_second(hold.at)))

    def release(self, repository: RepositoryName, state: StateId, by: str, at: datetime) -> Hold | None:
        with self._operation("Release", f"{repository}/{state}"):
            hold = self.holds.pop((repository, state), None)
            if hold is not None:
                self.released.append(Released(hold, by, whole_second(at)))
            return hold


class FakeLease(FakeTable):
    """PruneLease."""

    def __init__(self) -> None:
        super().__init__()
        self.leases: dict[RepositoryName, Lease] = {}

    def current(self, repository: RepositoryName) -> Lease | None:
        lease = self.last(repository)
        return lease if lease is not None and not lease.released else None

    def last(self, repository: RepositoryName) -> Lease | None:
        with self._operation("QueryLease", repository):
            return self.leases.get(repository)

    def take(self, repository: RepositoryName, lease: Lease, over: Lease | None) -> None:
        with self._operation("TakeLease", f"{repository}/{lease.execution}"):
            if self.leases.get(repository) != over:
                raise LeaseTaken(f"the prune lease of {repository} changed hands; nothing was written")
            self.leases[repository] = replace(lease, taken_at=whole_second(lease.taken_at))

    def release(self, repository: RepositoryName, execution: str) -> bool:
        with self._operation("ReleaseLease", f"{repository}/{execution}"):
            lease = self.leases.get(repository)
            if lease is None or lease.execution != execution:
                return False
            self.leases[repository] = replace(lease, released=True)
            return True


class FakeExecutions(FakeTable):
    """ExecutionStatus: None in `ends` is an execution that runs; what is not there, Step Functions does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[str, datetime | None] = {}

    def ended(self, execution: str) -> datetime | None:
        with self._operation("DescribeExecution", execution):
            if execution not in self.ends:
                raise UnknownExecution(f"Step Functions knows no execution {execution}")
            return self.ends[execution]

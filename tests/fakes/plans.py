"""Prune plans, approvals, task tokens, and workflows that wait, in memory with the fakes' fault hook.

Documents are held as the bytes that would be stored, so what does not survive its own encoding fails here too.
"""

from collections.abc import Mapping

from pydantic import SecretStr

from functions.domain.ports import NobodyWaits
from functions.domain.prune.approval import Approval, ShelvedPlan
from functions.domain.values import Digest, RepositoryName
from tests.fakes.ledger import ITEM_BYTES, FakeTable

Place = tuple[RepositoryName, Digest]


class FakePlanShelf(FakeTable):
    """PlanShelf and PlanReader."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[Place, bytes] = {}

    def put(self, shelved: ShelvedPlan) -> None:
        with self._operation("PutPlan", shelved.repository):
            assert len(shelved.canonical()) < ITEM_BYTES
            self.stored.setdefault((shelved.repository, shelved.plan), shelved.canonical())

    def find(self, repository: RepositoryName, plan: Digest) -> ShelvedPlan | None:
        with self._operation("QueryPlan", repository):
            stored = self.stored.get((repository, plan))
        return ShelvedPlan.parse(stored) if stored is not None else None

    def plans(self, repository: RepositoryName) -> tuple[ShelvedPlan, ...]:
        with self._operation("QueryPlans", repository):
            found = [ShelvedPlan.parse(stored) for (name, _), stored in self.stored.items() if name == repository]
        return tuple(sorted(found, key=lambda each: (each.drawn_at, each.plan), reverse=True))


class FakeApprovals(FakeTable):
    """ApprovalLog."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[Place, bytes] = {}

    def decided(self, repository: RepositoryName, plan: Digest) -> Approval | None:
        with self._operation("QueryApproval", repository):
            stored = self.stored.get((repository, plan))
        return Approval.parse(stored) if stored is not None else None

    def approvals(self, repository: RepositoryName) -> tuple[Approval, ...]:
        with self._operation("QueryApprovals", repository):
            found = [Approval.parse(stored) for (name, _), stored in self.stored.items() if name == repository]
        return tuple(sorted(found, key=lambda each: (each.at, each.plan), reverse=True))

    def decide(self, approval: Approval) -> Approval:
        with self._operation("PutApproval", approval.repository):
            place = (approval.repository, approval.plan)
            return Approval.parse(self.stored.setdefault(place, approval.canonical()))


class FakeTokens(FakeTable):
    """TaskTokenLog and TaskTokenReader."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[Place, SecretStr] = {}

    def keep(self, repository: RepositoryName, plan: Digest, token: SecretStr) -> None:
        with self._operation("PutToken", repository):
            self.kept[repository, plan] = token

    def token(self, repository: RepositoryName, plan: Digest) -> SecretStr | None:
        with self._operation("QueryToken", repository):
            return self.kept.get((repository, plan))


class FakeTasks(FakeTable):
    """TaskTokens over tasks that wait, each of which ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: set[str] = set()
        self.ended: dict[str, Mapping[str, bool] | tuple[str, str]] = {}
        """By token: its output, or (error, cause)."""

    def begin(self, token: str) -> SecretStr:
        """A workflow waits from now on."""
        self.waiting.add(token)
        return SecretStr(token)

    def time_out(self, token: str) -> None:
        self.waiting.discard(token)

    def succeed(self, token: SecretStr, output: Mapping[str, bool]) -> None:
        with self._operation("SendTaskSuccess", ""):
            self._end(token, output)

    def fail(self, token: SecretStr, error: str, cause: str) -> None:
        with self._operation("SendTaskFailure", ""):
            self._end(token, (error, cause))

    def _end(self, token: SecretStr, how: Mapping[str, bool] | tuple[str, str]) -> None:
        name = token.get_secret_value()
        if name not in self.waiting:
            raise NobodyWaits("no workflow waits any more; nobody was woken")
        self.waiting.discard(name)
        self.ended[name] = how

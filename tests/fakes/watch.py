"""What only the watch asks, in memory with the fakes' fault hook."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from functions.domain.ports import NotAnswered
from functions.domain.values import RepositoryName
from functions.domain.watch.decide import WatchReport
from functions.domain.watch.facts import PostureFinding, Prune
from tests.fakes.ledger import ITEM_BYTES, FakeTable


class FakeAwsClock(FakeTable):
    """AwsClock: it stands still until a test moves it."""

    def __init__(self, start: datetime) -> None:
        super().__init__()
        self.at = start

    def now(self) -> datetime:
        with self._operation("AskClock", "watch"):
            return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


class FakeNewestPosture(FakeTable):
    """NewestPosture."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[RepositoryName, tuple[PostureFinding, ...]] = {}

    def findings(self, repository: RepositoryName) -> tuple[PostureFinding, ...] | None:
        with self._operation("QueryPosture", repository):
            return self.found.get(repository)


class FakePruneExecutions(FakeTable):
    """PruneExecutions."""

    def __init__(self) -> None:
        super().__init__()
        self.executions: dict[RepositoryName, tuple[Prune, ...]] = {}
        self.denied = False

    def recent(self) -> Mapping[RepositoryName, tuple[Prune, ...]]:
        with self._operation("ListExecutions", "prune"):
            if self.denied:
                raise NotAnswered("Step Functions did not tell of the prunes (AccessDenied)")
            return dict(self.executions)


class FakeDeadLetters(FakeTable):
    """DeadLetters."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = 0

    def waiting(self) -> int:
        with self._operation("GetQueueAttributes", "dead-letters"):
            return self.messages


class FakeWatchLog(FakeTable):
    """WatchLog; reports as the bytes that would be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[RepositoryName, bytes] = {}

    def newest(self, repository: RepositoryName) -> WatchReport | None:
        with self._operation("QueryWatchReport", repository):
            stored = self.stored.get(repository)
        return WatchReport.parse(stored) if stored is not None else None

    def keep(self, report: WatchReport) -> None:
        with self._operation("PutWatchReport", report.repository):
            assert len(report.canonical()) < ITEM_BYTES
            self.stored[report.repository] = report.canonical()

"""Reports of drills and of restores in memory, with the fakes' fault hook."""

from functions.domain.restore.drill import DrillReport
from functions.domain.restore.report import RestoreReport
from functions.domain.values import RepositoryName
from tests.fakes.ledger import FakeTable


class FakeDrills(FakeTable):
    """DrillReportLog and DrillReportReader; reports as the bytes that would be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[tuple[RepositoryName, str], bytes] = {}

    def append(self, report: DrillReport) -> None:
        with self._operation("PutDrillReport", report.execution):
            self.stored.setdefault((report.repository, report.execution), report.canonical())

    def reports(self, repository: RepositoryName) -> list[DrillReport]:
        """The newest first."""
        found = [DrillReport.parse(each) for (name, _), each in self.stored.items() if name == repository]
        return sorted(found, key=lambda each: (each.ended_at, each.execution), reverse=True)

    def newest(self, repository: RepositoryName) -> DrillReport | None:
        with self._operation("QueryDrillReports", repository):
            return next(iter(self.reports(repository)), None)

    def last_restored(self, repository: RepositoryName) -> DrillReport | None:
        with self._operation("QueryDrillReports", repository):
            return next((each for each in self.reports(repository) if each.outcome == "restored"), None)


class FakeRestoreReports(FakeTable):
    """RestoreReports."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[tuple[RepositoryName, str], RestoreReport] = {}

    def of(self, repository: RepositoryName, execution: str) -> RestoreReport | None:
        with self._operation("QueryRestoreReport", execution):
            return self.stored.get((repository, execution))

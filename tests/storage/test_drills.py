"""Reports of drills in DynamoDB: written once, in partitions of their own, the newest first, and read as they prove."""

import pytest

from functions.domain.documents import UnreadableDocument
from functions.domain.values import RepositoryName
from functions.storage.drills import DynamoDrillReports
from functions.storage.operations import DynamoReportLog
from functions.storage.restores import DynamoRestoreReports
from tests.builders import at
from tests.domain.judging import ALPHA
from tests.drill.reports import report, restored
from tests.fakes.drills import FakeDrills
from tests.storage.test_holds import Tables, tables

__all__ = ["tables"]


@pytest.fixture
def drills(tables: Tables) -> DynamoDrillReports:
    return DynamoDrillReports(tables.client, "operations")


@pytest.fixture(params=["in memory", "DynamoDB"])
def either(request: pytest.FixtureRequest, drills: DynamoDrillReports) -> FakeDrills | DynamoDrillReports:
    """What other tests take for it keeps the same promises."""
    return FakeDrills() if request.param == "in memory" else drills


def _items(tables: Tables) -> list[tuple[str, str]]:
    return [(item["pk"]["S"], item["sk"]["S"]) for item in tables.items() if item["pk"]["S"].startswith("drill#")]


def test_a_report_lies_in_a_partition_of_drills_by_the_time_of_its_end(
    tables: Tables, drills: DynamoDrillReports
) -> None:
    drills.append(report())
    assert _items(tables) == [("drill#alpha", "2026-11-21T12:01:40Z#drill-1")]


def test_reports_come_newest_first_and_the_last_that_succeeded_is_found_among_them(
    either: FakeDrills | DynamoDrillReports,
) -> None:
    old, good, failed = (
        each.model_copy(update={"execution": f"drill-{number}"})
        for number, each in enumerate((report(100), report(200), report(300, chosen=None, restored=None)))
    )
    for each in (good, failed, old):
        either.append(each)
    assert list(either.reports(ALPHA)) == [failed, good, old]
    assert either.last_restored(ALPHA) == good
    other = RepositoryName("beta")
    assert (list(either.reports(other)), either.last_restored(other)) == ([], None)


def test_one_drill_is_found_by_its_execution(drills: DynamoDrillReports) -> None:
    for number in range(3):
        drills.append(report(100 + number).model_copy(update={"execution": f"drill-{number}"}))
    found = drills.find(ALPHA, "drill-1")
    assert found is not None
    assert found.ended_at == at(101)
    assert drills.find(ALPHA, "drill-9") is None


def test_a_drill_that_is_concluded_twice_has_one_report_the_first(either: FakeDrills | DynamoDrillReports) -> None:
    for ended in (100, 100, 200):
        either.append(report(ended))
    assert [each.ended_at for each in either.reports(ALPHA)] == [at(100)]


def test_of_two_who_conclude_at_once_one_writes(tables: Tables, drills: DynamoDrillReports) -> None:
    tables.just_before("PutItem", lambda: drills.append(report()))
    drills.append(report())
    assert len(_items(tables)) == 1


def test_a_report_in_another_s_place_is_not_read(tables: Tables, drills: DynamoDrillReports) -> None:
    document = {"document": {"B": report().canonical()}}
    for pk, sk in (("drill#beta", "2026-11-21T12:01:40Z#drill-1"), ("drill#alpha", "2099-01-01T00:00:00Z#drill-1")):
        tables.client.put_item(TableName="operations", Item={"pk": {"S": pk}, "sk": {"S": sk}, **document})
        with pytest.raises(UnreadableDocument, match="where it does not belong"):
            drills.last_restored(RepositoryName(pk.removeprefix("drill#")))


def test_the_report_of_one_restore_is_found_by_its_execution(tables: Tables) -> None:
    reports = DynamoRestoreReports(tables.client, "operations")
    log = DynamoReportLog(tables.client, "operations")
    log.append(ALPHA, "drill-1", restored().canonical())
    assert reports.of(ALPHA, "drill-1") == restored()
    assert reports.of(ALPHA, "drill") is None
    assert reports.of(RepositoryName("beta"), "drill-1") is None
    log.append(ALPHA, "drill-2", restored().canonical())
    with pytest.raises(UnreadableDocument, match="where it does not belong"):
        reports.of(ALPHA, "drill-2")

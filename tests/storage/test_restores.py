"""What restores announce, in DynamoDB: what excludes what, who takes away what, and that each read is fresh."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.keeping import Held, Restoring
from functions.domain.ports import StateDropped
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import Location
from functions.domain.values import Digest, StateId
from functions.storage.operations import DynamoReportLog
from functions.storage.restores import (
    DynamoAnnouncedRestores,
    DynamoRestoreAnnouncer,
    DynamoRestoreEnder,
    DynamoRestoreReports,
)
from functions.storage.transactions import Cancelled
from tests.builders import at, sha256
from tests.storage.test_holds import ALPHA, BETA, HEAD, ONE, TWO, Tables, mark, tables

__all__ = ["tables"]

WEDNESDAY = Restoring("wednesday", ONE, at(10))
THURSDAY = Restoring("thursday", TWO, at(20))
PLACE = ("restoring#alpha", "wednesday")


@pytest.fixture
def restores(tables: Tables) -> "Restores":
    return Restores(tables)


class Restores:
    """The ports over the tables."""

    def __init__(self, tables: Tables) -> None:
        client = tables.client
        self.announcer = DynamoRestoreAnnouncer(client, "operations", "ledger", pause=lambda _: None)
        self.ender = DynamoRestoreEnder(client, "operations")
        self.announced = DynamoAnnouncedRestores(client, "operations")
        self.log = DynamoReportLog(client, "operations")
        self.reports = DynamoRestoreReports(client, "operations")


def test_a_restore_that_is_announced_stops_prunes_until_it_is_taken_back(tables: Tables, restores: Restores) -> None:
    restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    assert tables.holds.of(ALPHA) == Held(restores=frozenset({"wednesday"}))
    assert tables.holds.of(BETA) == Held()
    assert restores.announced.under_way(ALPHA) == (WEDNESDAY,)
    restores.ender.end(ALPHA, "wednesday")
    assert (tables.holds.of(ALPHA), restores.announced.under_way(ALPHA)) == (Held(), ())


def test_it_says_which_state_and_since_when_in_a_partition_of_its_own(tables: Tables, restores: Restores) -> None:
    restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    (item,) = [item for item in tables.items() if item["pk"]["S"] != "prune-lease#alpha"]
    assert item == {
        "pk": {"S": "restoring#alpha"},
        "sk": {"S": "wednesday"},
        "format": {"N": "1"},
        "state": {"S": ONE},
        "at": {"S": "2026-11-21T12:00:10Z"},
    }


def test_said_again_by_the_same_execution_nothing_changes(tables: Tables, restores: Restores) -> None:
    restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    before = tables.items()
    restores.announcer.announce(ALPHA, 2, replace(WEDNESDAY, state=TWO, since=at(99)))
    assert tables.items() == before


def test_no_restore_of_a_dropped_state_is_announced(tables: Tables, restores: Restores) -> None:
    tables.dropper.drop(HEAD, [mark()])
    with pytest.raises(StateDropped, match=f"state {ONE} was dropped by a prune; no restore was announced"):
        restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    assert restores.announced.under_way(ALPHA) == ()


def test_of_an_announcement_and_a_drop_at_once_the_first_counts(tables: Tables, restores: Restores) -> None:
    tables.just_before("TransactWriteItems", lambda: tables.dropper.drop(HEAD, [mark()]))
    with pytest.raises(StateDropped):
        restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    assert restores.announced.under_way(ALPHA) == ()


def test_a_state_that_was_dropped_since_it_was_announced_is_not_announced_again(
    tables: Tables, restores: Restores
) -> None:
    restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    tables.dropper.drop(HEAD, [mark()])
    with pytest.raises(StateDropped):
        restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    # What was said still holds: the prune that dropped it deletes nothing while it stands.
    assert restores.announced.under_way(ALPHA) == (WEDNESDAY,)


def test_another_state_s_mark_is_not_in_the_way(tables: Tables, restores: Restores) -> None:
    tables.dropper.drop(HEAD, [mark(TWO, 2)])
    restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    assert restores.announced.under_way(ALPHA) == (WEDNESDAY,)


def test_a_transaction_that_others_are_in_the_way_of_is_no_announcement(
    tables: Tables, restores: Restores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def transact_write_items(**_: Any) -> Any:
        answer: Any = {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
        }
        raise tables.client.exceptions.TransactionCanceledException(answer, "TransactWriteItems")

    monkeypatch.setattr(tables.client, "transact_write_items", transact_write_items)
    with pytest.raises(Cancelled, match="TransactionConflict"):
        restores.announcer.announce(ALPHA, 1, WEDNESDAY)


def test_ending_one_restore_leaves_the_others(restores: Restores) -> None:
    for restoring in (THURSDAY, WEDNESDAY):
        restores.announcer.announce(ALPHA, 1, restoring)
    restores.announcer.announce(BETA, 1, WEDNESDAY)
    assert restores.announced.under_way(ALPHA) == (WEDNESDAY, THURSDAY)
    restores.ender.end(ALPHA, "wednesday")
    restores.ender.end(ALPHA, "wednesday")
    restores.ender.end(ALPHA, "friday")
    assert restores.announced.under_way(ALPHA) == (THURSDAY,)
    assert restores.announced.under_way(BETA) == (WEDNESDAY,)


@pytest.mark.parametrize(
    "read", [replace(WEDNESDAY, state=TWO), replace(WEDNESDAY, since=at(11))], ids=["another state", "another time"]
)
def test_only_what_is_as_it_was_read_is_forgotten(restores: Restores, read: Restoring) -> None:
    restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    restores.announced.forget(ALPHA, read)
    restores.announced.forget(ALPHA, THURSDAY)
    assert restores.announced.under_way(ALPHA) == (WEDNESDAY,)
    restores.announced.forget(ALPHA, WEDNESDAY)
    assert restores.announced.under_way(ALPHA) == ()


def test_whoever_cannot_forget_is_told(tables: Tables, restores: Restores) -> None:
    tables.client.delete_table(TableName="operations")
    with pytest.raises(ClientError):
        restores.announced.forget(ALPHA, WEDNESDAY)


def test_an_announcement_that_nobody_can_read_stops_prunes_and_is_not_taken_for_another(
    tables: Tables, restores: Restores
) -> None:
    tables.put("operations", *PLACE, format={"N": "2"})
    assert tables.holds.of(ALPHA).restores == {"wednesday"}
    with pytest.raises(UnreadableDocument, match=r"what restore wednesday announced has format .* nothing was decided"):
        restores.announced.under_way(ALPHA)


def a_report(execution: str, seconds: float | None) -> RestoreReport:
    return RestoreReport(
        plan=Digest(sha256("plan")),
        execution=execution,
        verified_at=None if seconds is None else at(seconds),
        repository=ALPHA,
        state=StateId(ONE),
        source=Location(bucket="alpha-bucket"),
        target=Location(bucket="rwm-restore-1"),
        outcome="restored",
        **dict.fromkeys(
            (
                *("objects", "bytes", "proven", "copied", "copied_bytes", "skipped"),
                *("unproven", "missing", "damaged", "failed", "unexpected"),
            ),
            0,
        ),
        content_root=Digest(sha256("root")),
        found_content_root=Digest(sha256("root")),
        troubles=(),
    )


def test_reports_are_read_the_newest_first_and_those_without_a_time_last(restores: Restores) -> None:
    told = [a_report("b", 60), a_report("old", None), a_report("a", 120)]
    for report in told:
        restores.log.append(ALPHA, report.execution, report.canonical())
    assert restores.reports.reports(ALPHA) == (told[2], told[0], told[1])
    assert restores.reports.reports(BETA) == ()


def test_a_report_that_was_moved_is_not_believed(restores: Restores) -> None:
    restores.log.append(BETA, "a", a_report("a", 60).canonical())
    with pytest.raises(UnreadableDocument, match="a report of a where it does not belong"):
        restores.reports.reports(BETA)


def test_every_read_is_strongly_consistent(tables: Tables, restores: Restores) -> None:
    read: list[tuple[str, object]] = []

    def see(params: dict[str, Any], model: Any, **_: Any) -> None:
        read.append((model.name, params.get("ConsistentRead")))

    for operation in ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"):
        tables.client.meta.events.register(f"provide-client-params.dynamodb.{operation}", see)
    restores.announcer.announce(ALPHA, 1, WEDNESDAY)
    restores.announced.under_way(ALPHA)
    restores.announced.forget(ALPHA, WEDNESDAY)
    restores.reports.reports(ALPHA)
    assert set(read) == {("Query", True)}

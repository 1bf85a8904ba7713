"""apply-prune and verify-prune as Lambda calls them: real clients against the strict S3 and moto's tables, with the
workflow's payloads."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.prune.plan import Phase, result_file
from functions.domain.prune.report import report_file
from functions.domain.prune.validity import PruneRefused
from functions.domain.repositories import Configuration
from functions.domain.state import Head
from functions.domain.values import AttemptId, RepositoryName
from functions.domain.verdict import Judged
from functions.prune import apply, verify
from functions.prune.apply import PruneStopped
from functions.storage.holds import DynamoPruneLease
from functions.storage.ledger import DynamoRecordingLedger, DynamoStateDropper
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.prunes import DynamoPruneReports
from functions.storage.verdicts import DynamoVerdictLog
from tests.fakes.s3_server import S3Server
from tests.prune.apply_world import OLD, Planned, World, lived
from tests.restore.world import PROTECTED, RECORDS, REPOSITORY
from tests.tables import create_table

EVENT = "sunday"


class Deployed:
    """A world whose tables lie in DynamoDB, and whose S3 answers over HTTP."""

    def __init__(self, world: World, planned: Planned) -> None:
        self.world = world
        self.planned = planned
        self.dynamodb = boto3.client("dynamodb")
        for name in ("rwm-ledger", "rwm-operations"):
            create_table(self.dynamodb, name)
        self._copy_tables()

    def _copy_tables(self) -> None:
        """What the fakes hold, written by the classes that write it when deployed."""
        world, now = self.world, self.world.s3.clock.second()
        ledger = DynamoRecordingLedger(self.dynamodb, "rwm-ledger")
        parent: Head | None = None
        for place in sorted(world.ledger.stored_headers):
            header = world.ledger._header(*place)
            assert header is not None
            attempt = AttemptId(f"attempt-{header.generation}")
            ledger.begin(REPOSITORY, attempt, header.recorded_at, header.recorded_at)
            ledger.reserve(REPOSITORY, attempt, header.chunks.count)
            for number in range(header.chunks.count if header.kind != "same" else 0):
                ledger.put_chunk(attempt, number, world.ledger.chunks[attempt, number])
            ledger.commit(header, attempt, parent)
            parent = Head.of(header)
        verdicts = DynamoVerdictLog(self.dynamodb, "rwm-operations")
        for verdict in world.verdicts.verdicts(REPOSITORY):
            verdicts.append(Judged(verdict, ()))
        shelved = world.shelf.find(REPOSITORY, self.planned.plan)
        approval = world.approvals.decided(REPOSITORY, self.planned.plan)
        assert shelved is not None
        assert approval is not None
        DynamoPlanShelf(self.dynamodb, "rwm-operations").put(shelved)
        DynamoApprovals(self.dynamodb, "rwm-operations").decide(approval)
        self.lease = DynamoPruneLease(self.dynamodb, "rwm-operations")
        self.lease.take(REPOSITORY, world.lease.leases[REPOSITORY], None)
        dropper = DynamoStateDropper(self.dynamodb, "rwm-ledger", "rwm-operations")
        marks = [mark for _, mark in sorted(world.ledger.marks.items())]
        assert parent is not None
        assert all(mark.at <= now for mark in marks)
        for start in range(0, len(marks), 40):
            dropper.drop(parent, marks[start : start + 40])

    def children(self, phase: Phase) -> list[dict[str, Any]]:
        return [request.model_dump(mode="json") for request in self.world.children(self.planned, phase)]

    def verify(self) -> dict[str, Any]:
        return {
            "repository": REPOSITORY,
            "execution": self.planned.execution,
            "plan": self.planned.plan,
            "plan_version": self.planned.plan_version,
        }


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    world = lived(after=20)
    planned = world.ready()
    configuration = Configuration(repositories=(world.repository,))
    # As the server knows principals: by their access keys.
    with S3Server(world.s3) as server, mock_aws():
        for name, value in {
            "AWS_ACCESS_KEY_ID": "owner",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": server.endpoint,
            "RWM_LEDGER": "rwm-ledger",
            "RWM_OPERATIONS": "rwm-operations",
            "RWM_RECORDS": RECORDS,
            "RWM_ALERTS": "arn:aws:sns:us-east-1:123456789012:rwm-alerts",
        }.items():
            monkeypatch.setenv(name, value)
        for step in (apply, verify):
            monkeypatch.setattr(step, "read_bundled", lambda: configuration)
            step._clients.cache_clear()
        yield Deployed(world, planned)
        for step in (apply, verify):
            step._clients.cache_clear()


def invoke(step: Any, event: dict[str, Any]) -> Any:
    """As Lambda does: JSON in, JSON out."""
    context = SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:f",
        aws_request_id="1",
    )
    return json.loads(json.dumps(step.handler(json.loads(json.dumps(event)), context)))


def test_a_prune_by_its_handlers_deletes_what_was_planned_and_reports(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    world, planned = deployed.world, deployed.planned
    names = {name for phase in Phase for name in world.planned_names(planned, phase)}
    before = world.there()
    (versions,) = (invoke(apply, each) for each in deployed.children(Phase.VERSIONS))
    (markers,) = (invoke(apply, each) for each in deployed.children(Phase.MARKERS))
    assert versions == {"number": 0, "deleted": 1, "bytes": 6, "gone": 1, "waiting": 0, "failed": 0}
    assert markers == {"number": 1, "deleted": 1, "bytes": 0, "gone": 1, "waiting": 0, "failed": 0}
    assert world.there() == before - names
    assert world.missing() == set()
    answer = invoke(verify, deployed.verify())
    kept = len(world.kept())
    assert answer == {
        "outcome": "done",
        "versions": 1,
        "markers": 1,
        "bytes": 6,
        "kept_states": kept,
        "kept_states_whole": kept,
        "waiting": 0,
        "failed": 0,
        "batches": 2,
        "unfinished": 0,
        "stopped": [],
        "plan": planned.plan,
        "report": {"bucket": RECORDS, "key": report_file(REPOSITORY, EVENT)},
    }
    (report,) = DynamoPruneReports(deployed.dynamodb, "rwm-operations").reports(RepositoryName(REPOSITORY))
    assert (report.execution, report.outcome) == (EVENT, "done")
    logged = capsys.readouterr().out
    assert '"DeletedEntries"' in logged
    assert '"PrunedVersions"' in logged
    assert OLD not in logged, "no log names a key"
    assert f"token of {EVENT}" not in logged


def test_files_lie_where_the_functions_roles_may_write_them(deployed: Deployed) -> None:
    invoke(apply, deployed.children(Phase.VERSIONS)[0])
    invoke(verify, deployed.verify())
    written = {each.version.key for each in deployed.world.s3.everything(RECORDS)}
    assert {result_file(REPOSITORY, EVENT, 0), report_file(REPOSITORY, EVENT)} <= written
    assert result_file(REPOSITORY, EVENT, 0) == "prunes/beta/sunday/results/00000.json"
    assert report_file(REPOSITORY, EVENT) == "prunes/beta/sunday/report.json"


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_lease_that_was_released_stops_the_handler(deployed: Deployed) -> None:
    deployed.lease.release(REPOSITORY, EVENT)
    before = deployed.world.there()
    with pytest.raises(PruneStopped, match="does not have the lease"):
        invoke(apply, deployed.children(Phase.VERSIONS)[0])
    assert deployed.world.there() == before


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize(
    "wrong", [{"execution": "../../heads"}, {"repository": ""}, {"plan": "x"}, {"more": 1}, {"plan_version": ""}]
)
def test_a_malformed_request_is_never_carried_out(deployed: Deployed, wrong: dict[str, Any]) -> None:
    before = deployed.world.there()
    for event in deployed.children(Phase.VERSIONS):
        with pytest.raises(PruneRefused, match="nothing was deleted"):
            invoke(apply, {**event, **wrong})
    with pytest.raises(PruneRefused):
        invoke(verify, {**deployed.verify(), **wrong})
    assert deployed.world.there() == before


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_repository_that_is_not_deployed_is_not_pruned(deployed: Deployed) -> None:
    with pytest.raises(apply.UnknownRepository, match="nothing was deleted"):
        invoke(apply, {**deployed.children(Phase.VERSIONS)[0], "repository": "omega"})
    with pytest.raises(verify.UnknownRepository, match="nothing was verified"):
        invoke(verify, {**deployed.verify(), "repository": "omega"})
    assert deployed.world.repository.bucket == PROTECTED

"""The handlers as Lambda calls them: wired to DynamoDB and SNS (moto), with the workflow's payloads."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.documents import Document
from functions.domain.names import Names
from functions.domain.repositories import Configuration
from functions.domain.restore.drill import DrillRefused, NoGoodState
from functions.domain.state import StateHeader
from functions.domain.values import AttemptId
from functions.drill import choose, conclude
from functions.storage.drills import DynamoDrillReports
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.operations import DynamoReportLog
from functions.storage.verdicts import DynamoVerdictLog
from tests.domain.judging import ALPHA, header, judge
from tests.drill.reports import restored
from tests.restore.test_handlers import invoke
from tests.tables import create_table

RECORDS = Names().records_bucket("123456789012", "us-east-1")
CONFIGURATION = Configuration.model_validate({"repositories": [{"name": "alpha", "bucket": "backups"}]})
ASKED = {"repository": "alpha", "execution": "drill-1", "whole": False}


class Deployed:
    """The tables and the topic."""

    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb")
        for name in ("rwm-ledger", "rwm-operations"):
            create_table(self.dynamodb, name)
        sns, sqs = boto3.client("sns"), boto3.client("sqs")
        topic = sns.create_topic(Name="rwm-alerts")["TopicArn"]
        self._queue = sqs.create_queue(QueueName="told")["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:told")
        self._sqs = sqs

    def record(self) -> StateHeader:
        state = header()
        ledger = DynamoRecordingLedger(self.dynamodb, "rwm-ledger")
        ledger.begin(ALPHA, AttemptId("attempt"), state.cut_time, state.recorded_at)
        ledger.reserve(ALPHA, AttemptId("attempt"), 1)
        ledger.commit(state, AttemptId("attempt"), None)
        return state

    def good(self) -> StateHeader:
        state = self.record()
        DynamoVerdictLog(self.dynamodb, "rwm-operations").append(judge(state))
        return state

    def restored(self, report: Document) -> None:
        DynamoReportLog(self.dynamodb, "rwm-operations").append(ALPHA, "drill-1", report.canonical())

    def told(self) -> list[str]:
        messages = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        return [str(json.loads(each["Body"])["Subject"]) for each in messages]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "RWM_LEDGER": "rwm-ledger",
        "RWM_OPERATIONS": "rwm-operations",
        "RWM_RECORDS": RECORDS,
        "RWM_ALERTS": "arn:aws:sns:us-east-1:123456789012:rwm-alerts",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(choose, "read_bundled", lambda: CONFIGURATION)
    monkeypatch.setattr(conclude, "read_bundled", lambda: CONFIGURATION)
    with mock_aws():
        yield Deployed()
        for clients in (choose._clients, conclude._ports):
            clients.cache_clear()


def the_end(chosen: Any, failure: Any = None) -> dict[str, Any]:
    return {
        "repository": "alpha",
        "execution": "drill-1",
        "reason": "operator",
        "started_at": "2026-11-21T12:00:00.123Z",
        "chosen": chosen,
        "failure": failure,
    }


def test_a_drill_by_its_handlers_is_kept_counted_and_told_to_nobody(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    state = deployed.good()
    chosen = invoke(choose, ASKED)
    assert (chosen["state"], chosen["sample_bytes"], chosen["complete"]) == (state.id, None, False)
    where = {"bucket": "rwm-drill-123456789012-us-east-1", "prefix": "alpha/drill-1"}
    assert chosen["target"] == where
    deployed.restored(restored(target=where))
    answer = invoke(conclude, the_end(chosen))
    assert answer.pop("seconds") > 0
    assert answer == {
        "repository": "alpha",
        "state": state.id,
        "outcome": "restored",
        "level": "content",
        "why": None,
    }
    (kept,) = DynamoDrillReports(deployed.dynamodb, "rwm-operations").reports(ALPHA)
    assert (kept.state, kept.outcome) == (state.id, "restored")
    assert deployed.told() == []
    logged = capsys.readouterr().out
    assert '"DrillSeconds"' in logged
    assert '"DrillFailed":[0.0]' in logged


def test_a_drill_that_failed_is_told_by_its_handler(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.record()
    with pytest.raises(NoGoodState, match="1 never judged"):
        invoke(choose, ASKED)
    answer = invoke(conclude, the_end(None, {"Error": "NoGoodState", "Cause": '{"errorMessage": "1 never judged"}'}))
    assert (answer["outcome"], answer["why"], answer["state"]) == ("failed", "no-good-state", None)
    assert deployed.told() == ["RWM: HOLD alpha: restore drill failed: no-good-state"]
    assert '"DrillFailed":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize("step", [choose, conclude])
def test_what_nobody_deployed_and_what_makes_no_sense_is_refused(deployed: Deployed, step: Any) -> None:
    asked = ASKED if step is choose else the_end(None)
    with pytest.raises(DrillRefused, match="no repository 'gamma' is deployed; nothing was"):
        invoke(step, {**asked, "repository": "gamma"})
    with pytest.raises(DrillRefused, match="the request is malformed"):
        invoke(step, {})
    assert list(DynamoDrillReports(deployed.dynamodb, "rwm-operations").reports(ALPHA)) == []

"""The watch as Lambda calls it, wired to DynamoDB, Step Functions, SQS and SNS (moto)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from pydantic import ValidationError

from functions.domain.documents import UnreadableDocument
from functions.domain.ports import NotAnswered
from functions.domain.posture.news import mark
from functions.domain.repositories import Configuration
from functions.domain.values import Finding, RepositoryName, Severity
from functions.domain.watch.decide import WatchReport
from functions.storage.operations import DynamoCheckFindingLog, DynamoPostureLog
from functions.storage.watch import (
    DynamoClock,
    DynamoNewestPosture,
    DynamoWatchLog,
    SqsDeadLetters,
    StepFunctionsPrunes,
)
from functions.watch import watch as step
from functions.watch.watch import handler
from tests.builders import NOON
from tests.domain.judging import ALPHA
from tests.tables import create_table
from tests.watch.world import a_repository

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REGION, ACCOUNT = "eu-central-1", "123456789012"
WORKFLOW = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-prune"


class Context:
    function_name = "rwm-watch"
    memory_limit_in_mb = 1024
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rwm-watch"
    aws_request_id = "request"


@dataclass(frozen=True, slots=True)
class Deployed:
    dynamodb: "DynamoDBClient"
    queue: str
    inbox: str

    def heard(self) -> list[dict[str, Any]]:
        sqs = boto3.client("sqs")
        messages = sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with mock_aws():
        for name, value in {
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": REGION,
            "RWM_LEDGER": "rwm-ledger",
            "RWM_OPERATIONS": "rwm-operations",
            "RWM_RECORDS": "records",
            "RWM_ALERTS": f"arn:aws:sns:{REGION}:{ACCOUNT}:rwm-alerts",
            "RWM_PRUNE_WORKFLOW": WORKFLOW,
            "RWM_DEAD_LETTERS": "rwm-dead-letters",
        }.items():
            monkeypatch.setenv(name, value)
        dynamodb = boto3.client("dynamodb")
        for name in ("rwm-ledger", "rwm-operations"):
            create_table(dynamodb, name)
        sqs, sns = boto3.client("sqs"), boto3.client("sns")
        queue = sqs.create_queue(QueueName="rwm-dead-letters")["QueueUrl"]
        inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
        topic = sns.create_topic(Name="rwm-alerts")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox")
        boto3.client("stepfunctions").create_state_machine(
            name="rwm-prune",
            definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/any",
        )
        repository = a_repository(lock_schedule="never")
        monkeypatch.setattr(step, "read_bundled", lambda: Configuration(repositories=(repository,)))
        step._function.cache_clear()
        yield Deployed(dynamodb, queue, inbox)
        step._function.cache_clear()


def test_a_schedule_looks_at_everything_tells_it_once_and_counts(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("sqs").send_message(QueueUrl=deployed.queue, MessageBody="no event")
    answer = handler({"reason": "schedule"}, Context())  # type: ignore[arg-type]
    told = "RWM: HOLD all repositories: messages wait in the dead-letter queue"
    assert answer == {"*": {"open": ["HOLD dead-letters"], "told": [told]}, "alpha": {"open": [], "told": []}}
    (heard,) = deployed.heard()
    assert heard["Subject"] == told
    assert heard["MessageAttributes"]["kind"] == {"Type": "String", "Value": "dead-letters"}
    assert json.loads(heard["MessageAttributes"]["details"]["Value"])["messages"] == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = [line for line in lines if "_aws" in line]
    assert [each["DeadLetters"] for each in metrics if "DeadLetters" in each] == [[1.0]]
    assert {(each["repository"], each["severity"]) for each in metrics if "OpenConditions" in each} == {
        ("alpha", severity) for severity in Severity
    }
    handler({"reason": "schedule"}, Context())  # type: ignore[arg-type]
    assert deployed.heard() == []
    kept = DynamoWatchLog(deployed.dynamodb, "rwm-operations").newest(ALPHA)
    assert kept is not None
    assert abs(kept.looked_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_who_asks_for_something_else_gets_nothing(deployed: Deployed) -> None:
    with pytest.raises(ValidationError):
        handler({"reason": "schedule", "repository": "alpha"}, Context())  # type: ignore[arg-type]
    assert DynamoWatchLog(deployed.dynamodb, "rwm-operations").newest(ALPHA) is None


def test_the_clock_is_that_of_an_answer_of_aws(deployed: Deployed) -> None:
    now = DynamoClock(deployed.dynamodb, "rwm-operations").now()
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    assert now.microsecond == 0


def test_a_report_comes_back_as_it_was_kept_and_never_as_anothers(deployed: Deployed) -> None:
    log = DynamoWatchLog(deployed.dynamodb, "rwm-operations")
    assert log.newest(ALPHA) is None
    report = WatchReport(repository=ALPHA, first_seen=NOON, looked_at=NOON)
    log.keep(report)
    log.keep(report)
    assert log.newest(ALPHA) == report
    item = deployed.dynamodb.get_item(
        TableName="rwm-operations", Key={"pk": {"S": "watch#alpha"}, "sk": {"S": "newest"}}
    )["Item"]
    deployed.dynamodb.put_item(TableName="rwm-operations", Item={**item, "pk": {"S": "watch#beta"}})
    with pytest.raises(UnreadableDocument, match="a watch report of alpha as that of beta"):
        log.newest(RepositoryName("beta"))


def test_messages_that_somebody_looks_at_are_dead_letters_still(deployed: Deployed) -> None:
    letters = SqsDeadLetters(boto3.client("sqs"), "rwm-dead-letters")
    assert letters.waiting() == 0
    for body in "ab":
        boto3.client("sqs").send_message(QueueUrl=deployed.queue, MessageBody=body)
    boto3.client("sqs").receive_message(QueueUrl=deployed.queue, MaxNumberOfMessages=1)
    assert letters.waiting() == 2


def finding(name: str, what: str, severity: Severity = Severity.FAIL) -> Finding:
    return Finding(name, severity, ALPHA, NOON, what, "mend it")


def test_of_the_newest_posture_each_finding_is_read_as_it_was_judged(deployed: Deployed) -> None:
    posture = DynamoNewestPosture(deployed.dynamodb, "rwm-operations")
    assert posture.findings(ALPHA) is None
    written = DynamoCheckFindingLog(deployed.dynamodb, "rwm-operations")
    old, first, second = (
        finding("host-may-s3-deleteobject", what) for what in ("an old host", "the first host", "the second host")
    )
    note = finding("quarantined", "no host may write", Severity.NOTE)
    for generation, each in ((1, old), (2, first), (2, second), (2, note)):
        written.append(each, generation)
    log = DynamoPostureLog(deployed.dynamodb, "rwm-operations")
    log.append(ALPHA, NOON, "fail", {}, [mark(old)])
    log.append(ALPHA, NOON + timedelta(hours=1), "fail", {}, [mark(first), mark(second), mark(note), "lost#0"])
    found = posture.findings(ALPHA)
    assert found is not None
    assert {(each.id, each.severity, each.what) for each in found} == {
        (first.id, Severity.FAIL, "the first host"),
        (first.id, Severity.FAIL, "the second host"),
        ("quarantined", Severity.NOTE, "no host may write"),
        # Written down by its mark alone: it counts as what a person has to look at.
        ("lost", Severity.HOLD, "the posture has it"),
    }
    log.append(ALPHA, NOON + timedelta(hours=2), "pass", {}, [])
    assert posture.findings(ALPHA) == ()


def test_prunes_are_told_by_repository_the_newest_first_and_without_dry_runs(deployed: Deployed) -> None:
    machines = boto3.client("stepfunctions")
    for name, asked in {
        "first": {"repository": "alpha", "dry_run": False},
        "second": {"repository": "alpha", "dry_run": False},
        "shown": {"repository": "alpha", "dry_run": True},
        "others": {"repository": "beta", "dry_run": False},
        "odd": ["no", "prune"],
    }.items():
        machines.start_execution(stateMachineArn=WORKFLOW, name=name, input=json.dumps(asked))
    machines.stop_execution(executionArn=f"{WORKFLOW.replace('stateMachine', 'execution')}:first", error="Stopped")
    recent = StepFunctionsPrunes(machines, WORKFLOW).recent()
    assert set(recent) == {ALPHA, RepositoryName("beta")}
    assert {each.execution for each in recent[ALPHA]} == {"first", "second"}
    (first,) = [each for each in recent[ALPHA] if each.execution == "first"]
    assert first.status == "ABORTED"
    assert first.ended_at is not None
    (second,) = [each for each in recent[ALPHA] if each.execution == "second"]
    assert (second.status, second.ended_at) == ("RUNNING", None)
    with pytest.raises(NotAnswered, match="StateMachineDoesNotExist"):
        StepFunctionsPrunes(machines, f"{WORKFLOW}s").recent()

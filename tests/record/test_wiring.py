"""The handlers with everything they are wired to: boto3, its clients, and the environment."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.sns.models import sns_backends

from functions import configuration
from functions.domain.ledger import read_state
from functions.domain.ranges import key_ranges
from functions.domain.repositories import Configuration, Repository
from functions.domain.restic import FileType
from functions.domain.staging import decode_manifest
from functions.domain.values import RepositoryName
from functions.record import close, collect_chunks, list_range, record
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.verdicts import DynamoVerdictReader
from tests.tables import create_table

ALPHA = RepositoryName("alpha")
TABLES = ("ledger", "operations")
QUEUE = "rwm-alpha"
TOPIC = "arn:aws:sns:us-east-1:123456789012:rwm-alerts"
WORKFLOW = "arn:aws:states:us-east-1:123456789012:stateMachine:rwm-record-ranges"


@dataclass(frozen=True)
class Context:
    """What Powertools' Logger reads of Lambda's context."""

    function_name: str = "rwm-record"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:rwm-record"
    aws_request_id: str = "request"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Tables, buckets and a queue as infra makes them, and the environment that points to them."""
    alpha = Repository.model_validate({"name": "alpha", "bucket": "backups", "prefix": "restic"})
    bundled = tmp_path / "repositories.json"
    large = Repository.model_validate({"name": "large", "bucket": "large", "ranges_above": 20})
    bundled.write_text(Configuration(repositories=(alpha, large)).model_dump_json())
    monkeypatch.setattr(configuration.read_bundled, "__defaults__", (bundled,))
    for name in TABLES:
        monkeypatch.setenv(f"RWM_{name.upper()}", name)
    monkeypatch.setenv("RWM_RECORDS", "records")
    monkeypatch.setenv("RWM_ALERTS", TOPIC)
    monkeypatch.setenv("RWM_RANGES_WORKFLOW", WORKFLOW)
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    _forget()
    with mock_aws():
        dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
        for name in TABLES:
            create_table(dynamodb, name)
        for bucket in ("backups", "large", "records"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        boto3.client("sqs").create_queue(QueueName=QUEUE)
        boto3.client("sns").create_topic(Name="rwm-alerts")
        boto3.client("stepfunctions").create_state_machine(
            name="rwm-record-ranges", definition="{}", roleArn="arn:aws:iam::123456789012:role/workflow"
        )
        s3.put_object(Bucket="backups", Key="restic/config", Body=b"x")
        yield s3
    _forget()


def _forget() -> None:
    for cached in (record._function, collect_chunks._collector, list_range._clients, close._wiring):
        cached.cache_clear()


def newest(repository: RepositoryName = ALPHA) -> list[str]:
    ledger = DynamoLedgerReader(boto3.client("dynamodb"), "ledger")
    header = next(ledger.headers(repository))
    return [version.key for version in read_state(ledger, header)]


def published() -> list[str]:
    """Subjects of what was published, as moto keeps it."""
    topic = sns_backends["123456789012"]["us-east-1"].topics[TOPIC]
    return [str(sent[2]) for sent in topic.sent_notifications]


def message(body: str) -> dict[str, Any]:
    sent = str(int(datetime.now(UTC).timestamp() * 1000))
    return {
        "messageId": "m",
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": sent, "SenderId": "AIDA"},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{QUEUE}",
    }


def test_a_queues_batch_is_recorded_and_its_head_is_anchored(deployed: Any) -> None:
    answer = record.handler({"Records": [message(json.dumps({"event": "backup done"}))]}, Context())  # type: ignore[arg-type]
    assert answer == {"batchItemFailures": []}
    assert newest() == ["config"]
    anchored = [each["Key"] for each in deployed.list_objects_v2(Bucket="records")["Contents"]]
    assert len(anchored) == 1
    assert anchored[0].startswith("heads/alpha/0000000001-")


@pytest.mark.usefixtures("deployed")
def test_an_operators_request_is_answered_with_the_state_its_verdict_is_kept_and_its_findings_are_published() -> None:
    answer = record.handler({"repository": "alpha", "reason": "operator"}, Context())  # type: ignore[arg-type]
    assert (answer["outcome"], answer["generation"]) == ("recorded", 1)
    assert [(each["severity"], each["id"]) for each in answer["findings"]] == [("FAIL", "impossible-size")]
    reader = DynamoVerdictReader(boto3.client("dynamodb"), "operations")
    (verdict,) = reader.verdicts(ALPHA)
    assert (verdict.state, verdict.outcome, verdict.by) == (answer["state"], "fail", "record")
    (finding, note) = reader.findings(verdict)
    assert ([each.key for each in finding.evidence], note.id) == (["config"], "empty-repository")
    assert published() == ["RWM: FAIL alpha: impossible-size"]
    assert collect_chunks.handler({}, Context()) == {}  # type: ignore[arg-type]


def test_a_bucket_whose_versioning_was_suspended_leaves_a_finding(deployed: Any) -> None:
    deployed.put_bucket_versioning(Bucket="backups", VersioningConfiguration={"Status": "Suspended"})
    answer = record.handler({"repository": "alpha", "reason": "schedule"}, Context())  # type: ignore[arg-type]
    assert (answer["outcome"], answer["findings"][0]["id"]) == ("refused", "versioning-not-enabled")
    (item,) = boto3.client("dynamodb").scan(TableName="operations")["Items"]
    assert item["sk"]["S"] == "finding#versioning-not-enabled#0000000000"
    record.handler({"repository": "alpha", "reason": "schedule"}, Context())  # type: ignore[arg-type]
    assert published() == ["RWM: FAIL alpha: versioning-not-enabled"]


def test_what_is_too_large_goes_to_the_workflow_whose_steps_list_and_record_it(deployed: Any) -> None:
    packs = [f"data/{number:02x}/{number:02x}{'0' * 62}" for number in range(0, 256, 8)]
    # moto leaves out what follows a marker, unless the marker is a key that is there.
    cuts = [each.last for each in key_ranges({FileType.PACK: 20}, 1) if each.last is not None]
    keys = sorted([*packs, *cuts])
    for key in keys:
        deployed.put_object(Bucket="large", Key=key, Body=b"x" * 40)
    answer = record.handler({"repository": "large", "reason": "schedule"}, Context())  # type: ignore[arg-type]
    assert (answer["outcome"], answer["state"]) == ("not-yet", None)
    workflow = boto3.client("stepfunctions")
    (execution,) = workflow.list_executions(stateMachineArn=WORKFLOW)["executions"]
    assert execution["name"] in answer["message"]
    given = json.loads(workflow.describe_execution(executionArn=execution["executionArn"])["input"])
    stored = deployed.get_object(Bucket="records", Key=given["manifest"]["key"])["Body"].read()
    ranges = decode_manifest(stored)
    assert len(ranges) == 20
    for each in ranges:
        item = {"repository": "large", "attempt": given["attempt"], "range": each.model_dump(mode="json")}
        assert list_range.handler(item, Context())["number"] == each.number
    closing: Any = {**given, "manifest": given["manifest"]["version_id"], "failed": False}
    assert close.handler(closing, Context())["outcome"] == "recorded"  # type: ignore[arg-type]
    assert newest(RepositoryName("large")) == keys
    assert close.handler({**closing, "failed": True}, Context()) == {}  # type: ignore[arg-type]


@pytest.mark.usefixtures("deployed")
def test_a_missing_name_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RWM_RECORDS")
    with pytest.raises(ValueError, match="RWM_RECORDS"):
        record.handler({"repository": "alpha", "reason": "operator"}, Context())  # type: ignore[arg-type]

"""The three handlers as Lambda calls them: wired to S3, DynamoDB and SNS (moto), with the workflow's payloads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from moto.sns.models import sns_backends
from pydantic import ValidationError

from functions.check import conclude_content, hash_content, plan_content
from functions.domain.checking import CheckRefused
from functions.domain.state import StateHeader
from functions.domain.values import RepositoryName
from functions.domain.verdict import CheckLevel
from functions.storage.verdicts import DynamoVerdictReader
from tests.restore.test_handlers import record
from tests.restore.world import CONFIGURATION, PREFIX, PROTECTED, RECORDS, a_backup, a_pack
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

GARBAGE = a_pack(b"what its name promises")


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment has, on moto."""

    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    topic: str
    state: StateHeader

    def told(self) -> list[str | None]:
        """Subjects of what was published."""
        topic = sns_backends["123456789012"]["us-east-1"].topics[self.topic]
        return [subject for _, _, subject, *_ in topic.sent_notifications]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3, dynamodb, sns = boto3.client("s3"), boto3.client("dynamodb"), boto3.client("sns")
        topic = sns.create_topic(Name="rwm-alerts")["TopicArn"]
        for name, value in {
            "RWM_LEDGER": "rwm-ledger",
            "RWM_OPERATIONS": "rwm-operations",
            "RWM_RECORDS": RECORDS,
            "RWM_ALERTS": topic,
        }.items():
            monkeypatch.setenv(name, value)
        for step in (plan_content, hash_content):
            monkeypatch.setattr(step, "read_bundled", lambda: CONFIGURATION)
        for bucket in (PROTECTED, RECORDS):
            s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        for name in ("rwm-ledger", "rwm-operations"):
            create_table(dynamodb, name)
        for key, content in {**a_backup(), GARBAGE: b"garbage"}.items():
            s3.put_object(Bucket=PROTECTED, Key=f"{PREFIX}/{key}", Body=content)
        yield Deployed(s3, dynamodb, topic, record(dynamodb))
        for clients in (plan_content._clients, hash_content._clients, conclude_content._clients):
            clients.cache_clear()


def invoke(step: Any, event: dict[str, Any]) -> Any:
    """As Lambda does: JSON in, JSON out."""
    context = SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:f",
        aws_request_id="1",
        get_remaining_time_in_millis=lambda: 900_000,
    )
    return json.loads(json.dumps(step.handler(json.loads(json.dumps(event)), context)))


def run(deployed: Deployed, execution: str, *, everything: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """The workflow: what plan and conclude answered."""
    about = {"repository": "beta", "state": deployed.state.id, "execution": execution}
    planned = invoke(plan_content, {**about, "all": everything})
    where = planned["manifest"]
    manifest = deployed.s3.get_object(Bucket=where["bucket"], Key=where["key"], VersionId=where["version_id"])
    plan = {"plan": planned["plan"], "plan_version": planned["plan_version"]}
    for item in json.loads(manifest["Body"].read()):
        invoke(hash_content, {"repository": "beta", "execution": execution, "batch": item, **plan})
    return planned, invoke(conclude_content, {**about, **plan})


def test_a_check_by_its_handlers_reads_judges_remembers_and_tells(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    planned, answer = run(deployed, "monday")
    assert (planned["objects"], planned["bytes"], planned["batches"]) == (8, deployed.state.bytes, 1)
    assert answer == {"outcome": "fail", "findings": [{"severity": "FAIL", "id": "content-damaged", "keys": 1}]}
    assert deployed.told() == ["RWM: FAIL beta: content-damaged"]
    (verdict,) = DynamoVerdictReader(deployed.dynamodb, "rwm-operations").verdicts(RepositoryName("beta"))
    assert (verdict.level, verdict.state, verdict.by) == (CheckLevel.CONTENT, deployed.state.id, "monday")
    planned, answer = run(deployed, "tuesday")
    assert (planned["objects"], answer["outcome"]) == (1, "fail")
    planned, _ = run(deployed, "wednesday", everything=True)
    assert planned["objects"] == 8
    assert len(deployed.told()) == 1
    logged = capsys.readouterr().out
    assert '"HashedBytes"' in logged
    assert '"DamagedObjects"' in logged
    for key in (*a_backup(), GARBAGE):
        if key != "config":
            assert key not in logged, "no log names a key"


def test_files_lie_where_the_functions_roles_may_write_them(deployed: Deployed) -> None:
    run(deployed, "monday")
    listed = deployed.s3.list_objects_v2(Bucket=RECORDS)["Contents"]
    folder = "checks/beta/monday"
    assert [each["Key"] for each in listed] == [
        f"{folder}/batches/00000.jsonl",
        f"{folder}/manifest.json",
        f"{folder}/plan.json",
        f"{folder}/results/00000.json",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "delta"},
        {"state": "0" * 64},
        {"state": "latest"},
        {"all": "perhaps"},
        {"execution": "../elsewhere"},
        {"execution": ""},
        {"target": None},
    ],
)
def test_a_refusal_says_what_was_not_done_and_writes_nothing(deployed: Deployed, wrong: dict[str, Any]) -> None:
    request = {"repository": "beta", "state": "", "all": False, "execution": "monday"}
    with pytest.raises(CheckRefused, match="nothing was judged"):
        invoke(plan_content, {**request, **wrong})
    assert "Contents" not in deployed.s3.list_objects_v2(Bucket=RECORDS)


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize("wrong", [{"execution": "../../heads"}, {"repository": ""}, {"plan": "x"}, {"more": 1}])
def test_a_malformed_request_is_never_carried_out(deployed: Deployed, wrong: dict[str, Any]) -> None:
    batch = {"batch": "b", "version_id": "v", "digest": "0" * 64, "number": 0}
    both = {"repository": "beta", "plan": "0" * 64, "plan_version": "v", "execution": "monday", **wrong}
    with pytest.raises(ValidationError):
        invoke(hash_content, {**both, "batch": batch})
    with pytest.raises(ValidationError):
        invoke(conclude_content, {**both, "state": "0" * 64})

"""The handlers as Lambda calls them: wired to S3 and DynamoDB (moto), with the workflow's payloads."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from functions.domain import chunks
from functions.domain.restore.forecast import Forecast
from functions.domain.restore.request import RestoreRefused
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, RepositoryName
from functions.restore import announce, copy, end, plan, thaw, verify
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.listing import S3VersionLister
from tests.cuts import take_cut
from tests.restore.world import CONFIGURATION, PREFIX, PROTECTED, RECORDS, TARGET, a_backup
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

BETA = RepositoryName("beta")


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment has, on moto."""

    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    state: StateHeader


def record(dynamodb: "DynamoDBClient") -> StateHeader:
    s3 = boto3.client("s3")
    now = S3BucketConfiguration(s3, PROTECTED).now() + timedelta(seconds=5)
    cut = take_cut(S3VersionLister(s3, PROTECTED, f"{PREFIX}/").versions(), now)
    attempt = AttemptId("attempt-1")
    encoded = list(chunks.encode(cut.versions))
    own = ChunkSet(attempt=attempt, count=len(encoded), digest=chunks.digest(encoded))
    cause = Cause(reason="operator")
    header = describe(cut, repository=BETA, parent=None, own_chunks=own, recorded_at=now, cause=cause)
    ledger = DynamoRecordingLedger(dynamodb, "rwm-ledger")
    ledger.begin(BETA, attempt, now, now + timedelta(minutes=1))
    ledger.reserve(BETA, attempt, len(encoded))
    for number, chunk in enumerate(encoded):
        ledger.put_chunk(attempt, number, chunk)
    ledger.commit(header, attempt, None)
    return header


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
    monkeypatch.setattr(announce, "read_bundled", lambda: CONFIGURATION)
    monkeypatch.setattr(plan, "read_bundled", lambda: CONFIGURATION)
    # It opens sockets by itself, which moto does not notice.
    monkeypatch.setattr(copy, "_direct", lambda _bucket: None)
    with mock_aws():
        s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
        for bucket in (PROTECTED, TARGET, RECORDS):
            s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=bucket != TARGET)
        for name in ("rwm-ledger", "rwm-operations"):
            create_table(dynamodb, name)
        for key, content in a_backup().items():
            s3.put_object(Bucket=PROTECTED, Key=f"{PREFIX}/{key}", Body=content)
        yield Deployed(s3, dynamodb, record(dynamodb))
        for clients in (
            *(announce._clients, plan._clients, thaw._client, copy._client, copy._target_client, verify._clients),
            end._client,
        ):
            clients.cache_clear()


def invoke(step: Any, event: dict[str, Any]) -> Any:
    """As Lambda does: JSON in, JSON out."""
    context = SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=1024,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:f",
        aws_request_id="1",
    )
    return json.loads(json.dumps(step.handler(json.loads(json.dumps(event)), context)))


def a_request(deployed: Deployed, **target: str) -> dict[str, Any]:
    return {
        "repository": "beta",
        "state": deployed.state.id,
        "target": {"bucket": TARGET, **target},
        "execution": "tuesday",
    }


def run(deployed: Deployed, request: dict[str, Any], execution: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The workflow: what plan and verify answered."""
    planned = invoke(plan, invoke(announce, {**request, "execution": execution}))
    where = planned["manifest"]
    manifest = deployed.s3.get_object(Bucket=where["bucket"], Key=where["key"], VersionId=where["version_id"])
    given = {"plan": planned["plan"], "plan_version": planned["plan_version"], "execution": execution}
    for item in json.loads(manifest["Body"].read()):
        invoke(copy, {**given, "batch": item})
    assert under_way(deployed) == {execution}
    verified = invoke(verify, {**given, "repository": "beta"})
    assert under_way(deployed) == {execution}
    assert invoke(end, {"repository": "beta", "execution": execution}) == {"ended": True}
    assert under_way(deployed) == set()
    return planned, verified


def under_way(deployed: Deployed) -> set[str]:
    items = deployed.dynamodb.scan(TableName="rwm-operations")["Items"]
    return {item["sk"]["S"] for item in items if item["pk"]["S"] == "restoring#beta"}


def test_a_restore_by_its_handlers_is_whole_and_reported(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    planned, answer = run(deployed, a_request(deployed, prefix="into"), "tuesday")
    assert (planned["objects"], planned["bytes"], planned["batches"]) == (7, deployed.state.bytes, 1)
    counts = {name: answer[name] for name in ("proven", "copied", "skipped", "unproven", "missing", "failed")}
    assert counts == {"proven": 7, "copied": 7, "skipped": 0, "unproven": 0, "missing": 0, "failed": 0}
    assert (answer["outcome"], answer["complete"]) == ("restored", True)
    assert answer["target"] == {"bucket": TARGET, "prefix": "into"}
    for key, content in a_backup().items():
        assert deployed.s3.get_object(Bucket=TARGET, Key=f"into/{key}")["Body"].read() == content
    report = deployed.s3.get_object(Bucket=answer["report"]["bucket"], Key=answer["report"]["key"])["Body"].read()
    [item] = deployed.dynamodb.scan(TableName="rwm-operations")["Items"]
    assert (item["pk"], item["sk"]) == ({"S": "beta"}, {"S": "restore#tuesday"})
    assert item["report"]["B"] == report
    logged = capsys.readouterr().out
    assert '"RestoredObjects"' in logged
    assert '"Namespace":"RWM"' in logged
    assert "a snapshot" not in logged


def test_a_target_is_tried_by_the_function_that_copies(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    planned = invoke(plan, invoke(announce, a_request(deployed)))
    given = {"plan": planned["plan"], "plan_version": planned["plan_version"], "execution": "tuesday"}
    assert invoke(copy, given) == {}
    assert '"RestoreTargetsTried"' in capsys.readouterr().out
    # moto knows no condition on a copy's source: what it copied all the same is of the state, and where it belongs.
    _, answer = run(deployed, a_request(deployed), "tuesday")
    assert (answer["outcome"], answer["copied"] + answer["skipped"]) == ("restored", 7)


def test_a_target_that_is_gone_when_it_is_tried_is_refused(deployed: Deployed) -> None:
    planned = invoke(plan, invoke(announce, a_request(deployed)))
    deployed.s3.delete_bucket(Bucket=TARGET)
    given = {"plan": planned["plan"], "plan_version": planned["plan_version"], "execution": "tuesday"}
    with pytest.raises(RestoreRefused, match=f"there is no bucket {TARGET}; nothing was written"):
        invoke(copy, given)


def test_running_it_again_copies_nothing(deployed: Deployed) -> None:
    first, _ = run(deployed, a_request(deployed), "tuesday")
    again, answer = run(deployed, a_request(deployed), "wednesday")
    assert again["plan"] == first["plan"]
    assert (answer["outcome"], answer["copied"], answer["skipped"]) == ("restored", 0, 7)


def test_what_is_missing_makes_the_restore_incomplete(deployed: Deployed) -> None:
    versions = deployed.s3.list_object_versions(Bucket=PROTECTED, Prefix=f"{PREFIX}/config")["Versions"]
    deployed.s3.delete_object(Bucket=PROTECTED, Key=versions[0]["Key"], VersionId=versions[0]["VersionId"])
    _, answer = run(deployed, a_request(deployed), "tuesday")
    assert (answer["outcome"], answer["complete"], answer["missing"]) == ("incomplete", False, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "delta"},
        {"state": "0" * 64},
        {"target": {"bucket": PROTECTED}},
        {"target": {"bucket": RECORDS}},
        {"target": {"bucket": "rwm-restore-nowhere"}},
        {"target": {"bucket": "somebodys-own"}},
        {"target": {}},
    ],
)
def test_a_refusal_writes_nothing(deployed: Deployed, wrong: dict[str, Any]) -> None:
    with pytest.raises(RestoreRefused, match="nothing was written"):
        invoke(plan, invoke(announce, {**a_request(deployed), "execution": "monday", **wrong}))
    for bucket in (RECORDS, TARGET):
        assert "Contents" not in deployed.s3.list_objects_v2(Bucket=bucket)


def test_a_dry_run_by_its_handlers_answers_a_forecast_and_writes_nothing(deployed: Deployed) -> None:
    answer = invoke(plan, invoke(announce, {**a_request(deployed), "dry_run": True}))
    forecast = Forecast.model_validate(answer.pop("forecast"))
    assert answer == {}
    assert (forecast.state, forecast.objects, forecast.requests["CopyObject"]) == (deployed.state.id, 7, 7)
    for bucket in (RECORDS, TARGET):
        assert "Contents" not in deployed.s3.list_objects_v2(Bucket=bucket)


def test_copies_cannot_be_locked_where_the_target_has_no_object_lock(deployed: Deployed) -> None:
    with pytest.raises(RestoreRefused, match="has no Object Lock, without which no copy can be locked; nothing was wr"):
        invoke(plan, invoke(announce, {**a_request(deployed), "lock_days": 30}))
    assert "Contents" not in deployed.s3.list_objects_v2(Bucket=RECORDS)


def test_a_drill_s_sample_is_seeded_by_its_execution(deployed: Deployed) -> None:
    asked = {**a_request(deployed), "sample_bytes": 1}
    plans = {name: invoke(plan, invoke(announce, {**asked, "execution": name})) for name in ("a", "b", "c", "d", "e")}
    assert all(answer["objects"] == 5 for answer in plans.values()), "one of three packs, and all else"
    assert len({answer["plan"] for answer in plans.values()}) > 1
    again = invoke(plan, invoke(announce, {**asked, "execution": "a"}))
    assert again["plan"] == plans["a"]["plan"]

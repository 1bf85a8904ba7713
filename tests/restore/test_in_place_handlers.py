"""The handlers of a restore in place as Lambda calls them: wired to S3, DynamoDB and IAM (moto)."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from functions.domain import chunks
from functions.domain.restore.request import RestoreRefused
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, ObjectKey, ObjectVersion, VersionId, whole_second
from functions.restore import plan_in_place, put_back, verify_in_place
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.quarantine import IamAttachedPolicies
from functions.storage.restores import DynamoRestoreReports
from tests.builders import listing
from tests.cuts import take_cut
from tests.restore.test_handlers import BETA, Deployed, deployed, invoke
from tests.restore.world import CONFIGURATION, PREFIX, PROTECTED, RECORDS, a_backup

__all__ = ["deployed"]
DENIES = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}}
# As `invoke` says that the functions are there.
ACCOUNT = "000000000000"


@pytest.fixture
def attacked(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """Its config is written over, its index hidden, and something is added; its host is in quarantine."""
    monkeypatch.setattr(plan_in_place, "read_bundled", lambda: CONFIGURATION)
    s3 = deployed.s3
    s3.put_object(Bucket=PROTECTED, Key=f"{PREFIX}/config", Body=b"other")
    s3.put_object(Bucket=PROTECTED, Key=f"{PREFIX}/alien", Body=b"hello")
    (index,) = [key for key in a_backup() if key.startswith("index/")]
    s3.delete_object(Bucket=PROTECTED, Key=f"{PREFIX}/{index}")
    iam = boto3.client("iam")
    iam.create_user(UserName="rwm-beta-host")
    iam.create_policy(PolicyName="rwm-beta-quarantine", PolicyDocument=json.dumps(DENIES))
    yield deployed
    for clients in (plan_in_place._clients, put_back._client, verify_in_place._clients):
        clients.cache_clear()


def quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    # moto has another account than `invoke` says.
    policy = f"arn:aws:iam::{ACCOUNT}:policy/rwm-beta-quarantine"
    monkeypatch.setattr(IamAttachedPolicies, "of", lambda *_: frozenset([policy]))


def record_again(world: Deployed) -> StateHeader:
    """The repository as it is now, in the ledger."""
    s3 = world.s3
    ledger = DynamoRecordingLedger(world.dynamodb, "rwm-ledger")
    head = ledger.head(BETA)
    assert head is not None
    parent = ledger.header(BETA, head.generation)
    now = max(S3BucketConfiguration(s3, PROTECTED).now(), head.cut_time) + timedelta(seconds=5)
    # Only what is current: moto lists markers after all versions, which no recording would take.
    current = [
        ObjectVersion(
            key=ObjectKey(each["Key"].removeprefix(f"{PREFIX}/")),
            version_id=VersionId(each["VersionId"]),
            size=each["Size"],
            last_modified=whole_second(each["LastModified"]),
            etag=each["ETag"].strip('"'),
            storage_class=each["StorageClass"],
        )
        for each in s3.list_object_versions(Bucket=PROTECTED, Prefix=f"{PREFIX}/")["Versions"]
        if each["IsLatest"]
    ]
    cut = take_cut(listing(*current), now)
    attempt = AttemptId(f"attempt-{head.generation + 1}")
    encoded = list(chunks.encode(cut.versions))
    own = ChunkSet(attempt=attempt, count=len(encoded), digest=chunks.digest(encoded))
    cause = Cause(reason="operator")
    header = describe(cut, repository=BETA, parent=parent, own_chunks=own, recorded_at=now, cause=cause)
    ledger.begin(BETA, attempt, now, now + timedelta(minutes=1))
    ledger.reserve(BETA, attempt, len(encoded))
    for number, chunk in enumerate(encoded):
        ledger.put_chunk(attempt, number, chunk)
    assert parent is not None
    ledger.commit(header, attempt, Head.of(parent))
    return header


def a_request(world: Deployed, **more: Any) -> dict[str, Any]:
    since = world.state.cut_time.isoformat()
    return {
        "repository": "beta",
        "state": world.state.id,
        "to": "in-place",
        "execution": "tuesday",
        "since": since,
        **more,
    }


def test_a_repository_is_put_back_by_the_handlers(attacked: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    quarantine(monkeypatch)
    before = record_again(attacked)
    planned = invoke(plan_in_place, a_request(attacked))
    assert (planned["before"], planned["put"], planned["hide"], planned["batches"]) == (before.id, 2, 1, 1)
    where = planned["manifest"]
    manifest = attacked.s3.get_object(Bucket=where["bucket"], Key=where["key"], VersionId=where["version_id"])
    given = {"plan": planned["plan"], "plan_version": planned["plan_version"], "execution": "tuesday"}
    (item,) = json.loads(manifest["Body"].read())
    counts = invoke(put_back, {**given, "batch": item})
    assert counts == {"number": 0, "put": 2, "hidden": 1, "right_already": 0, "troubles": 0}
    after = record_again(attacked)
    since = after.cut_time.isoformat()
    verified = invoke(verify_in_place, {**given, "repository": "beta", "since": since})
    assert (verified["outcome"], verified["complete"]) == ("restored", True)
    assert (verified["before"], verified["copied"], verified["hidden"]) == (before.id, 2, 1)
    (report,) = DynamoRestoreReports(attacked.dynamodb, "rwm-operations").reports(BETA)
    assert (report.execution, report.outcome, report.target) == ("tuesday", "restored", report.source)
    stored = attacked.s3.get_object(Bucket=RECORDS, Key=verified["report"]["key"])["Body"].read()
    assert stored == report.canonical()
    listed = attacked.s3.list_objects_v2(Bucket=PROTECTED, Prefix=f"{PREFIX}/")["Contents"]
    assert {each["Key"].removeprefix(f"{PREFIX}/") for each in listed} == set(a_backup())


def test_what_is_too_early_is_told_by_a_name_that_the_workflow_knows(
    attacked: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine(monkeypatch)
    later = (attacked.state.cut_time + timedelta(hours=1)).isoformat()
    with pytest.raises(Exception, match="since the restore began") as early:
        invoke(plan_in_place, a_request(attacked, since=later))
    record_again(attacked)
    planned = invoke(plan_in_place, a_request(attacked))
    given = {"plan": planned["plan"], "plan_version": planned["plan_version"], "execution": "tuesday"}
    with pytest.raises(Exception, match="since it was put back") as too_early:
        invoke(verify_in_place, {**given, "repository": "beta", "since": later})
    assert {type(early.value).__name__, type(too_early.value).__name__} == {"PresentNotRecorded"}


def test_iam_is_asked_whether_the_host_is_in_quarantine(attacked: Deployed) -> None:
    record_again(attacked)
    with pytest.raises(RestoreRefused, match=f"{ACCOUNT}:user/rwm-beta-host may write to beta"):
        invoke(plan_in_place, a_request(attacked))
    forecast = invoke(plan_in_place, a_request(attacked, insist=True, dry_run=True))["forecast"]
    assert (forecast["to"], forecast["requests"]["CopyObject"]) == ("in-place", 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"repository": "delta"}, "no repository 'delta'"),
        ({"to": "directory"}, "not for one to a directory"),
        ({"state": "f" * 64, "insist": True}, "no state"),
        ({"since": "yesterday"}, "since"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    attacked: Deployed, changes: dict[str, Any], says: str
) -> None:
    record_again(attacked)
    with pytest.raises(RestoreRefused, match=says):
        invoke(plan_in_place, a_request(attacked, **changes))
    assert "Contents" not in attacked.s3.list_objects_v2(Bucket=RECORDS)

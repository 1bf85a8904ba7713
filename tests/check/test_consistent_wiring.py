"""The handler with everything it is wired to: boto3, its clients, and the environment."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions import configuration
from functions.check import consistent
from functions.domain import chunks
from functions.domain.checking import CheckRefused
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, RepositoryName
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.listing import S3VersionLister
from functions.storage.verdicts import DynamoVerdictReader
from tests.builders import named, pack
from tests.cuts import take_cut
from tests.tables import create_table

ALPHA = RepositoryName("alpha")
KEYS = ("config", named("keys", "k"), named("index", "i"), named("snapshots", "s"), pack("p"))


def check(state: str = "", repository: str = "alpha") -> Any:
    """As Lambda does: JSON in, JSON out."""
    context = SimpleNamespace(
        function_name="rwm-check-consistent",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:rwm-check-consistent",
        aws_request_id="request",
    )
    event = {"repository": repository, "state": state, "execution": "tuesday"}
    return json.loads(json.dumps(consistent.handler(event, context)))  # type: ignore[arg-type]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Tables, a bucket with a repository in it and a topic as infra makes them, and the environment that names them."""
    alpha = Repository.model_validate({"name": "alpha", "bucket": "backups", "prefix": "restic"})
    bundled = tmp_path / "repositories.json"
    bundled.write_text(Configuration(repositories=(alpha,)).model_dump_json())
    monkeypatch.setattr(configuration.read_bundled, "__defaults__", (bundled,))
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    consistent._function.cache_clear()
    with mock_aws():
        dynamodb, client = boto3.client("dynamodb"), boto3.client("s3")
        for name in ("ledger", "operations"):
            monkeypatch.setenv(f"RWM_{name.upper()}", name)
            create_table(dynamodb, name)
        monkeypatch.setenv("RWM_RECORDS", "records")
        monkeypatch.setenv("RWM_ALERTS", boto3.client("sns").create_topic(Name="rwm-alerts")["TopicArn"])
        client.create_bucket(Bucket="backups")
        client.put_bucket_versioning(Bucket="backups", VersioningConfiguration={"Status": "Enabled"})
        for key in KEYS:
            client.put_object(Bucket="backups", Key=f"restic/{key}", Body=b"." * 100)
        yield client
    consistent._function.cache_clear()


@pytest.fixture
def state(s3: Any) -> StateHeader:
    """The repository as recorded now."""
    ledger, attempt = DynamoRecordingLedger(boto3.client("dynamodb"), "ledger"), AttemptId("a")
    now = S3BucketConfiguration(s3, "backups").now()
    # A client of its own: the lister keeps its client's listings to itself.
    cut = take_cut(S3VersionLister(boto3.client("s3"), "backups", "restic/").versions(), now + timedelta(seconds=2))
    packed = list(chunks.encode(cut.versions))
    ledger.begin(ALPHA, attempt, now, now + timedelta(minutes=1))
    ledger.reserve(ALPHA, attempt, len(packed))
    for number, chunk in enumerate(packed):
        ledger.put_chunk(attempt, number, chunk)
    header = describe(
        cut,
        repository=ALPHA,
        parent=None,
        own_chunks=ChunkSet(attempt=attempt, count=len(packed), digest=chunks.digest(packed)),
        recorded_at=now,
        cause=Cause(reason="operator"),
    )
    ledger.commit(header, attempt, None)
    return header


def test_a_state_is_judged_and_its_verdict_is_kept(state: StateHeader) -> None:
    passed = {"outcome": "pass", "state": state.id, "generation": 1, "findings": []}
    assert check() == check(state.id) == passed
    kept = list(DynamoVerdictReader(boto3.client("dynamodb"), "operations").verdicts(ALPHA))
    assert {(each.state, each.outcome, each.by) for each in kept} == {(state.id, "pass", "tuesday")}


def test_a_version_that_was_destroyed_is_found(s3: Any, state: StateHeader) -> None:
    version_id = s3.head_object(Bucket="backups", Key="restic/config")["VersionId"]
    s3.delete_object(Bucket="backups", Key="restic/config", VersionId=version_id)
    answer = check(state.id)
    assert answer["outcome"] == "fail"
    assert {"severity": "FAIL", "id": "pinned-version-gone", "keys": 1} in answer["findings"]


@pytest.mark.usefixtures("s3")
def test_without_a_state_or_a_repository_of_that_name_it_is_refused() -> None:
    with pytest.raises(CheckRefused, match="no recorded state yet"):
        check()
    with pytest.raises(CheckRefused, match="no repository 'beta' is deployed; nothing was judged"):
        check(repository="beta")

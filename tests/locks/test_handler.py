"""The handler as Lambda calls it: wired to S3 (the strict fake over HTTP, since moto tells no retention) and to
DynamoDB and SNS (moto)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from functions.domain.repositories import Configuration, Repository
from functions.domain.values import RepositoryName
from functions.locks import extend_retention as step
from functions.locks.extend_retention import handler
from functions.storage.locks import DynamoLockReports
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server
from tests.restore.test_handlers import record
from tests.restore.world import PREFIX, PROTECTED, a_backup
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


REQUEST = {"repository": "beta", "reason": "schedule"}


class Context:
    function_name = "rwm-extend-retention"
    memory_limit_in_mb = 2048
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:rwm-extend-retention"
    aws_request_id = "request"
    milliseconds = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass(frozen=True, slots=True)
class Deployed:
    fake: FakeS3
    dynamodb: "DynamoDBClient"


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    fake = FakeS3()
    fake.create_bucket(PROTECTED, object_lock=True)
    for key, content in a_backup().items():
        fake.put(PROTECTED, f"{PREFIX}/{key}", content)
    with S3Server(fake) as server, mock_aws():
        for name, value in {
            # The fake's owner, by the name that signs.
            "AWS_ACCESS_KEY_ID": "owner",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": server.endpoint,
            "NO_PROXY": "127.0.0.1",
            "RWM_LEDGER": "rwm-ledger",
            "RWM_OPERATIONS": "rwm-operations",
            "RWM_RECORDS": "records",
            "RWM_ALERTS": "arn:aws:sns:us-east-1:123456789012:rwm-alerts",
        }.items():
            monkeypatch.setenv(name, value)
        dynamodb = boto3.client("dynamodb")
        for name in ("rwm-ledger", "rwm-operations"):
            create_table(dynamodb, name)
        boto3.client("sns").create_topic(Name="rwm-alerts")
        record(dynamodb)
        beta = Repository(name="beta", bucket=PROTECTED, prefix=PREFIX)
        monkeypatch.setattr(step, "read_bundled", lambda: Configuration(repositories=(beta,)))
        step._function.cache_clear()
        yield Deployed(fake, dynamodb)
        step._function.cache_clear()


def test_a_schedule_locks_what_the_state_names_and_keeps_the_report(deployed: Deployed) -> None:
    answer = handler(REQUEST, Context())  # type: ignore[arg-type]
    assert (answer["complete"], answer["looked_at"], answer["extended"], answer["unlocked"]) == (True, 7, 7, 0)
    kept = [entry.version for entry in deployed.fake.everything(PROTECTED)]
    assert all(version.retention is not None and version.retention.mode == "GOVERNANCE" for version in kept)
    report = DynamoLockReports(deployed.dynamodb, "rwm-operations").newest(RepositoryName("beta"))
    assert report is not None
    assert (report.complete, report.looked_at) == (True, 7)


def test_the_functions_own_time_is_what_a_run_has(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "AT_ONCE", 1)
    monkeypatch.setattr(Context, "milliseconds", 149_999)
    assert handler(REQUEST, Context())["looked_at"] == 1  # type: ignore[arg-type]
    monkeypatch.setattr(Context, "milliseconds", 150_000)
    assert handler(REQUEST, Context())["looked_at"] == 7  # type: ignore[arg-type]

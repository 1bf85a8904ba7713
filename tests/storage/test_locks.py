"""Retention over boto3: exactly that version, governance only, no bypass; and the report that is kept of it."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError
from moto import mock_aws

from functions.domain.documents import UnreadableDocument
from functions.domain.locks.report import LockReport, Refused, StateLocks
from functions.domain.locks.rules import Lock
from functions.domain.ports import LockRefused
from functions.domain.values import DeleteMarker, ObjectKey, RepositoryName, StateId, VersionGone, VersionId
from functions.storage.aws import CLIENT
from functions.storage.listing import S3VersionLister
from functions.storage.locks import DynamoLockReports, S3Retentions
from tests.builders import NOON, at, sha256
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_server import S3Server
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, PREFIX, KEY = "backups", "restic/alpha/", ObjectKey("config")
UNTIL = datetime.fromisoformat("2099-01-01T00:00:00Z")


@dataclass
class Sent:
    """What went over the wire, and what to answer instead."""

    queries: list[str]
    headers: list[dict[str, str]]
    bodies: list[bytes]
    answers: list[AWSResponse | Exception]


@dataclass
class World:
    s3: "S3Client"
    sent: Sent
    version_id: VersionId

    @property
    def retentions(self) -> S3Retentions:
        return S3Retentions(self.s3, BUCKET, PREFIX)

    def answer(self, status: int, code: str, *, times: int = 1) -> None:
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        for _ in range(times):
            raw: Any = io.BytesIO(body)
            raw.stream = lambda raw=raw: iter([raw.read()])
            self.sent.answers.append(AWSResponse("https://s3", status, HTTPHeaders(), raw))


@pytest.fixture
def world() -> Iterator[World]:
    """On the strict fake over HTTP: moto tells no retention."""
    with S3Server(FakeS3()) as server:
        s3 = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            aws_access_key_id=OWNER,
            aws_secret_access_key="any",
            region_name="us-east-1",
            config=CLIENT.merge(Config(proxies={}, s3={"addressing_style": "path"})),
        )
        s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        old = s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}{KEY}", Body=b"old")["VersionId"]
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}{KEY}", Body=b"new")
        sent = Sent([], [], [], [])

        def see(request: Any, **_: Any) -> AWSResponse | None:
            sent.queries.append(request.url.partition("?")[2])
            sent.headers.append({name.lower(): str(value) for name, value in request.headers.items()})
            sent.bodies.append(request.body or b"")
            if not sent.answers:
                return None
            answer = sent.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        s3.meta.events.register("before-send.s3.*", see)  # type: ignore[arg-type]
        yield World(s3, sent, VersionId(old))


def test_a_version_without_retention_has_none(world: World) -> None:
    assert world.retentions.retention(KEY, world.version_id) is None


def test_ceph_says_so_in_other_words(world: World) -> None:
    world.answer(404, "ObjectLockConfigurationNotFoundError")
    assert world.retentions.retention(KEY, world.version_id) is None


def test_exactly_the_version_is_locked_in_governance_mode_and_no_other(world: World) -> None:
    world.retentions.lock(KEY, world.version_id, UNTIL)
    assert world.retentions.retention(KEY, world.version_id) == Lock("GOVERNANCE", UNTIL)
    current = world.s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}{KEY}")["VersionId"]
    assert world.retentions.retention(KEY, VersionId(current)) is None


def test_the_request_names_the_version_and_the_mode_proves_its_body_and_asks_for_no_bypass(world: World) -> None:
    world.retentions.lock(KEY, world.version_id, UNTIL)
    (query, headers, body) = (world.sent.queries[-1], world.sent.headers[-1], world.sent.bodies[-1])
    assert f"versionId={world.version_id}" in query
    assert "retention" in query
    assert b"<Mode>GOVERNANCE</Mode>" in body
    assert b"2099-01-01T00:00:00" in body
    assert not [name for name in headers if "bypass" in name]
    assert "content-md5" in headers or any(name.startswith("x-amz-checksum") for name in headers)


def test_what_s3_tells_is_read_as_it_is(world: World) -> None:
    kept = {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL + timedelta(milliseconds=400)}
    world.s3.put_object_retention(
        Bucket=BUCKET,
        Key=f"{PREFIX}{KEY}",
        VersionId=world.version_id,
        Retention=kept,  # type: ignore[arg-type]
    )
    assert world.retentions.retention(KEY, world.version_id) == Lock("COMPLIANCE", UNTIL)


@pytest.mark.parametrize("code", ["NoSuchVersion", "NoSuchKey", "MethodNotAllowed"])
def test_a_version_that_is_gone_is_told_from_a_refusal(world: World, code: str) -> None:
    world.answer(404, code, times=2)
    with pytest.raises(VersionGone):
        world.retentions.retention(KEY, world.version_id)
    with pytest.raises(VersionGone):
        world.retentions.lock(KEY, world.version_id, UNTIL)


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (400, "InvalidRequest"), (400, "Surprise")])
def test_a_refusal_is_named_by_s3s_code(world: World, status: int, code: str) -> None:
    world.answer(status, code, times=2)
    with pytest.raises(LockRefused, match=rf"^{code}$"):
        world.retentions.retention(KEY, world.version_id)
    with pytest.raises(LockRefused, match=rf"^{code}$"):
        world.retentions.lock(KEY, world.version_id, UNTIL)


def test_throttling_is_waited_out(world: World) -> None:
    world.answer(503, "SlowDown")
    world.retentions.lock(KEY, world.version_id, UNTIL)
    assert len(world.sent.queries) == 2
    assert world.retentions.retention(KEY, world.version_id) == Lock("GOVERNANCE", UNTIL)


def test_a_connection_that_fails_is_a_refusal_named_by_its_client(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    world.sent.answers.extend(ConnectTimeoutError(endpoint_url="https://s3") for _ in range(40))
    with pytest.raises(LockRefused, match=r"^ConnectTimeoutError$"):
        world.retentions.retention(KEY, world.version_id)
    with pytest.raises(LockRefused, match=r"^ConnectTimeoutError$"):
        world.retentions.lock(KEY, world.version_id, UNTIL)


# --- going on with a listing ---------------------------------------------------------------------------------------


def test_a_listing_goes_on_after_a_key_with_everything_that_follows_and_nothing_of_the_key(world: World) -> None:
    for key in ("data/a", "data/a", "data/b", "index/c"):
        world.s3.put_object(Bucket=BUCKET, Key=PREFIX + key, Body=b"x")
    world.s3.delete_object(Bucket=BUCKET, Key=f"{PREFIX}data/b")
    world.s3.put_object(Bucket=BUCKET, Key="restic/beta/data/a", Body=b"another repository's")
    lister = S3VersionLister(world.s3, BUCKET, PREFIX)
    everything = list(lister.versions())
    assert list(lister.after(None)) == everything
    for key in sorted({entry.key for entry in everything}):
        assert list(lister.after(key)) == [entry for entry in everything if entry.key > key]
    assert any(isinstance(entry, DeleteMarker) for entry in lister.after(ObjectKey("data/a")))
    assert next(iter(lister.after(ObjectKey("data/aa")))).key == "data/b"


# --- the report -----------------------------------------------------------------------------------------------------


def a_report(name: str = "alpha") -> LockReport:
    return LockReport(
        repository=RepositoryName(name),
        begun_at=NOON,
        made_at=at(60),
        object_lock=True,
        lock_days=14,
        done_until=ObjectKey("data/\x00ü"),
        states=(
            StateLocks(
                state=StateId(sha256("one")),
                generation=1,
                cut_time=NOON,
                versions=9,
                looked_at=8,
                unlocked=1,
                earliest=at(86_400),
            ),
        ),
        looked_at=8,
        refused=(Refused(why="AccessDenied", versions=1),),
    )


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoLockReports]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("dynamodb")
        create_table(client, "operations")
        yield DynamoLockReports(client, "operations")


def test_a_report_is_read_back_as_it_was_written_and_the_next_one_takes_its_place(reports: DynamoLockReports) -> None:
    assert reports.newest(RepositoryName("alpha")) is None
    reports.append(a_report())
    assert reports.newest(RepositoryName("alpha")) == a_report()
    assert reports.newest(RepositoryName("beta")) is None
    later = a_report().model_copy(update={"made_at": at(120), "done_until": None})
    reports.append(later)
    assert reports.newest(RepositoryName("alpha")) == later


def test_a_report_lies_in_a_partition_of_its_own(reports: DynamoLockReports) -> None:
    reports.append(a_report())
    client = boto3.client("dynamodb")
    (item,) = client.scan(TableName="operations")["Items"]
    assert (item["pk"], item["sk"]) == ({"S": "locks#alpha"}, {"S": "newest"})


def test_a_report_of_another_repository_or_of_another_format_is_not_believed(reports: DynamoLockReports) -> None:
    client = boto3.client("dynamodb")
    for content in (a_report("beta").canonical(), b'{"format":2}'):
        client.put_item(
            TableName="operations",
            Item={"pk": {"S": "locks#alpha"}, "sk": {"S": "newest"}, "document": {"B": content}},
        )
        with pytest.raises(UnreadableDocument):
            reports.newest(RepositoryName("alpha"))

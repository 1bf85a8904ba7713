"""Thawing by boto3 against the strict fake over HTTP: what S3 says of a version in an archive class."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from functions.domain.ports import Archived, Thaw, ThawRefused
from functions.domain.restore.request import Tier
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.aws import is_passing
from functions.storage.thawing import KEPT_DAYS, S3ThawedReader, S3Thawer
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server
from tests.storage.test_direct import a_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCE = "the-source"


@pytest.fixture
def server() -> Iterator[S3Server]:
    fake = FakeS3()
    fake.create_bucket(SOURCE, object_lock=True)
    fake.thaw_takes = timedelta(hours=4)
    with S3Server(fake) as running:
        yield running


@pytest.fixture
def s3(server: S3Server) -> FakeS3:
    return server.fake


@pytest.fixture
def client(server: S3Server) -> Iterator["S3Client"]:
    made = a_client(server.endpoint)
    yield made
    made.close()


def put(s3: FakeS3, storage_class: str = "GLACIER", key: str = "a b/pack") -> ObjectVersion:
    version = s3.put(SOURCE, f"from/{key}", b"hello")
    if storage_class != "STANDARD":
        s3.transition(SOURCE, f"from/{key}", storage_class)
    return pinned(key, version.version_id, storage_class)


def pinned(key: str, version_id: str, storage_class: str = "GLACIER") -> ObjectVersion:
    return ObjectVersion(ObjectKey(key), VersionId(version_id), 5, datetime(2026, 1, 1, tzinfo=UTC), "", storage_class)


def a_thawer(client: "S3Client", tier: Tier = "Standard") -> S3Thawer:
    return S3Thawer(client, SOURCE, "from/", tier)


def test_exactly_the_pinned_version_is_brought_back_for_a_week(s3: FakeS3, client: "S3Client") -> None:
    version = put(s3)
    newer = put(s3)
    assert a_thawer(client).thaw(version) is Thaw.UNDER_WAY
    s3.clock.advance(4 * 3600)
    back = {entry.version.version_id: entry.version for entry in s3.everything(SOURCE)}
    assert back[newer.version_id].thawed_from is None
    thawed = back[version.version_id]
    assert thawed.thawed_until is not None
    assert thawed.thawed_from is not None
    assert thawed.thawed_until - thawed.thawed_from == timedelta(days=KEPT_DAYS)


def test_to_ask_again_is_no_harm(s3: FakeS3, client: "S3Client") -> None:
    version = put(s3)
    thawer = a_thawer(client)
    assert [thawer.thaw(version), thawer.thaw(version)] == [Thaw.UNDER_WAY, Thaw.UNDER_WAY]
    s3.clock.advance(4 * 3600)
    assert thawer.thaw(version) is Thaw.BACK


@pytest.mark.parametrize("storage_class", ["STANDARD", "STANDARD_IA", "GLACIER_IR"])
def test_what_is_in_no_archive_class_needs_no_thaw(s3: FakeS3, client: "S3Client", storage_class: str) -> None:
    assert a_thawer(client).thaw(put(s3, storage_class)) is Thaw.NOT_ARCHIVED


def test_a_version_that_is_gone_is_gone(s3: FakeS3, client: "S3Client") -> None:
    version = put(s3)
    s3.delete_version(SOURCE, f"from/{version.key}", version.version_id)
    with pytest.raises(VersionGone):
        a_thawer(client).thaw(version)


def test_what_s3_does_not_do_is_told_with_what_would_do(s3: FakeS3, client: "S3Client") -> None:
    deep = put(s3, "DEEP_ARCHIVE")
    with pytest.raises(ThawRefused, match="ask again with --thaw Standard"):
        a_thawer(client, "Expedited").thaw(deep)
    s3.access.deny("owner", ["s3:RestoreObject"], SOURCE)
    with pytest.raises(ThawRefused, match=f"S3 denies s3:RestoreObject on {SOURCE}"):
        a_thawer(client).thaw(deep)


def test_no_capacity_for_expedited_is_told() -> None:
    client = a_client(None)
    with Stubber(client) as answers:
        answers.add_client_error("restore_object", "GlacierExpeditedRetrievalNotAvailable", http_status_code=503)
        with pytest.raises(ThawRefused, match="no capacity for Expedited now"):
            a_thawer(client, "Expedited").thaw(pinned("pack", "v1"))


def test_for_how_long_is_not_said_of_intelligent_tiering() -> None:
    """S3 refuses the days there: what comes back stays."""
    client = a_client(None)
    with Stubber(client) as answers:
        answers.add_response(
            "restore_object",
            {"ResponseMetadata": {"HTTPStatusCode": 202}},
            {
                "Bucket": SOURCE,
                "Key": "from/pack",
                "VersionId": "v1",
                "RestoreRequest": {"GlacierJobParameters": {"Tier": "Standard"}},
            },
        )
        assert a_thawer(client).thaw(pinned("pack", "v1", "INTELLIGENT_TIERING")) is Thaw.UNDER_WAY


def test_any_other_error_is_not_taken_for_something_it_is_not() -> None:
    client = a_client(None)
    with Stubber(client) as answers:
        answers.add_client_error("restore_object", "SlowDown", http_status_code=503)
        with pytest.raises(ClientError) as raised:
            a_thawer(client).thaw(pinned("pack", "v1"))
        assert is_passing(raised.value)


def test_what_is_archived_is_told_from_what_is_gone_when_it_is_read(s3: FakeS3, client: "S3Client") -> None:
    version = put(s3)
    reader = S3ThawedReader(client, SOURCE, "from/")
    with pytest.raises(Archived, match="a b/pack lies in an archive class"):
        reader.read(version.key, version.version_id)
    a_thawer(client).thaw(version)
    s3.clock.advance(4 * 3600)
    assert b"".join(reader.read(version.key, version.version_id)) == b"hello"
    s3.delete_version(SOURCE, f"from/{version.key}", version.version_id)
    with pytest.raises(VersionGone):
        reader.read(version.key, version.version_id)
    s3.access.deny("owner", ["s3:GetObjectVersion"], SOURCE)
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.read(version.key, version.version_id)

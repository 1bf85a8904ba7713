"""Copies in parts, locked copies, and copies that are only tried, by boto3 against the strict fake over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from functions.domain.ports import Archived, TargetDenied, TargetMissing
from functions.domain.restore.target import LARGEST_COPY, MOST_PARTS, part_size
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.aws import is_passing
from functions.storage.direct import Direct
from functions.storage.target import Copying, S3TargetFacts, S3TargetReader, S3VersionCopier, target_client
from tests.builders import sha256
from tests.fakes.faults import Call, CallLog, FailOnce, Moment
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_errors import InternalError, SlowDown
from tests.fakes.s3_model import Attributes, DefaultRetention, LockMode
from tests.fakes.s3_server import S3Server
from tests.storage.test_direct import SOURCE, TARGET, LateError, a_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 5 << 20
CONTENT = bytes(range(256)) * 45_000
"""11.5 MB: two parts and a shorter third one."""


@pytest.fixture
def server() -> Iterator[S3Server]:
    fake = FakeS3()
    for bucket in (SOURCE, TARGET):
        fake.create_bucket(bucket, object_lock=True)
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


def a_copier(
    client: "S3Client", *, until: datetime | None = None, target: str = TARGET, direct: Direct | None = None
) -> S3VersionCopier:
    return S3VersionCopier(
        client,
        source_bucket=SOURCE,
        source_key_prefix="from/",
        target_bucket=target,
        target_key_prefix="into/",
        copying=Copying(locked_until=until, largest=PART, part=lambda _size: PART, parts_at_once=3),
        direct=direct,
    )


def put(s3: FakeS3, key: str, content: bytes, attributes: Attributes | None = None) -> ObjectVersion:
    version = s3.put(SOURCE, f"from/{key}", content, attributes or Attributes())
    return ObjectVersion(
        ObjectKey(key),
        VersionId(version.version_id),
        version.size,
        version.last_modified,
        version.etag,
        version.storage_class,
    )


def uploads(s3: FakeS3) -> list[str]:
    return [each.key for each in s3.list_multipart_uploads(TARGET)]


# --- in parts --------------------------------------------------------------------------------------


def test_what_is_too_large_for_one_call_is_copied_in_parts_of_the_pinned_version(
    s3: FakeS3, client: "S3Client"
) -> None:
    version = put(s3, "large", CONTENT)
    put(s3, "large", b"newer")
    log = CallLog()
    s3.hook = log
    assert a_copier(client).copy(version) is None, "a hash over the hashes of parts proves no name"
    assert log.count()["UploadPartCopy"] == 3
    assert log.count()["CopyObject"] == 0
    reader = S3TargetReader(client, TARGET, "into/")
    assert b"".join(reader.read(ObjectKey("large"))) == CONTENT
    assert reader.stored_sha256(ObjectKey("large")) is None
    assert s3.get(TARGET, "into/large").checksum_type == "COMPOSITE"
    assert uploads(s3) == []


def test_what_describes_the_bytes_goes_along(s3: FakeS3, client: "S3Client") -> None:
    described = Attributes(content_type="text/x-pack", metadata={"mtime": "1795351234"})
    for key, content in (("large", CONTENT), ("small", b"hello")):
        a_copier(client).copy(put(s3, key, content, described))
        copied = s3.get(TARGET, f"into/{key}")
        assert (copied.content_type, dict(copied.metadata)) == ("text/x-pack", {"mtime": "1795351234"})


@pytest.mark.parametrize(
    ("operation", "at"), [("UploadPartCopy", 1), ("UploadPartCopy", 2), ("CompleteMultipartUpload", 1)]
)
def test_an_upload_that_fails_is_aborted_and_no_other_is_touched(
    s3: FakeS3, client: "S3Client", operation: str, at: int
) -> None:
    s3.create_multipart_upload(TARGET, "into/large")
    s3.hook = FailOnce(at, Moment.BEFORE, SlowDown, (operation,))
    with pytest.raises(ClientError) as raised:
        a_copier(client).copy(put(s3, "large", CONTENT))
    assert is_passing(raised.value)
    assert uploads(s3) == ["into/large"], "somebody else's"
    assert s3.everything(TARGET) == []


def test_an_error_within_the_200_that_completes_an_upload_is_an_error(s3: FakeS3, client: "S3Client") -> None:
    s3.hook = FailOnce(1, Moment.BEFORE, LateError, ("CompleteMultipartUpload",))
    with pytest.raises(ClientError, match="InternalError"):
        a_copier(client).copy(put(s3, "large", CONTENT))
    assert uploads(s3) == []


def test_what_cannot_be_aborted_is_told_by_what_failed_first(s3: FakeS3, client: "S3Client") -> None:
    def fail(call: Call) -> None:
        if call.operation in ("UploadPartCopy", "AbortMultipartUpload"):
            raise InternalError(call.operation)

    s3.hook = fail
    with pytest.raises(ClientError, match="UploadPartCopy"):
        a_copier(client).copy(put(s3, "large", CONTENT))


def test_after_a_part_that_failed_no_further_ones_are_begun(s3: FakeS3, client: "S3Client") -> None:
    log = CallLog()

    def fail(call: Call) -> None:
        log(call)
        if call.operation == "UploadPartCopy":
            raise InternalError

    copier = S3VersionCopier(
        client,
        source_bucket=SOURCE,
        source_key_prefix="from/",
        target_bucket=TARGET,
        target_key_prefix="into/",
        copying=Copying(largest=1, part=lambda _size: 100, parts_at_once=2),
    )
    version = put(s3, "large", b"x" * 10_000)
    s3.hook = fail
    with pytest.raises(ClientError):
        copier.copy(version)
    assert log.count()["UploadPartCopy"] < 20


def test_a_version_whose_bytes_are_others_than_were_recorded_is_not_copied_in_parts(
    s3: FakeS3, client: "S3Client"
) -> None:
    """A `null` version is replaced by the next one that is written so."""
    version = replace(put(s3, "large", CONTENT), etag="0" * 32)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        a_copier(client).copy(version)
    assert (uploads(s3), s3.everything(TARGET)) == ([], [])


@pytest.mark.parametrize("size", [LARGEST_COPY + 1, 5 << 40, MOST_PARTS * LARGEST_COPY])
def test_there_are_never_more_parts_nor_larger_ones_than_s3_takes(size: int) -> None:
    part = part_size(size)
    assert 5 << 20 <= part <= LARGEST_COPY
    assert -(-size // part) <= MOST_PARTS


@pytest.mark.parametrize("content", [CONTENT, b"hello"], ids=["in parts", "whole"])
def test_a_version_that_is_gone_is_gone_however_it_is_copied(s3: FakeS3, client: "S3Client", content: bytes) -> None:
    gone = put(s3, "key", content)
    s3.delete_version(SOURCE, "from/key", gone.version_id)
    with pytest.raises(VersionGone):
        a_copier(client).copy(gone)
    marker = s3.delete(SOURCE, "from/key").marker_version_id
    with pytest.raises(VersionGone):
        a_copier(client).copy(replace(gone, version_id=VersionId(marker)))


@pytest.mark.parametrize("content", [CONTENT, b"hello"], ids=["in parts", "whole"])
def test_what_lies_in_an_archive_class_says_so_however_it_is_copied(
    s3: FakeS3, client: "S3Client", content: bytes
) -> None:
    version = put(s3, "key", content)
    s3.transition(SOURCE, "from/key", "DEEP_ARCHIVE")
    with pytest.raises(Archived, match="key lies in an archive class"):
        a_copier(client).copy(version)
    assert uploads(s3) == []
    s3.thaw(SOURCE, "from/key", version.version_id, days=1)
    a_copier(client).copy(version)
    assert s3.get(TARGET, "into/key").body == content
    assert s3.get(TARGET, "into/key").storage_class == "STANDARD"


# --- locks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["in parts", "by boto3", "directly"])
def test_a_copy_is_locked_until_then_in_governance_mode(s3: FakeS3, client: "S3Client", way: str) -> None:
    until = s3.clock.second() + timedelta(days=30)
    direct = Direct(client, TARGET) if way == "directly" else None
    log = CallLog()
    s3.hook = log
    a_copier(client, until=until, direct=direct).copy(put(s3, "key", CONTENT if way == "in parts" else b"hello"))
    held = s3.get(TARGET, "into/key").retention
    assert held is not None
    assert (held.mode, held.until) == (LockMode.GOVERNANCE, until)
    assert log.count()["CopyObject"] == (0 if way == "in parts" else 1)
    if direct:
        direct.close()


def test_the_lock_of_a_source_does_not_go_along(s3: FakeS3, client: "S3Client") -> None:
    s3.put_lock_configuration(SOURCE, DefaultRetention(LockMode.COMPLIANCE, 90))
    a_copier(client).copy(put(s3, "key", b"hello"))
    assert s3.get(TARGET, "into/key").retention is None


def test_what_locks_a_target_has_is_known(s3: FakeS3, client: "S3Client") -> None:
    facts = S3TargetFacts(client, TARGET)
    assert (facts.lock().enabled, facts.lock().default_days) == (True, 0)
    s3.put_lock_configuration(TARGET, DefaultRetention(LockMode.COMPLIANCE, 90))
    assert facts.lock().default_days == 90
    s3.create_bucket("plain")
    assert not S3TargetFacts(client, "plain").lock().enabled
    with pytest.raises(TargetMissing):
        S3TargetFacts(client, "nowhere").lock()
    s3.access.deny("owner", ["s3:GetBucketObjectLockConfiguration"], TARGET)
    with pytest.raises(TargetDenied, match="s3:GetBucketObjectLockConfiguration"):
        facts.lock()


# --- trying ----------------------------------------------------------------------------------------


def test_a_copy_that_is_tried_is_not_made(s3: FakeS3, client: "S3Client") -> None:
    a_copier(client).rehearse(put(s3, "key", b"hello"))
    assert s3.everything(TARGET) == []


@pytest.mark.parametrize(
    ("action", "bucket"), [("s3:PutObject", TARGET), ("s3:GetObjectVersion", SOURCE), ("s3:PutObjectRetention", TARGET)]
)
def test_what_is_denied_is_named_with_its_bucket(s3: FakeS3, client: "S3Client", action: str, bucket: str) -> None:
    version = put(s3, "key", b"hello")
    s3.access.deny("owner", [action], bucket)
    until = s3.clock.second() + timedelta(days=30)
    with pytest.raises(TargetDenied, match=f"^S3 denies {action} on {bucket}$"):
        a_copier(client, until=until).rehearse(version)
    assert s3.everything(TARGET) == []


@pytest.mark.parametrize(("action", "bucket"), [("s3:PutObject", TARGET), ("s3:GetObjectVersion", SOURCE)])
def test_what_is_denied_is_found_out_where_s3_does_not_say(
    s3: FakeS3, client: "S3Client", action: str, bucket: str
) -> None:
    version = put(s3, "key", b"hello")
    s3.access.deny("owner", [action], bucket)

    def silent(**told: object) -> None:
        answer = told["parsed"]
        assert isinstance(answer, dict)
        if "Error" in answer:
            answer["Error"]["Message"] = "Access Denied"

    client.meta.events.register("after-call.s3.CopyObject", silent)
    with pytest.raises(TargetDenied, match=f"^S3 denies {action} on {bucket}$"):
        a_copier(client).rehearse(version)


def test_a_target_that_is_not_there_is_missing_when_it_is_tried(s3: FakeS3, client: "S3Client") -> None:
    version = put(s3, "key", b"hello")
    with pytest.raises(TargetMissing):
        a_copier(client, target="nowhere").rehearse(version)


# --- where a target is -----------------------------------------------------------------------------


@dataclass(slots=True)
class Made:
    """Makes the same client for any region, and remembers for which."""

    client: "S3Client"
    regions: list[str] = field(default_factory=list)

    def __call__(self, region: str) -> "S3Client":
        self.regions.append(region)
        return self.client


def test_a_target_elsewhere_is_asked_in_its_own_region(s3: FakeS3, client: "S3Client") -> None:
    s3.create_bucket("there", region="eu-north-1")
    made = Made(client)
    assert target_client(client, TARGET, made) is client
    assert made.regions == []
    target_client(client, "there", made)
    assert made.regions == ["eu-north-1"]


def test_where_a_target_is_s3_tells_also_who_is_denied_all_else(s3: FakeS3, client: "S3Client") -> None:
    s3.create_bucket("there", region="eu-north-1")
    s3.access.deny("owner", ["s3:*"], "there")
    made = Made(client)
    target_client(client, "there", made)
    assert made.regions == ["eu-north-1"]


def test_a_target_that_nobody_has_is_missing(client: "S3Client") -> None:
    with pytest.raises(TargetMissing, match="there is no bucket nowhere"):
        target_client(client, "nowhere", lambda _region: client)


def test_the_current_version_of_a_target_is_known(s3: FakeS3, client: "S3Client") -> None:
    s3.put(TARGET, "into/key", b"old")
    newest = s3.put(TARGET, "into/key", b"new")
    assert S3TargetReader(client, TARGET, "into/").version(ObjectKey("key")) == newest.version_id


def test_reading_back_is_one_request(s3: FakeS3, client: "S3Client") -> None:
    s3.put(TARGET, "into/key", b"hello")
    log = CallLog()
    s3.hook = log
    assert S3TargetReader(client, TARGET, "into/").sha256(ObjectKey("key")) == sha256("hello")
    assert log.count() == {"GetObject": 1}


def test_a_time_in_a_lock_is_a_whole_second_of_utc(s3: FakeS3, client: "S3Client") -> None:
    until = (s3.clock.second() + timedelta(days=3)).astimezone(UTC)
    direct = Direct(client, TARGET)
    a_copier(client, until=until, direct=direct).copy(put(s3, "key", b"hello"))
    held = s3.get(TARGET, "into/key").retention
    assert held is not None
    assert held.until == until
    direct.close()

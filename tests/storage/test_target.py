"""The ports of a restore's target, one suite over three worlds: the strict fake's own ports, boto3 against the
strict fake over HTTP, and boto3 against moto."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws

from functions.domain.ports import (
    TargetChanged,
    TargetDenied,
    TargetGone,
    TargetLister,
    TargetMissing,
    TargetReader,
    VersionCopier,
)
from functions.domain.structure.reading import RangedReader
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.target import S3TargetLister, S3TargetRangedReader, S3TargetReader, S3VersionCopier
from tests.builders import sha256
from tests.fakes.ports import FakeTargetLister, FakeTargetRangedReader, FakeTargetReader, FakeVersionCopier
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCE, TARGET = "the-source", "rwm-restore-here"
ODD = ("a b", "a+b", "a%20b", "100%", "ümlaut/ß", "日本/語", "d?q=1&r#f", "😀", "(x)'!*~", "deep/er/and/er")


@dataclass(frozen=True, slots=True)
class Place:
    """A source and a target bucket somewhere, with what writes to them and the ports over them."""

    put: Callable[[str, str, bytes], str]
    """Put an object into a bucket; its version id."""
    hide: Callable[[str, str], str]
    """Delete without a version id; the marker's id."""
    lister: Callable[[str, str], TargetLister]
    reader: Callable[[str, str], TargetReader]
    ranges: Callable[[str, str], RangedReader]
    copier: Callable[[str, str, str], VersionCopier]
    """(source prefix, target bucket, target prefix)"""


def over_boto3(client: "S3Client") -> Place:
    def put(bucket: str, key: str, content: bytes) -> str:
        return client.put_object(Bucket=bucket, Key=key, Body=content)["VersionId"]

    return Place(
        put=put,
        hide=lambda bucket, key: client.delete_object(Bucket=bucket, Key=key)["VersionId"],
        lister=lambda bucket, prefix: S3TargetLister(client, bucket, prefix),
        reader=lambda bucket, prefix: S3TargetReader(client, bucket, prefix),
        ranges=lambda bucket, prefix: S3TargetRangedReader(client, bucket, prefix),
        copier=lambda source_prefix, target, prefix: S3VersionCopier(
            client,
            source_bucket=SOURCE,
            source_key_prefix=source_prefix,
            target_bucket=target,
            target_key_prefix=prefix,
        ),
    )


def over_the_fake(s3: FakeS3) -> Place:
    return Place(
        put=lambda bucket, key, content: s3.put(bucket, key, content).version_id,
        hide=lambda bucket, key: s3.delete(bucket, key).marker_version_id,
        lister=lambda bucket, prefix: FakeTargetLister(s3, bucket, prefix),
        reader=lambda bucket, prefix: FakeTargetReader(s3, bucket, prefix),
        ranges=lambda bucket, prefix: FakeTargetRangedReader(s3, bucket, prefix),
        copier=lambda source_prefix, target, prefix: FakeVersionCopier(s3, SOURCE, target, source_prefix, prefix),
    )


@contextmanager
def fake_ports() -> Iterator[Place]:
    s3 = FakeS3()
    for bucket in (SOURCE, TARGET):
        s3.create_bucket(bucket, object_lock=True)
    yield over_the_fake(s3)


def a_client(endpoint: str | None = None) -> "S3Client":
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="owner",
        aws_secret_access_key="any",
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


def with_buckets(client: "S3Client") -> "S3Client":
    for bucket in (SOURCE, TARGET):
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return client


@contextmanager
def fake_over_http() -> Iterator[Place]:
    with S3Server() as server:
        client = with_buckets(a_client(server.endpoint))
        yield over_boto3(client)
        client.close()


@contextmanager
def moto() -> Iterator[Place]:
    with mock_aws():
        yield over_boto3(with_buckets(a_client()))


@pytest.fixture(params=[fake_ports, fake_over_http, moto], ids=lambda make: make.__name__)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with request.param() as made:
        yield made


def pinned(key: str, version_id: str, size: int = 5) -> ObjectVersion:
    return ObjectVersion(ObjectKey(key), VersionId(version_id), size, datetime(2026, 1, 1, tzinfo=UTC), "", "STANDARD")


# --- listing ---------------------------------------------------------------------------------------


def test_a_listing_holds_the_current_objects_under_the_prefix_in_key_order(place: Place) -> None:
    for key in ("into/b", "into/a", "into/a", "into/hidden", "intox", "beside", "into/data/00/x"):
        place.put(TARGET, key, key.encode())
    place.hide(TARGET, "into/hidden")
    assert list(place.lister(TARGET, "into/").objects()) == [("a", 6), ("b", 6), ("data/00/x", 14)]
    assert [key for key, _ in place.lister(TARGET, "").objects()] == [
        "beside",
        "into/a",
        "into/b",
        "into/data/00/x",
        "intox",
    ]


def test_an_empty_target_lists_nothing(place: Place) -> None:
    assert list(place.lister(TARGET, "into/").objects()) == []


def test_a_target_that_does_not_exist_is_missing(place: Place) -> None:
    with pytest.raises(TargetMissing, match="there is no bucket rwm-restore-nowhere"):
        list(place.lister("rwm-restore-nowhere", "").objects())


def test_keys_are_listed_as_they_are(place: Place) -> None:
    for key in ODD:
        place.put(TARGET, f"into/{key}", b"x")
    assert [key for key, _ in place.lister(TARGET, "into/").objects()] == sorted(ODD)


BOUNDS = [("b", "d"), ("a", "a"), ("b0", "c~"), ("a", "zz"), ("aa", "b"), ("é", "ê"), ("!", "~"), ("d/x", "d/x")]


@pytest.mark.parametrize("prefix", ["", "into/"])
def test_bounds_are_both_included(place: Place, prefix: str) -> None:
    keys = ["!", "a", "aa", "b", "b0", "b00", "c", "c~", "d", "d/x", "e", "zz", "~", "é", "ê"]
    for key in keys:
        place.put(TARGET, prefix + key, b"")
    for first, last in BOUNDS:
        listed = [key for key, _ in place.lister(TARGET, prefix).objects(ObjectKey(first), ObjectKey(last))]
        assert listed == [key for key in keys if first <= key <= last], (first, last)


def test_a_listing_goes_on_past_a_page() -> None:
    with fake_ports() as fake, fake_over_http() as http, moto() as mocked:
        for place in (fake, http, mocked):
            for number in range(1001):
                place.put(TARGET, f"{number:04}", b"")
            assert len(list(place.lister(TARGET, "").objects())) == 1001
            bounded = place.lister(TARGET, "").objects(ObjectKey("0003"), ObjectKey("1000"))
            assert [key for key, _ in bounded] == [f"{number:04}" for number in range(3, 1001)]


# --- copying and reading ---------------------------------------------------------------------------


@pytest.mark.parametrize(("source_prefix", "target_prefix"), [("", ""), ("restic/beta/", "into/")])
def test_exactly_the_pinned_version_is_copied_and_its_sha256_returned(
    place: Place, source_prefix: str, target_prefix: str
) -> None:
    version_id = place.put(SOURCE, f"{source_prefix}config", b"hello")
    place.put(SOURCE, f"{source_prefix}config", b"newer")
    place.hide(SOURCE, f"{source_prefix}config")
    copied = place.copier(source_prefix, TARGET, target_prefix).copy(pinned("config", version_id))
    reader = place.reader(TARGET, target_prefix)
    assert b"".join(reader.read(ObjectKey("config"))) == b"hello"
    assert copied == reader.stored_sha256(ObjectKey("config")) == sha256("hello")


def test_a_key_is_copied_to_the_same_key_whatever_it_holds(place: Place) -> None:
    for key in ODD:
        version_id = place.put(SOURCE, f"restic/{key}", key.encode())
        place.copier("restic/", TARGET, "into/").copy(pinned(key, version_id))
    assert [found for found, _ in place.lister(TARGET, "into/").objects()] == sorted(ODD)
    for key in ODD:
        assert b"".join(place.reader(TARGET, "into/").read(ObjectKey(key))) == key.encode()


def test_an_empty_object_is_copied_and_proven(place: Place) -> None:
    version_id = place.put(SOURCE, "empty", b"")
    assert place.copier("", TARGET, "").copy(pinned("empty", version_id, 0)) == sha256("")
    assert b"".join(place.reader(TARGET, "").read(ObjectKey("empty"))) == b""


def test_an_object_that_nobody_hashed_has_no_sha256(place: Place) -> None:
    place.put(TARGET, "config", b"hello")
    assert place.reader(TARGET, "").stored_sha256(ObjectKey("config")) is None


def test_a_large_object_is_read_in_pieces(place: Place) -> None:
    place.put(TARGET, "pack", b"12345678" * (1 << 18))
    pieces = list(place.reader(TARGET, "").read(ObjectKey("pack")))
    assert len(pieces) >= 2
    assert b"".join(pieces) == b"12345678" * (1 << 18)


def test_an_object_that_is_not_there_is_gone(place: Place) -> None:
    reader = place.reader(TARGET, "")
    with pytest.raises(TargetGone):
        reader.stored_sha256(ObjectKey("config"))
    with pytest.raises(TargetGone, match="config is no longer in"):
        reader.read(ObjectKey("config"))


def test_copying_into_a_bucket_that_does_not_exist_says_so(place: Place) -> None:
    version_id = place.put(SOURCE, "config", b"hello")
    with pytest.raises(TargetMissing):
        place.copier("", "rwm-restore-nowhere", "").copy(pinned("config", version_id))


def test_a_version_that_no_longer_exists_is_gone(place: Place) -> None:
    place.put(SOURCE, "config", b"hello")
    gone = place.put(SOURCE, "another", b"hello")
    with pytest.raises(VersionGone, match=f"config version {gone} no longer exists"):
        place.copier("", TARGET, "").copy(pinned("config", gone))


def test_a_delete_marker_is_no_version_to_copy(place: Place) -> None:
    place.put(SOURCE, "config", b"hello")
    marker = place.hide(SOURCE, "config")
    with pytest.raises(VersionGone):
        place.copier("", TARGET, "").copy(pinned("config", marker))


def test_a_target_with_a_default_retention_takes_copies() -> None:
    # Not on moto: it asks a copy into a lock bucket for a header that CopyObject does not have.
    with S3Server() as server:
        client = with_buckets(a_client(server.endpoint))
        client.put_object_lock_configuration(
            Bucket=TARGET,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
            },
        )
        version_id = client.put_object(Bucket=SOURCE, Key="config", Body=b"hello")["VersionId"]
        copied = over_boto3(client).copier("", TARGET, "").copy(pinned("config", version_id))
        assert copied == sha256("hello")
        assert client.get_object_retention(Bucket=TARGET, Key="config")["Retention"]["Mode"] == "GOVERNANCE"
        client.close()


# --- reading ranges --------------------------------------------------------------------------------

NO_VERSION = VersionId("of the state")


@pytest.mark.parametrize("prefix", ["", "into/"])
def test_a_range_is_of_what_is_current_in_the_target(place: Place, prefix: str) -> None:
    for content in (b"before", b"0123456789"):
        place.put(TARGET, f"{prefix}pack", content)
    read = place.ranges(TARGET, prefix).read_range
    assert read(ObjectKey("pack"), NO_VERSION, 3, 4) == b"3456"
    assert read(ObjectKey("pack"), NO_VERSION, 0, 10) == b"0123456789"


def test_a_range_beyond_the_end_is_cut_off(place: Place) -> None:
    place.put(TARGET, "pack", b"0123")
    place.put(TARGET, "empty", b"")
    read = place.ranges(TARGET, "").read_range
    assert read(ObjectKey("pack"), NO_VERSION, 2, 100) == b"23"
    assert read(ObjectKey("pack"), NO_VERSION, 4, 1) == b""
    assert read(ObjectKey("pack"), NO_VERSION, 2, 0) == b""
    assert read(ObjectKey("empty"), NO_VERSION, 0, 1) == b""


def test_an_object_that_is_replaced_while_it_is_read_is_noticed(place: Place) -> None:
    place.put(TARGET, "pack", b"0123")
    place.put(TARGET, "other", b"0123")
    reader = place.ranges(TARGET, "")
    reader.read_range(ObjectKey("pack"), NO_VERSION, 0, 2)
    place.put(TARGET, "other", b"4567")
    place.put(TARGET, "pack", b"4567")
    assert reader.read_range(ObjectKey("other"), NO_VERSION, 0, 4) == b"4567", "nothing of it was read before"
    with pytest.raises(TargetChanged):
        reader.read_range(ObjectKey("pack"), NO_VERSION, 2, 2)


def test_an_object_that_is_hidden_while_it_is_read_is_gone(place: Place) -> None:
    place.put(TARGET, "pack", b"0123")
    reader = place.ranges(TARGET, "")
    reader.read_range(ObjectKey("pack"), NO_VERSION, 0, 2)
    place.hide(TARGET, "pack")
    with pytest.raises(VersionGone):
        reader.read_range(ObjectKey("pack"), NO_VERSION, 2, 2)


def test_a_server_without_ranges_answers_with_everything() -> None:
    client = a_client()
    with Stubber(client) as answers:
        answers.add_response("get_object", {"ETag": "one", "Body": StreamingBody(io.BytesIO(b"0123"), 4)})
        assert S3TargetRangedReader(client, TARGET, "").read_range(ObjectKey("pack"), NO_VERSION, 1, 2) == b"12"


def test_an_answer_of_another_object_is_noticed_whatever_the_server_makes_of_a_condition() -> None:
    client = a_client()
    with Stubber(client) as answers:
        for etag in ("one", "other"):
            answers.add_response("get_object", {"ETag": etag, "Body": StreamingBody(io.BytesIO(b"x"), 1)})
        reader = S3TargetRangedReader(client, TARGET, "")
        assert reader.read_range(ObjectKey("pack"), NO_VERSION, 0, 1) == b"x"
        with pytest.raises(TargetChanged, match="was written to while it was read"):
            reader.read_range(ObjectKey("pack"), NO_VERSION, 0, 1)


# --- answers that no server here gives -------------------------------------------------------------


def test_a_checksum_over_parts_proves_nothing() -> None:
    client = a_client()
    with Stubber(client) as answers:
        for checksum in (
            {"ChecksumSHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", "ChecksumType": "COMPOSITE"},
            {"ChecksumSHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=-3"},
            {"ChecksumSHA256": "c2hvcnQ="},
            {"ChecksumCRC64NVME": "AAAAAAAAAAA="},
        ):
            answers.add_response("head_object", checksum)
            assert S3TargetReader(client, TARGET, "").stored_sha256(ObjectKey("config")) is None


@pytest.mark.parametrize("code", ["AccessDenied", "403"])
def test_a_denial_names_the_action(code: str) -> None:
    client = a_client()
    with Stubber(client) as answers:
        answers.add_client_error("list_objects_v2", code, http_status_code=403)
        with pytest.raises(TargetDenied, match=f"S3 denies s3:ListBucket on {TARGET}"):
            list(S3TargetLister(client, TARGET, "").objects())
        answers.add_client_error("head_object", code, http_status_code=403)
        with pytest.raises(TargetDenied, match="s3:GetObject"):
            S3TargetReader(client, TARGET, "").stored_sha256(ObjectKey("config"))
        answers.add_client_error("get_object", code, http_status_code=403)
        with pytest.raises(TargetDenied, match="s3:GetObject"):
            S3TargetRangedReader(client, TARGET, "").read_range(ObjectKey("config"), NO_VERSION, 0, 1)
        answers.add_client_error("copy_object", code, http_status_code=403)
        with pytest.raises(TargetDenied, match="s3:PutObject"):
            over_boto3(client).copier("", TARGET, "").copy(pinned("config", "v"))


@pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationHeaderMalformed", "301"])
def test_a_target_that_lies_elsewhere_is_named_with_its_region(code: str) -> None:
    client = a_client()
    with Stubber(client) as answers:
        where = {"x-amz-bucket-region": "cn-north-1"}
        for told in ({"HTTPHeaders": where}, {}):
            answers.add_client_error(
                "list_objects_v2", code, http_status_code=301, response_meta=told, service_error_meta={}
            )
            region = "in region cn-north-1" if told else "in another region"
            with pytest.raises(TargetDenied, match=f"{TARGET} lies {region}, which cannot be reached from here"):
                list(S3TargetLister(client, TARGET, "").objects())


def test_any_other_error_is_not_taken_for_something_it_is_not() -> None:
    client = a_client()
    with Stubber(client) as answers:
        answers.add_client_error("copy_object", "InvalidRequest", "The copy source is larger than 5 GB")
        with pytest.raises(ClientError, match="larger than 5 GB"):
            over_boto3(client).copier("", TARGET, "").copy(pinned("config", "v"))
        answers.add_client_error("list_objects_v2", "SlowDown", http_status_code=503)
        with pytest.raises(ClientError, match="SlowDown"):
            list(S3TargetLister(client, TARGET, "").objects())

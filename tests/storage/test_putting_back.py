"""What put-back sees and does, one suite over the strict fake's own ports, boto3 against the fake over HTTP, and boto3
against moto; and quarantine's readers over moto."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from functions.domain.ports import CurrentReader, ObjectHider, TargetDenied, VersionReturner
from functions.domain.quarantine import Principal
from functions.domain.restore.current import NOTHING, Current
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId
from functions.storage.checksums import whole_sha256
from functions.storage.putting_back import S3CurrentReader, S3ObjectHider, S3VersionReturner
from functions.storage.quarantine import IamAttachedPolicies, IamQuarantine, S3BucketStatements
from tests.builders import at
from tests.fakes.in_place import FakeCurrentReader, FakeObjectHider, FakeVersionReturner
from tests.fakes.s3 import FakeS3, Integrity
from tests.fakes.s3_model import DefaultRetention, LockMode
from tests.fakes.s3_server import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, PREFIX = "protected", "restic/ a+b%20ß/"
KEY = ObjectKey("data/ümlaut + 100%")


@dataclass(frozen=True, slots=True)
class Place:
    """A versioned bucket somewhere, and the ports over it."""

    put: Callable[[bytes], str]
    """Write under KEY as restic does, which gives no checksum; the version's id."""
    read: Callable[[], bytes]
    reader: CurrentReader
    returner: VersionReturner
    hider: ObjectHider
    versions: Callable[[], int]
    """How many versions and markers there are."""


def over_boto3(client: "S3Client") -> Place:
    def read() -> bytes:
        return client.get_object(Bucket=BUCKET, Key=PREFIX + KEY)["Body"].read()

    def versions() -> int:
        listed = client.list_object_versions(Bucket=BUCKET)
        return len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", []))

    return Place(
        put=lambda content: client.put_object(Bucket=BUCKET, Key=PREFIX + KEY, Body=content)["VersionId"],
        read=read,
        reader=S3CurrentReader(client, BUCKET, PREFIX),
        returner=S3VersionReturner(client, BUCKET, PREFIX),
        hider=S3ObjectHider(client, BUCKET, PREFIX),
        versions=versions,
    )


def a_client(endpoint: str | None = None, principal: str = "owner") -> "S3Client":
    config = Config(
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=principal,
        aws_secret_access_key="x",
        region_name="us-east-1",
        config=config,
    )


def a_fake() -> FakeS3:
    s3 = FakeS3()
    s3.create_bucket(BUCKET, object_lock=True)
    return s3


@pytest.fixture(params=["fake", "boto3 and the fake", "boto3 and moto"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "fake":
        s3 = a_fake()
        yield Place(
            put=lambda content: s3.put(BUCKET, PREFIX + KEY, content).version_id,
            read=lambda: s3.get(BUCKET, PREFIX + KEY).body,
            reader=FakeCurrentReader(s3, BUCKET, PREFIX),
            returner=FakeVersionReturner(s3, BUCKET, PREFIX),
            hider=FakeObjectHider(s3, BUCKET, PREFIX),
            versions=lambda: len(s3.everything(BUCKET)),
        )
    elif request.param == "boto3 and the fake":
        with S3Server(a_fake()) as server:
            yield over_boto3(a_client(server.endpoint))
    else:
        with mock_aws():
            client = a_client()
            client.create_bucket(Bucket=BUCKET)
            client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
            yield over_boto3(client)


def the_version(version_id: str, content: bytes) -> ObjectVersion:
    return ObjectVersion(KEY, VersionId(version_id), len(content), at(0), "", "STANDARD")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_is_current_is_named_by_its_version(place: Place) -> None:
    place.put(b"old")
    newest = place.put(b"newer")
    assert place.reader.current(KEY) == Current(VersionId(newest), 5, None)


def test_of_what_is_hidden_or_was_never_written_nothing_is_current(place: Place) -> None:
    assert place.reader.current(KEY) == NOTHING
    place.put(b"old")
    place.hider.hide(KEY)
    assert place.reader.current(KEY) == NOTHING
    assert place.versions() == 2


def test_a_version_that_is_put_back_is_current_hashed_and_a_version_of_its_own(place: Place) -> None:
    old = place.put(b"old")
    place.put(b"other")
    written = place.returner.put(the_version(old, b"old"))
    assert place.read() == b"old"
    assert written.version_id not in (None, old)
    assert (written.size, written.sha256) == (3, digest(b"old"))
    assert place.versions() == 3
    # What an earlier run wrote is known by it.
    assert place.reader.current(KEY) == written


def test_what_was_hidden_is_put_back_above_its_marker(place: Place) -> None:
    old = place.put(b"old")
    place.hider.hide(KEY)
    place.returner.put(the_version(old, b"old"))
    assert place.read() == b"old"
    assert place.versions() == 3


def test_a_version_that_is_gone_is_told_from_any_other_failure(place: Place) -> None:
    place.put(b"old")
    with pytest.raises(VersionGone):
        place.returner.put(the_version("A" * 32, b"old"))


# --- what only the fake shows ------------------------------------------------------------------------------------


@contextmanager
def over_the_server(principal: str, *actions: str) -> Iterator[tuple[FakeS3, "S3Client"]]:
    fake = a_fake()
    fake.access.allow(principal, list(actions) or ["s3:GetBucketVersioning"])
    with S3Server(fake) as server:
        yield fake, a_client(server.endpoint, principal)


def test_a_marker_is_not_put_back() -> None:
    with over_the_server("put-back", "s3:*") as (fake, client):
        fake.put(BUCKET, PREFIX + KEY, b"old")
        marker = fake.delete(BUCKET, PREFIX + KEY).marker_version_id
        with pytest.raises(VersionGone):
            S3VersionReturner(client, BUCKET, PREFIX).put(the_version(marker, b""))


def test_what_is_denied_is_named() -> None:
    with over_the_server("put-back", "s3:GetObjectVersion", "s3:ListBucket") as (fake, client):
        old = fake.put(BUCKET, PREFIX + KEY, b"old").version_id
        with pytest.raises(TargetDenied, match="s3:GetObject "):
            S3CurrentReader(client, BUCKET, PREFIX).current(KEY)
        with pytest.raises(TargetDenied, match="s3:PutObject"):
            S3VersionReturner(client, BUCKET, PREFIX).put(the_version(old, b"old"))
        with pytest.raises(TargetDenied, match="s3:DeleteObject"):
            S3ObjectHider(client, BUCKET, PREFIX).hide(KEY)


def test_who_may_not_list_does_not_take_denied_for_hidden() -> None:
    with over_the_server("put-back", "s3:GetObject") as (fake, client):
        fake.put(BUCKET, PREFIX + KEY, b"old")
        fake.delete(BUCKET, PREFIX + KEY)
        with pytest.raises(TargetDenied):
            S3CurrentReader(client, BUCKET, PREFIX).current(KEY)


def test_what_is_put_back_keeps_its_storage_class_and_gets_the_buckets_own_lock() -> None:
    """A changed class is a finding, and a copy without one would be STANDARD."""
    with over_the_server("put-back", "s3:*") as (fake, client):
        fake.put_lock_configuration(BUCKET, DefaultRetention(LockMode.GOVERNANCE, 3))
        integrity = Integrity(algorithm="SHA256")
        old = fake.put(BUCKET, PREFIX + KEY, b"old", integrity=integrity).version_id
        fake.transition(BUCKET, PREFIX + KEY, "STANDARD_IA")
        fake.put(BUCKET, PREFIX + KEY, b"other", integrity=integrity)
        version = ObjectVersion(KEY, VersionId(old), 3, at(0), "", "STANDARD_IA")
        S3VersionReturner(client, BUCKET, PREFIX).put(version)
        current = fake.head(BUCKET, PREFIX + KEY)
        assert (current.storage_class, current.locked_by(fake.clock.now())) == ("STANDARD_IA", LockMode.GOVERNANCE)


def test_what_is_too_large_for_one_copy_is_put_back_in_parts_and_has_no_hash_of_its_whole() -> None:
    with over_the_server("put-back", "s3:*") as (fake, client):
        old = fake.put(BUCKET, PREFIX + KEY, b"very large").version_id
        fake.put(BUCKET, PREFIX + KEY, b"other")
        written = S3VersionReturner(client, BUCKET, PREFIX, largest=5).put(the_version(old, b"very large"))
        current = fake.get(BUCKET, PREFIX + KEY)
        assert (current.body, current.parts > 0) == (b"very large", True)
        assert written == Current(VersionId(current.version_id), 10, None)


def test_where_a_copy_is_not_named_what_is_current_then_is_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ceph answers."""
    with over_the_server("put-back", "s3:*") as (fake, client):
        old = fake.put(BUCKET, PREFIX + KEY, b"old").version_id
        fake.put(BUCKET, PREFIX + KEY, b"other")
        copy = client.copy_object
        monkeypatch.setattr(client, "copy_object", lambda **given: {**copy(**given), "VersionId": ""})
        written = S3VersionReturner(client, BUCKET, PREFIX).put(the_version(old, b"old"))
        assert written.version_id == fake.head(BUCKET, PREFIX + KEY).version_id
        assert written.sha256 == digest(b"old")


def test_a_hash_over_hashes_of_parts_is_none() -> None:
    encoded = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    assert whole_sha256(encoded, "FULL_OBJECT") == digest(b"hello")
    assert whole_sha256(encoded, "COMPOSITE") is whole_sha256(None, None) is whole_sha256("?", None) is None
    assert whole_sha256("aGVsbG8=", "FULL_OBJECT") is None


# --- who is in quarantine ------------------------------------------------------------------------------------------

ACCOUNT = "123456789012"
USER, ROLE = Principal(f"arn:aws:iam::{ACCOUNT}:user/team/host"), Principal(f"arn:aws:iam::{ACCOUNT}:role/backup")
DENIES = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}}
)


@pytest.fixture
def iam() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_user(UserName="host", Path="/team/")
        client.create_role(RoleName="backup", AssumeRolePolicyDocument="{}")
        client.create_policy(PolicyName="quarantine", PolicyDocument=DENIES)
        for number in range(3):
            arn = client.create_policy(PolicyName=f"other-{number}", PolicyDocument=DENIES)["Policy"]["Arn"]
            client.attach_role_policy(RoleName="backup", PolicyArn=arn)
        yield client


@pytest.mark.parametrize("principal", [USER, ROLE])
def test_a_policy_is_attached_to_a_user_or_a_role_seen_and_detached(iam: Any, principal: Principal) -> None:
    policy = f"arn:aws:iam::{ACCOUNT}:policy/quarantine"
    quarantine = IamQuarantine(iam)
    before = quarantine.of(principal)
    for _ in range(2):
        quarantine.attach(principal, policy)
        assert IamAttachedPolicies(iam).of(principal) == before | {policy}
    for _ in range(2):
        quarantine.detach(principal, policy)
        assert quarantine.of(principal) == before


def test_who_does_not_exist_has_no_policy(iam: Any) -> None:
    gone = Principal(f"arn:aws:iam::{ACCOUNT}:user/nobody")
    assert IamAttachedPolicies(iam).of(gone) == frozenset()


def test_a_buckets_statements_are_read_and_a_bucket_without_a_policy_has_none() -> None:
    with mock_aws():
        client = a_client()
        client.create_bucket(Bucket=BUCKET)
        assert S3BucketStatements(client, BUCKET).statements() == []
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
        }
        for statements in (statement, [statement]):
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            client.put_bucket_policy(Bucket=BUCKET, Policy=policy)
            assert S3BucketStatements(client, BUCKET).statements() == [statement]

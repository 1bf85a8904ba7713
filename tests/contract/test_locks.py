"""Object Lock: what nobody can destroy, and what an administrator still can."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.contract.backends import Backend
from tests.contract.reading import body_of, entries, put, refused, server_now
from tests.contract.rules import rule

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import ObjectLockRetentionModeType


def retain(
    s3: "S3Client",
    bucket: str,
    version: str,
    mode: "ObjectLockRetentionModeType",
    until: datetime,
    *,
    bypass: bool = False,
) -> None:
    s3.put_object_retention(
        Bucket=bucket,
        Key="config",
        VersionId=version,
        Retention={"Mode": mode, "RetainUntilDate": until},
        # False sends the header as well, and a server may ask for the permission all the same.
        **({"BypassGovernanceRetention": True} if bypass else {}),  # type: ignore[arg-type]
    )


def destroy(s3: "S3Client", bucket: str, version: str, *, bypass: bool = False) -> None:
    s3.delete_object(
        Bucket=bucket,
        Key="config",
        VersionId=version,
        **({"BypassGovernanceRetention": True} if bypass else {}),  # type: ignore[arg-type]
    )


@rule()
def test_governance_refuses_a_version_delete_until_somebody_who_may_bypasses_it(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config", b"bytes")
    retain(s3, bucket, version, "GOVERNANCE", server_now(s3, bucket) + timedelta(days=1))
    with refused("AccessDenied"):
        destroy(s3, bucket, version)
    assert body_of(s3, bucket, "config", version) == b"bytes"
    destroy(s3, bucket, version, bypass=True)
    assert entries(s3, bucket) == []


@rule()
def test_compliance_refuses_a_version_delete_even_with_a_bypass(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config")
    retain(s3, bucket, version, "COMPLIANCE", server_now(s3, bucket) + timedelta(seconds=20))
    with refused("AccessDenied"):
        destroy(s3, bucket, version, bypass=True)


@rule()
def test_a_legal_hold_refuses_a_version_delete_even_with_a_bypass_until_it_is_off(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config")
    s3.put_object_legal_hold(Bucket=bucket, Key="config", VersionId=version, LegalHold={"Status": "ON"})
    assert s3.get_object_legal_hold(Bucket=bucket, Key="config")["LegalHold"]["Status"] == "ON"
    with refused("AccessDenied"):
        destroy(s3, bucket, version, bypass=True)
    s3.put_object_legal_hold(Bucket=bucket, Key="config", VersionId=version, LegalHold={"Status": "OFF"})
    destroy(s3, bucket, version)


@rule()
def test_a_retention_ends_by_the_servers_clock(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config")
    retain(s3, bucket, version, "COMPLIANCE", server_now(s3, bucket) + timedelta(seconds=2))
    with refused("AccessDenied"):
        destroy(s3, bucket, version)
    backend.pass_time(3.5)
    destroy(s3, bucket, version)
    assert entries(s3, bucket) == []


@rule()
def test_a_locked_key_can_be_hidden_and_overwritten_and_its_marker_deleted(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config", b"bytes")
    retain(s3, bucket, version, "COMPLIANCE", server_now(s3, bucket) + timedelta(seconds=20))
    put(s3, bucket, "config", b"garbage")
    marker = s3.delete_object(Bucket=bucket, Key="config")["VersionId"]
    destroy(s3, bucket, marker)
    assert body_of(s3, bucket, "config", version) == b"bytes"


@rule(moto="gives it without showing it")
def test_a_default_retention_is_given_to_every_new_version(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    s3.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}},
        },
    )
    version = put(s3, bucket, "config")
    held = s3.get_object_retention(Bucket=bucket, Key="config", VersionId=version)["Retention"]
    assert held["Mode"] == "GOVERNANCE"
    remaining = held["RetainUntilDate"] - server_now(s3, bucket)
    assert timedelta(days=2, seconds=-60) < remaining <= timedelta(days=2, seconds=1)
    with refused("AccessDenied"):
        destroy(s3, bucket, version)


@rule(moto="lets every retention be changed")
def test_a_retention_can_be_extended_and_not_shortened_without_a_bypass(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version, now = put(s3, bucket, "config"), server_now(s3, bucket)
    retain(s3, bucket, version, "GOVERNANCE", now + timedelta(days=1))
    retain(s3, bucket, version, "GOVERNANCE", now + timedelta(days=3))
    with refused("AccessDenied"):
        retain(s3, bucket, version, "GOVERNANCE", now + timedelta(days=2))
    held = s3.get_object_retention(Bucket=bucket, Key="config", VersionId=version)["Retention"]
    assert held["RetainUntilDate"] > now + timedelta(days=2, hours=23)
    retain(s3, bucket, version, "GOVERNANCE", now + timedelta(days=2), bypass=True)


@rule(moto="lets every retention be changed", ceph="asks for a bypass to harden governance")
def test_governance_can_be_hardened_and_compliance_neither_softened_nor_shortened(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version, now = put(s3, bucket, "config"), server_now(s3, bucket)
    retain(s3, bucket, version, "GOVERNANCE", now + timedelta(seconds=30))
    retain(s3, bucket, version, "COMPLIANCE", now + timedelta(seconds=60))
    with refused("AccessDenied"):
        retain(s3, bucket, version, "GOVERNANCE", now + timedelta(seconds=60), bypass=True)
    with refused("AccessDenied"):
        retain(s3, bucket, version, "COMPLIANCE", now + timedelta(seconds=40), bypass=True)


@rule(moto="accepts it", embedded="accepts it")
def test_a_retention_in_the_past_is_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config")
    with refused("InvalidArgument"):
        retain(s3, bucket, version, "GOVERNANCE", server_now(s3, bucket) - timedelta(days=1))


@rule(moto="suspends it")
def test_versioning_cannot_be_suspended_on_a_lock_bucket(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    with refused("InvalidBucketState"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@rule()
def test_a_lock_bucket_says_so_and_another_says_that_it_is_none(backend: Backend) -> None:
    s3 = backend.s3
    locked, plain = backend.bucket(object_lock=True), backend.bucket()
    answer = s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"]
    assert answer["ObjectLockEnabled"] == "Enabled"
    with refused("ObjectLockConfigurationNotFoundError"):
        s3.get_object_lock_configuration(Bucket=plain)


@rule(moto="refuses it with a code that S3 does not have", embedded="accepts it", ceph="accepts it")
def test_a_locked_put_without_md5_or_checksum_is_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    with refused("InvalidRequest"):
        s3.put_object(
            Bucket=bucket,
            Key="config",
            Body=b"bytes",
            ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=server_now(s3, bucket) + timedelta(days=1),
        )


@rule()
def test_a_bucket_without_object_lock_takes_no_retention(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config")
    with refused("InvalidRequest"):
        retain(s3, bucket, version, "GOVERNANCE", server_now(s3, bucket) + timedelta(days=1))


@rule(moto="accepts it", embedded="accepts it", ceph="accepts it")
def test_the_bypass_header_is_refused_on_a_bucket_without_object_lock(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config")
    with refused("InvalidRequest"):
        destroy(s3, bucket, version, bypass=True)


@rule(moto="reports the locked key without its version id")
def test_a_batch_destroys_what_it_may_and_reports_the_locked_version_in_a_good_answer(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    locked = put(s3, bucket, "config")
    retain(s3, bucket, locked, "GOVERNANCE", server_now(s3, bucket) + timedelta(days=1))
    loose = put(s3, bucket, "loose")
    answer = s3.delete_objects(
        Bucket=bucket,
        Delete={
            "Objects": [{"Key": "config", "VersionId": locked}, {"Key": "loose", "VersionId": loose}],
            "Quiet": False,
        },
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [(done["Key"], done["VersionId"]) for done in answer["Deleted"]] == [("loose", loose)]
    assert [(error["Key"], error["VersionId"], error["Code"]) for error in answer["Errors"]] == [
        ("config", locked, "AccessDenied")
    ]
    assert [entry.version_id for entry in entries(s3, bucket)] == [locked]


@rule(moto="deletes them all", embedded="deletes them all", ceph="refuses it with a 400 without a code")
def test_a_batch_of_more_than_a_thousand_keys_is_refused_whole(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "0")
    objects = [{"Key": str(number)} for number in range(1001)]
    with refused("MalformedXML"):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})  # type: ignore[typeddict-item]
    assert [entry.version_id for entry in entries(s3, bucket)] == [version]


@rule(ceph="carries the source's locks along")
def test_a_copy_carries_no_retention_and_no_legal_hold(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config", b"bytes")
    retain(s3, bucket, version, "GOVERNANCE", server_now(s3, bucket) + timedelta(days=1))
    s3.put_object_legal_hold(Bucket=bucket, Key="config", VersionId=version, LegalHold={"Status": "ON"})
    source = {"Bucket": bucket, "Key": "config", "VersionId": version}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, ChecksumAlgorithm="SHA256")  # type: ignore[arg-type]
    copy = next(entry.version_id for entry in entries(s3, bucket) if entry.key == "copy")
    s3.delete_object(Bucket=bucket, Key="copy", VersionId=copy)
    assert [entry.key for entry in entries(s3, bucket)] == ["config"]

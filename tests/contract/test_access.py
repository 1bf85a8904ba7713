"""The wall: what a principal without the permission is refused, and what then is still there."""

from contextlib import suppress
from datetime import timedelta

from botocore.exceptions import ClientError

from tests.contract.backends import Backend
from tests.contract.reading import body_of, entries, put, refused, server_now
from tests.contract.rules import rule

ASKS_NOBODY = "moto does not ask who may"
HOST = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"]


@rule(moto=ASKS_NOBODY)
def test_who_may_hide_may_not_destroy(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config", b"bytes")
    host = backend.limited(bucket, [*HOST, "s3:DeleteObject"])
    host.delete_object(Bucket=bucket, Key="config")
    with refused("AccessDenied"):
        host.delete_object(Bucket=bucket, Key="config", VersionId=version)
    assert body_of(s3, bucket, "config", version) == b"bytes"


@rule(moto=ASKS_NOBODY)
def test_a_batch_of_version_deletes_is_no_way_around_the_permission(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config", b"bytes")
    host = backend.limited(bucket, [*HOST, "s3:DeleteObject"])
    # Refused whole or key by key: the next rule tells the two apart.
    with suppress(ClientError):
        host.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "config", "VersionId": version}]})
    assert body_of(s3, bucket, "config", version) == b"bytes"


@rule(moto=ASKS_NOBODY, embedded="refuses the whole batch with one AccessDenied")
def test_a_denied_version_delete_in_a_batch_is_an_error_of_its_key(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config", b"bytes")
    host = backend.limited(bucket, [*HOST, "s3:DeleteObject"])
    answer = host.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "config", "VersionId": version}, {"Key": "to hide"}]}
    )
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [("config", "AccessDenied")]
    assert [done["Key"] for done in answer["Deleted"]] == ["to hide"]


@rule(moto=ASKS_NOBODY)
def test_who_may_not_hide_is_refused_and_nothing_is_hidden(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    put(s3, bucket, "config", b"bytes")
    host = backend.limited(bucket, HOST)
    with refused("AccessDenied"):
        host.delete_object(Bucket=bucket, Key="config")
    assert [entry.is_marker for entry in entries(s3, bucket)] == [False]


@rule(moto=ASKS_NOBODY)
def test_who_may_read_objects_may_not_read_what_was_hidden_or_overwritten(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    old = put(s3, bucket, "config", b"old")
    put(s3, bucket, "config", b"new")
    host = backend.limited(bucket, HOST)
    assert body_of(host, bucket, "config") == b"new"
    with refused("AccessDenied"):
        host.get_object(Bucket=bucket, Key="config", VersionId=old)
    with refused("AccessDenied"):
        host.list_object_versions(Bucket=bucket)


@rule(moto=ASKS_NOBODY, ceph="lets the uploader, who owns the object, lock it")
def test_who_may_write_may_not_lock_what_it_writes(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    host = backend.limited(bucket, HOST)
    with refused("AccessDenied"):
        host.put_object(
            Bucket=bucket,
            Key="bomb",
            Body=b"bytes",
            ChecksumAlgorithm="SHA256",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=server_now(s3, bucket) + timedelta(seconds=20),
        )
    assert entries(s3, bucket) == []


@rule(moto=ASKS_NOBODY, ceph="lets whoever may delete the version bypass governance")
def test_a_bypass_takes_its_own_permission(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(object_lock=True)
    version = put(s3, bucket, "config", b"bytes")
    s3.put_object_retention(
        Bucket=bucket,
        Key="config",
        VersionId=version,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": server_now(s3, bucket) + timedelta(days=1)},
    )
    pruner = backend.limited(bucket, ["s3:DeleteObjectVersion"])
    with refused("AccessDenied"):
        pruner.delete_object(Bucket=bucket, Key="config", VersionId=version, BypassGovernanceRetention=True)
    assert body_of(s3, bucket, "config", version) == b"bytes"


@rule(moto=ASKS_NOBODY)
def test_configuration_is_refused_to_who_may_only_use_objects(backend: Backend) -> None:
    bucket = backend.bucket(object_lock=True)
    host = backend.limited(bucket, [*HOST, "s3:DeleteObject"])
    with refused("AccessDenied"):
        host.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with refused("AccessDenied"):
        host.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})


@rule(moto=ASKS_NOBODY, embedded="says NoSuchKey to who may not list")
def test_a_missing_key_is_not_admitted_to_who_may_not_list(backend: Backend) -> None:
    bucket = backend.bucket()
    host = backend.limited(bucket, ["s3:GetObject"])
    with refused("AccessDenied"):
        host.get_object(Bucket=bucket, Key="missing")


@rule(moto=ASKS_NOBODY)
def test_a_copy_takes_the_right_to_read_that_very_version(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config", b"bytes")
    host = backend.limited(bucket, HOST)
    source = {"Bucket": bucket, "Key": "config", "VersionId": version}
    with refused("AccessDenied"):
        host.copy_object(Bucket=bucket, Key="copy", CopySource=source)  # type: ignore[arg-type]
    assert [entry.key for entry in entries(s3, bucket)] == ["config"]

"""Versions and delete markers: what a PUT and a DELETE leave."""

from tests.contract.backends import Backend
from tests.contract.reading import body_of, entries, put, refused, server_now
from tests.contract.rules import rule


@rule()
def test_a_put_adds_a_version_and_the_old_one_stays_readable_by_its_id(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    first, second = put(s3, bucket, "config", b"first"), put(s3, bucket, "config", b"second")
    assert first != second
    assert body_of(s3, bucket, "config") == b"second"
    assert body_of(s3, bucket, "config", first) == b"first"


@rule(moto="lists versions and markers apart")
def test_a_delete_without_a_version_id_only_hides(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config", b"bytes")
    answer = s3.delete_object(Bucket=bucket, Key="config")
    assert answer["DeleteMarker"] is True
    with refused("NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="config")
    assert body_of(s3, bucket, "config", version) == b"bytes"
    assert [(entry.version_id, entry.is_marker, entry.is_latest) for entry in entries(s3, bucket)] == [
        (answer["VersionId"], True, True),
        (version, False, False),
    ]


@rule()
def test_deleting_the_current_marker_brings_the_version_beneath_it_back(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    put(s3, bucket, "config", b"bytes")
    marker = s3.delete_object(Bucket=bucket, Key="config")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="config", VersionId=marker)
    assert body_of(s3, bucket, "config") == b"bytes"


@rule()
def test_deleting_the_current_version_makes_the_one_before_it_current(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    first, second = put(s3, bucket, "config", b"first"), put(s3, bucket, "config", b"second")
    s3.delete_object(Bucket=bucket, Key="config", VersionId=second)
    assert body_of(s3, bucket, "config") == b"first"
    assert [(entry.version_id, entry.is_latest) for entry in entries(s3, bucket)] == [(first, True)]


@rule(moto="leaves no marker where nothing was")
def test_hiding_what_does_not_exist_leaves_a_marker_all_the_same(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    assert s3.delete_object(Bucket=bucket, Key="never written")["DeleteMarker"] is True
    assert [entry.is_marker for entry in entries(s3, bucket)] == [True]


@rule(moto="says NoSuchVersion", ceph="says NoSuchKey")
def test_a_read_of_a_delete_marker_by_its_id_is_not_allowed(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    put(s3, bucket, "config")
    marker = s3.delete_object(Bucket=bucket, Key="config")["VersionId"]
    with refused("MethodNotAllowed"):
        s3.get_object(Bucket=bucket, Key="config", VersionId=marker)


@rule(ceph="says NoSuchKey")
def test_a_read_of_a_version_that_is_gone_says_so(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config")
    put(s3, bucket, "config")
    s3.delete_object(Bucket=bucket, Key="config", VersionId=version)
    with refused("NoSuchVersion"):
        s3.get_object(Bucket=bucket, Key="config", VersionId=version)


@rule()
def test_deleting_a_version_that_is_gone_is_reported_as_done(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config")
    for _ in range(2):
        s3.delete_object(Bucket=bucket, Key="config", VersionId=version)
    again = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "config", "VersionId": version}], "Quiet": False}
    )
    assert [(done["Key"], done["VersionId"]) for done in again["Deleted"]] == [("config", version)]
    assert "Errors" not in again


@rule(moto="destroys the versions from before as well")
def test_after_versioning_was_suspended_a_put_replaces_only_the_null_version(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    kept = put(s3, bucket, "config", b"kept")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    for body in (b"null 1", b"null 2"):
        s3.put_object(Bucket=bucket, Key="config", Body=body)
    assert [entry.version_id for entry in entries(s3, bucket)] == ["null", kept]
    assert body_of(s3, bucket, "config", "null") == b"null 2"
    assert body_of(s3, bucket, "config", kept) == b"kept"


@rule(moto="destroys the versions from before as well")
def test_after_versioning_was_suspended_a_delete_destroys_the_null_version_for_a_null_marker(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    kept = put(s3, bucket, "config", b"kept")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="config", Body=b"null")
    s3.delete_object(Bucket=bucket, Key="config")
    assert [(entry.version_id, entry.is_marker) for entry in entries(s3, bucket)] == [("null", True), (kept, False)]


@rule()
def test_without_versioning_a_put_destroys_and_everything_is_the_null_version(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(versioning=False)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for body in (b"first", b"second"):
        assert "VersionId" not in s3.put_object(Bucket=bucket, Key="config", Body=body)
    assert [(entry.version_id, entry.is_latest) for entry in entries(s3, bucket)] == [("null", True)]
    s3.delete_object(Bucket=bucket, Key="config")
    assert entries(s3, bucket) == []


@rule()
def test_what_was_written_before_versioning_keeps_the_id_null(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket(versioning=False)
    s3.put_object(Bucket=bucket, Key="config", Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = put(s3, bucket, "config", b"after")
    assert [entry.version_id for entry in entries(s3, bucket)] == [version, "null"]
    assert body_of(s3, bucket, "config", "null") == b"before"


@rule()
def test_every_answer_carries_the_servers_clock_and_versions_are_dated_by_it(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    before = server_now(s3, bucket)
    put(s3, bucket, "config")
    after = server_now(s3, bucket)
    modified = s3.list_object_versions(Bucket=bucket)["Versions"][0]["LastModified"]
    assert before <= modified.replace(microsecond=0) <= after


@rule(ceph="dates in milliseconds")
def test_versions_are_dated_in_whole_seconds(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    for number in range(3):
        put(s3, bucket, f"key-{number}")
    s3.delete_object(Bucket=bucket, Key="key-0")
    assert {entry.last_modified.partition(".")[2] for entry in entries(s3, bucket)} <= {"", "000Z"}


@rule(moto="leaves no marker where nothing was, so the bucket is empty")
def test_a_bucket_with_anything_in_it_cannot_be_deleted(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    s3.delete_object(Bucket=bucket, Key="only a marker")
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)

"""Writing: conditions, checksums, copies by version id, multipart uploads, ranges."""

import hashlib
from base64 import b64encode
from datetime import timedelta

from tests.contract.backends import Backend
from tests.contract.reading import body_of, entries, put, refused, server_now
from tests.contract.rules import rule

PART = b"p" * 5 * 2**20


def sha256(content: bytes) -> str:
    """As S3 writes it."""
    return b64encode(hashlib.sha256(content).digest()).decode()


@rule(ceph="ignores If-None-Match")
def test_a_put_if_none_match_is_refused_when_the_key_exists_and_goes_through_when_it_is_hidden(
    backend: Backend,
) -> None:
    s3, bucket = backend.s3, backend.bucket()
    s3.put_object(Bucket=bucket, Key="head", Body=b"first", IfNoneMatch="*")
    with refused("PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="head", Body=b"second", IfNoneMatch="*")
    assert body_of(s3, bucket, "head") == b"first"
    s3.delete_object(Bucket=bucket, Key="head")
    s3.put_object(Bucket=bucket, Key="head", Body=b"third", IfNoneMatch="*")
    assert body_of(s3, bucket, "head") == b"third"


@rule()
def test_the_etag_of_a_single_put_is_the_md5_of_its_bytes(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    answer = s3.put_object(Bucket=bucket, Key="config", Body=b"bytes")
    assert answer["ETag"].strip('"') == hashlib.md5(b"bytes").hexdigest()


@rule(moto="does not verify them")
def test_bytes_that_have_not_the_announced_md5_are_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    with refused("BadDigest"):
        s3.put_object(Bucket=bucket, Key="config", Body=b"bytes", ContentMD5=b64encode(bytes(16)).decode())
    assert entries(s3, bucket) == []


@rule(moto="does not verify them", ceph="ignores S3's checksums")
def test_bytes_that_have_not_the_announced_sha256_are_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    with refused("BadDigest", "InvalidRequest"):
        s3.put_object(Bucket=bucket, Key="config", Body=b"bytes", ChecksumSHA256=sha256(b"other"))
    assert entries(s3, bucket) == []


@rule(ceph="ignores S3's checksums")
def test_a_stored_sha256_is_told_without_a_download(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    put(s3, bucket, "config", b"bytes")
    assert s3.head_object(Bucket=bucket, Key="config", ChecksumMode="ENABLED")["ChecksumSHA256"] == sha256(b"bytes")


@rule()
def test_a_copy_by_version_id_takes_exactly_that_version(backend: Backend) -> None:
    s3, bucket, target = backend.s3, backend.bucket(), backend.bucket()
    pinned = put(s3, bucket, "data/a b+c", b"pinned")
    put(s3, bucket, "data/a b+c", b"garbage")
    s3.delete_object(Bucket=bucket, Key="data/a b+c")
    source = {"Bucket": bucket, "Key": "data/a b+c", "VersionId": pinned}
    s3.copy_object(Bucket=target, Key="restored", CopySource=source)  # type: ignore[arg-type]
    assert body_of(s3, target, "restored") == b"pinned"


@rule(ceph="ignores S3's checksums")
def test_a_copy_with_a_checksum_algorithm_returns_the_sha256_of_the_bytes_and_keeps_it(backend: Backend) -> None:
    s3, bucket, target = backend.s3, backend.bucket(), backend.bucket()
    # As restic writes: with an MD5 and without a checksum of S3's.
    md5 = b64encode(hashlib.md5(b"bytes").digest()).decode()
    pinned = s3.put_object(Bucket=bucket, Key="pack", Body=b"bytes", ContentMD5=md5)["VersionId"]
    source = {"Bucket": bucket, "Key": "pack", "VersionId": pinned}
    answer = s3.copy_object(Bucket=target, Key="pack", CopySource=source, ChecksumAlgorithm="SHA256")  # type: ignore[arg-type]
    assert answer["CopyObjectResult"]["ChecksumSHA256"] == sha256(b"bytes")
    stored = s3.head_object(Bucket=target, Key="pack", ChecksumMode="ENABLED")
    assert stored["ChecksumSHA256"] == sha256(b"bytes")


@rule(ceph="says NoSuchKey")
def test_a_copy_of_a_version_that_is_gone_is_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "pack", b"bytes")
    put(s3, bucket, "pack", b"garbage")
    s3.delete_object(Bucket=bucket, Key="pack", VersionId=version)
    with refused("NoSuchVersion"):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "pack", "VersionId": version})


@rule(moto="says NoSuchVersion", embedded="says NoSuchVersion", ceph="says NoSuchKey")
def test_a_copy_of_a_marker_is_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    put(s3, bucket, "pack", b"bytes")
    marker = s3.delete_object(Bucket=bucket, Key="pack")["VersionId"]
    with refused("InvalidRequest"):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "pack", "VersionId": marker})


@rule(embedded="reads and copies it", ceph="knows no storage class but its own")
def test_an_archived_version_is_neither_read_nor_copied(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    answer = s3.put_object(Bucket=bucket, Key="pack", Body=b"bytes", StorageClass="DEEP_ARCHIVE")
    with refused("InvalidObjectState"):
        s3.get_object(Bucket=bucket, Key="pack")
    source = {"Bucket": bucket, "Key": "pack", "VersionId": answer["VersionId"]}
    # The API reference names the second, S3 has been seen to answer the first.
    with refused("InvalidObjectState", "ObjectNotInActiveTierError"):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)  # type: ignore[arg-type]


@rule(embedded="carries it", ceph="knows no storage class but its own")
def test_a_copy_does_not_carry_the_storage_class(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    s3.put_object(Bucket=bucket, Key="pack", Body=b"bytes", StorageClass="STANDARD_IA")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "pack"})
    classes = {entry["Key"]: entry["StorageClass"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert classes == {"pack": "STANDARD_IA", "copy": "STANDARD"}


@rule(moto="dates it by its completion", ceph="dates it by its completion")
def test_a_multipart_upload_is_dated_and_ordered_by_its_initiation(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    began = server_now(s3, bucket)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="pack")["UploadId"]
    backend.pass_time(2.5)
    newer = put(s3, bucket, "pack", b"written after the initiation")
    etag = s3.upload_part(Bucket=bucket, Key="pack", UploadId=upload, PartNumber=1, Body=b"late")["ETag"]
    completed = s3.complete_multipart_upload(
        Bucket=bucket, Key="pack", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    dates = {entry["VersionId"]: entry["LastModified"] for entry in listed}
    assert dates[completed["VersionId"]] - began <= timedelta(seconds=1)
    assert [entry.version_id for entry in entries(s3, bucket)] == [newer, completed["VersionId"]]
    assert body_of(s3, bucket, "pack") == b"written after the initiation"


@rule()
def test_a_multipart_upload_joins_its_parts_under_an_etag_that_is_no_md5(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="pack")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(Bucket=bucket, Key="pack", UploadId=upload, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in ((1, PART), (2, b"end"))
    ]
    assert entries(s3, bucket) == []
    s3.complete_multipart_upload(Bucket=bucket, Key="pack", UploadId=upload, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]
    assert body_of(s3, bucket, "pack") == PART + b"end"
    digests = hashlib.md5(PART).digest() + hashlib.md5(b"end").digest()
    etag = s3.head_object(Bucket=bucket, Key="pack")["ETag"].strip('"')
    assert etag == f"{hashlib.md5(digests).hexdigest()}-2"


@rule(embedded="accepts it")
def test_a_small_part_that_is_not_the_last_is_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="pack")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(Bucket=bucket, Key="pack", UploadId=upload, PartNumber=number, Body=b"small")[
                "ETag"
            ],
        }
        for number in (1, 2)
    ]
    with refused("EntityTooSmall"):
        s3.complete_multipart_upload(Bucket=bucket, Key="pack", UploadId=upload, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]


@rule(moto="fails on an upload that it does not know")
def test_an_aborted_upload_leaves_nothing(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="pack")["UploadId"]
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=bucket, Key="pack", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with refused("NoSuchUpload"):
        s3.upload_part(Bucket=bucket, Key="pack", UploadId=upload, PartNumber=1, Body=b"late")


@rule()
def test_a_range_is_read_exactly_and_one_beyond_the_end_is_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    put(s3, bucket, "pack", b"0123456789")
    found = {}
    for wanted in ("bytes=2-4", "bytes=7-", "bytes=-2", "bytes=8-99"):
        answer = s3.get_object(Bucket=bucket, Key="pack", Range=wanted)
        with answer["Body"] as stream:
            found[wanted] = stream.read(), answer["ContentRange"]
    assert found == {
        "bytes=2-4": (b"234", "bytes 2-4/10"),
        "bytes=7-": (b"789", "bytes 7-9/10"),
        "bytes=-2": (b"89", "bytes 8-9/10"),
        "bytes=8-99": (b"89", "bytes 8-9/10"),
    }
    with refused("InvalidRange"):
        s3.get_object(Bucket=bucket, Key="pack", Range="bytes=10-")

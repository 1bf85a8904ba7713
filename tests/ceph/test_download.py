"""A restore to a directory from a server nobody here wrote: what its own host attacked comes back, byte by byte."""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from functions.domain.values import ObjectVersion, VersionGone
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.downloads import S3Downloads
from functions.storage.listing import S3VersionLister
from tests.builders import version
from tests.ceph.gateway import Gateway
from tests.cli.download_child import download, near
from tests.cuts import take_cut
from tests.fakes.ledger import FakeLedger
from tests.fakes.restic import BINARY, MISSING, Restic
from tests.strands import write

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.ceph, pytest.mark.skipif(BINARY is None, reason=MISSING)]

# Not removed at the end: it is in memory and goes with the gateway.
BUCKET = f"download-{os.getpid()}"
ODD = ("a b", "a+b", "a%20b", "100%", "ümlaut/ß", "日本/語", "d?q=1&r#f", "😀", "(x)'!*~", "a\\b")


@pytest.fixture(scope="module")
def s3(ceph: Gateway) -> "S3Client":
    made = boto3.client(
        "s3",
        endpoint_url=ceph.endpoint,
        aws_access_key_id=ceph.admin.access_key,
        aws_secret_access_key=ceph.admin.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )
    made.create_bucket(Bucket=BUCKET)
    made.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return made


def test_an_attacked_repository_becomes_a_directory_that_restic_reads_whole(
    ceph: Gateway, s3: "S3Client", tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(10):
        (source / f"file-{number}").write_bytes(os.urandom(200_000))
    host = Restic(ceph.endpoint, f"{BUCKET}", ceph.admin.access_key, ceph.admin.secret_key, tmp_path / "host")
    host.run("init")
    host.run("backup", str(source))
    cut = take_cut(S3VersionLister(s3, BUCKET, "").versions(), S3BucketConfiguration(s3, BUCKET).now())
    ledger = FakeLedger()
    header = write(ledger, list(cut.versions))
    for each in cut.versions:
        s3.put_object(Bucket=BUCKET, Key=each.key, Body=b"encrypted by somebody else")
        s3.delete_object(Bucket=BUCKET, Key=each.key)

    deployment = near(ceph.endpoint, ledger, ceph.admin.access_key, ceph.admin.secret_key)
    place = tmp_path / "restored"
    first = download(deployment, header, BUCKET, place)
    assert (first.outcome, first.downloaded) == ("restored", header.objects)
    again = download(deployment, header, BUCKET, place)
    assert (again.outcome, again.downloaded, again.skipped) == ("restored", 0, header.objects)

    assert BINARY is not None
    environment = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": "a test's password", "HOME": str(tmp_path)}
    for arguments in (["check", "--read-data"], ["restore", "latest", "--target", str(tmp_path / "given back")]):
        done = subprocess.run(
            [BINARY, "-r", str(place), *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for number in range(10):
        copy = tmp_path / "given back" / str(source).lstrip("/") / f"file-{number}"
        assert copy.read_bytes() == (source / f"file-{number}").read_bytes()


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "boto3"])
def test_versions_under_odd_keys_are_read_over_connections_of_our_own_as_over_boto3(
    ceph: Gateway, s3: "S3Client", direct: bool
) -> None:
    source = S3Downloads(s3, BUCKET, "odd/")
    assert source.is_direct
    if not direct:
        source.use_boto3()

    def put(key: str, body: bytes) -> ObjectVersion:
        made = s3.put_object(Bucket=BUCKET, Key=f"odd/{key}", Body=body)
        return version(key, version_id=made["VersionId"], size=len(body))

    wanted = [put(key, key.encode() * 1000) for key in ODD]
    gone = put("gone", b"x")
    s3.delete_object(Bucket=BUCKET, Key="odd/gone", VersionId=gone.version_id)
    for each in wanted:
        put(each.key, b"written over it")
    for each in wanted:
        assert b"".join(bytes(piece) for piece in source.read(each)) == each.key.encode() * 1000
    with pytest.raises(VersionGone):
        list(source.read(gone))
    for each in wanted:
        assert b"".join(bytes(piece) for piece in source.read(each)) == each.key.encode() * 1000
    source.close()

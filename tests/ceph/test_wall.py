"""The wall on a server nobody here wrote: a host destroys nothing, and what it hid is rebuilt.

On Ceph the uploader owns what it uploads, so retention alone does not hold it: the wall is the policy that
denies it every version delete, and everything else that would take a lock down.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from functions.domain.values import ObjectVersion
from functions.storage.bucket import S3BucketConfiguration, S3PinnedReader
from functions.storage.listing import S3VersionLister
from functions.storage.target import S3TargetLister, S3VersionCopier
from tests.ceph.gateway import Gateway, Key
from tests.contract.reading import refused
from tests.cuts import take_cut
from tests.fakes.restic import BINARY, MISSING, Restic

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.ceph, pytest.mark.skipif(BINARY is None, reason=MISSING)]

# Not removed at the end: they are in memory and go with the gateway.
BUCKET, TARGET = f"wall-{os.getpid()}", f"restored-{os.getpid()}"
ALLOWED = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketLocation"]
DENIED = [
    "s3:DeleteObjectVersion",
    "s3:BypassGovernanceRetention",
    "s3:PutObjectRetention",
    "s3:PutObjectLegalHold",
    "s3:GetObjectVersion",
    "s3:PutBucketVersioning",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
]


def client(ceph: Gateway, key: Key) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=ceph.endpoint,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={}),
    )


@pytest.fixture(scope="module")
def admin(ceph: Gateway) -> "S3Client":
    """The owner of a bucket that holds a month of governance by default, and denies the host what destroys."""
    s3 = client(ceph, ceph.admin)
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    s3.create_bucket(Bucket=TARGET)
    s3.put_object_lock_configuration(
        Bucket=BUCKET,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
        },
    )
    everything = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    statements = [
        {"Effect": effect, "Principal": {"AWS": [principal]}, "Action": actions, "Resource": everything}
        for effect, principal, actions in (
            ("Allow", ceph.limited_principal, ALLOWED),
            ("Deny", ceph.limited_principal, DENIED),
            # On AWS a bucket's owner owns its objects; here even reading them takes a statement.
            ("Allow", ceph.admin_principal, ["s3:*"]),
        )
    ]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return s3


def attack(host: "S3Client", versions: list[ObjectVersion]) -> None:
    """Overwrite, then hide, each object; then try to destroy its version, one by one and in a batch."""
    for version in versions:
        host.put_object(Bucket=BUCKET, Key=version.key, Body=b"encrypted by somebody else")
        host.delete_object(Bucket=BUCKET, Key=version.key)
        with refused("AccessDenied"):
            host.delete_object(Bucket=BUCKET, Key=version.key, VersionId=version.version_id)
    batch = [{"Key": version.key, "VersionId": version.version_id} for version in versions]
    with suppress(ClientError):
        host.delete_objects(Bucket=BUCKET, Delete={"Objects": batch})  # type: ignore[typeddict-item]


def test_restic_under_a_default_retention_survives_its_own_hosts_attack(
    ceph: Gateway, admin: "S3Client", tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(20):
        (source / f"file-{number}").write_text(f"line of file {number}\n" * 2000)
    keys = ceph.limited
    restic = Restic(ceph.endpoint, BUCKET, keys.access_key, keys.secret_key, tmp_path / "host")
    restic.run("init")
    restic.run("backup", str(source))
    restic.run("check", "--read-data")

    lister = S3VersionLister(admin, BUCKET, "")
    before = take_cut(lister.versions(), S3BucketConfiguration(admin, BUCKET).now())
    attack(client(ceph, keys), list(before.versions))

    # Every version of the cut is still there, byte for byte where restic's names can tell.
    assert set(before.versions) <= set(lister.versions())
    copier = S3VersionCopier(
        admin, source_bucket=BUCKET, source_key_prefix="", target_bucket=TARGET, target_key_prefix=""
    )
    for version in before.versions:
        copier.copy(version)
    wanted = [(version.key, version.size) for version in before.versions]
    assert list(S3TargetLister(admin, TARGET, "").objects()) == wanted
    restored = Restic(ceph.endpoint, TARGET, ceph.admin.access_key, ceph.admin.secret_key, tmp_path / "admin")
    restored.run("check", "--read-data")
    restored.run("restore", "latest", "--target", str(tmp_path / "restored"))
    for number in range(20):
        copy = tmp_path / "restored" / str(source).lstrip("/") / f"file-{number}"
        assert copy.read_text() == (source / f"file-{number}").read_text()


def test_the_host_is_denied_everything_that_would_take_the_wall_down(ceph: Gateway, admin: "S3Client") -> None:
    host = client(ceph, ceph.limited)
    version = host.put_object(Bucket=BUCKET, Key="canary", Body=b"bytes")["VersionId"]
    with refused("AccessDenied"):
        host.delete_object(Bucket=BUCKET, Key="canary", VersionId=version, BypassGovernanceRetention=True)
    with refused("AccessDenied"):
        host.get_object(Bucket=BUCKET, Key="canary", VersionId=version)
    with refused("AccessDenied"):
        host.put_object_legal_hold(Bucket=BUCKET, Key="canary", VersionId=version, LegalHold={"Status": "ON"})
    with refused("AccessDenied"):
        host.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    with refused("AccessDenied"):
        host.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    with refused("AccessDenied"):
        host.delete_bucket_policy(Bucket=BUCKET)
    pieces = S3PinnedReader(admin, BUCKET, "").read
    canary = next(entry for entry in S3VersionLister(admin, BUCKET, "").versions() if entry.key == "canary")
    assert b"".join(pieces(canary.key, canary.version_id)) == b"bytes"

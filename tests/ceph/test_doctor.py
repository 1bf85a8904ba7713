"""The doctor on a server nobody here wrote: what it tells of a walled host, and of one that may delete versions."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from functions.domain.restic import is_under_locks
from functions.storage.listing import S3VersionLister
from tests.ceph.gateway import Gateway
from tests.ceph.test_wall import ALLOWED, DENIED, client
from tests.host.quick_aws import quick_aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.ceph

BUCKET = f"doctor-{os.getpid()}"
SCRIPT = Path(__file__).parents[2] / "host" / "rwm-doctor"
DELETES = ("s3:DeleteObjectVersion", "s3:BypassGovernanceRetention")


@pytest.fixture(scope="module")
def admin(ceph: Gateway) -> "S3Client":
    """The owner of a bucket with a month of governance by default."""
    s3 = client(ceph, ceph.admin)
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(
        Bucket=BUCKET,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
        },
    )
    return s3


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with quick_aws(tmp_path_factory.mktemp("aws")) as folder:
        yield folder


def found(ceph: Gateway, admin: "S3Client", aws: Path, *, more: tuple[str, ...] = ()) -> Mapping[str, str]:
    """The state of each try, of a host that may `more` than it must."""
    everything = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    locks = f"arn:aws:s3:::{BUCKET}/locks/*"
    daily = [action for action in ALLOWED if action != "s3:DeleteObject"]
    statements = [
        {"Effect": effect, "Principal": {"AWS": [principal]}, "Action": actions, "Resource": resources}
        for effect, principal, actions, resources in (
            ("Allow", ceph.limited_principal, [*daily, *more], everything),
            ("Allow", ceph.limited_principal, ["s3:DeleteObject"], locks),
            ("Deny", ceph.limited_principal, [each for each in DENIED if each not in more], everything),
            ("Allow", ceph.admin_principal, ["s3:*"], everything),
        )
    ]
    admin.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    ended = subprocess.run(
        ["sh", str(SCRIPT), "--json"],
        env={
            "PATH": f"{aws}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": ceph.limited.access_key,
            "AWS_SECRET_ACCESS_KEY": ceph.limited.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": ceph.endpoint,
            "RESTIC_REPOSITORY": f"s3:{ceph.endpoint}/{BUCKET}",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.stderr == ""
    return {each["id"]: each["state"] for each in json.loads(ended.stdout)["checks"]}


def test_a_walled_host_is_told_from_one_that_may_delete(ceph: Gateway, admin: "S3Client", aws: Path) -> None:
    walled = found(ceph, admin, aws)
    needed = ("put", "get", "list", "hide-locks", "versioning", "lock", "clock")
    refused = ("delete-unlocked", "delete-locked", "bypass", "get-version", "list-versions", "put-versioning", "hide")
    assert {tried: walled[tried] for tried in (*needed, *refused)} == dict.fromkeys((*needed, *refused), "ok")
    strong = found(ceph, admin, aws, more=DELETES)
    assert (strong["delete-unlocked"], strong["bypass"]) == ("BAD", "BAD")
    assert strong["list-versions"] == "ok"


def test_what_a_host_of_ceph_may_beyond_its_policy_is_told(ceph: Gateway, admin: "S3Client", aws: Path) -> None:
    """Who uploads owns what he uploads there: he tags it, gives it away, and locks it by a header."""
    told = found(ceph, admin, aws)
    assert {tried: told[tried] for tried in ("retention", "tagging", "acl")} == dict.fromkeys(
        ("retention", "tagging", "acl"), "BAD"
    )


def test_canaries_stay_under_locks_and_hidden(ceph: Gateway, admin: "S3Client", aws: Path) -> None:
    found(ceph, admin, aws)
    entries = [entry for entry in S3VersionLister(admin, BUCKET, "").versions() if "rwm-doctor" in entry.key]
    assert entries
    assert all(is_under_locks(entry.key) for entry in entries)
    assert "Contents" not in admin.list_objects_v2(Bucket=BUCKET)

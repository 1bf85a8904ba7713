"""A restore in place on a server nobody here wrote: by a user who may put and hide, and delete no version."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from functions.domain.columns import in_runs
from functions.domain.diff import differences
from functions.domain.restore.in_place import Change, Changes
from functions.domain.values import ObjectKey, ObjectVersion
from functions.restore.put_back import PuttingBack, Settled, Turns
from functions.storage.bucket import S3BucketConfiguration, S3PinnedReader
from functions.storage.listing import S3VersionLister
from functions.storage.putting_back import S3CurrentReader, S3ObjectHider, S3VersionReturner
from tests.ceph.gateway import Gateway
from tests.ceph.test_wall import client
from tests.contract.reading import refused
from tests.cuts import take_cut

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.ceph

BUCKET, PREFIX = f"in-place-{os.getpid()}", "restic/alpha/"
MAY = ("GetObject", "GetObjectVersion", "PutObject", "DeleteObject")


def a_pack(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"data/{digest[:2]}/{digest}"


PACKS = {a_pack(content): content for content in (b"one", b"two", b"three")}
WHOLE = {**PACKS, "config": b"the config", "index/ a+b%20ß": b"odd", "keys/of-somebody": b"a key"}
HIDDEN, OVERWRITTEN = a_pack(b"one"), a_pack(b"two")


@pytest.fixture(scope="module")
def admin(ceph: Gateway) -> "S3Client":
    s3 = client(ceph, ceph.admin)
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    where = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    statements: list[dict[str, object]] = [
        {"Action": [f"s3:{each}" for each in MAY], "Resource": where[1]},
        {"Action": "s3:ListBucket", "Resource": where[0]},
    ]
    principal = {"AWS": ceph.limited_principal}
    policy = {"Statement": [{"Effect": "Allow", "Principal": principal, **each} for each in statements]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", **policy}))
    return s3


@pytest.fixture(scope="module")
def role(ceph: Gateway) -> "S3Client":
    """Who has the permissions of `rwm-put-back`."""
    return client(ceph, ceph.limited)


def put(s3: "S3Client", objects: Mapping[str, bytes]) -> None:
    for key, content in objects.items():
        s3.put_object(Bucket=BUCKET, Key=PREFIX + key, Body=content)


def cut(s3: "S3Client") -> tuple[ObjectVersion, ...]:
    now = S3BucketConfiguration(s3, BUCKET).now() + timedelta(seconds=1)
    return tuple(take_cut(S3VersionLister(s3, BUCKET, PREFIX).versions(), now).versions)


def current(s3: "S3Client") -> dict[str, bytes]:
    """As the role reads it: on Ceph an object is its writer's, and the bucket's owner may not even read it."""
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["Contents"]
    return {
        each["Key"].removeprefix(PREFIX): s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
        for each in listed
    }


def versions(s3: "S3Client") -> set[str]:
    return {each.version_id for each in S3VersionLister(s3, BUCKET, PREFIX).versions()}


def settle(s3: "S3Client", changes: list[Change]) -> list[Settled]:
    work = PuttingBack(
        reader=S3CurrentReader(s3, BUCKET, PREFIX),
        pinned=S3PinnedReader(s3, BUCKET, PREFIX),
        returner=S3VersionReturner(s3, BUCKET, PREFIX),
        hider=S3ObjectHider(s3, BUCKET, PREFIX),
    )
    return Turns(threads=4).settle(work, changes)


def changes(before: tuple[ObjectVersion, ...], chosen: tuple[ObjectVersion, ...]) -> list[Change]:
    return list(Changes(with_revoked_keys=True).of(differences(in_runs(before), in_runs(chosen))))


def test_a_repository_is_put_back_and_nothing_that_was_written_is_gone(admin: "S3Client", role: "S3Client") -> None:
    put(admin, WHOLE)
    chosen = cut(admin)
    for key in (HIDDEN, "index/ a+b%20ß"):
        admin.delete_object(Bucket=BUCKET, Key=PREFIX + key)
    put(admin, {OVERWRITTEN: b"owt", "config": b"another", "of the attacker": b"pay up"})
    before, attacked = versions(admin), cut(admin)
    planned = changes(attacked, chosen)
    assert len(planned) == 5
    settled = settle(role, planned)
    assert [each.trouble for each in settled if each.trouble] == []
    assert all(each.done and each.done.written for each in settled)
    assert current(role) == WHOLE
    assert before < versions(admin)
    assert len(versions(admin)) == len(before) + 5
    # What is current are the very versions that were compared.
    now = {each.key: each.version_id for each in cut(admin)}
    for each in settled:
        assert each.done is not None
        assert now.get(ObjectKey(each.done.key)) == each.done.version_id


def test_a_batch_that_is_delivered_again_finds_what_is_hidden_hidden(admin: "S3Client", role: "S3Client") -> None:
    put(admin, {"of the attacker": b"pay up"})
    (planned,) = [each for each in changes(cut(admin), ()) if each.key == "of the attacker"]
    first, second = settle(role, [planned]), settle(role, [planned])
    assert [each.done.written for each in (*first, *second) if each.done] == [True, False]


def test_what_was_written_meanwhile_is_left_alone(admin: "S3Client", role: "S3Client") -> None:
    chosen = cut(admin)
    put(admin, {"config": b"another"})
    (planned,) = changes(cut(admin), chosen)
    put(admin, {"config": b"meanwhile"})
    (settled,) = settle(role, [planned])
    assert settled.trouble is not None
    assert "changed meanwhile" in settled.trouble.why
    assert current(role)["config"] == b"meanwhile"


def test_who_puts_back_deletes_no_version(admin: "S3Client", role: "S3Client") -> None:
    (version, *_) = cut(admin)
    where = {"Bucket": BUCKET, "Key": PREFIX + version.key, "VersionId": version.version_id}
    with refused("AccessDenied"):
        role.delete_object(**where)  # type: ignore[arg-type]

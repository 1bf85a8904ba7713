"""Lock upkeep on a server nobody here wrote: what a kept state names cannot be destroyed, and nothing is shortened."""

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from functions.domain import chunks
from functions.domain.cut import QUIET
from functions.domain.locks.rules import GOVERNANCE, SLACK, Lock
from functions.domain.ports import LockRefused
from functions.domain.repositories import Repository
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, ObjectKey, VersionGone, VersionId
from functions.locks.extend_retention import LockPorts, extend_retention
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.listing import S3VersionLister
from functions.storage.locks import S3Retentions
from tests.ceph.gateway import Gateway
from tests.ceph.test_wall import client
from tests.contract.reading import refused
from tests.cuts import take_cut
from tests.fakes.holds import FakeHolds
from tests.fakes.ledger import FakeLedger
from tests.fakes.locks import FakeLockReports
from tests.fakes.operations import FakeNotifier, FakeVerdicts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.ceph

# Not removed at the end: they are in memory and go with the gateway.
BUCKET, PLAIN = f"locks-{os.getpid()}", f"unlocked-{os.getpid()}"
PREFIX = "restic/alpha/"
ALPHA = Repository.model_validate({"name": "alpha", "bucket": BUCKET, "prefix": "restic/alpha"})
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def admin(ceph: Gateway) -> "S3Client":
    s3 = client(ceph, ceph.admin)
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    s3.create_bucket(Bucket=PLAIN)
    return s3


def put(s3: "S3Client", key: str, body: bytes = b"bytes") -> VersionId:
    return VersionId(s3.put_object(Bucket=BUCKET, Key=PREFIX + key, Body=body)["VersionId"])


def record(s3: "S3Client", ledger: FakeLedger) -> StateHeader:
    """The repository as it is now, as its first state."""
    now = S3BucketConfiguration(s3, BUCKET).now() + timedelta(seconds=1)
    cut = take_cut(S3VersionLister(s3, BUCKET, PREFIX).versions(), now)
    attempt, encoded = AttemptId("attempt-1"), list(chunks.encode(cut.versions))
    header = describe(
        cut,
        repository=ALPHA.repository,
        parent=None,
        own_chunks=ChunkSet(attempt=attempt, count=len(encoded), digest=chunks.digest(encoded)),
        recorded_at=now,
        cause=Cause(reason="operator"),
    )
    ledger.begin(ALPHA.repository, attempt, now, now + QUIET)
    ledger.reserve(ALPHA.repository, attempt, len(encoded))
    for number, chunk in enumerate(encoded):
        ledger.put_chunk(attempt, number, chunk)
    ledger.commit(header, attempt, None)
    return header


def ports(s3: "S3Client", ledger: FakeLedger, bucket: str = BUCKET) -> LockPorts:
    retentions = S3Retentions(s3, bucket, PREFIX)
    return LockPorts(
        bucket=S3BucketConfiguration(s3, bucket),
        lister=S3VersionLister(s3, bucket, PREFIX),
        ledger=ledger,
        verdicts=FakeVerdicts(),
        holds=FakeHolds(ledger),
        retentions=retentions,
        setter=retentions,
        reports=FakeLockReports(),
        notifier=FakeNotifier(),
    )


def test_what_a_kept_state_names_is_locked_and_nobody_destroys_it_without_a_bypass(admin: "S3Client") -> None:
    pinned = [ObjectKey(f"data/{number:02}/pack") for number in range(40)]
    ids = {key: put(admin, key) for key in pinned}
    ledger = FakeLedger()
    record(admin, ledger)
    hidden, replaced = pinned[3], pinned[7]
    admin.delete_object(Bucket=BUCKET, Key=PREFIX + hidden)
    unnamed = put(admin, replaced, b"ransom")

    report = extend_retention(ALPHA, ports(admin, ledger), lambda: 900.0)
    assert (report.looked_at, report.extended, report.unlocked, report.refused) == (40, 40, 0, ())
    retentions = S3Retentions(admin, BUCKET, PREFIX)
    for key, version_id in ids.items():
        assert retentions.retention(key, version_id) == Lock(GOVERNANCE, report.begun_at + 14 * DAY - SLACK)
        with refused("AccessDenied"):
            admin.delete_object(Bucket=BUCKET, Key=PREFIX + key, VersionId=version_id)
    admin.delete_object(Bucket=BUCKET, Key=PREFIX + replaced, VersionId=unnamed)

    again = extend_retention(ALPHA, ports(admin, ledger), lambda: 900.0)
    assert (again.looked_at, again.extended) == (40, 0)


def test_a_lock_is_neither_shortened_nor_softened(admin: "S3Client") -> None:
    retentions, now = S3Retentions(admin, BUCKET, PREFIX), S3BucketConfiguration(admin, BUCKET).now()
    key = ObjectKey("config")
    version_id = put(admin, key)
    assert retentions.retention(key, version_id) is None
    retentions.lock(key, version_id, now + 3 * DAY)
    with pytest.raises(LockRefused, match="AccessDenied"):
        retentions.lock(key, version_id, now + 2 * DAY)
    assert retentions.retention(key, version_id) == Lock(GOVERNANCE, now + 3 * DAY)
    bound = put(admin, "bound")
    for_ever = {"Mode": "COMPLIANCE", "RetainUntilDate": now + timedelta(seconds=30)}
    admin.put_object_retention(Bucket=BUCKET, Key=f"{PREFIX}bound", VersionId=bound, Retention=for_ever)  # type: ignore[arg-type]
    with pytest.raises(LockRefused, match="AccessDenied"):
        retentions.lock(ObjectKey("bound"), bound, now + DAY)


def test_a_version_that_is_not_there_is_gone(admin: "S3Client") -> None:
    retentions = S3Retentions(admin, BUCKET, PREFIX)
    version_id = put(admin, "gone")
    admin.delete_object(Bucket=BUCKET, Key=f"{PREFIX}gone", VersionId=version_id)
    with pytest.raises(VersionGone):
        retentions.retention(ObjectKey("gone"), version_id)
    with pytest.raises(VersionGone):
        retentions.lock(ObjectKey("gone"), version_id, S3BucketConfiguration(admin, BUCKET).now() + DAY)


def test_a_listing_goes_on_after_a_key(admin: "S3Client") -> None:
    for key in ("many/a", "many/a", "many/b", "many/c d+e"):
        put(admin, key)
    admin.delete_object(Bucket=BUCKET, Key=f"{PREFIX}many/b")
    lister = S3VersionLister(admin, BUCKET, PREFIX)
    everything = list(lister.versions())
    for key in sorted({entry.key for entry in everything}):
        assert list(lister.after(key)) == [entry for entry in everything if entry.key > key]


def test_a_bucket_without_object_lock_is_a_note(admin: "S3Client") -> None:
    report = extend_retention(ALPHA, ports(admin, FakeLedger(), PLAIN), lambda: 900.0)
    assert (report.object_lock, [each.id for each in report.findings]) == (False, ["object-lock-off"])


def test_who_is_denied_locks_plants_none_and_still_writes_under_the_buckets_default(
    ceph: Gateway, admin: "S3Client"
) -> None:
    everything = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    denied = ["s3:PutObjectRetention", "s3:PutObjectLegalHold"]
    statements = [
        {"Effect": effect, "Principal": {"AWS": [principal]}, "Action": actions, "Resource": everything}
        for effect, principal, actions in (
            ("Allow", ceph.limited_principal, ["s3:*"]),
            ("Deny", ceph.limited_principal, denied),
            ("Allow", ceph.admin_principal, ["s3:*"]),
        )
    ]
    admin.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    admin.put_object_lock_configuration(
        Bucket=BUCKET,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    host = client(ceph, ceph.limited)
    key = ObjectKey("host")
    version_id = put(host, key)
    now = S3BucketConfiguration(admin, BUCKET).now()
    lock = S3Retentions(admin, BUCKET, PREFIX).retention(key, version_id)
    assert lock is not None
    assert lock.mode == GOVERNANCE
    planted = {"Mode": "COMPLIANCE", "RetainUntilDate": now + 3650 * DAY}
    with refused("AccessDenied"):
        host.put_object_retention(Bucket=BUCKET, Key=PREFIX + key, VersionId=version_id, Retention=planted)  # type: ignore[arg-type]
    with refused("AccessDenied"):
        host.put_object_legal_hold(Bucket=BUCKET, Key=PREFIX + key, VersionId=version_id, LegalHold={"Status": "ON"})
    assert S3Retentions(admin, BUCKET, PREFIX).retention(key, version_id) == lock

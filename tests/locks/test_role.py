"""The role of lock upkeep and a bucket's policy, as the embedded AWS evaluates both: what it may, and nobody else."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.bucket_policy import bucket_policy
from functions.domain.locks.rules import Lock, lock_until
from functions.domain.ports import LockRefused
from functions.domain.repositories import Configuration
from functions.domain.values import ObjectKey, VersionId
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.listing import S3VersionLister
from functions.storage.locks import S3Retentions
from infra.arns import Arns
from infra.locks import _permissions
from local.embedded import ACCOUNT, REGION, EmbeddedAws
from tests.local.conftest import Account, allow, policy, refusal

BUCKET, PREFIX, DAY = "backups", "restic/alpha/", timedelta(days=1)
CONFIGURATION = Configuration.model_validate(
    {"repositories": [{"name": "alpha", "bucket": BUCKET, "prefix": "restic/alpha"}]}
)
ARNS = Arns("aws", REGION, ACCOUNT, CONFIGURATION)
KEY = ObjectKey("config")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A bucket with our policy and a day of governance by default."""
    with EmbeddedAws.start(tmp_path_factory.mktemp("aws")) as aws:
        made = Account(aws)
        s3 = made.client("s3")
        s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        s3.put_object_lock_configuration(
            Bucket=BUCKET,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
            },
        )
        made.bucket_policy(BUCKET, *bucket_policy(BUCKET, CONFIGURATION.repositories, ARNS.surroundings))
        yield made


@pytest.fixture(scope="module")
def keeper(account: Account) -> Any:
    """S3 as the role of extend-retention."""
    iam, name = account.client("iam"), CONFIGURATION.names.role("extend-retention")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]
    statements = [permission.statement for permission in _permissions(ARNS)]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
    return account.assume(role["Arn"])("s3")


def written(account: Account, key: str = PREFIX + KEY) -> VersionId:
    return VersionId(account.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"bytes")["VersionId"])


def asked(version: VersionId, until: datetime, mode: str = "GOVERNANCE", key: str = PREFIX + KEY) -> dict[str, Any]:
    retention = {"Mode": mode, "RetainUntilDate": until}
    return {"Bucket": BUCKET, "Key": key, "VersionId": version, "Retention": retention}


def test_it_lists_looks_and_locks_for_lock_days(account: Account, keeper: Any) -> None:
    version = written(account)
    now = S3BucketConfiguration(keeper, BUCKET).now()
    assert S3BucketConfiguration(keeper, BUCKET).object_lock()
    assert version in {entry.version_id for entry in S3VersionLister(keeper, BUCKET, PREFIX).after(None)}
    retentions = S3Retentions(keeper, BUCKET, PREFIX)
    before = retentions.retention(KEY, version)
    assert before is not None
    assert before.until - now < timedelta(days=1, minutes=1)
    retentions.lock(KEY, version, lock_until(now, 14))
    assert retentions.retention(KEY, version) == Lock("GOVERNANCE", lock_until(now, 14))


def test_it_locks_for_no_longer_and_not_in_compliance_mode(account: Account, keeper: Any) -> None:
    version = written(account)
    now = S3BucketConfiguration(keeper, BUCKET).now()
    with pytest.raises(LockRefused, match="AccessDenied"):
        S3Retentions(keeper, BUCKET, PREFIX).lock(KEY, version, now + 15 * DAY)
    assert refusal(keeper.put_object_retention, **asked(version, now + 2 * DAY, "COMPLIANCE")) == "AccessDenied"


def test_it_shortens_nothing_bypasses_nothing_deletes_nothing_and_holds_nothing(account: Account, keeper: Any) -> None:
    version = written(account)
    now = S3BucketConfiguration(keeper, BUCKET).now()
    retentions = S3Retentions(keeper, BUCKET, PREFIX)
    retentions.lock(KEY, version, now + 10 * DAY)
    with pytest.raises(LockRefused, match="AccessDenied"):
        retentions.lock(KEY, version, now + 9 * DAY)
    bypass = {"BypassGovernanceRetention": True}
    assert refusal(keeper.put_object_retention, **asked(version, now + 9 * DAY), **bypass) == "AccessDenied"
    pinned = {"Bucket": BUCKET, "Key": PREFIX + KEY, "VersionId": version}
    assert refusal(keeper.delete_object, **pinned, **bypass) == "AccessDenied"
    assert refusal(keeper.delete_object, **pinned) == "AccessDenied"
    assert refusal(keeper.put_object_legal_hold, **pinned, LegalHold={"Status": "ON"}) == "AccessDenied"
    assert refusal(keeper.get_object, **pinned) == "AccessDenied"
    assert retentions.retention(KEY, version) == Lock("GOVERNANCE", now + 10 * DAY)


def test_it_locks_nothing_beside_its_repositories(account: Account, keeper: Any) -> None:
    version = written(account, "restic/other/config")
    now = S3BucketConfiguration(keeper, BUCKET).now()
    beside = asked(version, now + 2 * DAY, key="restic/other/config")
    assert refusal(keeper.put_object_retention, **beside) == "AccessDenied"


@pytest.fixture(scope="module")
def somebody(account: Account) -> Callable[[str], Any]:
    """An identity of the account that its policies let do everything."""
    return account.user(allow("*"))


def test_nobody_else_plants_a_lock_and_a_put_under_the_default_needs_none(
    account: Account, somebody: Callable[[str], Any]
) -> None:
    """The threat: locks for years, paid for by the owner, that no prune can end."""
    s3 = somebody("s3")
    version = VersionId(s3.put_object(Bucket=BUCKET, Key=PREFIX + KEY, Body=b"bytes")["VersionId"])
    now = S3BucketConfiguration(s3, BUCKET).now()
    before = S3Retentions(s3, BUCKET, PREFIX).retention(KEY, version)
    assert before is not None, "locked by the bucket's default"
    assert refusal(s3.put_object_retention, **asked(version, now + 3650 * DAY, "COMPLIANCE")) == "AccessDenied"
    assert refusal(s3.put_object_retention, **asked(version, now + 3650 * DAY)) == "AccessDenied"
    pinned = {"Bucket": BUCKET, "Key": PREFIX + KEY, "VersionId": version}
    assert refusal(s3.put_object_legal_hold, **pinned, LegalHold={"Status": "ON"}) == "AccessDenied"
    fresh = {"Bucket": BUCKET, "Key": f"{PREFIX}junk", "Body": b"junk"}
    locked = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": now + 3650 * DAY}
    assert refusal(s3.put_object, **fresh, **locked) == "AccessDenied"
    assert refusal(s3.put_object, **fresh, ObjectLockLegalHoldStatus="ON") == "AccessDenied"
    assert S3Retentions(s3, BUCKET, PREFIX).retention(KEY, version) == before

"""A bucket as RWM makes it, for tests that change one thing."""

from dataclasses import replace

from functions.domain.bucket_policy import Statement, Surroundings, bucket_policy
from functions.domain.posture.bucket import judge
from functions.domain.posture.facts import BucketFacts, Encryption, LifecycleRule, ObjectLock, PublicAccess
from functions.domain.repositories import Configuration, Repository
from functions.domain.values import Finding, Versioning
from tests.builders import NOON

ACCOUNT = "123456789012"
BREAK_GLASS = f"arn:aws:iam::{ACCOUNT}:role/break-glass"
HOST = f"arn:aws:iam::{ACCOUNT}:user/rwm-alpha-host"


def configuration(**settings: object) -> Configuration:
    alpha = {"name": "alpha", "bucket": "backups", "prefix": "alpha", "maintenance": "create", **settings}
    beta = {"name": "beta", "bucket": "backups", "prefix": "beta", "adopt": alpha.get("adopt", False)}
    beta |= {name: alpha[name] for name in ("kms_key", "lock_days") if name in alpha}
    return Configuration.model_validate({"break_glass": BREAK_GLASS, "repositories": [alpha, beta]})


def surroundings(**settings: object) -> Surroundings:
    return Surroundings("aws", ACCOUNT, configuration(**settings))


def alpha(where: Surroundings) -> Repository:
    return where.configuration.repositories[0]


def our_policy(where: Surroundings) -> tuple[Statement, ...]:
    return tuple(bucket_policy("backups", where.configuration.repositories, where))


def good(where: Surroundings) -> BucketFacts:
    key = alpha(where).kms_key
    return BucketFacts(
        read_at=NOON,
        versioning=Versioning.ENABLED,
        object_lock=ObjectLock(True, "GOVERNANCE", alpha(where).lock_days),
        lifecycle=(LifecycleRule(id="AbortIncompleteUploads", abort_uploads_days=1),),
        policy=our_policy(where),
        public_access=PublicAccess(block_acls=True, ignore_acls=True, block_policy=True, restrict_buckets=True),
        encryption=Encryption("aws:kms" if key else "AES256", key, sse_c_blocked=True),
        replication=(),
        ownership="BucketOwnerEnforced",
        grants=(),
    )


def found(where: Surroundings | None = None, **changed: object) -> dict[str, Finding]:
    """What posture says of a good bucket of which some facts are changed."""
    where = where or surroundings()
    facts = replace(good(where), **changed)  # type: ignore[arg-type]
    return {each.id: each for each in judge(facts, alpha(where), where)}

"""The rules over a bucket's configuration, each a function of its own.

A rule is silent about a fact that could not be fetched: `posture_not_readable` speaks for all of these. On
a bucket that somebody else configures (`adopt`), what we only would have chosen otherwise is a NOTE.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from functions.domain.bucket_policy import Surroundings, bucket_policy
from functions.domain.findings import FindingId
from functions.domain.posture.facts import BucketFacts, LifecycleRule
from functions.domain.posture.policy import not_covered, public_allows
from functions.domain.repositories import Repository, Retention
from functions.domain.values import Digest, Finding, Severity, Versioning

Rule = Callable[[BucketFacts, Repository], Iterable[Finding]]

EVERYBODY = ("/groups/global/AllUsers", "/groups/global/AuthenticatedUsers")
"""How the URIs of S3's two public groups end."""


def versioning_not_enabled(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.versioning not in (None, Versioning.ENABLED):
        yield _finding(
            facts,
            repository,
            FindingId.VERSIONING_NOT_ENABLED,
            Severity.FAIL,
            f"versioning of bucket {repository.bucket} is {facts.versioning}: a PUT or DELETE destroys what was there",
            "enable versioning and Object Lock, and find out who changed it",
        )


def object_lock_off(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.object_lock is not None and not facts.object_lock.enabled:
        yield _finding(
            facts,
            repository,
            FindingId.OBJECT_LOCK_OFF,
            Severity.NOTE if repository.adopt else Severity.HOLD,
            f"bucket {repository.bucket} has no Object Lock: only policies keep versions from being destroyed, and "
            "versioning can be suspended",
            "enable Object Lock on the bucket; it can be enabled at any time, and never be disabled",
        )


def default_retention_missing(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.object_lock is not None and facts.object_lock.enabled and facts.object_lock.mode is None:
        yield _finding(
            facts,
            repository,
            FindingId.DEFAULT_RETENTION_MISSING,
            Severity.NOTE if repository.adopt else Severity.HOLD,
            f"bucket {repository.bucket} gives new versions no retention: only policies keep them",
            f"set a default retention of GOVERNANCE and {repository.lock_days} days",
        )


def default_retention_too_short(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    lock = facts.object_lock
    if lock is not None and lock.mode is not None and lock.days < repository.lock_days:
        yield _finding(
            facts,
            repository,
            FindingId.DEFAULT_RETENTION_TOO_SHORT,
            Severity.NOTE if repository.adopt else Severity.HOLD,
            f"the default retention of bucket {repository.bucket} is {lock.days} days; lock_days asks for "
            f"{repository.lock_days}",
            "lengthen it, or change lock_days in repositories.toml",
        )


def default_retention_too_long(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    lock = facts.object_lock
    longest = max(repository.grace_days, timedelta(days=1))
    if lock is not None and lock.mode is not None and timedelta(days=lock.days) > longest:
        yield _finding(
            facts,
            repository,
            FindingId.DEFAULT_RETENTION_TOO_LONG,
            Severity.NOTE,
            f"the default retention of bucket {repository.bucket} is {lock.days} days, longer than grace_days: a "
            "prune waits for it",
            "shorten it, or lengthen grace_days in repositories.toml",
        )


def default_retention_compliance(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.object_lock is not None and facts.object_lock.mode == "COMPLIANCE":
        yield _finding(
            facts,
            repository,
            FindingId.DEFAULT_RETENTION_COMPLIANCE,
            Severity.HOLD,
            f"the default retention of bucket {repository.bucket} is COMPLIANCE: nobody can delete a version before "
            "it ends, not even you, and a flood of uploads is paid for until then",
            "set GOVERNANCE, unless you mean it",
        )


def lifecycle_expires(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    """Of current versions at any age, since packs are needed for ever; of noncurrent ones within the window."""
    window = longest_kept(repository.retention) + repository.grace_days
    for rule in _lifecycle(facts, repository):
        harm = []
        if rule.expire_days is not None or rule.expire_date is not None:
            harm.append("hides current objects")
        if rule.noncurrent_days is not None and timedelta(days=rule.noncurrent_days) < window:
            harm.append(f"destroys noncurrent versions after {rule.noncurrent_days} days")
        if harm:
            yield _finding(
                facts,
                repository,
                FindingId.LIFECYCLE_EXPIRES,
                Severity.FAIL,
                f"lifecycle rule {rule.id!r} of bucket {repository.bucket} {' and '.join(harm)}; states are kept for "
                f"up to {window.days} days",
                "remove the rule, and find out who added it",
            )


def lifecycle_transitions(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    for rule in _lifecycle(facts, repository):
        if foreign := sorted(set(rule.transitions) - set(repository.storage_classes)):
            yield _finding(
                facts,
                repository,
                FindingId.LIFECYCLE_TRANSITIONS,
                Severity.HOLD,
                f"lifecycle rule {rule.id!r} of bucket {repository.bucket} moves objects to {', '.join(foreign)}: "
                "restic cannot read archived packs, and a restore has to thaw them first",
                "remove the rule, or add the class to storage_classes in repositories.toml",
            )


def uploads_not_aborted(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.lifecycle is None or any(
        rule.enabled and not rule.prefix and rule.abort_uploads_days is not None for rule in facts.lifecycle
    ):
        return
    yield _finding(
        facts,
        repository,
        FindingId.UPLOADS_NOT_ABORTED,
        Severity.NOTE,
        f"incomplete uploads stay in bucket {repository.bucket} for ever: they cost, and one that is completed later "
        "is dated by its beginning",
        "add a lifecycle rule that aborts incomplete multipart uploads after a day",
    )


def bucket_policy_missing(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.policy is not None and not facts.policy:
        yield _finding(
            facts,
            repository,
            FindingId.BUCKET_POLICY_MISSING,
            Severity.FAIL,
            f"bucket {repository.bucket} has no policy: whatever an identity policy allows can destroy versions",
            f"`rwm connect {repository.name}` prints the policy; deploy again where RWM made the bucket",
        )


def bucket_policy_weaker_than_ours(
    facts: BucketFacts, repository: Repository, where: Surroundings
) -> Iterable[Finding]:
    """Needs to know where the bucket stands, as the policy names principals of the deployment."""
    if not facts.policy:
        return
    together = where.configuration.buckets.get(repository.bucket, (repository,))
    ours = bucket_policy(repository.bucket, together, where)
    for sid, gap in not_covered(ours, facts.policy):
        yield _finding(
            facts,
            repository,
            FindingId.BUCKET_POLICY_WEAKER_THAN_OURS,
            Severity.FAIL,
            f"the policy of bucket {repository.bucket} lacks {sid}, or narrows it: {gap} can get through",
            f"`rwm connect {repository.name}` prints the policy; deploy again where RWM made the bucket",
        )


def public_access_open(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    open_to_all = [f"policy statement {sid}" for sid in public_allows(facts.policy or ())]
    open_to_all += [f"ACL {each.permission}" for each in facts.grants or () if each.grantee.endswith(EVERYBODY)]
    if open_to_all:
        yield _finding(
            facts,
            repository,
            FindingId.PUBLIC_ACCESS_OPEN,
            Severity.FAIL,
            f"bucket {repository.bucket} is open to everybody: {', '.join(open_to_all)}",
            "remove it, block public access, and find out who added it",
        )
    access = facts.public_access
    if access is not None and not (
        access.block_acls and access.ignore_acls and access.block_policy and access.restrict_buckets
    ):
        yield _finding(
            facts,
            repository,
            FindingId.PUBLIC_ACCESS_OPEN,
            Severity.NOTE if repository.adopt else Severity.HOLD,
            f"public access to bucket {repository.bucket} is not blocked in all four ways",
            "turn all four settings of its public access block on",
        )


def sse_c_allowed(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.encryption is not None and not facts.encryption.sse_c_blocked:
        yield _finding(
            facts,
            repository,
            FindingId.SSE_C_ALLOWED,
            Severity.NOTE if repository.adopt else Severity.HOLD,
            f"bucket {repository.bucket} takes objects encrypted with a customer's key (SSE-C): ransomware re-encrypts "
            "with a key that nobody else has",
            "block SSE-C in the bucket's encryption configuration",
        )


def encryption_changed(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.encryption is None:
        return
    expected = ("aws:kms", repository.kms_key) if repository.kms_key else ("AES256", None)
    found = (facts.encryption.algorithm, facts.encryption.kms_key)
    if found != expected:
        yield _finding(
            facts,
            repository,
            FindingId.ENCRYPTION_CHANGED,
            Severity.HOLD,
            f"bucket {repository.bucket} encrypts with {_cipher(found)}; expected is {_cipher(expected)}: who owns the "
            "key can take the backups away",
            "set it back, or name the key as kms_key in repositories.toml",
        )


def replication_present(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.replication:
        yield _finding(
            facts,
            repository,
            FindingId.REPLICATION_PRESENT,
            Severity.HOLD,
            f"bucket {repository.bucket} replicates to {', '.join(facts.replication)}: a copy of every backup leaves "
            "this bucket",
            "if it is yours, approve the plan knowing it; else remove it and find out who added it",
        )


def ownership_not_enforced(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.ownership not in (None, "BucketOwnerEnforced"):
        yield _finding(
            facts,
            repository,
            FindingId.OWNERSHIP_NOT_ENFORCED,
            Severity.NOTE if repository.adopt else Severity.HOLD,
            f"objects of bucket {repository.bucket} may belong to who uploads them ({facts.ownership}): ACLs count, "
            "and an uploader from another account can keep you out",
            "set the bucket's object ownership to BucketOwnerEnforced",
        )


def acl_grants_others(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    others = [f"{each.permission} to {each.grantee}" for each in facts.grants or ()]
    # Everybody is public_access_open's to tell.
    others = [each for each in others if not each.endswith(EVERYBODY)]
    if others:
        yield _finding(
            facts,
            repository,
            FindingId.ACL_GRANTS_OTHERS,
            Severity.HOLD,
            f"the ACL of bucket {repository.bucket} grants {', '.join(others)}",
            "remove the grants; with BucketOwnerEnforced there are none",
        )


def posture_not_readable(facts: BucketFacts, repository: Repository) -> Iterable[Finding]:
    if facts.unread:
        yield _finding(
            facts,
            repository,
            FindingId.POSTURE_NOT_READABLE,
            Severity.HOLD,
            f"of bucket {repository.bucket} could not be fetched, and so not be judged: {', '.join(facts.unread)}",
            "allow the check's role to read it; where the server has no such call, judge it by hand",
        )


def drift(facts: BucketFacts, repository: Repository, before: Mapping[str, Digest]) -> Iterable[Finding]:
    """What changed since `before`, the `digests` that were kept beside the last state; what is unread is no change."""
    now = facts.digests
    changed = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    if changed:
        yield _finding(
            facts,
            repository,
            FindingId.DRIFT,
            Severity.HOLD,
            f"the configuration of bucket {repository.bucket} changed since the last state: {', '.join(changed)}",
            "find out in CloudTrail who changed it; a deployment of yours does so, too",
        )


RULES: tuple[Rule, ...] = (
    versioning_not_enabled,
    object_lock_off,
    default_retention_missing,
    default_retention_too_short,
    default_retention_too_long,
    default_retention_compliance,
    lifecycle_expires,
    lifecycle_transitions,
    uploads_not_aborted,
    bucket_policy_missing,
    public_access_open,
    sse_c_allowed,
    encryption_changed,
    replication_present,
    ownership_not_enforced,
    acl_grants_others,
    posture_not_readable,
)


def judge(
    facts: BucketFacts, repository: Repository, where: Surroundings, before: Mapping[str, Digest] | None = None
) -> tuple[Finding, ...]:
    """Everything that the configuration shows; `before` is the `digests` of the last state, if there is one."""
    return (
        *(finding for rule in RULES for finding in rule(facts, repository)),
        *bucket_policy_weaker_than_ours(facts, repository, where),
        *drift(facts, repository, before or {}),
    )


def longest_kept(retention: Retention) -> timedelta:
    """The age that a kept state can reach; held states get older still."""
    return max(
        retention.keep_within,
        timedelta(days=retention.days),
        timedelta(weeks=retention.weeks),
        timedelta(days=31 * retention.months),
        timedelta(days=366 * retention.years),
    )


def _lifecycle(facts: BucketFacts, repository: Repository) -> Iterable[LifecycleRule]:
    """The enabled rules that touch the repository's objects, lock files aside."""
    inside = repository.key_prefix
    for rule in facts.lifecycle or ():
        touches = inside.startswith(rule.prefix) or rule.prefix.startswith(inside)
        if rule.enabled and touches and not rule.prefix.startswith(f"{inside}locks/"):
            yield rule


def _cipher(cipher: tuple[str, str | None]) -> str:
    return f"{cipher[0]} under {cipher[1]}" if cipher[1] else cipher[0]


def _finding(
    facts: BucketFacts, repository: Repository, finding: FindingId, severity: Severity, what: str, remedy: str
) -> Finding:
    return Finding(finding, severity, repository.repository, facts.read_at, what, remedy)

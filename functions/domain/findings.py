"""The id of every finding that RWM's rules can make, and how a person lays one to rest.

docs/findings.md has each id with its cause, its danger and what to do; a test compares the two.

Security rules:
- An acknowledgement names a finding, a key and version ids, exactly. It covers those versions of that key
  and no other: the same attack again writes other versions, and is found again.
- What is wrong with the fresh state itself (`Evidence.standing`) cannot be acknowledged, only mended.
- A finding without evidence is about now; it ends when its cause does, and cannot be acknowledged either.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from functions.domain.values import Evidence, Finding, ObjectKey, VersionId


class FindingId(StrEnum):
    """Stable: operators, alarms and acknowledgements refer to them."""

    # posture: the bucket's configuration
    VERSIONING_NOT_ENABLED = "versioning-not-enabled"
    OBJECT_LOCK_OFF = "object-lock-off"
    DEFAULT_RETENTION_MISSING = "default-retention-missing"
    DEFAULT_RETENTION_TOO_SHORT = "default-retention-too-short"
    DEFAULT_RETENTION_TOO_LONG = "default-retention-too-long"
    DEFAULT_RETENTION_COMPLIANCE = "default-retention-compliance"
    LIFECYCLE_EXPIRES = "lifecycle-expires"
    LIFECYCLE_TRANSITIONS = "lifecycle-transitions"
    UPLOADS_NOT_ABORTED = "uploads-not-aborted"
    BUCKET_POLICY_MISSING = "bucket-policy-missing"
    BUCKET_POLICY_WEAKER_THAN_OURS = "bucket-policy-weaker-than-ours"
    PUBLIC_ACCESS_OPEN = "public-access-open"
    SSE_C_ALLOWED = "sse-c-allowed"
    ENCRYPTION_CHANGED = "encryption-changed"
    REPLICATION_PRESENT = "replication-present"
    OWNERSHIP_NOT_ENFORCED = "ownership-not-enforced"
    ACL_GRANTS_OTHERS = "acl-grants-others"
    POSTURE_NOT_READABLE = "posture-not-readable"
    DRIFT = "drift"
    # posture: the host's rights; beside them `host_may` makes an id for each action
    BUCKET_POLICY_GRANTS_HOST = "bucket-policy-grants-host"
    HOST_RIGHTS_NOT_JUDGED = "host-rights-not-judged"
    # posture: quarantine
    QUARANTINED = "quarantined"
    # posture: restore drills
    DRILL_OVERDUE = "drill-overdue"
    # consistent: is there a repository
    EMPTY_REPOSITORY = "empty-repository"
    NOT_A_RESTIC_REPOSITORY = "not-a-restic-repository"
    LEGACY_LAYOUT = "legacy-layout"
    SEVERAL_REPOSITORIES = "several-repositories-under-one-prefix"
    # consistent: single keys and versions
    ALIEN_KEY = "alien-key"
    MALFORMED_NAME = "malformed-name"
    IMPOSSIBLE_SIZE = "impossible-size"
    MULTIPART_ETAG = "multipart-etag"
    STORAGE_CLASS_CHANGED = "storage-class-changed"
    NULL_VERSION = "null-version"
    FLOODED_KEY = "flooded-key"
    PINNED_VERSION_GONE = "pinned-version-gone"
    BACKDATED_VERSION = "backdated-version"
    STATE_DAMAGED = "state-damaged"
    # consistent: what became of restic's files
    CONFIG_MISSING = "config-missing"
    CONFIG_CHANGED = "config-changed"
    PACK_OVERWRITTEN = "pack-overwritten"
    HOST_HID_OBJECTS = "host-hid-objects"
    KEY_FILE_REMOVED = "key-file-removed"
    KEY_FILE_ADDED = "key-file-added"
    SNAPSHOT_REMOVED_TOO_YOUNG = "snapshot-removed-too-young"
    # consistent: amounts and times
    SNAPSHOTS_DROPPED = "snapshots-dropped"
    DATA_DROPPED = "data-dropped"
    OLD_DATA_DROPPED = "old-data-dropped"
    GROWTH = "growth"
    NO_NEW_SNAPSHOT = "no-new-snapshot"
    BUSY_TOO_LONG = "busy-too-long"
    STALE_LOCK = "stale-lock"
    # complete: what the restic password opens
    DEEP_CHECK_FAILED = "deep-check-failed"
    KEY_FILE_REFUSED = "key-file-refused"
    FOREIGN_PACKS = "foreign-packs"
    ORPHANED_PACKS = "orphaned-packs"
    PASSWORD_OPENS_NOTHING = "password-opens-nothing"  # noqa: S105 - the name of a finding
    COMPLETE_NOT_JUDGED = "complete-not-judged"
    COPY_DIFFERS = "copy-differs"
    # content
    CONTENT_DAMAGED = "content-damaged"
    CONTENT_CHANGED = "content-changed"
    CONTENT_NOT_READ = "content-not-read"
    # a prune's plan
    PRUNE_FREES_MUCH = "prune-frees-much"
    PRUNE_TAKES_ALIENS = "prune-takes-aliens"
    PRUNE_AFTER_UNANSWERED = "prune-after-unanswered"
    # locks
    LOCKS_MISSING = "locks-missing"
    LOCKS_LATE = "locks-late"


HOST_MAY = "host-may-"


def host_may(action: str) -> str:
    """The id that says that a host is allowed `action`: `host-may-s3-deleteobjectversion`."""
    return HOST_MAY + action.replace(":", "-").lower()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A person's word that these versions of this key, in this finding, are known and dealt with."""

    finding: str
    key: ObjectKey
    version_ids: frozenset[VersionId]


def can_be_acknowledged(evidence: Evidence) -> bool:
    """Whether a person can lay it to rest: it is over, and named by its version ids."""
    return bool(evidence.version_ids) and not evidence.standing


def unacknowledged(findings: Iterable[Finding], acknowledgements: Iterable[Acknowledgement]) -> tuple[Finding, ...]:
    """`findings` without the evidence that is acknowledged, and without those of which nothing is left.

    Several acknowledgements of one finding and key add up. Evidence is laid to rest only when *all* of its
    version ids are acknowledged: a part of them is a part of what happened.
    """
    known: dict[tuple[str, ObjectKey], frozenset[VersionId]] = {}
    for each in acknowledgements:
        known[each.finding, each.key] = known.get((each.finding, each.key), frozenset()) | each.version_ids
    left: list[Finding] = []
    for finding in findings:
        if not finding.evidence:
            left.append(finding)
            continue
        open_evidence = tuple(
            evidence
            for evidence in finding.evidence
            if not can_be_acknowledged(evidence)
            or not known.get((finding.id, evidence.key), frozenset()).issuperset(evidence.version_ids)
        )
        if open_evidence or finding.more:
            since = min((each.since for each in open_evidence), default=finding.since)
            left.append(replace(finding, evidence=open_evidence, since=since))
    return tuple(left)

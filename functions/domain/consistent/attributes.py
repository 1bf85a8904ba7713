"""What S3 tells about single keys and versions beside their bytes, and what lock files tell."""

from collections.abc import Iterable
from datetime import timedelta

from functions.domain.consistent.case import Case, evidence_of
from functions.domain.cut import LOCK_LIFETIME
from functions.domain.findings import FindingId
from functions.domain.key_history import MOST_ENTRIES
from functions.domain.values import NULL_VERSION, Evidence, Finding, Severity

BUSY_PATIENCE = timedelta(days=1)


def null_version(case: Case) -> Iterable[Finding]:
    if case.fresh.nulls and not case.object_lock:
        yield case.finding(
            FindingId.NULL_VERSION,
            Severity.FAIL,
            "objects have version id null: were versioning suspended, a PUT would replace them",
            "enable Object Lock on the bucket, so that nobody can suspend versioning, or copy these objects onto "
            "themselves",
            evidence=[Evidence(key, (NULL_VERSION,), case.now, standing=True) for key in case.fresh.nulls],
        )


def flooded_key(case: Case) -> Iterable[Finding]:
    """Without version ids, so that it cannot be acknowledged: of such a key nothing is known to the end."""
    if case.fresh.flooded:
        yield case.finding(
            FindingId.FLOODED_KEY,
            Severity.HOLD,
            f"keys have more than {MOST_ENTRIES} versions and delete markers; nothing is planned for them",
            "find out whose key wrote them, take it away, and see what it costs",
            evidence=[Evidence(key, (), case.now, standing=True) for key, _ in case.fresh.flooded],
        )


def multipart_etag(case: Case) -> Iterable[Finding]:
    """Also of versions beneath: an upload is dated by its beginning, and so can lie under older ones."""
    if case.repository.allow_multipart:
        return
    evidence = [evidence_of([version]) for version in case.fresh.multipart]
    if evidence:
        yield case.finding(
            FindingId.MULTIPART_ETAG,
            Severity.HOLD,
            "objects were uploaded in parts, which restic does not do with files of its size: such an upload is dated "
            "by its beginning, and can lie beneath recorded states",
            "find out what uploaded them; set allow_multipart where it is a tool of yours",
            evidence=evidence,
        )


def storage_class_changed(case: Case) -> Iterable[Finding]:
    allowed = case.repository.storage_classes
    evidence = [evidence_of([version]) for version in case.fresh.unusual_classes]
    if evidence:
        classes = sorted({version.storage_class for version in case.fresh.unusual_classes})
        yield case.finding(
            FindingId.STORAGE_CLASS_CHANGED,
            Severity.HOLD,
            f"objects are in storage class {', '.join(classes)}; this repository's are {', '.join(allowed)}: restic "
            "cannot read archived packs, and a restore has to thaw them first",
            "look for a lifecycle rule; add the class to storage_classes if it is yours",
            evidence=evidence,
        )


def busy_too_long(case: Case) -> Iterable[Finding]:
    """Judged by states: each lock file is replaced every few minutes, by restic and by who imitates it."""
    if not case.fresh.cut.busy:
        return
    quiet = [point.cut_time for point in case.baseline.points if not point.busy and point.cut_time < case.now]
    busy_since = [
        point.cut_time
        for point in case.baseline.points
        if point.busy and point.cut_time > max(quiet, default=point.cut_time - BUSY_PATIENCE)
    ]
    if busy_since and case.now - min(busy_since) >= BUSY_PATIENCE:
        yield case.finding(
            FindingId.BUSY_TOO_LONG,
            Severity.HOLD,
            "every state of the last day was recorded while a lock file was fresh",
            "see on the host what restic does; a stuck one is ended and `restic unlock` run, an unknown one is a "
            "stolen key",
            since=min(busy_since),
        )


def stale_lock(case: Case) -> Iterable[Finding]:
    if case.fresh.cut.stale_locks:
        yield case.finding(
            FindingId.STALE_LOCK,
            Severity.NOTE,
            f"{case.fresh.cut.stale_locks} lock files are older than {LOCK_LIFETIME.total_seconds() / 60:.0f} minutes: "
            "a restic was killed",
            "`restic unlock` removes them",
            since=case.fresh.oldest_lock,
        )

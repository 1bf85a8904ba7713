"""What became of restic's files: each is written once, `config` aside, and few are ever removed.

Security rules:
- The oldest version of a name is taken for the true one; versions that differ from it are the intruders, and
  they are what a person acknowledges.
- While an intruder is current the finding stands: no acknowledgement lifts it.
- Bytes that the listing cannot compare (no MD5 ETags, a multipart upload) are a HOLD until they are hashed.
- What a person approved, or what no policy forbids, is not found again; damage is found until acknowledged.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from functions.domain.consistent.case import Bytes, Case, evidence_of
from functions.domain.findings import FindingId
from functions.domain.key_history import KeyHistory
from functions.domain.restic import FileType, file_type
from functions.domain.values import DeleteMarker, Evidence, Finding, ObjectKey, ObjectVersion, Severity

NAMED = frozenset({FileType.KEY, FileType.SNAPSHOT, FileType.INDEX, FileType.PACK})
"""Named by the SHA-256 of their bytes."""
REPLACED_WITHIN = timedelta(minutes=10)
"""`restic tag` and `rewrite` write the new snapshot just before they remove the old one."""
_DOCTORS = re.compile(r"rwm-doctor-[0-9a-f]{16}")
"""What host/rwm-doctor tries to hide outside `locks/`: a key that never was."""


def pack_overwritten(case: Case) -> Iterable[Finding]:
    """Any file that is named by its bytes, not packs only."""
    damaged: list[Evidence] = []
    unknown: list[Evidence] = []
    for history in case.fresh.histories:
        if file_type(history.key) not in NAMED:
            continue
        different, doubtful = _intruders(case, history.versions)
        if different:
            damaged.append(evidence_of(different, standing=history.current in different))
        if doubtful:
            unknown.append(evidence_of(doubtful))
    if damaged:
        yield case.finding(
            FindingId.PACK_OVERWRITTEN,
            Severity.FAIL,
            "restic's files were overwritten with other bytes, which restic never does",
            "restore the last state before that, find out whose key wrote them, then acknowledge what is over",
            evidence=damaged,
        )
    if unknown:
        yield case.finding(
            FindingId.PACK_OVERWRITTEN,
            Severity.HOLD,
            "restic's files have versions of equal size whose bytes a listing cannot compare",
            "`rwm check --level content` reads and compares them",
            evidence=unknown,
        )


def config_changed(case: Case) -> Iterable[Finding]:
    """`config` is rewritten by `restic migrate upgrade_repo_v2` alone, and once."""
    current = next(iter(case.fresh.of(FileType.CONFIG)), None)
    history = case.fresh.history(ObjectKey("config"))
    listed = history.versions if history is not None else tuple(filter(None, [current]))
    ids = {version.version_id for version in listed}
    # The recorded one may have been pruned since, and is older than all that are still there.
    pruned = [each for each in case.baseline.reference.few if each.key == "config" and each.version_id not in ids]
    written = [*listed, *pruned]
    different, doubtful = _undeclared(case, written)
    if different:
        yield case.finding(
            FindingId.CONFIG_CHANGED,
            Severity.FAIL,
            "`config` was changed, and no migration was declared for that time",
            "declare the migration if you ran one; else restore the last state before that",
            evidence=[evidence_of(different, standing=current in different)],
        )
    if doubtful:
        yield case.finding(
            FindingId.CONFIG_CHANGED,
            Severity.HOLD,
            "`config` was written again with as many bytes, which a listing cannot compare",
            "`rwm check --level content` reads and compares them; declare the migration if you ran one",
            evidence=[evidence_of(doubtful)],
        )


def host_hid_objects(case: Case) -> Iterable[Finding]:
    """Delete markers outside `locks/`, where neither a host nor a maintenance principal may hide."""
    if case.repository.host_may_hide or case.repository.maintenance is not None:
        return
    hiding = (history for history in case.fresh.histories if not _is_a_doctors_try(history))
    unapproved = (_unapproved(case, history.markers) for history in hiding)
    evidence = [evidence_of(markers) for markers in unapproved if markers]
    if evidence:
        yield case.finding(
            FindingId.HOST_HID_OBJECTS,
            Severity.HOLD,
            "objects outside locks/ were hidden, though nobody who backs up may hide there",
            "find out whose key did it; `rwm diff` shows what it means; restore, or acknowledge what was meant",
            evidence=evidence,
        )


def key_file_removed(case: Case) -> Iterable[Finding]:
    """`restic key remove` and `passwd` do it, rarely; all of them gone means that nobody can open it as before."""
    recorded = _key_files(case.baseline.reference.few)
    current = {version.key for version in case.fresh.of(FileType.KEY)}
    removed = [version for key, version in recorded.items() if key not in current]
    if not removed:
        return
    all_gone = len(removed) == len(recorded)
    evidence = [_removal(case, version, standing=all_gone and not current) for version in removed]
    yield case.finding(
        FindingId.KEY_FILE_REMOVED,
        Severity.FAIL if all_gone else Severity.HOLD,
        "all recorded key files are gone: no password that worked opens the repository any more"
        if all_gone
        else "key files were removed: their passwords open the repository no longer",
        "if you changed passwords, acknowledge it; else restore the key files from a good state",
        evidence=evidence,
    )


def key_file_added(case: Case) -> Iterable[Finding]:
    recorded = _key_files(case.baseline.reference.few)
    if not recorded:
        return
    evidence = [evidence_of([version]) for version in case.fresh.of(FileType.KEY) if version.key not in recorded]
    if evidence:
        yield case.finding(
            FindingId.KEY_FILE_ADDED,
            Severity.HOLD,
            "key files were added: somebody has a password that was not there before",
            "if you added one, acknowledge it; else a stranger reads your backups: `restic key remove` it",
            evidence=evidence,
        )


def snapshot_removed_too_young(case: Case) -> Iterable[Finding]:
    """By S3's clock; a snapshot that another one replaced, as `restic tag` does, was not removed."""
    removals = sorted(
        (
            (marker, born)
            for history in case.fresh.histories
            if file_type(history.key) is FileType.SNAPSHOT
            for marker in _unapproved(case, history.markers)
            if (born := _born(history, marker)) is not None
            and marker.last_modified - born.last_modified < case.repository.minimum_snapshot_age
        ),
        key=lambda removal: removal[0].last_modified,
    )
    births = list(case.fresh.snapshot_uploads)
    evidence: list[Evidence] = []
    for marker, born in removals:
        replacement = next((birth for birth in births if _replaces(birth, born, marker)), None)
        if replacement is None:
            evidence.append(evidence_of([marker]))
        else:
            # It stands for one snapshot, not for all that were removed with it.
            births.remove(replacement)
    if evidence:
        yield case.finding(
            FindingId.SNAPSHOT_REMOVED_TOO_YOUNG,
            Severity.HOLD,
            "snapshots were removed when they were younger than any of your policies would remove",
            "`rwm diff` shows which; restore them, or acknowledge what you removed yourself",
            evidence=evidence,
        )


def pinned_version_gone(case: Case) -> Iterable[Finding]:
    if case.fresh.gone:
        yield case.finding(
            FindingId.PINNED_VERSION_GONE,
            Severity.FAIL,
            "object versions that kept states name no longer exist: those states cannot be restored whole",
            "find out in CloudTrail who deleted them; check that the bucket's policy is ours; acknowledge the loss",
            evidence=[Evidence(pin.key, tuple(sorted(pin.version_ids)), case.now) for pin in case.fresh.gone],
        )


def backdated_version(case: Case) -> Iterable[Finding]:
    """Told by the ledger's own entries: record, which reads none of them, never finds it."""
    if case.fresh.backdated:
        yield case.finding(
            FindingId.BACKDATED_VERSION,
            Severity.HOLD,
            "object versions lie beneath recorded states that do not name them: they came later than they are dated",
            "find out who uploaded them (an upload in parts is dated by its beginning); acknowledge what you did "
            "yourself",
            evidence=[evidence_of([version]) for version in case.fresh.backdated],
        )


def _intruders(case: Case, versions: Iterable[ObjectVersion]) -> tuple[list[ObjectVersion], list[ObjectVersion]]:
    """Of `versions` (newest first), those whose bytes are not the oldest's, and those that cannot be told."""
    listed = list(versions)
    compared = [(version, case.compare(listed[-1], version)) for version in listed[:-1]]
    return (
        [version for version, found in compared if found is Bytes.DIFFERENT],
        [version for version, found in compared if found is Bytes.UNKNOWN],
    )


def _undeclared(case: Case, versions: Iterable[ObjectVersion]) -> tuple[list[ObjectVersion], list[ObjectVersion]]:
    """Like `_intruders`, but each declared migration lets the true bytes change once; what was true before is then
    as foreign as any other."""
    different: list[ObjectVersion] = []
    doubtful: list[ObjectVersion] = []
    declared = list(case.repository.migrations)
    true: ObjectVersion | None = None
    for version in reversed(list(versions)):
        found = Bytes.SAME if true is None else case.compare(true, version)
        if found is Bytes.SAME:
            true = true or version
            continue
        migration = next((each for each in declared if each.since <= version.last_modified <= each.until), None)
        if migration is not None:
            declared.remove(migration)
            true = version
        else:
            (different if found is Bytes.DIFFERENT else doubtful).append(version)
    return different, doubtful


def _is_a_doctors_try(history: KeyHistory) -> bool:
    """Whether a too strong key left a marker where nothing was ever written: `rwm-doctor` tells its owner of it.

    Every entry must be at hand and a marker: a name alone excuses nothing, since anybody may choose it.
    """
    return _DOCTORS.fullmatch(history.key) is not None and history.count == len(history.markers)


def _unapproved(case: Case, markers: Iterable[DeleteMarker]) -> list[DeleteMarker]:
    """Those set after the last state that a person approved."""
    until = case.baseline.approved_until
    return [marker for marker in markers if until is None or marker.last_modified > until]


def _key_files(versions: Iterable[ObjectVersion]) -> dict[ObjectKey, ObjectVersion]:
    return {version.key: version for version in versions if file_type(version.key) is FileType.KEY}


def _removal(case: Case, recorded: ObjectVersion, *, standing: bool) -> Evidence:
    """The marker that hides it, so that removing it again later is another removal; else the version itself."""
    history = case.fresh.history(recorded.key)
    hidden = history is not None and history.current is None
    return evidence_of(history.entries[:1] if history is not None and hidden else [recorded], standing=standing)


def _born(history: KeyHistory, marker: DeleteMarker) -> ObjectVersion | None:
    """The oldest version that the marker hid: restic never writes a name twice."""
    older = history.entries[history.entries.index(marker) + 1 :]
    return next((entry for entry in reversed(older) if isinstance(entry, ObjectVersion)), None)


def _replaces(birth: datetime, born: ObjectVersion, marker: DeleteMarker) -> bool:
    """Whether a snapshot written at `birth` can be the one that took the place of the one hidden."""
    hidden = marker.last_modified
    return born.last_modified < birth and hidden - REPLACED_WITHIN <= birth <= hidden

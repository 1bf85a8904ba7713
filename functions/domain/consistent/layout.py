"""Is there a repository, one, and nothing else: what the names of the current objects say."""

import re
from collections.abc import Iterable, Iterator

from functions.domain.consistent.case import Case, evidence_of
from functions.domain.findings import FindingId
from functions.domain.restic import SMALLEST, FileType, file_type
from functions.domain.values import Finding, ObjectKey, ObjectVersion, Severity

_LEGACY = re.compile(r"(?:key|lock|snapshot|data)/[0-9a-f]{64}")
_INNER = re.compile(r"(?:config|(?:keys|snapshots|index|locks)/[0-9a-f]{64}|data/([0-9a-f]{2})/\1[0-9a-f]{62})")
_FOLDERS = ("data/", "index/", "keys/", "snapshots/")
_WHOLE = (FileType.SNAPSHOT, FileType.INDEX, FileType.PACK)


def empty_repository(case: Case) -> Iterable[Finding]:
    """No snapshots, no index or no packs; right after `restic init` that is a NOTE."""
    current = len(case.fresh.cut.versions)
    found = case.fresh.by_type.keys()
    lacking = [kind for kind in _WHOLE if kind not in found]
    if not lacking or (current and (_is_legacy(case) or not _is_restic(case))):
        return
    had_snapshots = FileType.SNAPSHOT in _recorded(case) or any(point.snapshots for point in case.baseline.points)
    hidden_whole = not current and bool(_recorded(case))
    if FileType.SNAPSHOT in found or had_snapshots or hidden_whole:
        yield case.finding(
            FindingId.EMPTY_REPOSITORY,
            Severity.FAIL,
            f"the repository has no {_words(lacking)}, and had a backup: its current objects restore nothing",
            "`rwm states` shows the last state that had them; restore it, and find out who hid them",
        )
    else:
        yield case.finding(
            FindingId.EMPTY_REPOSITORY,
            Severity.NOTE,
            f"the repository has no {_words(lacking)} yet",
            "back up; if you expected a backup here, compare bucket and prefix with the host's repository URL",
        )


def not_a_restic_repository(case: Case) -> Iterable[Finding]:
    current = len(case.fresh.cut.versions)
    if current and not _is_restic(case) and not _is_legacy(case) and not _nested(case):
        yield case.finding(
            FindingId.NOT_A_RESTIC_REPOSITORY,
            Severity.FAIL,
            f"none of the {current} current objects is restic's",
            "compare bucket and prefix in repositories.toml with the host's repository URL",
        )


def legacy_layout(case: Case) -> Iterable[Finding]:
    if _is_legacy(case):
        yield case.finding(
            FindingId.LEGACY_LAYOUT,
            Severity.FAIL,
            "the repository has restic's legacy S3 layout (key/, lock/, flat data/), which RWM does not judge",
            "run `restic migrate s3_layout`, with a restic that still has it, then `rwm record`",
        )


def several_repositories(case: Case) -> Iterable[Finding]:
    """Files of a repository one folder further down: two in one prefix, or a prefix that is too short."""
    if nested := _nested(case):
        yield case.finding(
            FindingId.SEVERAL_REPOSITORIES,
            Severity.HOLD if _is_restic(case) else Severity.FAIL,
            f"restic's files lie in {len(nested)} folders further down, too: a repository inside this one's prefix",
            "give each repository a prefix of its own in repositories.toml; hide what does not belong here",
            # One file of each folder, to tell where it is; there may be millions.
            evidence=[evidence_of([version], standing=True) for version in nested.values()],
        )


def config_missing(case: Case) -> Iterable[Finding]:
    if not _is_restic(case) or case.fresh.of(FileType.CONFIG):
        return
    yield case.finding(
        FindingId.CONFIG_MISSING,
        Severity.FAIL,
        "there is no `config`: restic opens nothing without it, and never removes it",
        "restore the last good state, and find out who hid it",
    )


def malformed_name(case: Case) -> Iterable[Finding]:
    evidence = [evidence_of([version]) for version in _aliens(case) if version.key.startswith(_FOLDERS)]
    if evidence:
        yield case.finding(
            FindingId.MALFORMED_NAME,
            Severity.FAIL,
            "objects in restic's folders have names that restic does not give",
            "compare with a good state (`rwm diff`); hide what does not belong, then acknowledge it",
            evidence=evidence,
        )


def alien_key(case: Case) -> Iterable[Finding]:
    """Once a person has approved a state with exactly this version, it is known."""
    until = case.baseline.approved_until
    # The reference is a later state once a prune dropped the approved one: what came between the two, nobody saw.
    known = {
        (version.key, version.version_id)
        for version in case.baseline.reference.few
        if until is not None and version.last_modified <= until
    }
    evidence = [
        evidence_of([version])
        for version in _aliens(case)
        if not version.key.startswith(_FOLDERS) and (version.key, version.version_id) not in known
    ]
    if evidence:
        yield case.finding(
            FindingId.ALIEN_KEY,
            Severity.HOLD,
            "objects lie in the repository that restic did not make",
            "find out who put them there; acknowledge what may stay",
            evidence=evidence,
        )


def impossible_size(case: Case) -> Iterable[Finding]:
    evidence = [evidence_of([version]) for version in case.fresh.too_small]
    if evidence:
        yield case.finding(
            FindingId.IMPOSSIBLE_SIZE,
            Severity.FAIL,
            f"files of restic's have fewer than {SMALLEST} bytes: they hold nothing that restic wrote",
            "restore these keys from a good state, or hide and acknowledge them if no snapshot needs them",
            evidence=evidence,
        )


def _aliens(case: Case) -> Iterator[ObjectVersion]:
    """Current objects that no other rule about the layout explains."""
    if _is_legacy(case) or not _is_restic(case):
        return
    for version in case.fresh.of(FileType.ALIEN):
        if _folder(version.key) is None:
            yield version


def _recorded(case: Case) -> set[FileType]:
    """The types of file that the history of keys or a baseline shows."""
    hidden_or_not = {file_type(history.key) for history in case.fresh.histories}
    return hidden_or_not | case.baseline.reference.kinds | case.baseline.old.kinds


def _is_restic(case: Case) -> bool:
    return not case.fresh.by_type.keys() <= {FileType.ALIEN}


def _is_legacy(case: Case) -> bool:
    """Key files only where the old layout had them: a host that adds some to a good repository proves nothing."""
    return not case.fresh.by_type.keys() & {FileType.KEY, FileType.PACK} and any(
        _LEGACY.fullmatch(version.key) for version in case.fresh.of(FileType.ALIEN)
    )


def _nested(case: Case) -> dict[str, ObjectVersion]:
    """The folders in which inner repositories lie, in order, with one file of each."""
    folders = ((_folder(version.key), version) for version in case.fresh.of(FileType.ALIEN))
    found = {folder: version for folder, version in folders if folder is not None}
    return dict(sorted(found.items()))


def _folder(key: ObjectKey) -> str | None:
    """Where an inner repository would lie if `key` is one of its files."""
    if key.startswith(_FOLDERS):
        return None
    parts = key.split("/")
    for depth in range(1, min(len(parts), 6)):
        if _INNER.fullmatch("/".join(parts[depth:])):
            return "/".join(parts[:depth])
    return None


def _words(kinds: list[FileType]) -> str:
    plural = {FileType.SNAPSHOT: "snapshots", FileType.INDEX: "index", FileType.PACK: "data"}
    return " and no ".join(plural[kind] for kind in kinds)

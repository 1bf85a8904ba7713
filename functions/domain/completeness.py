"""What is said of a state that was read with the restic password: the report of who read it, and its findings.

`check-complete` holds the password and writes nothing, so its report travels through the workflow, bounded; who
reads it here holds no password and concludes.

Security rules:
- What was not read is never good: no report, an odd one, or one of another state is a HOLD.
- Evidence has its version ids from the ledger. The report names keys and counts.
- What harms nothing by itself can be acknowledged, but only while all of it is named: otherwise a flood that was
  once acknowledged would hide what comes after it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from functions.domain.documents import Document, UnreadableDocument
from functions.domain.findings import FindingId
from functions.domain.restic import FileType, file_type
from functions.domain.restore.request import Location
from functions.domain.state import StateHeader
from functions.domain.structure.report import SHOWN, StructureReport, Trouble, Troubles
from functions.domain.values import Evidence, Finding, ObjectKey, ObjectVersion, Severity, StateId

LARGEST_REPORT = 200_000
"""Bytes of a report as JSON: Step Functions carries 256 KiB from one state to the next."""


class CompletenessReport(Document):
    """What the reading of one state showed, or of a copy that was restored from it."""

    KIND: ClassVar[str] = "completeness report"

    state: StateId
    target: Location | None = None
    """Where the copy is that was read instead of the state's own versions."""
    differences: Troubles = Troubles()
    """Where the copy's listing is not the state's. With any, nothing of it was read."""
    structure: StructureReport | None = None
    """What was read; None where nothing was."""

    @property
    def payload(self) -> dict[str, Any]:
        """As it travels from one Lambda function to another."""
        content: dict[str, Any] = json.loads(self.canonical())
        return content

    @classmethod
    def of_payload(cls, payload: object) -> Self:
        """The inverse of `payload`. Raises UnreadableDocument for whatever would not have the same payload again."""
        given = dict(payload) if isinstance(payload, Mapping) else {}
        if (found := given.pop("format", None)) not in (forms := list(cls.FORMATS)):
            formats = " and ".join(map(str, forms))
            raise UnreadableDocument(f"a {cls.KIND} has format {str(found)[:20]!r}, and {formats} is read here")
        try:
            report = cls.model_validate(given)
        except ValidationError as error:
            raise UnreadableDocument(f"a {cls.KIND} is malformed in {error.error_count()} places") from error
        # Not by its bytes: on its way a number may have been written differently.
        if report.payload != payload:
            raise UnreadableDocument(f"a {cls.KIND} is not in canonical form")
        return report

    def bounded(self, most: int = LARGEST_REPORT) -> "CompletenessReport":
        """The same with as many troubles of each sort as fit into `most` bytes of JSON. All are still counted."""
        whole = self.payload
        for shown in range(SHOWN, -1, -1):
            shorter = _showing(whole, shown)
            if len(json.dumps(shorter)) <= most:
                return self.of_payload(shorter)
        raise AssertionError("a report that shows no trouble is short")


def _showing(content: Any, most: int) -> Any:
    """A report's payload, or a part of it, with at most so many troubles of each sort."""
    if not isinstance(content, dict):
        return content
    return {name: part[:most] if name == "shown" else _showing(part, most) for name, part in content.items()}


def figures_of(report: CompletenessReport) -> dict[str, int]:
    """What a verdict counts."""
    if (read := report.structure) is None:
        return {"different": report.differences.count}
    return {
        "snapshots": read.snapshots,
        "trees": read.trees,
        "blobs": read.blobs,
        "verified_blobs": read.verified_blobs,
        "packs": read.packs,
        "indexes": read.indexes,
        "missing": sum(each.count for each in (read.missing_packs, read.missing_trees, read.missing_blobs)),
        "damaged": read.damaged.count + read.wrong_size.count,
        "orphaned_bytes": read.orphaned_bytes,
        "unneeded_bytes": read.unneeded_bytes,
    }


def keys_named(report: CompletenessReport) -> frozenset[ObjectKey]:
    """The keys of which findings of `report` speak: what of the state has to be looked up in the ledger."""
    if (read := report.structure) is None or report.target is not None:
        return frozenset()
    return frozenset(
        ObjectKey(each.subject)
        for troubles in (*_lost(read).values(), read.key_files.refused, read.foreign, read.unindexed)
        for each in troubles.shown
        if _is_key(each)
    )


# --- findings --------------------------------------------------------------------------------------


def findings_of(
    header: StateHeader, report: CompletenessReport, pinned: Mapping[ObjectKey, ObjectVersion]
) -> tuple[Finding, ...]:
    """What `report` says against `header`'s state. `pinned` has the state's entry of each of `keys_named`."""
    case = _Case(header, report, pinned)
    return (*case.copy_differs(), *(case.structure(report.structure) if report.structure else ()))


def not_judged(header: StateHeader, why: str) -> Finding:
    """Nothing is known of the state; `why` is a clause that names no key."""
    return Finding(
        id=FindingId.COMPLETE_NOT_JUDGED,
        severity=Severity.HOLD,
        repository=header.repository,
        since=header.cut_time,
        what=f"whether the state is complete was not judged: {why}",
        remedy="mend the cause and check again; the execution's history and check-complete's log say more",
    )


def why_it_failed(error: str) -> str:
    """What the name of an error says, as Lambda and Step Functions give it."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "?", error)[:100]
    return f"check-complete ended with {name}" + _MEANING.get(name.rpartition(".")[2], "")


_OUT_OF_TIME = "; it ran out of time: without read_data far less is read"
_MEANING = {
    "PasswordUnavailable": "; restic_password_secret gave no password",
    "TargetChanged": "; the copy was written to while it was read",
    "TargetDenied": "; the copy may not be read",
    "Timeout": _OUT_OF_TIME,
    "Timedout": _OUT_OF_TIME,
    "TimedOut": _OUT_OF_TIME,
    "OutOfMemory": "; it ran out of memory",
    "MemoryError": "; it ran out of memory",
}


def _lost(read: StructureReport) -> dict[str, Troubles]:
    """What keeps snapshots from being restored, by its name in a sentence."""
    return {
        "damaged objects": read.damaged,
        "missing packs": read.missing_packs,
        "packs of a wrong size": read.wrong_size,
        "directories in no pack": read.missing_trees,
        "blobs of files in no pack": read.missing_blobs,
    }


def _is_key(trouble: Trouble) -> bool:
    """Whether a trouble is that of an object; it may be that of a blob, or of a whole folder."""
    return file_type(ObjectKey(trouble.subject)) is not FileType.ALIEN


@dataclass(frozen=True, slots=True)
class _Case:
    header: StateHeader
    report: CompletenessReport
    pinned: Mapping[ObjectKey, ObjectVersion]

    # --- findings ----------------------------------------------------------------------------------

    def copy_differs(self) -> Iterator[Finding]:
        if not (different := self.report.differences):
            return
        keys = tuple(
            Evidence(ObjectKey(each.subject), (), self.header.cut_time, standing=True) for each in different.shown
        )
        yield self._finding(
            FindingId.COPY_DIFFERS,
            Severity.FAIL,
            f"{self.report.target} differs from the state by {different.count} objects; none of it was read",
            "restore the state into an empty target, or check a copy that nobody wrote to",
            keys,
        )

    def structure(self, read: StructureReport) -> Iterator[Finding]:
        yield from self.deep_check_failed(read)
        yield from self.key_file_refused(read)
        yield from self.unjudged(read)
        yield from self.foreign_packs(read)
        yield from self.orphaned_packs(read)

    def deep_check_failed(self, read: StructureReport) -> Iterator[Finding]:
        lost = {name: troubles for name, troubles in _lost(read).items() if troubles}
        if lost:
            yield self._finding(
                FindingId.DEEP_CHECK_FAILED,
                Severity.FAIL,
                "what the snapshots need cannot all be read: "
                + ", ".join(f"{name}: {troubles.count}" for name, troubles in lost.items()),
                self._remedy_of_a_loss,
                self._evidence(*lost.values(), standing=True),
            )

    @property
    def _remedy_of_a_loss(self) -> str:
        if self.report.target is not None:
            return "check the state itself; if it passes, restore it again into an empty target"
        return "check older states at this level, and restore the newest that passes; `restic repair` saves the rest"

    def key_file_refused(self, read: StructureReport) -> Iterator[Finding]:
        if refused := read.key_files.refused:
            yield self._finding(
                FindingId.KEY_FILE_REFUSED,
                Severity.FAIL,
                f"{refused.count} key files are none that restic wrote for this repository; restic may fail on them",
                "find out whose key wrote them, and hide them",
                self._evidence(refused, standing=True),
            )

    def unjudged(self, read: StructureReport) -> Iterator[Finding]:
        if read.unjudged is None:
            return
        if read.key_files.wrong_password and not read.damaged:
            yield self._finding(
                FindingId.PASSWORD_OPENS_NOTHING,
                Severity.HOLD,
                f"the password in restic_password_secret opens none of the state's key files "
                f"({read.key_files.wrong_password} tried); nothing else was read",
                "store the password that belongs to one of them; if it was right before, find out who removed its key",
            )
        else:
            yield not_judged(self.header, read.unjudged)

    def foreign_packs(self, read: StructureReport) -> Iterator[Finding]:
        if foreign := read.foreign:
            yield self._finding(
                FindingId.FOREIGN_PACKS,
                Severity.HOLD,
                f"{foreign.count} objects are named like packs, but no index names them and this repository's key does "
                "not open them",
                "find out whose key wrote them; hide them, or acknowledge them",
                self._evidence(foreign, standing=foreign.count > len(foreign.shown)),
            )

    def orphaned_packs(self, read: StructureReport) -> Iterator[Finding]:
        foreign = {each.subject for each in read.foreign.shown}
        own = tuple(each for each in read.unindexed.shown if each.subject not in foreign)
        if (count := read.unindexed.count - read.foreign.count) > 0:
            yield self._finding(
                FindingId.ORPHANED_PACKS,
                Severity.NOTE,
                f"{count} packs are named by no index; with foreign ones they have {read.orphaned_bytes} bytes",
                "`restic prune` removes them; a backup that was under way, or was interrupted, leaves such packs",
                self._evidence(Troubles(count=count, shown=own)),
            )

    # --- their parts -------------------------------------------------------------------------------

    def _evidence(self, *sorts: Troubles, standing: bool = False) -> tuple[Evidence, ...]:
        """Each key once. A copy's objects have no versions that anybody recorded."""
        keys = dict.fromkeys(ObjectKey(each.subject) for sort in sorts for each in sort.shown if _is_key(each))
        return tuple(self._of_key(key, standing=standing) for key in sorted(keys))

    def _of_key(self, key: ObjectKey, *, standing: bool) -> Evidence:
        if self.report.target is not None or (version := self.pinned.get(key)) is None:
            return Evidence(key, (), self.header.cut_time, standing=standing)
        return Evidence(key, (version.version_id,), version.last_modified, standing=standing)

    def _finding(
        self, finding: FindingId, severity: Severity, what: str, remedy: str, evidence: tuple[Evidence, ...] = ()
    ) -> Finding:
        return Finding(
            id=finding,
            severity=severity,
            repository=self.header.repository,
            since=min((each.since for each in evidence), default=self.header.cut_time),
            what=what,
            remedy=remedy,
            evidence=evidence,
        )

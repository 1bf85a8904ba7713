"""What a drill came to, from the reports that its restore and its check left.

Security rules:
- What the workflow says is believed of failures only: a drill is called restored by the restore's own report and, where
  the copy was to be opened, by the verdict on this very copy.
- A drill of a whole state that restored anything but the whole state has failed.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from functions.domain.restore.drill import LONGEST_DETAIL, Chosen, DrillFailure, DrillReport
from functions.domain.restore.report import RestoreReport
from functions.domain.values import RepositoryName
from functions.domain.verdict import CheckLevel, Verdict


@dataclass(frozen=True, slots=True)
class Failure:
    """What a step of the workflow failed by, as Step Functions tells it."""

    error: str
    message: str

    @classmethod
    def of(cls, told: Any) -> "Failure":
        """`{"Error", "Cause"}`, whose cause is the message, a function's exception, or another execution's end."""
        told = told if isinstance(told, dict) else {}
        error, cause = str(told.get("Error", "")), told.get("Cause", "")
        try:
            said = json.loads(cause)
        except (TypeError, ValueError):
            return cls(error, str(cause))
        if not isinstance(said, dict):
            return cls(error, str(cause))
        if "errorMessage" in said:
            return cls(error, str(said["errorMessage"]))
        if "Status" in said:
            # An execution that this one ran.
            return cls(str(said.get("Error") or said["Status"]), str(said.get("Cause") or ""))
        return cls(error, str(cause))


@dataclass(frozen=True, slots=True)
class Drill:
    """All that is known of a drill at its end."""

    repository: RepositoryName
    execution: str
    reason: Literal["schedule", "operator"]
    started_at: datetime
    chosen: Chosen | None
    failure: Failure | None
    restored: RestoreReport | None
    """Of the restore that it ran."""
    verdict: Verdict | None
    """Of the check that it ran."""


def conclude(drill: Drill, ended_at: datetime) -> DrillReport:
    """The report of a drill that has ended."""
    why, detail = _failed(drill)
    chosen, restored = drill.chosen, _its_own(drill)
    level: Literal["content", "complete"] = "complete" if chosen and chosen.complete else "content"
    return DrillReport(
        repository=drill.repository,
        execution=drill.execution,
        reason=drill.reason,
        started_at=drill.started_at,
        ended_at=ended_at,
        state=chosen.state if chosen else None,
        cut_time=chosen.cut_time if chosen else None,
        target=chosen.target if chosen else None,
        sample_bytes=chosen.sample_bytes if chosen else None,
        state_objects=chosen.objects if chosen else 0,
        state_bytes=chosen.bytes if chosen else 0,
        objects=restored.objects if restored else 0,
        bytes=restored.bytes if restored else 0,
        proven=restored.proven if restored else 0,
        outcome="failed" if why else "restored",
        level=None if why else level,
        verdict=drill.verdict.digest if drill.verdict and _is_of_the_copy(drill.verdict, drill) else None,
        why=why,
        detail=detail[:LONGEST_DETAIL],
    )


def _failed(drill: Drill) -> tuple[DrillFailure | None, str]:
    """Why it failed, or None; and what was said."""
    chosen, failure, restored = drill.chosen, drill.failure, _its_own(drill)
    if chosen is None:
        good = failure is not None and failure.error == "NoGoodState"
        return (DrillFailure.NO_GOOD_STATE if good else DrillFailure.BROKE), _told(failure)
    if restored is None:
        refused = failure is not None and failure.error == "RestoreRefused"
        return (DrillFailure.REFUSED if refused else DrillFailure.BROKE), _told(failure)
    if restored.outcome == "restored-damaged":
        return DrillFailure.DAMAGED, f"{restored.damaged} of {restored.objects} objects"
    if restored.outcome == "incomplete":
        return DrillFailure.INCOMPLETE, _counted(restored)
    if chosen.sample_bytes is None and (restored.objects, restored.content_root) != (
        chosen.objects,
        chosen.content_root,
    ):
        return DrillFailure.INCOMPLETE, f"{restored.objects} of {chosen.objects} objects were to be restored"
    return _not_complete(drill) if chosen.complete else (None, "")


def _not_complete(drill: Drill) -> tuple[DrillFailure | None, str]:
    verdict = drill.verdict
    if verdict is None or not _is_of_the_copy(verdict, drill):
        return DrillFailure.NOT_JUDGED, _told(drill.failure)
    if verdict.outcome != "pass":
        ids = dict.fromkeys(f"{each.severity} {each.id}" for each in verdict.findings)
        return DrillFailure.NOT_COMPLETE, ", ".join(ids)
    return None, ""


def _its_own(drill: Drill) -> RestoreReport | None:
    """The restore's report, if it is of just this drill."""
    report, chosen = drill.restored, drill.chosen
    if report is None or chosen is None:
        return None
    asked = (drill.repository, drill.execution, chosen.state, chosen.target)
    return report if (report.repository, report.execution, report.state, report.target) == asked else None


def _is_of_the_copy(verdict: Verdict, drill: Drill) -> bool:
    chosen = drill.chosen
    if chosen is None or verdict.level is not CheckLevel.COMPLETE:
        return False
    asked = (drill.repository, drill.execution, chosen.state, str(chosen.target))
    return (verdict.repository, verdict.by, verdict.state, verdict.target) == asked


def _counted(report: RestoreReport) -> str:
    kinds = ("unproven", "missing", "damaged", "failed", "unexpected")
    return ", ".join(f"{count} {kind}" for kind in kinds if (count := getattr(report, kind)))


def _told(failure: Failure | None) -> str:
    return f"{failure.error}: {failure.message}" if failure else "it left no report"

"""A drill of alpha's only state, as each step of it would tell."""

from typing import Any

from functions.domain.restore.drill import Chosen, DrillReport
from functions.domain.restore.drilled import Drill, Failure, conclude
from functions.domain.restore.proof import Kind, Trouble
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import Location
from functions.domain.values import Digest, ObjectKey
from functions.domain.verdict import CheckLevel, Verdict
from tests.builders import at
from tests.domain.judging import ALPHA, header, judge

STATE = header()
TARGET = Location(bucket="rwm-drill-123456789012-eu-central-1", prefix="alpha/drill-1")
CHOSEN = Chosen(
    state=STATE.id,
    generation=1,
    cut_time=STATE.cut_time,
    objects=STATE.objects,
    bytes=STATE.bytes,
    content_root=STATE.content_root,
    target=TARGET,
    sample_bytes=None,
    complete=False,
)
OPENED = CHOSEN.model_copy(update={"complete": True})


def restored(**changes: Any) -> RestoreReport:
    values: dict[str, Any] = {
        "plan": Digest("d" * 64),
        "execution": "drill-1",
        "verified_at": at(90),
        "repository": ALPHA,
        "state": STATE.id,
        "source": Location(bucket="backups"),
        "target": TARGET,
        "outcome": "restored",
        "objects": STATE.objects,
        "bytes": STATE.bytes,
        "proven": STATE.objects,
        "copied": STATE.objects,
        "copied_bytes": STATE.bytes,
        **dict.fromkeys(("skipped", "unproven", "missing", "damaged", "failed", "unexpected"), 0),
        "content_root": STATE.content_root,
        "found_content_root": STATE.content_root,
        "troubles": (),
    }
    return RestoreReport.model_validate({**values, **changes})


LOST = restored(
    outcome="incomplete",
    proven=STATE.objects - 1,
    missing=1,
    troubles=(Trouble(key=ObjectKey("config"), kind=Kind.MISSING, why="its version is gone"),),
)
DAMAGED = restored(
    outcome="restored-damaged",
    proven=STATE.objects - 1,
    damaged=1,
    troubles=(Trouble(key=ObjectKey("data/00/x"), kind=Kind.DAMAGED, why="other bytes than its name promises"),),
)


def verdict(*findings: Any, **changes: Any) -> Verdict:
    told = {"level": CheckLevel.COMPLETE, "by": "drill-1", "target": str(TARGET), **changes}
    return judge(STATE, *findings, **told).verdict


def drill(**changes: Any) -> Drill:
    values: dict[str, Any] = {
        "repository": ALPHA,
        "execution": "drill-1",
        "reason": "schedule",
        "started_at": at(0),
        "chosen": CHOSEN,
        "failure": None,
        "restored": restored(),
        "verdict": None,
    }
    return Drill(**{**values, **changes})


def report(ended: float = 100, **changes: Any) -> DrillReport:
    return conclude(drill(**changes), at(ended))


def failure(error: str, cause: str = "") -> Failure:
    return Failure.of({"Error": error, "Cause": cause})

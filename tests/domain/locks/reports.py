"""Reports of lock upkeep on alpha."""

from datetime import datetime, timedelta

from functions.domain.locks.report import LockReport, Refused, StateLocks, judged, untold
from functions.domain.values import ObjectKey, StateId
from tests.domain.judging import ALPHA


def lock_report(
    *,
    made_at: datetime,
    earliest: datetime | None = None,
    object_lock: bool = True,
    missing: bool = False,
    told: bool = True,
    done_until: str | None = None,
) -> LockReport:
    """What a run came to; `missing`: some versions could not be locked, of which people were `told`, or were not."""
    state = StateLocks(
        state=StateId("5" * 64),
        generation=1,
        cut_time=made_at,
        versions=3,
        looked_at=3,
        unlocked=2 if missing else 0,
        earliest=earliest or made_at + timedelta(days=14),
    )
    report = LockReport(
        repository=ALPHA,
        begun_at=made_at,
        made_at=made_at,
        object_lock=object_lock,
        lock_days=14,
        done_until=ObjectKey(done_until) if done_until else None,
        states=(state,),
        looked_at=3,
        unlocked=2 if missing else 0,
        refused=(Refused(why="AccessDenied", versions=2),) if missing else (),
    )
    found, _ = judged(report, None)
    return found if told else untold(found, None)

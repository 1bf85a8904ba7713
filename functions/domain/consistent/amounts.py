"""How much is there, compared with the baseline: what an attacker who forges everything else cannot forge.

He may forget every snapshot and back up garbage, or have the source encrypted before restic reads it. What
he writes is well formed; only amounts and S3's clock betray him.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import accumulate, pairwise
from statistics import median

from functions.domain.consistent.case import Case
from functions.domain.consistent.shown import PacksOfAnHour
from functions.domain.findings import FindingId
from functions.domain.restic import FileType
from functions.domain.values import Finding, Severity

GROWTH_FLOOR = 0.10
"""Of the data there was: who grows by less in a window is not asked why."""
GROWTH_WINDOWS = (1, 7)
"""Days: a spike shows in one, an encryption that takes its time in seven."""
GROWTH_HISTORY = 5
"""Days with uploads before the window, without which nobody can say what is usual."""
INTERVALS = 2
"""No new snapshot for so many of the longest pauses between two that there were."""


def snapshots_dropped(case: Case) -> Iterable[Finding]:
    thresholds = case.repository.thresholds
    level = case.baseline.level(lambda point: point.snapshots, case.now, thresholds.baseline_days)
    found = case.fresh.tally(FileType.SNAPSHOT).objects
    if level and (level - found) / level > thresholds.snapshots_lost:
        yield case.finding(
            FindingId.SNAPSHOTS_DROPPED,
            Severity.HOLD,
            f"{found} snapshots are left of {level}, {_percent(level - found, level)} fewer; the threshold is "
            f"{thresholds.snapshots_lost:.0%}",
            "if your `restic forget` did it, approve; else restore the last state that had them",
        )


def data_dropped(case: Case) -> Iterable[Finding]:
    thresholds = case.repository.thresholds
    level = case.baseline.level(lambda point: point.data_bytes, case.now, thresholds.baseline_days)
    found = case.fresh.tally(FileType.PACK).bytes
    if level and (level - found) / level > thresholds.data_lost:
        yield case.finding(
            FindingId.DATA_DROPPED,
            Severity.HOLD,
            f"{found:,} bytes of packs are left of {level:,}, {_percent(level - found, level)} fewer; the threshold is "
            f"{thresholds.data_lost:.0%}",
            "if your `restic prune` did it, approve; else restore the last state that had them",
        )


def old_data_dropped(case: Case) -> Iterable[Finding]:
    """Of the packs of an older state, by name: garbage that fills the gap does not stand for them."""
    found = [(sum(hour.left for hour in each), _bytes(each)) for each in _lasting(case)]
    surviving, total = max(found, key=lambda each: each[0] / each[1], default=(0, 0))
    threshold = case.repository.thresholds.old_data_surviving
    if total and surviving / total < threshold:
        yield case.finding(
            FindingId.OLD_DATA_DROPPED,
            Severity.HOLD,
            f"of {total:,} bytes of older packs {surviving:,} are left, {_percent(surviving, total)}; the threshold is "
            f"{threshold:.0%}",
            "if your `restic prune` repacked them, approve; else restore the last state that had them",
        )


def growth(case: Case) -> Iterable[Finding]:
    """Net of what was hidden on the same days, so that `restic prune` repacking is no growth. Of a window, the days
    that were over when a state was approved are known: a person has seen what they brought."""
    net = dict(case.fresh.net_bytes)
    now_there = case.fresh.tally(FileType.PACK).bytes
    until = case.baseline.approved_until
    for window in GROWTH_WINDOWS:
        unseen = {day for day in range(window) if until is None or case.now - timedelta(days=day) > until}
        grown = sum(size for day, size in net.items() if day in unseen)
        before = now_there - grown
        # The first day's upload is the first backup, which says nothing about the daily one.
        days = sorted(day for day in case.fresh.upload_days if window <= day < _horizon(case))
        usual_days = days[:-1] if days and days[-1] == max(case.fresh.upload_days) else days
        if len(usual_days) < GROWTH_HISTORY:
            continue
        usual = median(max(net.get(day, 0), 0) for day in usual_days)
        active = len(unseen & case.fresh.upload_days)
        factor = case.repository.thresholds.growth
        if grown > GROWTH_FLOOR * before and grown > factor * usual * max(active, 1):
            yield case.finding(
                FindingId.GROWTH,
                Severity.HOLD,
                f"packs grew by {grown:,} bytes in {window * 24} hours, {_percent(grown, max(before, 1))} of what was "
                f"there; a usual day brings {usual:,.0f}, and the threshold is {factor:g} times that",
                "look at the newest snapshot: files that were encrypted at the source are all new, and do not compress",
                since=case.now - timedelta(days=window),
            )
            return


def no_new_snapshot(case: Case) -> Iterable[Finding]:
    """In twice the longest pause there was: a backup on working days pauses over weekends."""
    uploads = case.fresh.snapshot_uploads
    if not uploads:
        return
    since = case.now - timedelta(days=case.repository.thresholds.baseline_days)
    pauses = [later - earlier for earlier, later in pairwise(uploads) if later >= since]
    longest = max(pauses, default=case.repository.max_state_age)
    silence = case.now - uploads[-1]
    if silence > max(INTERVALS * longest, case.repository.max_state_age):
        yield case.finding(
            FindingId.NO_NEW_SNAPSHOT,
            Severity.HOLD,
            f"the newest snapshot was written {_span(silence)} ago; the longest pause before that was {_span(longest)}",
            "see on the host why it does not back up",
            since=uploads[-1],
        )


def _lasting(case: Case) -> list[Sequence[PacksOfAnHour]]:
    """The packs of the older state that had lasted for `baseline_days` by then: what honest forgets and prunes take
    away is younger, mostly. Where those are less than half of the bytes, either all of them or their older half has to
    have lasted: in a young repository that changes a lot, the younger half is what the next forgets take away.

    Packs of one hour are not told apart: their ages are exact to the hour, and the older half ends with an hour."""
    packs = case.baseline.old.packs
    if not packs:
        return []
    aged = [hour for hour in packs if hour.age - packs[0].age >= 24 * _horizon(case)]
    if 2 * _bytes(aged) >= _bytes(packs):
        return [aged]
    oldest_first = packs[::-1]
    summed = accumulate(hour.bytes for hour in oldest_first)
    half = next(number for number, size in enumerate(summed, 1) if 2 * size >= _bytes(packs))
    return [packs, oldest_first[:half]]


def _bytes(packs: Iterable[PacksOfAnHour]) -> int:
    return sum(hour.bytes for hour in packs)


def _horizon(case: Case) -> int:
    return case.repository.thresholds.baseline_days


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}"


def _span(time: timedelta) -> str:
    hours = time.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"

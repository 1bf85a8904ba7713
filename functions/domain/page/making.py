"""From what is known of a repository to its page: pure, and with the time told."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from functions.domain.cost import PRICES, Estimate, PackSaving, Prices, estimate, saving, usage_of
from functions.domain.locks.report import LockReport
from functions.domain.pack_size import PackAdvice, advise
from functions.domain.page.document import (
    Backup,
    Drills,
    DrillSeen,
    Freed,
    Grown,
    Health,
    Kept,
    KeptState,
    Listed,
    LockOutlook,
    LockWeek,
    NextPrune,
    Page,
    PlannedPrune,
    Point,
    PruneDone,
    Sizes,
    StillWaits,
)
from functions.domain.page.gather import Known
from functions.domain.page.survey import EDGES
from functions.domain.prune.approval import ShelvedPlan, status_of
from functions.domain.prune.rules import Reason, Waits
from functions.domain.restic import FileType
from functions.domain.restore.drill import DrillReport, overdue
from functions.domain.retention import Fate, JudgedState, decide_fates
from functions.domain.schedules import next_run
from functions.domain.state import StateHeader
from functions.domain.timeline import Said, Timeline, tell
from functions.domain.values import StateId

MOST_POINTS = 400
"""Of growth: daily for a year; weekly where there are more."""
MOST_WEEKS = 26
"""Of locks; what ends later is counted with the last."""
LAST = 10
"""Prunes and backups."""
_WEEK = timedelta(days=7)
_BY_WAITING = (Waits.YOUNG, Waits.RETAINED)


def page_of(known: Known, now: datetime, limit: int, prices: Prices = PRICES, repositories: int = 1) -> Page:
    """The page. `limit`: states of the timeline; `repositories`: of the deployment, which share what is there once."""
    repository = known.repository
    headers = [header for header, _ in known.chain]
    said = Said.of(known.drops, known.holds, known.approvals)
    timeline = tell(repository.repository, known.chain, said, limit)
    fates = _fates(known, now)
    grown = _grown(known, headers)
    cost, packs, saved = _costs(known, headers, now, prices, repositories)
    first = headers[-1].recorded_at if headers else None
    last = known.last_restored.ended_at if known.last_restored else None
    late = overdue(repository, first, last, now)
    return Page(
        repository=repository.repository,
        made_at=now,
        health=_health(known, timeline, now),
        findings=timeline.moments[0].findings if timeline.moments else (),
        trouble=known.trouble,
        states=len(headers),
        max_age=int(repository.max_state_age.total_seconds()),
        timeline=timeline,
        grown=grown,
        edges=EDGES,
        sizes=tuple(
            Sizes(type=each.type, objects=each.objects, bytes=each.bytes, by_size=each.by_size)
            for each in (known.survey.types if known.survey else ())
        ),
        packs=packs,
        saving=saved,
        kept=_kept(known, headers, fates),
        prune=_next_prune(known, fates, now),
        prunes=tuple(_prunes(known)),
        cost=cost,
        locks=_locks(known.locks) if known.locks else None,
        drills=Drills(
            schedule=repository.drill_schedule,
            newest=_drill(known.newest_drill) if known.newest_drill else None,
            last_restored=last,
            overdue=late.what if late else "",
        ),
        backups=tuple(_backups(headers)),
    )


def _health(known: Known, timeline: Timeline, now: datetime) -> Health:
    if known.trouble:
        return "broken"
    if not timeline.moments:
        return "empty"
    newest = timeline.moments[0]
    if newest.outcome in ("fail", "hold"):
        return newest.outcome
    if now - newest.cut_time > known.repository.max_state_age:
        return "late"
    return "good" if newest.outcome == "pass" else "unjudged"


def _fates(known: Known, now: datetime) -> Sequence[Fate]:
    dropped = {each.state for each in known.drops}
    judged = [JudgedState.of(header, verdicts) for header, verdicts in known.chain if header.id not in dropped]
    repository = known.repository
    return decide_fates(judged, {each.state for each in known.holds}, repository.retention, repository.grace_days, now)


def _grown(known: Known, headers: Sequence[StateHeader]) -> Grown:
    """`headers`: the newest first."""
    days = {header.cut_time.date(): header for header in reversed(headers)}
    if len(days) > MOST_POINTS:
        days = {header.cut_time.date() - timedelta(days=header.cut_time.weekday()): header for header in days.values()}
    points = tuple(
        Point(at=each.cut_time, objects=each.objects, bytes=each.bytes, noncurrent=each.noncurrent)
        for each in list(days.values())[-MOST_POINTS:]
    )
    return Grown(points=points, listed=tuple(_listed(known, {header.id: header for header in headers})))


def noncurrent_bytes(known: Known) -> int | None:
    """Of versions that are not current, when they were listed last; None: they never were."""
    listed = list(_listed(known, {header.id: header for header, _ in known.chain}))
    return listed[-1].noncurrent_bytes if listed else None


def _listed(known: Known, by_id: Mapping[StateId, StateHeader]) -> Iterable[Listed]:
    """The bytes of all versions when a plan was drawn and when a prune was verified, less those of the state that was
    recorded just before the plan."""
    found: dict[datetime, tuple[int, int, StateHeader]] = {}
    for plan in known.plans:
        header = by_id.get(plan.state)
        if plan.listed is not None and header is not None:
            found[plan.drawn_at] = (plan.listed.objects, plan.listed.bytes, header)
    states = {plan.plan: by_id.get(plan.state) for plan in known.plans}
    for report in known.prunes:
        header = states.get(report.plan)
        if header is not None:
            found[report.verified_at] = (report.after.objects, report.after.bytes, header)
    for at in sorted(found)[-MOST_POINTS:]:
        versions, size, header = found[at]
        yield Listed(at=at, versions=versions, bytes=size, noncurrent_bytes=max(0, size - header.bytes))


def _costs(
    known: Known, headers: Sequence[StateHeader], now: datetime, prices: Prices, repositories: int
) -> tuple[Estimate | None, PackAdvice | None, PackSaving | None]:
    if known.survey is None or not headers:
        return None, None, None
    usage = usage_of(known.repository, headers, known.survey, noncurrent_bytes(known), now, repositories)
    packs = next((each for each in known.survey.types if each.type is FileType.PACK), None)
    advice = advise(packs.objects, packs.bytes) if packs else None
    saved = saving(usage, advice.target, prices) if advice and advice.target else None
    return estimate(usage, prices), advice, saved


def _kept(known: Known, headers: Sequence[StateHeader], fates: Sequence[Fate]) -> Kept:
    by_id = {header.id: header for header in headers}
    only = known.needs.only if known.needs else {}
    newest_first = sorted(fates, key=lambda fate: fate.state.generation, reverse=True)
    return Kept(
        states=tuple(
            KeptState(
                id=fate.state.id,
                generation=fate.state.generation,
                cut_time=fate.state.cut_time,
                why=tuple(map(str, fate.why)),
                until=fate.until,
                bytes=by_id[fate.state.id].bytes,
                only=only.get(fate.state.id),
            )
            for fate in newest_first
        ),
        together=known.needs.together if known.needs else None,
        one_in=known.needs.one_in if known.needs else 1,
        unknown=known.unread,
    )


def _next_prune(known: Known, fates: Sequence[Fate], now: datetime) -> NextPrune:
    schedule = known.repository.prune_schedule
    newest = known.plans[0] if known.plans else None
    # A prune that was refused left no plan, and a rate goes on.
    last = next((plan.drawn_at for plan in known.plans if not plan.dry_run), None)
    at = next_run(schedule, now, last) if schedule else None
    planned = _planned(known, newest, now) if newest else None
    frees, basis = _frees(planned, at or now)
    return NextPrune(
        schedule=schedule,
        at=at,
        frees=frees,
        basis=basis,
        due=sum(not fate.kept for fate in fates),
        newest=planned,
    )


def _planned(known: Known, plan: ShelvedPlan, now: datetime) -> PlannedPrune:
    approval = next((each for each in known.approvals if each.plan == plan.plan), None)
    by_reason: dict[Reason, list[int]] = {}
    for total in plan.totals:
        sums = by_reason.setdefault(total.reason, [0, 0])
        sums[0] += total.entries
        sums[1] += total.bytes
    return PlannedPrune(
        plan=plan.plan,
        drawn_at=plan.drawn_at,
        status=status_of(plan, approval, any(report.plan == plan.plan for report in known.prunes), now),
        versions=plan.entries - plan.markers,
        markers=plan.markers,
        bytes=plan.bytes,
        drops=plan.drops,
        totals=tuple(Freed(reason=reason, entries=sums[0], bytes=sums[1]) for reason, sums in by_reason.items()),
        waiting=tuple(StillWaits(**each.model_dump()) for each in plan.waiting),
    )


def _frees(plan: PlannedPrune | None, at: datetime) -> tuple[int | None, Literal["plan", "waited", "unknown"]]:
    """What a prune at `at` frees, and how that is known."""
    if plan is None:
        return None, "unknown"
    waited = sum(
        each.bytes for each in plan.waiting if each.why in _BY_WAITING and each.last is not None and each.last <= at
    )
    if plan.status in ("applied", "nothing-to-do"):
        return waited, "waited"
    # What was not carried out is planned again.
    return plan.bytes + waited, "plan"


def _prunes(known: Known) -> Iterable[PruneDone]:
    for each in known.prunes[:LAST]:
        yield PruneDone(
            execution=each.execution,
            at=each.verified_at,
            outcome=each.outcome,
            reclaimed=each.reclaimed,
            kept_states=each.kept_states,
            harmed_states=each.harmed_states,
        )


def _locks(report: LockReport) -> LockOutlook:
    needed = [each for each in report.states if not each.due]
    ends = [each.earliest for each in needed if each.earliest is not None]
    weeks = Counter(min(MOST_WEEKS - 1, max(0, (end - report.made_at) // _WEEK)) for end in ends)
    return LockOutlook(
        made_at=report.made_at,
        complete=report.complete,
        object_lock=report.object_lock,
        lock_days=report.lock_days,
        earliest=report.earliest,
        unlocked=report.unlocked,
        without=len(needed) - len(ends),
        weeks=tuple(
            LockWeek(begins=report.made_at + week * _WEEK, states=weeks.get(week, 0))
            for week in range(max(weeks, default=-1) + 1)
        ),
    )


def _drill(report: DrillReport) -> DrillSeen:
    return DrillSeen(
        at=report.ended_at,
        outcome=report.outcome,
        level=report.level,
        why=report.why,
        seconds=report.seconds,
        objects=report.objects,
        bytes=report.bytes,
        sampled=report.sample_bytes is not None,
        state=report.state,
    )


def _backups(headers: Iterable[StateHeader]) -> Iterable[Backup]:
    events = [header for header in headers if header.cause.reason == "event"]
    for each in events[:LAST]:
        yield Backup(
            at=each.cause.sent or each.cut_time,
            state=each.id,
            snapshot=each.cause.snapshot,
            outcome=each.cause.outcome,
        )

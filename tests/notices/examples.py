"""One message of each kind and event, from fixed values: what docs/messages.md shows, and what people approved."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from functions.domain.findings import FindingId
from functions.domain.notices import EVERY_REPOSITORY, Notice, approval_notice, drill_notice, lock_notice, notice_of
from functions.domain.prune.approval import Approval
from functions.domain.repositories import Repository
from functions.domain.restore.drilled import conclude
from functions.domain.values import Finding, Severity
from functions.domain.verdict import CheckLevel, SeenFinding, seen
from functions.domain.watch.conditions import Condition
from functions.domain.watch.decide import Over, WatchReport, look_at, look_at_deployment
from functions.domain.watch.facts import DecidedPlan, Facts, PostureFinding, Prune, States, Unread, Verdicts
from functions.domain.watch.messages import opened, over
from tests.builders import NOON, at, pack
from tests.domain.judging import ALPHA, evidence, judge
from tests.domain.locks.reports import lock_report
from tests.domain.test_notices import a_plan
from tests.drill.reports import drill, failure
from tests.watch.world import World

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LATER = NOON + 3 * DAY
REPOSITORY = Repository(name="alpha", bucket="backups-of-alpha", lock_schedule="rate(1 day)")


def found(name: FindingId, severity: Severity, what: str, remedy: str, *keys: str) -> Finding:
    return Finding(name, severity, ALPHA, NOON, what, remedy, tuple(evidence(each, "a-version") for each in keys))


OVERWRITTEN = found(
    FindingId.PACK_OVERWRITTEN,
    Severity.FAIL,
    "2 file(s) named by their content have versions of different content",
    "find out who wrote them; restore from a state before, and acknowledge them when it is over",
    pack("one"),
    pack("two"),
)
GROWTH = found(
    FindingId.GROWTH, Severity.HOLD, "packs grew by 5,000,000 bytes in 24 hours", "look at the newest snapshot"
)
ALIEN = found(
    FindingId.ALIEN_KEY,
    Severity.HOLD,
    "objects lie in the repository that restic did not make",
    "find out who put them there; acknowledge what may stay",
    "srv/plans.txt",
)
POSTURE = found(
    FindingId.BUCKET_POLICY_MISSING,
    Severity.FAIL,
    "bucket backups-of-alpha has no policy: whatever an identity policy allows can destroy versions",
    "`rwm connect alpha` prints the policy; deploy again where RWM made the bucket",
)
DRIFT = found(
    FindingId.DRIFT,
    Severity.HOLD,
    "the configuration of bucket backups-of-alpha changed since the last state: policy",
    "find out in CloudTrail who changed it; a deployment of yours does so, too",
)


def facts(now: datetime = LATER, **changes: Any) -> Facts:
    """A repository of which all is well."""
    header = World().record(cut=now - HOUR)
    values: dict[str, Any] = {
        "now": now,
        "states": States((header,), header),
        "verdicts": Verdicts({}, (header.id, now - HOUR)),
        "posture": (),
        "plans": (),
        "prunes": (Prune("sunday", "SUCCEEDED", now, now, None),),
        "drill": None,
        "locks": lock_report(made_at=now - HOUR),
    }
    return Facts(**{**values, **changes})


WELL = facts()


def _newest(**cause: Any) -> States:
    world = World()
    headers = tuple(world.record(cut=at(3600 * hour), reason="event", **cause) for hour in range(3))
    return States(headers[::-1], headers[0])


def _look(bad: Facts, before: WatchReport | None = None) -> tuple[Condition, WatchReport]:
    """The first condition that is told of `bad`, and what is kept of it."""
    look = look_at(REPOSITORY, bad, before)
    return look.news[0], look.report(look.news, ())


def _both(bad: Facts, good: Facts = WELL, *, earlier: Facts | None = None) -> tuple[Notice, Notice]:
    """How the watch tells that something begins, and that it is over. `earlier`: a look at which it was not told."""
    before = None
    if earlier is not None:
        first = look_at(REPOSITORY, earlier, None)
        before = first.report(first.news, ())
    condition, kept = _look(bad, before)
    ended = look_at(REPOSITORY, good, kept).over
    ours: Over = next(each for each in ended if each.condition.name == condition.name)
    return opened(ALPHA, condition), over(ALPHA, ours)


def _end(bad: Facts, good: Facts = WELL) -> Notice:
    """How the watch tells that something is over that another step told."""
    look = look_at(REPOSITORY, bad, None)
    (ended,) = look_at(REPOSITORY, good, look.report((), ())).over
    return over(ALPHA, ended)


def _dead_letters() -> tuple[Notice, Notice]:
    first = look_at_deployment(LATER, 2, None, None)
    (condition,) = first.news
    (ended,) = look_at_deployment(LATER + HOUR, 0, None, first.report((condition,), ())).over
    return opened(EVERY_REPOSITORY, condition), over(EVERY_REPOSITORY, ended)


def _judged(*findings: Finding) -> Verdicts:
    header = World().record(cut=LATER - HOUR)
    return Verdicts({CheckLevel.CONSISTENT: judge(header, *findings).verdict}, (header.id, LATER - HOUR))


def _untold() -> Verdicts:
    header = World().record(cut=LATER - HOUR)
    judged = judge(header, GROWTH)
    verdict = judged.untold(judged.verdict.findings).verdict
    return Verdicts({CheckLevel.CONSISTENT: verdict}, (header.id, LATER - HOUR))


def _decided(decision: str) -> Facts:
    plan = a_plan(drawn_at=LATER, valid_until=LATER + DAY)
    fields = {"repository": ALPHA, "plan": plan.plan, "state": plan.state, "generation": 7, "by": "ann", "at": LATER}
    return facts(plans=(DecidedPlan(plan, Approval.model_validate({**fields, "decision": decision})),))


def _seen(*findings: Finding) -> list[SeenFinding]:
    return list(map(seen, findings))


def examples() -> Mapping[str, Notice]:
    """By the name of its file."""
    plan = a_plan(drawn_at=LATER, valid_until=LATER + DAY)
    waits = facts(plans=(DecidedPlan(plan, None),))
    hurry = facts(now=LATER + 20 * HOUR, plans=(DecidedPlan(plan, None),))
    reminded = look_at(REPOSITORY, hurry, None)
    (reminder,) = reminded.news
    missing = lock_report(made_at=LATER - HOUR, missing=True)
    failed = conclude(drill(failure=failure("Broken"), restored=None), at(100))
    quarantined = PostureFinding(
        FindingId.QUARANTINED,
        Severity.NOTE,
        NOON,
        "the repository is in quarantine: every host can neither write to it nor hide anything",
        "when what it was for is over, run `rwm unquarantine alpha` as an administrator",
    )
    posture = PostureFinding(POSTURE.id, POSTURE.severity, NOON, POSTURE.what, POSTURE.remedy)
    pairs = {
        "backup-missed": _both(facts(verdicts=Verdicts({}, (WELL.newest.id, NOON - HOUR)))),  # type: ignore[union-attr]
        "backups-incomplete": _both(
            facts(now=NOON + 4 * HOUR, states=_newest(outcome="incomplete"), verdicts=Verdicts({}, None))
        ),
        "dead-letters": _dead_letters(),
        "findings-untold": _both(facts(verdicts=_untold()), facts(verdicts=_judged())),
        "locks-lapse": _both(facts(locks=lock_report(made_at=NOON - HOUR))),
        "prune": _both(facts(prunes=(Prune("saturday", "ABORTED", NOON, NOON + HOUR, None),))),
        "quarantine": _both(
            facts(now=LATER + 4 * DAY, posture=(quarantined,)),
            earlier=facts(posture=(quarantined,)),
        ),
        "recording-stopped": _both(facts(states=_newest(), verdicts=Verdicts({}, None))),
        "unread": _both(facts(drill=Unread("UnreadableDocument"))),
    }
    return {
        "findings-opened": notice_of(ALPHA, CheckLevel.CONSISTENT, _seen(ALIEN), "5" * 64),
        "findings-several-opened": notice_of(ALPHA, CheckLevel.CONTENT, _seen(OVERWRITTEN, GROWTH), "5" * 64),
        "findings-over": _end(facts(verdicts=_judged(ALIEN)), facts(verdicts=_judged())),
        "findings-posture-opened": notice_of(ALPHA, CheckLevel.POSTURE, _seen(POSTURE, DRIFT)),
        "findings-posture-over": _end(facts(posture=(posture,))),
        "approval-opened": approval_notice(plan),
        "approval-over-decided": _end(waits, _decided("approved")),
        "approval-over-expired": _end(waits, facts(now=LATER + 2 * DAY)),
        "approval-reminder-opened": opened(ALPHA, reminder),
        "drill-opened": drill_notice(failed),
        "drill-over": _end(facts(drill=failed)),
        "locks-opened": lock_notice(missing, missing.findings),
        "locks-over": _end(facts(locks=missing)),
        **{
            f"{name}-{event}": notice
            for name, both in pairs.items()
            for event, notice in zip(("opened", "over"), both, strict=True)
        },
    }


def written(notice: Notice) -> str:
    """A message as a file: its subject, its attributes, and its body as it is mailed."""
    attributes = "".join(f"{name}: {value}\n" for name, value in sorted(notice.attributes.items()))
    return f"Subject: {notice.subject}\n{attributes}\n{notice.body}"

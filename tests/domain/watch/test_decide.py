"""What is told alternates: it begins, it is over. Whatever could not be read or told in between changes only when."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.notices import NoticeKind
from functions.domain.values import Severity
from functions.domain.verdict import NEWEST_SNAPSHOT, CheckLevel
from functions.domain.watch.decide import MOST_OPEN, WatchReport, look_at, look_at_deployment
from functions.domain.watch.facts import Unread, Verdicts, newest_of_each_level
from tests.builders import NOON
from tests.domain.judging import FAIL, HOLD, judge
from tests.notices.examples import ALIEN, LATER, REPOSITORY, facts
from tests.watch.world import World

HOUR = timedelta(hours=1)
counts = st.one_of(st.integers(0, 2), st.just(Unread("AccessDenied")))


@given(st.lists(st.tuples(counts, st.booleans()), max_size=30))
def test_begin_and_end_alternate_whatever_is_read_and_told(looks: list[tuple[int | Unread, bool]]) -> None:
    before: WatchReport | None = None
    events: list[str] = []
    for number, (count, sns_takes) in enumerate(looks):
        look = look_at_deployment(NOON + number * HOUR, count, None, before)
        news = [each for each in look.news if each.kind is NoticeKind.DEAD_LETTERS]
        over = [each for each in look.over if each.condition.kind is NoticeKind.DEAD_LETTERS]
        if sns_takes:
            events += ["opened" for _ in news] + ["over" for _ in over]
        before = look.report(look.news if sns_takes else (), look.over if sns_takes else ())
        before = WatchReport.parse(before.canonical())
        if isinstance(count, int) and sns_takes:
            # Who was told knows how it is.
            assert (events[-1:] == ["opened"]) == bool(count)
    assert events == ["opened" if number % 2 == 0 else "over" for number in range(len(events))]


def test_a_level_at_which_none_of_the_newest_states_was_judged_is_not_over() -> None:
    header = World().record(cut=LATER - HOUR)
    bad = facts(verdicts=Verdicts({CheckLevel.COMPLETE: judge(header, ALIEN, level=CheckLevel.COMPLETE).verdict}))
    kept = look_at(REPOSITORY, bad, None).report((), ())
    look = look_at(REPOSITORY, facts(verdicts=Verdicts({})), kept)
    assert [each.name for each in look.carried] == ["findings/complete/alien-key"]
    assert look.over == ()
    assert look.count(Severity.HOLD) == 1


def test_of_two_verdicts_of_one_second_the_worse_one_counts_and_the_newest_state_says_its_snapshot() -> None:
    world = World()
    old, new = world.record(cut=NOON), world.record(cut=NOON + HOUR)
    good, bad = judge(new, HOLD).verdict, judge(new, FAIL).verdict
    of_old = judge(old, FAIL, level=CheckLevel.CONTENT).verdict.model_copy(update={"figures": {NEWEST_SNAPSHOT: 1}})
    of_new = good.model_copy(update={"figures": {NEWEST_SNAPSHOT: 5}})
    read = newest_of_each_level([of_new, bad, of_old])
    assert read.by_level[CheckLevel.CONSISTENT].outcome == "fail"
    assert read.by_level[CheckLevel.CONTENT] == of_old
    assert read.snapshot is not None
    assert (read.snapshot[0], read.snapshot[1].timestamp()) == (new.id, 5)


def test_what_is_kept_fits_into_an_item_however_much_is_wrong() -> None:
    header = World().record(cut=LATER - HOUR)
    found = [
        judge(
            header, ALIEN.__class__(f"a-finding-{number}", Severity.HOLD, ALIEN.repository, NOON, "x" * 5_000, "y")
        ).verdict.findings[0]
        for number in range(MOST_OPEN + 50)
    ]
    verdict = judge(header).verdict.model_copy(update={"findings": tuple(found)})
    report = look_at(REPOSITORY, facts(verdicts=Verdicts({CheckLevel.CONSISTENT: verdict})), None).report((), ())
    assert len(report.open) == MOST_OPEN
    assert len(report.canonical()) < 400 * 1024

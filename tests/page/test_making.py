"""What the page tells follows from what is known, and what is not known is told as unknown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.domain.page.document import Page
from functions.domain.page.gather import Known
from functions.domain.page.making import page_of
from functions.domain.prune.plan import Waiting
from functions.domain.prune.rules import Waits
from functions.domain.repositories import Repository
from functions.domain.state import Tally
from tests.page.world import ATTACKED, DAY, GIB, NOW, known


def made(what: Known | None = None, limit: int = 400) -> Page:
    return page_of(what or known(60), NOW, limit)


def test_the_newest_state_says_how_the_repository_is() -> None:
    assert made().health == "good"
    attacked = made(known(60, attack=True))
    assert attacked.health == "fail"
    assert [each.id for each in attacked.findings][:2] == ["host-hid-objects", "data-dropped"]
    assert attacked.timeline.turn is not None
    assert attacked.timeline.turn.by > NOW - DAY * ATTACKED
    assert page_of(known(60), NOW + 3 * DAY, 400).health == "late"
    unjudged = known(5)
    assert made(replace(unjudged, chain=[(header, ()) for header, _ in unjudged.chain])).health == "unjudged"


def test_growth_has_the_last_state_of_each_day_the_oldest_first() -> None:
    grown = made().grown
    assert len(grown.points) == 60
    assert [each.at for each in grown.points] == sorted(each.at for each in grown.points)


def test_of_more_days_than_are_shown_growth_has_the_last_of_each_week() -> None:
    points = made(known(450)).grown.points
    assert 60 <= len(points) <= 66
    # The newest is there whatever day it is.
    assert points[-1].at == known(450).chain[0][0].cut_time


def test_bytes_of_noncurrent_versions_are_what_was_listed_beyond_the_state_of_that_time() -> None:
    what = known(60)
    drawn = next(each for each in made(what).grown.listed if each.at == what.plans[0].drawn_at)
    assert drawn.noncurrent_bytes == 23 * GIB
    verified = made(what).grown.listed[0]
    assert verified.at == min(each.verified_at for each in what.prunes)


def test_a_plan_of_a_state_that_is_not_in_the_chain_tells_nothing_of_growth() -> None:
    what = known(60)
    other = replace(what, chain=known(60, name="beta").chain)
    assert made(other).grown.listed == ()


def test_without_a_listing_their_bytes_are_unknown_and_not_in_the_cost() -> None:
    page = made(known(20, bare=True))
    assert page.grown.listed == ()
    assert page.cost is not None
    assert page.cost.of("noncurrent") == 0
    assert any("hidden or replaced" in each for each in page.cost.unknown)


def test_a_dry_run_that_nobody_carried_out_tells_what_the_next_prune_frees() -> None:
    prune = made().prune
    assert prune.basis == "plan"
    # Of what waits, only what has no lock and no grace any more by then.
    assert prune.frees == 4 * GIB
    assert prune.newest is not None
    assert prune.newest.status == "dry-run"


def test_the_next_prune_comes_so_long_after_the_last_one_that_was_no_dry_run() -> None:
    what = known(60)
    page = made(what)
    assert page.prune.at == what.plans[1].drawn_at + 7 * DAY
    later = page_of(what, NOW + 5 * DAY, 400).prune
    assert later.at == what.plans[1].drawn_at + 14 * DAY, "one was refused, and left no plan"
    cron = replace(what, repository=Repository(name="alpha", bucket="b12", prune_schedule="cron(0 3 * * ? *)"))
    assert made(cron).prune.at == datetime(2026, 11, 23, 3, tzinfo=UTC), "whenever the last one was"
    assert made(cron).prune.schedule == "cron(0 3 * * ? *)"
    first = replace(what, plans=())
    assert (made(first).prune.at, made(first).prune.schedule) == (None, "rate(7 days)"), "nobody can say"
    never = replace(what, repository=Repository(name="alpha", bucket="b12", prune_schedule=None))
    assert (made(never).prune.at, made(never).prune.schedule) == (None, None)


@pytest.mark.parametrize(("days", "expected"), [(2, 5 * GIB), (20, 0)])
def test_after_a_prune_only_what_waited_and_whose_time_comes_is_expected(days: int, expected: int) -> None:
    what = known(60)
    report = what.prunes[0]
    waits = (
        Waiting(why=Waits.YOUNG, entries=1, bytes=5 * GIB, first=NOW, last=NOW + timedelta(days=days)),
        Waiting(why=Waits.NAMED, entries=1, bytes=9 * GIB, first=NOW, last=NOW),
    )
    applied = what.plans[1].model_copy(update={"waiting": waits})
    page = made(replace(what, plans=(applied, *what.plans[2:])))
    assert applied.plan == report.plan
    assert (page.prune.basis, page.prune.frees) == ("waited", expected)


def test_without_a_plan_what_the_next_prune_frees_is_unknown() -> None:
    assert (made(known(20, bare=True)).prune.basis, made(known(20, bare=True)).prune.frees) == ("unknown", None)


def test_a_state_that_nothing_keeps_is_told_as_due_and_with_what_it_alone_needs() -> None:
    page = made(known(365))
    due = [each for each in page.kept.states if not each.why]
    assert page.prune.due == len(due) > 0
    assert all(each.only is not None for each in page.kept.states)


def test_locks_are_counted_by_the_week_in_which_the_first_of_a_state_ends() -> None:
    locks = made().locks
    assert locks is not None
    # 60 states, a day apart each eight of them: the first from seven days and a quarter on.
    assert [each.states for each in locks.weeks] == [0, 53, 7]
    assert locks.weeks[0].begins == locks.made_at


def test_states_that_the_next_prune_drops_are_not_among_them() -> None:
    what = known(60)
    assert what.locks is not None
    due = tuple(each.model_copy(update={"due": True}) for each in what.locks.states)
    locks = made(replace(what, locks=what.locks.model_copy(update={"states": due}))).locks
    assert locks is not None
    assert (locks.weeks, locks.without) == ((), 0)


def test_no_more_than_the_asked_states_are_on_the_timeline_and_all_are_counted() -> None:
    page = made(known(60), limit=10)
    assert (len(page.timeline.moments), page.timeline.more, page.states) == (10, True, 60)


def test_the_objects_of_the_page_add_up_to_those_of_the_newest_state() -> None:
    page = made()
    newest = page.timeline.moments[0]
    assert sum(each.objects for each in page.sizes) == newest.objects
    assert sum(each.bytes for each in page.sizes) == newest.bytes
    for each in page.sizes:
        assert sum(each.by_size) == each.objects


def test_a_large_repository_is_advised_larger_packs_with_what_they_save() -> None:
    page = made(known(60, large=True))
    assert page.packs is not None
    assert (page.packs.verdict, page.packs.target) == ("larger", 128)
    assert page.saving is not None
    assert page.saving.month >= 0


def test_an_unreadable_newest_state_leaves_cost_and_sizes_unknown() -> None:
    page = made(replace(known(5), survey=None, needs=None, unread="chunk 1 is missing"))
    assert (page.cost, page.sizes, page.packs, page.kept.unknown) == (None, (), None, "chunk 1 is missing")


def test_what_all_kept_states_name_is_told_once() -> None:
    newest = known(60).chain[0][0]
    assert made().kept.together == Tally(objects=newest.objects + 900, bytes=newest.bytes + 14 * GIB)

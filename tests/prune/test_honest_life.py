"""An honest life, pruned every week by every real step: nobody is ever asked, and nothing is kept for nothing.

The states are kept for a short time, so that within a month most of them are dropped and what they named is deleted.
It begins on a Tuesday, so that the weekly forget comes on Mondays: of each week that is over, retention leaves the
last state, which is the peak before the forget. tests/domain/consistent/test_honest_life.py is this life for a year,
without prunes.
"""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.values import Severity, StateId
from tests.domain.consistent.life import DAY, Host, loud
from tests.fakes.restic import BINARY, MISSING
from tests.fakes.s3_server import S3Server
from tests.prune.life_world import GRACE, Pruned, World, files
from tests.restore.world import PREFIX, PROTECTED, REPOSITORY

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

DAYS = 60 if os.environ.get("RWM_LONG") == "1" else 30
WEEK = 7 * DAY
PHOTOGRAPHS = 6_000_000
"""Bytes. restic's weekly prune repacks much of what is younger than a month: beside so many, it is less than the fifth
above which a person is asked."""


def test_an_honest_life_needs_nobody_and_keeps_nothing_for_nothing(tmp_path: Path) -> None:
    world = World()
    world.wait(DAY.total_seconds())
    pruned: list[Pruned] = []
    sources: dict[StateId, dict[str, str]] = {}
    with S3Server(world.s3) as server:
        host = Host(server, PROTECTED, PREFIX, tmp_path)
        host.init(PHOTOGRAPHS)
        for day in range(DAYS):
            morning = world.s3.clock.now()
            an_honest_day(world, host, day)
            sources[world.recorded().id] = files(host.source)
            if day % 7 == 6:
                world.s3.clock.advance(timedelta(hours=2))
                pruned.append(a_weekly_prune(world, f"week-{day // 7}"))
                sources[world.kept()[-1].id] = files(host.source)
            host.next_day(morning)
        said = {verdict.generation: loud(verdict.findings) for verdict in world.verdicts.verdicts(REPOSITORY)}
        assert {generation: findings for generation, findings in said.items() if findings} == {}
        assert (world.notifier.notices, world.approvals.stored) == ([], {})
        assert_it_proves_something(world, pruned)
        assert_kept_states_restore(world, sources, tmp_path)
        what_the_thief_of_both_keys_does(world, host)


def an_honest_day(world: World, host: Host, day: int) -> None:
    if day == 12:
        world.declare_migration()
        host.restic.run("migrate", "upgrade_repo_v2")
    if day % 10 == 8:
        host.killed_backup()
        world.s3.clock.advance(timedelta(hours=1))
        world.recorded()
        host.restic.run("unlock")
    host.ordinary_day(day)


def a_weekly_prune(world: World, execution: str) -> Pruned:
    """Nobody is asked; all is done; what no kept state needs goes as soon as its grace is over, or a week later."""
    assert world.overdue(GRACE + WEEK) == 0
    pruned = world.prune_as_planned(execution)
    shelved, report = pruned.shelved, pruned.report
    assert (shelved.outcome, shelved.approval, shelved.findings) == ("pass", "not-needed", ()), execution
    assert (report.outcome, report.stays, report.reclaimed) == ("done", (), report.planned)
    assert report.kept_states_whole == report.kept_states == len(world.kept())
    assert pruned.dropped == shelved.drops
    assert world.overdue(GRACE) == 0
    world.assert_kept_states_have_their_bytes()
    return pruned


def assert_it_proves_something(world: World, pruned: list[Pruned]) -> None:
    """States were dropped in every week once there were older ones, and what only they named was deleted, packs
    too."""
    assert all(each.dropped >= 5 for each in pruned[1:])
    assert all(each.report.reclaimed.objects >= 10 for each in pruned[1:])
    assert sum(each.report.reclaimed.bytes for each in pruned) > 300_000
    there = world.there()
    only_dropped = world.named(world.dropped()) - world.named(world.kept())
    gone = only_dropped - there
    assert sum(key.startswith("data/") for key, _ in gone) > 20
    assert only_dropped - gone <= world.current_or_noncurrent_within(GRACE + WEEK)


def assert_kept_states_restore(world: World, sources: dict[StateId, dict[str, str]], folder: Path) -> None:
    """Each by RWM, to its bytes; the oldest and the newest by restic, too."""
    kept = world.kept()
    for header in kept:
        world.assert_restored(header)
    assert "no errors were found" in world.restic_says(kept[-1], folder / "newest", "check", "--read-data")
    for header in (next(each for each in kept if each.id in sources), kept[-1]):
        target = folder / f"restored-{header.generation}"
        world.restic_says(header, folder / f"cache-{header.generation}", "restore", "latest", "--target", str(target))
        assert files(target) == sources[header.id]


def what_the_thief_of_both_keys_does(world: World, host: Host) -> None:
    """After an honest life, so that none of its traces hides the attack. He knows the password, too."""

    def found(execution: str) -> set[str]:
        world.wait(300)
        world.recorded()
        by_record = next(world.verdicts.verdicts(REPOSITORY))
        by_check = world.checked(execution)
        ids = {each.id for each in by_check if each.severity is not Severity.NOTE}
        assert ids == {each.id for each in by_record.findings if each.severity is not Severity.NOTE}
        return ids

    host.write("photographs", PHOTOGRAPHS)
    host.back_up(tag="encrypted")
    assert found("the-first") == {"growth"}
    host.restic.run("forget", "--keep-tag", "encrypted", "--prune")
    assert {"snapshots-dropped", "old-data-dropped"} <= found("the-second")
    assert "no errors were found" in host.restic.run("check").stdout
    planned = world.planned("the-second")
    (shelved,) = [each for each in world.shelf.plans(REPOSITORY) if each.plan == planned.plan]
    assert (shelved.outcome, shelved.approval != "not-needed") == ("hold", True)
    world.assert_kept_states_have_their_bytes()

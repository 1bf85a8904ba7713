"""An honest life raises no FAIL and no HOLD; what a person has to know of, it does raise."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.values import Severity
from tests.domain.consistent.life import Life, loud, server
from tests.fakes.restic import BINARY, MISSING
from tests.record.world import ALPHA

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

LONG = os.environ.get("RWM_LONG") == "1"
DAYS = 365


@pytest.mark.skipif(not LONG, reason="RWM_LONG=1: a year; tests/prune/test_honest_life.py has a month of this life")
def test_an_honest_life_raises_no_fail_and_no_hold(tmp_path: Path) -> None:
    with server() as running:
        life = Life.begin(running, tmp_path)
        said: dict[int, list[str]] = {-1: loud(life.look())}
        for day in range(DAYS):
            morning = life.clock.now()
            if day == 12:
                life.declare_migration()
                life.restic.run("migrate", "upgrade_repo_v2")
            if day % 10 == 8:
                life.host.killed_backup()
                life.clock.advance(timedelta(hours=1))
                said[1000 + day] = loud(life.look())
                life.restic.run("unlock")
            life.host.ordinary_day(day)
            said[day] = loud(life.look())
            if day % 10 == 9:
                said[2000 + day] = sorted(life.check())
            life.host.next_day(morning)
        life.restic.run("check")
        assert {day: findings for day, findings in said.items() if findings} == {}
        assert life.world.notifier.notices == []
        headers = life.world.headers()
        assert len(headers) > DAYS
        assert {each.state for each in life.world.verdicts.verdicts(ALPHA)} == {each.id for each in headers}
        assert life.check() == set()
        what_the_thief_of_both_keys_does(life)


def what_the_thief_of_both_keys_does(life: Life) -> None:
    """After an honest life, so that none of its traces hides the attack. He knows the password, too."""

    def ids() -> set[str]:
        life.clock.advance(timedelta(minutes=5))
        found = {each.id for each in life.look() if each.severity is not Severity.NOTE}
        assert life.check() == found
        return found

    life.host.write("photographs", 3_000_000)
    life.host.back_up(tag="encrypted")
    assert ids() == {"growth"}
    life.restic.run("forget", "--keep-tag", "encrypted", "--prune")
    assert {"snapshots-dropped", "old-data-dropped"} <= ids()
    assert "restic says: no errors were found" in "restic says: " + life.restic.run("check").stdout.splitlines()[-1]


def test_a_changed_password_is_found_until_a_person_acknowledges_and_silent_after(tmp_path: Path) -> None:
    with server() as running:
        life = Life.begin(running, tmp_path)
        life.host.back_up()
        assert loud(life.look()) == []
        (first,) = life.key_files()
        (tmp_path / "password").write_text("a test's password")
        life.clock.advance(timedelta(days=1))
        life.restic.run("key", "add", "--new-password-file", str(tmp_path / "password"))
        assert {each.id for each in life.look()} == {"key-file-added"}
        life.world.acknowledge()
        life.clock.advance(timedelta(days=1))
        life.host.back_up()
        assert loud(life.look()) == []
        hint = first.removeprefix("keys/")
        life.restic.run("key", "passwd", "--key-hint", hint, "--new-password-file", str(tmp_path / "password"))
        life.clock.advance(timedelta(minutes=5))
        assert {each.id for each in life.look()} == {"key-file-added", "key-file-removed"}
        assert first not in life.key_files()
        life.world.acknowledge()
        life.clock.advance(timedelta(days=1))
        life.host.back_up()
        assert loud(life.look()) == []
        life.restic.run("check")


def test_a_migration_that_nobody_declared_fails(tmp_path: Path) -> None:
    with server() as running:
        life = Life.begin(running, tmp_path)
        life.host.back_up()
        assert loud(life.look()) == []
        life.clock.advance(timedelta(days=1))
        life.restic.run("migrate", "upgrade_repo_v2")
        assert [each.id for each in life.look()] == ["config-changed"]

"""An honest life raises no FAIL and no HOLD; what a person has to know of, it does raise."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.domain.consistent.life import Life, loud, server
from tests.fakes.restic import BINARY, MISSING

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

DAYS = 365 if os.environ.get("RWM_LONG") == "1" else 30
FORGET = ("forget", "--keep-daily", "7", "--keep-weekly", "4", "--prune")


def ordinary_day(life: Life, day: int) -> None:
    """New and changed files, a backup; now and then what else happens to a repository."""
    life.write("diary", 5_000 + 100 * day)
    life.write(f"letter-{day % 20}", 20_000)
    life.back_up()
    life.clock.advance(timedelta(minutes=5))
    if day % 10 == 4:
        life.restic.run("tag", "--add", "keep-in-mind", "latest")
        life.clock.advance(timedelta(minutes=5))
    if day % 7 == 6:
        life.restic.run(*FORGET)


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
                life.killed_backup()
                life.clock.advance(timedelta(hours=1))
                said[1000 + day] = loud(life.look())
                life.restic.run("unlock")
            ordinary_day(life, day)
            said[day] = loud(life.look())
            life.next_day(morning)
        life.restic.run("check")
        assert {day: findings for day, findings in said.items() if findings} == {}
        assert len(life.states) > DAYS
        what_the_thief_of_both_keys_does(life)


def what_the_thief_of_both_keys_does(life: Life) -> None:
    """After an honest life, so that none of its traces hides the attack. He knows the password, too."""

    def ids() -> set[str]:
        life.clock.advance(timedelta(minutes=5))
        return {each.id for each in life.judged()[0] if each.severity != "NOTE"}

    life.write("photographs", 3_000_000)
    life.back_up(tag="encrypted")
    assert ids() == {"growth"}
    life.restic.run("forget", "--keep-tag", "encrypted", "--prune")
    assert {"snapshots-dropped", "old-data-dropped"} <= ids()
    assert "restic says: no errors were found" in "restic says: " + life.restic.run("check").stdout.splitlines()[-1]


def test_a_changed_password_is_a_hold_until_a_person_approves_and_silent_after(tmp_path: Path) -> None:
    with server() as running:
        life = Life.begin(running, tmp_path)
        life.back_up()
        assert loud(life.look()) == []
        (tmp_path / "new password").write_text("another password of a test's")
        life.restic.run("key", "add", "--new-password-file", str(tmp_path / "new password"))
        assert {each.id for each in life.look()} == {"key-file-added"}
        life.approve()
        life.clock.advance(timedelta(days=1))
        life.back_up()
        assert loud(life.look()) == []
        added = next(key for key in life.key_files() if key not in life.first_key_files())
        life.restic.run("key", "remove", added.removeprefix("keys/"))
        assert {each.id for each in life.look()} == {"key-file-removed"}
        life.approve()
        life.clock.advance(timedelta(days=1))
        life.back_up()
        assert loud(life.look()) == []
        life.restic.run("check")


def test_a_migration_that_nobody_declared_fails(tmp_path: Path) -> None:
    with server() as running:
        life = Life.begin(running, tmp_path)
        life.back_up()
        assert loud(life.look()) == []
        life.clock.advance(timedelta(days=1))
        life.restic.run("migrate", "upgrade_repo_v2")
        assert [each.id for each in life.look()] == ["config-changed"]

"""The hooks for cron, systemd and restic's wrappers: each command line, run by a POSIX shell as the tool would run it.

resticprofile, autorestic and backrest themselves are not run here: what they give a command is put into its
environment, as their documentation says. test_hooks_in_their_tools.py has the real cron and systemd.
"""

import configparser
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.domain.events import BackupDone
from tests.host.machine import COMPLETE, ENDS, HOOKS, INCOMPLETE, Machine

SNAPSHOT = "0123456789abcdef" * 4


# --- cron ------------------------------------------------------------------------------------------


def cron_lines() -> list[str]:
    lines = (HOOKS / "cron").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("code", "published"), ENDS)
def test_cron_backs_up_and_publishes_how_it_ended(machine: Machine, code: int, published: BackupDone | None) -> None:
    *_, job = cron_lines()
    command = job.split(maxsplit=6)[6]
    ended = machine.run(command, RESTIC_ENDS_WITH=str(code))
    assert (ended.returncode, machine.published, machine.backed_up) == (code, published, "backup /srv")


def test_cron_finds_the_publisher_where_it_is_installed() -> None:
    """cron's own PATH has no /usr/local/bin."""
    path = next(line for line in cron_lines() if line.startswith("PATH="))
    assert "/usr/local/bin" in path.removeprefix("PATH=").split(":")


# --- systemd ---------------------------------------------------------------------------------------


class _Unit(configparser.RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


def unit(name: str) -> _Unit:
    parser = _Unit(strict=True, interpolation=None)
    parser.read_string((HOOKS / "systemd" / name).read_text())
    return parser


def as_systemd_runs(line: str) -> str:
    """The script of `/bin/sh -c '…'`. systemd takes `$$` for a `$`, and would itself replace `$NAME` and `${NAME}`."""
    found = re.fullmatch(r"/bin/sh -c '([^']*)'", line)
    assert found is not None, line
    assert not re.search(r"(?<!\$)\$(?!\$)", found[1]), "systemd would replace this"
    return found[1].replace("$$", "$")


@pytest.mark.parametrize(("code", "published"), ENDS)
def test_systemd_backs_up_and_publishes_how_it_ended(machine: Machine, code: int, published: BackupDone | None) -> None:
    service = unit("restic-backup.service")["Service"]
    assert service["Type"] == "oneshot"
    ended = machine.run(as_systemd_runs(service["ExecStart"]), RESTIC_ENDS_WITH=str(code))
    assert (ended.returncode, machine.backed_up) == (code, "backup /srv")
    ended = machine.run(as_systemd_runs(service["ExecStopPost"]), EXIT_STATUS=str(code), EXIT_CODE="exited")
    assert (ended.returncode, machine.published) == (code, published)


def test_of_a_restic_that_was_killed_systemd_publishes_nothing(machine: Machine) -> None:
    service = unit("restic-backup.service")["Service"]
    ended = machine.run(as_systemd_runs(service["ExecStopPost"]), EXIT_STATUS="KILL", EXIT_CODE="killed")
    assert (ended.returncode, machine.published) == (64, None)


def test_a_machine_that_slept_backs_up_when_it_wakes() -> None:
    timer = unit("restic-backup.timer")
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Install"]["WantedBy"] == "timers.target"


# --- restic's wrappers -----------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "published"), ENDS)
def test_resticprofile_publishes_how_it_ended(machine: Machine, code: int, published: BackupDone | None) -> None:
    profiles: dict[str, Any] = yaml.safe_load((HOOKS / "resticprofile.yaml").read_text())
    failed = {"ERROR_EXIT_CODE": str(code)} if code else {}
    ended = machine.run(profiles["default"]["backup"]["run-finally"], PROFILE_NAME="default", **failed)
    assert (ended.returncode, machine.published) == (code, published)


@pytest.mark.parametrize(
    ("hook", "given", "published"),
    [
        ("success", {"AUTORESTIC_SNAPSHOT_ID_0": SNAPSHOT[:8]}, BackupDone(snapshot=SNAPSHOT[:8])),
        ("success", {}, BackupDone()),
        ("failure", {}, INCOMPLETE),
    ],
)
def test_autorestic_publishes_after_a_backup(
    machine: Machine, hook: str, given: dict[str, str], published: BackupDone
) -> None:
    configuration: dict[str, Any] = yaml.safe_load((HOOKS / "autorestic.yml").read_text())
    (command,) = configuration["locations"]["srv"]["hooks"][hook]
    ended = machine.run(command, AUTORESTIC_LOCATION="srv", **given)
    assert (ended.returncode, machine.published) == (0, published)


@pytest.mark.parametrize(
    ("condition", "published"),
    [
        ("CONDITION_SNAPSHOT_SUCCESS", BackupDone(outcome="complete", snapshot=SNAPSHOT)),
        ("CONDITION_SNAPSHOT_WARNING", INCOMPLETE),
    ],
)
def test_backrest_publishes_after_a_backup(machine: Machine, condition: str, published: BackupDone) -> None:
    hooks: list[dict[str, Any]] = json.loads((HOOKS / "backrest.json").read_text())["hooks"]
    (hook,) = (hook for hook in hooks if hook["conditions"] == [condition])
    # As its template engine fills it in: ShellEscape quotes.
    script = hook["actionCommand"]["command"].replace("{{ .ShellEscape .SnapshotId }}", f"'{SNAPSHOT}'")
    assert "{{" not in script
    assert hook["onError"] == "ON_ERROR_IGNORE"
    ended = machine.run(script)
    assert (ended.returncode, machine.published) == (0, published)


# --- restic itself ---------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("restic") is None, reason="there is no restic here; `make embedded` installs one")
def test_a_backup_of_the_real_restic_is_published_as_complete(machine: Machine, tmp_path: Path) -> None:
    (machine.here / "restic").unlink()
    source = tmp_path / "srv"
    source.mkdir()
    (source / "file").write_text("what is backed up")
    own = {"RESTIC_REPOSITORY": str(tmp_path / "repository"), "RESTIC_PASSWORD": "a word", "HOME": str(tmp_path)}
    path = f"{machine.here}:{Path(shutil.which('restic') or '').parent}:{os.environ['PATH']}"
    job = cron_lines()[-1].split(maxsplit=6)[6].replace("/srv", str(source))
    assert machine.run("restic init", PATH=path, **own).returncode == 0
    ended = machine.run(job, PATH=path, **own)
    assert (ended.returncode, machine.published) == (0, COMPLETE)
    assert "snapshot" in ended.stdout


@pytest.mark.skipif(shutil.which("restic") is None, reason="there is no restic here; `make embedded` installs one")
def test_a_backup_that_the_real_restic_could_not_read_whole_is_published_as_incomplete(
    machine: Machine, tmp_path: Path
) -> None:
    (machine.here / "restic").unlink()
    own = {"RESTIC_REPOSITORY": str(tmp_path / "repository"), "RESTIC_PASSWORD": "a word", "HOME": str(tmp_path)}
    path = f"{machine.here}:{Path(shutil.which('restic') or '').parent}:{os.environ['PATH']}"
    # Nobody may read it, not even root: reading a process's memory from its start is an I/O error.
    job = cron_lines()[-1].split(maxsplit=6)[6].replace("/srv", f"{machine.here}/rwm.env /proc/self/mem")
    assert machine.run("restic init", PATH=path, **own).returncode == 0
    ended = machine.run(job, PATH=path, **own)
    assert (ended.returncode, machine.published) == (3, INCOMPLETE)

"""The hooks for cron and systemd, run by the real ones.

Each runs in a mount namespace of its own, with a /run and a /etc/cron.d of its own: this machine's are not touched.
That needs root; `tests/install-programs` installs cron. Debian's cron begins no job before the next full minute.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from functions.domain.events import BackupDone
from tests.host.machine import ENDS, HOOKS, INCOMPLETE, Machine

SYSTEMD = Path("/lib/systemd/systemd")


def _may_have_mounts_of_its_own() -> bool:
    if (program := shutil.which("unshare")) is None:
        return False
    return subprocess.run([program, "-m", "true"], capture_output=True, check=False).returncode == 0


alone = pytest.mark.skipif(not _may_have_mounts_of_its_own(), reason="needs root, for mounts of its own")
with_systemd = pytest.mark.skipif(not SYSTEMD.exists(), reason="there is no systemd here")
with_cron = pytest.mark.skipif(shutil.which("cron") is None, reason="no cron here: tests/install-programs")


@contextmanager
def running(machine: Machine, script: str, **given: str) -> Iterator["subprocess.Popen[str]"]:
    """`script`, by a shell in a mount namespace of its own."""
    with subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-euc", script],
        env={"PATH": f"{machine.here}:/usr/sbin:/usr/bin:/sbin:/bin", "HERE": str(machine.here), **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def output(machine: Machine, script: str, **given: str) -> str:
    with running(machine, script, **given) as process:
        said, _ = process.communicate(timeout=120)
    return said


# --- systemd ---------------------------------------------------------------------------------------

MANAGER = """
mount -t tmpfs none /run
# What tells a user's manager that systemd is there.
mkdir -p /run/systemd/system
# A control group of its own: two managers in one would end each other's units.
groups=""
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    ! mkdir "$hierarchy/rwm-$$" 2>/dev/null || groups="$groups $hierarchy/rwm-$$"
done
[ -n "$groups" ] || { echo no-manager: no control group may be made; exit 0; }
/bin/sh -euc '
    for group; do echo $$ >"$group/cgroup.procs"; done
    exec /lib/systemd/systemd --user --log-target=console
' sh $groups >"$HERE/log" 2>&1 &
trap "kill -9 $!; wait $! || true; find $groups -depth -type d -exec rmdir {} +" EXIT
for try in $(seq 100); do
    [ ! -S "$XDG_RUNTIME_DIR/systemd/private" ] || break
    sleep 0.1
done
[ -S "$XDG_RUNTIME_DIR/systemd/private" ] || { echo no-manager; cat "$HERE/log"; exit 0; }
"""


def systemd(machine: Machine, script: str, **given: str) -> str:
    """What `script` says with a manager beside it that knows our units and nothing else."""
    units, run = machine.here / "units", machine.here / "run"
    units.mkdir()
    run.mkdir(mode=0o700)
    for unit in (HOOKS / "systemd").iterdir():
        (units / unit.name).write_text(unit.read_text().replace("/etc/rwm.env", f"{machine.here}/rwm.env"))
    with (machine.here / "rwm.env").open("a") as more:
        # systemd's own PATH has /usr/local/bin, and not where this machine has its restic, aws and rwm-publish.
        more.write(f"export PATH={machine.here}:$PATH\n")
    # When timers came last is remembered below HOME.
    own = {"XDG_RUNTIME_DIR": str(run), "HOME": str(machine.here), "SYSTEMD_UNIT_PATH": f"{units}:"}
    said = output(machine, MANAGER + script, **own, **given)
    if said.startswith("no-manager"):
        pytest.skip(f"systemd does not start here: {said[-300:]}")
    return said


@alone
@with_systemd
@pytest.mark.parametrize(("code", "published"), ENDS)
def test_systemd_publishes_how_restic_ended(machine: Machine, code: int, published: BackupDone | None) -> None:
    said = systemd(
        machine,
        "systemctl --user start restic-backup.service || true\n"
        "systemctl --user show restic-backup.service -p Result -p ExecMainStatus\n",
        RESTIC_ENDS_WITH=str(code),
    )
    assert f"ExecMainStatus={code}" in said.splitlines()
    # Whoever looks at failed units still sees how the backup ended.
    assert ("Result=success" in said.splitlines()) is (code == 0)
    assert (machine.published, machine.backed_up) == (published, "backup /srv")


@alone
@with_systemd
def test_of_a_restic_that_systemd_killed_nothing_is_published(machine: Machine) -> None:
    (machine.here / "restic").write_text('#!/bin/sh\nkill -9 "$$"\n')
    said = systemd(
        machine,
        "systemctl --user start restic-backup.service || true\n"
        "systemctl --user show restic-backup.service -p Result -p ExecMainCode\n",
    )
    assert "Result=signal" in said.splitlines()
    assert machine.published is None


@alone
@with_systemd
def test_systemds_timer_comes_every_night(machine: Machine) -> None:
    said = systemd(
        machine,
        "systemctl --user start restic-backup.timer\n"
        "systemctl --user show restic-backup.timer -p NextElapseUSecRealtime -p Unit\n",
        TZ="UTC",
    )
    assert "Unit=restic-backup.service" in said.splitlines()
    # 02:17, and a quarter of an hour of chance.
    assert re.search(r"^NextElapseUSecRealtime=\S+ \S+ 02:(1[7-9]|2\d|3[0-2]):\d\d UTC$", said, re.MULTILINE), said


# --- cron ------------------------------------------------------------------------------------------

CRON = """
mount -t tmpfs none /run
mount --bind "$HERE/spool" /var/spool/cron
mount --bind "$HERE/cron.d" /etc/cron.d
mount --bind /dev/null /etc/crontab
exec cron -f
"""


@alone
@with_cron
def test_cron_publishes_how_restic_ended(machine: Machine) -> None:
    for folder in ("spool", "cron.d"):
        (machine.here / folder).mkdir(mode=0o755)
    hook = (HOOKS / "cron").read_text().replace("/etc/rwm.env", f"{machine.here}/rwm.env")
    # Now, not at 02:17; and where this machine has its restic, aws and rwm-publish.
    hook = hook.replace("17 2 * * *", "* * * * *").replace("PATH=", f"PATH={machine.here}:")
    file = machine.here / "cron.d" / "restic"
    file.write_text(f"HERE={machine.here}\nRESTIC_ENDS_WITH=3\n{hook}")
    file.chmod(0o644)
    os.chown(file, 0, 0)
    deadline = time.monotonic() + 90
    with running(machine, CRON) as process:
        while not (machine.here / "sent").exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert (machine.published, machine.backed_up) == (INCOMPLETE, "backup /srv")

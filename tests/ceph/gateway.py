"""Starts the gateway with up.sh and stops it with down.sh, shared by all who use it at the same time."""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
STATE = HERE.parents[1] / "build"
NOT_INSTALLED = 77


@dataclass(frozen=True, slots=True)
class Key:
    """A user's key."""

    access_key: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway and its two users."""

    endpoint: str
    admin: Key
    limited: Key
    admin_principal: str
    limited_principal: str
    """How a bucket policy names the two."""


@contextmanager
def gateway() -> Iterator[Gateway]:
    """The gateway, started if need be. Several processes may use it; the last one stops it.

    Skips, with up.sh's reason, where Ceph is not installed and cannot be.
    """
    STATE.mkdir(exist_ok=True)
    with (STATE / "ceph-start.lock").open("w") as starting, (STATE / "ceph-users.lock").open("w") as using:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(using, fcntl.LOCK_SH)
        try:
            found = _start()
        finally:
            fcntl.flock(starting, fcntl.LOCK_UN)
        try:
            yield found
        finally:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(using, fcntl.LOCK_UN)
            with suppress(BlockingIOError):
                fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
                subprocess.run([HERE / "down.sh"], check=True)


def _start() -> Gateway:
    done = subprocess.run([HERE / "up.sh"], capture_output=True, text=True, check=False, timeout=600)
    if done.returncode == NOT_INSTALLED:
        pytest.skip(done.stdout.strip())
    if done.returncode != 0:
        raise AssertionError(f"up.sh failed with {done.returncode}\n{done.stdout}{done.stderr}")
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return Gateway(
        endpoint=values["endpoint"],
        admin=Key(values["admin_access_key"], values["admin_secret_key"]),
        limited=Key(values["limited_access_key"], values["limited_secret_key"]),
        admin_principal=values["admin_principal"],
        limited_principal=values["limited_principal"],
    )

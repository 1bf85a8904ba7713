"""A repository that really lives: the real restic on the fake, and what record says of each state it records."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from functions.domain.recording import Recorded, Wish
from functions.domain.repositories import Migration
from functions.domain.state import Cause
from functions.domain.values import Severity
from functions.domain.verdict import SeenFinding
from functions.record.record import record
from tests.check.consistent_world import Check
from tests.fakes.clock import FakeClock
from tests.fakes.restic import BINARY, Restic
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server
from tests.record.world import BUCKET, World

DAY = timedelta(days=1)
FORGET = ("forget", "--keep-daily", "7", "--keep-weekly", "4", "--prune")


class Host:
    """A host that backs up, and its maintenance; time passes on the fake's clock alone."""

    def __init__(self, server: S3Server, bucket: str, prefix: str, folder: Path) -> None:
        self.s3 = server.fake
        self.clock: FakeClock = server.fake.clock
        self.folder = folder
        self._bucket = bucket
        self._key_prefix = f"{prefix}/" if prefix else ""
        self.restic = Restic(server.endpoint, f"{bucket}/{prefix}".rstrip("/"), "owner", "any secret", folder)
        self.source = folder / "source"
        self.source.mkdir()
        self.random = random.Random(7)

    def init(self, photographs: int = 3_000_000) -> None:
        """`photographs`: bytes of what never changes."""
        self.restic.run("init", "--repository-version", "1")
        self.write("photographs", photographs)

    def write(self, name: str, size: int) -> None:
        (self.source / name).write_bytes(self.random.randbytes(size))

    def back_up(self, *, tag: str = "daily") -> None:
        # restic's own clock is this machine's; what `forget` counts by is the time a snapshot says.
        now = f"{self.clock.now():%Y-%m-%d %H:%M:%S}"
        self.restic.run("backup", "--time", now, "--tag", tag, str(self.source))

    def ordinary_day(self, day: int) -> None:
        """New and changed files, a backup; now and then what else happens to a repository."""
        self.write("diary", 5_000 + 100 * day)
        self.write(f"letter-{day % 20}", 20_000)
        self.back_up()
        self.clock.advance(timedelta(minutes=5))
        if day % 10 == 4:
            self.restic.run("tag", "--add", "keep-in-mind", "latest")
            self.clock.advance(timedelta(minutes=5))
        if day % 7 == 6:
            self.restic.run(*FORGET)

    def killed_backup(self) -> None:
        """A restic that dies with its lock file still there."""
        self.write("big", 400_000)
        before = self._locks()
        process = subprocess.Popen(
            [str(BINARY), "backup", "--limit-upload", "20", str(self.source)],
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while self._locks() <= before and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert self._locks() > before, "it was killed before it had locked"
        (self.source / "big").unlink()

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ACCESS_KEY_ID": self.restic.access_key,
            "AWS_SECRET_ACCESS_KEY": self.restic.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "RESTIC_PASSWORD": "a test's password",
            "RESTIC_CACHE_DIR": str(self.folder / "restic"),
            "RESTIC_REPOSITORY": f"s3:{self.restic.endpoint}/{self.restic.path}",
        }

    def _locks(self) -> int:
        entries = self.s3.everything(self._bucket)
        current = [entry for entry in entries if entry.is_latest and not entry.version.is_delete_marker]
        return sum(entry.version.key.startswith(f"{self._key_prefix}locks/") for entry in current)

    def next_day(self, morning: datetime) -> None:
        self.clock.advance_to(morning + DAY)


@dataclass
class Life:
    """A host, its repository, and what record and the check say of it."""

    host: Host
    world: World

    def __post_init__(self) -> None:
        self.clock = self.host.clock
        self.restic = self.host.restic

    @classmethod
    def begin(cls, server: S3Server, folder: Path, **settings: object) -> "Life":
        world = World.over(server.fake, maintenance="create", **settings)
        life = cls(Host(server, BUCKET, "", folder), world)
        life.host.init()
        return life

    def look(self) -> tuple[SeenFinding, ...]:
        """What the schedule's record says of the state that it records now."""
        self.clock.advance(10)
        outcome = record(self.world.repository, Wish(Cause(reason="schedule")), self.world.ports())
        assert isinstance(outcome, Recorded)
        return outcome.verdict.findings

    def check(self) -> set[str]:
        """What a check finds in the newest state, beside notes."""
        return Check(self.world).found()

    def key_files(self) -> set[str]:
        """Of the newest state."""
        return {key for key in self.world.newest() if key.startswith("keys/")}

    def declare_migration(self) -> None:
        now = self.clock.second()
        declared = Migration(since=now, until=now + timedelta(hours=1))
        migrations = (*self.world.repository.migrations, declared)
        self.world.repository = self.world.repository.model_copy(update={"migrations": migrations})


def loud(findings: Sequence[SeenFinding]) -> list[str]:
    """The ids that would stop a prune or ask a person."""
    return [f"{each.severity} {each.id}: {each.what}" for each in findings if each.severity is not Severity.NOTE]


def server() -> S3Server:
    return S3Server(FakeS3())

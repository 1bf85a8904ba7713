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


@dataclass
class Life:
    """A host, its maintenance and its repository; time passes on the fake's clock alone."""

    server: S3Server
    clock: FakeClock
    folder: Path
    world: World

    def __post_init__(self) -> None:
        self.restic = Restic(self.server.endpoint, BUCKET, "owner", "any secret", self.folder)
        self.source = self.folder / "source"
        self.source.mkdir()
        self.random = random.Random(7)

    @classmethod
    def begin(cls, server: S3Server, folder: Path, **settings: object) -> "Life":
        world = World.over(server.fake, maintenance="create", **settings)
        life = cls(server, server.fake.clock, folder, world)
        life.restic.run("init", "--repository-version", "1")
        (life.source / "photographs").write_bytes(life.random.randbytes(3_000_000))
        return life

    def write(self, name: str, size: int) -> None:
        (self.source / name).write_bytes(self.random.randbytes(size))

    def back_up(self, *, tag: str = "daily") -> None:
        # restic's own clock is this machine's; what `forget` counts by is the time a snapshot says.
        now = f"{self.clock.now():%Y-%m-%d %H:%M:%S}"
        self.restic.run("backup", "--time", now, "--tag", tag, str(self.source))

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
            "RESTIC_REPOSITORY": f"s3:{self.server.endpoint}/{BUCKET}",
        }

    def _locks(self) -> int:
        entries = self.world.s3.everything(BUCKET)
        current = [entry for entry in entries if entry.is_latest and not entry.version.is_delete_marker]
        return sum(entry.version.key.startswith("locks/") for entry in current)

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

    def next_day(self, midnight: datetime) -> None:
        self.clock.advance_to(midnight + DAY)


def loud(findings: Sequence[SeenFinding]) -> list[str]:
    """The ids that would stop a prune or ask a person."""
    return [f"{each.severity} {each.id}: {each.what}" for each in findings if each.severity is not Severity.NOTE]


def server() -> S3Server:
    return S3Server(FakeS3())

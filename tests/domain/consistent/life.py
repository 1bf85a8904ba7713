"""A repository that really lives: the real restic on the fake, a state a day, and what the rules say of each."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from functions.domain.consistent.baseline import baseline, comparands
from functions.domain.consistent.case import Case, Migration
from functions.domain.consistent.check import judge
from functions.domain.consistent.fresh import observe, pins_of
from functions.domain.repositories import Repository
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, Digest, Finding, ObjectVersion, RepositoryName
from tests.fakes.clock import FakeClock
from tests.fakes.ports import FakeVersionLister
from tests.fakes.restic import BINARY, Restic
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server

BUCKET = "backups-of-alpha"
DAY = timedelta(days=1)
_CHUNKS = ChunkSet(attempt=AttemptId("a"), count=0, digest=Digest("0" * 64))


def repository(**settings: object) -> Repository:
    return Repository.model_validate({"name": "alpha", "bucket": BUCKET, "maintenance": "create", **settings})


@dataclass
class Life:
    """A host, its maintenance and its repository; time passes on the fake's clock alone."""

    server: S3Server
    clock: FakeClock
    folder: Path
    repository: Repository = field(default_factory=repository)
    states: list[tuple[StateHeader, tuple[ObjectVersion, ...]]] = field(default_factory=list)
    approved: StateHeader | None = None
    migrations: tuple[Migration, ...] = ()

    def __post_init__(self) -> None:
        self.s3 = self.server.fake
        self.s3.create_bucket(BUCKET, object_lock=True)
        self.restic = Restic(self.server.endpoint, BUCKET, "owner", "any secret", self.folder)
        self.source = self.folder / "source"
        self.source.mkdir()
        self.random = random.Random(7)

    @classmethod
    def begin(cls, server: S3Server, folder: Path, **settings: object) -> "Life":
        life = cls(server, server.fake.clock, folder, repository(**settings))
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
        entries = self.s3.everything(BUCKET)
        current = [entry for entry in entries if entry.is_latest and not entry.version.is_delete_marker]
        return sum(entry.version.key.startswith("locks/") for entry in current)

    def look(self) -> tuple[Finding, ...]:
        """Record a state and judge it."""
        self.clock.advance(10)
        found, header, versions = self.judged()
        self.states.append((header, versions))
        return found

    def judged(self) -> tuple[tuple[Finding, ...], StateHeader, tuple[ObjectVersion, ...]]:
        at = self.clock.second()
        headers = [header for header, _ in self.states]
        entries = {header.id: versions for header, versions in self.states}
        days = self.repository.thresholds.baseline_days
        wanted = comparands(headers, self.approved, at, days)
        fresh = observe(FakeVersionLister(self.s3, BUCKET).versions(), at, pins_of(*entries.values()))
        case = Case(
            repository=self.repository,
            fresh=fresh,
            baseline=baseline(
                headers,
                self.approved,
                reference=entries[wanted.reference.id] if wanted.reference else (),
                old=entries[wanted.old.id] if wanted.old else (),
            ),
            migrations=self.migrations,
        )
        header = describe(
            fresh.cut,
            repository=RepositoryName("alpha"),
            parent=headers[-1] if headers else None,
            own_chunks=_CHUNKS,
            recorded_at=at,
            cause=Cause(reason="schedule"),
        )
        return judge(case), header, fresh.cut.versions

    def approve(self) -> None:
        """A person approves the newest state."""
        self.approved = self.states[-1][0]

    def key_files(self) -> set[str]:
        """Of the newest state."""
        return {version.key for version in self.states[-1][1] if version.key.startswith("keys/")}

    def first_key_files(self) -> set[str]:
        return {version.key for version in self.states[0][1] if version.key.startswith("keys/")}

    def declare_migration(self) -> None:
        self.migrations = (*self.migrations, Migration(self.clock.second(), self.clock.second() + timedelta(hours=1)))

    def next_day(self, midnight: datetime) -> None:
        self.clock.advance_to(midnight + DAY)


def loud(findings: Sequence[Finding]) -> list[str]:
    """The ids that would stop a prune or ask a person."""
    return [f"{each.severity} {each.id}: {each.what}" for each in findings if each.severity != "NOTE"]


def server() -> S3Server:
    return S3Server(FakeS3())

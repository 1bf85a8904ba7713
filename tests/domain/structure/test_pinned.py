"""The check reads what the state pins, whatever the host did afterwards, through S3 and restic as they are."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from functions.domain.structure.check import check_structure
from functions.domain.structure.report import Level, StructureReport
from functions.domain.values import ObjectVersion
from tests.cuts import take_cut
from tests.fakes.ports import FakeRangedReader, FakeVersionLister
from tests.fakes.restic import BINARY, MISSING, Restic
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_model import VersioningStatus
from tests.fakes.s3_server import S3Server

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

PREFIX = "alpha/"
PASSWORD = "a test's password"


def _state(s3: FakeS3) -> tuple[ObjectVersion, ...]:
    return tuple(take_cut(FakeVersionLister(s3, "backups", PREFIX).versions(), s3.clock.now()).versions)


def _check(s3: FakeS3, state: tuple[ObjectVersion, ...]) -> StructureReport:
    with ThreadPoolExecutor(4) as executor:
        return check_structure(
            state, FakeRangedReader(s3, "backups", PREFIX), PASSWORD, executor, level=Level.READ_DATA
        )


def test_a_recorded_state_is_complete_after_everything_was_hidden_or_overwritten(tmp_path: Path) -> None:
    s3 = FakeS3()
    s3.create_bucket("backups", object_lock=True)
    source = tmp_path / "source"
    source.mkdir()
    with S3Server(s3) as server:
        restic = Restic(server.endpoint, "backups/alpha", "owner", "any secret", tmp_path)
        restic.run("init")
        for month in range(2):
            (source / f"month {month}").write_text(f"written in month {month}\n" * 500)
            restic.run("backup", str(source))
            s3.clock.advance(timedelta(days=30))
    state = _state(s3)
    for number, entry in enumerate(state):
        if number % 2:
            s3.put("backups", PREFIX + entry.key, b"overwritten")
        s3.delete("backups", PREFIX + entry.key)
    s3.clock.advance(timedelta(days=1))

    report = _check(s3, state)
    assert (report.complete, report.snapshots) == (True, 2)
    assert _check(s3, _state(s3)).unjudged is not None, "nothing is current any more"


def test_a_version_that_was_destroyed_is_named(tmp_path: Path) -> None:
    s3 = FakeS3()
    s3.create_bucket("backups")
    s3.put_versioning("backups", VersioningStatus.ENABLED)
    with S3Server(s3) as server:
        restic = Restic(server.endpoint, "backups/alpha", "owner", "any secret", tmp_path)
        restic.run("init")
        (tmp_path / "file").write_text("content")
        restic.run("backup", str(tmp_path / "file"))
    state = _state(s3)
    lost = next(entry for entry in state if entry.key.startswith("snapshots/"))
    s3.delete_version("backups", PREFIX + lost.key, lost.version_id)

    report = _check(s3, state)
    assert [trouble.subject for trouble in report.damaged.shown] == [lost.key]
    assert not report.complete

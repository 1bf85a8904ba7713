"""The real restic works on the fake while months pass on the fake's clock."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fakes.faults import CallLog
from tests.fakes.restic import BINARY, MISSING, Restic
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_errors import AccessDenied
from tests.fakes.s3_model import DefaultRetention, LockMode
from tests.fakes.s3_server import S3Server

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

HOST = "host-of-alpha"
READ = ["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"]


def write_month(source: Path, month: int) -> None:
    """A file that stays and one that changes, so that each month needs new and old packs."""
    source.mkdir(exist_ok=True)
    (source / f"month-{month}.txt").write_text(f"written in month {month}\n" * 500)
    (source / "diary.txt").write_text("".join(f"month {past}\n" for past in range(month + 1)))


def test_restic_backs_up_for_half_a_year_and_forgets_while_governance_keeps_every_version(tmp_path: Path) -> None:
    fake = FakeS3()
    fake.create_bucket("backups", object_lock=True)
    fake.put_lock_configuration("backups", DefaultRetention(LockMode.GOVERNANCE, days=365))
    source = tmp_path / "source"
    with S3Server(fake) as server:
        restic = Restic(server.endpoint, "backups/alpha", "owner", "any secret", tmp_path)
        restic.run("init")
        for month in range(3):
            write_month(source, month)
            # restic's own snapshot times come from this machine's clock, S3's from the fake's.
            restic.run("backup", str(source))
            fake.clock.advance(timedelta(days=60))
        assert len(restic.snapshots()) == 3
        before = {entry.version.version_id for entry in fake.everything("backups")}
        restic.run("forget", "--keep-last", "1", "--prune")
        restic.run("check", "--read-data")
        assert len(restic.snapshots()) == 1
        target = tmp_path / "restored"
        restic.run("restore", "latest", "--target", str(target))

    assert (target / str(source).lstrip("/") / "diary.txt").read_text() == (source / "diary.txt").read_text()
    entries = fake.everything("backups")
    assert before <= {entry.version.version_id for entry in entries}, "a version was destroyed"
    snapshots = [entry for entry in entries if entry.version.key.startswith("alpha/snapshots/")]
    hidden = [entry for entry in snapshots if entry.version.is_delete_marker and entry.is_latest]
    assert len(hidden) == 2
    written = sorted({entry.version.last_modified for entry in snapshots if not entry.version.is_delete_marker})
    assert [later - earlier for earlier, later in pairwise(written)] == [timedelta(days=60)] * 2


def test_a_host_that_may_hide_lock_files_only_can_back_up_and_check_and_hides_nothing_else(tmp_path: Path) -> None:
    fake = FakeS3()
    fake.create_bucket("backups", object_lock=True)
    fake.access.allow(HOST, READ, "backups")
    fake.access.allow(HOST, ["s3:PutObject"], "backups", "alpha/")
    fake.access.allow(HOST, ["s3:DeleteObject"], "backups", "alpha/locks/")
    log = fake.hook = CallLog()
    write_month(tmp_path / "source", 0)
    with S3Server(fake) as server:
        restic = Restic(server.endpoint, "backups/alpha", HOST, "any secret", tmp_path)
        restic.run("init")
        restic.run("backup", str(tmp_path / "source"))
        restic.run("check")

    assert log.count()["DeleteObject"] > 0
    hidden = {entry.version.key for entry in fake.everything("backups") if entry.version.is_delete_marker}
    assert all(key.startswith("alpha/locks/") for key in hidden)
    # What `restic forget` would do, without the 44 seconds for which it retries a denied DELETE.
    snapshot = next(entry.version.key for entry in fake.everything("backups") if "/snapshots/" in entry.version.key)
    with pytest.raises(AccessDenied):
        fake.delete("backups", snapshot, by=HOST)

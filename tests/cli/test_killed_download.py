"""A restore to a directory that is killed again and again ends as if nothing had been; the real restic is the judge."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from functions.domain.restore.directory import PARTIAL
from functions.domain.values import ObjectVersion
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.listing import S3VersionLister
from tests.cli.download_child import BUCKET, save
from tests.cuts import take_cut
from tests.fakes.restic import BINARY, MISSING, Restic
from tests.fakes.s3_server import S3Server

ROOT = Path(__file__).parents[2]
KILLS = 10

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)


@pytest.fixture(autouse=True)
def no_aws() -> None:
    """There is a server here, and no moto."""


@dataclass(frozen=True)
class BackedUp:
    endpoint: str
    entries: Path
    source: Path
    truth: Path
    """The objects of the cut, each a file under its key."""
    cache: Path

    def start(self, place: Path, rate: str = "") -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.cli.download_child", self.endpoint, str(self.entries), str(place), rate]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def backed_up(tmp_path: Path) -> Iterator[BackedUp]:
    source, truth = tmp_path / "source", tmp_path / "truth"
    source.mkdir()
    for number in range(6):
        (source / f"file-{number}").write_bytes(random.Random(number).randbytes(300_000))
    with S3Server() as server:
        server.fake.create_bucket(BUCKET, object_lock=True)
        host = Restic(server.endpoint, BUCKET, "owner", "any", tmp_path / "host")
        host.run("init")
        for number in range(6):
            host.run("backup", str(source / f"file-{number}"))
        host.run("backup", str(source))
        s3 = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            aws_access_key_id="owner",
            aws_secret_access_key="any",
            region_name="us-east-1",
            config=Config(proxies={}, s3={"addressing_style": "path"}),
        )
        cut = take_cut(S3VersionLister(s3, BUCKET, "").versions(), S3BucketConfiguration(s3, BUCKET).now())
        entries: list[ObjectVersion] = list(cut.versions)
        for each in entries:
            body = s3.get_object(Bucket=BUCKET, Key=each.key, VersionId=each.version_id)["Body"].read()
            (truth / each.key).parent.mkdir(parents=True, exist_ok=True)
            (truth / each.key).write_bytes(body)
            # The attack: what is current is not what it was.
            s3.put_object(Bucket=BUCKET, Key=each.key, Body=b"encrypted by somebody else")
            s3.delete_object(Bucket=BUCKET, Key=each.key)
        s3.close()
        save(entries, tmp_path / "entries.json")
        yield BackedUp(server.endpoint, tmp_path / "entries.json", source, truth, tmp_path / "cache")


def is_the_same(place: Path, truth: Path) -> str:
    """What `diff -r` says; nothing if they are the same."""
    return subprocess.run(["diff", "-r", truth, place], capture_output=True, text=True, check=False).stdout


def opens(backed_up: BackedUp, place: Path, target: Path) -> None:
    """The real restic reads all of it, and gives back what was backed up."""
    assert BINARY is not None
    environment = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": "a test's password", "HOME": str(backed_up.cache)}
    for arguments in (["check", "--read-data"], ["restore", "latest", "--target", str(target)]):
        # Not told to leave locks alone: the folder for them has to be there.
        done = subprocess.run(
            [BINARY, "-r", str(place), *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert is_the_same(target / str(backed_up.source).lstrip("/"), backed_up.source) == ""


def test_killed_at_ten_random_moments_it_ends_identical(backed_up: BackedUp, tmp_path: Path) -> None:
    place = tmp_path / "restored"
    moments = random.Random()
    seen: set[int] = set()
    for _ in range(KILLS):
        # Slow enough that there is something to kill: all of it takes 3 seconds.
        with backed_up.start(place, "1200K") as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0, 1.2))
            child.send_signal(signal.SIGKILL)
        whole = [each for each in place.rglob("*") if each.is_file() and not PARTIAL.fullmatch(each.name)]
        for each in whole:
            # Whatever has its name is whole, at any moment.
            assert each.read_bytes() == (backed_up.truth / each.relative_to(place)).read_bytes()
        seen.add(len(whole))
    assert len(seen) > 1, "it was always killed at the same point"
    with backed_up.start(place) as child:
        said, told = child.communicate(timeout=120)
    assert child.returncode == 0, told
    assert said.splitlines()[-1].split()[0] == "restored"
    # The one folder that is empty, and that no copy of the objects has.
    (place / "locks").rmdir()
    assert is_the_same(place, backed_up.truth) == ""
    (place / "locks").mkdir(0o700)
    opens(backed_up, place, tmp_path / "given back")


def test_a_second_run_of_a_finished_restore_downloads_nothing(backed_up: BackedUp, tmp_path: Path) -> None:
    said = []
    for _ in range(2):
        with backed_up.start(tmp_path / "restored") as child:
            out, told = child.communicate(timeout=120)
        assert child.returncode == 0, told
        said.append(out.splitlines()[-1].split())
    count = said[0][1]
    assert said == [["restored", count, "0"], ["restored", "0", count]]

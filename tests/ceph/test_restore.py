"""A whole restore into a bucket on a server nobody here wrote: the steps' own code, real clients, restic as the judge.

The ledger alone is a fake one: what a state is, is shown elsewhere.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from functions.domain import chunks
from functions.domain.cut import QUIET
from functions.domain.restore.plan import Wishes, read_plan
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import Location
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, ObjectVersion, RepositoryName, VersionGone
from functions.restore import copy
from functions.restore.plan import AS_IT_IS, WrittenPlan, plan_restore
from functions.restore.verify import verify_restore
from functions.storage.bucket import S3BucketConfiguration, S3PinnedReader
from functions.storage.direct import Direct
from functions.storage.listing import S3VersionLister
from functions.storage.records import S3RecordReader, S3RecordWriter
from functions.storage.target import Copying, S3TargetLister, S3TargetReader, S3VersionCopier
from tests.ceph.gateway import Gateway
from tests.ceph.test_wall import client
from tests.cuts import take_cut
from tests.fakes.ledger import FakeLedger, FakeReportLog
from tests.fakes.restic import BINARY, MISSING, Restic

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.ceph, pytest.mark.skipif(BINARY is None, reason=MISSING)]

ROOT = Path(__file__).parents[2]
REPOSITORY = RepositoryName("alpha")
RECORDS = f"restores-of-{os.getpid()}"
PREFIX = "restic/alpha"
ODD = ("a b", "a+b", "100%", "a%20b", "ümlaut/ß", "日本/語", "a//b", "/a", "d?q=1&r#f", "😀")
CONTEXT: Any = SimpleNamespace(
    function_name="rwm-copy-batch", memory_limit_in_mb=1024, invoked_function_arn="arn:x", aws_request_id="1"
)


@pytest.fixture(scope="module")
def s3(ceph: Gateway) -> "S3Client":
    made = client(ceph, ceph.admin)
    made.create_bucket(Bucket=RECORDS)
    made.put_bucket_versioning(Bucket=RECORDS, VersioningConfiguration={"Status": "Enabled"})
    return made


@pytest.fixture
def environment(ceph: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """What a function of the deployment is told, with the gateway in the place of AWS."""
    variables = {
        "AWS_ACCESS_KEY_ID": ceph.admin.access_key,
        "AWS_SECRET_ACCESS_KEY": ceph.admin.secret_key,
        "AWS_ENDPOINT_URL_S3": ceph.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "RWM_LEDGER": "ledger",
        "RWM_OPERATIONS": "operations",
        "RWM_RECORDS": RECORDS,
        "RWM_ALERTS": "alerts",
        "RWM_RESTORE_THREADS": "8",
        "POWERTOOLS_SERVICE_NAME": "copy-batch",
        "POWERTOOLS_METRICS_NAMESPACE": "RWM",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made: dict[str, Direct] = {}

    def direct(bucket: str) -> Direct:
        if bucket not in made:
            made[bucket] = Direct(copy._target_client(bucket), bucket)
        return made[bucket]

    monkeypatch.setattr(copy, "_direct", direct)
    yield variables
    for each in made.values():
        each.close()
    if copy._client.cache_info().currsize:
        copy._client().close()
    copy._client.cache_clear()
    copy._target_client.cache_clear()


class Scene:
    """One bucket with a repository, a target, and the steps of a restore between them."""

    def __init__(self, s3: "S3Client", name: str, *, lock_target: bool = False) -> None:
        self.s3, self.ledger, self.reports = s3, FakeLedger(), FakeReportLog()
        self.bucket, self.target = f"{name}-{os.getpid()}", f"rwm-restore-{name}-{os.getpid()}"
        s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=True)
        if lock_target:
            s3.create_bucket(Bucket=self.target, ObjectLockEnabledForBucket=True)
        else:
            s3.create_bucket(Bucket=self.target)

    def put(self, key: str, content: bytes) -> str:
        return self.s3.put_object(Bucket=self.bucket, Key=f"{PREFIX}/{key}", Body=content)["VersionId"]

    def hide(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=f"{PREFIX}/{key}")

    def record(self) -> StateHeader:
        """The repository as it is now, in whole seconds; nothing may be written until this returns."""
        time.sleep(1.1)
        now = S3BucketConfiguration(self.s3, self.bucket).now()
        time.sleep(1.1)
        cut = take_cut(S3VersionLister(self.s3, self.bucket, f"{PREFIX}/").versions(), now)
        attempt, encoded = AttemptId("attempt-1"), list(chunks.encode(cut.versions))
        header = describe(
            cut,
            repository=REPOSITORY,
            parent=None,
            own_chunks=ChunkSet(attempt=attempt, count=len(encoded), digest=chunks.digest(encoded)),
            recorded_at=now,
            cause=Cause(reason="operator"),
        )
        self.ledger.begin(REPOSITORY, attempt, now, now + QUIET)
        self.ledger.reserve(REPOSITORY, attempt, len(encoded))
        for number, chunk in enumerate(encoded):
            self.ledger.put_chunk(attempt, number, chunk)
        self.ledger.commit(header, attempt, None)
        return header

    def plan(self, state: StateHeader, wishes: Wishes = AS_IT_IS) -> WrittenPlan:
        return plan_restore(
            REPOSITORY,
            state.id,
            source=Location(bucket=self.bucket, prefix=PREFIX),
            target=Location(bucket=self.target, prefix="here"),
            ledger=self.ledger,
            lister=S3TargetLister(self.s3, self.target, "here/"),
            reader=S3TargetReader(self.s3, self.target, "here/"),
            pinned=S3PinnedReader(self.s3, self.bucket, f"{PREFIX}/"),
            records=S3RecordWriter(self.s3, RECORDS),
            wishes=wishes,
        )

    def events(self, written: WrittenPlan, execution: str) -> list[dict[str, Any]]:
        """What the Distributed Map gives to its children."""
        name = f"restores/{written.plan}/manifest.json"
        manifest = self.s3.get_object(Bucket=RECORDS, Key=name, VersionId=written.manifest_version)["Body"].read()
        given = {"plan": written.plan, "plan_version": written.plan_version, "execution": execution}
        return [{**given, "batch": item} for item in json.loads(manifest)]

    def verify(self, written: WrittenPlan, execution: str) -> RestoreReport:
        stored = S3RecordReader(self.s3, RECORDS)
        return verify_restore(
            read_plan(stored, written.plan, written.plan_version),
            execution,
            datetime.now(UTC),
            lister=S3TargetLister(self.s3, self.target, "here/"),
            stored=stored,
            records=S3RecordWriter(self.s3, RECORDS),
            reports=self.reports,
        )

    def restore(self, state: StateHeader, execution: str = "tuesday", wishes: Wishes = AS_IT_IS) -> RestoreReport:
        written = self.plan(state, wishes)
        for event in self.events(written, execution):
            copy.handler(event, CONTEXT)
        return self.verify(written, execution)

    def in_target(self) -> dict[str, bytes]:
        """All that a restore left there, by key."""
        listed = S3TargetLister(self.s3, self.target, "here/").objects()
        return {key: self.s3.get_object(Bucket=self.target, Key=f"here/{key}")["Body"].read() for key, _ in listed}

    def versions_in_target(self) -> int:
        return len(list(S3VersionLister(self.s3, self.target, "here/").versions()))


def a_pack(content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    return f"data/{name[:2]}/{name}"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A restic repository that was recorded, and then attacked by who may write and hide."""

    scene: Scene
    state: StateHeader
    source: Path
    before: Mapping[str, bytes]


def back_up(ceph: Gateway, scene: Scene, folder: Path) -> BackedUp:
    source = folder / "source"
    source.mkdir()
    chance = random.Random(6)
    for number in range(40):
        (source / f"file {number}").write_bytes(chance.randbytes(60_000) + f"line of {number}\n".encode() * 200)
    restic = Restic(ceph.endpoint, f"{scene.bucket}/{PREFIX}", *_admin(ceph), folder / "host")
    restic.run("init")
    restic.run("backup", str(source))
    state = scene.record()
    before = {}
    for each in S3VersionLister(scene.s3, scene.bucket, f"{PREFIX}/").versions():
        if not isinstance(each, ObjectVersion) or each.key.startswith("locks/"):
            continue
        read = S3PinnedReader(scene.s3, scene.bucket, f"{PREFIX}/").read(each.key, each.version_id)
        before[str(each.key)] = b"".join(read)
    for key in before:
        scene.put(key, b"encrypted by somebody else")
        scene.hide(key)
    return BackedUp(scene, state, source, before)


def _admin(ceph: Gateway) -> tuple[str, str]:
    return ceph.admin.access_key, ceph.admin.secret_key


def judged_by_restic(ceph: Gateway, backed_up: BackedUp, folder: Path) -> None:
    """restic opens what was restored, checks every byte, and gives every file back."""
    restored = Restic(ceph.endpoint, f"{backed_up.scene.target}/here", *_admin(ceph), folder / "admin")
    restored.run("check", "--read-data")
    out = folder / "restored"
    restored.run("restore", "latest", "--target", str(out))
    there = out / str(backed_up.source).lstrip("/")
    assert subprocess.run(["diff", "-r", backed_up.source, there], check=False).returncode == 0


@pytest.mark.usefixtures("environment")
def test_an_attacked_repository_is_rebuilt_and_restic_reads_all_of_it(
    ceph: Gateway, s3: "S3Client", tmp_path: Path
) -> None:
    backed_up = back_up(ceph, Scene(s3, "whole"), tmp_path)
    scene = backed_up.scene
    report = scene.restore(backed_up.state)
    assert (report.outcome, report.proven, report.copied) == ("restored", len(backed_up.before), len(backed_up.before))
    assert report.found_content_root == backed_up.state.content_root
    assert scene.in_target() == dict(backed_up.before)
    judged_by_restic(ceph, backed_up, tmp_path)

    again = scene.restore(backed_up.state, "wednesday")
    assert (again.outcome, again.copied, again.skipped) == ("restored", 0, len(backed_up.before))


def test_killed_ten_times_at_random_it_ends_identical(
    ceph: Gateway, s3: "S3Client", environment: Mapping[str, str], tmp_path: Path
) -> None:
    """`kill -9` of the process that copies, each time it has come a little further."""
    backed_up = back_up(ceph, Scene(s3, "killed"), tmp_path)
    scene, chance = backed_up.scene, random.Random(time.time_ns())
    packs = {a_pack(content): content for content in (f"{number}".encode() * 2000 for number in range(300))}
    for key, content in packs.items():
        scene.put(key, content)
    scene.ledger = FakeLedger()
    for key, content in backed_up.before.items():
        scene.put(key, content)
    state = scene.record()
    written = scene.plan(state)
    events = "\n".join(json.dumps(event) for event in scene.events(written, "tuesday"))
    program = (
        "import json, sys\nfrom types import SimpleNamespace\nfrom functions.restore.copy import handler\n"
        "context = SimpleNamespace(function_name='f', memory_limit_in_mb=1, invoked_function_arn='a', "
        "aws_request_id='1')\nprint('ready', flush=True)\n"
        "for line in sys.stdin: handler(json.loads(line), context)\n"
    )

    def run(seconds: float | None) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            assert process.stdout.readline() == "ready\n"
            process.stdin.write(events)
            process.stdin.close()
            if seconds is not None:
                time.sleep(seconds)
                process.kill()
            process.stdout.read()
        return process.returncode

    for _ in range(10):
        run(chance.uniform(0.0, 0.6))
    assert run(None) == 0
    report = scene.verify(written, "tuesday")
    assert (report.outcome, report.troubles) == ("restored", ())
    assert scene.in_target() == {**backed_up.before, **packs}
    for batch in scene.events(written, "tuesday"):
        name = f"restores/{written.plan}/results/tuesday/{batch['batch']['number']:05d}.json"
        assert json.loads(s3.get_object(Bucket=RECORDS, Key=name)["Body"].read())["troubles"] == []


@pytest.mark.usefixtures("environment")
def test_keys_sizes_and_histories_of_every_kind_are_restored_exactly(s3: "S3Client") -> None:
    scene = Scene(s3, "odd")
    odd = {
        key: key.encode()
        for key in ("a b", "a+b", "100%", "a%20b", "ümlaut/ß", "日本/語", "a//b", "/a", "d?q=1&r#f", "😀")
    }
    longest = "x" * (1024 - len(f"{PREFIX}/"))
    objects = {**odd, "empty": b"", a_pack(b""): b"", longest: b"longest", "often": b"version 100"}
    for number in range(1, 100):
        scene.put("often", f"version {number}".encode())
    for number in range(120):
        scene.hide(f"never/{number:04}")
    for key, content in objects.items():
        scene.put(key, content)
    state = scene.record()
    for key in objects:
        scene.hide(key)
    report = scene.restore(state)
    assert (report.outcome, report.proven) == ("restored", len(objects))
    assert scene.in_target() == objects


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_locked_versions_are_copied(s3: "S3Client", mode: Any) -> None:
    scene = Scene(s3, mode.lower(), lock_target=True)
    contents = lock_up(scene, mode)
    state = scene.record()
    assert scene.restore(state).outcome == "restored"
    assert scene.in_target() == contents


@pytest.mark.usefixtures("environment")
def test_copies_are_locked_as_was_asked(s3: "S3Client") -> None:
    """Ceph 16 carries the source's lock along, and drops the one that is asked for: it is seen, and mended."""
    scene = Scene(s3, "locked", lock_target=True)
    contents = lock_up(scene, "GOVERNANCE")
    state = scene.record()
    [first, second, third] = sorted(contents)
    # One is there already, and has no lock; another has one that lasts.
    for key in (first, second):
        s3.put_object(Bucket=scene.target, Key=f"here/{key}", Body=contents[key])
    longer = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=300)}
    s3.put_object_retention(Bucket=scene.target, Key=f"here/{second}", Retention=longer)  # type: ignore[arg-type]
    report = scene.restore(state, wishes=Wishes(lock_days=30))
    assert (report.outcome, report.copied, report.skipped) == ("restored", 1, 2)
    days = {}
    for key in contents:
        held = s3.get_object_retention(Bucket=scene.target, Key=f"here/{key}")["Retention"]
        assert held["Mode"] == "GOVERNANCE"
        days[key] = (held["RetainUntilDate"] - datetime.now(UTC)).days
    assert days == {first: 29, second: 299, third: 29}


def lock_up(scene: Scene, mode: Any) -> dict[str, bytes]:
    """Three packs, each locked for a while."""
    contents = {a_pack(content): content for content in (b"one", b"two", b"three")}
    until = {"Mode": mode, "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=90)}
    for key, content in contents.items():
        where = {"Bucket": scene.bucket, "Key": f"{PREFIX}/{key}", "VersionId": scene.put(key, content)}
        scene.s3.put_object_retention(**where, Retention=until)  # type: ignore[arg-type]
    return contents


@pytest.mark.usefixtures("environment")
def test_a_target_that_locks_by_default_takes_copies(s3: "S3Client") -> None:
    scene = Scene(s3, "default", lock_target=True)
    s3.put_object_lock_configuration(
        Bucket=scene.target,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 90}},
        },
    )
    scene.put("config", b"the config")
    state = scene.record()
    assert scene.restore(state, wishes=Wishes(lock_days=30)).outcome == "restored"
    held = s3.get_object_retention(Bucket=scene.target, Key="here/config")["Retention"]
    assert (held["RetainUntilDate"] - datetime.now(UTC)).days == 89


def test_an_object_is_copied_in_parts_of_its_pinned_version(s3: "S3Client") -> None:
    scene = Scene(s3, "parts", lock_target=True)
    content = random.Random(3).randbytes(12 << 20)
    key = a_pack(content)
    version_id = scene.put(key, content)
    scene.put(key, b"newer")
    [version] = [
        each for each in S3VersionLister(s3, scene.bucket, f"{PREFIX}/").versions() if each.version_id == version_id
    ]
    assert isinstance(version, ObjectVersion)
    until = datetime.now(UTC) + timedelta(days=3)
    copier = S3VersionCopier(
        s3,
        source_bucket=scene.bucket,
        source_key_prefix=f"{PREFIX}/",
        target_bucket=scene.target,
        target_key_prefix="here/",
        copying=Copying(locked_until=until, largest=5 << 20, part=lambda _size: 5 << 20),
    )
    assert copier.copy(version) is None
    direct = Direct(s3, scene.target)
    assert S3TargetReader(s3, scene.target, "here/", direct).sha256(version.key) == key.rpartition("/")[2]
    direct.close()
    assert s3.list_multipart_uploads(Bucket=scene.target).get("Uploads", []) == []
    s3.delete_object(Bucket=scene.bucket, Key=f"{PREFIX}/{key}", VersionId=version_id)
    with pytest.raises(VersionGone):
        copier.copy(version)
    assert s3.list_multipart_uploads(Bucket=scene.target).get("Uploads", []) == []


def test_a_connection_that_signs_by_itself_is_believed_by_the_gateway(s3: "S3Client") -> None:
    """Ceph verifies signatures: of odd keys, of version ids in the query, and of copies."""
    scene = Scene(s3, "signed")
    direct = Direct(s3, scene.bucket)
    for key in ("plain", "a b+c%/ü?x=1&y", "//a"):
        version_id = scene.put(key, key.encode())
        scene.put(key, b"newer")
        taken = BytesIO()
        count = direct.read(f"{PREFIX}/{key}", taken.write, version_id)
        assert (count, taken.getvalue()) == (len(key.encode()), key.encode())
    direct.close()

"""Who restores beside RWM restores the same: the state, and nothing that came after it."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench import restoring_copy, restoring_directory
from bench.buckets import client, repository
from bench.part import CannotMeasure
from bench.restoring import RECORDS, SOURCE
from bench.restoring_copy import in_turn
from bench.restoring_source import Recorded, Shape, attack, keys_of, record_listed, truth, upload
from functions.domain.restic import FileType, file_type
from functions.domain.values import ObjectKey
from tests.fakes.s3_server import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SHAPE = Shape(40, smallest=100, largest=1_000)
needs_rclone = pytest.mark.skipif(
    not (restoring_copy.ROOT / restoring_copy.RCLONE).exists(), reason="`local/setup bench` installs rclone"
)


@dataclass(frozen=True)
class Attacked:
    """A bucket that was recorded, and attacked since; and another one to restore into."""

    s3: "S3Client"
    environment: Mapping[str, str]
    files: Path
    recorded: Recorded

    def holds(self, bucket: str) -> dict[str, bytes]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {key: self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def state(self) -> dict[str, bytes]:
        return {key: (self.files / key).read_bytes() for key in keys_of(self.files)}


@pytest.fixture
def attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attacked]:
    monkeypatch.setattr(restoring_copy, "CHILDREN", 1)  # there is one batch, and each takes a second to start
    files = truth(tmp_path / "truth", SHAPE)
    with S3Server() as server:
        environment = {
            "AWS_ENDPOINT_URL_S3": server.endpoint,
            "AWS_ACCESS_KEY_ID": "owner",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        s3 = client(environment)
        for bucket in (SOURCE, RECORDS):
            s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        s3.create_bucket(Bucket="target")
        upload(s3, SOURCE, files)
        recorded = record_listed(s3, repository(SOURCE), pause=server.fake.clock.advance)
        attack(s3, SOURCE, recorded.versions)
        yield Attacked(s3, environment, files, recorded)


def test_what_is_restored_is_a_repository_of_that_size_with_restics_names(tmp_path: Path) -> None:
    sizes = keys_of(truth(tmp_path, Shape(200)))
    kinds = [file_type(ObjectKey(key)) for key in sizes]
    assert len(sizes) == 200
    assert {kind: kinds.count(kind) for kind in set(kinds) - {FileType.PACK}} == {
        FileType.CONFIG: 1,
        FileType.KEY: 2,
        FileType.INDEX: 1,
        FileType.SNAPSHOT: 40,
    }
    packs = [size for key, size in sizes.items() if file_type(ObjectKey(key)) is FileType.PACK]
    assert 100_000 <= min(packs) < 150_000
    assert 700_000 < max(packs) <= 1_000_000


def test_the_attack_leaves_nothing_that_reads_the_current_objects_a_way_back(attacked: Attacked) -> None:
    now, state = attacked.holds(SOURCE), attacked.state()
    assert sum(now.get(key) == content for key, content in state.items()) == SHAPE.objects * 9 // 10
    assert len(now.keys() - state.keys()) == SHAPE.objects // 20
    assert {each.key for each in attacked.recorded.versions} == state.keys()


def test_rwms_map_restores_the_state(attacked: Attacked) -> None:
    run = restoring_copy.ours(attacked.s3, attacked.recorded, "target", RECORDS, attacked.environment, 0)
    assert attacked.holds("target") == attacked.state()
    assert (run.said["copied"], run.said["proven"], run.said["batches"]) == (SHAPE.objects, SHAPE.objects, 1)


def test_the_serial_copier_restores_the_state(attacked: Attacked) -> None:
    run = restoring_copy.serial(attacked.recorded, "target", attacked.environment)
    assert attacked.holds("target") == attacked.state()
    assert run.said["copied"] == SHAPE.objects


def test_what_is_there_already_is_no_run_to_be_measured(attacked: Attacked) -> None:
    restoring_copy.ours(attacked.s3, attacked.recorded, "target", RECORDS, attacked.environment, 0)
    with pytest.raises(CannotMeasure, match="were to be copied and proven"):
        restoring_copy.ours(attacked.s3, attacked.recorded, "target", RECORDS, attacked.environment, 1)


@needs_rclone
@pytest.mark.parametrize(
    "spoil",
    [
        lambda s3, key: s3.put_object(Bucket="target", Key=key, Body=b"e" * 155),
        lambda s3, key: s3.delete_object(Bucket="target", Key=key),
        lambda s3, key: s3.put_object(Bucket="target", Key=f"{key}.more", Body=b""),
    ],
)
def test_the_judge_notices_an_object_that_is_another_one_missing_or_too_many(attacked: Attacked, spoil: Any) -> None:
    for key, content in attacked.state().items():
        attacked.s3.put_object(Bucket="target", Key=key, Body=content)
    restoring_copy.check("target", attacked.files, attacked.environment)
    assert len((attacked.files / "config").read_bytes()) == 155
    spoil(attacked.s3, "config")
    with pytest.raises(CannotMeasure, match="differences found"):
        restoring_copy.check("target", attacked.files, attacked.environment)


def test_rwms_command_restores_the_state_to_a_directory(attacked: Attacked, tmp_path: Path) -> None:
    run = restoring_directory.downloaded("rwm", attacked.recorded, tmp_path / "restored", attacked.environment)
    restoring_directory.check(tmp_path / "restored", attacked.files)
    assert run.said == {"outcome": "restored", "proven": SHAPE.objects, "downloaded": SHAPE.objects}


@needs_rclone
@pytest.mark.parametrize("subject", ["rclone", "pit"])
def test_so_do_the_peers(attacked: Attacked, tmp_path: Path, subject: str) -> None:
    restoring_directory.downloaded(subject, attacked.recorded, tmp_path / "restored", attacked.environment)
    restoring_directory.check(tmp_path / "restored", attacked.files)


@needs_rclone
def test_rclone_copies_the_state_on_the_servers_side(attacked: Attacked) -> None:
    restoring_copy.rclone(attacked.recorded, "target", attacked.environment)
    assert attacked.holds("target") == attacked.state()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b"\xa9\n" * (file.stat().st_size // 2) + b"\n"),
        lambda file: file.unlink(),
        lambda file: file.with_name("more").write_bytes(b""),
        lambda file: (file.with_name("locks") / "one").write_bytes(b""),
    ],
)
def test_a_file_that_is_another_one_missing_or_too_many_is_no_run(tmp_path: Path, spoil: Any) -> None:
    files, folder = truth(tmp_path / "truth", SHAPE), tmp_path / "restored"
    shutil.copytree(files, folder)
    (folder / "locks").mkdir()
    restoring_directory.check(folder, files)
    (folder / "locks").mkdir()
    spoil(folder / "config")
    with pytest.raises(CannotMeasure, match="is not what was backed up"):
        restoring_directory.check(folder, files)


def test_everybody_comes_first_once() -> None:
    subjects = ("rwm", "rclone", "serial")
    assert [in_turn(subjects, sample)[0] for sample in range(3)] == list(subjects)
    assert all(sorted(in_turn(subjects, sample)) == sorted(subjects) for sample in range(6))


def test_the_peer_is_as_short_as_it_was_promised() -> None:
    peer = restoring_copy.ROOT / "bench" / "peers" / "serial_copy.py"
    assert len(peer.read_text().splitlines()) <= 30

"""A repository of the real restic is attacked with its host's key, put into quarantine, put back where it is, and used
again. Nothing that was ever written is gone."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.system import DENIED, Answer, System, refusal

pytestmark = pytest.mark.system

NAME, HOST, MAINTENANCE = "putback", "host-putback", "maintenance-putback"
Versions = set[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PutBack:
    """What became of it, from the first backup to the next one after."""

    good: dict[str, Any]
    """The state before the attack."""
    overwritten: str
    hidden: tuple[str, ...]
    planted: str
    damaged_check: int
    """How `restic check` ends after the attack."""
    too_early: Answer
    """The restore before the quarantine."""
    by_the_operator: Answer
    """`rwm quarantine` of somebody who may not."""
    quarantined: Answer
    denied: dict[str, str]
    """S3's word to each attempt of a host in quarantine."""
    still_read: bytes
    foreseen: Answer
    before: Versions
    restored: Answer
    after: Versions
    keys: set[str]
    check: int
    again: Answer
    versions_again: Versions
    freed: Answer
    next_backup: int
    next_state: dict[str, Any]
    snapshots: int


def _restic(system: System, *arguments: str, profile: str = HOST) -> int:
    return system.restic(profile, NAME, *arguments).returncode


def _back_up(system: System, source: Path, seed: int) -> None:
    source.write_bytes(random.Random(seed).randbytes(300_000))
    assert _restic(system, "backup", "--quiet", str(source)) == 0


@pytest.fixture(scope="module")
def done(system: System, tmp_path_factory: pytest.TempPathFactory) -> PutBack:
    source = tmp_path_factory.mktemp("putback") / "file"
    assert _restic(system, "init") == 0
    _back_up(system, source, 1)
    _back_up(system, source, 2)
    good = system.record(NAME)
    s3, bucket = system.client("s3", HOST), system.repository(NAME).bucket
    keys = system.keys(bucket)
    packs = sorted(key for key in keys if key.startswith("data/"))
    size = s3.head_object(Bucket=bucket, Key=packs[0])["ContentLength"]
    s3.put_object(Bucket=bucket, Key=packs[0], Body=b"\0" * size)
    hidden = (packs[1], *(key for key in keys if key.startswith(("index/", "snapshots/"))))
    for key in hidden:
        s3.delete_object(Bucket=bucket, Key=key)
    planted = "snapshots/" + "0" * 64
    s3.put_object(Bucket=bucket, Key=planted, Body=b"pay up")
    damaged_check = _restic(system, "check", "--no-lock")
    restore = ("restore", NAME, good["id"], "--in-place")
    too_early = system.rwm(*restore, "--yes")
    by_the_operator = system.rwm("quarantine", NAME, "--yes")
    quarantined = system.rwm("quarantine", NAME, "--yes", profile="admin")
    denied = {
        "put": refusal(s3.put_object, Bucket=bucket, Key=planted, Body=b"x"),
        "hide": refusal(s3.delete_object, Bucket=bucket, Key=packs[2] if len(packs) > 2 else packs[0]),
        "hide by maintenance": refusal(system.client("s3", MAINTENANCE).delete_object, Bucket=bucket, Key=packs[0]),
        "begin an upload": refusal(s3.create_multipart_upload, Bucket=bucket, Key=planted),
    }
    still_read = s3.get_object(Bucket=bucket, Key="config")["Body"].read()
    foreseen = system.rwm(*restore, "--dry-run")
    before = system.versions(NAME)
    restored = system.rwm(*restore, "--yes")
    after, now = system.versions(NAME), system.keys(bucket)
    check = _restic(system, "check", "--read-data", "--no-lock")
    again = system.rwm(*restore, "--yes")
    versions_again = system.versions(NAME)
    freed = system.rwm("unquarantine", NAME, profile="admin")
    source.write_bytes(random.Random(3).randbytes(300_000))
    next_backup = _restic(system, "backup", "--quiet", str(source))
    next_state = system.record(NAME)
    listed = system.restic(HOST, NAME, "snapshots", "--no-lock", "--json")
    return PutBack(
        good=good,
        overwritten=packs[0],
        hidden=hidden,
        planted=planted,
        damaged_check=damaged_check,
        too_early=too_early,
        by_the_operator=by_the_operator,
        quarantined=quarantined,
        denied=denied,
        still_read=still_read,
        foreseen=foreseen,
        before=before,
        restored=restored,
        after=after,
        keys=now,
        check=check,
        again=again,
        versions_again=versions_again,
        freed=freed,
        next_backup=next_backup,
        next_state=next_state,
        snapshots=listed.stdout.count('"short_id"'),
    )


def test_the_attack_ruined_it(done: PutBack) -> None:
    assert done.damaged_check != 0


def test_it_is_not_put_back_while_its_hosts_may_write(done: PutBack) -> None:
    assert done.too_early.exit_code == 2
    assert "user/rwm-putback-host" in done.too_early.message
    assert "user/rwm-putback-maintenance may write to putback" in done.too_early.message
    assert "`rwm quarantine putback` first" in done.too_early.message


def test_no_operator_puts_anybody_into_quarantine(done: PutBack) -> None:
    assert done.by_the_operator.exit_code == 2
    assert "Only an administrator" in done.by_the_operator.message


def test_in_quarantine_a_host_writes_and_hides_nothing_and_reads_on(done: PutBack) -> None:
    assert done.quarantined.exit_code == 0
    assert [each["quarantined"] for each in done.quarantined.document["principals"]] == [True, True]
    assert set(done.denied.values()) <= set(DENIED)
    assert done.still_read


def test_a_dry_run_foresees_exactly_what_is_written(done: PutBack) -> None:
    assert done.foreseen.exit_code == 0
    requests = done.foreseen.document["requests"]
    assert requests["CopyObject"] == done.restored.document["copied"] == 1 + len(done.hidden)
    assert requests["DeleteObject"] == done.restored.document["hidden"] == 1
    assert done.foreseen.document["there"] == done.good["objects"] - 1 - len(done.hidden)


def test_it_is_the_state_again_and_proven(done: PutBack) -> None:
    said = done.restored.document
    assert (done.restored.exit_code, said["outcome"]) == (0, "restored"), said
    assert (said["proven"], said["objects"]) == (done.good["objects"], done.good["objects"])
    assert said["content_root"] == said["found_content_root"] == done.good["content_root"]
    assert done.planted not in done.keys
    assert {done.overwritten, *done.hidden} <= done.keys


def test_no_version_is_gone(done: PutBack) -> None:
    assert done.before < done.after
    assert len(done.after) == len(done.before) + 1 + len(done.hidden)


def test_restic_reads_all_of_it_in_the_same_bucket(done: PutBack) -> None:
    assert done.check == 0


def test_it_names_the_state_that_undoes_it(system: System, done: PutBack) -> None:
    before = done.restored.document["before"]
    states = {each["id"]: each for each in system.states(NAME)}
    assert before in states
    assert states[before]["content_root"] != done.good["content_root"]


def test_run_again_it_writes_nothing(done: PutBack) -> None:
    assert (done.again.exit_code, done.again.document["copied"], done.again.document["hidden"]) == (0, 0, 0)
    assert done.versions_again == done.after


def test_it_is_listed_among_the_restores(system: System, done: PutBack) -> None:
    past = {each["execution"]: each for each in system.rwm("restores", NAME).document["restores"]}
    told = past[done.restored.document["execution"].rpartition(":")[2]]
    assert (told["outcome"], told["target"]["bucket"]) == ("restored", "rwm-system-putback")


def test_after_the_quarantine_backups_go_on(done: PutBack) -> None:
    assert done.freed.exit_code == 0
    assert (done.next_backup, done.snapshots) == (0, 3)
    assert done.next_state["objects"] > done.good["objects"]

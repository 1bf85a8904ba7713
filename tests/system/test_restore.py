"""`rwm restore` in the deployed system: what it refuses, what it rebuilds, and how it goes on after a failure."""

import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from local.embedded import ACCOUNT
from tests.system.conftest import Begun
from tests.system.scenes import WIDE, Alpha
from tests.system.system import Answer, System

pytestmark = pytest.mark.system

KEYS = "--with-revoked-keys"
"""Alpha's host hid its key files with all the rest."""


@pytest.fixture(scope="module")
def alpha(begun: Begun) -> Alpha:
    return begun.alpha.result()


def _contents(system: System, bucket: str, prefix: str = "") -> dict[str, bytes]:
    s3 = system.client("s3")
    return {
        key.removeprefix(prefix): s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in system.keys(bucket)
        if key.startswith(prefix)
    }


def _plans(system: System) -> set[str]:
    """Those of the repositories that are restored here: of others, scenes restore all the while."""
    ours = {key for key in system.keys(system.records) if key.startswith("restores/") and key.endswith("/plan.json")}
    s3 = system.client("s3")
    stored = {key: json.loads(s3.get_object(Bucket=system.records, Key=key)["Body"].read()) for key in ours}
    return {key for key, plan in stored.items() if plan["repository"] in ("alpha", "wide")}


# --- refused: exit code 2, and nothing written --------------------------------------------------------------


REFUSED: dict[str, tuple[Callable[[Alpha], str], str, str]] = {
    # what: which STATE, which bucket, and what the sentence says
    "a state that does not exist": (lambda _: "f" * 64, "rwm-restore-empty", "no state"),
    "an abbreviation too short to choose by": (lambda a: a.whole["id"][:3], "rwm-restore-empty", "nothing was"),
    "a time before every state": (lambda _: "2001-01-01T00:00:00Z", "rwm-restore-empty", "nothing was"),
    "a bucket that does not exist": (lambda a: a.whole["id"], "rwm-restore-nowhere", "rwm-restore-nowhere"),
    "the source bucket": (lambda a: a.whole["id"], "rwm-system-alpha", "protected bucket"),
    "another protected bucket": (lambda a: a.whole["id"], "rwm-system-shared", "protected bucket"),
    "an adopted bucket": (lambda a: a.whole["id"], "somebody-elses-bucket", "protected bucket"),
    "a bucket outside restore_targets": (lambda a: a.whole["id"], "of-another-team", "restore_targets"),
    "the records bucket": (lambda a: a.whole["id"], f"rwm-records-{ACCOUNT}-us-east-1", "records"),
    "a bucket that holds something else": (lambda a: a.whole["id"], "rwm-restore-occupied", "of-somebody-else"),
    "no bucket's name": (lambda a: a.whole["id"], "Not_A_Bucket", "bucket"),
}


@pytest.fixture(scope="module")
def targets(system: System) -> None:
    system.target("empty")
    system.client("s3").put_object(Bucket=system.target("occupied"), Key="of-somebody-else", Body=b"x")
    system.client("s3").create_bucket(Bucket="of-another-team")


@pytest.mark.usefixtures("targets")
@pytest.mark.parametrize("what", REFUSED)
def test_a_restore_is_refused_before_anything_is_written(system: System, alpha: Alpha, what: str) -> None:
    state, bucket, says = REFUSED[what]
    plans, versions = _plans(system), system.versions("alpha")
    answer = system.rwm("restore", "alpha", state(alpha), "--to-bucket", bucket, KEYS)
    assert answer.exit_code == 2, answer
    assert says in answer.message
    assert "nothing was" in answer.message
    assert _plans(system) == plans
    assert system.keys("rwm-restore-empty") == set()
    assert system.keys("rwm-restore-occupied") == {"of-somebody-else"}
    assert system.versions("alpha") == versions


@pytest.mark.usefixtures("targets")
def test_without_the_key_files_that_were_hidden_since_a_restore_is_refused(system: System, alpha: Alpha) -> None:
    answer = system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", "rwm-restore-empty")
    assert answer.exit_code == 2, answer
    assert "key files was removed since, and a repository without key files cannot be opened" in answer.message
    assert system.keys("rwm-restore-empty") == set()


@pytest.mark.usefixtures("targets")
def test_a_dry_run_says_what_a_restore_would_do_and_writes_nothing(system: System, alpha: Alpha) -> None:
    plans = _plans(system)
    answer = system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", "rwm-restore-empty", KEYS, "--dry-run")
    assert answer.exit_code == 0, answer
    told = answer.document
    assert (told["objects"], told["requests"]["CopyObject"]) == (len(alpha.contents), len(alpha.contents))
    assert sorted(told["revoked_first"]) == sorted(key for key in alpha.contents if key.startswith("keys/"))
    assert (_plans(system), system.keys("rwm-restore-empty")) == (plans, set())
    assert system.rwm("restores", "alpha").document["under_way"] == []


@pytest.mark.usefixtures("targets")
def test_a_state_of_another_repository_is_refused(system: System, alpha: Alpha, wide: dict[str, Any]) -> None:
    answer = system.rwm("restore", "wide", alpha.whole["id"], "--to-bucket", "rwm-restore-empty")
    assert answer.exit_code == 2, answer
    assert system.keys("rwm-restore-empty") == set()


def test_the_workflow_itself_refuses_what_the_command_would_not_have_asked_for(system: System, alpha: Alpha) -> None:
    workflows = system.client("stepfunctions", "operator")
    started = workflows.start_execution(
        stateMachineArn=f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:rwm-restore",
        input=json.dumps({"repository": "wide", "state": alpha.whole["id"], "target": {"bucket": "rwm-restore-empty"}}),
    )
    ended = system.eventually("an end of the workflow", lambda: _ended(workflows, started["executionArn"]))
    assert (ended["status"], ended["error"]) == ("FAILED", "RestoreRefused")
    assert "nothing was written" in ended["cause"]


def _ended(workflows: Any, execution: str) -> dict[str, Any] | None:
    described: dict[str, Any] = workflows.describe_execution(executionArn=execution)
    return None if described["status"] == "RUNNING" else described


# --- restored ---------------------------------------------------------------------------------------------


def test_a_repository_whose_objects_were_all_hidden_is_restored(system: System, alpha: Alpha) -> None:
    assert alpha.hidden["hidden"] == len(alpha.contents)
    assert alpha.hidden["objects"] == 0
    target = system.target("alpha")
    answer = system.rwm("restore", "alpha", alpha.whole["id"][:12], "--to-bucket", target, KEYS)
    assert (answer.exit_code, answer.document["outcome"]) == (0, "restored")
    assert answer.document["proven"] == answer.document["copied"] == len(alpha.contents)
    assert _contents(system, target) == alpha.contents


def test_a_restore_beneath_a_prefix_leaves_its_surroundings_alone(system: System, alpha: Alpha) -> None:
    target = system.target("prefixed")
    system.client("s3").put_object(Bucket=target, Key="old/of-somebody-else", Body=b"x")
    place = ("--to-bucket", target, "--to-prefix", "old/alpha")
    answer = system.rwm("restore", "alpha", alpha.whole["cut_time"], *place, KEYS)
    assert (answer.exit_code, answer.document["state"]) == (0, alpha.whole["id"])
    assert _contents(system, target, "old/") == {
        "of-somebody-else": b"x",
        **{f"alpha/{key}": body for key, body in alpha.contents.items()},
    }


def test_an_empty_state_is_restored_to_nothing(system: System, alpha: Alpha) -> None:
    target = system.target("nothing")
    answer = system.rwm("restore", "alpha", "latest", "--to-bucket", target)
    assert (answer.exit_code, answer.document["state"]) == (0, alpha.hidden["id"])
    assert system.keys(target) == set()


def test_a_restore_again_copies_only_what_is_missing(system: System, alpha: Alpha) -> None:
    s3, target = system.client("s3"), system.target("resumed")
    system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS)
    lost = sorted(alpha.contents)[2:5]
    for key in lost:
        s3.delete_object(Bucket=target, Key=key)
    kept = {key: s3.head_object(Bucket=target, Key=key)["LastModified"] for key in alpha.contents if key not in lost}
    time.sleep(1.1)
    answer = system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS)
    assert (answer.exit_code, answer.document["copied"]) == (0, len(lost))
    assert answer.document["skipped"] == len(kept)
    assert answer.document["proven"] == len(alpha.contents)
    assert {key: s3.head_object(Bucket=target, Key=key)["LastModified"] for key in kept} == kept
    assert _contents(system, target) == alpha.contents


def test_a_target_with_other_bytes_under_a_key_of_the_state_is_refused_and_named(system: System, alpha: Alpha) -> None:
    s3, target = system.client("s3"), system.target("changed")
    system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS)
    for key in ("config", next(key for key in alpha.contents if key.startswith("data/"))):
        s3.put_object(Bucket=target, Key=key, Body=bytes(len(alpha.contents[key])))
        answer = system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS)
        assert answer.exit_code == 2, answer
        assert key in answer.message
        # Somebody has looked at it, and takes it away.
        s3.delete_object(Bucket=target, Key=key)
        again = system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS)
        assert (again.exit_code, again.document["copied"]) == (0, 1)
    assert _contents(system, target) == alpha.contents


def test_a_permission_that_copies_lack_is_named_before_the_first_of_them(system: System, alpha: Alpha) -> None:
    target = system.target("denied")
    for action, role, resource in (
        ("s3:PutObject", "rwm-copy-batch", f"arn:aws:s3:::{target}/*"),
        ("s3:GetObjectVersion", "rwm-copy-batch", f"arn:aws:s3:::{system.repository('alpha').bucket}/*"),
        ("s3:ListBucket", "rwm-plan-restore", f"arn:aws:s3:::{target}"),
    ):
        with system.denying(role, [action], resource):
            answer = system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS)
        assert answer.exit_code == 2, answer
        assert f"S3 denies {action} on {resource.removeprefix('arn:aws:s3:::').removesuffix('/*')}" in answer.message
        assert system.keys(target) == set()


def test_copies_are_locked_for_as_long_as_was_asked_and_the_lock_is_no_longer_and_no_harder(
    system: System, alpha: Alpha
) -> None:
    s3, target = system.client("s3"), "rwm-restore-locked"
    s3.create_bucket(Bucket=target, ObjectLockEnabledForBucket=True)
    asked = ("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS, "--lock")
    first = system.rwm(*asked, "3")
    assert (first.exit_code, first.document["outcome"]) == (0, "restored"), first
    again = system.rwm(*asked, "30")
    assert (again.exit_code, again.document["copied"]) == (0, 0), again
    for key in alpha.contents:
        held = s3.get_object_retention(Bucket=target, Key=key)["Retention"]
        assert held["Mode"] == "GOVERNANCE"
        assert (held["RetainUntilDate"] - datetime.now(UTC)).days == 29


# --- not restored, and said so ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide(begun: Begun) -> dict[str, Any]:
    return begun.wide.result()


def _restore_wide(system: System, wide: dict[str, Any], target: str) -> Answer:
    return system.rwm("restore", "wide", wide["id"], "--to-bucket", target)


def test_a_batch_that_fails_is_named_and_made_good_by_running_again(system: System, wide: dict[str, Any]) -> None:
    target = system.target("wide")
    second = f"arn:aws:s3:::{system.records}/restores/*/batches/00001.jsonl"
    with system.denying("rwm-copy-batch", ["s3:GetObject", "s3:GetObjectVersion"], second):
        answer = _restore_wide(system, wide, target)
    assert (answer.exit_code, answer.document["outcome"]) == (1, "incomplete"), answer
    assert (answer.document["proven"], answer.document["failed"]) == (500, WIDE - 500)
    missing = {trouble["key"] for trouble in answer.document["troubles"]}
    assert missing == {key for key, _ in system.versions("wide")} - system.keys(target)
    again = _restore_wide(system, wide, target)
    assert (again.exit_code, again.document["outcome"]) == (0, "restored"), again
    assert (again.document["copied"], again.document["skipped"]) == (WIDE - 500, 500)


def test_a_restore_that_was_stopped_is_finished_by_running_it_again(system: System, wide: dict[str, Any]) -> None:
    target = system.target("stopped")
    begun = system.rwm("restore", "wide", wide["id"], "--to-bucket", target, "--no-wait")
    assert (begun.exit_code, begun.document["outcome"]) == (3, "running")
    system.eventually("the first copies", lambda: system.keys(target))
    execution = begun.document["execution"]
    system.client("stepfunctions").stop_execution(executionArn=execution)
    # No last step ran; the next prune would take this away.
    left = {"execution": execution.rpartition(":")[2], "state": wide["id"], "status": "ended"}
    (announced,) = system.rwm("restores", "wide").document["under_way"]
    assert {name: announced[name] for name in left} == left
    again = system.rwm("restore", "--resume", left["execution"])
    past = {each["execution"]: each for each in system.rwm("restores", "wide").document["restores"]}
    told = past[again.document["execution"].rpartition(":")[2]]
    assert (told["outcome"], told["verified_at"] >= announced["since"]) == ("restored", True)
    assert (again.exit_code, again.document["outcome"]) == (0, "restored"), again
    assert again.document["proven"] == WIDE


def test_a_version_that_an_administrator_deleted_is_named_as_missing(system: System, alpha: Alpha) -> None:
    key = next(key for key in sorted(alpha.contents) if key.startswith("data/"))
    (version,) = [version for each, version in system.versions("alpha") if each == key]
    system.user("break-glass", "s3:*")("s3").delete_object(
        Bucket=system.repository("alpha").bucket, Key=key, VersionId=version, BypassGovernanceRetention=True
    )
    target = system.target("missing")
    answer = system.rwm("restore", "alpha", alpha.whole["id"], "--to-bucket", target, KEYS)
    assert (answer.exit_code, answer.document["outcome"]) == (1, "incomplete")
    assert (answer.document["missing"], answer.document["proven"]) == (1, len(alpha.contents) - 1)
    (trouble,) = answer.document["troubles"]
    assert (trouble["key"], trouble["kind"]) == (key, "missing")
    rest = {each: body for each, body in alpha.contents.items() if each != key}
    assert _contents(system, target) == rest


def test_a_pack_that_was_damaged_before_it_was_recorded_is_restored_exactly_and_named(system: System) -> None:
    name = hashlib.sha256(b"what was to be written").hexdigest()
    system.put("silent", {f"data/{name[:2]}/{name}": b"something else"})
    state = system.record("silent")
    target = system.target("damaged")
    answer = system.rwm("restore", "silent", state["id"], "--to-bucket", target)
    assert (answer.exit_code, answer.document["outcome"]) == (4, "restored-damaged")
    assert [trouble["key"] for trouble in answer.document["troubles"]] == [f"data/{name[:2]}/{name}"]
    assert _contents(system, target)[f"data/{name[:2]}/{name}"] == b"something else"

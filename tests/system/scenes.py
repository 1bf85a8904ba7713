"""What takes long, each in a thread of its own, so that the tests of it only look at how it ended."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.embedded import ACCOUNT, REGION
from tests.system.system import Answer, System, done, repository_of

_SCHEDULE_FIELDS = ("Name", "GroupName", "FlexibleTimeWindow", "Target", "State")


@dataclass(frozen=True, slots=True)
class Burst:
    """Twenty events at once, and one more while no recording was allowed."""

    first: dict[str, Any]
    """The state after the twenty."""
    sent_too_early: datetime
    later: list[dict[str, Any]]
    """All states when every event was answered."""


def burst(system: System) -> Burst:
    """Flood `noisy`, which records every 20 s at most; then back up once more, too early."""
    system.put("noisy", {"config": b"of noisy"})
    # Both calls at once, since SQS takes ten messages at most: a second later would be another backup.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda ten: system.send("noisy", *ten), [[done()] * 10] * 2))
    first = system.eventually("the first state of noisy", lambda: system.states("noisy"))[0]
    system.put("noisy", {"data/early": b"written while no recording was allowed"})
    sent = datetime.now(UTC)
    system.send("noisy", done())
    system.eventually("all events of noisy answered", lambda: not system.waiting("noisy"), 120)
    return Burst(first, sent, system.states("noisy"))


@dataclass(frozen=True, slots=True)
class Scheduled:
    schedule: dict[str, Any]
    """Of `silent`'s recordings."""
    states: list[dict[str, Any]]
    check_schedule: dict[str, Any]
    """Of `gamma`'s checks."""
    check: dict[str, Any]
    """The execution that it started, which has ended."""


def run_the_schedules(system: System) -> Scheduled:
    """Let copies of the schedules of `silent` and of `gamma`'s checks be due now: target, role and input are those
    that were deployed.

    Copies, because ministack never fires an `at(…)` of a schedule whose `rate(…)` its ticker has seen.
    """
    system.put("silent", {"config": b"of silent"})
    scheduler, group = system.client("scheduler"), system.names.schedule_group
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    schedules = {name: scheduler.get_schedule(Name=name, GroupName=group) for name in ("silent", "_check-gamma")}
    for name, schedule in schedules.items():
        same = {field: schedule[field] for field in _SCHEDULE_FIELDS}
        scheduler.create_schedule(**{**same, "Name": f"{name}-now"}, ScheduleExpression=f"at({now})")
    states = system.eventually("a state of silent", lambda: system.states("silent"))
    check = system.eventually("an end of gamma's scheduled check", lambda: _scheduled_check(system))
    for name in schedules:
        scheduler.delete_schedule(Name=f"{name}-now", GroupName=group)
    return Scheduled(schedules["silent"], states, schedules["_check-gamma"], check)


def _scheduled_check(system: System) -> dict[str, Any] | None:
    """The check that a schedule started, if there is one that has ended."""
    workflows = system.client("stepfunctions")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{system.names.check_workflow}"
    for execution in workflows.list_executions(stateMachineArn=machine)["executions"]:
        described: dict[str, Any] = workflows.describe_execution(executionArn=execution["executionArn"])
        if json.loads(described["input"])["reason"] == "schedule" and described["status"] != "RUNNING":
            return described
    return None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What became of `restic forget` with the key of a host that has the default rights."""

    exit_code: int
    seconds: float
    before: set[tuple[str, str]]
    snapshots: list[str]
    """What restic lists afterwards."""
    snapshot: str


def forget_as_the_host(system: System) -> Forgotten:
    """restic 0.14 retries what is denied for most of a minute."""
    for arguments in (["init"], ["backup", "--quiet", __file__]):
        did = system.restic("host-gamma", "gamma", *arguments)
        assert did.returncode == 0, did.stderr
    snapshot = _snapshots(system, "gamma")[0]
    before = system.versions("gamma")
    began = time.monotonic()
    forgot = system.restic("host-gamma", "gamma", "forget", snapshot)
    return Forgotten(forgot.returncode, time.monotonic() - began, before, _snapshots(system, "gamma"), snapshot)


@dataclass(frozen=True, slots=True)
class Alpha:
    """Alpha's two states: all of it, and after its host hid every object."""

    contents: dict[str, bytes]
    whole: dict[str, Any]
    hidden: dict[str, Any]


def hide_everything(system: System) -> Alpha:
    """Alpha's host may hide, and does."""
    contents = repository_of(packs=12)
    system.put("alpha", contents)
    whole = system.record("alpha")
    s3, bucket = system.client("s3", "host-alpha"), system.repository("alpha").bucket
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in contents]})
    assert system.keys(bucket) == set()
    return Alpha(contents, whole, system.record("alpha"))


WIDE = 505
"""Objects of `wide`: a batch of a restore holds 500."""


def fill_two_batches(system: System) -> dict[str, Any]:
    """The state of `wide`."""
    contents = repository_of(packs=WIDE - 6, seed="wide")
    system.put("wide", contents)
    return system.record("wide")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What `rwm record` and the tables say of a bucket without versioning, and after each remedy."""

    unversioned: Answer
    states: list[dict[str, Any]]
    finding: dict[str, Any]
    null_versions: Answer
    """Versioning is enabled now; what was there before could still be replaced."""
    state: dict[str, Any]


def adopt(system: System) -> Adopted:
    """Record a bucket of somebody else's, who does what each finding says."""
    s3, bucket = system.client("s3"), system.repository("adopted").bucket
    system.put("adopted", {"config": b"written before there was versioning"})
    unversioned, states = system.ask_for_a_state("adopted"), system.states("adopted")
    (finding,) = system.items(system.names.operations, "adopted")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    null_versions = system.ask_for_a_state("adopted")
    onto_itself = {"Bucket": bucket, "Key": "config", "CopySource": {"Bucket": bucket, "Key": "config"}}
    s3.copy_object(**onto_itself, MetadataDirective="REPLACE")
    return Adopted(unversioned, states, finding, null_versions, system.record("adopted"))


@dataclass(frozen=True, slots=True)
class Backups:
    """Beta after its host did its work, and after maintenance forgot all but the newest snapshot."""

    snapshots: list[str]
    before: set[tuple[str, str]]
    left: list[str]
    after: set[tuple[str, str]]
    hidden: int
    """Keys of the newest state that a marker hides."""


def back_up_and_prune(system: System, source: Path) -> Backups:
    """Beta's host has the default rights; somebody else prunes, with a key of its own."""
    for number, arguments in enumerate((["init"], ["backup", str(source)], ["backup", str(source)], ["check"])):
        source.write_bytes(bytes([number]) * 100_000)
        did = system.restic("host-beta", "beta", *arguments)
        assert did.returncode == 0, did.stderr
    snapshots, before = _snapshots(system, "beta"), system.versions("beta")
    forgot = system.restic("maintenance-beta", "beta", "forget", "--keep-last", "1", "--prune")
    assert forgot.returncode == 0, forgot.stderr
    checked = system.restic("host-beta", "beta", "check")
    assert checked.returncode == 0, checked.stderr
    state = system.record("beta")
    return Backups(snapshots, before, _snapshots(system, "beta"), system.versions("beta"), state["hidden"])


def _snapshots(system: System, name: str) -> list[str]:
    listed = system.restic(f"host-{name}", name, "snapshots", "--no-lock", "--json")
    assert listed.returncode == 0, listed.stderr
    return [str(snapshot["id"]) for snapshot in json.loads(listed.stdout)]

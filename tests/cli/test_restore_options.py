"""What is typed after `rwm restore`: the three kinds, what does not fit together, resuming, and dry runs."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.domain.restore.forecast import Amount, ClassAmount, Forecast, Unproven
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey
from tests.builders import named, pack, version
from tests.cli.deployed import ACCOUNT, REGION, Deployed, denied, document, sentence

BUCKET = ("--to-bucket", "rwm-restore-1")
RUNNING, SUCCEEDED = {"status": "RUNNING"}, {"status": "SUCCEEDED"}
KEY = named("keys", "old")


@pytest.fixture
def state(deployed: Deployed) -> StateHeader:
    return deployed.record("alpha", [version("config"), version(pack("a")), version(named("snapshots", "s"))])


# --- one place, and what goes with it ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "where to? nothing was restored; name one of --to-bucket, --to-directory and --in-place"),
        ([*BUCKET, "--in-place"], "a restore goes to one place; nothing was restored"),
        ([*BUCKET, "--to-directory", "here"], "a restore goes to one place; nothing was restored"),
        (["--in-place", "--to-directory", "here"], "a restore goes to one place; nothing was restored"),
        (["--in-place", "--to-prefix", "p"], "--to-prefix is for --to-bucket; nothing was restored"),
        (["--in-place", "--lock", "30"], "--lock is for --to-bucket"),
        ([*BUCKET, "--limit-rate", "1M"], "--limit-rate is for --to-directory"),
        ([*BUCKET, "--insist"], "--insist is for --in-place"),
        ([*BUCKET, "--thaw", "soon"], "--thaw soon is none of S3's tiers; nothing was restored; there are Expedited"),
    ],
)
def test_what_does_not_fit_together_starts_nothing(
    deployed: Deployed, state: StateHeader, options: list[str], said: str
) -> None:
    result = deployed.rwm("restore", "alpha", "latest", *options)
    assert result.exit_code == 2
    assert said in sentence(result)
    assert "nothing was restored" in sentence(result)
    assert deployed.workflows.started == []


@pytest.mark.parametrize("arguments", [[], ["alpha"]])
def test_without_a_repository_or_a_state_nothing_is_started(deployed: Deployed, arguments: list[str]) -> None:
    result = deployed.rwm("restore", *arguments, *BUCKET)
    assert result.exit_code == 2
    assert "which repository, and which state of it? nothing was restored" in sentence(result)


@pytest.mark.parametrize("days", ["0", "3651", "soon"])
def test_a_lock_of_no_possible_length_is_wrong_use(deployed: Deployed, state: StateHeader, days: str) -> None:
    assert deployed.rwm("restore", "alpha", "latest", *BUCKET, "--lock", days).exit_code == 2
    assert deployed.workflows.started == []


def test_the_workflow_is_told_every_wish(deployed: Deployed, state: StateHeader) -> None:
    deployed.rwm(
        "restore", "alpha", "latest", *BUCKET, "--lock", "30", "--thaw", "bulk", "--with-revoked-keys", "--no-wait"
    )
    assert deployed.workflows.started[0]["input"] == {
        "repository": "alpha",
        "state": state.id,
        "target": {"bucket": "rwm-restore-1"},
        "lock_days": 30,
        "thaw": "Bulk",
        "with_revoked_keys": True,
    }


# --- the same again ---------------------------------------------------------------------------------

BEFORE = "alpha-0123456789ab-01234567"


def earlier(deployed: Deployed, state: StateHeader, *, status: str = "FAILED", **more: Any) -> dict[str, Any]:
    """A restore of before; what it was asked."""
    asked = {"repository": "alpha", "state": state.id, "target": {"bucket": "rwm-restore-1", "prefix": "p"}, **more}
    deployed.workflows.earlier = {BEFORE: {"status": status, "input": json.dumps(asked)}}
    return asked


def test_resuming_asks_for_exactly_the_same_under_a_new_name(deployed: Deployed, state: StateHeader) -> None:
    asked = earlier(deployed, state, lock_days=30, with_revoked_keys=True)
    deployed.record("alpha", [version("config")], cut=60)
    result = deployed.rwm("restore", "--resume", BEFORE, "--no-wait", "--json")
    assert (result.exit_code, document(result)["state"]) == (3, state.id)
    (started,) = deployed.workflows.started
    assert started["input"] == asked
    assert started["name"] != BEFORE
    assert started["name"].startswith(f"alpha-{state.id[:12]}-")


def test_resuming_may_name_the_repository_and_not_another(deployed: Deployed, state: StateHeader) -> None:
    earlier(deployed, state)
    assert deployed.rwm("restore", "alpha", "--resume", BEFORE, "--no-wait").exit_code == 3
    result = deployed.rwm("restore", "beta", "--resume", BEFORE, "--no-wait")
    assert result.exit_code == 2
    assert f"{BEFORE} restored alpha, not beta; nothing was restored" in sentence(result)
    assert len(deployed.workflows.started) == 1


@pytest.mark.parametrize(
    "options",
    [
        ["alpha", "latest"],
        [*BUCKET],
        ["--to-prefix", "p"],
        ["--lock", "30"],
        ["--thaw", "Bulk"],
        ["--with-revoked-keys"],
        ["--dry-run"],
        ["--in-place"],
        ["--insist"],
    ],
)
def test_nothing_is_added_to_what_is_resumed(deployed: Deployed, state: StateHeader, options: list[str]) -> None:
    earlier(deployed, state)
    result = deployed.rwm("restore", *options, "--resume", BEFORE)
    assert result.exit_code == 2
    assert "--resume asks for the same again, and takes nothing beside it" in sentence(result)
    assert deployed.workflows.started == []


@pytest.mark.parametrize("name", [BEFORE, "../alpha", "a b", ""])
def test_a_restore_that_nobody_knows_is_not_resumed(deployed: Deployed, state: StateHeader, name: str) -> None:
    deployed.workflows.earlier = {BEFORE: denied("DescribeExecution", "ExecutionDoesNotExist")}
    result = deployed.rwm("restore", "alpha", "--resume", name)
    assert result.exit_code == 2
    assert f"there was no restore {name!r} in the last 90 days" in sentence(result)
    assert "`rwm restores alpha` lists those" in sentence(result)
    assert deployed.workflows.started == []


def test_another_error_of_aws_is_not_taken_for_an_unknown_restore(deployed: Deployed, state: StateHeader) -> None:
    refusal: ClientError = denied("DescribeExecution")
    deployed.workflows.earlier = {BEFORE: refusal}
    result = deployed.rwm("restore", "--resume", BEFORE)
    assert "there was no restore" not in sentence(result)
    assert "DescribeExecution" in sentence(result)
    assert deployed.workflows.started == []


def test_a_restore_that_is_going_on_is_not_resumed(deployed: Deployed, state: StateHeader) -> None:
    earlier(deployed, state, status="RUNNING")
    result = deployed.rwm("restore", "--resume", BEFORE)
    assert result.exit_code == 2
    assert f"{BEFORE} is still going on; nothing was started" in sentence(result)
    assert f"execution:rwm-restore:{BEFORE}`" in sentence(result)


def test_a_drill_is_not_resumed(deployed: Deployed, state: StateHeader) -> None:
    earlier(deployed, state, drill=True)
    result = deployed.rwm("restore", "--resume", BEFORE)
    assert (result.exit_code, deployed.workflows.started) == (2, [])
    assert f"{BEFORE} was a drill, and is not resumed; nothing was restored" in sentence(result)


def test_what_another_version_asked_for_is_not_resumed(deployed: Deployed, state: StateHeader) -> None:
    earlier(deployed, state, something_new=True)
    result = deployed.rwm("restore", "--resume", BEFORE)
    assert (result.exit_code, deployed.workflows.started) == (2, [])
    assert "is nothing this version of RWM can ask for; nothing was restored" in sentence(result)


def test_only_the_person_knows_the_directory_of_a_restore_to_one(deployed: Deployed, state: StateHeader) -> None:
    earlier(deployed, state, to="directory", target=None)
    result = deployed.rwm("restore", "--resume", BEFORE)
    assert result.exit_code == 2
    assert "restored to a directory, which only you know; nothing was restored; name it again" in sentence(result)
    earlier(deployed, state)
    result = deployed.rwm("restore", "--resume", BEFORE, "--to-directory", "here")
    assert result.exit_code == 2
    assert f"{BEFORE} did not restore to a directory; nothing was restored" in sentence(result)
    assert deployed.workflows.started == []


# --- dry runs ---------------------------------------------------------------------------------------


def foreseen(header: StateHeader, **changes: Any) -> Forecast:
    values: dict[str, Any] = {
        "repository": header.repository,
        "state": header.id,
        "cut_time": header.cut_time,
        "to": "bucket",
        "where": "rwm-restore-1/",
        "objects": 2,
        "bytes": 2048,
        "there": 1,
        "classes": (ClassAmount(storage_class="DEEP_ARCHIVE", objects=2, bytes=2048),),
        "requests": {"CopyObject": 2},
        "unproven": 3,
        "unproven_first": (Unproven(key=ObjectKey("large\x1b[2J"), why="too large"),),
        "revoked": 2,
        "revoked_first": (KEY,),
        "archived": Amount(objects=2, bytes=2048),
        "thaw": "Bulk",
    }
    return Forecast.model_validate({**values, **changes})


def dry_run(deployed: Deployed, forecast: Forecast | None, *more: str) -> Any:
    answer = {"complete": True, "forecast": forecast.model_dump(mode="json")} if forecast else {"complete": True}
    deployed.workflows.looks = [RUNNING, SUCCEEDED]
    deployed.workflows.on_end = lambda _: answer
    return deployed.rwm("restore", "alpha", "latest", *BUCKET, "--dry-run", *more)


def test_a_dry_run_asks_the_workflow_and_shows_all_that_would_be_done(deployed: Deployed, state: StateHeader) -> None:
    result = dry_run(deployed, foreseen(state))
    assert (result.exit_code, deployed.workflows.started[0]["input"]["dry_run"]) == (0, True)
    for words in (
        f"would restore state {state.id[:12]} of alpha",
        "2 objects, 2.000 KiB) to rwm-restore-1/; nothing was written",
        "1 objects are there already",
        "2 key files were removed since that state, and are left out; --with-revoked-keys restores them, too",
        f"  {KEY}",
        "  and 1 more",
        "2 objects (2.000 KiB) lie in an archive class, and are thawed first: 5 to 48 hours at the tier Bulk",
        "3 objects cannot be proven, and the restore will say so",
        "  large\\x1b[2J: too large",
        "DEEP_ARCHIVE",
        "CopyObject",
    ):
        assert words in result.stdout


def test_a_dry_run_says_that_revoked_key_files_come_back_and_that_a_sample_is_one(
    deployed: Deployed, state: StateHeader
) -> None:
    shown = dry_run(deployed, foreseen(state, with_revoked_keys=True, sample=5)).stdout
    assert "and come back, as --with-revoked-keys says: whoever knows their passwords can read the result" in shown
    assert "a sample: 5 packs are left out" in shown


def test_a_forecast_is_printed_as_one_document(deployed: Deployed, state: StateHeader) -> None:
    assert Forecast.model_validate(document(dry_run(deployed, foreseen(state), "--json"))) == foreseen(state)


def test_a_dry_run_of_a_refused_restore_is_refused(deployed: Deployed, state: StateHeader) -> None:
    deployed.workflows.looks = [
        {"status": "FAILED", "error": "RestoreRefused", "cause": "it is full; nothing was written"}
    ]
    result = deployed.rwm("restore", "alpha", "latest", *BUCKET, "--dry-run")
    assert (result.exit_code, sentence(result)) == (2, "refused: it is full; nothing was written")


def test_a_dry_run_that_breaks_is_a_failure(deployed: Deployed, state: StateHeader) -> None:
    deployed.workflows.looks = [{"status": "TIMED_OUT"}]
    result = deployed.rwm("restore", "alpha", "latest", *BUCKET, "--dry-run")
    assert result.exit_code == 1
    assert "the dry run failed: TIMED_OUT; nothing was restored" in sentence(result)


def test_no_forecast_and_one_of_another_state_are_failures(deployed: Deployed, state: StateHeader) -> None:
    result = dry_run(deployed, None)
    assert result.exit_code == 1
    assert "the workflow's answer is no forecast" in sentence(result)
    result = dry_run(deployed, foreseen(state, state="0" * 64))
    assert result.exit_code == 1
    assert "the forecast is of another state than was asked for" in sentence(result)


def test_a_dry_run_starts_the_restore_s_own_workflow(deployed: Deployed, state: StateHeader) -> None:
    dry_run(deployed, foreseen(state))
    machine = deployed.workflows.started[0]["stateMachineArn"]
    assert machine == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-restore"

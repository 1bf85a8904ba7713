"""`rwm restore --in-place`: what a person sees and is asked before it, and how each end is told."""

from typing import Any

import pytest

from functions.domain.restore.forecast import ClassAmount, Forecast
from functions.domain.restore.proof import Kind, Trouble
from functions.domain.restore.request import Location
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, StateId
from tests.builders import named, pack, version
from tests.cli.deployed import Deployed, document, sentence

HERE = Location(bucket="alpha-bucket")
BEFORE = StateId("b" * 64)
RUNNING, SUCCEEDED = {"status": "RUNNING"}, {"status": "SUCCEEDED"}
TOO_EARLY = "arn:aws:iam::1:user/rwm-alpha-host may write to alpha; nothing was written; run `rwm quarantine alpha`"


@pytest.fixture
def state(deployed: Deployed) -> StateHeader:
    return deployed.record("alpha", [version("config"), version(pack("a")), version(named("snapshots", "s"))])


def restore(deployed: Deployed, *more: str, typed: str | None = None) -> Any:
    return deployed.rwm("restore", "alpha", "latest", "--in-place", *more, typed=typed)


def foreseen(header: StateHeader) -> dict[str, Any]:
    forecast = Forecast(
        repository=header.repository,
        state=header.id,
        cut_time=header.cut_time,
        to="in-place",
        where="alpha-bucket/",
        objects=3,
        bytes=300,
        there=1,
        classes=(ClassAmount(storage_class="STANDARD", objects=2, bytes=200),),
        requests={"HeadObject": 3, "CopyObject": 2, "DeleteObject": 1},
    )
    return {"complete": True, "forecast": forecast.model_dump(mode="json")}


def runs(deployed: Deployed, header: StateHeader, **changes: Any) -> None:
    """Every execution of the workflow ends well: a dry run with its forecast, any other with a report."""
    workflows = deployed.workflows

    def on_start(_name: str) -> None:
        dry_run = workflows.started[-1]["input"].get("dry_run", False)
        workflows.looks = [RUNNING, SUCCEEDED]

        def report(name: str) -> None:
            values = {"target": HERE, "copied": 2, "before": BEFORE, "hidden": 1, "skipped": 1, **changes}
            deployed.report(header, values.pop("target"), name, **values)

        workflows.on_end = (lambda _: foreseen(header)) if dry_run else report

    workflows.on_start = on_start


def asked(deployed: Deployed) -> list[Any]:
    return [started["input"] for started in deployed.workflows.started]


def test_a_person_sees_what_it_comes_to_and_is_asked_before_it_begins(deployed: Deployed, state: StateHeader) -> None:
    runs(deployed, state)
    result = restore(deployed, typed="y\n")
    assert result.exit_code == 0
    assert "would restore state" in result.stderr
    assert "Up to 2 objects are copied over what is current, and 1 are hidden. No version is deleted" in sentence(
        result
    )
    same = {"repository": "alpha", "state": state.id, "to": "in-place"}
    assert asked(deployed) == [{**same, "dry_run": True}, same]


def test_who_says_no_has_only_foreseen_it(deployed: Deployed, state: StateHeader) -> None:
    runs(deployed, state)
    result = restore(deployed, typed="n\n")
    assert result.exit_code == 2
    assert "nothing was restored" in sentence(result)
    assert [each["dry_run"] for each in asked(deployed)] == [True]


def test_with_nobody_to_ask_nothing_is_started_in_vain(deployed: Deployed, state: StateHeader) -> None:
    result = restore(deployed, "--json")
    assert result.exit_code == 2
    assert "--json cannot ask; nothing was restored; pass --yes" in document(result)["error"]["message"]
    assert asked(deployed) == []


def test_who_is_sure_is_not_asked_and_insisting_is_passed_on(deployed: Deployed, state: StateHeader) -> None:
    runs(deployed, state)
    assert restore(deployed, "--yes", "--insist").exit_code == 0
    assert asked(deployed) == [{"repository": "alpha", "state": state.id, "to": "in-place", "insist": True}]


def test_where_hosts_may_write_it_is_refused_before_anybody_is_asked(deployed: Deployed, state: StateHeader) -> None:
    cause = f'{{"errorMessage": "{TOO_EARLY}"}}'
    deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreRefused", "cause": cause}]
    result = restore(deployed, typed="y\n")
    assert result.exit_code == 2
    assert "run `rwm quarantine alpha`" in sentence(result)
    assert len(asked(deployed)) == 1


def test_the_end_names_the_way_back_and_what_comes_next(deployed: Deployed, state: StateHeader) -> None:
    runs(deployed, state)
    said = restore(deployed, "--yes").stdout
    assert f"alpha is state {state.id[:12]} again: all 3 objects are proven" in said
    assert "2 put back (300 B), 1 hidden, 1 were right already" in said
    assert f"    rwm restore alpha {BEFORE} --in-place\n" in said
    assert "    restic check --read-data --no-lock\n" in said
    assert "    rwm unquarantine alpha\n" in said


def test_the_document_names_the_state_that_undoes_it(deployed: Deployed, state: StateHeader) -> None:
    runs(deployed, state)
    found = document(restore(deployed, "--yes", "--json"))
    assert (found["outcome"], found["before"], found["hidden"]) == ("restored", BEFORE, 1)
    assert found["target"] == {"bucket": "alpha-bucket", "prefix": ""}


def test_what_was_written_meanwhile_is_named_and_the_way_back_too(deployed: Deployed, state: StateHeader) -> None:
    meanwhile = Trouble(key=ObjectKey("config"), kind=Kind.FAILED, why="changed meanwhile: nothing was written")
    runs(deployed, state, outcome="incomplete", troubles=(meanwhile,))
    deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
    result = restore(deployed, "--yes")
    assert result.exit_code == 1
    assert "failed: config: changed meanwhile" in result.stdout
    assert "Run the same command again: it writes only what is not right" in result.stdout
    assert f"rwm restore alpha {BEFORE} --in-place" in result.stdout
    assert "unquarantine" not in result.stdout


def test_what_was_put_back_and_not_proven_is_no_refusal(deployed: Deployed, state: StateHeader) -> None:
    cause = '{"errorMessage": "it was put back and nothing proves it"}'
    deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreNotVerified", "cause": cause}]
    result = restore(deployed, "--yes")
    assert result.exit_code == 1
    assert "nothing proves it" in sentence(result)


def test_without_waiting_nothing_is_said_to_be_done(deployed: Deployed, state: StateHeader) -> None:
    result = restore(deployed, "--yes", "--no-wait")
    assert result.exit_code == 3
    assert "started, and not waited for" in result.stdout


def test_a_report_of_another_place_is_not_believed(deployed: Deployed, state: StateHeader) -> None:
    runs(deployed, state, target=Location(bucket="rwm-restore-1"))
    result = restore(deployed, "--yes")
    assert result.exit_code == 1
    assert "which is not what was asked for" in sentence(result)

"""The workflows' definitions, flattened: what cfn-lint cannot see through CDK's Fn::Join, and JSONata that compiles."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from jsonata.jexception import JException
from jsonata.jsonata import Jsonata

from tests.infra.templates import Assembly

Definition = dict[str, Any]
_EXPRESSION = re.compile(r"^\{%(.*)%\}$", re.DOTALL)


def definitions(assembly: Assembly) -> dict[str, Definition]:
    """By state machine name."""
    return {
        machine["StateMachineName"]: json.loads(machine["DefinitionString"])
        for _, machine in assembly.of_type("AWS::StepFunctions::StateMachine")
    }


def faults(definition: Definition) -> list[str]:
    """Whatever AWS would find wrong with a definition."""
    return [*_lint(definition), *_bad_expressions(definition), *_bad_transitions(definition)]


def _lint(definition: Definition) -> Iterator[str]:
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": "arn:aws:iam::123456789012:role/rwm", "DefinitionString": json.dumps(definition)},
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Machine": machine}}
    for match in lint(json.dumps(template), config=ManualArgs(regions=["eu-central-1"])):
        yield f"{match.rule.id}: {match.message}"


def _bad_expressions(definition: Definition) -> Iterator[str]:
    for path, expression in _expressions(definition, ""):
        try:
            Jsonata(expression)
        except JException as error:
            yield f"{path}: {error}"


def _expressions(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _expressions(each, f"{path}/{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _expressions(each, f"{path}/{number}")
    elif isinstance(value, str) and (match := _EXPRESSION.match(value.strip())):
        yield path, match[1]


def _bad_transitions(definition: Definition) -> Iterator[str]:
    for scope in _scopes(definition):
        states = scope["States"]
        reached = {scope["StartAt"]}
        for state in states.values():
            reached.update(_next(state))
        yield from (f"{name} is no state" for name in reached - set(states))
        yield from (f"{name} is never reached" for name in set(states) - reached)


def _scopes(definition: Definition) -> Iterator[Definition]:
    yield definition
    for state in definition["States"].values():
        if "ItemProcessor" in state:
            yield from _scopes(state["ItemProcessor"])


def _next(state: Mapping[str, Any]) -> Iterator[str]:
    for field in ("Next", "Default"):
        if field in state:
            yield state[field]
    for field in ("Catch", "Choices"):
        yield from (each["Next"] for each in state.get(field, ()))


@pytest.fixture(scope="module")
def restore(shipped: Assembly) -> Definition:
    return definitions(shipped)["rwm-restore"]


@pytest.fixture
def planted(restore: Definition) -> Definition:
    """A copy to plant a fault in."""
    copied: Definition = json.loads(json.dumps(restore))
    return copied


def test_every_workflow_is_without_fault(shipped: Assembly) -> None:
    found = definitions(shipped)
    assert set(found) == {
        *("rwm-check", "rwm-drill", "rwm-prune", "rwm-record-ranges", "rwm-restore", "rwm-restore-to-directory")
    }
    assert [(name, fault) for name, definition in found.items() for fault in faults(definition)] == []


def test_there_are_expressions_to_compile(shipped: Assembly) -> None:
    found = definitions(shipped)
    assert {name: len(list(_expressions(definition, ""))) > 15 for name, definition in found.items()} == {
        "rwm-check": True,
        "rwm-drill": True,
        "rwm-prune": True,
        "rwm-record-ranges": True,
        "rwm-restore": True,
        "rwm-restore-to-directory": True,
    }


def test_a_planted_fault_in_a_state_is_found(planted: Definition) -> None:
    planted["States"]["Copy batches"]["MaxConcurency"] = planted["States"]["Copy batches"].pop("MaxConcurrency")
    assert any("MaxConcurency" in fault for fault in faults(planted))


def test_a_planted_fault_in_an_expression_is_found(planted: Definition) -> None:
    planted["States"]["Anything to copy?"]["Choices"][0]["Condition"] = "{% $plan.batches > %}"
    assert any("Anything to copy?" in fault for fault in faults(planted))


def test_a_planted_transition_to_nowhere_is_found(planted: Definition) -> None:
    planted["States"]["End restore"]["Next"] = planted["States"]["End restore"]["Catch"][0]["Next"] = "How did it go"
    assert {"How did it go is no state", "How did it go? is never reached"} <= set(faults(planted))


def test_a_fault_inside_the_map_is_found(planted: Definition) -> None:
    child = planted["States"]["Copy batches"]["ItemProcessor"]["States"]["Copy batch"]
    child["Output"] = "{% {'copied': } %}"
    assert any("ItemProcessor/States/Copy batch/Output" in fault for fault in faults(planted))


# The restore workflow


def test_copies_read_the_manifest_that_the_plan_wrote_pinned_by_its_version(restore: Definition) -> None:
    reader = restore["States"]["Copy batches"]["ItemReader"]
    assert reader["Resource"].endswith(":states:::s3:getObject")
    assert reader["ReaderConfig"] == {"InputType": "JSON"}
    assert reader["Arguments"] == {
        "Bucket": "rwm-records-123456789012-eu-central-1",
        "Key": "{% $plan.manifest.key %}",
        "VersionId": "{% $plan.manifest.version_id %}",
    }


def test_copies_are_standard_executions_and_twenty_at_a_time(restore: Definition) -> None:
    copies = restore["States"]["Copy batches"]
    assert copies["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert copies["MaxConcurrency"] == 20


def test_verify_runs_whatever_becomes_of_the_copies(restore: Definition) -> None:
    copies = restore["States"]["Copy batches"]
    assert copies["ToleratedFailurePercentage"] == 100
    assert copies["Next"] == "Verify restore"
    assert copies["Catch"] == [{"ErrorEquals": ["States.ALL"], "Next": "Verify restore"}]


def test_the_map_is_skipped_when_there_is_nothing_to_copy(restore: Definition) -> None:
    choice = restore["States"]["Anything to copy?"]
    assert choice["Default"] == "Verify restore"
    condition = Jsonata(_EXPRESSION.match(choice["Choices"][0]["Condition"])[1])  # type: ignore[index]
    for batches, expected in ((0, False), (1, True)):
        frame = condition.create_frame()
        frame.bind("plan", {"batches": batches})
        assert condition.evaluate({}, frame) is expected


@pytest.mark.parametrize(
    ("workflow", "calls"),
    [
        (
            "rwm-restore",
            {
                *("Announce restore", "Plan restore", "Try target", "Thaw batch", "Copy batch", "Verify restore"),
                "End restore",
                *("Record present", "Plan in place", "Ask for batch", "Put batch back", "Record result"),
                "Verify in place",
            },
        ),
        (
            "rwm-check",
            {
                *("Check posture", "Record", "Check consistent", "Plan content", "Hash batch", "Conclude content"),
                *("Check complete", "Conclude complete"),
            },
        ),
        ("rwm-drill", {"Choose drill", "Conclude drill"}),
        ("rwm-restore-to-directory", {"Announce restore", "End restore"}),
    ],
)
def test_every_lambda_call_is_retried_when_lambda_itself_fails(
    shipped: Assembly, workflow: str, calls: set[str]
) -> None:
    scopes = _scopes(definitions(shipped)[workflow])
    tasks = {
        name: state
        for scope in scopes
        for name, state in scope["States"].items()
        if state["Type"] == "Task" and ":lambda:" in state["Resource"]
    }
    assert set(tasks) == calls
    for task in tasks.values():
        retry = task["Retry"][0]
        assert {"Lambda.ServiceException", "Lambda.TooManyRequestsException"} <= set(retry["ErrorEquals"])
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxAttempts"] > 1


def test_a_state_stays_far_below_256_kib_whatever_the_size_of_a_repository(restore: Definition) -> None:
    copies = restore["States"]["Copy batches"]
    assert copies["Output"] == "{% {} %}"
    assert copies["ItemProcessor"]["States"]["Copy batch"]["Output"] == "{% {} %}"

"""What runs: functions, queues, schedules, alarms, and what the `rwm` command learns."""

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from functions.configuration import read_toml
from functions.domain.recording import DELIVERIES
from functions.domain.repositories import Repository
from infra.permissions_page import EXAMPLE
from tests.infra.templates import Assembly

MINUTES = 60
HANDLERS = {
    "rwm-record": ("functions.record.record.handler", 15 * MINUTES),
    "rwm-list-range": ("functions.record.list_range.handler", 15 * MINUTES),
    "rwm-close-recording": ("functions.record.close.handler", 15 * MINUTES),
    "rwm-collect-chunks": ("functions.record.collect_chunks.handler", 5 * MINUTES),
    "rwm-check-posture": ("functions.check.posture.handler", 5 * MINUTES),
    "rwm-check-consistent": ("functions.check.consistent.handler", 15 * MINUTES),
    "rwm-plan-content": ("functions.check.plan_content.handler", 15 * MINUTES),
    "rwm-hash-content": ("functions.check.hash_content.handler", 15 * MINUTES),
    "rwm-conclude-content": ("functions.check.conclude_content.handler", 15 * MINUTES),
    "rwm-check-complete": ("functions.check.complete.handler", 15 * MINUTES),
    "rwm-conclude-complete": ("functions.check.conclude_complete.handler", 5 * MINUTES),
    "rwm-acknowledge": ("functions.check.acknowledge.handler", 1 * MINUTES),
    "rwm-plan-prune": ("functions.prune.plan.handler", 15 * MINUTES),
    "rwm-ask-approval": ("functions.prune.ask_approval.handler", 1 * MINUTES),
    "rwm-approve": ("functions.prune.approve.handler", 1 * MINUTES),
    "rwm-hold": ("functions.prune.hold.handler", 1 * MINUTES),
    "rwm-lease-prune": ("functions.prune.lease.handler", 1 * MINUTES),
    "rwm-drop-states": ("functions.prune.drop_states.handler", 15 * MINUTES),
    "rwm-apply-prune": ("functions.prune.apply.handler", 15 * MINUTES),
    "rwm-verify-prune": ("functions.prune.verify.handler", 15 * MINUTES),
    "rwm-extend-retention": ("functions.locks.extend_retention.handler", 15 * MINUTES),
    "rwm-announce-restore": ("functions.restore.announce.handler", 1 * MINUTES),
    "rwm-plan-restore": ("functions.restore.plan.handler", 15 * MINUTES),
    "rwm-thaw-batch": ("functions.restore.thaw.handler", 15 * MINUTES),
    "rwm-copy-batch": ("functions.restore.copy.handler", 15 * MINUTES),
    "rwm-verify-restore": ("functions.restore.verify.handler", 15 * MINUTES),
    "rwm-plan-in-place": ("functions.restore.plan_in_place.handler", 15 * MINUTES),
    "rwm-put-back": ("functions.restore.put_back.handler", 15 * MINUTES),
    "rwm-verify-in-place": ("functions.restore.verify_in_place.handler", 15 * MINUTES),
    "rwm-end-restore": ("functions.restore.end.handler", 1 * MINUTES),
    "rwm-choose-drill": ("functions.drill.choose.handler", 1 * MINUTES),
    "rwm-conclude-drill": ("functions.drill.conclude.handler", 1 * MINUTES),
    "rwm-watch": ("functions.watch.watch.handler", 5 * MINUTES),
    "rwm-publish-pages": ("functions.page.publish.handler", 15 * MINUTES),
}
WORKFLOWS = (
    *("rwm-check", "rwm-drill", "rwm-prune", "rwm-record-ranges", "rwm-restore"),
    "rwm-restore-to-directory",
)


TOLD_OF = {
    "rwm-lease-prune": {"prune": "prune", "restore": "restore", "directory": "restore-to-directory"},
    "rwm-record": {"ranges": "record-ranges"},
    "rwm-watch": {"prune": "prune"},
}
"""Workflows, by the variable that names them."""
THREADED = ("rwm-thaw-batch", "rwm-copy-batch", "rwm-put-back")
"""Who is told how many objects to copy at once."""


def _named(assembly: Assembly, resource_type: str, field: str) -> dict[str, Any]:
    return {properties[field]: properties for _, properties in assembly.of_type(resource_type)}


def test_each_function_has_its_handler_limits_tracing_and_environment(shipped: Assembly) -> None:
    functions = _named(shipped, "AWS::Lambda::Function", "FunctionName")
    assert {name: (each["Handler"], each["Timeout"]) for name, each in functions.items()} == HANDLERS
    for name, function in functions.items():
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": f"/aws/lambda/{name}"}
        assert function["Environment"]["Variables"] == {
            "RWM_LEDGER": "rwm-ledger",
            "RWM_OPERATIONS": "rwm-operations",
            "RWM_RECORDS": "rwm-records-123456789012-eu-central-1",
            "RWM_ALERTS": "arn:aws:sns:eu-central-1:123456789012:rwm-alerts",
            "POWERTOOLS_SERVICE_NAME": name.removeprefix("rwm-"),
            "POWERTOOLS_METRICS_NAMESPACE": "RWM",
            "POWERTOOLS_LOG_LEVEL": "INFO",
            **{
                f"RWM_{each.upper()}_WORKFLOW": f"arn:aws:states:eu-central-1:123456789012:stateMachine:rwm-{machine}"
                for each, machine in TOLD_OF.get(name, {}).items()
            },
            **({"RWM_RESTORE_THREADS": "16"} if name in THREADED else {}),
            **({"RWM_DEAD_LETTERS": "rwm-dead-letters"} if name == "rwm-watch" else {}),
        }


def test_every_handler_is_there(shipped: Assembly, root: Path) -> None:
    for handler, _ in HANDLERS.values():
        module = handler.rpartition(".")[0]
        assert "\ndef handler(" in (root / f"{module.replace('.', '/')}.py").read_text()


def test_all_functions_share_one_asset(shipped: Assembly) -> None:
    functions = _named(shipped, "AWS::Lambda::Function", "FunctionName").values()
    assert len({json.dumps(function["Code"]) for function in functions}) == 1


def test_logs_are_kept_as_long_as_configured(shipped: Assembly) -> None:
    groups = _named(shipped, "AWS::Logs::LogGroup", "LogGroupName")
    workflows = {f"/aws/vendedlogs/states/{name}" for name in WORKFLOWS}
    expected = {*(f"/aws/lambda/{name}" for name in HANDLERS), *workflows}
    assert set(groups) == expected
    assert {group["RetentionInDays"] for group in groups.values()} == {90}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_traced_and_logs_without_what_it_carries(shipped: Assembly, name: str) -> None:
    machine = _named(shipped, "AWS::StepFunctions::StateMachine", "StateMachineName")[name]
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


def test_each_repository_has_its_queue_and_all_share_the_dead_letters(shipped: Assembly) -> None:
    queues = _named(shipped, "AWS::SQS::Queue", "QueueName")
    assert set(queues) == {"rwm-alpha", "rwm-beta", "rwm-dead-letters"}
    for name in ("rwm-alpha", "rwm-beta"):
        assert queues[name]["VisibilityTimeout"] == 16 * MINUTES
        assert queues[name]["RedrivePolicy"]["maxReceiveCount"] == DELIVERIES
        assert "DeadLetters" in queues[name]["RedrivePolicy"]["deadLetterTargetArn"]
    assert {queue["SqsManagedSseEnabled"] for queue in queues.values()} == {True}


def test_a_message_in_work_is_not_handed_out_again(shipped: Assembly) -> None:
    record = _named(shipped, "AWS::Lambda::Function", "FunctionName")["rwm-record"]
    for name, queue in _named(shipped, "AWS::SQS::Queue", "QueueName").items():
        assert name == "rwm-dead-letters" or queue["VisibilityTimeout"] > record["Timeout"]


def test_a_dead_letter_is_kept_for_ten_days_after_the_last_try(shipped: Assembly) -> None:
    queues = _named(shipped, "AWS::SQS::Queue", "QueueName")
    kept = {name: queue["MessageRetentionPeriod"] // (24 * 60 * MINUTES) for name, queue in queues.items()}
    assert kept == {"rwm-alpha": 4, "rwm-beta": 4, "rwm-dead-letters": 14}


def test_record_takes_small_batches_and_reports_each_message(shipped: Assembly) -> None:
    sources = [source for _, source in shipped.of_type("AWS::Lambda::EventSourceMapping")]
    assert len(sources) == 2
    for source in sources:
        assert source["BatchSize"] == 10
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_each_repository_is_recorded_on_its_schedule_without_any_event(shipped: Assembly) -> None:
    schedules = _named(shipped, "AWS::Scheduler::Schedule", "Name")
    workflows = ("check", "prune", "drill", "locks")
    others = {f"_{workflow}-{name}" for workflow in workflows for name in ("alpha", "beta")}
    assert set(schedules) == {"alpha", "beta", "_collect-chunks", "_watch", "_publish-pages", *others}
    for name in ("alpha", "beta"):
        assert schedules[name]["GroupName"] == "rwm"
        assert schedules[name]["ScheduleExpression"] == "rate(6 hours)"
        assert json.loads(schedules[name]["Target"]["Input"]) == {"repository": name, "reason": "schedule"}
        assert "RecordFunction" in schedules[name]["Target"]["Arn"]
    assert schedules["_collect-chunks"]["ScheduleExpression"] == "rate(1 day)"
    assert "CollectChunksFunction" in schedules["_collect-chunks"]["Target"]["Arn"]


def test_each_repository_is_checked_on_its_schedule_as_deep_as_it_says(shipped: Assembly) -> None:
    schedules = _named(shipped, "AWS::Scheduler::Schedule", "Name")
    for repository in read_toml(EXAMPLE).repositories:
        check = schedules[f"_check-{repository.name}"]
        assert (check["GroupName"], check["ScheduleExpression"]) == ("rwm", repository.check_schedule)
        assert json.loads(check["Target"]["Input"]) == {
            "repository": repository.name,
            "level": repository.check_level,
            "state": "",
            "all": False,
            "read_data": False,
            "reason": "schedule",
            "target": None,
        }
        assert check["Target"]["Arn"] == "rwm-check"


def test_each_repository_is_pruned_on_its_schedule(shipped: Assembly) -> None:
    schedules = _named(shipped, "AWS::Scheduler::Schedule", "Name")
    for repository in read_toml(EXAMPLE).repositories:
        prune = schedules[f"_prune-{repository.name}"]
        assert (prune["GroupName"], prune["ScheduleExpression"]) == ("rwm", repository.prune_schedule)
        assert json.loads(prune["Target"]["Input"]) == {
            "repository": repository.name,
            "reason": "schedule",
            "dry_run": False,
        }
        assert prune["Target"]["Arn"] == "rwm-prune"


def test_each_repository_is_drilled_on_its_schedule(shipped: Assembly) -> None:
    schedules = _named(shipped, "AWS::Scheduler::Schedule", "Name")
    for repository in read_toml(EXAMPLE).repositories:
        drill = schedules[f"_drill-{repository.name}"]
        assert (drill["GroupName"], drill["ScheduleExpression"]) == ("rwm", repository.drill_schedule)
        asked = {"repository": repository.name, "reason": "schedule", "whole": False}
        assert json.loads(drill["Target"]["Input"]) == asked
        assert drill["Target"]["Arn"] == "rwm-drill"


def test_the_locks_of_each_repository_are_looked_after_on_its_schedule(shipped: Assembly) -> None:
    schedules = _named(shipped, "AWS::Scheduler::Schedule", "Name")
    for repository in read_toml(EXAMPLE).repositories:
        upkeep = schedules[f"_locks-{repository.name}"]
        assert (upkeep["GroupName"], upkeep["ScheduleExpression"]) == ("rwm", repository.lock_schedule)
        assert json.loads(upkeep["Target"]["Input"]) == {"repository": repository.name, "reason": "schedule"}
        assert "ExtendRetentionFunction" in upkeep["Target"]["Arn"]


def test_one_schedule_watches_all_repositories_in_a_group_of_the_watch_stack(shipped: Assembly) -> None:
    schedules = shipped.watch.of_type("AWS::Scheduler::Schedule").values()
    (watch,) = [each for each in schedules if each["Name"] == "_watch"]
    assert {each["GroupName"] for each in schedules} == {"rwm-watch"}
    assert watch["ScheduleExpression"] == "rate(1 hour)"
    assert json.loads(watch["Target"]["Input"]) == {"reason": "schedule"}
    assert "WatchFunction" in watch["Target"]["Arn"]
    groups = {template.name: template.of_type("AWS::Scheduler::ScheduleGroup") for template in shipped.templates}
    names = {name: [each["Name"] for each in found.values()] for name, found in groups.items()}
    assert names == {"rwm-data": [], "rwm-flows": ["rwm"], "rwm-watch": ["rwm-watch"]}


def test_the_watch_refers_to_nothing_of_the_other_stacks(shipped: Assembly) -> None:
    """So it runs, and tells, when the flows are gone."""
    assert "Fn::ImportValue" not in json.dumps(shipped.watch.content)
    assert "Fn::GetStackOutput" not in json.dumps(shipped.watch.content)


def test_an_alarm_tells_that_the_watch_did_not_run(shipped: Assembly) -> None:
    alarms = shipped.watch.of_type("AWS::CloudWatch::Alarm").values()
    (silent,) = [each for each in alarms if each["MetricName"] == "Invocations"]
    assert (silent["Threshold"], silent["ComparisonOperator"]) == (1, "LessThanThreshold")
    # No invocation leaves no number at all.
    assert silent["TreatMissingData"] == "breaching"
    assert (silent["Period"], silent["EvaluationPeriods"], silent["Statistic"]) == (2 * 60 * MINUTES, 1, "Sum")


def test_dead_letters_failures_of_record_and_workflows_without_an_end_are_told_to_people(shipped: Assembly) -> None:
    alarms = [alarm for _, alarm in shipped.of_type("AWS::CloudWatch::Alarm")]
    about = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"].split(":")[-1]) for alarm in alarms}
    assert about == {
        ("ApproximateNumberOfMessagesVisible", "QueueName"),
        ("Errors", "rwm-record"),
        ("Errors", "rwm-extend-retention"),
        ("ExecutionsFailed", "rwm-check"),
        ("ExecutionsTimedOut", "rwm-check"),
        ("ExecutionsFailed", "rwm-drill"),
        ("ExecutionsTimedOut", "rwm-drill"),
        ("ExecutionsFailed", "rwm-prune"),
        ("ExecutionsTimedOut", "rwm-prune"),
        ("ExecutionsFailed", "rwm-record-ranges"),
        ("ExecutionsTimedOut", "rwm-record-ranges"),
        ("Errors", "rwm-watch"),
        ("Errors", "rwm-publish-pages"),
        ("Invocations", "rwm-watch"),
    }
    for alarm in alarms:
        assert alarm["AlarmActions"] == ["arn:aws:sns:eu-central-1:123456789012:rwm-alerts"]
        if alarm["MetricName"] == "Invocations":
            continue
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
        assert alarm["TreatMissingData"] == "notBreaching"


def test_the_command_learns_each_repository_as_it_was_validated(shipped: Assembly) -> None:
    parameters = _named(shipped, "AWS::SSM::Parameter", "Name")
    deployed = {Repository.model_validate_json(each["Value"]) for each in parameters.values()}
    assert deployed == set(read_toml(EXAMPLE).repositories)
    assert set(parameters) == {"/rwm/repositories/alpha", "/rwm/repositories/beta"}


@pytest.mark.parametrize("name", ["data", "flows", "watch"])
def test_cfn_lint_finds_nothing(shipped: Assembly, name: str) -> None:
    template = getattr(shipped, name).content
    # CDK names dependencies that a reference implies already.
    settings = ManualArgs(regions=["eu-central-1"], ignore_checks=["W3005"])
    assert [f"{each.rule.id}: {each.message}" for each in lint(json.dumps(template), config=settings)] == []

"""Mends of ministack's EventBridge Scheduler."""

from datetime import UTC, datetime
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import eventbridge

_ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}


def schedules_act_as_their_role() -> None:
    """AWS calls a schedule's target with the schedule's role; ministack ignores the role.

    A role that lacks the permission would leave every schedule silent on AWS and nobody would know.
    Also, AWS replaces <aws.scheduler.…> in the input, which ministack hands on as it is.
    """
    invoke = eventbridge._invoke_target

    def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> Any:
        if event.get("Source") != "aws.scheduler":
            return invoke(target, event, rule, view)
        if not _may_call(target, event):
            eventbridge.logger.error("Scheduler: %s may not call %s", target.get("RoleArn"), target["Arn"])
            return None
        return invoke({**target, **_filled_input(target, event, rule)}, event, rule, view)

    eventbridge._invoke_target = invoke_target


def _may_call(target: dict[str, Any], event: dict[str, Any]) -> bool:
    role, account = target.get("RoleArn", ""), event["Account"]
    action = _ACTIONS.get(target["Arn"].split(":")[2], "")
    context = iam_evaluator.EvalContext(role, "AssumedRole", account, action, target["Arn"], event["Region"])
    policies = iam_evaluator._gather_role_policies(role.rpartition("/")[2], account)
    return bool(iam_evaluator.evaluate(context, policies).decision == "Allow")


def _filled_input(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any]) -> dict[str, str]:
    if not target.get("Input"):
        return {}
    scheduled = datetime.fromtimestamp(event["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text: str = target["Input"]
    for name, value in (
        ("scheduled-time", scheduled),
        ("schedule-arn", rule.get("Arn", "")),
        ("execution-id", event["EventId"]),
        ("attempt-number", "1"),
    ):
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return {"Input": text}


MENDS = (schedules_act_as_their_role,)

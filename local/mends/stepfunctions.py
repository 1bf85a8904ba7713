"""Mends of ministack's Step Functions."""

import json
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions
from ministack.services import s3, stepfunctions

_NUMBERS = ("MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount")


def distributed_maps_speak_jsonata() -> None:
    """On AWS a Distributed Map of a JSONata machine evaluates expressions in its ItemReader's Arguments,
    ItemSelector, limits, Output and Assign; ministack takes them literally.

    The restore's Copy state reads where its manifest is, and how it must be read, from the plan.
    """
    resolve, run = stepfunctions._resolve_params_obj, stepfunctions._run_distributed_map

    def resolve_params_obj(template: Any, data: Any, context: Any = None) -> Any:
        if "{%" in json.dumps(template, default=str):
            return stepfunctions._apply_jsonata_template(template, data, context)
        return resolve(template, data, context)

    def run_distributed_map(
        state: dict[str, Any], raw: Any, effective: Any, iterator: Any, execution: Any, context: Any
    ) -> Any:
        if stepfunctions._state_query_language(state, context) != "JSONata":
            return run(state, raw, effective, iterator, execution, context)
        numbers = {
            name: stepfunctions._jsonata_state_field(state, name, "number", raw, context)
            for name in _NUMBERS
            if name in state
        }
        result, following = run({**state, **numbers}, raw, effective, iterator, execution, context)
        output = stepfunctions._apply_jsonata_output(state, raw, context, result=result, default=result)
        stepfunctions._apply_state_assign(state, raw, context, result=result)
        return output, following

    stepfunctions._resolve_params_obj = resolve_params_obj
    stepfunctions._run_distributed_map = run_distributed_map


def item_readers_pin_a_version() -> None:
    """On AWS an ItemReader with a VersionId reads that version; ministack reads the current one.

    A plan's manifest is pinned, so that nobody can swap it between the plan and the copy.
    """
    read = stepfunctions._read_map_items

    def read_map_items(reader: dict[str, Any], effective: Any, context: Any) -> Any:
        where = stepfunctions._resolve_params_obj(
            reader.get("Arguments") or reader.get("Parameters") or {}, effective, context
        )
        if not where.get("VersionId"):
            return read(reader, effective, context)
        pinned = {"versionId": [where["VersionId"]]}
        status, _, body = s3._get_object(where["Bucket"], where["Key"], {}, pinned)
        if status != 200:
            raise stepfunctions._ExecutionError(
                "States.ItemReaderFailed",
                f"{where['Bucket']}/{where['Key']} version {where['VersionId']}: status {status}",
            )
        return stepfunctions._parse_reader_items(body.decode(), reader.get("ReaderConfig") or {})

    stepfunctions._read_map_items = read_map_items


_machine: ContextVar[str] = ContextVar("rwm_machine", default="")
"""ARN of the machine whose task runs in this thread."""
_waiting_for: ContextVar[str] = ContextVar("rwm_waiting_for", default="")
"""Token of the task that is being started in this thread."""


def task_tokens_belong_to_their_machine() -> None:
    """On AWS states:SendTaskSuccess and SendTaskFailure are asked for on the machine whose task has the token; here
    on `*`, which no policy of RWM allows: nobody could approve a prune.
    """
    machines: dict[str, str] = {}
    execute, begin = stepfunctions._execute_task, stepfunctions._invoke_with_callback
    extract = iam_actions.extract_resource_arn

    def execute_task(state: dict[str, Any], given: Any, execution: Any, context: Any) -> Any:
        _machine.set(execution["stateMachineArn"] if execution else "")
        return execute(state, given, execution, context)

    def invoke_with_callback(resource: str, given: Any, token: str, state: dict[str, Any]) -> Any:
        machines[token] = _machine.get()
        return begin(resource, given, token, state)

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found = str(extract(service, method, path, headers, body, query, region, account))
        if found != "*" or service != "states":
            return found
        try:
            asked = json.loads(body)
        except ValueError:
            return found
        return machines.get(asked.get("taskToken", ""), found)

    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_with_callback = invoke_with_callback
    iam_actions.extract_resource_arn = extract_resource_arn


def a_task_fails_with_the_function_that_was_to_keep_its_token() -> None:
    """On AWS a task that waits for its token fails when the function that it called fails; ministack goes on waiting.

    A prune whose approvers could not be told would seem to wait for them.
    """
    begin, call = stepfunctions._invoke_with_callback, stepfunctions._call_lambda

    def invoke_with_callback(resource: str, given: Any, token: str, state: dict[str, Any]) -> Any:
        _waiting_for.set(token)
        try:
            return begin(resource, given, token, state)
        finally:
            _waiting_for.set("")

    def call_lambda(function: str, event: Any) -> Any:
        token = _waiting_for.get()
        try:
            return call(function, event)
        except stepfunctions._ExecutionError as error:
            if token:
                task = stepfunctions._task_tokens[token]
                task["error"] = {"Error": error.error, "Cause": error.cause}
                task["event"].set()
            raise

    stepfunctions._invoke_with_callback = invoke_with_callback
    stepfunctions._call_lambda = call_lambda


def a_nested_execution_that_fails_is_a_failed_task() -> None:
    """On AWS a task that runs another workflow fails with States.TaskFailed and the whole description of that
    execution as its cause; here with the other's own error and cause.

    A prune tells people why its check came to no conclusion.
    """

    def nested_execution_failure(ended: dict[str, Any]) -> tuple[str, str]:
        told = {
            "ExecutionArn": ended.get("executionArn"),
            "Name": ended.get("name"),
            "StateMachineArn": ended.get("stateMachineArn"),
            "Status": ended.get("status"),
            "Input": ended.get("input"),
            "Error": ended.get("error"),
            "Cause": ended.get("cause"),
        }
        return "States.TaskFailed", json.dumps({key: value for key, value in told.items() if value is not None})

    stepfunctions._nested_execution_failure = nested_execution_failure


MENDS = (
    distributed_maps_speak_jsonata,
    item_readers_pin_a_version,
    task_tokens_belong_to_their_machine,
    a_task_fails_with_the_function_that_was_to_keep_its_token,
    a_nested_execution_that_fails_is_a_failed_task,
)

"""Mends of ministack's Step Functions."""

import json
from typing import Any

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


MENDS = (distributed_maps_speak_jsonata, item_readers_pin_a_version)

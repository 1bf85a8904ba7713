"""Mends of ministack's DynamoDB."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core import iam_actions
from ministack.services import dynamodb

from local.mends.condition_keys import Keys, Request, resolve_condition_keys

_EQUALS = re.compile(r"(#?[\w.-]+)\s*=\s*(:\w+)")


def leading_keys_are_resolved() -> None:
    """On AWS dynamodb:LeadingKeys holds the partition keys a request touches; ministack leaves it out.

    collect-chunks, the one role that may delete items, is limited by this key to chunks: without it
    the role could delete nothing here, or (ForAllValues) everything.

    Of a transaction each operation is authorised as the action it is, so a key counts for that action only: who may
    put marks and look at the head may do both at once.
    """
    resolve_condition_keys("dynamodb", _leading_keys)


def _leading_keys(request: Request, action: str, resource_arn: str) -> Keys:
    table_name = resource_arn.partition(":table/")[2].split("/")[0]
    table = dynamodb._tables.get(table_name)
    if not table:
        return {}
    keys = [
        next(iter(key.values()))
        for operation in _operations(json.loads(request.body or b"{}"), {table_name, resource_arn}, action)
        for key in _partition_keys(operation, table["pk_name"])
    ]
    return {"dynamodb:LeadingKeys": keys} if keys else {}


def _operations(body: Mapping[str, Any], names: set[str], action: str) -> Iterator[Mapping[str, Any]]:
    """Each single operation on the table in a request: itself, the parts of a batch, or those of a transaction that
    are `action`."""
    if body.get("TableName") in names:
        yield body
    for item in body.get("TransactItems", ()):
        for kind, part in item.items():
            if part.get("TableName") in names and iam_actions._DYNAMODB_TRANSACT_ITEM_ACTIONS.get(kind) == action:
                yield part
    for name, batch in (body.get("RequestItems") or {}).items():
        if name in names:
            if isinstance(batch, dict):
                yield from ({"Key": key} for key in batch["Keys"])
            else:
                yield from (part for item in batch for part in item.values())


def _partition_keys(operation: Mapping[str, Any], attribute: str) -> Iterator[Mapping[str, str]]:
    item = operation.get("Item") or operation.get("Key") or {}
    if attribute in item:
        yield item[attribute]
    names = operation.get("ExpressionAttributeNames") or {}
    for name, value in _EQUALS.findall(operation.get("KeyConditionExpression") or ""):
        if names.get(name, name) == attribute:
            yield operation["ExpressionAttributeValues"][value]


MENDS = (leading_keys_are_resolved,)

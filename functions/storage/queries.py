"""Reading one partition of a table."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]


def items(
    client: "DynamoDBClient", table: str, pk: str, sk_prefix: str = "", *, newest_first: bool = False
) -> Iterator[Item]:
    """Those of a partition whose sort keys begin so, in their order, read as they are taken; strongly consistent."""
    values: dict[str, Any] = {":pk": {"S": pk}}
    condition = "pk = :pk"
    if sk_prefix:
        values[":sk"] = {"S": sk_prefix}
        condition += " AND begins_with(sk, :sk)"
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        ConsistentRead=True,
        ScanIndexForward=not newest_first,
    )
    for page in pages:
        yield from page["Items"]

"""Last step of a restore, however it went: take back that it is under way, so that prunes go on.

Permissions of `rwm-end-restore`, and why:
- dynamodb:DeleteItem on operations, partitions `restoring#*`: to take the announcement back, and nothing else.

It runs after verify has listed the target, and where plan refused, too. Where it could not run (somebody aborted the
execution, or its time was over), lease-prune takes the announcement away once Step Functions says that it has ended.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.domain.documents import Part
from functions.domain.ports import RestoreEnder
from functions.domain.restore.request import ExecutionName
from functions.domain.values import RepositoryName
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.restores import DynamoRestoreEnder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class EndRequest(Part):
    """Which restore has ended. A repository that nobody deployed has no announcement, and needs none."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    execution: ExecutionName


def end_restore(request: EndRequest, ender: RestoreEnder) -> None:
    """Take back what this execution announced, and nothing of another's. Again, or without any: no change."""
    ender.end(RepositoryName(request.repository), request.execution)


logger = Logger(service="end-restore")


@cache
def _client() -> "DynamoDBClient":
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return boto3.client("dynamodb", config=CLIENT)


def _end(request: EndRequest) -> None:
    end_restore(request, DynamoRestoreEnder(_client(), Environment.read().operations))


@logger.inject_lambda_context(clear_state=True)
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, bool]:
    """`{"repository", "execution"}` -> `{"ended": true}`."""
    request = EndRequest.model_validate(event)
    _end(request)
    logger.info("restore ended", extra=request.model_dump())
    return {"ended": True}

"""Delete the chunks that a killed recording left behind.

An attempt that lost its lease is closed by whoever takes the lease over, and can never commit; only then
may its chunks go. Each delete is conditional on the attempt being closed still. It is a function of its
own so that record can delete nothing at all.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.ports import AttemptNotClosed, ChunkCollector
from functions.domain.values import RepositoryName
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoChunkCollector


def collect_chunks(repositories: Iterable[RepositoryName], collector: ChunkCollector) -> dict[RepositoryName, int]:
    """Collect every closed attempt's chunks; returns how many were reserved, per repository that had any."""
    collected: dict[RepositoryName, int] = {}
    for repository in repositories:
        for attempt, chunks in list(collector.closed_attempts(repository)):
            try:
                collector.collect(repository, attempt, chunks)
            except AttemptNotClosed:
                continue
            collected[repository] = collected.get(repository, 0) + chunks
    return collected


logger = Logger(service="collect-chunks")


@cache
def _collector() -> ChunkCollector:
    return DynamoChunkCollector(boto3.client("dynamodb", config=CLIENT), Environment.read().ledger)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001 - Lambda's signature
    """Entry point: the daily schedule; the event says nothing."""
    collected = collect_chunks([each.repository for each in read_bundled().repositories], _collector())
    logger.info("chunks collected", extra={"chunks": dict(collected)})
    return {str(repository): chunks for repository, chunks in collected.items()}

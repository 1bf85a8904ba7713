"""Write the page of each repository, and one of all, to the records bucket.

gather: what is known of each repository  ->  decide: its page  ->  apply: put the file.

Permissions of `rwm-publish-pages`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: states, their entries, and which of them are dropped.
- dynamodb:Query on operations: verdicts, holds, plans, prunes, locks and drills; not what wakes a workflow.
- s3:PutObject on `pages/*` of the records bucket: the pages, and nothing else.

Security rules:
- It reads no object of any repository, and no file of another step.
- A page names no object's key, no host and no path, and has no script (functions/domain/page/rendering.py).
- One repository that cannot be read costs the others nothing: theirs are written first, and then it fails.

Killed at any point and run again, it writes the same pages again: of each, only the newest counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.page.document import Page
from functions.domain.page.gather import PagePorts, gather
from functions.domain.page.making import page_of
from functions.domain.page.rendering import render
from functions.domain.ports import PageWriter
from functions.domain.repositories import Configuration
from functions.domain.values import RepositoryName
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.drills import DynamoDrillReports
from functions.storage.holds import DynamoHolds
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.locks import DynamoLockReports
from functions.storage.page_files import S3PageWriter
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.prunes import DynamoPruneReports
from functions.storage.verdicts import DynamoVerdictReader

OF_ONE, OF_ALL = 400, 60
"""States on the timeline of a repository's own page, and on that of all."""
ALL = "_all"
"""The name of that page. No repository can take it: theirs begin with a letter or a digit."""
ENOUGH = 180.0
"""Seconds that have to be left for what each kept state needs: reading the entries of all of them takes longest."""


class PagesIncomplete(Exception):
    """Pages of some repositories were not written; those of all others were."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was written, and what was not."""

    written: tuple[RepositoryName, ...]
    failed: Mapping[RepositoryName, str]
    """Why, by repository."""


def publish(
    configuration: Configuration,
    ports: PagePorts,
    writer: PageWriter,
    now: datetime,
    seconds_left: Callable[[], float],
) -> Published:
    """Write every page that can be made."""
    pages: list[Page] = []
    failed: dict[RepositoryName, str] = {}
    for repository in configuration.repositories:
        try:
            known = gather(repository, ports, needs=seconds_left() > ENOUGH)
        except UnreadableDocument as error:
            failed[repository.repository] = str(error)
            continue
        shared = len(configuration.repositories)
        writer.put(repository.name, render([page_of(known, now, OF_ONE, repositories=shared)]))
        pages.append(page_of(known, now, OF_ALL, repositories=shared))
    if pages:
        writer.put(ALL, render(pages))
    return Published(tuple(page.repository for page in pages), failed)


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="publish-pages")
metrics = Metrics(namespace="RWM", service="publish-pages")


class PublishRequest(Part):
    """Who asks."""

    reason: Literal["schedule", "operator"]


@dataclass(frozen=True, slots=True)
class PublishFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: PagePorts
    writer: PageWriter

    def on_request(self, event: Mapping[str, Any], now: datetime, seconds_left: Callable[[], float]) -> dict[str, Any]:
        """Publish, and say what was written. Raises PagesIncomplete."""
        PublishRequest.model_validate(event)
        done = publish(self.configuration, self.ports, self.writer, now, seconds_left)
        metrics.add_metric(name="PagesPublished", unit=MetricUnit.Count, value=len(done.written))
        metrics.add_metric(name="PagesFailed", unit=MetricUnit.Count, value=len(done.failed))
        metrics.flush_metrics()
        answer = {"written": list(done.written), "failed": dict(done.failed)}
        (logger.error if done.failed else logger.info)("pages published", extra=answer)
        if done.failed:
            raise PagesIncomplete(f"no page was written of {', '.join(done.failed)}; the log says why")
        return answer


@cache
def _function() -> PublishFunction:
    environment = Environment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    operations = environment.operations
    return PublishFunction(
        read_bundled(),
        PagePorts(
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            verdicts=DynamoVerdictReader(dynamodb, operations),
            holds=DynamoHolds(dynamodb, operations),
            plans=DynamoPlanShelf(dynamodb, operations),
            approvals=DynamoApprovals(dynamodb, operations),
            prunes=DynamoPruneReports(dynamodb, operations),
            locks=DynamoLockReports(dynamodb, operations),
            drills=DynamoDrillReports(dynamodb, operations),
        ),
        S3PageWriter(boto3.client("s3", config=CLIENT), environment.records),
    )


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """`{"reason": "schedule" | "operator"}` -> `{"written": [repositories], "failed": {}}`. Raises PagesIncomplete."""
    return _function().on_request(event, datetime.now(UTC), lambda: context.get_remaining_time_in_millis() / 1000)

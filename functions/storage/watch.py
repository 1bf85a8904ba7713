"""What the watch looks at beside documents that have a reader already, and what it keeps.

| item | pk | sk | holds |
|---|---|---|---|
| watch report | `watch#<repository>`, `watch#*` for the deployment | `newest` | canonical bytes of the report; the next look's takes its place |

A partition of its own because IAM tells partitions apart: only the watch may write it, and nothing else, so that nobody
who appends findings can make it believe that people were told (infra/access.py).
"""  # noqa: E501 - a table

import json
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.ports import NotAnswered
from functions.domain.posture.news import mark
from functions.domain.values import Finding, RepositoryName, Severity, from_zulu, whole_second
from functions.domain.watch.decide import WatchReport
from functions.domain.watch.facts import PostureFinding, Prune
from functions.storage import queries
from functions.storage.aws import error_code
from functions.storage.holds import ENDED
from functions.storage.operations import DynamoPostureHistory

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

MOST_EXECUTIONS = 100
"""One answer of Step Functions; it costs one more call for each of them."""
MOST_FINDING_ITEMS = 200
"""Of one id, the newest: each generation of states has its own."""
_AT_ONCE = 8


class DynamoClock:
    """AwsClock over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def now(self) -> datetime:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk = :sk",
            ExpressionAttributeValues={":pk": {"S": "watch#*"}, ":sk": {"S": "newest"}},
            Select="COUNT",
        )
        return whole_second(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]))


class DynamoNewestPosture:
    """NewestPosture over boto3: a posture keeps its findings' marks, and the findings lie beside it."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table
        self._history = DynamoPostureHistory(client, table)

    def findings(self, repository: RepositoryName) -> tuple[PostureFinding, ...] | None:
        last = self._history.last(repository)
        if last is None:
            return None
        by_id: dict[str, list[str]] = defaultdict(list)
        for each in sorted(last.findings):
            by_id[each.partition("#")[0]].append(each)
        return tuple(found for name, marks in by_id.items() for found in self._of(repository, name, marks))

    def _of(self, repository: RepositoryName, name: str, marks: list[str]) -> list[PostureFinding]:
        prefix = f"finding#{name}#"
        items = queries.items(self._client, self._table, repository, prefix, newest_first=True)
        newest: list[Finding] = []
        found: dict[str, PostureFinding] = {}
        for item in islice(items, MOST_FINDING_ITEMS):
            finding = _finding(item, repository)
            newest = newest or [finding]
            if (its := mark(finding)) in marks:
                found.setdefault(its, _seen(finding))
            if len(found) == len(marks):
                break
        if found or not newest:
            # One that was never written down by itself is told all the same, as what needs a person.
            return list(found.values()) or [_unknown(name)]
        return [_seen(newest[0])]


def _finding(item: queries.Item, repository: RepositoryName) -> Finding:
    if item.get("format") != {"N": "1"}:
        raise UnreadableDocument(
            f"a finding of {repository} has format {item.get('format')} and this version of RWM reads 1; nothing was "
            "decided; use a newer version"
        )
    return Finding(
        id=item["finding"]["S"],
        severity=Severity(item["severity"]["S"]),
        repository=repository,
        since=from_zulu(item["since"]["S"]),
        what=item["what"]["S"],
        remedy=item["remedy"]["S"],
    )


def _seen(finding: Finding) -> PostureFinding:
    return PostureFinding(finding.id, finding.severity, finding.since, finding.what, finding.remedy)


def _unknown(name: str) -> PostureFinding:
    return PostureFinding(name, Severity.HOLD, _EPOCH, "the posture has it", "`rwm check` shows it")


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


class StepFunctionsPrunes:
    """PruneExecutions over boto3."""

    def __init__(self, client: "SFNClient", workflow: str) -> None:
        """`workflow`: the ARN of the state machine."""
        self._client = client
        self._workflow = workflow

    def recent(self) -> Mapping[RepositoryName, tuple[Prune, ...]]:
        found: dict[RepositoryName, list[Prune]] = defaultdict(list)
        try:
            listed = self._client.list_executions(stateMachineArn=self._workflow, maxResults=MOST_EXECUTIONS)
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                described = list(threads.map(self._describe, (each["executionArn"] for each in listed["executions"])))
        except (ClientError, BotoCoreError) as error:
            code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
            raise NotAnswered(f"Step Functions did not tell of the prunes ({code})") from error
        for each in sorted(described, key=lambda each: each["startDate"], reverse=True):
            asked = _asked(each.get("input"))
            repository = asked.get("repository")
            if isinstance(repository, str) and asked.get("dry_run") is not True:
                found[RepositoryName(repository)].append(_prune(each))
        return {name: tuple(prunes) for name, prunes in found.items()}

    def _describe(self, execution: str) -> "DescribeExecutionOutputTypeDef":
        return self._client.describe_execution(executionArn=execution)


def _asked(document: str | None) -> dict[str, Any]:
    """What an execution was started with; whoever starts one by hand may give it anything."""
    try:
        asked = json.loads(document or "")
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _prune(execution: "DescribeExecutionOutputTypeDef") -> Prune:
    ended = execution.get("stopDate") if execution["status"] in ENDED else None
    return Prune(
        execution=execution["name"],
        status=execution["status"],
        started_at=whole_second(execution["startDate"]),
        ended_at=whole_second(ended) if ended is not None else None,
        error=execution.get("error"),
    )


class SqsDeadLetters:
    """DeadLetters over boto3."""

    def __init__(self, client: "SQSClient", queue: str) -> None:
        """`queue`: its name."""
        self._client = client
        self._queue = queue

    def waiting(self) -> int:
        url = self._client.get_queue_url(QueueName=self._queue)["QueueUrl"]
        # What a person looks at just now is hidden for minutes, and not gone.
        answer = self._client.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return sum(int(number) for number in answer["Attributes"].values())


class DynamoWatchLog:
    """WatchLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def newest(self, repository: RepositoryName) -> WatchReport | None:
        for item in queries.items(self._client, self._table, _partition(repository), "newest"):
            report = WatchReport.parse(bytes(item["document"]["B"]))
            if report.repository != repository:
                raise UnreadableDocument(
                    f"operations holds a watch report of {report.repository} as that of {repository}"
                )
            return report
        return None

    def keep(self, report: WatchReport) -> None:
        self._client.put_item(
            TableName=self._table,
            Item={
                "pk": {"S": _partition(report.repository)},
                "sk": {"S": "newest"},
                "document": {"B": report.canonical()},
            },
        )


def _partition(repository: RepositoryName) -> str:
    return f"watch#{repository}"

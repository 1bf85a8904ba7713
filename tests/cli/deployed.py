"""A deployment for the command to talk to: moto holds its data; what runs on AWS is played by small fakes."""

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, cast

import boto3
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from cli.deployment import Aws, Deployment
from cli.main import app
from functions.domain import chunks
from functions.domain.names import Names
from functions.domain.repositories import Repository
from functions.domain.restore.plan import report_file
from functions.domain.restore.proof import Trouble
from functions.domain.restore.report import RestoreReport
from functions.domain.restore.request import Location
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, Digest, Finding, ListedVersion
from functions.domain.verdict import CheckLevel, Verdict, conclude
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog
from tests.builders import at, listing
from tests.cuts import take_cut
from tests.tables import create_table

REGION = "eu-central-1"
ACCOUNT = "123456789012"
"""moto's."""
NAMES = Names()
RECORDS = NAMES.records_bucket(ACCOUNT, REGION)


class FakeLambda:
    """Lambda's Invoke: answers with what a test put there, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Mapping[str, Any] | bytes | Exception | Callable[[Any], Mapping[str, Any]] = {}
        """What it says, or what makes its answer of a request."""
        self.function_error: str | None = None

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.asked.append({**request, "Payload": json.loads(request["Payload"])})
        if isinstance(self.answer, Exception):
            raise self.answer
        answer = self.answer(self.asked[-1]["Payload"]) if callable(self.answer) else self.answer
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        error = {"FunctionError": self.function_error} if self.function_error else {}
        return {"StatusCode": 200, "Payload": io.BytesIO(content), **error}


@dataclass
class FakeWorkflows:
    """Step Functions for one execution: each look at it is the next of `looks`, the last one for good."""

    looks: Sequence[Mapping[str, Any]] = ({"status": "SUCCEEDED"},)
    map_runs: Sequence[Mapping[str, Any]] = ()
    """What each look at the map run shows; empty: there is none yet."""
    steps: Sequence[str] = ()
    """The step that each look finds the workflow in."""
    started: list[dict[str, Any]] = field(default_factory=list)
    on_start: Any = None
    """Called with the execution's name when it was started."""
    on_end: Any = None
    """Called with the execution's name when the last look is given; a document it returns is the output."""
    earlier: Mapping[str, Mapping[str, Any] | ClientError] = field(default_factory=dict)
    """Executions that were there before, by name; what each look at them shows."""

    def start_execution(self, **request: Any) -> dict[str, Any]:
        self.started.append({**request, "input": json.loads(request["input"])})
        if self.on_start:
            self.on_start(request["name"])
        return {"executionArn": request["stateMachineArn"].replace("stateMachine", "execution") + f":{request['name']}"}

    def describe_execution(self, executionArn: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's name
        name = executionArn.rpartition(":")[2]
        if (before := self.earlier.get(name)) is not None:
            if isinstance(before, ClientError):
                raise before
            return before
        look, *rest = self.looks
        if rest:
            self.looks = rest
        elif self.on_end:
            ended = self.on_end(executionArn.rpartition(":")[2])
            self.on_end = None
            if isinstance(ended, dict):
                self.looks = [look] = [{**look, "output": json.dumps(ended)}]
        if "raise" in look:
            raise look["raise"]
        return look

    def get_execution_history(self, **_: Any) -> Mapping[str, Any]:
        if not self.steps:
            return {"events": [{"type": "ExecutionStarted"}]}
        step, *rest = self.steps
        if rest:
            self.steps = rest
        entered = {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": step}}
        return {"events": [{"type": "TaskScheduled"}, entered, {"type": "ExecutionStarted"}]}

    def list_map_runs(self, executionArn: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's name
        return {"mapRuns": [{"mapRunArn": "run"}] if self.map_runs else []}

    def describe_map_run(self, mapRunArn: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's name
        run, *rest = self.map_runs
        if rest:
            self.map_runs = rest
        return run


def map_run(status: str, succeeded: int, total: int, failed: int = 0) -> dict[str, Any]:
    counts = {"succeeded": succeeded, "total": total, "failed": failed, "timedOut": 0, "aborted": 0}
    return {"status": status, "itemCounts": counts}


def denied(operation: str, code: str = "AccessDeniedException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"User: someone may not {operation}"}}, operation)


@cache
def _session() -> boto3.Session:
    # One for all tests: what botocore reads to make its first clients takes longer than most tests.
    return boto3.Session(region_name=REGION)


class Deployed:
    """What is deployed, and an operator who types commands."""

    def __init__(self, *repositories: Repository) -> None:
        self.aws = Aws(_session(), pause=lambda _: None)
        self.lambda_ = FakeLambda()
        self.workflows = FakeWorkflows()
        self.aws.lambda_ = cast("Any", self.lambda_)
        self.aws.stepfunctions = cast("Any", self.workflows)
        self._ledger = DynamoRecordingLedger(self.aws.dynamodb, NAMES.ledger)
        self._attempts = 0
        for table in (NAMES.ledger, NAMES.operations):
            create_table(self.aws.dynamodb, table)
        self.aws.s3.create_bucket(Bucket=RECORDS, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self.aws.s3.put_bucket_versioning(Bucket=RECORDS, VersioningConfiguration={"Status": "Enabled"})
        for repository in repositories:
            self.deploy(repository)

    def deploy(self, repository: Repository) -> None:
        self.aws.ssm.put_parameter(
            Name=NAMES.repository_parameter(repository.name),
            Value=repository.model_dump_json(),
            Type="String",
            Overwrite=True,
        )

    def record(
        self, repository: str, entries: Iterable[ListedVersion], cut: float = 0, cause: Cause | None = None
    ) -> StateHeader:
        """Write a state to the ledger as `record` does, cut `cut` seconds after noon."""
        head = self._ledger.head(Repository(name=repository, bucket="any").repository)
        name = Repository(name=repository, bucket="any").repository
        taken = take_cut(listing(*entries), at(cut))
        self._attempts += 1
        attempt = AttemptId(f"attempt-{self._attempts}")
        packed = list(chunks.encode(taken.versions))
        header = describe(
            taken,
            repository=name,
            parent=self._ledger.header(name, head.generation) if head else None,
            own_chunks=ChunkSet(attempt=attempt, count=len(packed), digest=chunks.digest(packed)),
            recorded_at=at(cut + 3),
            cause=cause or Cause(reason="schedule"),
        )
        self._ledger.begin(name, attempt, at(cut), at(cut) + timedelta(minutes=1))
        self._ledger.reserve(name, attempt, len(packed))
        for number, chunk in enumerate(packed):
            self._ledger.put_chunk(attempt, number, chunk)
        self._ledger.commit(header, attempt, head)
        return header

    def judge(
        self,
        header: StateHeader,
        *findings: Finding,
        level: CheckLevel = CheckLevel.CONSISTENT,
        by: str = "schedule",
        seconds: float = 600.0,
        target: str | None = None,
        figures: Mapping[str, int] | None = None,
    ) -> Verdict:
        """Write a verdict as a check does, with what was acknowledged left out, `seconds` after noon."""
        said = DynamoAcknowledgements(self.aws.dynamodb, NAMES.operations).acknowledgements(header.repository)
        judged = conclude(header, level, findings, said, judged_at=at(seconds), by=by, target=target, figures=figures)
        DynamoVerdictLog(self.aws.dynamodb, NAMES.operations).append(judged)
        return judged.verdict

    def acknowledge(self, verdict: Verdict, finding: Finding) -> None:
        """Lay a finding of a verdict to rest, as the function does."""
        log = DynamoAcknowledgements(self.aws.dynamodb, NAMES.operations)
        log.append(verdict, finding.id, finding.evidence, "somebody", at(700))

    def head(self, repository: str) -> Head:
        head = self._ledger.head(Repository(name=repository, bucket="any").repository)
        assert head is not None
        return head

    def change_item(self, table: str, pk: str, sk: str, **attributes: Any) -> None:
        """Somebody edits a table by hand; an attribute of None is removed, and no attributes remove the item."""
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        if not attributes:
            self.aws.dynamodb.delete_item(TableName=table, Key=key)
            return
        item = self.aws.dynamodb.get_item(TableName=table, Key=key).get("Item", key)
        self.aws.dynamodb.put_item(TableName=table, Item={**item, **attributes})

    def report(
        self,
        header: StateHeader,
        target: Location,
        execution: str,
        *,
        troubles: Sequence[Trouble] = (),
        shortened: bool = False,
        **changes: Any,
    ) -> RestoreReport:
        """Write the report that the verify step would, to both places."""
        kinds = [trouble.kind.value for trouble in troubles]
        counts = {kind: kinds.count(kind) for kind in ("unproven", "missing", "damaged", "failed", "unexpected")}
        values: dict[str, Any] = {
            "plan": Digest("d" * 64),
            "execution": execution,
            "repository": header.repository,
            "state": header.id,
            "source": Location(bucket="any-bucket"),
            "target": target,
            "outcome": "restored",
            "objects": header.objects,
            "bytes": header.bytes,
            "proven": header.objects - len(kinds),
            "copied": header.objects,
            "copied_bytes": header.bytes,
            "skipped": 0,
            **counts,
            "content_root": header.content_root,
            "found_content_root": header.content_root,
            "troubles": tuple(troubles),
        }
        report = RestoreReport.model_validate({**values, **changes})
        self.aws.s3.put_object(Bucket=RECORDS, Key=report_file(report.plan, execution), Body=report.canonical())
        kept = report.model_copy(update={"troubles": (), "left_out": len(report.troubles)}) if shortened else report
        self.aws.dynamodb.put_item(
            TableName=NAMES.operations,
            Item={
                "pk": {"S": header.repository},
                "sk": {"S": f"restore#{execution}"},
                "report": {"B": kept.canonical()},
            },
        )
        return report

    def rwm(self, *arguments: str, typed: str | None = None) -> Result:
        """Type `rwm ARGUMENTS`."""
        runner = CliRunner(env={"COLUMNS": "200", "RWM_DEPLOYMENT": None})
        return runner.invoke(app, list(arguments), obj=lambda prefix: Deployment(Names(prefix), self.aws), input=typed)


def document(result: Result) -> Any:
    """The one JSON document on stdout."""
    return json.loads(result.stdout)


def sentence(result: Result) -> str:
    """What stderr says, in one line."""
    return " ".join(result.stderr.split())

"""Look at every repository, and tell people what begins to be wrong and what is over.

gather: of each repository the chain's two ends, the newest verdicts, posture, plans, drill and lock upkeep, of all
together the newest prunes and the dead letters, and what the last look kept  ->  decide: which conditions are open,
what of them is news, what is over  ->  apply: tell it, then keep it.

Whoever finds something tells it at once. The watch tells what nobody finds: what does not happen any more; what nobody
could be told of; and the end of everything.

Permissions of `rwm-watch`, and why:
- dynamodb:GetItem, dynamodb:Query on the ledger: when the newest state was recorded, and of which time it is.
- dynamodb:Query on operations, but no task token: verdicts, postures, plans, decisions, drills, locks, and its own
  reports; dynamodb:PutItem there, partitions `watch#*` only: what it told.
- sqs:GetQueueUrl, sqs:GetQueueAttributes on the dead-letter queue: how many messages wait. It reads none.
- states:ListExecutions on the prune workflow, states:DescribeExecution on its executions: how prunes ended.
- sns:Publish on the topic of alerts.

Security rules:
- Only AWS's clock counts: the `Date` of DynamoDB's answer.
- What cannot be read is told, and ends nothing.
- A repository that cannot be looked at does not stop the others; the function fails at its end, and its alarm tells.
- A message names no key, no path, and not the cause by which a prune failed: that is for who may see it.

Killed at any point and run again, people hear of it twice rather than never: what is kept was told before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import islice
from typing import Any, Literal, TypeVar

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.documents import Part, UnreadableDocument
from functions.domain.notices import EVERY_REPOSITORY, Notice, NoticeKind
from functions.domain.ports import (
    ApprovalReader,
    AwsClock,
    DeadLetters,
    DrillReportReader,
    LedgerReader,
    LockReportReader,
    NewestPosture,
    Notifier,
    NotTold,
    PlanReader,
    PruneExecutions,
    VerdictReader,
    WatchLog,
)
from functions.domain.repositories import Configuration, Repository
from functions.domain.values import RepositoryName, Severity
from functions.domain.watch.conditions import Condition
from functions.domain.watch.decide import Look, Over, WatchReport, look_at, look_at_deployment
from functions.domain.watch.facts import (
    MOST_HEADERS,
    MOST_PLANS,
    DecidedPlan,
    Facts,
    Prune,
    Source,
    States,
    Unread,
    newest_of_each_level,
)
from functions.domain.watch.messages import opened, over
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.drills import DynamoDrillReports
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.locks import DynamoLockReports
from functions.storage.notices import SnsNotifier
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.verdicts import DynamoVerdictReader
from functions.storage.watch import (
    DynamoClock,
    DynamoNewestPosture,
    DynamoWatchLog,
    SqsDeadLetters,
    StepFunctionsPrunes,
)

Fact = TypeVar("Fact")
Recent = Mapping[RepositoryName, tuple[Prune, ...]]


class WatchRequest(Part):
    """What the schedule or an operator asks for: all of it, always."""

    reason: Literal["schedule", "operator"]


class WatchEnvironment(Environment):
    """What this function is told beside the others."""

    prune_workflow: str = Field(alias="RWM_PRUNE_WORKFLOW", min_length=1)
    """ARN of its state machine."""
    dead_letters: str = Field(alias="RWM_DEAD_LETTERS", min_length=1)
    """Name of the queue."""


@dataclass(frozen=True, slots=True)
class WatchPorts:
    """All that the watch may touch."""

    clock: AwsClock
    ledger: LedgerReader
    verdicts: VerdictReader
    posture: NewestPosture
    plans: PlanReader
    approvals: ApprovalReader
    prunes: PruneExecutions
    drills: DrillReportReader
    locks: LockReportReader
    dead_letters: DeadLetters
    log: WatchLog
    notifier: Notifier


class WatchFailed(Exception):
    """Something could not be looked at, or people could not be told of it; the message says of which repositories. What
    was not told, the next look tells."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look came to, for the log and the metrics."""

    look: Look
    facts: Facts | None
    """None: it was at the deployment as a whole."""
    told: tuple[str, ...]
    """Subjects."""
    untold: int
    """Notices that SNS did not take."""


def watch(repositories: Sequence[Repository], ports: WatchPorts, seen: Callable[[Watched], None]) -> None:
    """Look at the deployment and at each of `repositories`, and give each look to `seen` as soon as it is over.

    Raises WatchFailed, at the end.
    """
    failed: dict[str, str] = {}
    prunes: Recent | Unread = Unread("nobody asked")

    def look_and_tell(name: RepositoryName, look: Callable[[WatchReport | None], tuple[Look, Facts | None]]) -> None:
        try:
            before = _kept(name, ports, failed)
            watched = _told(*look(before), ports)
            seen(watched)
            if watched.untold:
                failed[name] = f"{watched.untold} notice(s) were not taken"
        except Exception as error:  # noqa: BLE001 - one must not hide the others: the function fails at its end
            failed[name] = _why(error)

    def at_the_deployment(before: WatchReport | None) -> tuple[Look, None]:
        nonlocal prunes
        prunes = _fact(ports.prunes.recent)
        dead_letters = _fact(ports.dead_letters.waiting)
        unread = prunes if isinstance(prunes, Unread) else None
        return look_at_deployment(ports.clock.now(), dead_letters, unread, before), None

    look_and_tell(EVERY_REPOSITORY, at_the_deployment)
    for repository in repositories:

        def at_it(before: WatchReport | None, repository: Repository = repository) -> tuple[Look, Facts]:
            facts = gather(repository, prunes, ports)
            return look_at(repository, facts, before), facts

        look_and_tell(repository.repository, at_it)
    if failed:
        logger.error("not watched", extra={"repositories": failed})
        raise WatchFailed("; ".join(f"{name}: {why}" for name, why in failed.items()))


def gather(repository: Repository, prunes: Recent | Unread, ports: WatchPorts) -> Facts:
    """Everything that is to be known of one repository, each by itself."""
    name = repository.repository
    return Facts(
        now=ports.clock.now(),
        states=_fact(lambda: _states(name, ports)),
        verdicts=_fact(lambda: newest_of_each_level(ports.verdicts.verdicts(name))),
        posture=_fact(lambda: ports.posture.findings(name)),
        plans=_fact(lambda: _plans(name, ports)),
        prunes=prunes if isinstance(prunes, Unread) else prunes.get(name, ()),
        drill=_fact(lambda: ports.drills.newest(name)),
        locks=_fact(lambda: ports.locks.newest(name)),
    )


def _states(name: RepositoryName, ports: WatchPorts) -> States:
    newest = tuple(islice(ports.ledger.headers(name), MOST_HEADERS))
    return States(newest, ports.ledger.header(name, 1) if newest else None)


def _plans(name: RepositoryName, ports: WatchPorts) -> tuple[DecidedPlan, ...]:
    asked = [each for each in ports.plans.plans(name) if each.approval == "needed" and not each.does_nothing]
    return tuple(DecidedPlan(each, ports.approvals.decided(name, each.plan)) for each in asked[:MOST_PLANS])


def _kept(name: RepositoryName, ports: WatchPorts, failed: dict[str, str]) -> WatchReport | None:
    """What the last look kept. One that cannot be read is replaced: then people hear again of what stands."""
    try:
        return ports.log.newest(name)
    except UnreadableDocument as error:
        failed[name] = _why(error)
        return None


def _told(look: Look, facts: Facts | None, ports: WatchPorts) -> Watched:
    """Tell all that is to be told, then keep what people heard."""
    heard: list[Condition] = []
    ended: list[Over] = []
    told: list[str] = []

    def tell(notice: Notice) -> bool:
        try:
            ports.notifier.notify(notice)
        except NotTold:
            return False
        told.append(notice.subject)
        return True

    heard.extend(each for each in look.news if tell(opened(look.repository, each)))
    ended.extend(each for each in look.over if tell(over(look.repository, each)))
    ports.log.keep(look.report(heard, ended))
    return Watched(look, facts, tuple(told), len(look.news) + len(look.over) - len(told))


def _fact(read: Callable[[], Fact]) -> Fact | Unread:
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - whatever stands in the way, it is told, and the other facts count
        return Unread(_why(error))


def _why(error: Exception) -> str:
    """What kind of error: its text may quote what was stored."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, Mapping) else None
    return f"{type(error).__name__} {code}" if code else type(error).__name__


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="watch")
metrics = Metrics(namespace="RWM", service="watch")


@dataclass(frozen=True, slots=True)
class WatchFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: WatchPorts

    def on_request(self, event: object) -> dict[str, Any]:
        """Watch for the Scheduler or an operator, and say what is open. Raises WatchFailed."""
        WatchRequest.model_validate(event)
        looks: list[Watched] = []

        def seen(watched: Watched) -> None:
            looks.append(watched)
            _count(watched)

        watch(self.configuration.repositories, self.ports, seen)
        return {str(each.look.repository): _said(each) for each in looks}


def _said(watched: Watched) -> dict[str, Any]:
    look = watched.look
    return {
        "open": [
            *(f"{each.severity} {each.name}" for each in look.standing),
            *(f"{each.severity} {each.name}" for each in look.carried),
        ],
        "told": list(watched.told),
    }


def _count(watched: Watched) -> None:
    """Log and count."""
    look, facts = watched.look, watched.facts
    log = logger.error if watched.untold else logger.info
    log("watched", extra={"repository": look.repository, **_said(watched), "untold": watched.untold})
    if facts is None:
        letters = next((each for each in look.standing if each.kind is NoticeKind.DEAD_LETTERS), None)
        if not any(each.source is Source.DEAD_LETTERS for each in look.carried):
            _measure({}, "DeadLetters", MetricUnit.Count, int(letters.details["messages"]) if letters else 0)
        return
    where = {"repository": str(look.repository)}
    for severity in Severity:
        _measure({**where, "severity": severity}, "OpenConditions", MetricUnit.Count, look.count(severity))
    for name, at in (
        ("NewestBackupAge", facts.newest_snapshot),
        ("NewestStateAge", facts.newest.cut_time if facts.newest else None),
    ):
        if at is not None:
            _measure(where, name, MetricUnit.Seconds, (facts.now - at) / timedelta(seconds=1))


def _measure(where: Mapping[str, str], name: str, unit: MetricUnit, value: float) -> None:
    for dimension, of in where.items():
        metrics.add_dimension(name=dimension, value=of)
    metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()


@cache
def _function() -> WatchFunction:
    environment = WatchEnvironment.read()
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    operations = environment.operations
    return WatchFunction(
        read_bundled(),
        WatchPorts(
            clock=DynamoClock(dynamodb, operations),
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            verdicts=DynamoVerdictReader(dynamodb, operations),
            posture=DynamoNewestPosture(dynamodb, operations),
            plans=DynamoPlanShelf(dynamodb, operations),
            approvals=DynamoApprovals(dynamodb, operations),
            prunes=StepFunctionsPrunes(boto3.client("stepfunctions", config=CLIENT), environment.prune_workflow),
            drills=DynamoDrillReports(dynamodb, operations),
            locks=DynamoLockReports(dynamodb, operations),
            dead_letters=SqsDeadLetters(boto3.client("sqs", config=CLIENT), environment.dead_letters),
            log=DynamoWatchLog(dynamodb, operations),
            notifier=SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts),
        ),
    )


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> Mapping[str, Any]:
    """`{"reason": "schedule" | "operator"}` -> by repository, and `*` for the deployment: `{"open": [severity and name
    of each condition], "told": [subjects]}`. Raises WatchFailed."""
    return _function().on_request(event)

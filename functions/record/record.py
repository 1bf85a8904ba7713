"""Record the bucket state that an event, a schedule or an operator asks for.

gather: versioning, S3's clock, the listing  ->  decide: the cut and its header  ->  apply: chunks, then
one transaction that writes the header and advances the head, then the head's anchor.

Security rules:
- The queue decides the repository; nothing in a message does.
- The header is written after all of its chunks and never changed.
- Killed between any two calls, it leaves either the old head or the new one; the next run does the rest.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain import chunks
from functions.domain.cut import Cut, cut_time, may_list, take_cut
from functions.domain.events import BadEvent, Request, read_event
from functions.domain.ports import (
    BucketConfiguration,
    FindingLog,
    HeadAnchor,
    HeadMoved,
    MessageDelay,
    RecordingInFlight,
    RecordingLedger,
    VersionLister,
)
from functions.domain.recording import Answered, Due, NotYet, decide, look_again
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, Finding, Severity, Versioning, zulu
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration, S3VersionLister
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.operations import DynamoFindingLog
from functions.storage.queue import SqsMessageDelay
from functions.storage.records import S3HeadAnchor

LEASE = timedelta(minutes=16)
"""Longer than the function can run, so that a lease which ended belongs to nobody."""
QUIET_TRIES = 3
"""How often a cut with something at its edge is taken again before it is recorded as it is."""
QUIET_DELIVERIES = 3
"""How often an event may come back for a state without restic at work, before a busy one answers it."""
BUSY_PATIENCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RecordPorts:
    """All that recording one repository may touch."""

    bucket: BucketConfiguration
    lister: VersionLister
    ledger: RecordingLedger
    anchor: HeadAnchor
    findings: FindingLog
    pause: Callable[[float], None] = time.sleep
    new_attempt: Callable[[], AttemptId] = lambda: AttemptId(uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class Wish:
    """Why somebody wants a state."""

    cause: Cause
    sent: datetime | None = None
    """When the event was sent, on AWS's clock; None: now."""
    newest_sent: datetime | None = None
    """When the newest event that the same state can answer was sent."""
    deliveries: int = 1

    @property
    def wants_quiet(self) -> bool:
        return self.cause.reason == "event" and self.deliveries < QUIET_DELIVERIES


@dataclass(frozen=True, slots=True)
class Recorded:
    """A new state is the head."""

    header: StateHeader


@dataclass(frozen=True, slots=True)
class Refused:
    """No state can be trusted here; the finding says why."""

    finding: Finding


Outcome = Recorded | Answered | NotYet | Refused


def record(repository: Repository, wish: Wish, ports: RecordPorts) -> Outcome:
    """Record one state of `repository` if `wish` needs one."""
    name = repository.repository
    head = ports.ledger.head(name)
    if head is not None:
        # A run that was killed after its commit left this head without its anchor.
        ports.anchor.anchor(head)
    now = ports.bucket.now()
    # Before anything else: that the protection is off must not wait for an interval to end.
    if (versioning := ports.bucket.versioning()) is not Versioning.ENABLED:
        return _refuse(_versioning_finding(repository, versioning, now), head, ports)
    sent = wish.sent or now
    decision = decide(sent=sent, head=head, now=now, min_interval=repository.min_interval, wants_quiet=wish.wants_quiet)
    if not isinstance(decision, Due):
        return decision
    attempt = ports.new_attempt()
    try:
        ports.ledger.begin(name, attempt, now, now + LEASE)
    except RecordingInFlight as other:
        return NotYet(until=look_again(now, other.until, wish.deliveries), why=str(other))
    try:
        cut = _quiet_cut(max(sent, wish.newest_sent or sent), now, ports)
        if cut.null_versions and not ports.bucket.object_lock():
            outcome: Outcome = _refuse(_null_finding(repository, cut), head, ports)
        else:
            outcome = _commit(repository, cut, attempt, head, wish.cause, ports)
    except BaseException:
        # Not to make the next run wait for the lease to end. When even this fails, the lease ends by itself.
        ports.ledger.abandon(name, attempt, now)
        raise
    if not isinstance(outcome, Recorded):
        ports.ledger.abandon(name, attempt, ports.bucket.now())
    return outcome


def _quiet_cut(sent: datetime, now: datetime, ports: RecordPorts) -> Cut:
    """The cut that answers an event of `sent`, preferably one with nothing at its edge."""
    for _ in range(QUIET_TRIES):
        at = cut_time(sent, now)
        while not may_list(at, now):
            ports.pause(1.0)
            now = ports.bucket.now()
        cut = take_cut(ports.lister.versions(), at)
        if not cut.edge:
            break
        now = ports.bucket.now()
    return cut


def _commit(
    repository: Repository, cut: Cut, attempt: AttemptId, head: Head | None, cause: Cause, ports: RecordPorts
) -> Outcome:
    """Write the cut's chunks, then commit its header after whatever head there is by then."""
    name = repository.repository
    packed = list(chunks.encode(cut.versions))
    own = ChunkSet(attempt=attempt, count=len(packed), digest=chunks.digest(packed))
    written = False
    while True:
        if head is not None and cut.time <= head.cut_time:
            return Answered(by=head)
        parent = _parent(head, ports)
        header = describe(
            cut,
            repository=name,
            parent=parent,
            own_chunks=own,
            recorded_at=ports.bucket.now(),
            cause=cause,
        )
        if header.kind == "base" and not written:
            ports.ledger.reserve(name, attempt, len(packed))
            for number, chunk in enumerate(packed):
                ports.ledger.put_chunk(attempt, number, chunk)
            written = True
        try:
            ports.ledger.commit(header, attempt, head)
        except HeadMoved:
            head = ports.ledger.head(name)
            continue
        ports.anchor.anchor(Head.of(header))
        return Recorded(header)


def _parent(head: Head | None, ports: RecordPorts) -> StateHeader | None:
    if head is None:
        return None
    parent = ports.ledger.header(head.repository, head.generation)
    if parent is None or parent.id != head.state:
        raise BrokenChain(
            f"the head of {head.repository} names state {head.state[:12]} of generation {head.generation}, which the "
            "ledger does not hold; nothing was recorded; compare it with heads/ in the records bucket"
        )
    return parent


class BrokenChain(Exception):
    """The ledger was changed by somebody else than record."""


def _refuse(finding: Finding, head: Head | None, ports: RecordPorts) -> Refused:
    ports.findings.append(finding, head.generation if head else 0)
    return Refused(finding)


def _versioning_finding(repository: Repository, versioning: Versioning, now: datetime) -> Finding:
    return Finding(
        id="versioning-not-enabled",
        severity=Severity.FAIL,
        repository=repository.repository,
        since=now,
        what=f"versioning of bucket {repository.bucket} is {versioning}: a host's PUT or DELETE destroys what was "
        "there; no state was recorded",
        remedy="enable versioning and Object Lock on the bucket, find out who changed it, then run "
        f"`rwm record {repository.name}`",
    )


def _null_finding(repository: Repository, cut: Cut) -> Finding:
    return Finding(
        id="null-version",
        severity=Severity.FAIL,
        repository=repository.repository,
        since=cut.time,
        what=f"{len(cut.null_versions)} objects of bucket {repository.bucket} have version id null: were versioning "
        "suspended, a PUT would replace them; no state was recorded",
        remedy="enable Object Lock on the bucket, so that nobody can suspend versioning, or copy these objects onto "
        f"themselves; then run `rwm record {repository.name}`",
    )


# --- the Lambda function: two ways in, a queue's messages and a direct request -----------------------------

logger = Logger(service="record")
metrics = Metrics(namespace="RWM", service="record")


class _GiveBack(Exception):
    """The message stays in its queue."""


@dataclass(frozen=True, slots=True)
class RecordFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: Callable[[Repository], RecordPorts]
    messages: MessageDelay

    def on_messages(self, event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
        """Answer a batch of one queue's messages; those that must come back are named, the others are done."""
        newest = max(_sent(message["attributes"]["SentTimestamp"]) for message in event["Records"])

        # Powertools hands the message over by this name.
        def answer(record: SQSRecord) -> None:
            try:
                self._answer(record, newest)
            except _GiveBack:
                raise
            except Exception:
                # The batch processor makes of it a message that stays in the queue, without a word.
                logger.exception("recording failed", extra={"message_id": record.message_id})
                raise

        processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        return process_partial_response(event=event, record_handler=answer, processor=processor, context=context)

    def on_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Record for the Scheduler or an operator, and say what came of it."""
        asked = Request.model_validate(request)
        repository = self.configuration.find(asked.repository)
        if repository is None:
            raise BadEvent(f"no repository {asked.repository!r} is deployed; nothing was recorded")
        return _report(self._record(repository, Wish(cause=Cause(reason=asked.reason))))

    def _answer(self, message: SQSRecord, newest: datetime) -> None:
        repository = self._of_queue(message.event_source_arn)
        sent = _sent(message.attributes.sent_timestamp or "")
        deliveries = int(message.attributes.approximate_receive_count)
        try:
            done = read_event(message.body, repository.repository)
        except BadEvent as error:
            logger.warning(
                "message refused; it goes to the dead-letter queue",
                extra={"repository": repository.name, "message_id": message.message_id, "why": str(error)},
            )
            # At once: waiting cannot mend it, and the dead-letter queue is where a person sees it.
            self.messages.delay(message.event_source_arn, message.receipt_handle, 0)
            raise _GiveBack(str(error)) from error
        cause = Cause(
            reason="event",
            sent=sent,
            sender=(message.attributes.sender_id or "")[:128] or None,
            snapshot=done.snapshot,
            outcome=done.outcome,
        )
        wish = Wish(cause=cause, sent=sent, newest_sent=newest, deliveries=deliveries)
        outcome = self._record(repository, wish)
        until = _comes_back(outcome, wish, repository)
        if until is not None:
            wait = max(1, int((until - datetime.now(UTC)).total_seconds()) + 1)
            self.messages.delay(message.event_source_arn, message.receipt_handle, wait)
            raise _GiveBack(f"to be looked at again at {zulu(until)}")

    def _record(self, repository: Repository, wish: Wish) -> Outcome:
        outcome = record(repository, wish, self.ports(repository))
        _tell(repository, outcome)
        return outcome

    def _of_queue(self, queue_arn: str) -> Repository:
        queue = queue_arn.rpartition(":")[2]
        for repository in self.configuration.repositories:
            if self.configuration.names.queue(repository.name) == queue:
                return repository
        raise BadEvent(f"no repository has queue {queue}; nothing was recorded")


def _sent(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _comes_back(outcome: Outcome, wish: Wish, repository: Repository) -> datetime | None:
    """When a message must be looked at again; None when it is done."""
    match outcome:
        case NotYet(until=until):
            return until
        case Recorded(header=header) if header.busy and wish.wants_quiet:
            return header.recorded_at + max(repository.min_interval, BUSY_PATIENCE)
        case _:
            return None


def _tell(repository: Repository, outcome: Outcome) -> None:
    """Log and count; never a key, a path or a body."""
    extra: dict[str, Any] = {"repository": repository.name, "answer": _report(outcome)}
    metrics.add_dimension(name="repository", value=repository.name)
    match outcome:
        case Recorded(header=header):
            logger.info("state recorded", extra=extra)
            metrics.add_metric(name="StatesRecorded", unit=MetricUnit.Count, value=1)
            metrics.add_metric(name="Objects", unit=MetricUnit.Count, value=header.objects)
            metrics.add_metric(name="Bytes", unit=MetricUnit.Bytes, value=header.bytes)
            metrics.add_metric(name="HiddenKeys", unit=MetricUnit.Count, value=header.hidden)
        case Refused():
            logger.error("no state recorded", extra=extra)
            metrics.add_metric(name="RecordingsRefused", unit=MetricUnit.Count, value=1)
        case _:
            logger.info("nothing to record", extra=extra)
            metrics.add_metric(name="EventsCoalesced", unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


def _report(outcome: Outcome) -> dict[str, Any]:
    """What the `rwm` command is told."""
    report: dict[str, Any] = {"state": None, "generation": None, "until": None, "findings": [], "message": ""}
    match outcome:
        case Recorded(header=header):
            return report | {"outcome": "recorded", "state": header.id, "generation": header.generation}
        case Answered(by=head):
            return report | {"outcome": "answered", "state": head.state, "generation": head.generation}
        case NotYet(until=until, why=why):
            return report | {"outcome": "not-yet", "until": zulu(until), "message": why}
        case Refused(finding=finding):
            told = {name: getattr(finding, name) for name in ("id", "severity", "what", "remedy")}
            return report | {"outcome": "refused", "findings": [told], "message": finding.what}


@cache
def _function() -> RecordFunction:
    environment = Environment.read()
    s3 = boto3.client("s3", config=CLIENT)
    dynamodb = boto3.client("dynamodb", config=CLIENT)

    def ports(repository: Repository) -> RecordPorts:
        return RecordPorts(
            bucket=S3BucketConfiguration(s3, repository.bucket),
            lister=S3VersionLister(s3, repository.bucket, repository.key_prefix),
            ledger=DynamoRecordingLedger(dynamodb, environment.ledger),
            anchor=S3HeadAnchor(s3, environment.records),
            findings=DynamoFindingLog(dynamodb, environment.operations),
        )

    return RecordFunction(read_bundled(), ports, SqsMessageDelay(boto3.client("sqs", config=CLIENT)))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Entry point: a queue's batch, or `{"repository": NAME, "reason": "schedule" | "operator"}`."""
    if "Records" in event:
        return _function().on_messages(event, context)
    return _function().on_request(event)

"""Two ways to ask for a state: a queue's messages, and a direct request of the Scheduler or an operator.

Security rules:
- The queue decides the repository; nothing in a message does.
- A message that cannot be answered stays in its queue until it is a dead letter; none is dropped in silence.
- A log counts, and names findings: never a key, a path or a body.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.domain.events import BadEvent, RecordRequest, read_event
from functions.domain.ports import MessageDelay
from functions.domain.recording import Answered, NotYet, Outcome, Recorded, Refused, Wish
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import Cause
from functions.domain.values import Finding, Severity, zulu
from functions.domain.verdict import SeenFinding, Verdict

BUSY_PATIENCE = timedelta(minutes=1)

logger = Logger(service="record")
metrics = Metrics(namespace="RWM", service="record")


class _GiveBack(Exception):
    """The message stays in its queue."""


@dataclass(frozen=True, slots=True)
class RecordFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    record: Callable[[Repository, Wish], Outcome]
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
        asked = RecordRequest.model_validate(request)
        repository = self.configuration.deployed(asked.repository, BadEvent, "nothing was recorded")
        return report(self._record(repository, Wish(cause=Cause(reason=asked.reason), at_once=asked.at_once)))

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
        outcome = self.record(repository, wish)
        tell(repository, outcome)
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


def tell(repository: Repository, outcome: Outcome) -> None:
    """Log what came of a wish, and count."""
    answer = report(outcome)
    ids = [f"{finding['severity']} {finding['id']}" for finding in answer["findings"]]
    extra: dict[str, Any] = {"repository": repository.name, "answer": answer | {"findings": ids}}
    metrics.add_dimension(name="repository", value=repository.name)
    match outcome:
        case Recorded(header=header, verdict=verdict):
            (logger.info if verdict.outcome == "pass" else logger.error)("state recorded", extra=extra)
            metrics.add_metric(name="StatesRecorded", unit=MetricUnit.Count, value=1)
            metrics.add_metric(name="Objects", unit=MetricUnit.Count, value=header.objects)
            metrics.add_metric(name="Bytes", unit=MetricUnit.Bytes, value=header.bytes)
            metrics.add_metric(name="HiddenKeys", unit=MetricUnit.Count, value=header.hidden)
            _count_findings(repository, verdict)
        case Refused():
            logger.error("no state recorded", extra=extra)
            metrics.add_metric(name="RecordingsRefused", unit=MetricUnit.Count, value=1)
        case _:
            logger.info("nothing to record", extra=extra)
            metrics.add_metric(name="EventsCoalesced", unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


def _count_findings(repository: Repository, verdict: Verdict) -> None:
    for severity in Severity:
        count = sum(finding.severity is severity for finding in verdict.findings)
        metrics.add_metric(name=f"Consistent{severity.capitalize()}s", unit=MetricUnit.Count, value=count)
    untold = [finding.id for finding in verdict.findings if not finding.told]
    metrics.add_metric(name="FindingsUntold", unit=MetricUnit.Count, value=len(untold))
    if untold:
        logger.error(
            "findings could not be published; the next recording tries again",
            extra={"repository": repository.name, "findings": untold},
        )


def report(outcome: Outcome) -> dict[str, Any]:
    """What the `rwm` command is told."""
    said: dict[str, Any] = {"state": None, "generation": None, "until": None, "findings": [], "message": ""}
    match outcome:
        case Recorded(header=header, verdict=verdict):
            told = [_told(each) for each in verdict.findings if each.severity is not Severity.NOTE]
            state = {"state": header.id, "generation": header.generation}
            return said | state | {"outcome": "recorded", "findings": told}
        case Answered(by=head):
            return said | {"outcome": "answered", "state": head.state, "generation": head.generation}
        case NotYet(until=until, why=why):
            return said | {"outcome": "not-yet", "until": zulu(until), "message": why}
        case Refused(finding=finding):
            return said | {"outcome": "refused", "findings": [_told(finding)], "message": finding.what}


def _told(finding: Finding | SeenFinding) -> dict[str, str]:
    return {name: getattr(finding, name) for name in ("id", "severity", "what", "remedy")}

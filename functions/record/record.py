"""Record the bucket state that an event, a schedule or an operator asks for.

gather: versioning, S3's clock, the headers of kept states, what people approved, the listing  ->  decide: the cut,
its header, and what is wrong with it  ->  apply: the verdict, the chunks, then one transaction that writes the header
and advances the head, then the head's anchor.

`answering` is before it: how a message or a request becomes a wish for a state. `judging` is the verdict. What is too
large for one function is handed over (`handing_over`): `list_range` lists it in parts, and `close` records them.

Security rules:
- The header is written after its verdict and all of its chunks, and never changed.
- Killed between any two calls, it leaves either the old head or the new one; the next run does the rest.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.checking import VerdictPorts
from functions.domain.consistent.fold import observe
from functions.domain.consistent.fresh import Fresh, Usual
from functions.domain.content.known import Memory
from functions.domain.cut import Cut, cut_time, may_list
from functions.domain.findings import FindingId
from functions.domain.notices import notice_of
from functions.domain.ports import (
    ApprovalReader,
    BucketConfiguration,
    HeadAnchor,
    HeadMoved,
    OnceFindingLog,
    RecordingInFlight,
    RecordingLedger,
    VerifiedMemory,
    VersionLister,
)
from functions.domain.recording import (
    Answered,
    Due,
    HandedOver,
    NotYet,
    Outcome,
    Recorded,
    Refused,
    Wish,
    decide,
    look_again,
)
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.state import Cause, Head, StateHeader, describe
from functions.domain.values import AttemptId, Finding, Severity, Versioning
from functions.domain.verdict import CheckLevel, seen
from functions.environment import Environment
from functions.record.answering import RecordFunction, logger
from functions.record.handing_over import (
    LEASE_OF_RANGES,
    RANGES_PATIENCE,
    HandOver,
    TooLarge,
    expected_of,
    guessed,
    is_large,
    within,
)
from functions.record.judging import Past, damaged_states, judge_listing, judge_state, look_back
from functions.record.packing import Packed, most_changes, pack
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.content import DynamoVerifiedSets
from functions.storage.executions import StepFunctionsRanges
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.listing import S3VersionLister
from functions.storage.notices import SnsNotifier
from functions.storage.operations import DynamoFindingLog
from functions.storage.plans import DynamoApprovals
from functions.storage.queue import SqsMessageDelay
from functions.storage.records import S3HeadAnchor, S3RecordWriter
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

LEASE = timedelta(minutes=16)
"""Longer than the function can run, so that a lease which ended belongs to nobody."""
QUIET_TRIES = 3
"""How often a cut with something at its edge is taken again before it is recorded as it is."""


@dataclass(frozen=True, slots=True)
class RecordPorts:
    """All that recording one repository may touch."""

    bucket: BucketConfiguration
    lister: VersionLister
    ledger: RecordingLedger
    anchor: HeadAnchor
    findings: OnceFindingLog
    memory: VerifiedMemory
    approvals: ApprovalReader
    verdict: VerdictPorts
    hand_over: HandOver | None = None
    """Where what is too large for one function goes; None: here, whatever it is."""
    pause: Callable[[float], None] = time.sleep
    new_attempt: Callable[[], AttemptId] = lambda: AttemptId(uuid.uuid4().hex)


def record(repository: Repository, wish: Wish, ports: RecordPorts) -> Outcome:
    """Record one state of `repository` if `wish` needs one."""
    name = repository.repository
    head = ports.ledger.head(name)
    if head is not None:
        # A run that was killed after its commit left this head without its anchor.
        ports.anchor.anchor(head)
    versioning = ports.bucket.versioning()
    now = versioning.at
    # Before anything else: that the protection is off must not wait for an interval to end.
    if versioning.status is not Versioning.ENABLED:
        finding = _versioning_finding(repository, versioning.status, now)
        return _refuse(finding, CheckLevel.POSTURE, head, ports)
    sent = wish.sent or now
    interval = wish.interval(repository.min_interval)
    decision = decide(sent=sent, head=head, now=now, min_interval=interval, wants_quiet=wish.wants_quiet)
    if not isinstance(decision, Due):
        return decision
    large = ports.hand_over is not None and is_large(repository, _parent(head, ports))
    attempt = ports.new_attempt()
    try:
        ports.ledger.begin(name, attempt, now, now + (LEASE_OF_RANGES if large else LEASE))
    except RecordingInFlight as other:
        return NotYet(until=look_again(now, other.until, wish.deliveries), why=str(other))
    try:
        outcome = _under_lease(repository, wish, sent, now, attempt, ports, large=large)
    except TooLarge:
        ports.ledger.abandon(name, attempt, now)
        return _begin_large(repository, wish, ports)
    except BaseException:
        # Not to make the next run wait for the lease to end. When even this fails, the lease ends by itself.
        ports.ledger.abandon(name, attempt, now)
        raise
    if not isinstance(outcome, Recorded | HandedOver):
        ports.ledger.abandon(name, attempt, ports.bucket.now())
    return outcome


def _under_lease(
    repository: Repository,
    wish: Wish,
    sent: datetime,
    now: datetime,
    attempt: AttemptId,
    ports: RecordPorts,
    *,
    large: bool,
) -> Outcome:
    """What becomes of an attempt that is open. Raises TooLarge."""
    # Whoever had the lease until now may have recorded meanwhile: what answers this, or less than an interval ago.
    head = ports.ledger.head(repository.repository)
    interval = wish.interval(repository.min_interval)
    again = decide(sent=sent, head=head, now=now, min_interval=interval, wants_quiet=wish.wants_quiet)
    if not isinstance(again, Due):
        return again
    parent = _parent(head, ports)
    since = max(sent, wish.newest_sent or sent)
    if large and ports.hand_over is not None:
        return _hand_over(repository, since, now, attempt, expected_of(parent), wish.cause, ports, ports.hand_over)
    past = look_back(repository, now, ports.ledger, ports.approvals)
    fresh = _quiet_cut(repository, since, now, past, parent, ports)
    return _judge_and_commit(repository, fresh, past, attempt, head, wish.cause, ports)


def record_at(repository: Repository, at: datetime, attempt: AttemptId, cause: Cause, ports: RecordPorts) -> Outcome:
    """Record the cut at `at`, which has passed, as `ports.lister` shows it, under an attempt that is open."""
    head = ports.ledger.head(repository.repository)
    versioning = ports.bucket.versioning()
    if versioning.status is not Versioning.ENABLED:
        finding = _versioning_finding(repository, versioning.status, versioning.at)
        outcome: Outcome = _refuse(finding, CheckLevel.POSTURE, head, ports)
    elif head is not None and at <= head.cut_time:
        outcome = Answered(by=head)
    else:
        past = look_back(repository, versioning.at, ports.ledger, ports.approvals)
        fresh = _observe(repository, at, past, _parent(head, ports), ports)
        outcome = _judge_and_commit(repository, fresh, past, attempt, head, cause, ports)
    if not isinstance(outcome, Recorded):
        ports.ledger.abandon(repository.repository, attempt, versioning.at)
    return outcome


def _begin_large(repository: Repository, wish: Wish, ports: RecordPorts) -> NotYet:
    """A recording turned out to be too large only while it was listed: begin it anew, with the longer lease."""
    assert ports.hand_over is not None, "nothing is too large where nothing can be handed over"  # noqa: S101
    name, now, attempt = repository.repository, ports.bucket.now(), ports.new_attempt()
    since = max(filter(None, (wish.sent, wish.newest_sent)), default=now)
    try:
        ports.ledger.begin(name, attempt, now, now + LEASE_OF_RANGES)
    except RecordingInFlight as other:
        return NotYet(until=look_again(now, other.until, wish.deliveries), why=str(other))
    try:
        return _hand_over(repository, since, now, attempt, guessed(repository), wish.cause, ports, ports.hand_over)
    except BaseException:
        ports.ledger.abandon(name, attempt, now)
        raise


def _hand_over(
    repository: Repository,
    since: datetime,
    now: datetime,
    attempt: AttemptId,
    expected: Mapping[FileType, int],
    cause: Cause,
    ports: RecordPorts,
    to: HandOver,
) -> HandedOver:
    """Choose the cut that answers an event of `since`, and let the workflow list it. The lease goes with it."""
    at = cut_time(since, now)
    _wait_for(at, now, ports)
    to.begin(repository, attempt, at, expected, cause)
    return HandedOver(
        until=now + RANGES_PATIENCE,
        why=f"{repository.name} is too large for one function; execution {attempt} lists it in ranges and records it",
    )


def _wait_for(at: datetime, now: datetime, ports: RecordPorts) -> None:
    """Until a listing holds all that lies before `at`."""
    while not may_list(at, now):
        ports.pause(1.0)
        now = ports.bucket.now()


def _quiet_cut(
    repository: Repository,
    sent: datetime,
    now: datetime,
    past: Past,
    parent: StateHeader | None,
    ports: RecordPorts,
) -> Fresh:
    """The cut that answers an event of `sent`, preferably one with nothing at its edge; and what was current at past
    cuts, that of the parent among them."""
    tries = QUIET_TRIES
    while True:
        at = cut_time(sent, now)
        _wait_for(at, now, ports)
        fresh = _observe(repository, at, past, parent, ports)
        tries -= 1
        if not fresh.cut.edge or not tries:
            return fresh
        # Before the next listing: memory holds one cut of a large repository, not two.
        del fresh
        now = ports.bucket.now()


def _observe(repository: Repository, at: datetime, past: Past, parent: StateHeader | None, ports: RecordPorts) -> Fresh:
    """One listing, folded. Raises TooLarge."""
    cuts = dict.fromkeys(past.cuts(at), 0)
    if parent is not None:
        cuts[parent.cut_time] = most_changes(parent)
    blocks = ports.lister.blocks(expected_of(parent))
    if ports.hand_over is not None:
        blocks = within(repository, blocks)
    return observe(blocks, at, usual=Usual.of(repository), past=cuts)


def _judge_and_commit(
    repository: Repository,
    fresh: Fresh,
    past: Past,
    attempt: AttemptId,
    head: Head | None,
    cause: Cause,
    ports: RecordPorts,
) -> Outcome:
    # Where no version is null, it makes no difference.
    object_lock = not fresh.nulls or ports.bucket.object_lock()
    if fresh.cut.null_versions and not object_lock:
        return _refuse(_null_finding(repository, fresh.cut), CheckLevel.CONSISTENT, head, ports)
    findings = judge_listing(repository, fresh, past, ports.ledger, ports.memory, object_lock=object_lock)
    return _commit(repository, fresh, findings, attempt, head, cause, ports)


def _commit(
    repository: Repository,
    fresh: Fresh,
    findings: Sequence[Finding],
    attempt: AttemptId,
    head: Head | None,
    cause: Cause,
    ports: RecordPorts,
) -> Outcome:
    """Say what was found, write the cut's chunks, then commit its header after whatever head there is by then."""
    name, cut = repository.repository, fresh.cut
    damaged = damaged_states(name, ports.verdict.verdicts)
    written: Packed | None = None
    while True:
        if head is not None and cut.time <= head.cut_time:
            return Answered(by=head)
        parent = _parent(head, ports)
        packed = pack(fresh, parent, ports.ledger, damaged)
        header = describe(
            cut,
            repository=name,
            parent=parent,
            own_chunks=packed.set_of(attempt),
            recorded_at=ports.bucket.now(),
            cause=cause,
            delta=packed.delta,
            roots=fresh.roots,
            by_type=fresh.by_type,
        )
        # First: what is wrong is told even if the ledger cannot be written. And again when the head has moved, since
        # the header is another then; what was told once is no news to the second verdict.
        verdict = judge_state(header, fresh, findings, ports.verdict)
        if header.kind != "same" and (written is None or packed.chunks != written.chunks):
            # Chunks of a delta on a head that has moved are written over: no header names them.
            ports.ledger.reserve(name, attempt, max(len(each.chunks) for each in (packed, written) if each))
            for number, chunk in enumerate(packed.chunks):
                ports.ledger.put_chunk(attempt, number, chunk)
            written = packed
        try:
            ports.ledger.commit(header, attempt, head)
        except HeadMoved:
            head = ports.ledger.head(name)
            continue
        ports.anchor.anchor(Head.of(header))
        return Recorded(header, verdict)


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


def _refuse(finding: Finding, level: CheckLevel, head: Head | None, ports: RecordPorts) -> Refused:
    """Tell people once, then write it down. There is no state to record, so it fails as a whole when it cannot tell:
    the message comes back, and the finding is not yet written down as told."""
    generation = head.generation if head else 0
    if not ports.findings.has(finding, generation):
        ports.verdict.notifier.notify(notice_of(finding.repository, level, [seen(finding)]))
        ports.findings.append(finding, generation)
    return Refused(finding)


def _versioning_finding(repository: Repository, versioning: Versioning, now: datetime) -> Finding:
    return Finding(
        id=FindingId.VERSIONING_NOT_ENABLED,
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
        id=FindingId.NULL_VERSION,
        severity=Severity.FAIL,
        repository=repository.repository,
        since=cut.time,
        what=f"{len(cut.null_versions)} objects of bucket {repository.bucket} have version id null: were versioning "
        "suspended, a PUT would replace them; no state was recorded",
        remedy="enable Object Lock on the bucket, so that nobody can suspend versioning, or copy these objects onto "
        f"themselves; then run `rwm record {repository.name}`",
    )


# --- the Lambda function -----------------------------------------------------------------------------------


class _RecordEnvironment(Environment):
    ranges_workflow: str = Field(alias="RWM_RANGES_WORKFLOW", min_length=1)


@dataclass(frozen=True, slots=True)
class Wiring:
    """The clients of whoever records: made once per container."""

    environment: Environment
    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    sns: "SNSClient"

    @classmethod
    def read(cls, environment: Environment) -> "Wiring":
        clients = (boto3.client("s3", config=CLIENT), boto3.client("dynamodb", config=CLIENT))
        return cls(environment, *clients, boto3.client("sns", config=CLIENT))

    def ports(
        self, repository: Repository, lister: VersionLister | None = None, hand_over: HandOver | None = None
    ) -> RecordPorts:
        """`lister`: another than that of the bucket."""
        environment, dynamodb = self.environment, self.dynamodb
        ledger = DynamoRecordingLedger(dynamodb, environment.ledger)
        return RecordPorts(
            bucket=S3BucketConfiguration(self.s3, repository.bucket),
            lister=lister or S3VersionLister(self.s3, repository.bucket, repository.key_prefix),
            ledger=ledger,
            anchor=S3HeadAnchor(self.s3, environment.records),
            findings=DynamoFindingLog(dynamodb, environment.operations),
            memory=Memory(DynamoVerifiedSets(dynamodb, environment.operations), ledger),
            approvals=DynamoApprovals(dynamodb, environment.operations),
            verdict=VerdictPorts(
                verdicts=DynamoVerdictReader(dynamodb, environment.operations),
                acknowledgements=DynamoAcknowledgements(dynamodb, environment.operations),
                notifier=SnsNotifier(self.sns, environment.alerts),
                log=DynamoVerdictLog(dynamodb, environment.operations),
            ),
            hand_over=hand_over,
        )


@cache
def _function() -> RecordFunction:
    environment = _RecordEnvironment.read()
    wiring = Wiring.read(environment)
    workflow = StepFunctionsRanges(lambda: boto3.client("stepfunctions", config=CLIENT), environment.ranges_workflow)
    hand_over = HandOver(S3RecordWriter(wiring.s3, environment.records), workflow)

    def answer(repository: Repository, wish: Wish) -> Outcome:
        return record(repository, wish, wiring.ports(repository, hand_over=hand_over))

    return RecordFunction(read_bundled(), answer, SqsMessageDelay(boto3.client("sqs", config=CLIENT)))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Entry point: a queue's batch, or `{"repository": NAME, "reason": "schedule" | "operator"}`, which may have
    `"at_once": true`."""
    if "Records" in event:
        return _function().on_messages(event, context)
    return _function().on_request(event)

"""Record the bucket state that an event, a schedule or an operator asks for.

gather: versioning, S3's clock, the headers of kept states, what people approved, the listing  ->  decide: the cut,
its header, and what is wrong with it  ->  apply: the verdict, the chunks, then one transaction that writes the header
and advances the head, then the head's anchor.

`answering` is before it: how a message or a request becomes a wish for a state. `judging` is the verdict.

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
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

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
from functions.domain.recording import Answered, Due, NotYet, Outcome, Recorded, Refused, Wish, decide, look_again
from functions.domain.repositories import Repository
from functions.domain.state import Cause, Head, StateHeader, describe
from functions.domain.values import AttemptId, Finding, Severity, Versioning
from functions.domain.verdict import CheckLevel, seen
from functions.environment import Environment
from functions.record.answering import RecordFunction, logger
from functions.record.judging import Past, damaged_states, judge_listing, judge_state, look_back
from functions.record.packing import Packed, most_changes, pack
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.content import DynamoVerifiedSets
from functions.storage.ledger import DynamoRecordingLedger
from functions.storage.listing import S3VersionLister
from functions.storage.notices import SnsNotifier
from functions.storage.operations import DynamoFindingLog
from functions.storage.plans import DynamoApprovals
from functions.storage.queue import SqsMessageDelay
from functions.storage.records import S3HeadAnchor
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader

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
    decision = decide(sent=sent, head=head, now=now, min_interval=repository.min_interval, wants_quiet=wish.wants_quiet)
    if not isinstance(decision, Due):
        return decision
    attempt = ports.new_attempt()
    try:
        ports.ledger.begin(name, attempt, now, now + LEASE)
    except RecordingInFlight as other:
        return NotYet(until=look_again(now, other.until, wish.deliveries), why=str(other))
    try:
        # Whoever had the lease until now may have recorded meanwhile: what answers this, or less than an interval ago.
        head = ports.ledger.head(name)
        again = decide(
            sent=sent, head=head, now=now, min_interval=repository.min_interval, wants_quiet=wish.wants_quiet
        )
        if not isinstance(again, Due):
            ports.ledger.abandon(name, attempt, now)
            return again
        past = look_back(repository, now, ports.ledger, ports.approvals)
        parent = _parent(head, ports)
        fresh = _quiet_cut(repository, max(sent, wish.newest_sent or sent), now, past, parent, ports)
        # Where no version is null, it makes no difference.
        object_lock = not fresh.nulls or ports.bucket.object_lock()
        if fresh.cut.null_versions and not object_lock:
            outcome: Outcome = _refuse(_null_finding(repository, fresh.cut), CheckLevel.CONSISTENT, head, ports)
        else:
            findings = judge_listing(repository, fresh, past, ports.ledger, ports.memory, object_lock=object_lock)
            outcome = _commit(repository, fresh, findings, attempt, head, wish.cause, ports)
    except BaseException:
        # Not to make the next run wait for the lease to end. When even this fails, the lease ends by itself.
        ports.ledger.abandon(name, attempt, now)
        raise
    if not isinstance(outcome, Recorded):
        ports.ledger.abandon(name, attempt, ports.bucket.now())
    return outcome


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
    expected = {kind: tally.objects for kind, tally in parent.by_type.items()} if parent is not None else None
    tries = QUIET_TRIES
    while True:
        at = cut_time(sent, now)
        while not may_list(at, now):
            ports.pause(1.0)
            now = ports.bucket.now()
        cuts = dict.fromkeys(past.cuts(at), 0)
        if parent is not None:
            cuts[parent.cut_time] = most_changes(parent)
        fresh = observe(ports.lister.blocks(expected), at, usual=Usual.of(repository), past=cuts)
        tries -= 1
        if not fresh.cut.edge or not tries:
            return fresh
        # Before the next listing: memory holds one cut of a large repository, not two.
        del fresh
        now = ports.bucket.now()


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
        verdict = judge_state(header, findings, ports.verdict)
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


@cache
def _function() -> RecordFunction:
    environment = Environment.read()
    s3 = boto3.client("s3", config=CLIENT)
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ledger = DynamoRecordingLedger(dynamodb, environment.ledger)
    memory = Memory(DynamoVerifiedSets(dynamodb, environment.operations), ledger)
    verdicts = VerdictPorts(
        verdicts=DynamoVerdictReader(dynamodb, environment.operations),
        acknowledgements=DynamoAcknowledgements(dynamodb, environment.operations),
        notifier=SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts),
        log=DynamoVerdictLog(dynamodb, environment.operations),
    )

    def answer(repository: Repository, wish: Wish) -> Outcome:
        ports = RecordPorts(
            bucket=S3BucketConfiguration(s3, repository.bucket),
            lister=S3VersionLister(s3, repository.bucket, repository.key_prefix),
            ledger=ledger,
            anchor=S3HeadAnchor(s3, environment.records),
            findings=DynamoFindingLog(dynamodb, environment.operations),
            memory=memory,
            approvals=DynamoApprovals(dynamodb, environment.operations),
            verdict=verdicts,
        )
        return record(repository, wish, ports)

    return RecordFunction(read_bundled(), answer, SqsMessageDelay(boto3.client("sqs", config=CLIENT)))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Entry point: a queue's batch, or `{"repository": NAME, "reason": "schedule" | "operator"}`."""
    if "Records" in event:
        return _function().on_messages(event, context)
    return _function().on_request(event)

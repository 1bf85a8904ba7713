"""Judge a state and its bucket from one listing: what the ledger says against what the bucket shows, no password.

gather: the headers and the entries of all kept states, what people approved, the listing, the last verdict, what was
acknowledged  ->  decide: the rules, the verdict, what of it is news  ->  apply: tell people the news, then append the
verdict.

record judges every new state by the same rules, and reads no entries. This step reads them all, so it alone sees
that a version is gone which a kept state names, that one lies beneath a state which does not name it, and that a
state in the ledger is not what was recorded.

Security rules:
- A dropped state is judged no more, and no entry is compared with it: its versions may be gone. Its header is still a
  link of the chain, missed where it is missing, and says how much there was.
- Entries are believed only where their chunks have the digests of their headers, headers only as links of one chain.
  The first and the last state on each base, and what the judged one is compared with, have to have their roots too;
  `rwm ledger verify` asks that of every state. What fails is a finding about that state, and everything else is judged
  all the same.
- It reads no object, and changes nothing but the operations table.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.checking import CheckRefused, CheckRequest, VerdictPorts, pronounce, refuse_dropped
from functions.domain.consistent.baseline import Approved, Comparands, baseline, comparands
from functions.domain.consistent.case import Case, decided
from functions.domain.consistent.check import judge
from functions.domain.consistent.fold import observe
from functions.domain.consistent.fresh import Fresh, Usual
from functions.domain.consistent.kept import Kept
from functions.domain.consistent.shown import NOTHING_SHOWN, Shown
from functions.domain.content.known import Memory
from functions.domain.documents import UnreadableDocument
from functions.domain.entries import Entries
from functions.domain.findings import FindingId
from functions.domain.keeping import DroppedState, kept_of
from functions.domain.ledger import NoSuchState, StateDamaged, StatesInTurn, choose_state, prove_entries
from functions.domain.ports import ApprovalReader, BucketConfiguration, LedgerReader, VerifiedMemory, VersionLister
from functions.domain.prune.approval import from_generation, last_approved
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import ChunkSet, Head, StateHeader
from functions.domain.values import Evidence, Finding, ObjectKey, Severity, StateId, VersionId
from functions.domain.verdict import CheckLevel, Judged, Verdict
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.content import DynamoVerifiedSets
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.listing import S3VersionLister
from functions.storage.notices import SnsNotifier
from functions.storage.plans import DynamoApprovals
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader


class ConsistentRequest(CheckRequest):
    """Which state is to be judged."""

    repository: str
    state: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    """Its id; empty: the newest."""
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]


@dataclass(frozen=True, slots=True)
class ConsistentPorts:
    """All that judging one repository's states may touch."""

    bucket: BucketConfiguration
    lister: VersionLister
    ledger: LedgerReader
    memory: VerifiedMemory
    approvals: ApprovalReader
    verdict: VerdictPorts


@dataclass(frozen=True, slots=True)
class KeptStates:
    """What the ledger says, and what it should say and does not."""

    kept: Kept
    entries: Mapping[ChunkSet, Entries]
    """Of the states that were asked for, where they are whole."""
    damaged: Mapping[StateId, datetime]
    """States that are not what was recorded, and of when they are, as far as it is known."""


def check_consistent(repository: Repository, state: str, execution: str, ports: ConsistentPorts) -> Judged:
    """Judge the state whose id is `state`, or the newest; tell what is new, and append the verdict.

    Raises CheckRefused for a state that is not there, and NotTold: then nothing was appended.
    """
    # The head first: whatever is recorded meanwhile comes after it.
    head = ports.ledger.head(repository.repository)
    drops = _drops(repository, ports.ledger)
    chain = _headers(repository, ports.ledger)
    header = _chosen(chain, state, repository)
    refuse_dropped(header, drops)
    headers = list(kept_of(chain, {each.state for each in drops}))
    before = [each for each in headers if each.cut_time < header.cut_time]
    approved = _approved(repository, header, chain, ports.approvals)
    compared = comparands(before, approved, header.cut_time, repository.thresholds.baseline_days)
    states = _read(_missing_links(head, chain), headers, compared, ports.ledger)
    # Of a state that is damaged, the listing still shows what it must have been.
    past = {each.cut_time: 0 for each in (compared.reference, compared.old) if each is not None}
    expected = {kind: tally.objects for kind, tally in chain[0].by_type.items()}
    fresh = observe(
        ports.lister.blocks(expected), header.cut_time, usual=Usual.of(repository), kept=states.kept, past=past
    )
    if ports.ledger.dropped(repository.repository) != {each.state for each in drops}:
        raise CheckRefused(
            f"a prune dropped states of {repository.name} while its bucket was listed; nothing was judged; check again"
        )
    case = Case(
        repository=repository,
        fresh=fresh,
        baseline=baseline(
            (each for each in chain if each.cut_time < header.cut_time),
            approved,
            reference=_shown(compared.reference, states, fresh),
            old=_shown(compared.old, states, fresh),
        ),
        object_lock=not fresh.nulls or ports.bucket.object_lock(),
    )
    case = decided(case, lambda doubtful: ports.memory.proven_among(doubtful, header))
    return pronounce(
        header,
        CheckLevel.CONSISTENT,
        [*judge(case), *state_damaged(repository, states.damaged)],
        ports.verdict,
        judged_at=ports.bucket.now(),
        by=execution,
        figures={"objects": header.objects, "bytes": header.bytes, "states": len(headers)},
    )


def _headers(repository: Repository, ledger: LedgerReader) -> Sequence[StateHeader]:
    """All that can be read down to the first that cannot, newest first: its child names it, so that it is missed."""
    found: list[StateHeader] = []
    try:
        for header in ledger.headers(repository.repository):
            found.append(header)  # noqa: PERF402 - what came before an error counts
    except UnreadableDocument as error:
        if not found:
            raise CheckRefused(f"{error}; nothing was judged") from error
    return found


def _chosen(headers: Sequence[StateHeader], state: str, repository: Repository) -> StateHeader:
    try:
        return choose_state(headers, state or "latest", repository.repository)
    except NoSuchState as error:
        raise CheckRefused(f"{error}; nothing was judged") from error


def _approved(
    repository: Repository, header: StateHeader, chain: Sequence[StateHeader], approvals: ApprovalReader
) -> Approved | None:
    """What a person approved last by the time of `header`."""
    try:
        return last_approved(approvals.approvals(repository.repository), from_generation(chain), header.cut_time)
    except UnreadableDocument as error:
        raise CheckRefused(f"{error}; nothing was judged") from error


def _drops(repository: Repository, ledger: LedgerReader) -> Sequence[DroppedState]:
    try:
        return ledger.drops(repository.repository)
    except UnreadableDocument as error:
        raise CheckRefused(f"{error}; nothing was judged") from error


def _read(
    missing: Iterable[tuple[StateId, datetime]],
    headers: Sequence[StateHeader],
    compared: Comparands,
    reader: LedgerReader,
) -> KeptStates:
    """Each base and each delta once, one after another: memory holds what is named, however many states name it."""
    wanted = {each.chunks for each in (compared.reference, compared.old) if each is not None}
    kept = Kept()
    entries: dict[ChunkSet, Entries] = {}
    whole: dict[ChunkSet, bool] = {}
    damaged = dict(missing)
    states = StatesInTurn(reader)
    last = {header.base: header.chunks for header in reversed(headers)}
    for header in reversed(headers):
        if header.chunks in whole:
            if whole[header.chunks]:
                kept.add_same(header.cut_time)
            else:
                damaged[header.id] = header.cut_time
            continue
        try:
            read = states.read(header)
            if read.from_base or header.chunks == last[header.base] or header.chunks in wanted:
                prove_entries(header, read.entries)
        except StateDamaged:
            # What lies on it is read from its base on.
            states = StatesInTurn(reader)
            whole[header.chunks] = False
            damaged[header.id] = header.cut_time
            continue
        whole[header.chunks] = True
        kept.add(header.cut_time, read.new)
        if header.chunks in wanted:
            entries[header.chunks] = Entries.of(read.entries)
    return KeptStates(kept, entries, damaged)


def _missing_links(head: Head | None, headers: Collection[StateHeader]) -> Iterator[tuple[StateId, datetime]]:
    """States that the head or a child names and that are not in their place, with the cut of the one that names it."""
    ids = {header.generation: header.id for header in headers}
    if head is not None and ids.get(head.generation) != head.state:
        yield head.state, head.cut_time
    for header in headers:
        if header.parent is not None and ids.get(header.generation - 1) != header.parent:
            yield header.parent, header.cut_time


def _shown(header: StateHeader | None, states: KeptStates, fresh: Fresh) -> Shown:
    if header is None:
        return NOTHING_SHOWN
    recorded = states.entries.get(header.chunks)
    return fresh.past[header.cut_time].shown if recorded is None else Shown.of(recorded.blocks(), fresh.cut)


def state_damaged(repository: Repository, damaged: Mapping[StateId, datetime]) -> Iterable[Finding]:
    """Its evidence names states where others name keys, so that a person can give one up and acknowledge it."""
    if damaged:
        yield Finding(
            FindingId.STATE_DAMAGED,
            Severity.FAIL,
            repository.repository,
            min(damaged.values()),
            "the ledger does not hold what was recorded: states cannot be restored from it",
            "find out who wrote to the ledger; restore the table to an earlier time beside it and compare; acknowledge "
            "the states that are given up",
            tuple(
                Evidence(ObjectKey(f"state {state}"), (VersionId(state),), since)
                for state, since in sorted(damaged.items())
            ),
        )


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="check-consistent")
metrics = Metrics(namespace="RWM", service="check-consistent")


@dataclass(frozen=True, slots=True)
class ConsistentFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: Callable[[Repository], ConsistentPorts]

    def on_request(self, event: object) -> dict[str, Any]:
        """Check for the workflow, and say what was found. Raises CheckRefused."""
        request = ConsistentRequest.read(event)
        repository = self.configuration.deployed(request.repository, CheckRefused, "nothing was judged")
        verdict = check_consistent(repository, request.state, request.execution, self.ports(repository)).verdict
        _tell(verdict)
        return {
            "outcome": verdict.outcome,
            "state": verdict.state,
            "generation": verdict.generation,
            "findings": verdict.brief,
        }


def _tell(verdict: Verdict) -> None:
    """Log and count."""
    ids = [f"{finding.severity} {finding.id}" for finding in verdict.findings]
    extra = {"repository": verdict.repository, "state": verdict.state, "outcome": verdict.outcome, "findings": ids}
    (logger.info if verdict.outcome == "pass" else logger.error)(
        "consistent checked", extra={**extra, **verdict.figures}
    )
    metrics.add_dimension(name="repository", value=verdict.repository)
    for severity in Severity:
        count = sum(finding.severity is severity for finding in verdict.findings)
        metrics.add_metric(name=f"Consistent{severity.capitalize()}s", unit=MetricUnit.Count, value=count)
    metrics.flush_metrics()


@cache
def _function() -> ConsistentFunction:
    environment = Environment.read()
    s3 = boto3.client("s3", config=CLIENT)
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    ledger = DynamoLedgerReader(dynamodb, environment.ledger)
    memory = Memory(DynamoVerifiedSets(dynamodb, environment.operations), ledger)
    verdict = VerdictPorts(
        verdicts=DynamoVerdictReader(dynamodb, environment.operations),
        acknowledgements=DynamoAcknowledgements(dynamodb, environment.operations),
        notifier=SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts),
        log=DynamoVerdictLog(dynamodb, environment.operations),
    )

    def ports(repository: Repository) -> ConsistentPorts:
        return ConsistentPorts(
            bucket=S3BucketConfiguration(s3, repository.bucket),
            lister=S3VersionLister(s3, repository.bucket, repository.key_prefix),
            ledger=ledger,
            memory=memory,
            approvals=DynamoApprovals(dynamodb, environment.operations),
            verdict=verdict,
        )

    return ConsistentFunction(read_bundled(), ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:  # noqa: ARG001 - Lambda's signature
    """`{"repository", "state": "" | id, "execution"}` -> `{"outcome", "state", "generation", "findings": [{"severity",
    "id", "keys"}]}`. Raises CheckRefused."""
    return _function().on_request(event)

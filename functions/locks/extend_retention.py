"""Keep what kept states name under Object Lock: set retention where it is absent, lengthen it where it ends soon.

gather: the chain of states and which are dropped or held, the verdicts, S3's clock, the listing from where the last run
stopped, the retention of each version that a kept state names  ->  decide: how long each state is certain to be kept,
which version needs a lock, and until when  ->  apply: set it;
tell people of what is newly wrong, then write the report.

Old packs that new snapshots still use were locked when they were written, and a lock ends: then only policies keep
them. It runs on a schedule of its own, whatever a check says.

Permissions of `rwm-extend-retention`, and why:
- s3:ListBucketVersions in the repositories: what there is; s3:GetBucketVersioning,
  s3:GetBucketObjectLockConfiguration: S3's clock, and whether there are locks at all.
- s3:GetObjectRetention on the repositories' objects: a lock that lasts is left alone.
- s3:PutObjectRetention there, in governance mode and for `lock_days` at most: never compliance, never longer. It may
  bypass nothing and delete nothing.
- dynamodb:GetItem, dynamodb:Query on the ledger: what every kept state names.
- dynamodb:Query on operations: verdicts and what people hold, for how long states are kept, and what the last run came
  to; dynamodb:PutItem there, partitions `locks#*` only: what this one did.
- sns:Publish on the topic of alerts: locks that cannot be kept.

Security rules:
- Only versions that a kept state names are locked: a lock too many is paid for, and a prune waits for it.
- And only for as long as one that names it is certain to be kept; what the next prune drops gets no new lock. Where
  verdicts or holds cannot be read, every kept state is taken to last.
- See functions/domain/locks/rules.py for which locks are left alone, and functions/domain/locks/lasting.py for how long
  a state lasts.
- The report counts what was seen. What a state names is proven at its end, and a state that is not says so.

Killed at any point and run again, it looks at the same versions again, from where the last report says: a lock that was
set is left alone then.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import chain
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.documents import UnreadableDocument
from functions.domain.events import Request
from functions.domain.locks.lasting import Lasting, lasting
from functions.domain.locks.names import KeptNames, NamedVersion, named_by_key
from functions.domain.locks.report import LockReport, judged, untold
from functions.domain.locks.rules import GOVERNANCE, Lock, needed, next_look
from functions.domain.locks.tally import Looked, Tally
from functions.domain.notices import lock_notice
from functions.domain.ports import (
    BucketConfiguration,
    Holds,
    LaterVersions,
    LedgerReader,
    LockRefused,
    LockReports,
    Notifier,
    NotTold,
    RetentionReader,
    RetentionSetter,
    VerdictReader,
)
from functions.domain.prune.kept_states import read_kept
from functions.domain.prune.named import StoredNames
from functions.domain.repositories import Configuration, Repository
from functions.domain.retention import JudgedState, decide_fates
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, RepositoryName, StateId, VersionGone
from functions.domain.verdict import Verdict
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.holds import DynamoHolds
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.listing import S3VersionLister
from functions.storage.locks import DynamoLockReports, S3Retentions
from functions.storage.notices import SnsNotifier
from functions.storage.verdicts import DynamoVerdictReader

THREADS = 24
"""Versions that are looked at, or locked, at once; most of the time is waiting for S3."""
AT_ONCE = 960
"""Versions that are in work between two looks at the clock; their answers are all that is held of them."""
ENOUGH = 150.0
"""Seconds before the function is stopped at which no more versions are begun: what is in work has to end, and all
states be read to their end, for the report to say that they proved themselves."""


@dataclass(frozen=True, slots=True)
class LockPorts:
    """All that looking after one repository's locks may touch."""

    bucket: BucketConfiguration
    lister: LaterVersions
    ledger: LedgerReader
    verdicts: VerdictReader
    holds: Holds
    retentions: RetentionReader
    setter: RetentionSetter
    reports: LockReports
    notifier: Notifier


def extend_retention(repository: Repository, ports: LockPorts, seconds_left: Callable[[], float]) -> LockReport:
    """Look after the locks of `repository`, for as long as `seconds_left` allows, and return what was written down.

    Raises PinsUnproven, UnreadableDocument, NotInOrder: what was locked until then stays locked, and no report is made.
    """
    now = ports.bucket.now()
    before = _last(repository.repository, ports)
    began = LockReport(
        repository=repository.repository,
        begun_at=now,
        made_at=now,
        object_lock=ports.bucket.object_lock(),
        lock_days=repository.lock_days,
    )
    report = _pass(repository, began, before, ports, seconds_left) if began.object_lock else began
    report, news = judged(report, before)
    if news:
        try:
            # Before it is written down: killed in between, people hear of it twice rather than never.
            ports.notifier.notify(lock_notice(report, news))
        except NotTold:
            report = untold(report, before)
    ports.reports.append(report)
    return report


def _last(name: RepositoryName, ports: LockPorts) -> LockReport | None:
    with suppress(UnreadableDocument):
        return ports.reports.newest(name)
    # Where it stopped is a convenience: a report that cannot be read must not let locks run out.
    return None


def _pass(
    repository: Repository,
    began: LockReport,
    before: LockReport | None,
    ports: LockPorts,
    seconds_left: Callable[[], float],
) -> LockReport:
    """Go on with the pass of `before`, or begin a new one."""
    now = began.begun_at
    begun = before if before is not None and _goes_on(before, began) else None
    kept = _kept(ports.ledger, began.repository)
    last_pass = (now if begun else before.made_at) - before.begun_at if before else timedelta()
    again = next_look(now, repository.lock_days, repository.lock_interval, last_pass)
    needs = _lasting(repository, kept, ports, now, again)
    tally = Tally(kept, begun)
    place = begun.done_until if begun else None
    with ThreadPoolExecutor(THREADS) as threads:
        names = KeptNames(kept, StoredNames(ports.ledger, threads))
        look = partial(_look_after, ports=ports, needs=needs, lock_days=began.lock_days)
        for number, (done, versions) in enumerate(_portions(named_by_key(ports.lister.after(place), names))):
            # One at least, so that runs which begin late come to an end together all the same.
            if number and seconds_left() < ENOUGH:
                break
            for looked in threads.map(look, versions):
                tally.add(looked, now)
            place = done
        else:
            place = None
        names.finish()
    return tally.report(
        began.model_copy(update={"begun_at": begun.begun_at}) if begun else began,
        made_at=ports.bucket.now(),
        done_until=place,
        unproven=names.unproven,
        due={header.id for header in kept if needs.is_due(needs.state(header.id))},
    )


def _goes_on(before: LockReport, now: LockReport) -> bool:
    """A pass for another length of locks, or over a bucket that had none, is none to go on with."""
    return not before.complete and before.object_lock and before.lock_days == now.lock_days


def _kept(ledger: LedgerReader, name: RepositoryName) -> tuple[StateHeader, ...]:
    """The kept states, newest first; none before the first is recorded."""
    if ledger.head(name) is None and next(iter(ledger.headers(name)), None) is None:
        return ()
    headers, dropped = read_kept(ledger, name)
    return tuple(header for header in headers if header.id not in dropped)


def _lasting(
    repository: Repository, kept: Sequence[StateHeader], ports: LockPorts, now: datetime, again: datetime
) -> Lasting:
    """How long each of `kept` is needed, when all is looked at `again` by then."""
    verdicts: dict[StateId, list[Verdict]] = defaultdict(list)
    try:
        for verdict in ports.verdicts.verdicts(repository.repository):
            verdicts[verdict.state].append(verdict)
        holds = ports.holds.of(repository.repository).states
    except UnreadableDocument:
        # A lock too many makes a prune wait; none at all would leave everything open.
        return Lasting(now, {})
    judged = [JudgedState.of(header, verdicts.get(header.id, ())) for header in kept]
    return lasting(lambda at: decide_fates(judged, holds, repository.retention, repository.grace_days, at), now, again)


def _portions(keys: Iterator[tuple[ObjectKey, list[NamedVersion]]]) -> Iterator[tuple[ObjectKey, list[NamedVersion]]]:
    """Keys together, up to AT_ONCE versions or keys, each portion with its last key."""
    portion: list[list[NamedVersion]] = []
    count, last = 0, None
    for key, versions in keys:
        portion.append(versions)
        count, last = count + max(1, len(versions)), key
        if count >= AT_ONCE:
            yield key, list(chain.from_iterable(portion))
            portion, count = [], 0
    if portion and last is not None:
        yield last, list(chain.from_iterable(portion))


def _look_after(named: NamedVersion, *, ports: LockPorts, needs: Lasting, lock_days: int) -> Looked:
    """Read one version's lock, and set it where that is needed."""
    version, by = named
    kept_until, now = needs.of(by), needs.now
    due = needs.is_due(kept_until)
    lock: Lock | None = None
    was_unlocked = False
    try:
        lock = ports.retentions.retention(version.key, version.version_id)
        was_unlocked = not due and (lock is None or not lock.holds(now))
        until = needed(lock, now, lock_days, kept_until)
        if until is None:
            return Looked(by, lock, due=due)
        ports.setter.lock(version.key, version.version_id, until)
    except VersionGone:
        return Looked(by, gone=True)
    except LockRefused as refusal:
        if due:
            return Looked(by, lock, due=True)
        return Looked(by, lock, was_unlocked=was_unlocked, refused=str(refusal))
    return Looked(by, Lock(GOVERNANCE, until), was_unlocked=was_unlocked, extended=True)


# --- the Lambda function ---------------------------------------------------------------------------

logger = Logger(service="extend-retention")
metrics = Metrics(namespace="RWM", service="extend-retention")


class UnknownRepository(Exception):
    """Nothing of that name is deployed; no lock was looked at."""


@dataclass(frozen=True, slots=True)
class LockFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: Callable[[Repository], LockPorts]

    def on_request(self, event: Mapping[str, Any], seconds_left: Callable[[], float]) -> dict[str, Any]:
        """Look after locks for the Scheduler or an operator, and say what it came to."""
        asked = Request.model_validate(event)
        repository = self.configuration.deployed(asked.repository, UnknownRepository, "no lock was looked at")
        report = extend_retention(repository, self.ports(repository), seconds_left)
        answer = {
            "repository": report.repository,
            "object_lock": report.object_lock,
            "complete": report.complete,
            "states": len(report.states) + report.more_states,
            "looked_at": report.looked_at,
            "extended": report.extended,
            "were_unlocked": report.were_unlocked,
            "unlocked": report.unlocked,
            "due": report.due,
            "gone": report.gone,
            "refused": {each.why: each.versions for each in report.refused},
            "findings": [f"{each.severity} {each.id}" for each in report.findings],
        }
        _tell(report, answer)
        return answer


def _tell(report: LockReport, answer: Mapping[str, Any]) -> None:
    """Log and count."""
    log = logger.error if report.unlocked else logger.info
    log("locks looked after", extra=dict(answer))
    metrics.add_dimension(name="repository", value=report.repository)
    metrics.add_metric(name="LocksExtended", unit=MetricUnit.Count, value=report.extended)
    metrics.add_metric(name="LocksMissing", unit=MetricUnit.Count, value=report.unlocked)
    metrics.flush_metrics()


@cache
def _function() -> LockFunction:
    environment = Environment.read()
    s3 = boto3.client("s3", config=CLIENT)
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    notifier = SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts)

    def ports(repository: Repository) -> LockPorts:
        retentions = S3Retentions(s3, repository.bucket, repository.key_prefix)
        return LockPorts(
            bucket=S3BucketConfiguration(s3, repository.bucket),
            lister=S3VersionLister(s3, repository.bucket, repository.key_prefix),
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            verdicts=DynamoVerdictReader(dynamodb, environment.operations),
            holds=DynamoHolds(dynamodb, environment.operations),
            retentions=retentions,
            setter=retentions,
            reports=DynamoLockReports(dynamodb, environment.operations),
            notifier=notifier,
        )

    return LockFunction(read_bundled(), ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """`{"repository": NAME, "reason": "schedule" | "operator"}` -> what the pass came to so far: `{"repository",
    "object_lock", "complete", "states", "looked_at", "extended", "were_unlocked", "unlocked", "due", "gone", "refused":
    {error code: versions}, "findings"}`."""
    return _function().on_request(event, lambda: context.get_remaining_time_in_millis() / 1000)

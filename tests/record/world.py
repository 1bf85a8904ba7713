"""A repository, its bucket, the ledger and the clock, in memory; and a recorder that can be killed anywhere."""

from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from itertools import count

from functions.domain.checking import VerdictPorts
from functions.domain.content.known import Memory
from functions.domain.ledger import read_state
from functions.domain.prune.approval import Approval, Decision
from functions.domain.recording import Outcome, Wish
from functions.domain.repositories import Repository
from functions.domain.state import Cause, StateHeader
from functions.domain.values import AttemptId, Digest, RepositoryName, Severity
from functions.domain.verdict import CheckLevel, Verdict
from functions.record.record import RecordPorts, record
from tests.fakes.clock import FakeClock
from tests.fakes.content import FakeVerifiedSets
from tests.fakes.faults import Hook, nothing
from tests.fakes.ledger import FakeFindingLog, FakeLedger
from tests.fakes.operations import FakeAcknowledgements, FakeNotifier, FakeVerdicts
from tests.fakes.plans import FakeApprovals
from tests.fakes.ports import FakeBucketConfiguration, FakeHeadAnchor, FakeVersionLister
from tests.fakes.s3 import FakeS3

ALPHA = RepositoryName("alpha")
BUCKET, RECORDS = "backups-of-alpha", "records"


def _repository(**settings: object) -> Repository:
    return Repository.model_validate({"name": "alpha", "bucket": BUCKET, "min_interval": "1m", **settings})


@dataclass
class World:
    """Everything that one repository's recording touches."""

    repository: Repository = field(default_factory=_repository)
    clock: FakeClock = field(default_factory=FakeClock)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    findings: FakeFindingLog = field(default_factory=FakeFindingLog)
    verdicts: FakeVerdicts = field(default_factory=FakeVerdicts)
    acknowledgements: FakeAcknowledgements = field(default_factory=FakeAcknowledgements)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    sets: FakeVerifiedSets = field(default_factory=FakeVerifiedSets)
    approvals: FakeApprovals = field(default_factory=FakeApprovals)
    attempts: Iterator[int] = field(default_factory=count)

    server: InitVar[FakeS3 | None] = None
    s3: FakeS3 = field(init=False)

    def __post_init__(self, server: FakeS3 | None) -> None:
        self.s3 = server if server is not None else FakeS3(self.clock)
        self.s3.create_bucket(BUCKET, object_lock=True)
        self.s3.create_bucket(RECORDS, object_lock=True)

    @classmethod
    def with_settings(cls, **settings: object) -> "World":
        return cls(repository=_repository(**settings))

    @classmethod
    def over(cls, s3: FakeS3, **settings: object) -> "World":
        """In buckets of this S3."""
        return cls(repository=_repository(**settings), clock=s3.clock, server=s3)

    def watch(self, hook: Hook = nothing) -> None:
        """Let `hook` see every call of every port."""
        tables = (self.findings, self.verdicts, self.acknowledgements, self.approvals, self.notifier)
        for fake in (self.s3, self.ledger, *tables):
            fake.hook = hook

    def ports(self, bucket: str = BUCKET) -> RecordPorts:
        return RecordPorts(
            bucket=FakeBucketConfiguration(self.s3, bucket),
            lister=FakeVersionLister(self.s3, bucket, self.repository.key_prefix),
            ledger=self.ledger,
            anchor=FakeHeadAnchor(self.s3, RECORDS),
            findings=self.findings,
            memory=Memory(self.sets, self.ledger),
            approvals=self.approvals,
            verdict=VerdictPorts(self.verdicts, self.acknowledgements, self.notifier, self.verdicts),
            pause=self.pause,
            new_attempt=lambda: AttemptId(f"attempt-{next(self.attempts)}"),
        )

    def pause(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def put(self, key: str, body: bytes = b"bytes") -> None:
        self.s3.put(BUCKET, self.repository.key_prefix + key, body)

    def hide(self, key: str) -> None:
        self.s3.delete(BUCKET, self.repository.key_prefix + key)

    def event(self, *, sent: datetime | None = None, deliveries: int = 1, bucket: str = BUCKET) -> Outcome:
        """What record makes of an event that was sent at `sent` (now)."""
        sent = sent or self.clock.now()
        return record(
            self.repository,
            Wish(cause=Cause(reason="event", sent=sent), sent=sent, deliveries=deliveries),
            self.ports(bucket),
        )

    def headers(self) -> list[StateHeader]:
        """Newest first."""
        return list(self.ledger.headers(ALPHA))

    def newest(self) -> dict[str, str]:
        """The newest state as {key: version id}, read with every proof."""
        return {each.key: each.version_id for each in read_state(self.ledger, self.headers()[0])}

    def verdict(self) -> Verdict:
        """The last one, of the newest state."""
        verdict = next(self.verdicts.verdicts(ALPHA))
        assert (verdict.state, verdict.level) == (self.headers()[0].id, CheckLevel.CONSISTENT)
        return verdict

    def said(self) -> set[str]:
        """What the last verdict says, beside notes."""
        return {finding.id for finding in self.verdict().findings if finding.severity is not Severity.NOTE}

    def acknowledge(self) -> None:
        """An approver lays to rest all that the last verdict has."""
        verdict = self.verdict()
        for finding in self.verdicts.findings(verdict):
            self.acknowledgements.append(verdict, finding.id, finding.evidence, "approver", self.clock.second())

    def approve(self, header: StateHeader, decision: Decision = "approved") -> None:
        """An approver decides now on a plan that was drawn from this state."""
        self.approvals.decide(
            Approval(
                repository=ALPHA,
                plan=Digest(header.id[::-1]),
                state=header.id,
                generation=header.generation,
                decision=decision,
                by="approver",
                at=self.clock.second(),
            )
        )

    def anchors(self) -> list[str]:
        return [entry.version.key for entry in self.s3.everything(RECORDS)]

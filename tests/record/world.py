"""A repository, its bucket, the ledger and the clock, in memory; and a recorder that can be killed anywhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from functions.domain.ledger import read_state
from functions.domain.repositories import Repository
from functions.domain.state import Cause, StateHeader
from functions.domain.values import AttemptId, RepositoryName
from functions.record.record import Outcome, RecordPorts, Wish, record
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Hook, nothing
from tests.fakes.ledger import FakeFindingLog, FakeLedger
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
    s3: FakeS3 = field(init=False)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    findings: FakeFindingLog = field(default_factory=FakeFindingLog)
    attempts: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.s3 = FakeS3(self.clock)
        self.s3.create_bucket(BUCKET, object_lock=True)
        self.s3.create_bucket(RECORDS, object_lock=True)

    @classmethod
    def with_settings(cls, **settings: object) -> "World":
        return cls(repository=_repository(**settings))

    def watch(self, hook: Hook = nothing) -> None:
        """Let `hook` see every call of every port."""
        self.s3.hook = self.ledger.hook = self.findings.hook = hook

    def ports(self, bucket: str = BUCKET) -> RecordPorts:
        return RecordPorts(
            bucket=FakeBucketConfiguration(self.s3, bucket),
            lister=FakeVersionLister(self.s3, bucket, self.repository.key_prefix),
            ledger=self.ledger,
            anchor=FakeHeadAnchor(self.s3, RECORDS),
            findings=self.findings,
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

    def anchors(self) -> list[str]:
        return [entry.version.key for entry in self.s3.everything(RECORDS)]

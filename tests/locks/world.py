"""A repository whose kept states are to stay locked, and the step that sees to it, all in memory.

The step runs as a principal of its own with the permissions of its role and no others.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from functions.domain.locks.report import LockReport
from functions.domain.locks.rules import Lock
from functions.domain.repositories import Repository
from functions.domain.state import StateHeader
from functions.domain.verdict import CheckLevel, conclude
from functions.locks.extend_retention import LockPorts, extend_retention
from tests.fakes.faults import Hook
from tests.fakes.holds import FakeHolds
from tests.fakes.locks import FakeLaterVersions, FakeLockReports, FakeRetentions
from tests.fakes.operations import FakeNotifier, FakeVerdicts
from tests.fakes.ports import FakeBucketConfiguration
from tests.fakes.s3_errors import NoSuchObjectLockConfiguration
from tests.fakes.s3_model import DefaultRetention, LockMode, Retention
from tests.restore import world as backed_up
from tests.restore.world import PREFIX, PROTECTED, REPOSITORY

DAY = timedelta(days=1)
ME = "extend-retention"
LOCK_DAYS = 14
PLENTY = 900.0
ON = ["s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"]


def plenty() -> float:
    """Seconds that are left."""
    return PLENTY


class World(backed_up.World):
    """One repository of one deployment, with Object Lock and no default retention."""

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.repository = Repository.model_validate(
            {"name": REPOSITORY, "bucket": PROTECTED, "prefix": PREFIX, "lock_days": LOCK_DAYS, **settings}
        )
        self.lock_reports = FakeLockReports()
        self.notifier = FakeNotifier()
        self.verdicts = FakeVerdicts()
        self.holds = FakeHolds(self.ledger)
        self.retentions = FakeRetentions(self.s3, PROTECTED, f"{PREFIX}/", ME, self.repository.lock_days)
        self.s3.access.allow(ME, ON, PROTECTED)
        self.s3.access.allow(ME, ["s3:GetObjectRetention", "s3:PutObjectRetention"], PROTECTED, f"{PREFIX}/")

    @property
    def now(self) -> datetime:
        return self.s3.clock.second()

    def good(self) -> StateHeader:
        """Record the repository as it is now; nothing is found."""
        header = self.record()
        self.verdicts.append(conclude(header, CheckLevel.CONSISTENT, (), (), judged_at=self.now, by="record"))
        return header

    def days(self, days: float) -> None:
        self.s3.clock.advance(days * DAY)

    def by_default(self, days: int, mode: LockMode = LockMode.GOVERNANCE) -> None:
        """The bucket gives this to new versions from now on."""
        self.s3.put_lock_configuration(PROTECTED, DefaultRetention(mode, days))

    def hide(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete(PROTECTED, f"{PREFIX}/{key}")

    def retain(self, key: str, days: float, mode: LockMode = LockMode.GOVERNANCE) -> None:
        """Somebody locks the current version of `key` for so long from now."""
        self.s3.put_retention(PROTECTED, f"{PREFIX}/{key}", Retention(mode, self.now + days * DAY))

    def lock_of(self, key: str, version_id: str = "") -> Lock | None:
        try:
            found = self.s3.get_retention(PROTECTED, f"{PREFIX}/{key}", version_id)
        except NoSuchObjectLockConfiguration:
            return None
        return Lock(found.mode.value, found.until)

    def locks(self) -> dict[tuple[str, str], Retention | None]:
        """Of every version there is; keys without the prefix."""
        return {
            (entry.version.key.removeprefix(f"{PREFIX}/"), entry.version.version_id): entry.version.retention
            for entry in self.s3.everything(PROTECTED)
            if not entry.version.is_delete_marker
        }

    def days_left(self, key: str) -> float | None:
        """Days until the lock of the current version of `key` ends; None: it has none."""
        lock = self.lock_of(key)
        return (lock.until - self.now) / DAY if lock is not None and lock.holds(self.now) else None

    def ports(self) -> LockPorts:
        return LockPorts(
            bucket=FakeBucketConfiguration(self.s3, PROTECTED, ME),
            lister=FakeLaterVersions(self.s3, PROTECTED, f"{PREFIX}/", ME),
            ledger=self.ledger,
            verdicts=self.verdicts,
            holds=self.holds,
            retentions=self.retentions,
            setter=self.retentions,
            reports=self.lock_reports,
            notifier=self.notifier,
        )

    def extend(self, seconds_left: Callable[[], float] = plenty) -> LockReport:
        report = extend_retention(self.repository, self.ports(), seconds_left)
        assert self.lock_reports.newest(REPOSITORY) == report
        return report

    def drop(self, header: StateHeader) -> None:
        """What a prune leaves: this state is kept no longer."""
        self.ledger.mark_dropped(header, self.now)

    def watch(self, hook: Hook) -> None:
        for fake in (self.s3, self.ledger, self.lock_reports, self.notifier):
            fake.hook = hook

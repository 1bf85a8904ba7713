"""Retention, resumed listings and lock reports, over the strict fake: what boto3 would have told of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from functions.domain.locks.report import LockReport
from functions.domain.locks.rules import Lock
from functions.domain.ports import LockRefused
from functions.domain.values import Listing, ObjectKey, RepositoryName, VersionGone, VersionId
from tests.fakes.ledger import ITEM_BYTES, FakeTable
from tests.fakes.ports import FakeVersionLister
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_errors import (
    MethodNotAllowed,
    NoSuchKey,
    NoSuchObjectLockConfiguration,
    NoSuchVersion,
    S3Error,
)
from tests.fakes.s3_model import LockMode, Retention


class FakeLaterVersions(FakeVersionLister):
    """LaterVersions."""

    def after(self, key: ObjectKey | None) -> Listing:
        return (entry for entry in self.versions() if key is None or entry.key > key)


@dataclass(frozen=True, slots=True)
class Asked:
    """One lock that was asked for."""

    key: ObjectKey
    version_id: VersionId
    until: datetime


@dataclass(slots=True)
class FakeRetentions:
    """RetentionReader and RetentionSetter, whose role has the conditions of the real one: governance, `most_days`."""

    s3: FakeS3
    bucket: str
    key_prefix: str
    by: str = OWNER
    most_days: int = 14
    asked: list[Asked] = field(default_factory=list)
    """Locks that were asked for, in any order."""
    read: list[tuple[ObjectKey, VersionId]] = field(default_factory=list)
    errors: Mapping[str, Callable[[], S3Error | None]] = field(default_factory=dict)
    """By key: what S3 says instead of setting its lock."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """By key: the code of S3's error instead of its retention."""

    def retention(self, key: ObjectKey, version_id: VersionId) -> Lock | None:
        self.read.append((key, version_id))
        if key in self.unreadable:
            raise LockRefused(self.unreadable[key])
        try:
            found = self.s3.get_retention(self.bucket, self.key_prefix + key, version_id, by=self.by)
        except NoSuchObjectLockConfiguration:
            return None
        except S3Error as error:
            raise _translated(error) from error
        return Lock(found.mode.value, found.until)

    def lock(self, key: ObjectKey, version_id: VersionId, until: datetime) -> None:
        self.asked.append(Asked(key, version_id, until))
        spoiled = self.errors.get(key, lambda: None)()
        if spoiled is not None:
            raise _translated(spoiled)
        # The condition on the role's permission, a part of a day counted as a day.
        if -((self.s3.clock.now() - until) // timedelta(days=1)) > self.most_days:
            raise LockRefused("AccessDenied")
        try:
            self.s3.put_retention(
                self.bucket, self.key_prefix + key, Retention(LockMode.GOVERNANCE, until), version_id, by=self.by
            )
        except S3Error as error:
            raise _translated(error) from error


def _translated(error: S3Error) -> Exception:
    if isinstance(error, NoSuchVersion | NoSuchKey | MethodNotAllowed):
        return VersionGone("a version is no longer there")
    return LockRefused(error.code)


class FakeLockReports(FakeTable):
    """LockReports."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[RepositoryName, bytes] = {}

    def newest(self, repository: RepositoryName) -> LockReport | None:
        with self._operation("QueryLockReport", repository):
            stored = self.stored.get(repository)
        return LockReport.parse(stored) if stored is not None else None

    def append(self, report: LockReport) -> None:
        with self._operation("PutLockReport", report.repository):
            assert len(report.canonical()) < ITEM_BYTES
            self.stored[report.repository] = report.canonical()

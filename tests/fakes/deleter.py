"""Deleting, pending uploads and histories of keys, over the strict fake: what boto3 would have told of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.prune.deleting import (
    MOST_IN_A_CALL,
    DeleteOutcome,
    Doomed,
    Refusal,
    outcome_of,
    unanswered,
)
from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, RepositoryName, VersionId
from tests.fakes.ledger import ITEM_BYTES, FakeTable
from tests.fakes.s3 import FakeS3, paged
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_errors import AccessDenied, InternalError, S3Error


@dataclass(slots=True)
class FakeVersionDeleter:
    """VersionDeleter. It keeps what it was asked, and can answer single entries with an error of S3's."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER
    asked: list[tuple[tuple[Doomed, ...], bool]] = field(default_factory=list)
    """(entries, whether governance was bypassed) of each call."""
    errors: Mapping[str, Callable[[], S3Error | None]] = field(default_factory=dict)
    """By key: what S3 says of it instead of deleting it; None: it deletes it."""

    def delete(self, doomed: Sequence[Doomed], *, bypass_governance: bool = False) -> DeleteOutcome:
        if len(doomed) > MOST_IN_A_CALL:
            raise ValueError(f"{len(doomed)} entries are more than one call takes; nothing was deleted")
        assert all(entry.version_id for entry in doomed)
        self.asked.append((tuple(doomed), bypass_governance))
        spoiled = {entry: error for entry in doomed if (error := self.errors.get(entry.key, lambda: None)())}
        items = [(self.key_prefix + key, version_id) for key, version_id in doomed if (key, version_id) not in spoiled]
        errors = [Refusal(entry, error.code, error.message) for entry, error in spoiled.items()]
        if not items:
            return outcome_of(doomed, (), errors)
        try:
            answer = self.s3.delete_objects(self.bucket, items, bypass_governance=bypass_governance, by=self.by)
        except AccessDenied as error:
            return DeleteOutcome((), tuple(Refusal(entry, error.code, error.message) for entry in doomed))
        except InternalError:
            return unanswered(doomed, "ReadTimeoutError")
        return outcome_of(
            doomed,
            (self._entry(each.key, each.version_id) for each in answer.deleted),
            [
                *errors,
                *(Refusal(self._entry(each.key, each.version_id), each.code, each.message) for each in answer.errors),
            ],
        )

    def _entry(self, key: str, version_id: str) -> Doomed:
        return Doomed(ObjectKey(key[len(self.key_prefix) :]), VersionId(version_id))


@dataclass(frozen=True, slots=True)
class FakeKeyHistories:
    """KeyHistories."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def of(self, keys: Sequence[ObjectKey]) -> Iterator[KeyHistory]:
        assert list(keys) == sorted(set(keys))
        found: dict[ObjectKey, list[ListedVersion]] = {}
        for entry in paged(self.s3, self.bucket, self.key_prefix, self.by):
            version = entry.version
            key = ObjectKey(version.key[len(self.key_prefix) :])
            version_id = VersionId(version.version_id)
            found.setdefault(key, []).append(
                DeleteMarker(key, version_id, version.last_modified)
                if version.is_delete_marker
                else ObjectVersion(
                    key, version_id, version.size, version.last_modified, version.etag, version.storage_class
                )
            )
        for key in keys:
            if key in found:
                yield KeyHistory(key, tuple(found[key][:MOST_ENTRIES]), len(found[key]))


@dataclass(frozen=True, slots=True)
class FakePendingUploads:
    """PendingUploads."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def keys(self) -> frozenset[ObjectKey]:
        uploads = self.s3.list_multipart_uploads(self.bucket, self.key_prefix, by=self.by)
        return frozenset(ObjectKey(upload.key[len(self.key_prefix) :]) for upload in uploads)


class FakePruneReports(FakeTable):
    """PruneReportLog."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: dict[tuple[RepositoryName, str], bytes] = {}
        """By repository and execution."""

    def append(self, repository: RepositoryName, execution: str, report: bytes) -> None:
        with self._operation("AppendPruneReport", f"{repository}/{execution}"):
            assert len(report) < ITEM_BYTES
            self.reports.setdefault((repository, execution), report)

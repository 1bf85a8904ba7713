"""The ports twice: in memory over the strict fake, and functions/storage over a server that boto3 talks to.

The port rules see only this; whatever holds for one must hold for the other, or a step that was tested
over the fakes was not tested.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from functions.domain import ports as domain
from functions.domain.structure.reading import RangedReader
from functions.domain.values import Digest, VersionId
from functions.storage.bucket import S3BucketConfiguration, S3PinnedReader, S3RangedReader
from functions.storage.holds import DynamoHoldLog, DynamoPruneLease
from functions.storage.ledger import DynamoChunkCollector, DynamoRecordingLedger, DynamoStateDropper
from functions.storage.listing import S3VersionLister
from functions.storage.locks import S3Retentions
from functions.storage.operations import DynamoFindingLog, DynamoReportLog
from functions.storage.records import S3HeadAnchor, S3RecordReader, S3RecordWriter
from functions.storage.restores import DynamoAnnouncedRestores, DynamoRestoreAnnouncer, DynamoRestoreEnder
from functions.storage.target import S3TargetLister, S3TargetReader, S3VersionCopier
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader
from tests.contract.backends import Backend
from tests.fakes.holds import FakeHolds, FakeLease
from tests.fakes.ledger import FakeFindingLog, FakeLedger, FakeReportLog, FakeStateDropper
from tests.fakes.locks import FakeLaterVersions, FakeRetentions
from tests.fakes.operations import FakeAcknowledgements, FakeVerdicts
from tests.fakes.ports import (
    SHA256,
    FakeBucketConfiguration,
    FakeHeadAnchor,
    FakePinnedReader,
    FakeRangedReader,
    FakeRecordReader,
    FakeRecordWriter,
    FakeTargetLister,
    FakeTargetReader,
    FakeVersionCopier,
    FakeVersionLister,
)
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_model import VersioningStatus
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

MEMORY = "memory"
"""Runs beside the servers: the fake ports."""


class Ports(ABC):
    """Makes buckets, puts things into them, and gives the ports bound to them."""

    @abstractmethod
    def bucket(self, *, object_lock: bool = False, versioning: bool = True) -> str: ...

    @abstractmethod
    def put(self, bucket: str, key: str, body: bytes = b"") -> VersionId: ...

    @abstractmethod
    def put_without_checksum(self, bucket: str, key: str, body: bytes) -> VersionId: ...

    @abstractmethod
    def hide(self, bucket: str, key: str) -> VersionId: ...

    @abstractmethod
    def destroy(self, bucket: str, key: str, version_id: VersionId) -> None: ...

    @abstractmethod
    def limited(self, bucket: str, actions: Sequence[str]) -> "Ports":
        """The same ports as somebody who may do exactly `actions` on `bucket`."""

    @abstractmethod
    def configuration(self, bucket: str) -> domain.BucketConfiguration: ...

    @abstractmethod
    def lister(self, bucket: str, prefix: str = "") -> domain.VersionLister: ...

    @abstractmethod
    def reader(self, bucket: str, prefix: str = "") -> domain.PinnedReader: ...

    @abstractmethod
    def ranges(self, bucket: str, prefix: str = "") -> RangedReader: ...

    @abstractmethod
    def later(self, bucket: str, prefix: str = "") -> domain.LaterVersions: ...

    @abstractmethod
    def retentions(self, bucket: str, prefix: str = "") -> tuple[domain.RetentionReader, domain.RetentionSetter]: ...

    @abstractmethod
    def target_lister(self, bucket: str, prefix: str = "") -> domain.TargetLister: ...

    @abstractmethod
    def target_reader(self, bucket: str, prefix: str = "") -> domain.TargetReader: ...

    @abstractmethod
    def copier(self, source: str, target: str, prefix: str = "", target_prefix: str = "") -> domain.VersionCopier: ...

    @abstractmethod
    def anchor(self, bucket: str) -> domain.HeadAnchor: ...

    @abstractmethod
    def writer(self, bucket: str) -> domain.RecordWriter: ...

    @abstractmethod
    def records(self, bucket: str) -> domain.RecordReader: ...


class MemoryPorts(Ports):
    """The fake ports."""

    def __init__(self, s3: FakeS3, by: str = OWNER) -> None:
        self._s3 = s3
        self._by = by
        self._numbers = itertools.count(1)

    def bucket(self, *, object_lock: bool = False, versioning: bool = True) -> str:
        name = f"bucket-{next(self._numbers)}"
        self._s3.create_bucket(name, object_lock=object_lock)
        if versioning and not object_lock:
            self._s3.put_versioning(name, VersioningStatus.ENABLED)
        return name

    def put(self, bucket: str, key: str, body: bytes = b"") -> VersionId:
        return VersionId(self._s3.put(bucket, key, body, integrity=SHA256).version_id)

    def put_without_checksum(self, bucket: str, key: str, body: bytes) -> VersionId:
        return VersionId(self._s3.put(bucket, key, body).version_id)

    def hide(self, bucket: str, key: str) -> VersionId:
        return VersionId(self._s3.delete(bucket, key).marker_version_id)

    def destroy(self, bucket: str, key: str, version_id: VersionId) -> None:
        self._s3.delete_version(bucket, key, version_id)

    def limited(self, bucket: str, actions: Sequence[str]) -> "MemoryPorts":
        self._s3.access.allow("limited", actions, bucket)
        return MemoryPorts(self._s3, "limited")

    def configuration(self, bucket: str) -> domain.BucketConfiguration:
        return FakeBucketConfiguration(self._s3, bucket, self._by)

    def lister(self, bucket: str, prefix: str = "") -> domain.VersionLister:
        return FakeVersionLister(self._s3, bucket, prefix, self._by)

    def reader(self, bucket: str, prefix: str = "") -> domain.PinnedReader:
        return FakePinnedReader(self._s3, bucket, prefix, self._by)

    def ranges(self, bucket: str, prefix: str = "") -> RangedReader:
        return FakeRangedReader(self._s3, bucket, prefix, self._by)

    def later(self, bucket: str, prefix: str = "") -> domain.LaterVersions:
        return FakeLaterVersions(self._s3, bucket, prefix, self._by)

    def retentions(self, bucket: str, prefix: str = "") -> tuple[domain.RetentionReader, domain.RetentionSetter]:
        both = FakeRetentions(self._s3, bucket, prefix, self._by)
        return both, both

    def target_lister(self, bucket: str, prefix: str = "") -> domain.TargetLister:
        return FakeTargetLister(self._s3, bucket, prefix, self._by)

    def target_reader(self, bucket: str, prefix: str = "") -> domain.TargetReader:
        return FakeTargetReader(self._s3, bucket, prefix, self._by)

    def copier(self, source: str, target: str, prefix: str = "", target_prefix: str = "") -> domain.VersionCopier:
        return FakeVersionCopier(self._s3, source, target, prefix, target_prefix, self._by)

    def anchor(self, bucket: str) -> domain.HeadAnchor:
        return FakeHeadAnchor(self._s3, bucket, self._by)

    def writer(self, bucket: str) -> domain.RecordWriter:
        return FakeRecordWriter(self._s3, bucket, self._by)

    def records(self, bucket: str) -> domain.RecordReader:
        return FakeRecordReader(self._s3, bucket, self._by)


class StoragePorts(Ports):
    """functions/storage over a server."""

    def __init__(self, backend: Backend, client: "S3Client | None" = None) -> None:
        self._backend = backend
        # Not the backend's own client: S3VersionLister keeps the listings of its client to itself.
        self._client = client or backend.owner()

    def bucket(self, *, object_lock: bool = False, versioning: bool = True) -> str:
        return self._backend.bucket(object_lock=object_lock, versioning=versioning)

    def put(self, bucket: str, key: str, body: bytes = b"") -> VersionId:
        answer = self._backend.s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")
        return VersionId(answer.get("VersionId", "null"))

    def put_without_checksum(self, bucket: str, key: str, body: bytes) -> VersionId:
        return VersionId(self._backend.s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"])

    def hide(self, bucket: str, key: str) -> VersionId:
        return VersionId(self._backend.s3.delete_object(Bucket=bucket, Key=key)["VersionId"])

    def destroy(self, bucket: str, key: str, version_id: VersionId) -> None:
        self._backend.s3.delete_object(Bucket=bucket, Key=key, VersionId=version_id)

    def limited(self, bucket: str, actions: Sequence[str]) -> "StoragePorts":
        return StoragePorts(self._backend, self._backend.limited(bucket, actions))

    def configuration(self, bucket: str) -> domain.BucketConfiguration:
        return S3BucketConfiguration(self._client, bucket)

    def lister(self, bucket: str, prefix: str = "") -> domain.VersionLister:
        return S3VersionLister(self._client, bucket, prefix)

    def reader(self, bucket: str, prefix: str = "") -> domain.PinnedReader:
        return S3PinnedReader(self._client, bucket, prefix)

    def ranges(self, bucket: str, prefix: str = "") -> RangedReader:
        return S3RangedReader(self._client, bucket, prefix)

    def later(self, bucket: str, prefix: str = "") -> domain.LaterVersions:
        return S3VersionLister(self._client, bucket, prefix)

    def retentions(self, bucket: str, prefix: str = "") -> tuple[domain.RetentionReader, domain.RetentionSetter]:
        both = S3Retentions(self._client, bucket, prefix)
        return both, both

    def target_lister(self, bucket: str, prefix: str = "") -> domain.TargetLister:
        return S3TargetLister(self._client, bucket, prefix)

    def target_reader(self, bucket: str, prefix: str = "") -> domain.TargetReader:
        return S3TargetReader(self._client, bucket, prefix)

    def copier(self, source: str, target: str, prefix: str = "", target_prefix: str = "") -> domain.VersionCopier:
        return S3VersionCopier(
            self._client,
            source_bucket=source,
            source_key_prefix=prefix,
            target_bucket=target,
            target_key_prefix=target_prefix,
        )

    def anchor(self, bucket: str) -> domain.HeadAnchor:
        return S3HeadAnchor(self._client, bucket)

    def writer(self, bucket: str) -> domain.RecordWriter:
        return S3RecordWriter(self._client, bucket)

    def records(self, bucket: str) -> domain.RecordReader:
        return S3RecordReader(self._client, bucket)


class Tables(ABC):
    """The ports of one ledger and one operations table, both empty at first."""

    ledger: domain.RecordingLedger
    collector: domain.ChunkCollector
    findings: domain.OnceFindingLog
    reports: domain.ReportLog
    verdict_log: domain.VerdictLog
    verdicts: domain.VerdictReader
    acknowledgement_log: domain.AcknowledgementLog
    acknowledgements: domain.AcknowledgementReader
    dropper: domain.StateDropper
    holds: domain.HoldLog
    lease: domain.PruneLease
    announcer: domain.RestoreAnnouncer
    ender: domain.RestoreEnder
    announced: domain.AnnouncedRestores

    @abstractmethod
    def report(self, repository: str, execution: str) -> bytes:
        """What is stored, past the port."""

    @abstractmethod
    def lose_evidence(self, verdict: Digest) -> None:
        """Somebody takes away the first part of the evidence behind a verdict."""


class MemoryTables(Tables):
    """The fake ones."""

    def __init__(self) -> None:
        ledger, reports = FakeLedger(), FakeReportLog()
        self.ledger = self.collector = ledger
        self.findings = FakeFindingLog()
        self.reports = self._reports = reports
        self.verdict_log = self.verdicts = self._verdicts = FakeVerdicts()
        self.acknowledgement_log = self.acknowledgements = FakeAcknowledgements()
        self.holds, self.lease = (holds := FakeHolds(ledger)), (lease := FakeLease())
        self.announcer = self.ender = self.announced = holds
        self.dropper = FakeStateDropper(ledger, holds, lease)

    def report(self, repository: str, execution: str) -> bytes:
        return next(content for place, content in self._reports.reports.items() if place == (repository, execution))

    def lose_evidence(self, verdict: Digest) -> None:
        del self._verdicts.evidence[verdict, 0]


class StorageTables(Tables):
    """functions/storage over a DynamoDB."""

    _numbers = itertools.count(1)

    def __init__(self, client: "DynamoDBClient") -> None:
        number = next(self._numbers)
        self._client = client
        self._operations = f"operations-{number}"
        ledger = f"ledger-{number}"
        for table in (ledger, self._operations):
            create_table(client, table)
        self.ledger = DynamoRecordingLedger(client, ledger, pause=lambda _: None)
        self.collector = DynamoChunkCollector(client, ledger)
        self.findings = DynamoFindingLog(client, self._operations)
        self.reports = DynamoReportLog(client, self._operations)
        self.verdict_log = DynamoVerdictLog(client, self._operations)
        self.verdicts = DynamoVerdictReader(client, self._operations)
        self.acknowledgement_log = self.acknowledgements = DynamoAcknowledgements(client, self._operations)
        self.holds = DynamoHoldLog(client, self._operations, ledger, pause=lambda _: None)
        self.lease = DynamoPruneLease(client, self._operations)
        self.announcer = DynamoRestoreAnnouncer(client, self._operations, ledger, pause=lambda _: None)
        self.ender = DynamoRestoreEnder(client, self._operations)
        self.announced = DynamoAnnouncedRestores(client, self._operations)
        self.dropper = DynamoStateDropper(client, ledger, self._operations, pause=lambda _: None)

    def report(self, repository: str, execution: str) -> bytes:
        key = {"pk": {"S": repository}, "sk": {"S": f"restore#{execution}"}}
        return bytes(self._client.get_item(TableName=self._operations, Key=key)["Item"]["report"]["B"])

    def lose_evidence(self, verdict: Digest) -> None:
        key = {"pk": {"S": f"evidence#{verdict}"}, "sk": {"S": "0000"}}
        self._client.delete_item(TableName=self._operations, Key=key)

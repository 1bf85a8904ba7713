"""What put-back touches, over the strict fake; and who is in quarantine, as a test says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from functions.domain.bucket_policy import Statement
from functions.domain.ports import Archived, TargetDenied
from functions.domain.quarantine import Principal
from functions.domain.restore.current import NOTHING, Current
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionGone, VersionId
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_checksums import FULL_OBJECT, decoded
from tests.fakes.s3_errors import AccessDenied, InvalidObjectState, InvalidRequest, NoSuchKey, NoSuchVersion
from tests.fakes.s3_model import ARCHIVE_CLASSES, Attributes, Version


@dataclass(frozen=True, slots=True)
class FakeCurrentReader:
    """CurrentReader."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def current(self, key: ObjectKey) -> Current:
        try:
            return _current(self.s3.head(self.bucket, self.key_prefix + key, by=self.by))
        except NoSuchKey:
            return NOTHING
        except AccessDenied as error:
            raise TargetDenied(str(error)) from error


@dataclass(frozen=True, slots=True)
class FakeVersionReturner:
    """VersionReturner."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER
    hashes: bool = True
    """False: an S3 that computes no checksums."""

    def put(self, version: ObjectVersion) -> Current:
        key = self.key_prefix + version.key
        try:
            written = self.s3.copy(
                (self.bucket, key, version.version_id),
                self.bucket,
                key,
                Attributes(
                    storage_class="STANDARD" if version.storage_class in ARCHIVE_CLASSES else version.storage_class
                ),
                checksum_algorithm="SHA256" if self.hashes else "",
                by=self.by,
            )
        except (NoSuchVersion, InvalidRequest) as error:
            raise VersionGone(str(error)) from error
        except InvalidObjectState as error:
            raise Archived(str(error)) from error
        except AccessDenied as error:
            raise TargetDenied(str(error)) from error
        return _current(written)


@dataclass(frozen=True, slots=True)
class FakeObjectHider:
    """ObjectHider."""

    s3: FakeS3
    bucket: str
    key_prefix: str = ""
    by: str = OWNER

    def hide(self, key: ObjectKey) -> None:
        self.s3.delete(self.bucket, self.key_prefix + key, by=self.by)


@dataclass
class FakeAttachedPolicies:
    """AttachedPolicies."""

    policies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By the ARN of the principal."""

    def of(self, principal: Principal) -> frozenset[str]:
        return self.policies.get(principal.arn, frozenset())


@dataclass
class FakeBucketStatements:
    """BucketStatements."""

    found: Sequence[Statement] = ()

    def statements(self) -> Sequence[Statement]:
        return self.found


def _current(version: Version) -> Current:
    checksum = version.checksums.get("SHA256")
    whole = version.checksum_type == FULL_OBJECT
    raw = decoded(checksum, 32) if checksum else None
    sha256 = Digest(raw.hex()) if raw and whole else None
    return Current(VersionId(version.version_id), version.size, sha256)

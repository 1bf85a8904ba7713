"""What is remembered of read versions, in memory with the fakes' fault hook; and bytes that rot."""

from dataclasses import replace

from functions.domain.content.plan import VersionName, name_of
from functions.domain.content.results import Sight
from functions.domain.content.sets import DamagedVersions, VerifiedSet
from functions.domain.values import Digest, RepositoryName
from tests.fakes.ledger import ITEM_BYTES, FakeTable
from tests.fakes.s3 import FakeS3


class FakeVerifiedSets(FakeTable):
    """VerifiedSets and VerifiedSetLog."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[Digest, bytes] = {}
        """Sets by digest, in the order of writing."""
        self.parts: dict[Digest, bytes] = {}
        """Damaged versions by digest."""

    def sets(self, repository: RepositoryName) -> tuple[VerifiedSet, ...]:
        with self._operation("QuerySets", repository):
            found = map(VerifiedSet.parse, self.stored.values())
            return tuple(one for one in found if one.repository == repository)

    def damaged(self, repository: RepositoryName) -> frozenset[VersionName]:
        with self._operation("QueryDamaged", repository):
            found = map(DamagedVersions.parse, self.parts.values())
            return frozenset(name for part in found if part.repository == repository for name in part.versions)

    def append(self, verified: VerifiedSet) -> None:
        with self._operation("PutSet", f"{verified.repository}/{verified.generation}"):
            assert len(verified.canonical()) < ITEM_BYTES
            self.stored.setdefault(verified.digest, verified.canonical())

    def append_damaged(self, damaged: DamagedVersions) -> None:
        with self._operation("PutDamaged", damaged.repository):
            assert len(damaged.canonical()) < ITEM_BYTES
            self.parts.setdefault(damaged.digest, damaged.canonical())


class FakeFirstSights(FakeTable):
    """FirstSightLog."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[RepositoryName, VersionName], Digest] = {}

    def keep(self, repository: RepositoryName, sight: Sight) -> Digest:
        with self._operation("KeepSight", repository):
            return self.kept.setdefault((repository, name_of(sight)), sight.sha256)


def rot(s3: FakeS3, bucket: str, key: str, body: bytes, version_id: str = "") -> None:
    """Change the bytes of a version (the current one) behind S3's back: no operation, no trace, the same id."""
    place = s3._bucket(bucket)
    found = place.find(key, version_id) if version_id else place.current(key)
    assert found is not None
    place.replace(found, replace(found, body=body))

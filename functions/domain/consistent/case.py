"""One repository's case: the fresh listing, and everything that it is judged against."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto

from functions.domain.consistent.baseline import Baseline
from functions.domain.consistent.fresh import Fresh, is_multipart
from functions.domain.documents import UnreadableDocument
from functions.domain.findings import FindingId
from functions.domain.repositories import Repository
from functions.domain.values import Evidence, Finding, ListedVersion, ObjectKey, ObjectVersion, Severity, VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that the rules of this level may look at."""

    repository: Repository
    fresh: Fresh
    baseline: Baseline = field(default_factory=Baseline)
    object_lock: bool = True
    """Whether Object Lock is on, so that nobody can suspend versioning."""
    proven: Container[tuple[ObjectKey, VersionId]] = frozenset()
    """Versions whose bytes were read and hash to their name."""

    @property
    def now(self) -> datetime:
        """The cut time: the instant that is judged."""
        return self.fresh.cut.time

    @property
    def md5_etags(self) -> bool:
        """Whether a single PUT's ETag is the MD5 of its bytes."""
        return self.repository.kms_key is None

    def compare(self, one: ObjectVersion, other: ObjectVersion) -> "Bytes":
        """What the listing can tell of two versions' bytes."""
        if one.size != other.size:
            return Bytes.DIFFERENT
        if one.etag and one.etag == other.etag:
            return Bytes.SAME
        if all((each.key, each.version_id) in self.proven for each in (one, other)):
            return Bytes.SAME
        comparable = self.md5_etags and all(each.etag and not is_multipart(each) for each in (one, other))
        return Bytes.DIFFERENT if comparable else Bytes.UNKNOWN

    def finding(
        self,
        finding: FindingId,
        severity: Severity,
        what: str,
        remedy: str,
        *,
        since: datetime | None = None,
        evidence: Iterable[Evidence] = (),
    ) -> Finding:
        shown = tuple(evidence)
        first = min((each.since for each in shown), default=self.now)
        return Finding(finding, severity, self.repository.repository, since or first, what, remedy, shown)


def decided(case: Case, proven: "ProvenAmong") -> Case:
    """The same case, with what `proven` knows of the versions that the listing cannot tell apart.

    It is asked only where that can make a difference: without MD5 ETags, about keys with several versions. What of
    it cannot be read proves nothing: the finding stays.
    """
    doubtful = [
        version
        for history in case.fresh.histories
        if any(case.compare(history.versions[-1], each) is Bytes.UNKNOWN for each in history.versions[:-1])
        for version in history.versions
    ]
    if not doubtful:
        return case
    try:
        return replace(case, proven=proven(doubtful))
    except UnreadableDocument:
        return case


ProvenAmong = Callable[[Sequence[ObjectVersion]], frozenset[tuple[ObjectKey, VersionId]]]
"""Those of some versions whose bytes were read and hash to their names."""


class Bytes(Enum):
    """How the bytes of two versions compare, as far as a listing tells."""

    SAME = auto()
    DIFFERENT = auto()
    UNKNOWN = auto()


def evidence_of(entries: Iterable[ListedVersion], *, standing: bool = False) -> Evidence:
    """Exactly these entries (at least one) of one key."""
    listed = list(entries)
    return Evidence(
        key=listed[0].key,
        version_ids=tuple(entry.version_id for entry in listed),
        since=min(entry.last_modified for entry in listed),
        standing=standing,
    )

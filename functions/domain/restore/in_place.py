"""The plan of a restore in place: the fewest writes that make a repository's current objects a state's again.

A key whose current version is the one that the state names needs nothing. Over any other current version the pinned one
is copied, and a key that the state does not have is hidden. No version is ever deleted: all that was current before
stays beneath, and the state that was recorded just before is the way back.

Whether another version under a key holds the same bytes, no listing tells: an ETag is no proof where whoever writes
can choose both. So the plan says to copy over it, and put-back leaves it where S3 keeps a SHA-256 that is right.

Security rules:
- Every change names the version that is current now: what is another one by then was written meanwhile, and stays.
- A plan is named by the digest of its bytes, which cover the digest of every batch.
- Lock files are in no state, so that none is put back and none hidden.
- Key files that were removed since the state stay hidden unless they are asked for: a revoked password must not come
  back by the way.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field, model_validator

from functions.domain.batches import PlannedBatch
from functions.domain.columns import Columns
from functions.domain.diff import Difference
from functions.domain.documents import Document, Instant, Part, UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.ports import LedgerReader, RecordReader
from functions.domain.restic import FileType, file_type
from functions.domain.restore.plan import PlanMismatch, plan_file, proven_batch
from functions.domain.restore.proof import Trouble
from functions.domain.restore.request import Location, Tier
from functions.domain.roots import ContentRoot
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId

BATCH_CHANGES = 500
"""Some 30 s of looking and copying, as in a restore to a bucket."""
BATCH_BYTES = 8 << 30


@dataclass(frozen=True, slots=True)
class Change:
    """What has to be done about one key."""

    key: ObjectKey
    over: VersionId | None
    """The version that is current now; None: the key is hidden, or was never written."""
    put: ObjectVersion | None
    """What has to be current; None: the key is to be hidden."""

    def __post_init__(self) -> None:
        if self.put is None and self.over is None:
            raise ValueError(f"nothing is to be done about {self.key}")


class InPlacePlan(Document):
    """What to put back and what to hide. It is named by its digest, and so is the folder of its files."""

    KIND: ClassVar[str] = "restore plan in place"

    repository: RepositoryName
    state: StateId
    manifest_root: Digest
    source: Location
    """Where the repository is."""
    before: StateId
    """Recorded just before: what undoes it."""
    before_generation: int = Field(ge=1)
    content_root: Digest
    """Of what is to be current in the end."""
    objects: int = Field(ge=0)
    """To be current in the end."""
    bytes: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    """Of these, those that are current now, the very versions."""
    put: int = Field(ge=0)
    put_bytes: int = Field(ge=0)
    hide: int = Field(ge=0)
    revoked: tuple[ObjectKey, ...]
    """Key files of the state that were removed since, and stay hidden; in key order."""
    reinstated: tuple[ObjectKey, ...]
    """Those that come back, as was asked for."""
    archived: int = Field(ge=0)
    """Of what is put back, what lay in an archive class when the state was recorded."""
    thaw: Tier | None
    """How that is brought back first."""
    quarantined: bool
    """Whether hosts were denied writes when it was drawn; if not, a person insisted."""
    batches: tuple[PlannedBatch, ...]

    @model_validator(mode="after")
    def _adds_up(self) -> "InPlacePlan":
        if self.unchanged + self.put != self.objects:
            raise ValueError("objects are those that are unchanged and those that are put back")
        if sum(batch.objects for batch in self.batches) != self.put + self.hide:
            raise ValueError("the batches are not all changes")
        return self


@dataclass(slots=True)
class Changes:
    """The changes that make a state of the one before, and what they come to once they were all gone through."""

    with_revoked_keys: bool
    put: int = 0
    put_bytes: int = 0
    hide: int = 0
    revoked: list[ObjectKey] = field(default_factory=list)
    """Key files of the state that are not current now: left out, or brought back as was asked."""
    left_out_bytes: int = 0

    def of(self, differences: Iterable[Difference]) -> Iterator[Change]:
        """In key order, of the differences from the present state to the chosen one."""
        for each in differences:
            now, wanted = each.before, each.after
            if wanted is None:
                self.hide += 1
                yield Change(each.key, now.version_id if now else None, None)
                continue
            if now is None and file_type(each.key) is FileType.KEY:
                self.revoked.append(each.key)
                if not self.with_revoked_keys:
                    self.left_out_bytes += wanted.size
                    continue
            self.put += 1
            self.put_bytes += wanted.size
            yield Change(each.key, now.version_id if now else None, wanted)

    @property
    def left_out(self) -> tuple[ObjectKey, ...]:
        return () if self.with_revoked_keys else tuple(self.revoked)

    @property
    def reinstated(self) -> tuple[ObjectKey, ...]:
        return tuple(self.revoked) if self.with_revoked_keys else ()


class PresentNotRecorded(Exception):
    """No state was recorded since then; nothing was decided. The workflow asks for one and comes back."""


def recorded_since(ledger: LedgerReader, repository: RepositoryName, since: datetime, what: str) -> StateHeader:
    """The newest state, if it was cut at `since` or later; `what` says in an error what happened then.

    Raises PresentNotRecorded, StateDamaged.
    """
    head = ledger.head(repository)
    if head is None or head.cut_time < since:
        raise PresentNotRecorded(f"{repository} has no state yet that was recorded since {what}")
    header = ledger.header(repository, head.generation)
    if header is None or header.id != head.state:
        raise StateDamaged(f"the ledger does not hold the newest state of {repository}")
    return header


def content_root_without(blocks: Iterable[Columns], left_out: Iterable[ObjectKey]) -> Digest:
    """The content root of a state (its blocks in key order) without some of its keys."""
    root, absent = ContentRoot(), frozenset(left_out)
    for block in blocks:
        root.update(block.chosen(bytes(key not in absent for key in block.keys)))
    return root.digest()


def cut_batches(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    """Runs of at most BATCH_CHANGES changes that copy at most BATCH_BYTES bytes, in order; a larger one is alone."""
    pending: list[Change] = []
    weight = 0
    for change in changes:
        size = change.put.size if change.put else 0
        if pending and (len(pending) == BATCH_CHANGES or weight + size > BATCH_BYTES):
            yield tuple(pending)
            pending, weight = [], 0
        pending.append(change)
        weight += size
    if pending:
        yield tuple(pending)


def planned(number: int, batch: tuple[Change, ...], content: bytes) -> PlannedBatch:
    """A batch as the plan states it; `content` is its file."""
    return PlannedBatch(
        number=number,
        digest=batch_digest(content),
        objects=len(batch),
        bytes=sum(change.put.size for change in batch if change.put),
    )


class _Pinned(Part):
    version_id: VersionId
    size: int = Field(ge=0)
    last_modified: Instant
    etag: str
    storage_class: str


class _Line(Part):
    """One line of a batch file: a change, whole."""

    key: ObjectKey
    over: VersionId | None
    put: _Pinned | None


def encode_changes(batch: Iterable[Change]) -> bytes:
    """A batch file: one line of JSON per change."""
    return b"".join(_encode(change) for change in batch)


def _encode(change: Change) -> bytes:
    put = change.put and _Pinned(
        version_id=change.put.version_id,
        size=change.put.size,
        last_modified=change.put.last_modified,
        etag=change.put.etag,
        storage_class=change.put.storage_class,
    )
    line = _Line(key=change.key, over=change.over, put=put)
    # ASCII, so that nothing but "\n" can be taken for the end of a line.
    return json.dumps(line.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode() + b"\n"


def decode_changes(content: bytes) -> tuple[Change, ...]:
    """The inverse of `encode_changes`. Raises UnreadableDocument."""
    try:
        return tuple(_decoded(json.loads(line)) for line in content.splitlines())
    except ValueError as error:
        raise UnreadableDocument(f"a stored batch is malformed: {error}") from error


def _decoded(content: Any) -> Change:
    line = _Line.model_validate(content)
    if line.put is None:
        return Change(line.key, line.over, None)
    put = ObjectVersion(
        key=line.key,
        version_id=line.put.version_id,
        size=line.put.size,
        last_modified=line.put.last_modified,
        etag=line.put.etag,
        storage_class=line.put.storage_class,
    )
    return Change(line.key, line.over, put)


def batch_digest(content: bytes) -> Digest:
    """The digest of a batch file's bytes, as the plan states it."""
    return Digest(hashlib.sha256(b"rwm restore in place batch 1\0" + content).hexdigest())


def read_plan(records: RecordReader, digest: Digest, version_id: VersionId) -> InPlacePlan:
    """The plan of that digest. Raises PlanMismatch, UnreadableDocument, VersionGone."""
    plan = InPlacePlan.parse(records.get(plan_file(digest), version_id))
    if plan.digest != digest:
        raise PlanMismatch(f"restore plan is {plan.digest}, expected {digest}; nothing was put back")
    return plan


def read_changes(
    records: RecordReader, plan: InPlacePlan, number: int, version_id: VersionId | None = None
) -> tuple[Change, ...]:
    """A batch's changes, proven by the digest in the plan. Raises PlanMismatch, VersionGone."""
    return decode_changes(
        proven_batch(records, plan.digest, plan.batches, number, version_id, batch_digest, "nothing of it was put back")
    )


class Done(Part):
    """A change that is made, and proven where it was put."""

    key: ObjectKey
    version_id: VersionId | None
    """What is current now and was compared; None: the key is hidden."""
    written: bool
    """By this execution; otherwise it was so already."""


class PutBackResult(Document):
    """What became of one batch in one execution."""

    KIND: ClassVar[str] = "put-back result"

    plan: Digest
    execution: str
    number: int = Field(ge=0)
    batch: Digest
    written_bytes: int = Field(ge=0)
    done: tuple[Done, ...]
    """In key order."""
    troubles: tuple[Trouble, ...]
    """In key order. What is not done; and what was put back exactly, though its bytes were damaged in the state."""

    def is_of(self, plan: InPlacePlan, execution: str, batch: PlannedBatch) -> bool:
        """Whether it speaks of exactly this batch, and of each key in it."""
        named = (self.plan, self.execution, self.number, self.batch)
        keys = {each.key for each in self.done} | {each.key for each in self.troubles}
        return named == (plan.digest, execution, batch.number, batch.digest) and len(keys) == batch.objects


def expected(header: StateHeader, changes: Changes) -> tuple[int, int]:
    """Objects and bytes that are to be current in the end."""
    return header.objects - len(changes.left_out), header.bytes - changes.left_out_bytes


def requests(plan: InPlacePlan) -> Mapping[str, int]:
    """About what it takes of S3, by the operation's name; what is too large for one copy takes more."""
    return {
        "HeadObject": plan.put + plan.hide,
        "CopyObject": plan.put,
        "DeleteObject": plan.hide,
        # Plan, manifest and report; and of each batch its file and its result.
        "PutObject": 3 + 2 * len(plan.batches),
        "GetObject": 1 + 3 * len(plan.batches),
    }

"""Restoring a state into another bucket: what is refused, the plan, the proof of each object, the report.

Security rules:
- A plan is data, named by the digest of its bytes, and holds no time: the same state and the same target
  always give the same plan, so that running again resumes it. It covers the digest of every batch.
- A restore writes only where `restore_targets` allows, never into a protected bucket, and only when the
  target holds nothing, or a part of this same state. What shows otherwise is refused before any write.
- An object is proven by the SHA-256 of the bytes in the target: equal to its name, or, where its name
  promises none, equal to that of the pinned version. A listing proves no bytes. So a target that held what
  a name promises keeps it, even where the state's own version is damaged.
- Nothing is called restored unless each object is proven and the target's content root is the state's.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from functions.domain.batches import PlannedBatch, cut_runs, decode_batch, encode_batch
from functions.domain.documents import Document, Instant, Part
from functions.domain.ports import RecordReader
from functions.domain.repositories import BucketName, Configuration, Repository
from functions.domain.restic import promised_sha256
from functions.domain.roots import content_root
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId

BATCH_OBJECTS = 500
"""A batch is one page of the target's listing, and some 30 s of copying; a million objects are 2,000 batches."""
BATCH_BYTES = 8 << 30
"""What can be hashed twice (the source and the copy) within half of a function's 15 minutes at 70 MB/s, when S3
gives no checksum at all. 500 of restic's packs of 16 MiB stay just below."""
LARGEST_COPY = 5 << 30
"""S3 copies no more in one call."""
LONGEST_KEY = 1024
"""Bytes of a key, as S3 bounds it."""
ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Bytes in these must be thawed before they can be copied."""
SHOWN = 100
"""How many troubles the short report names at most."""
_SHOWN_BYTES = 200_000
"""And how many bytes of them: an item of the operations table holds 400 KB, and a key of S3 may be 6 KB of JSON."""
_EXAMPLES = 5


class RestoreRefused(Exception):
    """The restore must not begin; nothing was written. The message says why, and what would do."""


class PlanMismatch(Exception):
    """What is stored is not the plan or the batch that was announced; nothing was copied from it."""


# --- what is asked for -----------------------------------------------------------------------------


class Location(Part):
    """A bucket and an optional prefix."""

    bucket: BucketName
    prefix: Annotated[str, Field(max_length=256, pattern=r"^([A-Za-z0-9._=+@-]+(/[A-Za-z0-9._=+@-]+)*)?$")] = ""

    @property
    def key_prefix(self) -> str:
        """What precedes each key in the bucket: empty, or the prefix and a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key_prefix}"


ExecutionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]
"""Of an execution of the restore workflow. It becomes a part of keys."""


class RestoreRequest(Part):
    """What a person asks for."""

    repository: str = Field(min_length=1, max_length=64)
    state: str = Field(min_length=1, max_length=64)
    """What `choose_state` accepts; the operator's command sends the full id."""
    target: Location

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises RestoreRefused naming each wrong field."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'the request'}: {each['msg']}"
                for each in error.errors(include_url=False)
            )
            raise RestoreRefused(f"the request is malformed ({wrong}); nothing was written") from error


class PlanRequest(RestoreRequest):
    """What the workflow asks the first step, which announces this execution."""

    execution: ExecutionName


# --- what is refused -------------------------------------------------------------------------------


def protected_repository(configuration: Configuration, name: str) -> Repository:
    """The repository of that name. Raises RestoreRefused."""
    if (repository := configuration.find(name)) is None:
        known = ", ".join(each.name for each in configuration.repositories)
        raise RestoreRefused(f"there is no repository {name!r}, only {known}; nothing was written")
    return repository


def check_target(target: Location, configuration: Configuration, records_bucket: str) -> None:
    """Raises RestoreRefused for a target that no restore may ever write to, whatever it holds."""
    if target.bucket in configuration.buckets:
        names = ", ".join(each.name for each in configuration.buckets[target.bucket])
        raise RestoreRefused(
            f"{target.bucket} is a protected bucket (of {names}), and a restore never writes into one; "
            "nothing was written; name another bucket"
        )
    if target.bucket == records_bucket:
        raise RestoreRefused(f"{target.bucket} holds RWM's own records; nothing was written; name another bucket")
    if not any(fnmatchcase(target.bucket, pattern) for pattern in configuration.restore_targets):
        allowed = ", ".join(configuration.restore_targets)
        raise RestoreRefused(
            f"{target.bucket} is not among restore_targets ({allowed}); nothing was written; name a bucket that is, "
            "or add it to repositories.toml and deploy"
        )


def check_copyable(versions: Sequence[ObjectVersion], target: Location) -> None:
    """Raises RestoreRefused where S3 could not copy an object of the state to its key in the target."""
    _refuse_if_any(
        [f"{each.key} ({each.size} bytes)" for each in versions if each.size > LARGEST_COPY],
        "over 5 GiB, which S3 does not copy in one call",
        "copy them by hand with their version ids",
    )
    _refuse_if_any(
        [f"{each.key} ({each.storage_class})" for each in versions if each.storage_class in ARCHIVE_CLASSES],
        "in an archive class, which cannot be copied before it is thawed",
        "restore these versions with S3's RestoreObject first",
    )
    _refuse_if_any(
        [repr(each.key) for each in versions if not _fits(target.key_prefix + each.key)],
        f"without a possible key under {target}: a key has 1 to {LONGEST_KEY} bytes",
        "choose another prefix",
    )


def _fits(key: str) -> bool:
    return 1 <= len(key.encode()) <= LONGEST_KEY


def _refuse_if_any(found: Sequence[str], what: str, remedy: str) -> None:
    if found:
        raise RestoreRefused(
            f"{len(found)} object(s) of the state are {what}: {_some(found)}; nothing was written; {remedy}"
        )


def _some(found: Sequence[str]) -> str:
    more = f" and {len(found) - _EXAMPLES} more" if len(found) > _EXAMPLES else ""
    return ", ".join(found[:_EXAMPLES]) + more


def already_there(
    versions: Sequence[ObjectVersion], listed: Iterable[tuple[ObjectKey, int]], target: Location
) -> tuple[ObjectVersion, ...]:
    """The state's objects that the target seems to hold already, by key and size: their bytes are yet to be seen.

    Raises RestoreRefused when the target holds any other key, or another size under one of these.
    """
    by_key = {version.key: version for version in versions}
    there: list[ObjectVersion] = []
    strange: list[str] = []
    for key, size in listed:
        version = by_key.get(key)
        if version is None:
            strange.append(repr(key))
        elif version.size != size:
            strange.append(f"{key!r} ({size} bytes, in the state {version.size})")
        else:
            there.append(version)
    refuse_strangers(strange, target)
    return tuple(there)


def refuse_strangers(strange: Sequence[str], target: Location) -> None:
    """Raises RestoreRefused if there is any: the target holds what this state does not."""
    if strange:
        raise RestoreRefused(
            f"{target} holds {len(strange)} object(s) that are not part of this state: {_some(strange)}; "
            "nothing was written; name an empty target, or the one where a restore of this state was begun"
        )


# --- the plan --------------------------------------------------------------------------------------


class RestorePlan(Document):
    """What to copy, from where and to where. It is named by its digest, and so is the folder of its files."""

    KIND: ClassVar[str] = "restore plan"

    repository: RepositoryName
    state: StateId
    manifest_root: Digest
    content_root: Digest
    source: Location
    target: Location
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)
    batches: tuple[PlannedBatch, ...]


def draw_plan(
    header: StateHeader, versions: Iterable[ObjectVersion], source: Location, target: Location
) -> RestorePlan:
    """The plan that copies `versions` (the proven entries of `header`, in key order) from `source` to `target`."""
    batches = tuple(
        PlannedBatch(
            number=number,
            digest=batch_digest(encode_batch(batch)),
            objects=len(batch),
            bytes=sum(version.size for version in batch),
        )
        for number, batch in enumerate(cut_batches(versions))
    )
    return RestorePlan(
        repository=header.repository,
        state=header.id,
        manifest_root=header.manifest_root,
        content_root=header.content_root,
        source=source,
        target=target,
        objects=header.objects,
        bytes=header.bytes,
        batches=batches,
    )


def cut_batches(versions: Iterable[ObjectVersion]) -> Iterator[tuple[ObjectVersion, ...]]:
    """`versions` in runs of at most BATCH_OBJECTS objects and BATCH_BYTES bytes, in order.

    No versions are one empty batch, so that every restore runs the same steps and leaves a result.
    """
    runs = cut_runs(versions, objects=BATCH_OBJECTS, size=BATCH_BYTES)
    yield next(runs, ())
    yield from runs


def batch_digest(content: bytes) -> Digest:
    """The digest of a batch file's bytes, as the plan states it."""
    return Digest(hashlib.sha256(b"rwm restore batch 1\0" + content).hexdigest())


# --- its files in the records bucket ---------------------------------------------------------------


def plan_file(plan: Digest) -> str:
    return f"restores/{plan}/plan.json"


def manifest_file(plan: Digest) -> str:
    return f"restores/{plan}/manifest.json"


def batch_file(plan: Digest, number: int) -> str:
    return f"restores/{plan}/batches/{number:05d}.jsonl"


def result_file(plan: Digest, execution: str, number: int) -> str:
    return f"restores/{plan}/results/{execution}/{number:05d}.json"


def report_file(plan: Digest, execution: str) -> str:
    return f"restores/{plan}/report-{execution}.json"


def read_plan(records: RecordReader, digest: Digest, version_id: VersionId) -> RestorePlan:
    """The plan of that digest. Raises PlanMismatch, UnreadableDocument, VersionGone."""
    plan = RestorePlan.parse(records.get(plan_file(digest), version_id))
    if plan.digest != digest:
        raise PlanMismatch(f"restore plan is {plan.digest}, expected {digest}; nothing was copied")
    return plan


def read_batch(
    records: RecordReader, plan: RestorePlan, number: int, version_id: VersionId | None = None
) -> tuple[ObjectVersion, ...]:
    """The entries of a batch, proven by the digest in the plan. Raises PlanMismatch, VersionGone."""
    if number >= len(plan.batches):
        raise PlanMismatch(f"the restore plan has {len(plan.batches)} batches, and none numbered {number}")
    content = records.get(batch_file(plan.digest, number), version_id)
    if (actual := batch_digest(content)) != plan.batches[number].digest:
        raise PlanMismatch(
            f"batch {number} is {actual}, expected {plan.batches[number].digest}; nothing was copied from it"
        )
    return decode_batch(content)


# --- the proof of an object ------------------------------------------------------------------------


class Comparison(StrEnum):
    """How the bytes in the target compare with what the state pins."""

    PROVEN = "proven"
    """They are what their name promises; or, where it promises nothing, the state's."""
    DAMAGED = "damaged"
    """They are exactly the state's; but the state's own bytes are not what their name promises."""
    DIFFERENT = "different"


def compare(key: ObjectKey, found: Digest, pinned: Callable[[], Digest]) -> Comparison:
    """Judge the bytes under `key` in the target by their SHA-256.

    `pinned` hashes the bytes of the pinned version; it is called only where the name does not settle it.
    """
    promised = promised_sha256(key)
    if found == promised:
        return Comparison.PROVEN
    if found != pinned():
        return Comparison.DIFFERENT
    return Comparison.DAMAGED if promised else Comparison.PROVEN


class Kind(StrEnum):
    """What kept an object from being proven."""

    UNPROVEN = "unproven"
    """Copied, but its bytes could not be compared."""
    MISSING = "missing"
    """The version that the state pins no longer exists."""
    DAMAGED = "damaged"
    """Copied exactly; the state's own bytes are not what their name promises."""
    FAILED = "failed"
    """Not copied, or copied wrongly."""
    UNEXPECTED = "unexpected"
    """In the target, but not in the state."""


class Trouble(Part):
    """One object that is not proven, and why."""

    key: ObjectKey
    kind: Kind
    why: str


_LONGEST_WHY = 300


def trouble(key: ObjectKey, kind: Kind, why: object) -> Trouble:
    return Trouble(key=key, kind=kind, why=str(why)[:_LONGEST_WHY])


class BatchResult(Document):
    """What became of one batch in one execution."""

    KIND: ClassVar[str] = "restore batch result"

    plan: Digest
    execution: str
    number: int = Field(ge=0)
    batch: Digest
    proven: int = Field(ge=0)
    copied: int = Field(ge=0)
    copied_bytes: int = Field(ge=0)
    skipped: int = Field(ge=0)
    """Already there and compared: nothing was written for them."""
    troubles: tuple[Trouble, ...]
    """In key order, at most one for a key."""

    def count(self, kind: Kind) -> int:
        return sum(each.kind is kind for each in self.troubles)

    def is_of(self, plan: RestorePlan, execution: str, batch: PlannedBatch) -> bool:
        """Whether it speaks of exactly this batch, and of each object in it."""
        named = (self.plan, self.execution, self.number, self.batch)
        counted = self.proven + len({each.key for each in self.troubles})
        return named == (plan.digest, execution, batch.number, batch.digest) and counted == batch.objects


# --- the report ------------------------------------------------------------------------------------

Outcome = Literal["restored", "restored-damaged", "incomplete"]


class RestoreReport(Document):
    """How a restore ended. `incomplete` unless everything was compared and is the state's."""

    KIND: ClassVar[str] = "restore report"
    FORMATS: ClassVar[Mapping[int, frozenset[str]]] = {1: frozenset({"verified_at"}), 2: frozenset()}

    plan: Digest
    execution: str
    verified_at: Instant | None = None
    """By the clock of the function that verified; None in the first format."""
    repository: RepositoryName
    state: StateId
    source: Location
    target: Location
    outcome: Outcome
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)
    proven: int = Field(ge=0)
    copied: int = Field(ge=0)
    copied_bytes: int = Field(ge=0)
    skipped: int = Field(ge=0)
    unproven: int = Field(ge=0)
    missing: int = Field(ge=0)
    damaged: int = Field(ge=0)
    failed: int = Field(ge=0)
    unexpected: int = Field(ge=0)
    content_root: Digest
    """The state's."""
    found_content_root: Digest
    """The target's, from its listing at the end."""
    troubles: tuple[Trouble, ...]
    """In key order."""
    left_out: int = Field(default=0, ge=0)
    """Troubles that this copy of the report does not name; the file in the records bucket names all."""

    @model_validator(mode="after")
    def _is_earned(self) -> Self:
        same = self.content_root == self.found_content_root
        whole = self.proven == self.objects if self.outcome == "restored" else True
        exact = self.proven + self.damaged == self.objects
        if self.outcome != "incomplete" and not (same and whole and exact and not self.unexpected):
            raise ValueError(f"a report says {self.outcome} of what was not proven")
        return self

    def shortened(self) -> "RestoreReport":
        """The same with the first troubles only: as many as fit an item of the operations table, at most SHOWN."""
        room = _SHOWN_BYTES
        kept: list[Trouble] = []
        for each in self.troubles[:SHOWN]:
            room -= len(each.model_dump_json().encode())
            if room < 0:
                break
            kept.append(each)
        return self.model_copy(update={"troubles": tuple(kept), "left_out": len(self.troubles) - len(kept)})


@dataclass(frozen=True, slots=True)
class Found:
    """What the target holds at the end."""

    listed: Mapping[ObjectKey, int]
    """Sizes in bytes by key, in key order."""

    @property
    def content_root(self) -> Digest:
        return content_root(self.listed.items())


def differences(found: Found, pinned: Iterable[ObjectVersion]) -> Iterator[Trouble]:
    """Where the target's listing is not the state's: objects that are absent, of another size, or too many."""
    unseen = dict(found.listed)
    for version in pinned:
        size = unseen.pop(version.key, None)
        if size is None:
            yield trouble(version.key, Kind.FAILED, "it is not in the target")
        elif size != version.size:
            yield trouble(version.key, Kind.FAILED, f"it has {size} bytes in the target, in the state {version.size}")
    for key in unseen:
        yield trouble(key, Kind.UNEXPECTED, "it is in the target, but not in the state")


def conclude(
    plan: RestorePlan,
    execution: str,
    results: Iterable[BatchResult],
    troubles: Iterable[Trouble],
    found: Found,
    verified_at: datetime,
) -> RestoreReport:
    """The report of an execution from the `results` of its batches (those that have one that holds), what else
    is known to be wrong, and what the target holds. What a batch says of a failed object comes first."""
    given = list(results)
    by_key: dict[ObjectKey, Trouble] = {each.key: each for result in given for each in result.troubles}
    for each in troubles:
        if each.key not in by_key or by_key[each.key].kind is Kind.DAMAGED:
            by_key[each.key] = each
    counts = dict.fromkeys(Kind, 0)
    for each in by_key.values():
        counts[each.kind] += 1
    not_proven = len(by_key) - counts[Kind.UNEXPECTED]
    root = found.content_root
    return RestoreReport(
        plan=plan.digest,
        execution=execution,
        verified_at=verified_at,
        repository=plan.repository,
        state=plan.state,
        source=plan.source,
        target=plan.target,
        outcome=_outcome(counts, exact=root == plan.content_root),
        objects=plan.objects,
        bytes=plan.bytes,
        proven=plan.objects - not_proven,
        copied=sum(result.copied for result in given),
        copied_bytes=sum(result.copied_bytes for result in given),
        skipped=sum(result.skipped for result in given),
        unproven=counts[Kind.UNPROVEN],
        missing=counts[Kind.MISSING],
        damaged=counts[Kind.DAMAGED],
        failed=counts[Kind.FAILED],
        unexpected=counts[Kind.UNEXPECTED],
        content_root=plan.content_root,
        found_content_root=root,
        troubles=tuple(sorted(by_key.values(), key=lambda each: each.key.encode())),
    )


def _outcome(counts: Mapping[Kind, int], *, exact: bool) -> Outcome:
    if not exact or any(count for kind, count in counts.items() if kind is not Kind.DAMAGED):
        return "incomplete"
    return "restored-damaged" if counts[Kind.DAMAGED] else "restored"

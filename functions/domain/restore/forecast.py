"""What a restore would do: the answer to `--dry-run`. Nothing was written for it.

It goes through a workflow's state, which holds 256 KiB: it counts everything, and names the first of each kind.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from functions.domain.documents import Instant, Part
from functions.domain.restore.plan import Choice, RestorePlan
from functions.domain.restore.target import TOO_LARGE_TO_PROVE, Survey, part_size
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, RepositoryName, StateId

NAMED = 5
"""Objects of one kind that are named: a key is up to 6 KB of JSON."""
NAMED_KEY_FILES = 100
"""Their names are short."""
_PAGE = 1000
"""Objects in one answer to ListObjectsV2."""
_FILES = 3
"""Plan, manifest and report."""


class Amount(Part):
    """How many objects, and how many bytes."""

    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)


class ClassAmount(Amount):
    """What lies in one storage class."""

    storage_class: str


class Unproven(Part):
    """An object whose bytes nothing will prove, and why."""

    key: ObjectKey
    why: str


class Forecast(Part):
    """What would be restored, and what it takes. Counts of requests are S3's, about."""

    repository: RepositoryName
    state: StateId
    cut_time: Instant
    to: Literal["bucket", "directory", "in-place"]
    where: str
    """Bucket and prefix; of a directory, its path as far as it is known."""
    objects: int = Field(ge=0)
    """That the result will have."""
    bytes: int = Field(ge=0)
    there: int = Field(default=0, ge=0)
    """Of these, objects that are there already with this key and size."""
    classes: tuple[ClassAmount, ...]
    """By storage class, as it was when the state was recorded."""
    requests: Mapping[str, int]
    """By the name of S3's operation."""
    unproven: int = Field(default=0, ge=0)
    """Objects that will be there at the end without a proof: the restore will end as incomplete for them."""
    unproven_first: tuple[Unproven, ...] = ()
    revoked: int = Field(default=0, ge=0)
    """Key files of the state that were removed since."""
    revoked_first: tuple[ObjectKey, ...] = ()
    with_revoked_keys: bool = False
    """Whether these come back too."""
    archived: Amount = Amount(objects=0, bytes=0)
    """What has to be thawed before it can be read."""
    thaw: str | None = None
    """At which tier."""
    sample: int | None = Field(default=None, ge=0)
    """Of a drill: objects that are left out; None: none."""


def foresee(
    header: StateHeader, plan: RestorePlan, *, survey: Survey, choice: Choice, there: int, compared: int
) -> Forecast:
    """What a plan into a bucket would do: `there` objects seem to be in the target already, `compared` of them had
    their bytes looked at. All of the plan has passed `survey` and `choice`."""
    return Forecast(
        repository=header.repository,
        state=header.id,
        cut_time=header.cut_time,
        to="bucket",
        where=str(plan.target),
        objects=plan.objects,
        bytes=plan.bytes,
        there=there,
        classes=classes_of(survey),
        requests=_requests(plan, survey, there, compared),
        unproven=len(survey.unproven),
        unproven_first=tuple(Unproven(key=key, why=TOO_LARGE_TO_PROVE) for key in survey.unproven[:NAMED]),
        revoked=len(choice.revoked),
        revoked_first=tuple(choice.revoked[:NAMED_KEY_FILES]),
        with_revoked_keys=choice.with_revoked_keys,
        archived=Amount(objects=survey.archived.count, bytes=survey.archived_bytes),
        thaw=plan.thaw,
        sample=plan.sample,
    )


def classes_of(survey: Survey) -> tuple[ClassAmount, ...]:
    """What was seen of each storage class, by its name."""
    return tuple(
        ClassAmount(storage_class=name, objects=seen.objects, bytes=seen.bytes)
        for name, seen in sorted(survey.classes.items())
    )


def _requests(plan: RestorePlan, survey: Survey, there: int, compared: int) -> dict[str, int]:
    batches = len(plan.batches)
    in_parts = len(survey.in_parts)
    read_back = in_parts - len(survey.unproven)
    asked = {
        # Of the target: to plan, by each batch, and at the end.
        "ListObjectsV2": _pages(there) + batches + _pages(plan.objects),
        "HeadObject": compared + there,
        "CopyObject": max(0, plan.objects - in_parts - there),
        "CreateMultipartUpload": in_parts,
        "UploadPartCopy": sum(-(-size // part_size(size)) for size in survey.in_parts),
        "CompleteMultipartUpload": in_parts,
        # The pinned version of what no name promises the bytes of, copies that are read back, and our own files.
        "GetObject": survey.unnamed.objects + read_back + 3 * batches,
        "PutObject": 2 * batches + _FILES,
        "RestoreObject": survey.archived.count,
    }
    return {operation: count for operation, count in asked.items() if count}


def _pages(objects: int) -> int:
    return max(1, -(-objects // _PAGE))

"""Small repositories as listings: what a test says about one, and everything else filled in."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.consistent.baseline import Baseline, Point
from functions.domain.consistent.case import Case
from functions.domain.consistent.check import judge
from functions.domain.consistent.fold import observe
from functions.domain.consistent.fresh import Usual
from functions.domain.consistent.kept import Kept
from functions.domain.consistent.shown import Shown
from functions.domain.cut import Cut
from functions.domain.repositories import Migration, Repository
from functions.domain.values import (
    DeleteMarker,
    Finding,
    ListedVersion,
    ObjectKey,
    ObjectVersion,
    VersionId,
)
from tests.builders import NOON, named, pack
from tests.cuts import in_small_blocks

DAY = timedelta(days=1)
KMS = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

CONFIG = ObjectKey("config")
KEY = named("keys", "first key")
INDEX = named("index", "index")
PACK = pack("pack")
SNAPSHOT = named("snapshots", "snapshot")


def ago(days: float) -> datetime:
    return NOON - timedelta(seconds=round(days * 86_400))


def put(
    key: str,
    days: float = 20.0,
    *,
    body: str = "",
    size: int = 100,
    version_id: str = "",
    etag: str = "",
    storage_class: str = "STANDARD",
) -> ObjectVersion:
    """A version that was written `days` ago; `body` stands for its bytes."""
    return ObjectVersion(
        key=ObjectKey(key),
        version_id=VersionId(version_id or f"{key[-4:]}@{days}"),
        size=size,
        last_modified=ago(days),
        etag=etag or hashlib.md5((body or key).encode(), usedforsecurity=False).hexdigest(),
        storage_class=storage_class,
    )


def hide(key: str, days: float) -> DeleteMarker:
    return DeleteMarker(ObjectKey(key), VersionId(f"hidden {key[-4:]}@{days}"), ago(days))


def healthy(*, snapshots: int = 10, packs: int = 10) -> list[ListedVersion]:
    """A repository of twenty days, with a snapshot and a pack a day up to yesterday."""
    return [
        put(CONFIG),
        put(KEY),
        put(INDEX),
        *(put(named("snapshots", str(day)), day + 0.5) for day in range(snapshots)),
        *(put(pack(f"pack {day}"), day + 0.5, size=1000) for day in range(packs)),
    ]


def ordered(entries: Iterable[ListedVersion]) -> list[ListedVersion]:
    return sorted(entries, key=lambda entry: (entry.key.encode(), -entry.last_modified.timestamp()))


def repository(**settings: object) -> Repository:
    return Repository.model_validate({"name": "alpha", "bucket": "backups-of-alpha", **settings})


@dataclass(frozen=True)
class Known:
    """A baseline whose two states are whole."""

    points: tuple[Point, ...] = ()
    approved: Point | None = None
    reference: tuple[ObjectVersion, ...] = ()
    old: tuple[ObjectVersion, ...] = ()

    def beside(self, cut: Cut) -> Baseline:
        reference, old = (Shown.of(in_small_blocks(each), cut) for each in (self.reference, self.old))
        return Baseline(points=self.points, approved=self.approved, reference=reference, old=old)


def case(
    entries: Iterable[ListedVersion],
    *,
    baseline: Known | None = None,
    kept: Collection[Iterable[ObjectVersion]] = (),
    kept_cut: float = 1000,
    settings: dict[str, object] | None = None,
    at: datetime = NOON,
    **rest: object,
) -> Case:
    """`kept`: the entries of kept states, all cut `kept_cut` days ago."""
    named_by = Kept()
    for state in kept:
        named_by.add(ago(kept_cut), state)
    settled = repository(**(settings or {}))
    fresh = observe(in_small_blocks(ordered(entries)), at, usual=Usual.of(settled), kept=named_by if kept else None)
    return Case(
        repository=settled,
        fresh=fresh,
        baseline=(baseline or Known()).beside(fresh.cut),
        **rest,  # type: ignore[arg-type]
    )


def found(entries: Iterable[ListedVersion], **rest: object) -> dict[str, Finding]:
    """What the rules say, by id; two findings of one id are told apart by their severity."""
    findings = judge(case(entries, **rest))  # type: ignore[arg-type]
    told: dict[str, Finding] = {}
    for each in findings:
        told[f"{each.id} {each.severity}" if each.id in told else each.id] = each
    return told


def only(entries: Iterable[ListedVersion], **rest: object) -> Finding:
    """The one thing that the rules say."""
    (finding,) = found(entries, **rest).values()
    return finding


def point(days: float, *, snapshots: int = 10, data: int = 10_000, busy: bool = False) -> Point:
    return Point(cut_time=ago(days), busy=busy, snapshots=snapshots, data_bytes=data)


def steady(days: int = 30, *, snapshots: int = 10, data: int = 10_000) -> Known:
    """A state a day, each with the same amounts."""
    return Known(points=tuple(point(day, snapshots=snapshots, data=data) for day in range(days, 0, -1)))


def versions(entries: Iterable[ListedVersion]) -> tuple[ObjectVersion, ...]:
    return tuple(entry for entry in ordered(entries) if isinstance(entry, ObjectVersion))


def migration(begin: float, end: float) -> Migration:
    """Declared for the time from `begin` to `end` days ago."""
    return Migration(since=ago(begin), until=ago(end))

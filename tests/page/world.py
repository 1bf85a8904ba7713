"""A repository with a past, as `gather` knows it: daily backups, weekly prunes, an attack if one is wanted."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from functions.domain.keeping import Hold
from functions.domain.locks.report import LockReport, StateLocks
from functions.domain.page.gather import Known
from functions.domain.page.needs import Needs
from functions.domain.page.survey import EDGES, Survey, TypeSizes
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.plan import Total, Waiting
from functions.domain.prune.report import PruneReport
from functions.domain.prune.rules import Reason, Waits
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.restore.drill import DrillReport
from functions.domain.restore.request import Location
from functions.domain.state import Cause, ChunkSet, StateHeader, Tally
from functions.domain.timeline import Judged
from functions.domain.values import AttemptId, Digest, Evidence, Finding, ObjectKey, RepositoryName, Severity, VersionId
from functions.domain.verdict import CheckLevel, conclude
from tests.builders import sha256

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GIB = 1 << 30
ATTACKED = 3
"""So many days ago a host hid packs, where there is an attack."""
HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202eevil"


def finding(finding_id: str, severity: Severity, since: datetime, repository: RepositoryName) -> Finding:
    evidence = (Evidence(ObjectKey(f"data/{finding_id}"), (VersionId("v"),), since),)
    return Finding(finding_id, severity, repository, since, "what was seen", "what to do", evidence)


def past(
    days: int = 365, *, name: str = "alpha", attack: bool = False, hostile: bool = False, restic_prunes: bool = True
) -> list[Judged]:
    """The newest first: a state each day, a snapshot each; now and then something is found."""
    # Alike in every run.
    dice = random.Random(7)
    repository = RepositoryName(name)
    chain: list[Judged] = []
    parent: StateHeader | None = None
    packs, size, noncurrent, snapshots = 9_000, 150 * GIB, 40, 30
    for number in range(1, days + 1):
        cut = NOW - DAY * (days - number) - timedelta(hours=13, minutes=dice.randrange(60))
        attacked = attack and days - number < ATTACKED
        packs, size, snapshots = (
            packs + dice.randrange(8, 40),
            size + dice.randrange(100, 600) * (1 << 20),
            snapshots + 1,
        )
        if restic_prunes and number % 28 == 0:
            packs, size, snapshots, noncurrent = packs - 300, size - 5 * GIB, snapshots - 20, noncurrent + 320
        if attack and days - number == ATTACKED - 1:
            packs, size, noncurrent = packs - 1_800, size - 28 * GIB, noncurrent + 1_800
        tallies = {
            FileType.CONFIG: Tally(objects=1, bytes=155),
            FileType.KEY: Tally(objects=1, bytes=447),
            FileType.SNAPSHOT: Tally(objects=snapshots, bytes=snapshots * 320),
            FileType.INDEX: Tally(objects=20 + number // 3, bytes=(20 + number // 3) * 900_000),
            FileType.PACK: Tally(objects=packs, bytes=size),
        }
        header = StateHeader(
            repository=repository,
            generation=number,
            parent=parent.id if parent else None,
            kind="base",
            cut_time=cut,
            recorded_at=cut + timedelta(seconds=4),
            chunks=ChunkSet(attempt=AttemptId(f"{name}-{number // 60}"), count=3, digest=Digest("0" * 64)),
            manifest_root=Digest(sha256(f"{name} {number} manifest")),
            content_root=Digest(sha256(f"{name} {number} content")),
            objects=sum(each.objects for each in tallies.values()),
            bytes=sum(each.bytes for each in tallies.values()),
            by_type=tallies,
            edge=False,
            busy=number % 41 == 0,
            locks=0,
            stale_locks=0,
            hidden=noncurrent,
            noncurrent=noncurrent,
            cause=Cause(
                reason="event",
                sent=cut - timedelta(seconds=20),
                sender=HOSTILE if hostile else "host",
                snapshot=HOSTILE if hostile else sha256(f"snapshot {number}")[:8],
                outcome="incomplete" if number % 90 == 0 else "complete",
            ),
        )
        found = []
        if attacked:
            found += [
                finding("host-hid-objects", Severity.FAIL, cut, repository),
                finding("data-dropped", Severity.HOLD, cut, repository),
            ]
        elif number in (100, 101, 250):
            found.append(finding("growth", Severity.HOLD, cut, repository))
        if number % 30 == 0:
            found.append(finding(HOSTILE if hostile else "stale-lock", Severity.NOTE, cut, repository))
        if hostile:
            found.append(finding(HOSTILE, Severity.HOLD, cut, repository))
        judged = conclude(header, CheckLevel.CONSISTENT, found, (), judged_at=cut, by="record")
        chain.append((header, (judged.verdict,)))
        parent = header
    return chain[::-1]


def known(
    days: int = 365,
    *,
    name: str = "alpha",
    attack: bool = False,
    hostile: bool = False,
    bare: bool = False,
    large: bool = False,
) -> Known:
    """`bare`: only states were recorded, nothing else ever ran; `large`: so many packs that others would be better."""
    repository = Repository(name=name, bucket=f"example-{name}")
    chain = past(days, name=name, attack=attack, hostile=hostile)
    newest = chain[0][0]
    survey = survey_of(newest, large=large)
    if bare:
        return Known(
            repository, chain=chain, survey=survey, unread="there are too many entries to read them all for this"
        )
    plan = planned(chain, repository)
    reports = tuple(reported(header, week) for week, (header, _) in enumerate(chain[4::7], 1))
    plans = (plan, *(shelved_of(report, chain) for report in reports))
    return Known(
        repository,
        chain=chain,
        holds=(Hold(chain[-1][0].id, "anna", NOW - 3 * DAY, "evidence"),) if days > 200 else (),
        plans=plans,
        prunes=reports,
        locks=locked(chain, repository.repository),
        newest_drill=drilled(newest),
        last_restored=drilled(newest),
        survey=survey,
        needs=needed(chain),
    )


def survey_of(newest: StateHeader, *, large: bool) -> Survey:
    packs = newest.by_type[FileType.PACK]
    times = 400 if large else 1
    shares = (0, 1, 4, 10, 12, 41, 32, 0, 0, 0)

    def spread(objects: int) -> tuple[int, ...]:
        return tuple(objects * share // 100 for share in shares)

    types = []
    for kind, tally in newest.by_type.items():
        if kind is FileType.PACK:
            by_size = spread(packs.objects * times)
            by_size = (*by_size[:-1], packs.objects * times - sum(by_size[:-1]))
            types.append(TypeSizes(kind, packs.objects * times, packs.bytes * times, by_size))
        else:
            place = sum(edge <= tally.bytes // tally.objects for edge in EDGES)
            counts = tuple(tally.objects if at == place else 0 for at in range(len(EDGES) + 1))
            types.append(TypeSizes(kind, tally.objects, tally.bytes, counts))
    total = Tally(objects=sum(each.objects for each in types), bytes=sum(each.bytes for each in types))
    return Survey(types=tuple(types), classes=(("STANDARD", total),))


def planned(chain: Sequence[Judged], repository: Repository) -> ShelvedPlan:
    """What a dry run planned yesterday."""
    state = chain[min(1, len(chain) - 1)][0]
    drawn = NOW - DAY
    return ShelvedPlan(
        repository=repository.repository,
        plan=Digest(sha256(f"plan of {repository.name}")),
        file="prunes/x/plan.json",
        version_id=VersionId("v"),
        execution="dry",
        state=state.id,
        generation=state.generation,
        drawn_at=drawn,
        valid_until=drawn + DAY,
        outcome="pass",
        posture="pass",
        approval="not-needed",
        dry_run=True,
        entries=640,
        bytes=4 * GIB,
        markers=320,
        drops=3,
        kept=60,
        totals=(
            Total(reason=Reason.HIDDEN, type=FileType.PACK, entries=300, bytes=4 * GIB),
            Total(reason=Reason.SPENT_MARKER, type=FileType.PACK, entries=320, bytes=0),
            Total(reason=Reason.LOCK_FILE, type=FileType.LOCK, entries=20, bytes=3_100),
        ),
        waiting=(
            Waiting(why=Waits.NAMED, entries=900, bytes=14 * GIB, first=None, last=None),
            Waiting(why=Waits.YOUNG, entries=320, bytes=5 * GIB, first=NOW + 4 * DAY, last=NOW + 9 * DAY),
        ),
        flooded=0,
        findings=(),
        listed=Tally(objects=state.objects + state.noncurrent, bytes=state.bytes + 23 * GIB),
    )


def shelved_of(report: PruneReport, chain: Sequence[Judged]) -> ShelvedPlan:
    """The plan of which there is this report."""
    state = next(header for header, _ in chain if header.cut_time < report.verified_at)
    drawn = report.verified_at - timedelta(hours=1)
    return ShelvedPlan(
        repository=report.repository,
        plan=report.plan,
        file="prunes/x/plan.json",
        version_id=VersionId("v"),
        execution=report.execution,
        state=state.id,
        generation=state.generation,
        drawn_at=drawn,
        valid_until=drawn + DAY,
        outcome="pass",
        posture="pass",
        approval="not-needed",
        dry_run=False,
        entries=300,
        bytes=report.planned.bytes,
        markers=0,
        drops=1,
        kept=60,
        totals=(),
        waiting=(),
        flooded=0,
        findings=(),
    )


def reported(state: StateHeader, week: int) -> PruneReport:
    """What the prune after `state` came to."""
    freed = Tally(objects=300, bytes=(2 + week % 4) * GIB)
    after = Tally(objects=state.objects + state.noncurrent, bytes=state.bytes + (14 + week % 9) * GIB)
    return PruneReport(
        repository=state.repository,
        execution=f"week-{week}",
        plan=Digest(sha256(f"{state.repository} week {week}")),
        verified_at=state.cut_time + timedelta(hours=3),
        planned=freed,
        planned_markers=0,
        reclaimed=freed,
        reclaimed_markers=0,
        before=Tally(objects=after.objects + 300, bytes=after.bytes + freed.bytes),
        markers_before=10,
        after=after,
        markers_after=10,
        kept_states=60,
        dropped_states=1,
        harmed=(),
        harmed_states=0,
        batches=1,
        unfinished=0,
        stays=(),
        waiting=(),
    )


def locked(chain: Sequence[Judged], repository: RepositoryName) -> LockReport:
    return LockReport(
        repository=repository,
        begun_at=NOW - timedelta(hours=6),
        made_at=NOW - timedelta(hours=6),
        object_lock=True,
        lock_days=14,
        states=tuple(
            StateLocks(
                state=header.id,
                generation=header.generation,
                cut_time=header.cut_time,
                versions=header.objects,
                looked_at=header.objects,
                unlocked=0,
                earliest=NOW + timedelta(days=7 + place % 8),
            )
            for place, (header, _) in enumerate(chain[:70])
        ),
        looked_at=20_000,
    )


def drilled(state: StateHeader) -> DrillReport:
    return DrillReport(
        repository=state.repository,
        execution="drill-1",
        reason="schedule",
        started_at=NOW - 9 * DAY - timedelta(minutes=47),
        ended_at=NOW - 9 * DAY,
        state=state.id,
        cut_time=state.cut_time,
        target=Location(bucket="rwm-drill", prefix="alpha/drill-1"),
        sample_bytes=50 * GIB,
        state_objects=state.objects,
        state_bytes=state.bytes,
        objects=3_300,
        bytes=50 * GIB,
        proven=3_300,
        outcome="restored",
        level="content",
        verdict=None,
        why=None,
        detail="",
    )


def needed(chain: Sequence[Judged]) -> Needs:
    only = {
        header.id: Tally(objects=3 + place % 11, bytes=(place * place % 97) * 31 * (1 << 20))
        for place, (header, _) in enumerate(chain)
    }
    newest = chain[0][0]
    return Needs(only=only, together=Tally(objects=newest.objects + 900, bytes=newest.bytes + 14 * GIB), one_in=1)

"""What a repository costs in a month, by part, and what a restore of it would: estimates, by list prices.

Nothing is looked up at AWS. What there is comes from what RWM recorded; how often something runs, from the schedules
and from the states of the last 30 days; how long it runs, from docs/performance.md; and the rest from docs/cost.md,
which explains each line. Free tiers, taxes and discounts are not in it.

The page and `rwm cost` both tell what `estimate` comes to, so that they agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from functions.domain.documents import Part
from functions.domain.pack_size import MIB
from functions.domain.page.survey import Survey
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.schedules import MONTH, read_schedule
from functions.domain.state import ChunkSet, StateHeader, Tally
from functions.domain.verdict import CheckLevel

HOURS = 730
"""In a month, as AWS counts them."""
GB = 1 << 30
"""Bytes, as AWS bills them."""

Price = Annotated[float, Field(ge=0)]
"""US dollars."""


# --- prices ----------------------------------------------------------------------------------------


class Thaw(Part):
    """Bringing back what lies in an archive class, at the tier `Standard`."""

    gb: Price
    requests: Price
    """A thousand."""


class ClassPrices(Part):
    """One of S3's storage classes."""

    gb_month: Price
    put: Price
    """A thousand PUT, COPY or LIST requests."""
    get: Price
    """A thousand GET and all other requests."""
    retrieval_gb: Price = 0
    """For each GB that is read."""
    least_bytes: int = Field(default=0, ge=0)
    """An object is billed as if it had so many at the least."""
    more_bytes: int = Field(default=0, ge=0)
    """And an archived object for so many more, in its own class."""
    index_bytes: int = Field(default=0, ge=0)
    """And for so many in STANDARD."""
    object_month: Price = 0
    """For each thousand objects that are watched."""
    thaw: Thaw | None = None
    """None: it can be read at once."""


class Prices(Part):
    """List prices of one region, in US dollars."""

    as_of: date
    region: str
    classes: dict[str, ClassPrices]
    egress_gb: Price
    """From S3 to the internet, the first 10 TB of a month."""
    lambda_gb_second: Price
    lambda_requests: Price
    """A million."""
    transitions: Price
    """Of Step Functions, a thousand."""
    write_units: Price
    """Of DynamoDB, on demand, a million."""
    read_units: Price
    table_gb_month: Price
    table_backup_gb_month: Price
    """Point-in-time recovery."""
    messages: Price
    """Requests of SQS, a million."""
    schedules: Price
    """Calls of EventBridge Scheduler, a million."""
    log_gb: Price
    metric_month: Price
    alarm_month: Price


ARCHIVED = {"more_bytes": 32 << 10, "index_bytes": 8 << 10}
PRICES = Prices(
    as_of=date(2026, 6, 18),
    region="us-east-1",
    classes={
        "STANDARD": ClassPrices(gb_month=0.023, put=0.005, get=0.0004),
        "INTELLIGENT_TIERING": ClassPrices(gb_month=0.023, put=0.005, get=0.0004, object_month=0.0025),
        "STANDARD_IA": ClassPrices(gb_month=0.0125, put=0.01, get=0.001, retrieval_gb=0.01, least_bytes=128 << 10),
        "ONEZONE_IA": ClassPrices(gb_month=0.01, put=0.01, get=0.001, retrieval_gb=0.01, least_bytes=128 << 10),
        "GLACIER_IR": ClassPrices(gb_month=0.004, put=0.02, get=0.01, retrieval_gb=0.03, least_bytes=128 << 10),
        "GLACIER": ClassPrices(gb_month=0.0036, put=0.03, get=0.0004, thaw=Thaw(gb=0.01, requests=0.05), **ARCHIVED),
        "DEEP_ARCHIVE": ClassPrices(
            gb_month=0.00099, put=0.05, get=0.0004, thaw=Thaw(gb=0.02, requests=0.10), **ARCHIVED
        ),
    },
    egress_gb=0.09,
    lambda_gb_second=0.0000133334,
    lambda_requests=0.20,
    transitions=0.025,
    write_units=0.625,
    read_units=0.125,
    table_gb_month=0.25,
    table_backup_gb_month=0.20,
    messages=0.40,
    schedules=1.00,
    log_gb=0.50,
    metric_month=0.30,
    alarm_month=0.10,
)
"""docs/cost.md says where each is from."""


# --- what happens in a month -----------------------------------------------------------------------


class ClassTally(Part):
    """What lies in one storage class."""

    storage_class: str
    objects: int = Field(ge=0)
    bytes: int = Field(ge=0)


class Usage(Part):
    """What a repository is, and what happens to it in a month."""

    current: tuple[ClassTally, ...]
    """By storage class, the one with the most bytes first."""
    packs: int = Field(ge=0)
    pack_bytes: int = Field(ge=0)
    noncurrent: int = Field(ge=0)
    """Versions that are not current, as the newest state counted them."""
    noncurrent_bytes: int | None
    """None: nobody has listed them yet."""
    noncurrent_class: str
    """In which they are taken to lie."""
    new_objects: float = Field(ge=0)
    """That come in a month."""
    recordings: float = Field(ge=0)
    changed: float = Field(ge=0)
    """Of these, with anything new."""
    checks: float = Field(ge=0)
    prunes: float = Field(ge=0)
    lock_runs: float = Field(ge=0)
    drills: float = Field(ge=0)
    drill_bytes: int = Field(ge=0)
    """That a drill restores."""
    drill_objects: int = Field(ge=0)
    lock_days: int = Field(ge=1)
    reads_content: bool
    """Its checks read each new object once."""
    states: int = Field(ge=0)
    """Headers in the ledger."""
    ledger_entries: int = Field(ge=0)
    """In all chunks of bases and deltas that the ledger holds."""
    repositories: int = Field(ge=1)
    """Of the deployment: what is there once is shared by so many."""

    @property
    def objects(self) -> int:
        return sum(each.objects for each in self.current)

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.current)

    @property
    def versions(self) -> int:
        """That a listing lists."""
        return self.objects + self.noncurrent


def times_a_month(schedule: str | None) -> float:
    """How often a schedule comes, on average."""
    return read_schedule(schedule).times_a_month if schedule else 0.0


def usage_of(
    repository: Repository,
    headers: Sequence[StateHeader],
    seen: Survey,
    noncurrent_bytes: int | None,
    now: datetime,
    repositories: int = 1,
) -> Usage:
    """`headers`: all, the newest first, at least one; `seen`: of the newest."""
    newest = headers[0]
    recent = [header for header in headers if now - header.cut_time <= MONTH]
    # A repository that is younger than a month is taken to go on as it began, and a day at the least counts.
    scale = MONTH / min(MONTH, max(timedelta(days=1), now - headers[-1].cut_time))
    packs = newest.by_type.get(FileType.PACK, Tally(objects=0, bytes=0))
    whole = newest.bytes <= repository.drill_bytes
    return Usage(
        current=tuple(
            ClassTally(storage_class=name, objects=tally.objects, bytes=tally.bytes) for name, tally in seen.classes
        ),
        packs=packs.objects,
        pack_bytes=packs.bytes,
        noncurrent=newest.noncurrent,
        noncurrent_bytes=noncurrent_bytes,
        noncurrent_class=seen.classes[0][0] if seen.classes else "STANDARD",
        new_objects=_new_objects(recent) * scale,
        recordings=len(recent) * scale,
        changed=sum(header.kind != "same" for header in recent) * scale,
        checks=times_a_month(repository.check_schedule),
        prunes=times_a_month(repository.prune_schedule),
        lock_runs=times_a_month(repository.lock_schedule),
        drills=times_a_month(repository.drill_schedule),
        drill_bytes=newest.bytes if whole else repository.drill_bytes,
        drill_objects=newest.objects
        if whole
        else newest.objects - packs.objects + packs.objects * repository.drill_bytes // max(1, packs.bytes),
        lock_days=repository.lock_days,
        reads_content=CheckLevel(repository.check_level).includes(CheckLevel.CONTENT),
        states=len(headers),
        ledger_entries=_ledger_entries(headers),
        repositories=repositories,
    )


def _new_objects(recent: Sequence[StateHeader]) -> int:
    """That came between the states of a month, by type: what went meanwhile takes nothing off."""
    return sum(
        max(0, tally.objects - before.by_type.get(kind, Tally(objects=0, bytes=0)).objects)
        for after, before in pairwise(recent)
        for kind, tally in after.by_type.items()
    )


def _ledger_entries(headers: Sequence[StateHeader]) -> int:
    """A base once, however many states lie on it; each delta once."""
    bases: dict[ChunkSet, int] = {}
    changes: dict[ChunkSet, int] = {}
    for header in headers:
        bases[header.base] = header.base_objects
        if header.delta:
            changes[header.base] = max(changes.get(header.base, 0), header.delta.changes)
    return sum(bases.values()) + sum(changes.values())


# --- the estimate ----------------------------------------------------------------------------------

Group = Literal["storage", "noncurrent", "hosts", "rwm"]


class Line(Part):
    """One line of the bill."""

    group: Group
    what: str
    quantity: float | None
    """None: unknown."""
    unit: str
    price: float
    """Of one unit."""
    dollars: float | None
    """In a month; None: unknown."""


class RestoreLine(Part):
    """What one restore of the whole newest state costs."""

    to: Literal["bucket", "directory"]
    what: str
    quantity: float
    unit: str
    price: float
    dollars: float


class PackSaving(Part):
    """What another size of packs would change, once all packs have it."""

    target: int
    """MiB."""
    packs: int
    """Then."""
    month: float
    """Dollars less in a month; below nothing: more."""
    restore: float
    """Dollars less for a restore to a bucket."""


class Estimate(Part):
    """What it comes to. All amounts are estimates in US dollars, by list prices."""

    prices_as_of: date
    region: str
    lines: tuple[Line, ...]
    unknown: tuple[str, ...]
    """What is not in the total, because nobody knows how much there is."""
    restore: tuple[RestoreLine, ...]

    @property
    def total(self) -> float:
        return sum(line.dollars or 0.0 for line in self.lines)

    def of(self, group: Group) -> float:
        return sum(line.dollars or 0.0 for line in self.lines if line.group == group)

    def restoring(self, to: Literal["bucket", "directory"]) -> float:
        return sum(line.dollars for line in self.restore if line.to == to)


@dataclass(frozen=True, slots=True)
class Work:
    """What the functions do in a month. docs/cost.md has the reason of each figure."""

    listings: float
    gb_seconds: float
    calls: float
    transitions: float
    write_units: float
    read_units: float


ENTRY_BYTES = 76
"""Of a state's chunks, for each entry (docs/performance.md)."""
HEADER_BYTES = 1_500
PER_VERSION = 10e-6
"""Seconds to list, fold and compare a version: 117 s for ten million (docs/performance.md)."""
WAIT = 5.0
"""Seconds that a recording waits for S3's clock."""
START = 3.0
"""Seconds of a function that has little to do."""
LOOK = 20e-3 / 24
"""Seconds to ask for a version's lock: 24 are asked at once, and each answer takes 20 ms."""
LONGEST = 900.0
"""Seconds that a function may run; lock upkeep then goes on with its next run."""
COPY = 0.1 / 16
"""Seconds of a function for each object that is copied: 16 at once."""
POLLS = 648_000.0
"""Requests of an idle queue in a month: Lambda keeps five of 20 seconds each waiting."""
ALARMS = 16
"""About so many of a deployment; tests/infra/test_dashboard.py counts them."""
METRICS = 6
"""That a run writes, each for the hour."""
LOG_BYTES = 20_000
"""Of a run."""
TRANSITIONS_OF_CHECK, TRANSITIONS_OF_PRUNE, TRANSITIONS_OF_DRILL = 20, 60, 40


def work_of(usage: Usage) -> Work:
    versions, entries = usage.versions, usage.objects
    listings = usage.recordings + usage.checks + 3 * usage.prunes + usage.lock_runs
    looking = min(LONGEST, START + entries * LOOK)
    copies = usage.drills * usage.drill_objects
    gb_seconds = (
        usage.recordings * 3.0 * (WAIT + versions * PER_VERSION)
        + usage.checks * (3.0 * (START + 2 * versions * PER_VERSION) + 2.0 * START)
        + usage.prunes * 3.0 * (5 * START + 6 * versions * PER_VERSION)
        + usage.lock_runs * 2.0 * looking
        + usage.drills * 2.0 * (6 * START + entries * PER_VERSION)
        + copies * 1.0 * COPY
    )
    runs = usage.recordings + 3 * usage.checks + 9 * usage.prunes + usage.lock_runs + 8 * usage.drills
    written = usage.new_objects * ENTRY_BYTES / 1024 * 1.2
    # A new base after 64 deltas.
    rebased = usage.changed / 64 * entries * ENTRY_BYTES / 1024
    states_read = usage.recordings * 0.02 + usage.checks + 4 * usage.prunes + usage.lock_runs + usage.drills
    return Work(
        listings=listings,
        gb_seconds=gb_seconds,
        calls=runs,
        transitions=usage.checks * TRANSITIONS_OF_CHECK
        + usage.prunes * (TRANSITIONS_OF_CHECK + TRANSITIONS_OF_PRUNE)
        + usage.drills * TRANSITIONS_OF_DRILL,
        write_units=usage.recordings * 15 + written + rebased + runs * 3,
        read_units=states_read * entries * ENTRY_BYTES / 4096 + runs * 20,
    )


def estimate(usage: Usage, prices: Prices = PRICES) -> Estimate:
    """What `usage` costs."""
    lines = (*_storage(usage, prices), *_noncurrent(usage, prices), *_of_hosts(usage, prices), *_of_rwm(usage, prices))
    unknown = [line.what for line in lines if line.dollars is None]
    unknown += [
        f"objects in class {each.storage_class}, of which the table has no price"
        for each in usage.current
        if each.storage_class not in prices.classes
    ]
    return Estimate(
        prices_as_of=prices.as_of,
        region=prices.region,
        lines=lines,
        unknown=tuple(unknown),
        restore=(*_to_bucket(usage, prices), *_to_directory(usage, prices)),
    )


def with_packs_of(usage: Usage, target: int) -> Usage:
    """The same bytes in packs of `target` MiB; what is smaller than a pack stays as many objects as it is."""
    packs = max(1, -(-usage.pack_bytes // (target * MIB))) if usage.packs else 0
    if packs >= usage.packs:
        return usage
    share = packs / usage.packs
    fewer = usage.packs - packs
    main, *others = usage.current
    pack_share = usage.packs / max(1, usage.objects)
    return usage.model_copy(
        update={
            "current": (main.model_copy(update={"objects": max(0, main.objects - fewer)}), *others),
            "packs": packs,
            "noncurrent": int(usage.noncurrent * (1 - pack_share + pack_share * share)),
            "new_objects": usage.new_objects * (1 - pack_share + pack_share * share),
            "drill_objects": int(usage.drill_objects * (1 - pack_share + pack_share * share)),
            "ledger_entries": int(usage.ledger_entries * (1 - pack_share + pack_share * share)),
        }
    )


def saving(usage: Usage, target: int, prices: Prices = PRICES) -> PackSaving:
    """What packs of `target` MiB would save."""
    now, then = estimate(usage, prices), estimate(with_packs_of(usage, target), prices)
    return PackSaving(
        target=target,
        packs=with_packs_of(usage, target).packs,
        month=now.total - then.total,
        restore=now.restoring("bucket") - then.restoring("bucket"),
    )


def _billed(tally: ClassTally, prices: ClassPrices) -> float:
    """GB, with what small and archived objects are billed for beside their bytes."""
    # What objects are smaller than the least is not known one by one: their average is.
    least = max(tally.bytes, tally.objects * prices.least_bytes if _is_small(tally, prices) else 0)
    return (least + tally.objects * prices.more_bytes) / GB


def _is_small(tally: ClassTally, prices: ClassPrices) -> bool:
    return tally.bytes < tally.objects * prices.least_bytes


def _storage(usage: Usage, prices: Prices) -> list[Line]:
    lines = []
    for each in usage.current:
        found = prices.classes.get(each.storage_class)
        if found is None:
            continue
        lines.append(_line("storage", f"objects in {each.storage_class}", _billed(each, found), "GB", found.gb_month))
        if found.index_bytes:
            standard = prices.classes["STANDARD"].gb_month
            index = each.objects * found.index_bytes / GB
            lines.append(_line("storage", f"names of objects in {each.storage_class}", index, "GB", standard))
        if found.object_month:
            lines.append(
                _line("storage", "objects that are watched", each.objects / 1000, "1,000 objects", found.object_month)
            )
    return lines


def _noncurrent(usage: Usage, prices: Prices) -> list[Line]:
    found = prices.classes.get(usage.noncurrent_class, prices.classes["STANDARD"])
    what = "versions that are hidden or replaced, and kept by states, grace or locks"
    if usage.noncurrent_bytes is None and usage.noncurrent:
        return [Line(group="noncurrent", what=what, quantity=None, unit="GB", price=found.gb_month, dollars=None)]
    tally = ClassTally(
        storage_class=usage.noncurrent_class, objects=usage.noncurrent, bytes=usage.noncurrent_bytes or 0
    )
    return [_line("noncurrent", what, _billed(tally, found), "GB", found.gb_month)]


def _of_hosts(usage: Usage, prices: Prices) -> list[Line]:
    main = _class(usage, prices)
    return [_line("hosts", "PUT of what backups add", usage.new_objects / 1000, "1,000 requests", main.put)]


def _of_rwm(usage: Usage, prices: Prices) -> list[Line]:
    work, standard = work_of(usage), prices.classes["STANDARD"]
    main = _class(usage, prices)
    stored = (usage.ledger_entries * ENTRY_BYTES + usage.states * HEADER_BYTES * 2) / GB
    renewed = usage.objects * (MONTH / timedelta(days=usage.lock_days)) * 2 if usage.lock_runs else 0.0
    lines = [
        ("LIST of all versions", work.listings * usage.versions / 1_000_000, "1,000 requests", standard.put),
        ("locks: asked for, each version", usage.lock_runs * usage.objects / 1000, "1,000 requests", main.get),
        ("locks: set again, twice in lock_days", renewed / 1000, "1,000 requests", main.put),
        (
            "GET of what the checks read",
            (usage.new_objects if usage.reads_content else 0.0) / 1000,
            "1,000 requests",
            main.get,
        ),
        ("drills: copies", usage.drills * usage.drill_objects / 1000, "1,000 requests", standard.put),
        # Emptied within two days.
        (
            "drills: what they restore, for two days",
            usage.drills * usage.drill_bytes / GB / 15,
            "GB",
            standard.gb_month,
        ),
        ("Lambda", work.gb_seconds, "GB-seconds", prices.lambda_gb_second),
        ("Lambda: calls", work.calls / 1e6, "million", prices.lambda_requests),
        ("Step Functions", work.transitions / 1000, "1,000 transitions", prices.transitions),
        ("DynamoDB: written", work.write_units / 1e6, "million units", prices.write_units),
        ("DynamoDB: read", work.read_units / 1e6, "million units", prices.read_units),
        ("DynamoDB: the ledger", stored, "GB", prices.table_gb_month),
        ("DynamoDB: its backups", stored, "GB", prices.table_backup_gb_month),
        ("SQS: the queue, mostly empty", (POLLS + 4 * usage.recordings) / 1e6, "million requests", prices.messages),
        ("Scheduler", work.calls / 1e6, "million calls", prices.schedules),
        ("CloudWatch: logs", work.calls * LOG_BYTES / GB, "GB", prices.log_gb),
        ("CloudWatch: metrics", work.calls * METRICS / HOURS, "metrics", prices.metric_month),
        ("CloudWatch: alarms, its share", ALARMS / usage.repositories, "alarms", prices.alarm_month),
    ]
    return [_line("rwm", what, quantity, unit, price) for what, quantity, unit, price in lines if quantity]


def _to_bucket(usage: Usage, prices: Prices) -> list[RestoreLine]:
    standard = prices.classes["STANDARD"]
    return [
        *_thaw("bucket", usage, prices),
        *_retrieval("bucket", usage, prices),
        _restore("bucket", "copies, a request each", usage.objects / 1000, "1,000 requests", standard.put),
        _restore("bucket", "the copy, for a month", usage.bytes / GB, "GB", standard.gb_month),
    ]


def _to_directory(usage: Usage, prices: Prices) -> list[RestoreLine]:
    reading = [
        _restore("directory", f"GET from {each.storage_class}", each.objects / 1000, "1,000 requests", found.get)
        for each in usage.current
        if (found := prices.classes.get(each.storage_class))
    ]
    egress = _restore(
        "directory", "to the internet; nothing within the region", usage.bytes / GB, "GB", prices.egress_gb
    )
    return [*_thaw("directory", usage, prices), *_retrieval("directory", usage, prices), *reading, egress]


def _thaw(to: Literal["bucket", "directory"], usage: Usage, prices: Prices) -> list[RestoreLine]:
    lines = []
    for each in usage.current:
        found = prices.classes.get(each.storage_class)
        if found is not None and found.thaw is not None:
            what = f"thaw from {each.storage_class}"
            lines.append(_restore(to, what, each.bytes / GB, "GB", found.thaw.gb))
            lines.append(_restore(to, f"{what}: requests", each.objects / 1000, "1,000 requests", found.thaw.requests))
    return lines


def _retrieval(to: Literal["bucket", "directory"], usage: Usage, prices: Prices) -> list[RestoreLine]:
    return [
        _restore(to, f"read from {each.storage_class}", each.bytes / GB, "GB", found.retrieval_gb)
        for each in usage.current
        if (found := prices.classes.get(each.storage_class)) and found.retrieval_gb
    ]


def _class(usage: Usage, prices: Prices) -> ClassPrices:
    """Of the class with the most bytes."""
    return prices.classes.get(usage.noncurrent_class, prices.classes["STANDARD"])


def _line(group: Group, what: str, quantity: float, unit: str, price: float) -> Line:
    return Line(group=group, what=what, quantity=quantity, unit=unit, price=price, dollars=quantity * price)


def _restore(to: Literal["bucket", "directory"], what: str, quantity: float, unit: str, price: float) -> RestoreLine:
    return RestoreLine(to=to, what=what, quantity=quantity, unit=unit, price=price, dollars=quantity * price)

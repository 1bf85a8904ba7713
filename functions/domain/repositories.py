"""Which repositories are protected, and how: the model of `repositories.toml`.

`functions/configuration.py` reads it. Every default is safe, so that two lines suffice for a repository.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from functions.domain.names import RESERVED, Names
from functions.domain.schedules import read_schedule
from functions.domain.values import RepositoryName

MOST_REPOSITORIES = 30
"""In one deployment, so that no stack or policy nears its limit; more go to a second deployment."""
MOST_IN_A_BUCKET = 4
"""Each repository adds its own denials to its bucket's policy, which holds 20 KB."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DAY = timedelta(days=1)


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,6})([smhd])", value)):
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    raise ValueError('a duration is a number and one of s, m, h, d, like "30d"')


def _spell(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_spell)]


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing")
    return value


PositiveDuration = Annotated[Duration, AfterValidator(_positive)]


def _never(value: Any) -> Any:
    """TOML has no word for nothing."""
    return None if value == "never" else value


MaybeDuration = Annotated[PositiveDuration | None, BeforeValidator(_never)]
"""None, or `"never"` in the file: nothing is too old."""


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", value) or value in RESERVED:
        raise ValueError(f"1 to 32 of a-z, 0-9 and -, not beginning or ending with -, and none of {sorted(RESERVED)}")
    return value


def _bucket(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) or ".." in value:
        raise ValueError("a bucket name has 3 to 63 of a-z, 0-9, - and ., beginning and ending with a letter or digit")
    return value


def _bucket_pattern(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.*-]{2,62}", value) or value.count("*") > 1 or value.endswith(".*"):
        raise ValueError('a bucket name, or one with a single * in it, of at least 3 characters: "rwm-restore-*"')
    return value


def _prefix(value: str) -> str:
    # No * or ?: the prefix becomes part of policy resources, where they are wildcards.
    if value and not re.fullmatch(r"[A-Za-z0-9._=+@-]+(/[A-Za-z0-9._=+@-]+)*", value):
        raise ValueError("a prefix has letters, digits, . _ = + @ - and single / between them, none at either end")
    if len(value) > 64:
        raise ValueError("a prefix has at most 64 characters")
    return value


PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/[\w+=,.@/-]{1,128}")


def _principal(value: str) -> str:
    if value != "create" and not PRINCIPAL.fullmatch(value):
        raise ValueError('"create", or the ARN of an IAM user or role: "arn:aws:iam::123456789012:role/backup"')
    return value


def _person(value: str) -> str:
    if not PRINCIPAL.fullmatch(value) and not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:root", value):
        raise ValueError('the ARN of an IAM user or role, or of a whole account: "arn:aws:iam::123456789012:root"')
    return value


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,190}", value):
        raise ValueError('an e-mail address: "backups@example.org"')
    return value


def _schedule(value: str) -> str:
    read_schedule(value)
    return value


def _often(expression: str) -> str:
    # An alarm tells that the watch did not run, and has to know by when it should have.
    if read_schedule(expression).longest_pause > timedelta(hours=12):
        raise ValueError('"rate(1 hour)" or another schedule that comes at least every 12 hours')
    return expression


def _arn_of(service: str, resource: str) -> AfterValidator:
    pattern = re.compile(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]+:\d{{12}}:{resource}")
    example = f"arn:aws:{service}:eu-central-1:123456789012:{resource.split('[', maxsplit=1)[0]}…"

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f'an ARN like "{example}"')
        return value

    return AfterValidator(check)


BucketName = Annotated[str, AfterValidator(_bucket)]
Principal = Annotated[str, AfterValidator(_principal)]
Person = Annotated[str, AfterValidator(_person)]
Schedule = Annotated[str, AfterValidator(_schedule)]
MaybeSchedule = Annotated[Schedule | None, BeforeValidator(_never)]
"""None, or `"never"` in the file: it comes only when somebody asks for it."""
StorageClass = Literal[
    "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"
]


class Retention(BaseModel):
    """How long states are kept. Everything within `keep_within`, then the last of each day, week, month, year."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_within: PositiveDuration = timedelta(days=30)
    days: Annotated[int, Field(ge=0, le=3660)] = 30
    weeks: Annotated[int, Field(ge=0, le=520)] = 12
    months: Annotated[int, Field(ge=0, le=120)] = 12
    years: Annotated[int, Field(ge=0, le=100)] = 3


class Thresholds(BaseModel):
    """Beyond these a prune waits for a person. Shares are of the baseline, per day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshots_lost: Annotated[float, Field(gt=0, le=1)] = 0.20
    data_lost: Annotated[float, Field(gt=0, le=1)] = 0.20
    old_data_surviving: Annotated[float, Field(ge=0, lt=1)] = 0.70
    prune_frees: Annotated[float, Field(gt=0, le=1)] = 0.20
    growth: Annotated[float, Field(gt=1, le=1000)] = 3.0
    baseline_days: Annotated[int, Field(ge=1, le=365)] = 30


class Migration(BaseModel):
    """A person's word that `restic migrate upgrade_repo_v2` runs within this time; it excuses one change of config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime
    until: AwareDatetime

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until <= self.since:
            raise ValueError("until must be after since")
        return self


class Repository(BaseModel):
    """One restic repository: a bucket and an optional prefix, its hosts, and its rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_name)]
    bucket: BucketName
    prefix: Annotated[str, AfterValidator(_prefix)] = ""
    adopt: bool = False
    """The bucket exists and is somebody else's to configure; RWM only checks it."""

    hosts: Annotated[tuple[Principal, ...], Field(min_length=1, max_length=4)] = ("create",)
    maintenance: Principal | None = None
    """Who runs `restic forget --prune`; its key stays off the host."""
    host_may_hide: bool = False
    """Accept that the host itself hides objects anywhere in the repository, not only its lock files."""

    grace_days: PositiveDuration = timedelta(days=30)
    lock_days: Annotated[int, Field(ge=1, le=3650)] = 14
    """Default retention (governance) of each new object version, on a bucket that RWM creates; and for how long lock
    upkeep locks what kept states name."""
    lock_schedule: MaybeSchedule = "rate(1 day)"
    """Lock upkeep; where `lock_days` is less than 3, every 6 hours unless it says otherwise."""
    retention: Retention = Retention()
    bypass_governance: bool = False
    """Let a prune delete versions that are still under governance retention."""

    min_interval: PositiveDuration = timedelta(minutes=5)
    """Two recordings are at least this far apart."""
    record_schedule: Schedule = "rate(6 hours)"
    """Recordings without any event, so that silencing the host blinds nobody."""
    ranges_above: Annotated[int, Field(ge=1, le=20_000_000)] = 10_000_000
    """Versions and delete markers. A repository with more is listed by a Distributed Map, in ranges of keys."""
    prune_schedule: MaybeSchedule = "rate(7 days)"
    approval: Literal["hold", "always", "never"] = "hold"
    check_level: Literal["posture", "consistent", "content", "complete"] = "consistent"
    """How deep the scheduled check looks, and `rwm check` unless told otherwise."""
    check_schedule: Schedule = "rate(1 day)"
    scrub_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Of the bytes already verified, how much each check of content reads again, against bit rot."""
    minimum_snapshot_age: PositiveDuration = timedelta(days=1)
    """Younger than this on S3's clock, no policy of yours forgets a snapshot."""
    allow_multipart: bool = False
    """Accept objects that were uploaded in parts, which restic's packs never are."""
    migrations: Annotated[tuple[Migration, ...], Field(max_length=10)] = ()
    """When `restic migrate upgrade_repo_v2` may change `config`."""
    max_state_age: PositiveDuration = timedelta(days=2)
    """The newest state may be so old; beyond it the watch tells people that recording stopped."""
    max_backup_age: MaybeDuration = timedelta(days=2)
    """The newest snapshot may be so old; beyond it the watch tells people that a backup was missed, unless it is
    never."""
    drill_schedule: MaybeSchedule = "rate(30 days)"
    """Restore drills: the last good state is rebuilt in a bucket that empties itself, and proven."""
    drill_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = 50 << 30
    """A state with no more is drilled whole; of a larger one, all metadata and about so many bytes of packs."""
    max_drill_age: PositiveDuration = timedelta(days=35)
    """The last drill that succeeded may be so old; beyond it people are told, unless drill_schedule is never."""
    thresholds: Thresholds = Thresholds()

    restic_password_secret: Annotated[str, _arn_of("secretsmanager", r"secret:[\w/+=.@-]+")] | None = None
    kms_key: Annotated[str, _arn_of("kms", r"key/[\w-]+")] | None = None
    storage_classes: Annotated[tuple[StorageClass, ...], Field(min_length=1)] = ("STANDARD",)

    unsafe_short_times: bool = False
    """Accept durations below a day where they protect something; `make deploy` refuses it."""

    @model_validator(mode="before")
    @classmethod
    def _upkeep_follows_the_locks(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "lock_schedule" not in values:
            days = values.get("lock_days")
            if isinstance(days, int) and days < 3:
                return {**values, "lock_schedule": "rate(6 hours)"}
        return values

    @model_validator(mode="after")
    def _locks_are_renewed_in_time(self) -> Self:
        # What ends soon has half of lock_days left: a run that comes later finds it ended.
        longest = timedelta(days=self.lock_days) / 2
        if self.lock_schedule is not None and read_schedule(self.lock_schedule).longest_pause >= longest:
            raise ValueError(
                f"lock_schedule is {self.lock_schedule}; it must come more often than every {_spell(longest)}, half "
                "of lock_days"
            )
        return self

    @model_validator(mode="after")
    def _drills_come_in_time(self) -> Self:
        if self.drill_schedule is not None and read_schedule(self.drill_schedule).longest_pause >= self.max_drill_age:
            raise ValueError(
                f"drill_schedule is {self.drill_schedule}; it must come more often than every "
                f"{_spell(self.max_drill_age)}, which is max_drill_age"
            )
        return self

    @model_validator(mode="after")
    def _times_protect(self) -> Self:
        protective = {
            "grace_days": self.grace_days,
            "retention.keep_within": self.retention.keep_within,
            "max_state_age": self.max_state_age,
            **({"max_backup_age": self.max_backup_age} if self.max_backup_age is not None else {}),
        }
        for field, value in protective.items():
            if value < DAY and not self.unsafe_short_times:
                raise ValueError(f"{field} is {_spell(value)}; below 1d it needs unsafe_short_times = true")
        if self.check_level == "complete" and self.restic_password_secret is None:
            raise ValueError('check_level is "complete", which needs restic_password_secret')
        if self.min_interval > DAY:
            # An event that waits comes back every 11 hours, which is the longest SQS allows, and five times at most.
            raise ValueError(f"min_interval is {_spell(self.min_interval)}; it must be at most 1d")
        if self.retention.keep_within < self.grace_days:
            raise ValueError(
                f"retention.keep_within is {_spell(self.retention.keep_within)}; "
                f"it must be at least grace_days, which is {_spell(self.grace_days)}"
            )
        if timedelta(days=self.lock_days) > max(self.grace_days, DAY):
            raise ValueError(
                f"lock_days is {self.lock_days}; it must not exceed grace_days, which is {_spell(self.grace_days)}"
            )
        if self.maintenance is not None and self.maintenance != "create" and self.maintenance in self.hosts:
            raise ValueError("maintenance names one of the hosts; the key that may hide must stay off the host")
        return self

    @property
    def repository(self) -> RepositoryName:
        return RepositoryName(self.name)

    @property
    def lock_interval(self) -> timedelta:
        """How far apart two runs of lock upkeep are at most, or may be where it has no schedule."""
        if self.lock_schedule is None:
            return timedelta(days=self.lock_days) / 2
        return read_schedule(self.lock_schedule).longest_pause

    @property
    def key_prefix(self) -> str:
        """What precedes each key in the bucket: empty, or the prefix and a slash."""
        return f"{self.prefix}/" if self.prefix else ""


class Configuration(BaseModel):
    """All of repositories.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,7}$")] = "rwm"
    """Prefix of every name; a second deployment in the same account takes another."""
    alert_emails: Annotated[tuple[Annotated[str, AfterValidator(_email)], ...], Field(max_length=20)] = ()
    """Who is told by e-mail when something is wrong; each has to confirm the subscription once."""
    operators: tuple[Person, ...] = ()
    """Who may assume the operator role."""
    approvers: tuple[Person, ...] = ()
    """Who may assume the approver role, with MFA."""
    downloaders: tuple[Person, ...] = ()
    """Who may assume the downloader role: restore to a directory, which is to read all backups, still encrypted."""
    break_glass: Person | None = None
    """The one principal, beside RWM's own roles, that the denying bucket policies exempt."""
    deployer: Annotated[str, Field(pattern=r"^[\w+=,.@*-]{1,64}$")] = "cdk-hnb659fds-cfn-exec-role-*"
    """Name of the role CloudFormation deploys with: it may configure the buckets, never delete a version."""
    restore_targets: Annotated[
        tuple[Annotated[str, AfterValidator(_bucket_pattern)], ...], Field(min_length=1, max_length=10)
    ] = ("rwm-restore-*",)
    """The buckets that a restore may write to."""
    restore_kms_keys: Annotated[tuple[Annotated[str, _arn_of("kms", r"key/[\w-]+")], ...], Field(max_length=10)] = ()
    """The keys that these buckets encrypt with, where they do not use one of S3's own."""
    watch_schedule: Annotated[Schedule, AfterValidator(_often)] = "rate(1 hour)"
    """How often the watch looks at every repository, and tells people what begins and what is over."""
    report_schedule: MaybeSchedule = None
    """When the page of each repository is written to `pages/` of the records bucket; `never`: only `rwm report` makes
    one."""
    restore_parallel_batches: Annotated[int, Field(ge=1, le=1000)] = 20
    """Batches, of up to 500 objects each, that a restore into a bucket copies at once."""
    restore_threads: Annotated[int, Field(ge=1, le=64)] = 16
    """Objects that it copies at once of each of them."""
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = 90
    repositories: Annotated[tuple[Repository, ...], Field(min_length=1, max_length=MOST_REPOSITORIES)]

    @model_validator(mode="after")
    def _apart(self) -> Self:
        seen: dict[str, Repository] = {}
        for repository in self.repositories:
            if repository.name in seen:
                raise ValueError(f"two repositories are named {repository.name}")
            for other in seen.values():
                self._keep_apart(repository, other)
            seen[repository.name] = repository
        return self

    def _keep_apart(self, one: Repository, other: Repository) -> None:
        if one.bucket != other.bucket:
            return
        if f"{one.key_prefix}".startswith(other.key_prefix) or other.key_prefix.startswith(one.key_prefix):
            raise ValueError(
                f"{one.name} and {other.name} overlap in bucket {one.bucket}; give each a prefix of its own"
            )
        if sum(each.bucket == one.bucket for each in self.repositories) > MOST_IN_A_BUCKET:
            raise ValueError(f"bucket {one.bucket} holds more than {MOST_IN_A_BUCKET} repositories; spread them")
        for field in ("adopt", "lock_days", "kms_key"):
            if getattr(one, field) != getattr(other, field):
                raise ValueError(f"{one.name} and {other.name} share bucket {one.bucket} and must agree on {field}")

    @model_validator(mode="after")
    def _targets_are_elsewhere(self) -> Self:
        # Of our own buckets' names, which end with account and region, only the beginning is known here.
        ours = [f"{self.names.prefix}-{bucket}-" for bucket in ("records", "drill")]
        for pattern in self.restore_targets:
            covered = [bucket for bucket in self.buckets if fnmatchcase(bucket, pattern)]
            covered += [
                f"{own}…" for own in ours if own.startswith(pattern.partition("*")[0]) or pattern.startswith(own)
            ]
            if covered:
                raise ValueError(
                    f"restore_targets has {pattern}, which covers {covered[0]}: no restore may write there"
                )
        return self

    @property
    def names(self) -> Names:
        return Names(self.deployment)

    @property
    def watch_interval(self) -> timedelta:
        """How far apart two runs of the watch are at most."""
        return read_schedule(self.watch_schedule).longest_pause

    def find(self, name: str) -> Repository | None:
        return next((each for each in self.repositories if each.name == name), None)

    def deployed(self, name: str, refusal: type[Exception], undone: str) -> Repository:
        """The repository `name`. Raises `refusal`, whose message says that `undone`."""
        repository = self.find(name)
        if repository is None:
            raise refusal(f"no repository {name!r} is deployed; {undone}")
        return repository

    @property
    def buckets(self) -> Mapping[str, tuple[Repository, ...]]:
        """Repositories by bucket, in the file's order."""
        grouped: dict[str, tuple[Repository, ...]] = {}
        for repository in self.repositories:
            grouped[repository.bucket] = (*grouped.get(repository.bucket, ()), repository)
        return grouped

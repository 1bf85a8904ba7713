"""What a person asks of a restore, and where no restore may ever write, whatever is there."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from functions.domain.documents import Part, wrong_fields
from functions.domain.repositories import BucketName, Configuration, Repository


class RestoreRefused(Exception):
    """The restore must not begin; nothing was written. The message says why, and what would do."""


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


TO_DIRECTORY = "to-directory-"
"""How the names of executions begin that keep prunes away from a download. All of one workflow do, and none of any
other: so an announcement says by its name which workflow is to be asked whether it is over."""

Tier = Literal["Expedited", "Standard", "Bulk"]
"""How fast S3 brings objects back from an archive class: minutes, hours, or up to two days; the slower, the cheaper."""


class RestoreRequest(Part):
    """What a person asks for."""

    repository: str = Field(min_length=1, max_length=64)
    state: str = Field(min_length=1, max_length=64)
    """What `choose_state` accepts; the operator's command sends the full id."""
    to: Literal["bucket", "directory", "in-place"] = "bucket"
    """Copied to `target`; downloaded by whoever asks; or put back where it came from."""
    target: Location | None = None
    """Where it is copied to, and of the other kinds None."""
    lock_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """Governance retention of each copy, from the day on which it is made; None: what the target does by itself."""
    thaw: Tier | None = None
    """Ask S3 to bring back what lies in an archive class, and wait for it; None: refuse if there is any."""
    with_revoked_keys: bool = False
    """Restore key files, too, that were removed since the state: whoever knows their passwords reads the result."""
    dry_run: bool = False
    """Say what would be done, and do nothing."""
    insist: bool = False
    """Put it back although hosts may write meanwhile."""
    sample_bytes: Annotated[int, Field(ge=0)] | None = None
    """Of a drill: at most about so many bytes of packs, chosen at random, and all else; None: everything."""
    drill: bool = False
    """Into the bucket of drills, which empties itself, and into no other."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.to == "bucket") is (self.target is None):
            raise ValueError("a target is for a restore to a bucket, which needs one")
        if self.lock_days is not None and self.to != "bucket":
            raise ValueError("lock_days is for a restore to a bucket")
        if self.sample_bytes is not None and self.to != "bucket":
            raise ValueError("sample_bytes is for a drill, which restores to a bucket")
        if self.drill and self.to != "bucket":
            raise ValueError("a drill restores to a bucket")
        if self.insist and self.to != "in-place":
            raise ValueError("insist is for a restore in place")
        return self

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises RestoreRefused naming each wrong field."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            raise RestoreRefused(f"the request is malformed ({wrong_fields(error)}); nothing was written") from error


class StepRequest(RestoreRequest):
    """What the workflow asks its steps before there is a plan."""

    execution: ExecutionName


def protected_repository(configuration: Configuration, name: str) -> Repository:
    """The repository of that name. Raises RestoreRefused."""
    if (repository := configuration.find(name)) is None:
        known = ", ".join(each.name for each in configuration.repositories)
        raise RestoreRefused(f"there is no repository {name!r}, only {known}; nothing was written")
    return repository


def check_target(target: Location, configuration: Configuration, records_bucket: str, *, drill: bool = False) -> None:
    """Raises RestoreRefused for a target that no restore may ever write to, whatever it holds.

    A `drill` may write to the bucket of drills alone, and nobody else may: it empties itself within two days.
    """
    scratch = configuration.names.drill_bucket_beside(records_bucket)
    if drill and target.bucket != scratch:
        raise RestoreRefused(f"a drill restores to {scratch}, not to {target.bucket}; nothing was written")
    if drill:
        return
    if target.bucket == scratch:
        raise RestoreRefused(
            f"{target.bucket} is for drills: what is in it is deleted after a day; nothing was written; name another "
            "bucket"
        )
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

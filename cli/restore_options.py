"""What was typed after `rwm restore`: which of the three kinds it is, and what does not go together.

Security rules:
- The workflow is given the full id of the state that was found here, never what the person typed.
- Resumed is exactly what was asked before: nothing can be added to it, and nothing be left out.
"""

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError
from pydantic import ValidationError

from cli import workflow
from cli.deployment import Deployment
from cli.exits import Refused
from cli.states import find_state
from functions.domain.repositories import Repository
from functions.domain.restore.request import TO_DIRECTORY, RestoreRefused, RestoreRequest, Tier
from functions.domain.state import StateHeader

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

UNDONE = "nothing was restored"
Kind = Literal["bucket", "directory", "in-place"]
_ONE_KIND = "name one of --to-bucket, --to-directory and --in-place"
_TIERS: tuple[Tier, ...] = ("Expedited", "Standard", "Bulk")
_NO_SUCH = frozenset({"ExecutionDoesNotExist", "InvalidArn", "ValidationException"})
_EXECUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, as it was typed."""

    repository: str | None = None
    state: str | None = None
    to_bucket: str | None = None
    to_prefix: str = ""
    to_directory: Path | None = None
    in_place: bool = False
    lock_days: int | None = None
    limit_rate: str | None = None
    thaw: str | None = None
    with_revoked_keys: bool = False
    dry_run: bool = False
    insist: bool = False
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A restore that makes sense, of a state that is there. Nothing was started yet."""

    repository: Repository
    header: StateHeader
    request: RestoreRequest
    directory: Path | None = None
    """Where to, of that kind."""
    limit_rate: str | None = None
    """As typed; for a restore to a directory."""


def read(deployment: Deployment, options: Options) -> Asked:
    """What is asked for. Raises Refused, NoSuchState; nothing was started."""
    if options.resume is not None:
        return _resumed(deployment, options, options.resume)
    kind = _kind(options)
    if options.repository is None or options.state is None:
        raise Refused(f"which repository, and which state of it? {UNDONE}; name both, or --resume an earlier restore")
    _check(options, kind)
    repository = deployment.repository(options.repository)
    header = find_state(deployment, repository, options.state)
    target = {"bucket": options.to_bucket, "prefix": options.to_prefix.strip("/")}
    asked = {
        "repository": repository.name,
        "state": header.id,
        "to": kind,
        "target": target if kind == "bucket" else None,
        "lock_days": options.lock_days,
        "thaw": _tier(options.thaw),
        "with_revoked_keys": options.with_revoked_keys,
        "dry_run": options.dry_run,
        "insist": options.insist,
    }
    try:
        request = RestoreRequest.read(asked)
    except RestoreRefused as error:
        raise Refused(str(error)) from error
    return Asked(repository, header, request, options.to_directory, options.limit_rate)


def start(deployment: Deployment, asked: Asked) -> str:
    """Start the workflow; the ARN of its execution."""
    return workflow.start(
        deployment,
        deployment.names.restore_workflow,
        # A name of its own each time: a restore that is run again resumes by its plan, not by its execution.
        f"{asked.repository.name}-{asked.header.id[:12]}-{uuid.uuid4().hex[:8]}",
        # What was left out is left out there, too: a version of RWM that does not know it yet has nothing to refuse.
        asked.request.model_dump_json(exclude_defaults=True),
    )


def _kind(options: Options) -> Kind:
    named: list[Kind] = []
    if options.to_bucket is not None:
        named.append("bucket")
    if options.to_directory is not None:
        named.append("directory")
    if options.in_place:
        named.append("in-place")
    if not named:
        raise Refused(f"where to? {UNDONE}; {_ONE_KIND}")
    if len(named) > 1:
        raise Refused(f"a restore goes to one place; {UNDONE}; {_ONE_KIND}")
    return named[0]


_ONLY_FOR: dict[str, tuple[Kind, str]] = {
    "to_prefix": ("bucket", "--to-prefix is for --to-bucket"),
    "lock_days": ("bucket", "--lock is for --to-bucket: it is the copies that are locked"),
    "limit_rate": ("directory", "--limit-rate is for --to-directory: S3 itself copies from bucket to bucket"),
    "insist": ("in-place", "--insist is for --in-place: nothing else is written where hosts may write"),
}


def _check(options: Options, kind: Kind) -> None:
    for name, (of, why) in _ONLY_FOR.items():
        if getattr(options, name) and kind != of:
            raise Refused(f"{why}; {UNDONE}")


def _tier(typed: str | None) -> Tier | None:
    if typed is None:
        return None
    for tier in _TIERS:
        if tier.lower() == typed.lower():
            return tier
    raise Refused(f"--thaw {typed} is none of S3's tiers; {UNDONE}; there are {', '.join(_TIERS)}")


def _resumed(deployment: Deployment, options: Options, name: str) -> Asked:
    """The same as an execution of before was asked for; only where a directory is, nobody but the person knows."""
    changes = (
        options.state,
        options.to_bucket,
        options.to_prefix,
        options.in_place,
        options.lock_days,
        options.thaw,
        options.with_revoked_keys,
        options.dry_run,
        options.insist,
    )
    if any(changes):
        raise Refused(
            f"--resume asks for the same again, and takes nothing beside it but --to-directory and --limit-rate; "
            f"{UNDONE}; leave the rest away, or ask anew without --resume"
        )
    request = _asked_before(deployment, name, options.repository)
    if options.repository not in (None, request.repository):
        raise Refused(f"{name} restored {request.repository}, not {options.repository}; {UNDONE}")
    if request.drill:
        raise Refused(f"{name} was a drill, and is not resumed; {UNDONE}; `rwm drill {request.repository}` begins one")
    if request.to == "directory" and options.to_directory is None:
        raise Refused(
            f"{name} restored to a directory, which only you know; {UNDONE}; name it again with --to-directory"
        )
    if request.to != "directory" and (options.to_directory is not None or options.limit_rate is not None):
        raise Refused(f"{name} did not restore to a directory; {UNDONE}; leave --to-directory and --limit-rate away")
    repository = deployment.repository(request.repository)
    # By its full id: what `latest` was then is not what it is now.
    header = find_state(deployment, repository, request.state)
    return Asked(repository, header, request, options.to_directory, options.limit_rate)


def _asked_before(deployment: Deployment, name: str, repository: str | None) -> RestoreRequest:
    """The input of the execution of that name. Raises Refused."""
    unknown = Refused(
        f"there was no restore {name!r} in the last 90 days, as far as Step Functions knows; {UNDONE}; "
        f"`rwm restores {repository or 'REPO'}` lists those of a repository by name"
    )
    if _EXECUTION.fullmatch(name) is None:
        raise unknown
    arn = deployment.restore_execution(name)
    try:
        found = workflow.describe(deployment, arn)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in (
            "ExecutionDoesNotExist",
            "InvalidArn",
            "ValidationException",
        ):
            raise unknown from error
        raise
    # What keeps prunes away from a download runs on where the machine that downloads was lost: it is taken up again.
    if found["status"] == "RUNNING" and not name.startswith(TO_DIRECTORY):
        raise Refused(f"{name} is still going on; nothing was started; look at it with {workflow.look_at(arn)}")
    return _request_of(name, found)


def _request_of(name: str, found: "DescribeExecutionOutputTypeDef") -> RestoreRequest:
    try:
        return RestoreRequest.model_validate_json(found.get("input") or "")
    except ValidationError as error:
        raise Refused(
            f"what {name} was asked for is nothing this version of RWM can ask for; {UNDONE}; ask for it anew"
        ) from error

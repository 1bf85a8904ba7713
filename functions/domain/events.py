"""What a host says after a backup, and what it is worth.

Security rules:
- A message is a hint: the queue it came through decides the repository, and a body that names another
  one is refused.
- What it carries beside that (a snapshot's id, an outcome) is an annotation and decides nothing.
- A refusal never repeats the body: it may hold a path or a secret of the host.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from functions.domain.values import RepositoryName

LARGEST_BODY = 4096
"""Bytes. A publisher of ours sends under 300."""
CLOUD_EVENT_TYPE = "dev.rwm.backup.done"


class BadEvent(Exception):
    """A message that cannot be acted on; nothing was recorded for it."""


class BackupDone(BaseModel):
    """A host says that a backup has ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Annotated[str, Field(max_length=32)] | None = None
    snapshot: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None
    outcome: Literal["complete", "incomplete"] | None = None
    """`incomplete`: restic could not read some of the source (its exit code 3) and saved a snapshot all the same."""


class Request(BaseModel):
    """What the Scheduler or an operator sends to a step directly, without a queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    reason: Literal["schedule", "operator"]


class RecordRequest(Request):
    """The same to the step that records."""

    at_once: bool = False
    """Do not keep `min_interval` to the last recording: a restore in place waits for it. Nothing that a host sends
    can say so."""


class _FlatBody(BackupDone):
    event: Literal["backup done"]


class _CloudEvent(BaseModel):
    """CloudEvents 1.0, JSON format: required attributes checked, extension attributes allowed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    type: Literal["dev.rwm.backup.done"]
    source: Annotated[str, Field(min_length=1)]
    id: Annotated[str, Field(min_length=1)]
    data: BackupDone = BackupDone()


def read_event(body: str, repository: RepositoryName) -> BackupDone:
    """Read a message that came through the queue of `repository`. Raises BadEvent."""
    size = len(body.encode())
    if size > LARGEST_BODY:
        raise BadEvent(f"the body has {size} bytes and may have {LARGEST_BODY}")
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadEvent("the body is not JSON") from error
    if not isinstance(content, dict):
        raise BadEvent("the body is not a JSON object")
    try:
        if "specversion" in content:
            done = _CloudEvent.model_validate(content).data
        else:
            flat = _FlatBody.model_validate(content)
            done = BackupDone(repository=flat.repository, snapshot=flat.snapshot, outcome=flat.outcome)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])[:64] or 'body'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise BadEvent(f'the body is no "backup done" event: {wrong}') from None
    if done.repository is not None and done.repository != repository:
        raise BadEvent(f"the body names repository {done.repository!r} and came through the queue of {repository!r}")
    return done

"""That a restore to a directory is under way, told to the prunes: an execution of a workflow, which waits.

The workflow announces the restore before its state is read, as for every kind of restore, and then waits until the
download has ended: it is stopped then. An announcement whose execution has ended stops no prune; the next one takes it
away. An execution that nobody stops ends by itself (infra/restore_to_directory.py).

Security rules:
- The name of the execution says nothing of this machine: it has a digest of its name and of the directory's path.
- Only an execution that was asked for exactly this restore is taken up again, and only one of this name is stopped.
- What is dropped already is not announced: then nothing is restored.
"""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from cli import workflow
from cli.deployment import Deployment
from cli.exits import Failed, Refused
from cli.restore_options import UNDONE, Asked
from functions.domain.restore.request import TO_DIRECTORY, RestoreRequest
from functions.storage.aws import error_code

_MOST_NAMES = 100
"""Restores of one state to one directory within the 90 days that Step Functions remembers a name."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
_LONGEST_WAIT = 300.0
"""Seconds until the restore is announced."""
_DENIED = ("AccessDeniedException", "AccessDenied")


@dataclass(frozen=True, slots=True)
class DirectoryHold:
    """An execution that keeps prunes away."""

    deployment: Deployment
    execution: str
    """ARN."""

    @property
    def name(self) -> str:
        return workflow.name_of(self.execution)

    def still_runs(self) -> bool:
        """False also where nobody says so."""
        try:
            return workflow.describe(self.deployment, self.execution)["status"] == "RUNNING"
        except (BotoCoreError, ClientError):
            return False

    def end(self, why: str) -> None:
        """Stop it. What cannot be stopped ends by itself, later: nothing is lost but time for prunes."""
        try:
            self.deployment.aws.stepfunctions.stop_execution(executionArn=self.execution, cause=why)
        except (BotoCoreError, ClientError):
            return


def hold(deployment: Deployment, asked: Asked, directory: Path) -> DirectoryHold:
    """Announce the restore, and wait until that is done; takes up an execution that an earlier try left running.

    Raises Refused where the workflow refuses, or may not be started, and Failed where it broke: nothing was restored.
    """
    found = DirectoryHold(deployment, _started(deployment, asked, directory))
    try:
        _wait_for_announcement(found, asked)
    except BaseException:
        found.end("nothing was restored")
        raise
    return found


def name_for(asked: Asked, directory: Path, number: int) -> str:
    """The name of the execution: at most 80 characters."""
    place = hashlib.sha256(f"rwm directory 1\0{platform.node()}\0{directory.resolve()}".encode()).hexdigest()
    return f"{TO_DIRECTORY}{asked.repository.name}-{asked.header.id[:12]}-{place[:12]}-{number}"


def _started(deployment: Deployment, asked: Asked, directory: Path) -> str:
    request = asked.request.model_dump_json(exclude_defaults=True)
    for number in range(1, _MOST_NAMES + 1):
        name = name_for(asked, directory, number)
        try:
            return workflow.start(deployment, deployment.names.directory_workflow, name, request)
        except ClientError as error:
            if error_code(error) in _DENIED:
                raise Refused(
                    f"{deployment.aws.profile} may not states:StartExecution, by which prunes are kept away meanwhile; "
                    f"{UNDONE}. The role {deployment.names.role('downloader')} may; or pass --no-hold, and see to it "
                    "that nobody prunes"
                ) from error
            if error_code(error) != "ExecutionAlreadyExists":
                raise
        # AWS itself answers a start with the same input like the first, as long as it runs; others do not.
        execution = deployment.restore_execution(name)
        if _is_ours(deployment, execution, asked.request):
            return execution
    raise Failed(
        f"this state was restored to this directory {_MOST_NAMES} times within 90 days; {UNDONE}; name another "
        "directory, or pass --no-hold"
    )


def _is_ours(deployment: Deployment, execution: str, request: RestoreRequest) -> bool:
    """Whether it is running, and was asked for the same."""
    found = workflow.describe(deployment, execution)
    if found["status"] != "RUNNING":
        return False
    try:
        return RestoreRequest.model_validate_json(found.get("input") or "") == request
    except ValidationError:
        return False


def _wait_for_announcement(hold: DirectoryHold, asked: Asked) -> None:
    deployment, pause, waited = hold.deployment, _FIRST_PAUSE, 0.0
    while True:
        announced = deployment.announced_restores.under_way(asked.repository.repository)
        if any(each.execution == hold.name and each.state == asked.header.id for each in announced):
            # Also where it ended since, a moment ago: what is told at the end is whether it ran until then.
            return
        ended = workflow.describe(deployment, hold.execution)
        if ended["status"] != "RUNNING":
            error, cause = ended.get("error") or ended["status"], workflow.message(ended.get("cause") or "")
            if error == "RestoreRefused":
                raise Refused(cause or f"the restore was refused; {UNDONE}")
            raise Failed(f"the restore was not announced: {error}{': ' + cause if cause else ''}; {UNDONE}")
        if waited > _LONGEST_WAIT:
            raise Failed(f"the restore was not announced within {_LONGEST_WAIT:.0f} s; {UNDONE}; run it again")
        deployment.aws.pause(pause)
        waited += pause
        pause = min(_LONGEST_PAUSE, pause * 1.3)

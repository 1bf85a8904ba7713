"""`rwm restore --dry-run`: the workflow plans, writes nothing, and says what it would do."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from cli import workflow
from cli.deployment import Deployment
from cli.exits import Failed
from cli.restore_options import UNDONE, Asked, start
from cli.restoring import refused
from cli.workflow import Progress
from functions.domain.restore.forecast import Forecast


@dataclass(frozen=True, slots=True)
class DryRun:
    """One that is going on."""

    asked: Asked
    execution: str
    """ARN."""

    @property
    def advice(self) -> str:
        return f"Look at it with {workflow.look_at(self.execution)}, or run the same again"


def begin(deployment: Deployment, asked: Asked) -> DryRun:
    return DryRun(asked, start(deployment, asked))


def follow(deployment: Deployment, dry_run: DryRun) -> Iterator[Progress]:
    """Look at the workflow until it has ended. Raises Failed when AWS cannot be asked any more."""
    return workflow.follow(
        deployment,
        dry_run.execution,
        lambda: Progress("planning"),
        goes_on="the dry run goes on, and writes nothing",
        advice=dry_run.advice,
    )


def finish(deployment: Deployment, dry_run: DryRun) -> Forecast:
    """What it foresees. Raises Refused where the restore would be refused, Failed when the workflow broke."""
    ended = workflow.describe(deployment, dry_run.execution)
    if ended["status"] != "SUCCEEDED":
        error, cause = ended.get("error") or ended["status"], workflow.message(ended.get("cause") or "")
        if error == "RestoreRefused":
            raise refused(cause, f"the restore would be refused; {UNDONE}")
        raise Failed(f"the dry run failed: {error}{': ' + cause if cause else ''}; {UNDONE}. {dry_run.advice}")
    try:
        forecast = Forecast.model_validate(json.loads(ended.get("output") or "{}").get("forecast"))
    except (ValueError, ValidationError, AttributeError) as error:
        raise Failed(
            f"the workflow's answer is no forecast; {UNDONE}, as far as is known; use the version of RWM that is "
            "deployed"
        ) from error
    if (forecast.repository, forecast.state) != (dry_run.asked.repository.repository, dry_run.asked.header.id):
        raise Failed(f"the forecast is of another state than was asked for; {UNDONE}; trust nothing of it")
    return forecast

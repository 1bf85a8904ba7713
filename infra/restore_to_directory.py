"""rwm-restore-to-directory: announce -> wait, while the machine that asks downloads -> end.

No function is given credentials of a person's machine, and none learns its paths: the `rwm` command reads the ledger
and the bucket itself, and stops this execution when it has ended. So to be stopped is how such an execution ends well,
and what it announced is taken away by the next prune, as of everything that ended without its last step. What nobody
stops, since that machine is gone, waits until the longest restore is over; prunes wait that long, too, unless somebody
runs the same restore again or stops it: `rwm restores` lists it.

It is a workflow of its own because whoever downloads may start this and no other restore: IAM sees no input.

Security rules:
- Any other kind of restore is refused before it is announced: a downloader starts none.
- So is any name that others could have: with it, a downloader would take back what another restore announced, or
  announce what no prune ever finds ended.
"""

import json

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from functions.domain.restore.request import TO_DIRECTORY
from infra.restore_steps import RestoreSteps
from infra.restore_workflow import NAMED_TO_DIRECTORY, Announced
from infra.workflow import NOTHING

_LAST_STEP = cdk.Duration.hours(1)
"""Left of the workflow's time, so that what it announced is taken back even then."""
_NOBODY = {
    "errorMessage": "nobody said in time how the download ended; what lies in the directory is whole, file by file; "
    "run the same `rwm restore` again to go on and to prove it"
}
_ONLY_THAT = (
    f"here a restore is to a directory, and its execution's name begins with {TO_DIRECTORY}; nothing was announced, "
    "and nothing was written; `rwm restore` starts the right one"
)


class DirectoryDefinition(Announced):
    """The states of the workflow, all directly beneath `scope`; `start` is the first."""

    def __init__(self, scope: Construct, steps: RestoreSteps, longest: cdk.Duration) -> None:
        """`longest`: the workflow's own time."""
        super().__init__(scope, steps)
        self.start = self.begin(
            f"$not($asked.to = 'directory' and {NAMED_TO_DIRECTORY})", _ONLY_THAT, self._downloaded_meanwhile(longest)
        )

    def _downloaded_meanwhile(self, longest: cdk.Duration) -> sfn.IChainable:
        seconds = longest.to_seconds() - _LAST_STEP.to_seconds()
        waiting = sfn.Wait.jsonata(
            self._scope,
            "Downloaded meanwhile",
            # From the beginning: announcing may have waited for Lambda.
            time=sfn.WaitTime.timestamp(
                f"{{% $fromMillis($toMillis($states.context.Execution.StartTime) + {int(seconds * 1000)}) %}}"
            ),
        )
        unheard = sfn.Pass.jsonata(
            self._scope,
            "Nobody said",
            assign={"failure": {"Error": "RestoreUnheard", "Cause": json.dumps(_NOBODY)}},
            outputs=NOTHING,
        )
        return waiting.next(unheard.next(self._end))

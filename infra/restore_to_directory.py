"""A restore to a directory: the workflow announces it, and waits; the machine that asks downloads.

No function is given credentials of a person's machine, and none learns its paths: the `rwm` command reads the ledger
and the bucket itself, and stops this execution when it has ended. So to be stopped is how such an execution ends well,
and what it announced is taken away by the next prune, as of everything that ended without its last step. What nobody
stops, since that machine is gone, waits until the longest restore is over; prunes wait that long, too, unless somebody
runs the same restore again or stops it: `rwm restores` lists it.
"""

import json

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.workflow import NOTHING

_LAST_STEP = cdk.Duration.hours(1)
"""Left of the workflow's time, so that what it announced is taken back even then."""
_NOBODY = {
    "errorMessage": "nobody said in time how the download ended; what lies in the directory is whole, file by file; "
    "run the same `rwm restore` again to go on and to prove it"
}


def to_directory(scope: Construct, end: sfn.IChainable, longest: cdk.Duration) -> sfn.IChainable:
    """The first state of the branch, all of which leads to `end`. `longest`: the workflow's own time."""
    seconds = longest.to_seconds() - _LAST_STEP.to_seconds()
    waiting = sfn.Wait.jsonata(
        scope,
        "Downloaded meanwhile",
        # From the beginning: announcing may have waited for Lambda.
        time=sfn.WaitTime.timestamp(
            f"{{% $fromMillis($toMillis($states.context.Execution.StartTime) + {int(seconds * 1000)}) %}}"
        ),
    )
    unheard = sfn.Pass.jsonata(
        scope,
        "Nobody said",
        assign={"failure": {"Error": "RestoreUnheard", "Cause": json.dumps(_NOBODY)}},
        outputs=NOTHING,
    )
    waiting.next(unheard)
    unheard.next(end)
    return waiting

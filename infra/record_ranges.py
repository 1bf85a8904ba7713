"""Recording what is too large for one function: list ranges (a Distributed Map) -> close.

`record` begins it: it has the recording's lease, chose the cut, and wrote the manifest of ranges. Each child lists some
and writes down what it saw; `close-recording` reads all of it as if it had listed it, and does what record does with a
listing. Whatever fails gives the lease back, so that the next event or schedule tries again.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.record.handing_over import LONGEST_CLOSING, LONGEST_RECORDING
from infra.access import list_versions, read_files, tell_missing_from_denied
from infra.alerts import alarm_without_end
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow
from infra.workflow import (
    NOTHING,
    NULL,
    REMEMBERED,
    batch_step,
    for_each_batch,
    retry_lambda_trouble,
    state_machine,
)

PARALLEL_RANGES = 20
"""Each lists with several connections of its own."""


class RangedRecording(Construct):
    """`rwm-record-ranges` and its two functions."""

    def __init__(
        self, scope: Construct, construct_id: str, *, arns: Arns, code: lambda_.Code, records: list[Permission]
    ) -> None:
        """`records`: what whoever records a state may."""
        super().__init__(scope, construct_id)
        self.list_range = Step(
            self,
            "List",
            step="list-range",
            handler="functions.record.list_range.handler",
            description="Lists ranges of a large repository's keys, for close-recording",
            arns=arns,
            code=code,
            permissions=_list_permissions(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.close = Step(
            self,
            "Close",
            step="close-recording",
            handler="functions.record.close.handler",
            description="Records a large repository from what its ranges were listed to hold",
            arns=arns,
            code=code,
            permissions=[*records, *_close_permissions(arns)],
            timeout=cdk.Duration.seconds(LONGEST_CLOSING.total_seconds()),
            memory_mb=10_240,
        )
        self.workflow = state_machine(
            self,
            name=arns.names.ranges_workflow,
            step="record-ranges",
            definition=self._definition(arns),
            invokes=("list-range", "close-recording"),
            manifests="recordings/*",
            arns=arns,
            timeout=cdk.Duration.seconds(LONGEST_RECORDING.total_seconds()),
        )
        alarm_without_end(
            self,
            "Recordings",
            self.workflow,
            lambda how: (
                f"A recording of a large repository {how}: no state was recorded by it, and the next event or "
                "schedule tries again. The history of its execution says why. "
                "What to do: docs/operations.md#a-large-repository-was-not-recorded"
            ),
            arns,
        )

    def _definition(self, arns: Arns) -> sfn.IChainable:
        failed = sfn.Fail.jsonata(
            self, "Failed", error="RecordingFailed", cause="{% $failure.Error & ': ' & $failure.Cause %}"
        )
        give_up = self._close(
            "Give up",
            failed=True,
            # The lease ends by itself then.
            catch=failed,
            outputs=NOTHING,
        )
        give_up.next(failed)
        close = self._close("Close recording", failed=False, catch=give_up, outputs="{% $states.result.Payload %}")
        ranges = self._ranges(arns)
        ranges.add_catch(give_up, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        return (
            sfn.Pass.jsonata(self, "Begin", assign={"asked": "{% $states.input %}", "failure": NULL}, outputs=NOTHING)
            .next(ranges)
            .next(close)
        )

    def _ranges(self, arns: Arns) -> sfn.DistributedMap:
        list_range = batch_step(self, "List range", self.list_range)
        return for_each_batch(
            self,
            "List ranges",
            label="ranges",
            do=list_range,
            parallel=PARALLEL_RANGES,
            records=arns.records_name,
            manifest="$asked.manifest",
            item="range",
            gives={"repository": "{% $asked.repository %}", "attempt": "{% $asked.attempt %}"},
            # What one of them did not list, nobody did.
            all_needed=True,
        )

    def _close(self, name: str, *, failed: bool, catch: sfn.IChainable, outputs: str) -> tasks.LambdaInvoke:
        close = tasks.LambdaInvoke.jsonata(
            self,
            name,
            lambda_function=self.close.function,
            payload=sfn.TaskInput.from_object(
                {
                    "repository": "{% $asked.repository %}",
                    "attempt": "{% $asked.attempt %}",
                    "at": "{% $asked.at %}",
                    "cause": "{% $asked.cause %}",
                    "manifest": "{% $asked.manifest.version_id %}",
                    "failed": failed,
                }
            ),
            outputs=outputs,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(close)
        # Giving up tells of what failed before, not of its own failure.
        close.add_catch(catch, errors=["States.ALL"], assign={} if failed else dict(REMEMBERED), outputs=NOTHING)
        return close


def _list_permissions(arns: Arns) -> list[Permission]:
    return [
        *list_versions(arns, because="lists its ranges: noncurrent versions and markers, too"),
        allow(
            "s3:PutObject",
            on=arns.records("recordings/*/parts/*"),
            because="writes down what it listed; never a manifest",
            wildcard="parts lie beneath their repository and attempt",
        ),
    ]


def _close_permissions(arns: Arns) -> list[Permission]:
    return [
        read_files(
            arns,
            "recordings/*",
            because="reads the manifest of ranges and what they hold",
            wildcard="recordings lie beneath their repository and attempt",
        ),
        tell_missing_from_denied(arns),
    ]

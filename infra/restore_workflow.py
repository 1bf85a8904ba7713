"""rwm-restore: announce -> what its kind of restore takes -> end.

Into a bucket: plan -> copy (a Distributed Map over the plan's batches) -> verify. The plan decides; what is copied is
the manifest that it wrote, pinned by its version id. Verify always runs once there is a plan, whatever became of the
copies, because it alone says what is missing.

End runs last, however it went: until then no prune of the repository drops or deletes. So each failure is remembered,
and told after it. What fails ends in a Fail state, which a redrive of Step Functions only enters again.
"""

import json
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.arns import Arns
from infra.functions import Step
from infra.restore_steps import RestoreSteps
from infra.workflow import (
    EXECUTION,
    NOTHING,
    NULL,
    REMEMBERED,
    for_each_batch,
    retry_lambda_trouble,
    retry_out_of_time,
)

PARALLEL_BATCHES = 20
_NOT_THAT_KIND = "restores are into a bucket; nothing was written"


class RestoreDefinition:
    """The states of the workflow, all directly beneath `scope`; `start` is the first."""

    def __init__(self, scope: Construct, steps: RestoreSteps, arns: Arns) -> None:
        self._scope = scope
        self._steps = steps
        self._arns = arns
        self._end = self._build_end()
        to_bucket = self._to_bucket()
        refused = sfn.Pass.jsonata(
            scope,
            "Not that kind",
            assign={"failure": {"Error": "RestoreRefused", "Cause": json.dumps({"errorMessage": _NOT_THAT_KIND})}},
            outputs=NOTHING,
        )
        refused.next(self._end)
        announce = self._ask(
            "Announce restore",
            steps.announce,
            # Whatever else was asked goes along, so that it can be refused by its name.
            "{% $merge([$asked, {'execution': $states.context.Execution.Name}]) %}",
            # With the state's full id, and a value for whatever was left out.
            assign={"asked": "{% $states.result.Payload %}"},
        )
        announce.next(
            sfn.Choice.jsonata(scope, "Where to?")
            .when(sfn.Condition.jsonata("{% $asked.to = 'bucket' %}"), to_bucket)
            .otherwise(refused)
        )
        self.start = sfn.Pass.jsonata(
            scope,
            "Begin",
            assign={"asked": "{% $states.input %}", "failure": NULL, "report": NULL},
            outputs=NOTHING,
        ).next(announce)

    def _ask(
        self, name: str, step: Step, payload: str | dict[str, Any], *, assign: dict[str, str]
    ) -> tasks.LambdaInvoke:
        """A step whose failure is remembered, and told at the end."""
        given = sfn.TaskInput.from_text(payload) if isinstance(payload, str) else sfn.TaskInput.from_object(payload)
        task = tasks.LambdaInvoke.jsonata(
            self._scope,
            name,
            lambda_function=step.function,
            payload=given,
            assign=assign,
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(task)
        task.add_catch(self._end, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        return task

    def _to_bucket(self) -> sfn.IChainable:
        verify = self._ask(
            "Verify restore",
            self._steps.verify,
            {
                "plan": "{% $plan.plan %}",
                "plan_version": "{% $plan.plan_version %}",
                "repository": "{% $asked.repository %}",
                "execution": EXECUTION,
            },
            assign={"report": "{% $states.result.Payload %}"},
        )
        verify.next(self._end)

        copies = self._copies()
        # Also when the map itself failed: what is missing, only verify can say.
        copies.add_catch(verify, errors=["States.ALL"])

        plan = self._ask(
            "Plan restore", self._steps.plan, "{% $asked %}", assign={"plan": "{% $states.result.Payload %}"}
        )
        plan.next(
            sfn.Choice.jsonata(self._scope, "Anything to copy?")
            .when(sfn.Condition.jsonata("{% $plan.batches > 0 %}"), copies.next(verify))
            .otherwise(verify)
        )
        return plan

    def _copies(self) -> sfn.DistributedMap:
        copy = tasks.LambdaInvoke.jsonata(
            self._scope,
            "Copy batch",
            lambda_function=self._steps.copy.function,
            # Nothing: thousands of results would exceed the 256 KiB of a state; they are in the records bucket.
            outputs="{% {} %}",
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(copy)
        retry_out_of_time(copy)
        return for_each_batch(
            self._scope,
            "Copy batches",
            label="copy",
            do=copy,
            parallel=PARALLEL_BATCHES,
            records=self._arns.records_name,
        )

    def _build_end(self) -> tasks.LambdaInvoke:
        """What everything leads to: the announcement is taken back, then it is told how the restore went."""
        scope = self._scope
        refused = sfn.Fail.jsonata(
            scope,
            "Refused",
            error="RestoreRefused",
            # Lambda gives the exception as JSON; people want its message.
            cause="{% $parse($failure.Cause).errorMessage %}",
        )
        failed = sfn.Fail.jsonata(scope, "Failed", error="{% $failure.Error %}", cause="{% $failure.Cause %}")
        restored = sfn.Pass.jsonata(scope, "Restored", outputs="{% $report %}")
        incomplete = sfn.Fail.jsonata(
            scope,
            "Incomplete",
            error="RestoreIncomplete",
            cause="{% $string($report) %}",
        )
        how = (
            sfn.Choice.jsonata(scope, "How did it go?")
            .when(sfn.Condition.jsonata("{% $failure != null and $failure.Error = 'RestoreRefused' %}"), refused)
            .when(sfn.Condition.jsonata("{% $failure != null %}"), failed)
            .when(sfn.Condition.jsonata("{% $report.complete = true %}"), restored)
            .otherwise(incomplete)
        )
        end = tasks.LambdaInvoke.jsonata(
            scope,
            "End restore",
            lambda_function=self._steps.end.function,
            payload=sfn.TaskInput.from_object({"repository": "{% $asked.repository %}", "execution": EXECUTION}),
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(end)
        # The next prune takes the announcement of an execution away that has ended.
        end.add_catch(how, errors=["States.ALL"], outputs=NOTHING)
        end.next(how)
        return end

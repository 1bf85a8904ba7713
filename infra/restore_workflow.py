"""rwm-restore: announce -> what its kind of restore takes -> end. To a directory: infra/restore_to_directory.py.

Into a bucket: plan -> try the target -> thaw, where something is archived -> copy (both a Distributed Map over the
plan's batches) -> verify. The plan decides; what is copied is the manifest that it wrote, pinned by its version id.
Verify always runs once there is a plan, whatever became of the copies, because it alone says what is missing.

End runs last, however it went: until then no prune of the repository drops or deletes. So each failure is remembered,
and told after it. What fails ends in a Fail state, which a redrive of Step Functions only enters again.

An execution of a name that belongs to the other workflow is refused before it announces anything, and takes nothing
back: there it may be the name of a restore that runs, and what that one announced is kept under the name alone.
"""

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.domain.restore.request import TO_DIRECTORY
from infra.arns import Arns
from infra.functions import Step
from infra.restore_steps import RestoreSteps
from infra.workflow import (
    EXECUTION,
    NOTHING,
    NULL,
    OF_THE_PLAN,
    REMEMBERED,
    batch_step,
    for_each_batch,
    retry_lambda_trouble,
)

LONGEST_THAW = cdk.Duration.days(3)
"""For so long a batch waits for what lies in an archive class: S3's slowest tier takes two days."""
THAW_LOOK = cdk.Duration.minutes(15)
"""So often, at first sooner, it is tried whether it is back."""
_NOT_THAT_KIND = "a restore is to a bucket or in place here; nothing was written"
_ELSEWHERE = (
    f"a restore to a directory has a workflow of its own, and names that begin with {TO_DIRECTORY} are of it alone; "
    "nothing was announced, and nothing was written"
)
NAMED_TO_DIRECTORY = f"$substring($states.context.Execution.Name, 0, {len(TO_DIRECTORY)}) = '{TO_DIRECTORY}'"


class Announced:
    """What both workflows begin and end with, all directly beneath `scope`; `end` is where everything leads to."""

    def __init__(self, scope: Construct, steps: RestoreSteps) -> None:
        self._scope = scope
        self._steps = steps
        self._end = self._build_end()

    def begin(self, elsewhere: str, why: str, then: sfn.IChainable) -> sfn.IChainable:
        """The first state. Where `elsewhere` holds, that is refused at once, for that reason; otherwise the restore is
        announced, and goes on with `then`."""
        announce = self._ask(
            "Announce restore",
            self._steps.announce,
            # Whatever else was asked goes along, so that it can be refused by its name.
            "{% $merge([$asked, {'execution': $states.context.Execution.Name}]) %}",
            # With the state's full id, and a value for whatever was left out.
            assign={"asked": "{% $states.result.Payload %}"},
        )
        announce.next(then)
        return sfn.Pass.jsonata(
            self._scope,
            "Begin",
            assign={"asked": "{% $states.input %}", "failure": NULL, "report": NULL},
            outputs=NOTHING,
        ).next(
            sfn.Choice.jsonata(self._scope, "Not here?")
            .when(
                sfn.Condition.jsonata(f"{{% {elsewhere} %}}"),
                sfn.Fail.jsonata(self._scope, "Not here", error="RestoreRefused", cause=why),
            )
            .otherwise(announce)
        )

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


class RestoreDefinition(Announced):
    """The states of the workflow; `start` is the first."""

    def __init__(
        self,
        scope: Construct,
        steps: RestoreSteps,
        arns: Arns,
        in_place: Callable[[sfn.IChainable], sfn.IChainable],
    ) -> None:
        """`in_place` makes the first state of that kind's branch, all of which leads to the end that it is given."""
        super().__init__(scope, steps)
        self._arns = arns
        to_bucket = self._to_bucket()
        refused = sfn.Pass.jsonata(
            scope,
            "Not that kind",
            assign={"failure": {"Error": "RestoreRefused", "Cause": json.dumps({"errorMessage": _NOT_THAT_KIND})}},
            outputs=NOTHING,
        )
        refused.next(self._end)
        where = (
            sfn.Choice.jsonata(scope, "Where to?")
            .when(sfn.Condition.jsonata("{% $asked.to = 'bucket' %}"), to_bucket)
            .when(sfn.Condition.jsonata("{% $asked.to = 'in-place' %}"), in_place(self._end))
            .otherwise(refused)
        )
        self.start = self.begin(f"$asked.to = 'directory' or {NAMED_TO_DIRECTORY}", _ELSEWHERE, where)

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
        copies.next(verify)
        thaws = self._thaws()
        # Whatever was not asked for here, its copy asks for.
        thaws.add_catch(copies, errors=["States.ALL"], outputs=NOTHING)
        tries = self._ask(
            "Try target",
            self._steps.copy,
            dict(OF_THE_PLAN),
            assign={"tried": "{% true %}"},
        )
        tries.next(
            sfn.Choice.jsonata(self._scope, "Anything to thaw?")
            .when(sfn.Condition.jsonata("{% $plan.thaw != null and $plan.archived.objects > 0 %}"), thaws.next(copies))
            .otherwise(copies)
        )
        begin_copying = (
            sfn.Choice.jsonata(self._scope, "Anything to copy?")
            .when(sfn.Condition.jsonata("{% $plan.batches > 0 %}"), tries)
            .otherwise(verify)
        )
        plan.next(
            sfn.Choice.jsonata(self._scope, "Only a dry run?")
            .when(sfn.Condition.jsonata("{% $exists($plan.forecast) %}"), self._foreseen())
            .otherwise(begin_copying)
        )
        return plan

    def _foreseen(self) -> sfn.IChainable:
        """Nothing was written, and nothing is left to do but to tell."""
        foreseen = sfn.Pass.jsonata(
            self._scope,
            "Foreseen",
            assign={"report": "{% {'complete': true, 'forecast': $plan.forecast} %}"},
            outputs=NOTHING,
        )
        return foreseen.next(self._end)

    def _thaws(self) -> sfn.DistributedMap:
        """All are asked for before any is copied: a copy that waits would keep others from being asked for."""
        thaw = batch_step(self._scope, "Thaw batch", self._steps.thaw)
        return for_each_batch(
            self._scope,
            "Thaw batches",
            label="thaw",
            do=thaw,
            parallel=self._arns.configuration.restore_parallel_batches,
            records=self._arns.records_name,
        )

    def _copies(self) -> sfn.DistributedMap:
        copy = batch_step(self._scope, "Copy batch", self._steps.copy)
        retry_still_frozen(copy)
        return for_each_batch(
            self._scope,
            "Copy batches",
            label="copy",
            do=copy,
            parallel=self._arns.configuration.restore_parallel_batches,
            records=self._arns.records_name,
        )


def retry_still_frozen(task: tasks.LambdaInvoke) -> None:
    """Try a batch again that waits for an archive class: what was thawed at the tier Expedited is back within minutes,
    anything else within hours or two days."""
    task.add_retry(
        errors=["StillFrozen"],
        interval=cdk.Duration.minutes(1),
        backoff_rate=2,
        max_delay=THAW_LOOK,
        max_attempts=int(LONGEST_THAW.to_minutes() // THAW_LOOK.to_minutes()),
    )

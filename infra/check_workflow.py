"""The check's state machine: which step follows which, and what becomes of a step that fails.

- A level goes on to the next one whatever it found: a bucket whose posture fails is read all the more.
- `conclude-content` runs whatever became of the hashing, and `conclude-complete` whatever became of the reading: what
  could not be read is a finding, not an end without a verdict.
- Variables carry what later steps need; no step's answer is passed on, but for check-complete's report.
"""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.domain.verdict import CheckLevel
from infra.arns import Arns
from infra.check_steps import CheckSteps
from infra.functions import Step
from infra.workflow import (
    EXECUTION,
    NOTHING,
    NULL,
    REMEMBERED,
    batch_step,
    for_each_batch,
    invoke,
    retry_lambda_trouble,
    state_machine,
)

PARALLEL_BATCHES = 10
LONGEST_CHECK = cdk.Duration.days(7)
"""The first check of content reads everything there is."""

_REFUSED = "CheckRefused"


class CheckWorkflow(Construct):
    """`rwm-check`."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns, steps: CheckSteps, record: Step) -> None:
        super().__init__(scope, construct_id)
        self._steps = steps
        self._record = record
        self._records = arns.records_name
        self._refused = sfn.Fail.jsonata(
            self,
            "Refused",
            error=_REFUSED,
            # Lambda gives the exception as JSON; people want its message.
            cause="{% $parse($failure.Cause).errorMessage %}",
        )
        self._failed = sfn.Fail.jsonata(
            self, "Failed", error="CheckFailed", cause="{% $failure.Error & ': ' & $failure.Cause %}"
        )
        self._checked = sfn.Pass.jsonata(
            self,
            "Checked",
            outputs={
                "repository": "{% $asked.repository %}",
                "state": "{% $state ? $state : null %}",
                "generation": "{% $generation %}",
                "level": "{% $level %}",
                "outcomes": "{% $outcomes %}",
                "posture": "{% $posture %}",
            },
        )
        self.machine = state_machine(
            self,
            name=arns.names.check_workflow,
            step="check",
            definition=self._definition(),
            invokes=(
                "check-posture",
                "record",
                "check-consistent",
                "plan-content",
                "hash-content",
                "conclude-content",
                "check-complete",
                "conclude-complete",
            ),
            manifests="checks/*",
            arns=arns,
            timeout=LONGEST_CHECK,
        )

    def _definition(self) -> sfn.IChainable:
        complete = self._complete()
        content = self._content(deeper=complete)
        return self._begin(self._posture(deeper=self._consistent(deeper=content)), copy=complete)

    def _begin(self, first: sfn.IChainable, *, copy: sfn.IChainable) -> sfn.IChainable:
        begin = sfn.Pass.jsonata(
            self,
            "Begin",
            assign={
                "asked": "{% $states.input %}",
                # Of a restored copy there is one verdict.
                "level": f"{{% $states.input.target ? '{CheckLevel.COMPLETE}' : $states.input.level %}}",
                "state": "{% $states.input.state %}",
                "generation": NULL,
                "outcomes": NOTHING,
                "posture": NULL,
            },
            outputs=NOTHING,
        )
        unknown = sfn.Fail.jsonata(
            self,
            "Unknown level",
            error=_REFUSED,
            cause="{% 'there is no level ' & $string($level) & '; nothing was checked' %}",
        )
        begin.next(
            sfn.Choice.jsonata(self, "What is asked?")
            # A misspelt level must not pass as the check of a shallower one.
            .when(sfn.Condition.jsonata(f"{{% $not($level in {list(map(str, CheckLevel))}) %}}"), unknown)
            .when(sfn.Condition.jsonata("{% $asked.target ? true : false %}"), copy)
            .otherwise(first)
        )
        return begin

    def _posture(self, *, deeper: sfn.IChainable) -> sfn.IChainable:
        request = {"repository": "{% $asked.repository %}", "reason": "{% $asked.reason %}"}
        posture = self._invoke(
            "Check posture",
            self._steps.posture,
            request,
            assign={"posture": "{% $states.result.Payload %}", **_outcome(CheckLevel.POSTURE)},
        )
        record = self._invoke(
            "Record",
            self._record,
            request,
            # None if there is none yet that answers: then the newest there is.
            assign={"state": "{% $states.result.Payload.state ? $states.result.Payload.state : '' %}"},
        )
        record.next(deeper)
        posture.next(
            sfn.Choice.jsonata(self, "Deeper than posture?")
            .when(_asked_for(CheckLevel.POSTURE), self._checked)
            .when(sfn.Condition.jsonata("{% $state = '' %}"), record)
            .otherwise(deeper)
        )
        return posture

    def _consistent(self, *, deeper: sfn.IChainable) -> sfn.IChainable:
        consistent = self._invoke(
            "Check consistent",
            self._steps.consistent,
            {"repository": "{% $asked.repository %}", "state": "{% $state %}", "execution": EXECUTION},
            assign={**_which_state(), **_outcome(CheckLevel.CONSISTENT)},
        )
        consistent.next(
            sfn.Choice.jsonata(self, "Deeper than consistent?")
            .when(_asked_for(CheckLevel.CONTENT, CheckLevel.COMPLETE), deeper)
            .otherwise(self._checked)
        )
        return consistent

    def _content(self, *, deeper: sfn.IChainable) -> sfn.IChainable:
        plan = self._invoke(
            "Plan content",
            self._steps.plan_content,
            {
                "repository": "{% $asked.repository %}",
                "state": "{% $state %}",
                "all": "{% $asked.all %}",
                "execution": EXECUTION,
            },
            assign={"plan": "{% $states.result.Payload %}"},
        )
        conclude = self._invoke(
            "Conclude content",
            self._steps.conclude_content,
            {
                "repository": "{% $asked.repository %}",
                "state": "{% $state %}",
                "plan": "{% $plan.plan %}",
                "plan_version": "{% $plan.plan_version %}",
                "execution": EXECUTION,
            },
            assign=_outcome(CheckLevel.CONTENT),
        )
        plan.next(
            sfn.Choice.jsonata(self, "Anything to hash?")
            .when(sfn.Condition.jsonata("{% $plan.batches > 0 %}"), self._hashing(conclude))
            .otherwise(conclude)
        )
        conclude.next(
            sfn.Choice.jsonata(self, "Deeper than content?")
            .when(_asked_for(CheckLevel.COMPLETE), deeper)
            .otherwise(self._checked)
        )
        return plan

    def _hashing(self, conclude: tasks.LambdaInvoke) -> sfn.IChainable:
        hash_batch = batch_step(self, "Hash batch", self._steps.hash_content)
        hashing = for_each_batch(
            self,
            "Hash batches",
            label="hash",
            do=hash_batch,
            parallel=PARALLEL_BATCHES,
            records=self._records,
            more={"repository": "{% $asked.repository %}"},
        )
        # Also when the map itself failed: what was not hashed, only the conclusion can say.
        hashing.add_catch(conclude, errors=["States.ALL"], outputs=NOTHING)
        hashing.next(conclude)
        return hashing

    def _complete(self) -> sfn.IChainable:
        complete = tasks.LambdaInvoke.jsonata(
            self,
            "Check complete",
            lambda_function=self._steps.complete.function,
            payload=sfn.TaskInput.from_object(
                {
                    "repository": "{% $asked.repository %}",
                    "state": "{% $state %}",
                    "read_data": "{% $asked.read_data %}",
                    "target": "{% $asked.target %}",
                }
            ),
            assign=_which_state(),
            outputs={"report": "{% $states.result.Payload.report %}", "error": NULL},
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(complete)
        complete.add_catch(self._refused, errors=[_REFUSED], assign=dict(REMEMBERED))
        conclude = self._invoke(
            "Conclude complete",
            self._steps.conclude_complete,
            {
                "repository": "{% $asked.repository %}",
                "state": "{% $state %}",
                "target": "{% $asked.target %}",
                "execution": EXECUTION,
                "report": "{% $states.input.report %}",
                "error": "{% $states.input.error %}",
            },
            assign=_outcome(CheckLevel.COMPLETE),
        )
        # A repository that makes its reader fail, or run out of time, is not complete.
        complete.add_catch(
            conclude, errors=["States.ALL"], outputs={"report": NULL, "error": "{% $states.errorOutput.Error %}"}
        )
        complete.next(conclude)
        conclude.next(self._checked)
        return complete

    def _invoke(
        self, name: str, step: Step, payload: Mapping[str, str], *, assign: Mapping[str, str]
    ) -> tasks.LambdaInvoke:
        """A step that must succeed; a refusal and any other error end the check."""
        ends = {_REFUSED: self._refused, "States.ALL": self._failed}
        return invoke(self, name, step, payload, assign=assign, ends=ends)


def _asked_for(*levels: CheckLevel) -> sfn.Condition:
    return sfn.Condition.jsonata(f"{{% $level in {list(map(str, levels))} %}}")


def _outcome(level: CheckLevel) -> dict[str, str]:
    return {"outcomes": f"{{% $merge([$outcomes, {{'{level}': $states.result.Payload.outcome}}]) %}}"}


def _which_state() -> dict[str, str]:
    return {"state": "{% $states.result.Payload.state %}", "generation": "{% $states.result.Payload.generation %}"}

"""The prune's state machine: which step follows which, and what becomes of a step that fails.

- The check is an execution of rwm-check under this execution's own name, by which its verdicts are known: a plan is
  drawn only from a state that this same execution judged.
- Nothing but waiting happens while a person is asked, so a restore is never held up by it.
- The lease is taken after the approval and released whatever happened; where even that fails, the next prune takes
  it over once this execution has ended.
- Verify runs whatever became of the maps: what is gone and what is left, it alone can say.
"""

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.domain.prune.plan import VALID_FOR, Phase
from functions.domain.prune.waking import REJECTED
from functions.domain.repositories import Repository
from functions.domain.verdict import CheckLevel
from infra.arns import Arns
from infra.functions import Step
from infra.prune_steps import PruneSteps
from infra.workflow import (
    EXECUTION,
    NOTHING,
    NULL,
    REMEMBERED,
    batch_step,
    for_each_batch,
    invoke,
    retry_lambda_trouble,
    retry_out_of_time,
    state_machine,
)

PARALLEL_BATCHES = 4
"""Few: a prune has all the time in the world, and S3's capacity belongs to backups and restores."""
LONGEST_PRUNE = cdk.Duration.days(9)
"""A check's seven days, a day for a person, a day to delete."""

_REFUSED, _STOPPED, _FAILED = "PruneRefused", "PruneStopped", "PruneFailed"
_STOPS = ["DropStopped", "LeaseHeld", "NotApproved", "PlanMismatch", _REFUSED]
"""What the steps raise where they decide to stop; the message is for people."""


class PruneWorkflow(Construct):
    """`rwm-prune`."""

    def __init__(
        self, scope: Construct, construct_id: str, *, arns: Arns, steps: PruneSteps, check: sfn.IStateMachine
    ) -> None:
        super().__init__(scope, construct_id)
        self._steps = steps
        self._check = check
        self._arns = arns
        self._refused = self._fail("Refused", _REFUSED, "{% $parse($failure.Cause).errorMessage %}")
        self._failed = self._fail("Failed", _FAILED, "{% $failure.Error & ': ' & $failure.Cause %}")
        self.machine = state_machine(
            self,
            name=arns.names.prune_workflow,
            step="prune",
            definition=self._definition(),
            invokes=("plan-prune", "ask-approval", "lease-prune", "drop-states", "apply-prune", "verify-prune"),
            manifests="prunes/*",
            arns=arns,
            timeout=LONGEST_PRUNE,
            runs=(arns.names.check_workflow,),
        )

    def _definition(self) -> sfn.IChainable:
        return self._begin(self._checked(self._planned(self._leased(self._dropped(self._applied(self._verified()))))))

    def _begin(self, first: sfn.IChainable) -> sfn.IChainable:
        levels = {each.name: _check_level(each) for each in self._arns.configuration.repositories}
        level = f"$lookup({json.dumps(levels)}, $states.input.repository)"
        begin = sfn.Pass.jsonata(
            self,
            "Begin",
            assign={
                "asked": "{% $states.input %}",
                "level": f"{{% {level} ? {level} : '' %}}",
                "report": NULL,
                "failure": NULL,
            },
            outputs=NOTHING,
        )
        unknown = self._fail(
            "Unknown repository",
            _REFUSED,
            "{% 'no repository ' & $string($asked.repository) & ' is deployed; nothing was planned' %}",
        )
        begin.next(
            sfn.Choice.jsonata(self, "Is it deployed?")
            .when(sfn.Condition.jsonata("{% $level = '' %}"), unknown)
            .otherwise(first)
        )
        return begin

    def _checked(self, following: sfn.IChainable) -> sfn.IChainable:
        check = tasks.StepFunctionsStartExecution.jsonata(
            self,
            "Check",
            state_machine=self._check,
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            name=EXECUTION,
            input=sfn.TaskInput.from_object(
                {
                    "repository": "{% $asked.repository %}",
                    "level": "{% $level %}",
                    "state": "",
                    "all": False,
                    "read_data": False,
                    "reason": "{% $asked.reason %}",
                    "target": NULL,
                }
            ),
            assign={"checked": "{% $states.result.Output %}"},
            outputs=NOTHING,
        )
        not_checked = self._fail(
            "Not checked",
            f"{{% $check.Error = 'CheckRefused' ? '{_REFUSED}' : '{_FAILED}' %}}",
            "{% 'the check came to no conclusion, so nothing was planned: ' & "
            "($check.Cause ? $check.Cause : $check.Status) %}",
        )
        # Step Functions gives the other execution as JSON.
        check.add_catch(
            not_checked, errors=["States.TaskFailed"], assign={"check": "{% $parse($states.errorOutput.Cause) %}"}
        )
        check.add_catch(self._failed, errors=["States.ALL"], assign=dict(REMEMBERED))
        check.next(following)
        return check

    def _planned(self, following: sfn.IChainable) -> sfn.IChainable:
        plan = self._invoke(
            "Plan prune",
            self._steps.plan,
            {
                "repository": "{% $asked.repository %}",
                "execution": EXECUTION,
                "dry_run": "{% $asked.dry_run %}",
                "posture": "{% $checked.outcomes.posture %}",
            },
            assign={"plan": "{% $states.result.Payload %}"},
        )
        plan.next(
            sfn.Choice.jsonata(self, "What is to be done?")
            .when(sfn.Condition.jsonata("{% $asked.dry_run %}"), self._ended("Drawn", "dry-run"))
            .when(
                sfn.Condition.jsonata("{% $plan.entries = 0 and $plan.drops = 0 %}"),
                self._ended("Nothing to do", "nothing-to-do"),
            )
            .when(sfn.Condition.jsonata("{% $plan.approval = 'needed' %}"), self._asked(following))
            .otherwise(following)
        )
        return plan

    def _asked(self, following: sfn.IChainable) -> sfn.IChainable:
        ask = tasks.LambdaInvoke.jsonata(
            self,
            "Ask approval",
            lambda_function=self._steps.ask_approval.function,
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            payload=sfn.TaskInput.from_object({**_the_plan("plan"), "token": "{% $states.context.Task.Token %}"}),
            # As long as the plan is good: apply would refuse an approval that comes later.
            task_timeout=sfn.Timeout.duration(cdk.Duration.seconds(VALID_FOR.total_seconds())),
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(ask)
        rejected = self._fail("Rejected", REJECTED, "{% $failure.Cause %}")
        expired = self._fail(
            "Expired",
            "PruneExpired",
            "{% 'nobody decided on plan ' & $plan.plan & ' in time; nothing was deleted' %}",
        )
        ask.add_catch(rejected, errors=[REJECTED], assign=dict(REMEMBERED))
        ask.add_catch(expired, errors=["States.Timeout"], assign=dict(REMEMBERED))
        ask.add_catch(self._refused, errors=[_REFUSED], assign=dict(REMEMBERED))
        ask.add_catch(self._failed, errors=["States.ALL"], assign=dict(REMEMBERED))
        ask.next(following)
        return ask

    def _leased(self, following: sfn.IChainable) -> sfn.IChainable:
        held = self._fail("Not leased", _STOPPED, "{% $parse($failure.Cause).errorMessage %}")
        take = self._invoke(
            "Take lease",
            self._steps.lease,
            {**_who(), "action": "take"},
            assign={"token": "{% $states.result.Payload.token %}"},
            stops={"LeaseHeld": held, "RestoreUnderWay": held},
        )
        take.next(following)
        return take

    def _dropped(self, following: tuple[sfn.IChainable, sfn.IChainable]) -> sfn.IChainable:
        """Where it stops, nothing is deleted, and only the lease is released."""
        apply, release = following
        drop = tasks.LambdaInvoke.jsonata(
            self,
            "Drop states",
            lambda_function=self._steps.drop_states.function,
            payload=sfn.TaskInput.from_object(_the_plan("plan", "plan_version")),
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(drop)
        retry_out_of_time(drop)
        drop.add_catch(release, errors=["States.ALL"], assign=dict(REMEMBERED), outputs=NOTHING)
        drop.next(apply)
        return drop

    def _applied(self, verify: sfn.IChainable) -> tuple[sfn.IChainable, sfn.IChainable]:
        """First to last state of what deletes, and the one that releases the lease, to which everything leads."""
        release = tasks.LambdaInvoke.jsonata(
            self,
            "Release lease",
            lambda_function=self._steps.lease.function,
            payload=sfn.TaskInput.from_object({**_who(), "action": "release"}),
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(release)
        stopped = self._fail(
            "Stopped",
            # A failure that nobody decided on tells its own name.
            f"{{% $failure.Error in {_STOPS} ? '{_STOPPED}' : '{_FAILED}' %}}",
            f"{{% $failure.Error in {_STOPS} ? $parse($failure.Cause).errorMessage : "
            "$failure.Error & ': ' & $failure.Cause %}",
        )
        after = (
            sfn.Choice.jsonata(self, "Was anything applied?")
            .when(sfn.Condition.jsonata("{% $failure != null %}"), stopped)
            .otherwise(verify)
        )
        # The next prune takes over a lease whose execution has ended.
        release.add_catch(after, errors=["States.ALL"], outputs=NOTHING)
        release.next(after)
        markers = self._batches(Phase.MARKERS, release)
        return self._batches(Phase.VERSIONS, markers), release

    def _batches(self, phase: Phase, following: sfn.IChainable) -> sfn.IChainable:
        apply = batch_step(self, f"Apply {phase}", self._steps.apply)
        manifest = f"$plan.{phase}_manifest"
        batches = for_each_batch(
            self,
            f"Batches of {phase}",
            label=str(phase),
            do=apply,
            parallel=PARALLEL_BATCHES,
            records=self._arns.records_name,
            manifest=manifest,
            more={"repository": "{% $asked.repository %}", "phase": str(phase), "token": "{% $token %}"},
        )
        # Also when the map itself failed: what is left, only verify can say.
        batches.add_catch(following, errors=["States.ALL"], outputs=NOTHING)
        batches.next(following)
        return (
            sfn.Choice.jsonata(self, f"Any {phase}?")
            .when(sfn.Condition.jsonata(f"{{% {manifest} != null %}}"), batches)
            .otherwise(following)
        )

    def _verified(self) -> sfn.IChainable:
        verify = self._invoke(
            "Verify prune",
            self._steps.verify,
            _the_plan("plan", "plan_version"),
            assign={"report": "{% $states.result.Payload %}"},
        )
        harmed = self._fail(
            "Harmed",
            "PruneHarmed",
            "{% ($report.kept_states - $report.kept_states_whole) & ' kept state(s) are not whole; the report is ' & "
            "$report.report.bucket & '/' & $report.report.key %}",
        )
        incomplete = self._fail(
            "Incomplete",
            "PruneIncomplete",
            "{% $report.unfinished & ' of ' & $report.batches & ' batches have no result and S3 did not delete ' & "
            "$report.failed & ' version(s); ' & "
            "($count($report.stopped) > 0 ? $join($report.stopped, '; ') & '; ' : '') & "
            "'every kept state is whole; the next prune takes up what is left; the report is ' & "
            "$report.report.bucket & '/' & $report.report.key %}",
        )
        verify.next(
            sfn.Choice.jsonata(self, "What did it come to?")
            .when(sfn.Condition.jsonata("{% $report.outcome = 'done' %}"), self._ended("Pruned", "pruned"))
            .when(sfn.Condition.jsonata("{% $report.outcome = 'incomplete' %}"), incomplete)
            .otherwise(harmed)
        )
        return verify

    def _ended(self, name: str, ended: str) -> sfn.Pass:
        return sfn.Pass.jsonata(
            self,
            name,
            outputs={
                "repository": "{% $asked.repository %}",
                "state": "{% $checked.state %}",
                "generation": "{% $checked.generation %}",
                "posture": "{% $checked.outcomes.posture %}",
                "outcomes": "{% $checked.outcomes %}",
                "ended": ended,
                "plan": "{% $plan %}",
                "report": "{% $report %}",
            },
        )

    def _fail(self, name: str, error: str, cause: str) -> sfn.Fail:
        return sfn.Fail.jsonata(self, name, error=error, cause=cause)

    def _invoke(
        self,
        name: str,
        step: Step,
        payload: Mapping[str, str],
        *,
        assign: Mapping[str, str],
        stops: Mapping[str, sfn.Fail] | None = None,
    ) -> tasks.LambdaInvoke:
        """A step that must succeed; a refusal, any other error, and errors with an end of their own end the prune."""
        ends = {**(stops or {}), _REFUSED: self._refused, "States.ALL": self._failed}
        return invoke(self, name, step, payload, assign=assign, ends=ends)


def _check_level(repository: Repository) -> CheckLevel:
    """As deep as the repository's own checks, and never less than a prune needs."""
    level = CheckLevel(repository.check_level)
    return CheckLevel.CONSISTENT if level is CheckLevel.POSTURE else level


def _who() -> dict[str, str]:
    return {"repository": "{% $asked.repository %}", "execution": EXECUTION}


def _the_plan(*fields: str) -> dict[str, str]:
    return {**_who(), **{field: f"{{% $plan.{field} %}}" for field in fields}}

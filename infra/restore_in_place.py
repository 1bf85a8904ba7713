"""A restore in place: record -> plan -> (thaw ->) put back -> record -> verify; both maps go over the plan's batches.

The present state is recorded first: it is what undoes the restore, and what the fewest writes are computed from.
Another is recorded last: it is what is judged. A recording that may not begin yet is waited for; whoever recorded
meanwhile has done it for us, which the step that reads the state finds out.

One function may put and hide in the repositories, and no function here may delete a version.
"""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.domain.repositories import Repository
from infra.access import (
    append_to_operations,
    read_files,
    read_states,
    tell_gone_from_denied,
    tell_missing_from_denied,
)
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens
from infra.restore_workflow import retry_still_frozen
from infra.workflow import (
    NOTHING,
    NULL,
    OF_THE_PLAN,
    REMEMBERED,
    batch_step,
    for_each_batch,
    retry_lambda_trouble,
)

MOST_RECORDINGS = 50
"""How often it is asked for a recording: half a day for the largest repositories, and hours for one flooded with
events."""

STEPS = ("record", "plan-in-place", "put-back", "verify-in-place")
"""What the workflow must be able to invoke for it."""

_NAMED = "a plan is named by its digest"
_UNVERIFIED = "it was put back and nothing proves it; run the same restore again, which writes only what is not right"


class InPlaceSteps:
    """The functions, in their order, all directly beneath `scope`."""

    def __init__(self, scope: Construct, *, arns: Arns, code: lambda_.Code) -> None:
        self.plan = Step(
            scope,
            "PlanInPlace",
            step="plan-in-place",
            handler="functions.restore.plan_in_place.handler",
            description="Plans a restore in place: the fewest writes, or why it is refused; writes to no repository",
            arns=arns,
            code=code,
            permissions=_plan(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.put_back = Step(
            scope,
            "PutBack",
            step="put-back",
            handler="functions.restore.put_back.handler",
            description="Puts back and hides one batch of objects of a repository; deletes no version",
            arns=arns,
            code=code,
            permissions=_put_back(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=1024,
            environment={"RWM_RESTORE_THREADS": str(arns.configuration.restore_threads)},
        )
        self.verify = Step(
            scope,
            "VerifyInPlace",
            step="verify-in-place",
            handler="functions.restore.verify_in_place.handler",
            description="Compares a repository that was put back with its state and reports",
            arns=arns,
            code=code,
            permissions=_verify(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )


def _plan(arns: Arns) -> list[Permission]:
    principals = {kind: sorted(_principals(arns, kind)) for kind in ("user", "role")}
    actions = {"user": "iam:ListAttachedUserPolicies", "role": "iam:ListAttachedRolePolicies"}
    return [
        read_states(arns, because="reads the state that is to come back, and the present one"),
        *(
            allow(actions[kind], on=some, because="refuses while hosts may write: their quarantine is a policy")
            for kind, found in principals.items()
            for some in by_tens(found)
        ),
        *(
            allow("s3:GetBucketPolicy", on=some, because="where a host of another account is denied to write")
            for some in by_tens([arns.bucket(name) for name in arns.configuration.buckets])
        ),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*"),
            because="writes plan, manifest and batches",
            wildcard=_NAMED,
        ),
    ]


def _principals(arns: Arns, kind: str) -> set[str]:
    where = arns.surroundings
    return {
        principal
        for repository in arns.configuration.repositories
        for principal in (*where.hosts(repository), *where.maintenance(repository))
        if principal.split(":", 5)[5].startswith(f"{kind}/")
    }


def _put_back(arns: Arns) -> list[Permission]:
    repositories = arns.configuration.repositories
    return [
        # In one statement, whose resources are long: apart they take four times as many policies.
        *(
            allow(
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:PutObject",
                "s3:RestoreObject",
                on=some,
                because="looks what is current, copies the state's versions over it, thawed first where they are "
                "archived, and hides what the state does not have; every version stays",
                wildcard="a plan names any object of its repository",
            )
            for some in by_tens([arns.objects(each) for each in repositories])
        ),
        *tell_gone_from_denied(arns, repositories),
        *(
            allow(
                "kms:Decrypt",
                "kms:GenerateDataKey",
                on=some,
                because="S3 decrypts what is copied, and encrypts what is put back, in the caller's name",
            )
            for some in by_tens(_keys(repositories))
        ),
        read_files(arns, "restores/*", because="reads the plan and its batch, by version id", wildcard=_NAMED),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*/results/*"),
            because="writes what it put back and proved; never a plan",
            wildcard="results lie beneath their plan, by execution",
        ),
    ]


def _keys(repositories: tuple[Repository, ...]) -> list[str]:
    return sorted({repository.kms_key for repository in repositories if repository.kms_key})


def _verify(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="compares the state that was recorded last with the one that had to come back"),
        read_files(
            arns, "restores/*", because="reads the plan by version id, and the batches' results", wildcard=_NAMED
        ),
        tell_missing_from_denied(arns),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*"),
            because="writes the report",
            wildcard="a report lies beside its plan, which is named by its digest",
        ),
        append_to_operations(arns, because="appends the report's summary"),
    ]


class InPlace:
    """The states of the branch, all directly beneath `scope`; `start` is the first, and each leads to `end`."""

    def __init__(self, scope: Construct, steps: InPlaceSteps, record: Step, arns: Arns, *, end: sfn.IChainable) -> None:
        self._scope = scope
        self._steps = steps
        self._record = record
        self._arns = arns
        self._end = end
        first = self._planned(self._put_back(self._verified()))
        self.start = sfn.Pass.jsonata(
            scope,
            "Begin in place",
            assign={"since": "{% $states.context.Execution.StartTime %}", "recordings": 0},
            outputs=NOTHING,
        )
        self.start.next(first)

    def _planned(self, following: sfn.IChainable) -> sfn.IChainable:
        plan = self._ask(
            "Plan in place",
            self._steps.plan,
            sfn.TaskInput.from_text("{% $merge([$asked, {'since': $since}]) %}"),
            assign={"plan": "{% $states.result.Payload %}"},
        )
        record = self._recorded("present", plan, "RestoreRefused", "nothing was written")
        foreseen = sfn.Pass.jsonata(
            self._scope,
            "Foreseen in place",
            assign={"report": "{% {'complete': true, 'forecast': $plan.forecast} %}"},
            outputs=NOTHING,
        )
        foreseen.next(self._end)
        plan.next(
            sfn.Choice.jsonata(self._scope, "Only foreseen?")
            .when(sfn.Condition.jsonata("{% $asked.dry_run = true %}"), foreseen)
            .otherwise(following)
        )
        return record

    def _put_back(self, following: sfn.IChainable) -> sfn.IChainable:
        puts = self._batches("Put batch back", "Put batches back", "put-back")
        through = sfn.Pass.jsonata(
            self._scope,
            "Put back",
            # What was recorded before this does not show all that was written.
            assign={"since": "{% $states.context.State.EnteredTime %}", "recordings": 0},
            outputs=NOTHING,
        )
        through.next(following)
        # Also when the map itself failed: what is not put back, only verify can say.
        puts.add_catch(through, errors=["States.ALL"], outputs=NOTHING)
        puts.next(through)
        thaws = self._batches("Ask for batch", "Ask for batches", "put-back-thaw", {"thaw": True})
        # What it did not ask for, putting it back does, and tells.
        thaws.add_catch(puts, errors=["States.ALL"], outputs=NOTHING)
        thaws.next(puts)
        return (
            sfn.Choice.jsonata(self._scope, "Anything to put back?")
            .when(sfn.Condition.jsonata("{% $plan.thaw != null and $plan.archived > 0 %}"), thaws)
            .when(sfn.Condition.jsonata("{% $plan.batches > 0 %}"), puts)
            .otherwise(through)
        )

    def _batches(self, one: str, name: str, label: str, more: Mapping[str, Any] | None = None) -> sfn.DistributedMap:
        batch = batch_step(self._scope, one, self._steps.put_back)
        retry_still_frozen(batch)
        return for_each_batch(
            self._scope,
            name,
            label=label,
            do=batch,
            parallel=self._arns.configuration.restore_parallel_batches,
            records=self._arns.records_name,
            more=more,
        )

    def _verified(self) -> sfn.IChainable:
        verify = self._ask(
            "Verify in place",
            self._steps.verify,
            sfn.TaskInput.from_object(
                {**OF_THE_PLAN, "repository": "{% $asked.repository %}", "since": "{% $since %}"}
            ),
            assign={"report": "{% $states.result.Payload %}"},
        )
        record = self._recorded("result", verify, "RestoreNotVerified", _UNVERIFIED)
        verify.next(self._end)
        return record

    def _recorded(self, what: str, step: tasks.LambdaInvoke, error: str, undone: str) -> sfn.IChainable:
        """Record, then `step`, which looks whether the newest state is new enough, and else comes back here.

        Where it cannot be recorded, the restore ends as `error`; `undone` says what that means.
        """
        scope = self._scope
        record = self._ask(
            f"Record {what}",
            self._record,
            # Nobody waits for an interval on such a day; it may be as long as a day.
            sfn.TaskInput.from_object({"repository": "{% $asked.repository %}", "reason": "operator", "at_once": True}),
            assign={
                "recorded": "{% $states.result.Payload %}",
                "recordings": "{% $recordings + 1 %}",
                # What brought it here again is over.
                "failure": NULL,
            },
        )
        wait = sfn.Wait.jsonata(
            scope, f"Until {what} can be recorded", time=sfn.WaitTime.timestamp("{% $recorded.until %}")
        )
        wait.next(step)
        refused = self._give_up(
            f"Cannot record {what}", error, f"'the repository cannot be recorded: ' & $recorded.message & '; {undone}'"
        )
        record.next(
            sfn.Choice.jsonata(scope, f"Is {what} recorded?")
            .when(sfn.Condition.jsonata("{% $recorded.outcome = 'refused' %}"), refused)
            .when(sfn.Condition.jsonata("{% $recorded.outcome = 'not-yet' %}"), wait)
            .otherwise(step)
        )
        never = self._give_up(
            f"Never recorded {what}",
            error,
            f"'no state was recorded in {MOST_RECORDINGS} tries (' & $recorded.message & '); {undone}'",
        )
        again = (
            sfn.Choice.jsonata(scope, f"Record {what} again?")
            .when(sfn.Condition.jsonata(f"{{% $recordings < {MOST_RECORDINGS} %}}"), record)
            .otherwise(never)
        )
        self._catch(step, {"PresentNotRecorded": again})
        return record

    def _give_up(self, name: str, error: str, why: str) -> sfn.Pass:
        # As Lambda tells an exception.
        told = f"{{% {{'Error': '{error}', 'Cause': $string({{'errorMessage': {why}}})}} %}}"
        refused = sfn.Pass.jsonata(self._scope, name, assign={"failure": told}, outputs=NOTHING)
        refused.next(self._end)
        return refused

    def _ask(self, name: str, step: Step, payload: sfn.TaskInput, *, assign: Mapping[str, str]) -> tasks.LambdaInvoke:
        """A step; what it fails by is remembered by `_catch`, and told at the end."""
        task = tasks.LambdaInvoke.jsonata(
            self._scope,
            name,
            lambda_function=step.function,
            payload=payload,
            assign=dict(assign),
            outputs=NOTHING,
            retry_on_service_exceptions=False,
        )
        retry_lambda_trouble(task)
        if step is self._record:
            self._catch(task, {})
        return task

    def _catch(self, task: tasks.LambdaInvoke, ends: Mapping[str, sfn.IChainable]) -> None:
        """By error, in this order; any other leads to the end."""
        for error, end in {**ends, "States.ALL": self._end}.items():
            task.add_catch(end, errors=[error], assign=dict(REMEMBERED), outputs=NOTHING)

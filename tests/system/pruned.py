"""A repository whose plans need an approver, pruned again and again. One scene, in a thread of its own."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.deciding import Decided
from cli.exits import Refused
from functions.domain.values import StateId
from local.embedded import ACCOUNT, REGION
from tests.system.people import Ended, Kept, People
from tests.system.system import Answer, System

Versions = set[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What people typed and what became of it, in the order of what happened."""

    old: tuple[StateId, StateId]
    """The two states that nobody needs any more."""
    before: Versions
    dry_run: Answer
    waiting: Answer
    told: Sequence[Mapping[str, Any]]
    """To subscribers, since before the dry run."""
    by_the_operator: Answer
    """Who tries to approve."""
    rejected: Answer
    after_rejection: Ended
    too_late: Answer
    """The approver again, of another mind."""
    held: Answer
    after_hold: Ended
    """Of a prune that was approved, after a state was held."""
    released: Answer
    untouched: Versions
    """When nothing had been approved that came to anything."""
    approved: Answer
    again: Decided
    against_it: str
    """What somebody is told who rejects what was approved."""
    done: Ended
    after: Versions
    lease: Mapping[str, Any]
    plans: Answer
    prunes: Answer
    states: Answer
    dropped_to_be_restored: Answer
    schedule: Mapping[str, Any]
    scheduled: Ended
    tokens: list[str]
    """Every task token that the workflow waited with."""
    said: list[str]
    """All that was told, logged, answered, and written down where operators and approvers read."""
    history: str
    """Of the approved prune, as an operator reads it."""
    kept: Kept


def prune_with_approval(system: System, sources: Path) -> Pruned:
    """Dry run; a plan rejected; one approved after its states changed; one approved. Then the schedule's own prune."""
    people = People(system, "pruned", sources)
    old = people.live()
    before = system.versions("pruned")
    notices = people.notices()
    dry_run = system.typed("prune", "pruned", "--dry-run")
    notices.told()

    tokens = _Tokens(people)
    waiting = system.typed("prune", "pruned")
    told = notices.told()
    plan = str(waiting.document["plan"]["plan"])
    tokens.look()
    by_the_operator = system.typed("approve", plan, "--yes")
    rejected = system.typed("reject", plan, "--yes", profile="approver")
    after_rejection = people.ended(waiting.document["execution"])
    too_late = system.typed("approve", plan, "--yes", profile="approver")

    second = people.begin()
    plan = people.asked(second).plan
    tokens.look()
    held = system.typed("hold", "pruned", old[0], "--why", "somebody asked for it", profile="approver")
    system.typed("approve", plan, "--yes", profile="approver")
    after_hold = people.ended(second)
    released = system.typed("release", "pruned", old[0], "--yes", profile="approver")
    untouched = system.versions("pruned")

    third = people.begin()
    details = people.asked(third)
    tokens.look()
    approved = system.typed("approve", details.plan, "--yes", profile="approver")
    # Whoever looked at the plan before it was approved: the command itself refuses what was applied meanwhile.
    again = people.decide(details)
    against_it = _refused(lambda: people.decide(details, "rejected"))
    done = people.ended(third)
    after, lease = system.versions("pruned"), people.lease()
    assert lease is not None
    plans, prunes = system.typed("plans", "pruned"), system.typed("prunes", "pruned")
    states = system.typed("states", "pruned")
    nowhere = system.target("pruned-nothing")
    dropped_to_be_restored = system.typed("restore", "pruned", old[0], "--to-bucket", nowhere)

    people.wait()
    schedule, scheduled = _prune_by_schedule(people)
    answers = (dry_run, waiting, by_the_operator, rejected, too_late, held, approved, again, against_it, plans, prunes)
    return Pruned(
        old=old,
        before=before,
        dry_run=dry_run,
        waiting=waiting,
        told=told,
        by_the_operator=by_the_operator,
        rejected=rejected,
        after_rejection=after_rejection,
        too_late=too_late,
        held=held,
        after_hold=after_hold,
        released=released,
        untouched=untouched,
        approved=approved,
        again=again,
        against_it=against_it,
        done=done,
        after=after,
        lease=lease,
        plans=plans,
        prunes=prunes,
        states=states,
        dropped_to_be_restored=dropped_to_be_restored,
        schedule=schedule,
        scheduled=scheduled,
        tokens=tokens.seen,
        said=[json.dumps([*told, *notices.told()]), *(str(answer) for answer in answers), *_written(people)],
        history=_history(people, third),
        kept=people.look(sound=[state["id"] for state in system.states("pruned")]),
    )


def _refused(decide: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        decide()
    return str(caught.value)


class _Tokens:
    """What an administrator sees of the task tokens, who may read everything."""

    def __init__(self, people: People) -> None:
        self._people = people
        self.seen: list[str] = []

    def look(self) -> None:
        operations = self._people.system.names.operations
        for item in self._people.system.items(operations, f"plan-token#{self._people.name}"):
            if (token := item["token"]["S"]) not in self.seen:
                self.seen.append(token)


def _prune_by_schedule(people: People) -> tuple[Mapping[str, Any], Ended]:
    """Let a copy of its schedule be due now, as in scenes.run_the_schedules; how the prune ended that it started."""
    system = people.system
    scheduler, group = system.client("scheduler"), system.names.schedule_group
    schedule = scheduler.get_schedule(Name=f"_prune-{people.name}", GroupName=group)
    same = {field: schedule[field] for field in ("GroupName", "FlexibleTimeWindow", "Target", "State")}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    scheduler.create_schedule(**same, Name=f"_prune-{people.name}-now", ScheduleExpression=f"at({now})")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{system.names.prune_workflow}"
    workflows = system.client("stepfunctions")

    def started() -> str | None:
        for execution in workflows.list_executions(stateMachineArn=machine)["executions"]:
            asked = json.loads(workflows.describe_execution(executionArn=execution["executionArn"])["input"])
            if (asked["repository"], asked["reason"]) == (people.name, "schedule"):
                return str(execution["executionArn"])
        return None

    execution = system.eventually("a prune by the schedule", started)
    scheduler.delete_schedule(Name=f"_prune-{people.name}-now", GroupName=group)
    return schedule, people.ended(execution)


def _written(people: People) -> list[str]:
    """The logs of all functions, the records of its prunes, and all items of the operations table that the operator
    may read."""
    system = people.system
    logs = system.client("logs")
    groups = [
        each["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate()
        for each in page["logGroups"]
    ]
    events = logs.get_paginator("filter_log_events")
    found = [
        event["message"] for group in groups for page in events.paginate(logGroupName=group) for event in page["events"]
    ]
    s3 = system.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=system.records, Prefix=f"prunes/{people.name}/"):
        stored = (s3.get_object(Bucket=system.records, Key=entry["Key"]) for entry in page.get("Contents", []))
        found += [each["Body"].read().decode() for each in stored]
    for page in system.client("dynamodb").get_paginator("scan").paginate(TableName=system.names.operations):
        found += [str(item) for item in page["Items"] if not item["pk"]["S"].startswith("plan-token#")]
    return found


def _history(people: People, execution: str) -> str:
    pages = people.workflows.get_paginator("get_execution_history")
    return str([event for page in pages.paginate(executionArn=execution) for event in page["events"]])

"""Each kind of message provoked in the deployed system: what arrives at somebody who subscribed.

What takes days is planted: a report of lock upkeep that is old, a quarantine that was seen days ago. What tells of it
is the deployed function.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.domain.notices import EVERY_REPOSITORY
from functions.domain.prune.approval import Approval, ShelvedPlan
from functions.domain.restore.drilled import conclude
from functions.domain.values import Digest, RepositoryName
from functions.storage.drills import DynamoDrillReports
from functions.storage.locks import DynamoLockReports
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.watch import DynamoWatchLog
from local.embedded import ACCOUNT, REGION
from tests.domain.locks.reports import lock_report
from tests.domain.test_notices import a_plan
from tests.drill.reports import CHOSEN, drill, restored
from tests.system.subscription import Subscription
from tests.system.system import System, done, repository_of

WATCHED, TOLD = "watched", "notified"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Message:
    """As it arrived."""

    subject: str
    body: str
    attributes: dict[str, str]

    def normal(self, name: str) -> tuple[str, str, dict[str, str]]:
        """Without what differs from run to run."""
        return (
            normal(self.subject, name),
            normal(self.body, name),
            {key: normal(value, name) for key, value in self.attributes.items()},
        )


def normal(text: str, name: str) -> str:
    """`text` of repository `name` with its name, times, digests, executions and numbers replaced."""
    for pattern, by in (
        (rf"(?<![\w*]){re.escape(name)}(?![\w*])", "alpha"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\b[0-9a-f]{12}\b", "SHORT"),
        (r"execution [\w-]+", "execution NAME"),
        (r'"execution": "[^"]*"', '"execution": "NAME"'),
        (r"([Bb]ucket) [a-z0-9-]*alpha", r"\1 NAME"),
        (r"\d+(,\d{3})*", "N"),
    ):
        text = re.sub(pattern, by, text)
    return text


class Inbox:
    """Somebody who subscribed to all that is told of one repository, or of all together."""

    def __init__(self, system: System, name: str) -> None:
        self._subscription = Subscription(system, name, "reads-of")
        self.arrived: list[Message] = []

    def look(self) -> list[Message]:
        """What came since the last time."""
        found = [
            Message(
                each["Subject"],
                each["Message"],
                {key: attribute["Value"] for key, attribute in each["MessageAttributes"].items()},
            )
            for each in self._subscription.arrived()
        ]
        self.arrived += found
        return found

    def one(self, kind: str, event: str) -> Message:
        """The one message of its kind and event that came since the last time; others may have come beside it."""
        found = self.look()
        of_kind = [each for each in found if (each.attributes["kind"], each.attributes["event"]) == (kind, event)]
        assert len(of_kind) == 1, f"{kind} {event}: {[each.subject for each in found]}"
        return of_kind[0]


class Scene:
    """What is provoked, one after the other."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.told, self.watched = Inbox(system, TOLD), Inbox(system, WATCHED)
        self.all = Inbox(system, EVERY_REPOSITORY)
        self.dynamodb, self.operations = system.client("dynamodb"), system.names.operations

    def invoke(self, step: str, event: dict[str, Any]) -> Any:
        answer = self.system.client("lambda").invoke(
            FunctionName=self.system.names.function(step), Payload=json.dumps(event)
        )
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, f"{step}: {said}\n{self.system.aws.log_tail()}"
        return said

    def watch(self) -> Any:
        """Let the deployed watch look now."""
        return self.invoke("watch", {"reason": "operator"})

    def backups(self) -> Iterator[tuple[str, Message]]:
        for _ in range(3):
            self._publish("incomplete")
        self.watch()
        yield "backups-incomplete-opened", self.told.one("backups-incomplete", "opened")
        self._publish("complete")
        self.watch()
        yield "backups-incomplete-over", self.told.one("backups-incomplete", "over")

    def _publish(self, outcome: str) -> None:
        known = len(self.system.states(TOLD))
        self.system.send(TOLD, done(outcome=outcome))
        self.system.eventually("the next state of notified", lambda: self.system.states(TOLD)[: -known or None])

    def dead_letters(self) -> Iterator[tuple[str, Message]]:
        sqs, queue = self.system.client("sqs"), self.system.queue_url(self.system.names.dead_letters)
        sqs.purge_queue(QueueUrl=queue)
        self.watch()
        self.all.look()
        sqs.send_message(QueueUrl=queue, MessageBody="no event")
        self.watch()
        yield "dead-letters-opened", self.all.one("dead-letters", "opened")
        sqs.purge_queue(QueueUrl=queue)
        self.watch()
        yield "dead-letters-over", self.all.one("dead-letters", "over")

    def findings(self) -> Iterator[tuple[str, Message]]:
        self.system.put(TOLD, {"ransom.txt": b"pay"})
        self.system.record(TOLD)
        yield "findings-opened", self.told.one("findings", "opened")
        s3, bucket = self.system.client("s3", f"host-{TOLD}"), self.system.repository(TOLD).bucket
        s3.delete_object(Bucket=bucket, Key="ransom.txt")
        self.system.record(TOLD)
        self.told.look()
        self.watch()
        yield "findings-over", self.told.one("findings", "over")

    def posture(self) -> Iterator[tuple[str, Message]]:
        s3, bucket = self.system.client("s3"), self.system.repository(TOLD).bucket
        self._check_posture()
        self.told.look()
        policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
        s3.delete_bucket_policy(Bucket=bucket)
        try:
            self._check_posture()
        finally:
            s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        yield "findings-posture-opened", self.told.one("findings", "opened")
        self.watch()
        self._check_posture()
        self.told.look()
        self.watch()
        over = [each for each in self.told.look() if "bucket-policy-missing" in each.subject]
        assert len(over) == 1, over
        yield "findings-posture-over", over[0]

    def _check_posture(self) -> None:
        self.invoke("check-posture", {"repository": TOLD, "reason": "operator"})

    def quarantine(self) -> Iterator[tuple[str, Message]]:
        put = self.system.typed("quarantine", TOLD, "--yes", profile="admin")
        assert put.exit_code == 0, put
        self._check_posture()
        self.watch()
        log = DynamoWatchLog(self.dynamodb, self.operations)
        kept = log.newest(RepositoryName(TOLD))
        assert kept is not None
        # Four days later.
        before = [each.model_copy(update={"since": each.since - 4 * DAY}) for each in kept.open]
        log.keep(kept.model_copy(update={"open": tuple(before)}))
        self.told.look()
        self.watch()
        yield "quarantine-opened", self.told.one("quarantine", "opened")
        lifted = self.system.typed("unquarantine", TOLD, profile="admin")
        assert lifted.exit_code == 0, lifted
        self._check_posture()
        self.watch()
        yield "quarantine-over", self.told.one("quarantine", "over")

    def plans(self) -> Iterator[tuple[str, Message]]:
        now = datetime.fromisoformat(self.system.states(TOLD)[0]["recorded_at"])
        first = self._shelve("1", now, DAY)
        yield "approval-opened", self.told.one("approval", "opened")
        self.watch()
        fields = {"repository": TOLD, "plan": first.plan, "state": first.state, "generation": 7, "by": "ann", "at": now}
        DynamoApprovals(self.dynamodb, self.operations).decide(
            Approval.model_validate({**fields, "decision": "approved"})
        )
        self.watch()
        yield "approval-over-decided", self.told.one("approval", "over")
        # Of the week that it is good for, six days are over.
        self._shelve("2", now - 6 * DAY, 7 * DAY)
        self.told.look()
        self.watch()
        yield "approval-reminder-opened", self.told.one("approval-reminder", "opened")
        third = self._shelve("3", now, timedelta(minutes=30))
        self.watch()
        # Half an hour later.
        self._write(third.model_copy(update={"drawn_at": now - DAY, "valid_until": now}))
        self.told.look()
        self.watch()
        yield "approval-over-expired", self.told.one("approval", "over")

    def _shelve(self, digit: str, drawn_at: datetime, good_for: timedelta) -> ShelvedPlan:
        """A plan that waits, and is told as waiting."""
        plan = a_plan(
            repository=TOLD,
            plan=Digest("abcdef" + digit * 58),
            drawn_at=drawn_at,
            valid_until=drawn_at + good_for,
        )
        DynamoPlanShelf(self.dynamodb, self.operations).put(plan)
        asked = {"repository": TOLD, "execution": plan.execution, "plan": plan.plan, "token": "of nobody"}
        self.invoke("ask-approval", asked)
        return plan

    def _write(self, plan: ShelvedPlan) -> None:
        """In place of the one that is there."""
        key = {"pk": {"S": f"plan#{TOLD}"}, "sk": {"S": plan.plan}}
        self.dynamodb.put_item(TableName=self.operations, Item={**key, "document": {"B": plan.canonical()}})

    def prunes(self) -> Iterator[tuple[str, Message]]:
        machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{self.system.names.prune_workflow}"
        workflows = self.system.client("stepfunctions")
        asked = {"repository": TOLD, "reason": "operator", "dry_run": False}
        begun = workflows.start_execution(stateMachineArn=machine, name="stopped", input=json.dumps(asked))
        workflows.stop_execution(executionArn=begun["executionArn"])
        self.system.eventually("the end of the prune", lambda: self._status(begun["executionArn"]) != "RUNNING")
        self.watch()
        yield "prune-opened", self.told.one("prune", "opened")
        pruned = self.system.typed("prune", TOLD)
        assert pruned.exit_code in (0, 3), pruned
        self.watch()
        yield "prune-over", self.told.one("prune", "over")

    def _status(self, execution: str) -> str:
        return str(self.system.client("stepfunctions").describe_execution(executionArn=execution)["status"])

    def drills(self) -> Iterator[tuple[str, Message]]:
        now = datetime.fromisoformat(self.system.states(TOLD)[0]["recorded_at"])
        self.invoke(
            "conclude-drill",
            {
                "repository": TOLD,
                "execution": "drill-1",
                "reason": "operator",
                "started_at": CHOSEN.model_dump(mode="json")["cut_time"],
                "chosen": CHOSEN.model_dump(mode="json"),
                "failure": {"Error": "Broken", "Cause": ""},
            },
        )
        yield "drill-opened", self.told.one("drill", "opened")
        self.watch()
        good = conclude(
            drill(repository=TOLD, execution="drill-2", restored=restored(repository=TOLD, execution="drill-2")),
            now + DAY,
        )
        DynamoDrillReports(self.dynamodb, self.operations).append(good)
        self.watch()
        yield "drill-over", self.told.one("drill", "over")

    def locks(self) -> Iterator[tuple[str, Message]]:
        upkeep = {"repository": TOLD, "reason": "operator"}
        bucket = self.system.repository(TOLD).bucket
        with self.system.denying("rwm-extend-retention", ["s3:GetObjectRetention"], f"arn:aws:s3:::{bucket}/*"):
            self.invoke("extend-retention", upkeep)
        yield "locks-opened", self.told.one("locks", "opened")
        self.watch()
        self.invoke("extend-retention", upkeep)
        self.watch()
        yield "locks-over", self.told.one("locks", "over")
        reports = DynamoLockReports(self.dynamodb, self.operations)
        newest = reports.newest(RepositoryName(TOLD))
        assert newest is not None
        old = lock_report(made_at=newest.made_at - 3 * DAY).model_copy(update={"repository": TOLD})
        reports.append(old)
        self.watch()
        yield "locks-lapse-opened", self.told.one("locks-lapse", "opened")
        self.invoke("extend-retention", upkeep)
        self.watch()
        yield "locks-lapse-over", self.told.one("locks-lapse", "over")

    def unread(self) -> Iterator[tuple[str, Message]]:
        key = {"pk": {"S": f"drill#{TOLD}"}, "sk": {"S": "9"}}
        self.dynamodb.put_item(TableName=self.operations, Item={**key, "document": {"B": b"by hand"}})
        self.watch()
        self.dynamodb.delete_item(TableName=self.operations, Key=key)
        yield "unread-opened", self.told.one("unread", "opened")
        self.watch()
        yield "unread-over", self.told.one("unread", "over")

    @contextmanager
    def silence(self) -> Iterator[dict[str, Message]]:
        """`watched` gets no backup and no recording while the others are provoked; then both."""
        self.system.put(WATCHED, repository_of(3))
        self.system.record(WATCHED)
        self.watch()
        self.watched.look()
        found: dict[str, Message] = {}
        yield found
        # Twenty seconds have long gone by.
        self.watch()
        opened = {each.attributes["kind"]: each for each in self.watched.look()}
        self.system.put(WATCHED, repository_of(1, "again"))
        self.system.record(WATCHED)
        self.watch()
        over = {each.attributes["kind"]: each for each in self.watched.look()}
        for kind in ("backup-missed", "recording-stopped"):
            found[f"{kind}-opened"], found[f"{kind}-over"] = opened[kind], over[kind]


def provoke(system: System) -> dict[str, tuple[str, Message]]:
    """By the name of its approved example: of which repository it is, and the message that arrived."""
    scene = Scene(system)
    system.put(TOLD, repository_of(4))
    system.record(TOLD)
    began = time.monotonic()
    with scene.silence() as of_the_watched:
        scene.told.look()
        scenes = (
            *(scene.backups, scene.dead_letters, scene.findings, scene.posture, scene.quarantine, scene.plans),
            *(scene.prunes, scene.drills, scene.locks, scene.unread),
        )
        found = {name: (_of(message), message) for each in scenes for name, message in each()}
        time.sleep(max(0.0, 25 - (time.monotonic() - began)))
    return found | {name: (WATCHED, message) for name, message in of_the_watched.items()}


def _of(message: Message) -> str:
    return message.attributes["repository"]

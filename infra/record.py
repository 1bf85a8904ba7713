"""Recording: a queue per repository -> `record` -> ledger; a schedule that needs no event; `collect-chunks`. What is
too large for one function goes to a workflow (infra/record_ranges.py).

The queue decides the repository, so who may send to a queue is who may ask for a recording. A message that
nobody can answer ends in the one dead-letter queue, and an alarm says so.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from functions.domain.recording import DELIVERIES
from functions.domain.repositories import Repository
from infra.access import (
    DROPPED,
    all_partitions_but,
    append_to_operations,
    list_versions,
    only_partitions,
    read_operations,
    read_states,
    tell_people,
    versioning_and_clock,
)
from infra.alerts import EVERY, alarm
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens
from infra.record_ranges import RangedRecording
from infra.schedule import invokes, schedule, scheduler_role

RECORD_TIMEOUT = cdk.Duration.minutes(15)
VISIBILITY = cdk.Duration.minutes(16)
"""Longer than the function may run, so that a message in work is not handed out a second time."""
EVENTS_KEPT = cdk.Duration.days(4)
"""An event this old has long been answered by a schedule."""
DEAD_LETTERS_KEPT = cdk.Duration.days(14)
"""SQS's longest, since a dead letter's age counts from when it was first sent: time for a person to look at it."""


class Recording(Construct):
    """All of recording, for every repository."""

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns, code: lambda_.Code) -> None:
        super().__init__(scope, construct_id)
        self.record = Step(
            self,
            "Record",
            step="record",
            handler="functions.record.record.handler",
            description="Records which object versions make up a repository at a cut time",
            arns=arns,
            code=code,
            permissions=[
                *list_versions(arns, because="noncurrent versions and markers, too: a state is a cut in time"),
                *_recording_permissions(arns),
                *_event_permissions(arns),
                *_hand_over_permissions(arns),
            ],
            timeout=RECORD_TIMEOUT,
            memory_mb=3008,
            environment={"RWM_RANGES_WORKFLOW": arns.state_machine(arns.names.ranges_workflow)},
        )
        self.ranges = RangedRecording(self, "Ranges", arns=arns, code=code, records=_recording_permissions(arns))
        self.collect_chunks = Step(
            self,
            "CollectChunks",
            step="collect-chunks",
            handler="functions.record.collect_chunks.handler",
            description="Deletes chunks of recordings that were closed and never committed",
            arns=arns,
            code=code,
            permissions=_collect_permissions(arns),
            timeout=cdk.Duration.minutes(5),
            memory_mb=512,
        )
        dead_letters = self._dead_letters(arns)
        queues = Construct(self, "Queues")
        for repository in arns.configuration.repositories:
            self._queue(Construct(queues, repository.name), repository, arns, dead_letters)
        self.schedules = self._schedules(arns)
        self._alarms(dead_letters, arns)

    def _dead_letters(self, arns: Arns) -> sqs.Queue:
        return sqs.Queue(
            self,
            "DeadLetters",
            queue_name=arns.names.dead_letters,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=DEAD_LETTERS_KEPT,
        )

    def _queue(self, scope: Construct, repository: Repository, arns: Arns, dead_letters: sqs.Queue) -> None:
        queue = sqs.Queue(
            scope,
            "Queue",
            queue_name=arns.names.queue(repository.name),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            visibility_timeout=VISIBILITY,
            retention_period=EVENTS_KEPT,
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=DELIVERIES),
        )
        sqs.CfnQueuePolicy(scope, "Policy", queues=[queue.queue_url], policy_document=queue_policy(repository, arns))
        lambda_.EventSourceMapping(
            scope,
            "Events",
            target=self.record.function,
            event_source_arn=queue.queue_arn,
            batch_size=10,
            report_batch_item_failures=True,
            # Two, so that one repository's flood leaves concurrency for the others; 2 is also the least allowed.
            max_concurrency=2,
        )

    def _schedules(self, arns: Arns) -> scheduler.CfnScheduleGroup:
        group = scheduler.CfnScheduleGroup(self, "Schedules", name=arns.names.schedule_group)
        by_record = scheduler_role(self, "record", arns, may=invokes("record", arns))
        for repository in arns.configuration.repositories:
            schedule(
                self,
                f"Schedule-{repository.name}",
                name=repository.name,
                expression=repository.record_schedule,
                target=self.record.function.function_arn,
                role=by_record,
                event={"repository": repository.name, "reason": "schedule"},
                group=group,
            )
        schedule(
            self,
            "Schedule-CollectChunks",
            # A name that no repository can take: theirs begin with a letter or a digit.
            name="_collect-chunks",
            expression="rate(1 day)",
            target=self.collect_chunks.function.function_arn,
            role=scheduler_role(self, "collect-chunks", arns, may=invokes("collect-chunks", arns)),
            event={},
            group=group,
        )
        return group

    def _alarms(self, dead_letters: sqs.Queue, arns: Arns) -> None:
        alarm(
            self,
            "DeadLettersAlarm",
            metric=dead_letters.metric_approximate_number_of_messages_visible(period=EVERY, statistic="Maximum"),
            description="A message could not be answered: its body is malformed, or record failed on it "
            "time and again. The log of record says why. What to do: docs/operations.md#dead-letters-wait",
            arns=arns,
        )
        alarm(
            self,
            "RecordErrorsAlarm",
            metric=self.record.function.metric_errors(period=EVERY, statistic="Sum"),
            description="record failed as a whole: no state was recorded by those runs. Its log says why. "
            "What to do: docs/operations.md#record-failed",
            arns=arns,
        )


def queue_policy(repository: Repository, arns: Arns) -> dict[str, object]:
    """Who may send to a repository's queue: its hosts and its maintenance identity, over TLS, and nobody else.

    An operator cannot redrive dead letters into it either: a message is a hint, and `rwm record` gives the same.
    """
    where = arns.surroundings
    senders = [*where.hosts(repository), *where.maintenance(repository)]
    queue = arns.queue(repository)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyPlainHttp",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": queue,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                # By condition, not as a principal: SQS refuses a policy that names a user who does not exist yet.
                "Sid": "AllowHosts",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:PrincipalArn": senders}},
            },
            {
                "Sid": "DenyOthers",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": senders}},
            },
        ],
    }


def _recording_permissions(arns: Arns) -> list[Permission]:
    """What whoever records a state may: record, and close-recording."""
    return [
        *versioning_and_clock(
            arns, because="S3's clock, and whether versions last at all: without versioning no state is recorded"
        ),
        read_states(arns, because="the chain, and which states are dropped"),
        allow(
            "dynamodb:ConditionCheckItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            on=arns.ledger,
            because="the recording lease, chunks, and the commit of header and head; it deletes and drops nothing",
            when=all_partitions_but(DROPPED),
        ),
        read_operations(arns, because="acknowledged is no finding, approved is the baseline, and told is no news"),
        append_to_operations(arns, because="findings and verdicts are appended"),
        tell_people(arns),
        allow(
            "s3:PutObject",
            on=arns.records("heads/*"),
            because="each head digest is also kept where the ledger's writers cannot change it",
            wildcard="heads are named by repository, generation and state",
        ),
    ]


def _event_permissions(arns: Arns) -> list[Permission]:
    return [
        allow(
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
            on=some,
            because="the event source polls; a message that cannot be answered yet is given back until it can",
        )
        for some in by_tens([arns.queue(repository) for repository in arns.configuration.repositories])
    ]


def _hand_over_permissions(arns: Arns) -> list[Permission]:
    return [
        allow(
            "s3:PutObject",
            on=arns.records("recordings/*/manifest.json"),
            because="says in which ranges a large repository is listed",
            wildcard="recordings lie beneath their repository and attempt",
        ),
        allow(
            "states:StartExecution",
            on=arns.state_machine(arns.names.ranges_workflow),
            because="hands over what is too large for one function",
        ),
    ]


def _collect_permissions(arns: Arns) -> list[Permission]:
    return [
        allow(
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            on=arns.ledger,
            because="finds attempts that are closed, and notes that their chunks are gone",
        ),
        allow(
            "dynamodb:DeleteItem",
            on=arns.ledger,
            because="chunks of attempts that can never commit; never a header or a head",
            when=only_partitions("chunk#*"),
        ),
    ]

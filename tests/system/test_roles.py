"""Each role really makes every call of a table, and AWS refuses all but its own."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.credentials import PERSON
from local.embedded import ACCOUNT, REGION
from tests.system.conftest import Begun
from tests.system.system import DENIED, PASSWORD, Clients, System, refusal

pytestmark = pytest.mark.system

Try = Callable[["Table"], Any]


class Table:
    """Calls that touch things that exist, with one role's clients."""

    def __init__(self, system: System, clients: Clients, token: str) -> None:
        """`token`: one that a prune waited with; it wakes nobody any more."""
        self._system, self._clients, self._token = system, clients, token
        self._made: dict[str, Any] = {}
        self.key, self.version = min(system.versions("pestered"))
        self.bucket, self.records = system.repository("pestered").bucket, system.records
        self.ledger, self.operations = system.names.ledger, system.names.operations

    def __getattr__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._clients(service)
        return self._made[service]

    @property
    def function(self) -> Any:
        return self.__getattr__("lambda")

    def read(self) -> Any:
        return self.s3.get_object(Bucket=self.bucket, Key=self.key)

    def read_version(self) -> Any:
        return self.s3.get_object(Bucket=self.bucket, Key=self.key, VersionId=self.version)

    def list_versions(self) -> Any:
        return self.s3.list_object_versions(Bucket=self.bucket)

    def hide(self) -> Any:
        return self.s3.delete_object(Bucket=self.bucket, Key=self.key)

    def delete_version(self) -> Any:
        return self.s3.delete_object(Bucket=self.bucket, Key=self.key, VersionId=self.version)

    def delete_version_with_bypass(self) -> Any:
        return self.s3.delete_object(
            Bucket=self.bucket, Key=self.key, VersionId=self.version, BypassGovernanceRetention=True
        )

    def delete_what_is_not_there(self) -> Any:
        # Refused or not before anybody looks for the version, and no lock has a say.
        return self._delete_nothing(self.bucket)

    def delete_what_is_not_there_with_bypass(self) -> Any:
        return self._delete_nothing(self.bucket, BypassGovernanceRetention=True)

    def delete_with_bypass_where_a_prune_may(self) -> Any:
        return self._delete_nothing(self._system.repository("pruned").bucket, BypassGovernanceRetention=True)

    def _delete_nothing(self, bucket: str, **options: Any) -> Any:
        return self.s3.delete_object(Bucket=bucket, Key="data/absent", VersionId="absent", **options)

    def list_uploads(self) -> Any:
        return self.s3.list_multipart_uploads(Bucket=self.bucket)

    def lock_for_a_while(self) -> Any:
        return self._lock("GOVERNANCE", timedelta(hours=23))

    def lock_in_target(self) -> Any:
        # Refused or not before anybody looks for the bucket's locks, of which it has none.
        return self._lock("GOVERNANCE", timedelta(days=1000), "rwm-restore-of-roles")

    def lock_in_target_for_good(self) -> Any:
        return self._lock("COMPLIANCE", timedelta(hours=23), "rwm-restore-of-roles")

    def thaw(self) -> Any:
        # It lies in no archive class, so that there is nothing to bring back.
        return self.s3.restore_object(
            Bucket=self.bucket, Key=self.key, VersionId=self.version, RestoreRequest={"Days": 1}
        )

    def lock_for_years(self) -> Any:
        return self._lock("GOVERNANCE", timedelta(days=1000))

    def lock_for_good(self) -> Any:
        return self._lock("COMPLIANCE", timedelta(hours=23))

    def _lock(self, mode: str, time: timedelta, bucket: str = "") -> Any:
        return self.s3.put_object_retention(
            Bucket=bucket or self.bucket,
            Key="data/absent",
            VersionId="absent",
            Retention={"Mode": mode, "RetainUntilDate": datetime.now(UTC) + time},
        )

    def overwrite(self) -> Any:
        return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=b"x")

    def read_configuration(self) -> Any:
        return self.s3.get_bucket_lifecycle_configuration(Bucket=self.bucket)

    def suspend_versioning(self) -> Any:
        return self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Suspended"})

    def write_plan(self) -> Any:
        return self.s3.put_object(Bucket=self.records, Key="restores/by-hand/plan.json", Body=b"{}")

    def write_result(self) -> Any:
        return self.s3.put_object(Bucket=self.records, Key="restores/by-hand/results/by-hand/00000.json", Body=b"{}")

    def write_check_plan(self) -> Any:
        return self.s3.put_object(Bucket=self.records, Key="checks/by-hand/by-hand/plan.json", Body=b"{}")

    def write_check_result(self) -> Any:
        return self.s3.put_object(Bucket=self.records, Key="checks/by-hand/by-hand/results/00000.json", Body=b"{}")

    def read_check_file(self) -> Any:
        return self.s3.get_object(Bucket=self.records, Key="checks/of-somebody")

    def write_prune_plan(self) -> Any:
        return self._write_for_a_prune("plan.json")

    def write_prune_batch(self) -> Any:
        return self._write_for_a_prune("batches/00000.jsonl")

    def write_prune_result(self) -> Any:
        return self._write_for_a_prune("results/00000.json")

    def write_prune_report(self) -> Any:
        return self._write_for_a_prune("report.json")

    def _write_for_a_prune(self, file: str) -> Any:
        return self.s3.put_object(Bucket=self.records, Key=f"prunes/by-hand/by-hand/{file}", Body=b"{}")

    def read_prune_file(self) -> Any:
        return self.s3.get_object(Bucket=self.records, Key="prunes/of-somebody")

    def write_ranges(self) -> Any:
        return self._write_for_a_recording("manifest.json")

    def write_part(self) -> Any:
        return self._write_for_a_recording("parts/00000.zst")

    def _write_for_a_recording(self, file: str) -> Any:
        return self.s3.put_object(Bucket=self.records, Key=f"recordings/by-hand/by-hand/{file}", Body=b"{}")

    def read_part(self) -> Any:
        return self.s3.get_object(Bucket=self.records, Key="recordings/of-somebody")

    def write_anchor(self) -> Any:
        return self.s3.put_object(Bucket=self.records, Key="heads/by-hand/0.json", Body=b"{}")

    def delete_anchor(self) -> Any:
        (newest, *_) = sorted(key for key in self._system.keys(self.records) if key.startswith("heads/pestered/"))
        return self.s3.delete_object(Bucket=self.records, Key=newest)

    def write_target(self) -> Any:
        return self.s3.put_object(Bucket="rwm-restore-of-roles", Key="by-hand", Body=b"x")

    def delete_in_target(self) -> Any:
        return self.s3.delete_object(Bucket="rwm-restore-of-roles", Key="of-somebody")

    def write_for_drill(self) -> Any:
        return self.s3.put_object(Bucket=self._system.drills, Key="by-hand/by-hand", Body=b"x")

    def list_drills(self) -> Any:
        return self.s3.list_objects_v2(Bucket=self._system.drills)

    def delete_in_drills(self) -> Any:
        return self.s3.delete_object(Bucket=self._system.drills, Key="absent")

    def list_target(self) -> Any:
        return self.s3.list_objects_v2(Bucket="rwm-restore-of-roles")

    def read_state(self) -> Any:
        return self.dynamodb.get_item(TableName=self.ledger, Key=_key("pestered", "head"), ConsistentRead=True)

    def write_state(self) -> Any:
        return self.dynamodb.put_item(TableName=self.ledger, Item=_key("by-hand", "state#0000000001"))

    def change_state(self) -> Any:
        return self.dynamodb.update_item(
            TableName=self.ledger,
            Key=_key("by-hand", "state#0000000001"),
            UpdateExpression="SET id = :id",
            ExpressionAttributeValues={":id": {"S": "x"}},
        )

    def delete_state(self) -> Any:
        return self.dynamodb.delete_item(TableName=self.ledger, Key=_key("pestered", "state#0000000001"))

    def delete_head(self) -> Any:
        return self.dynamodb.delete_item(TableName=self.ledger, Key=_key("pestered", "head"))

    def delete_chunk(self) -> Any:
        return self.dynamodb.delete_item(TableName=self.ledger, Key=_key("chunk#by-hand#000000", "chunk"))

    def scan(self) -> Any:
        return self.dynamodb.scan(TableName=self.ledger)

    def read_verdicts(self) -> Any:
        return self.dynamodb.query(
            TableName=self.operations,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "pestered"}},
        )

    def write_verdict(self) -> Any:
        return self.dynamodb.put_item(TableName=self.operations, Item=_key("by-hand", "verdict#by-hand#0"))

    def write_acknowledgement(self) -> Any:
        return self.dynamodb.put_item(TableName=self.operations, Item=_key("ack#by-hand", "by-hand#0"))

    def shelve_plan(self) -> Any:
        return self._put("plan#by-hand")

    def keep_task_token(self) -> Any:
        return self._put("plan-token#by-hand")

    def write_approval(self) -> Any:
        return self._put("approval#by-hand")

    def write_hold(self) -> Any:
        return self._put("hold#by-hand")

    def announce_restore(self) -> Any:
        return self._put("restoring#by-hand")

    def take_lease(self) -> Any:
        return self._put("prune-lease#by-hand")

    def mark_dropped(self) -> Any:
        return self._put("dropped#by-hand", self.ledger)

    def write_lock_report(self) -> Any:
        return self._put("locks#by-hand")

    def write_drill_report(self) -> Any:
        return self._put("drill#by-hand")

    def write_page(self) -> Any:
        return self.s3.put_object(Bucket=self.records, Key="pages/by-hand.html", Body=b"all is well")

    def read_page(self) -> Any:
        return self.s3.get_object(Bucket=self.records, Key="pages/pestered.html")

    def start_publishing(self) -> Any:
        return self._start("publish-pages")

    def write_watch_report(self) -> Any:
        return self._put("watch#by-hand")

    def count_dead_letters(self) -> Any:
        queue = self._system.queue_url("rwm-dead-letters")
        return self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])

    def list_prunes(self) -> Any:
        machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-prune"
        return self.stepfunctions.list_executions(stateMachineArn=machine)

    def _put(self, partition: str, table: str = "") -> Any:
        return self.dynamodb.put_item(TableName=table or self.operations, Item=_key(partition, "by-hand"))

    def read_task_token(self) -> Any:
        return self._query("plan-token#pruned")

    def read_plans(self) -> Any:
        return self._query("plan#pruned")

    def _query(self, partition: str) -> Any:
        return self.dynamodb.query(
            TableName=self.operations,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": partition}},
        )

    def change_lease(self) -> Any:
        return self.dynamodb.update_item(
            TableName=self.operations,
            Key=_key("prune-lease#by-hand", "by-hand"),
            UpdateExpression="SET released = :released",
            ExpressionAttributeValues={":released": {"BOOL": True}},
        )

    def change_plan(self) -> Any:
        return self.dynamodb.update_item(
            TableName=self.operations,
            Key=_key("plan#by-hand", "by-hand"),
            UpdateExpression="SET approval = :approval",
            ExpressionAttributeValues={":approval": {"S": "not-needed"}},
        )

    def delete_hold(self) -> Any:
        return self._delete("hold#by-hand")

    def delete_approval(self) -> Any:
        return self._delete("approval#by-hand")

    def delete_lease(self) -> Any:
        return self._delete("prune-lease#by-hand")

    def delete_restore_under_way(self) -> Any:
        return self._delete("restoring#by-hand")

    def unmark_dropped(self) -> Any:
        return self._delete("dropped#by-hand", self.ledger)

    def _delete(self, partition: str, table: str = "") -> Any:
        return self.dynamodb.delete_item(TableName=table or self.operations, Key=_key(partition, "by-hand"))

    def change_verdict(self) -> Any:
        return self.dynamodb.update_item(
            TableName=self.operations,
            Key=_key("by-hand", "verdict#by-hand#0"),
            UpdateExpression="SET outcome = :outcome",
            ExpressionAttributeValues={":outcome": {"S": "pass"}},
        )

    def delete_verdict(self) -> Any:
        return self.dynamodb.delete_item(TableName=self.operations, Key=_key("by-hand", "verdict#by-hand#0"))

    def delete_acknowledgement(self) -> Any:
        return self.dynamodb.delete_item(TableName=self.operations, Key=_key("ack#by-hand", "by-hand#0"))

    def read_password(self) -> Any:
        return self.secretsmanager.get_secret_value(SecretId="rwm-system-opened")

    def change_password(self) -> Any:
        return self.secretsmanager.put_secret_value(SecretId="rwm-system-opened", SecretString=PASSWORD)

    def read_another_secret(self) -> Any:
        return self.secretsmanager.get_secret_value(SecretId="of-somebody")

    def tell(self) -> Any:
        return self.sns.publish(TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:rwm-alerts", Message="all is well")

    def start_record(self) -> Any:
        return self._start("record")

    def start_posture(self) -> Any:
        return self._start("check-posture")

    def start_hashing(self) -> Any:
        return self._start("hash-content")

    def start_complete(self) -> Any:
        return self._start("check-complete")

    def start_concluding(self) -> Any:
        return self._start("conclude-complete")

    def start_acknowledge(self) -> Any:
        return self._start("acknowledge")

    def start_planning(self) -> Any:
        return self._start("plan-prune")

    def start_asking(self) -> Any:
        return self._start("ask-approval")

    def start_approve(self) -> Any:
        return self._start("approve")

    def start_hold(self) -> Any:
        return self._start("hold")

    def start_leasing(self) -> Any:
        return self._start("lease-prune")

    def start_dropping(self) -> Any:
        return self._start("drop-states")

    def start_applying(self) -> Any:
        return self._start("apply-prune")

    def start_verifying(self) -> Any:
        return self._start("verify-prune")

    def start_locking(self) -> Any:
        return self._start("extend-retention")

    def start_copy(self) -> Any:
        return self._start("copy-batch")

    def start_thawing(self) -> Any:
        return self._start("thaw-batch")

    def start_putting_back(self) -> Any:
        return self._start("put-back")

    def start_ending(self) -> Any:
        return self._start("end-restore")

    def start_choosing(self) -> Any:
        return self._start("choose-drill")

    def start_watching(self) -> Any:
        return self._start("watch")

    def start_concluding_drill(self) -> Any:
        return self._start("conclude-drill")

    def start_listing(self) -> Any:
        return self._start("list-range")

    def start_closing(self) -> Any:
        return self._start("close-recording")

    def start_collect(self) -> Any:
        return self._start("collect-chunks")

    def _start(self, step: str) -> Any:
        # As asked for, not run.
        return self.function.invoke(FunctionName=f"rwm-{step}", InvocationType="DryRun", Payload=b"{}")

    def start_restore(self) -> Any:
        return self._execute("restore", {})

    def start_download(self) -> Any:
        # The workflow refuses what is not to a directory.
        return self._execute("restore-to-directory", {})

    def start_ranges(self) -> Any:
        return self._execute("record-ranges", {})

    def start_check(self) -> Any:
        # The workflow refuses a level that there is not.
        asked = {"repository": "pestered", "level": "none", "state": "", "all": False, "read_data": False}
        return self._execute("check", {**asked, "reason": "operator", "target": None})

    def start_prune(self) -> Any:
        return self._execute("prune", {"repository": "none", "reason": "operator", "dry_run": True})

    def start_drill(self) -> Any:
        return self._execute("drill", {"repository": "none", "reason": "operator", "whole": False})

    def wake_prune(self) -> Any:
        return self.stepfunctions.send_task_success(taskToken=self._token, output="{}")

    def end_prune(self) -> Any:
        return self.stepfunctions.send_task_failure(taskToken=self._token, error="x", cause="x")

    def _execute(self, workflow: str, asked: dict[str, Any]) -> Any:
        machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-{workflow}"
        return self.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(asked))

    def stop_restore(self) -> Any:
        return self._stop("restore")

    def stop_download(self) -> Any:
        return self._stop("restore-to-directory", "to-directory-none")

    def stop_ranges(self) -> Any:
        return self._stop("record-ranges")

    def stop_check(self) -> Any:
        return self._stop("check")

    def stop_prune(self) -> Any:
        return self._stop("prune")

    def stop_drill(self) -> Any:
        return self._stop("drill")

    def _stop(self, workflow: str, name: str = "none") -> Any:
        execution = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:rwm-{workflow}:{name}"
        return self.stepfunctions.stop_execution(executionArn=execution)

    def change_function(self) -> Any:
        return self.function.update_function_configuration(FunctionName="rwm-record", Timeout=1)

    def publish(self) -> Any:
        return self.sqs.send_message(QueueUrl=self._system.queue_url("rwm-pestered"), MessageBody="{}")

    def purge(self) -> Any:
        return self.sqs.purge_queue(QueueUrl=self._system.queue_url("rwm-pestered"))

    def read_dead_letters(self) -> Any:
        return self.sqs.receive_message(QueueUrl=self._system.queue_url("rwm-dead-letters"), VisibilityTimeout=0)

    def delete_dead_letter(self) -> Any:
        # Refused or not before anybody looks for the message.
        queue = self._system.queue_url("rwm-dead-letters")
        return self.sqs.delete_message_batch(QueueUrl=queue, Entries=[{"Id": "0", "ReceiptHandle": "of nothing"}])

    def send_again(self) -> Any:
        return self.sqs.send_message(QueueUrl=self._system.queue_url("rwm-pestered"), MessageBody="{}")

    def make_key(self) -> Any:
        return self.iam.create_access_key(UserName="rwm-pestered-host")

    def see_policies(self) -> Any:
        return self.iam.list_attached_user_policies(UserName="rwm-pestered-host")

    def put_into_quarantine(self) -> Any:
        return self.iam.attach_user_policy(UserName="rwm-pestered-host", PolicyArn=_policy("rwm-pestered-quarantine"))

    def take_out_of_quarantine(self) -> Any:
        return self.iam.detach_user_policy(UserName="rwm-pestered-host", PolicyArn=_policy("rwm-pestered-quarantine"))

    def become_operator(self) -> Any:
        return self.sts.assume_role(RoleArn=_role("rwm-operator"), RoleSessionName="examiner")


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _policy(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def _role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


NOBODY: tuple[Try, ...] = (
    # It is locked, and apply-prune, which may delete, may not bypass that here.
    Table.delete_version,
    Table.delete_version_with_bypass,
    Table.delete_what_is_not_there_with_bypass,
    Table.lock_for_good,
    Table.lock_for_years,
    Table.lock_in_target_for_good,
    Table.suspend_versioning,
    Table.delete_anchor,
    Table.delete_in_target,
    Table.delete_in_drills,
    Table.stop_drill,
    Table.delete_state,
    Table.delete_head,
    Table.change_verdict,
    Table.delete_verdict,
    Table.delete_acknowledgement,
    Table.change_plan,
    Table.delete_approval,
    Table.delete_lease,
    Table.unmark_dropped,
    Table.change_password,
    Table.read_another_secret,
    Table.scan,
    Table.change_function,
    Table.purge,
    Table.send_again,
    Table.publish,
    Table.make_key,
    Table.put_into_quarantine,
    Table.take_out_of_quarantine,
    Table.become_operator,
)
"""What no role may, whoever it is."""

PEOPLE = ("operator", "approver")
RECORDING = ("record", "close-recording")
CONCLUDE = (*RECORDING, "check-posture", "check-consistent", "conclude-content", "conclude-complete")
"""They say what was found."""
RESTORE = ("plan-restore", "copy-batch", "verify-restore")
"""They see the target."""
IN_PLACE = ("plan-in-place", "put-back", "verify-in-place")
CHECK_CONTENT = ("plan-content", "hash-content", "conclude-content")
DECIDE_ON_A_PRUNE = ("plan-prune", "drop-states", "apply-prune")
READ_OPERATIONS = (
    *(*CONCLUDE, *PEOPLE, *DECIDE_ON_A_PRUNE),
    *("plan-content", "acknowledge", "ask-approval", "lease-prune", "extend-retention"),
    *("choose-drill", "conclude-drill", "downloader", "watch", "publish-pages"),
)
LIST = ("record", "list-range", "check-consistent", "plan-prune", "apply-prune", "verify-prune", "extend-retention")

ONLY: dict[Try, tuple[str, ...]] = {
    # a call, and all roles that may make it
    Table.hide: ("put-back",),
    # In this order: what was hidden is there again for all that follows.
    Table.overwrite: ("put-back",),
    Table.read: ("put-back",),
    Table.see_policies: ("plan-in-place", "check-posture"),
    Table.list_versions: LIST,
    Table.list_uploads: ("apply-prune",),
    Table.delete_what_is_not_there: ("apply-prune",),
    Table.delete_with_bypass_where_a_prune_may: ("apply-prune",),
    Table.lock_for_a_while: ("extend-retention",),
    Table.read_configuration: ("check-posture",),
    # Of a repository whose password nobody stored, which is therefore none of check-complete's.
    Table.read_version: ("hash-content", "plan-restore", "copy-batch", "put-back", "downloader"),
    Table.read_password: ("check-complete",),
    Table.list_target: (*RESTORE, "check-complete"),
    Table.write_target: ("copy-batch",),
    Table.lock_in_target: ("copy-batch",),
    Table.thaw: ("thaw-batch", "copy-batch", "put-back"),
    Table.list_drills: (*RESTORE, "check-complete"),
    Table.write_for_drill: ("copy-batch",),
    Table.write_anchor: RECORDING,
    Table.write_ranges: ("record",),
    Table.write_part: ("list-range",),
    Table.read_part: ("close-recording", "record-ranges-workflow"),
    Table.write_plan: ("plan-restore", "verify-restore", "plan-in-place", "verify-in-place"),
    Table.write_result: (*RESTORE, *IN_PLACE),
    Table.write_check_plan: ("plan-content",),
    Table.write_check_result: ("hash-content",),
    Table.read_check_file: (*CHECK_CONTENT, "check-workflow"),
    Table.write_prune_plan: ("plan-prune",),
    Table.write_prune_batch: ("plan-prune",),
    Table.write_prune_result: ("apply-prune",),
    Table.write_prune_report: ("verify-prune",),
    Table.read_prune_file: (*PEOPLE, "drop-states", "apply-prune", "verify-prune", "prune-workflow"),
    Table.read_state: (
        *(*CONCLUDE, *PEOPLE, *DECIDE_ON_A_PRUNE),
        *("collect-chunks", "plan-content", "check-complete", "announce-restore", "plan-restore", "verify-prune"),
        *("extend-retention", "choose-drill", "downloader", "plan-in-place", "verify-in-place", "watch"),
        "publish-pages",
    ),
    Table.write_state: RECORDING,
    Table.change_state: (*RECORDING, "collect-chunks"),
    Table.delete_chunk: ("collect-chunks",),
    Table.mark_dropped: ("drop-states",),
    Table.read_verdicts: READ_OPERATIONS,
    Table.read_plans: (*READ_OPERATIONS, "approve"),
    Table.read_task_token: ("approve",),
    Table.shelve_plan: ("plan-prune",),
    Table.keep_task_token: ("ask-approval",),
    Table.write_approval: ("approve",),
    Table.write_hold: ("hold",),
    Table.delete_hold: ("hold",),
    Table.announce_restore: ("announce-restore",),
    Table.delete_restore_under_way: ("end-restore", "lease-prune"),
    Table.take_lease: ("lease-prune",),
    Table.change_lease: ("lease-prune",),
    Table.write_lock_report: ("extend-retention",),
    Table.write_drill_report: ("conclude-drill",),
    Table.write_page: ("publish-pages",),
    Table.read_page: PEOPLE,
    Table.start_publishing: ("publish-pages-schedule",),
    Table.write_watch_report: ("watch",),
    Table.count_dead_letters: ("watch", "operator"),
    Table.list_prunes: ("watch",),
    Table.start_watching: ("watch-schedule",),
    Table.write_verdict: (*CONCLUDE, "verify-restore", "verify-in-place", "verify-prune"),
    Table.write_acknowledgement: ("acknowledge",),
    Table.tell: (*CONCLUDE, "ask-approval", "verify-prune", "extend-retention", "conclude-drill", "watch"),
    Table.wake_prune: ("approve", "ask-approval"),
    Table.end_prune: ("approve", "ask-approval"),
    Table.start_record: ("record-schedule", "check-workflow", "restore-workflow", "operator"),
    Table.start_posture: ("check-workflow", "operator"),
    Table.start_hashing: ("check-workflow",),
    Table.start_complete: ("check-workflow",),
    Table.start_concluding: ("check-workflow",),
    Table.start_acknowledge: ("approver",),
    Table.start_approve: ("approver",),
    Table.start_hold: ("approver",),
    Table.start_planning: ("prune-workflow",),
    Table.start_asking: ("prune-workflow",),
    Table.start_leasing: ("prune-workflow",),
    Table.start_dropping: ("prune-workflow",),
    Table.start_applying: ("prune-workflow",),
    Table.start_verifying: ("prune-workflow",),
    Table.start_locking: ("extend-retention-schedule",),
    Table.start_thawing: ("restore-workflow",),
    Table.start_copy: ("restore-workflow",),
    Table.start_putting_back: ("restore-workflow",),
    Table.start_ending: ("restore-workflow", "restore-to-directory-workflow"),
    Table.start_choosing: ("drill-workflow",),
    Table.start_concluding_drill: ("drill-workflow",),
    Table.start_listing: ("record-ranges-workflow",),
    Table.start_closing: ("record-ranges-workflow",),
    Table.start_collect: ("collect-chunks-schedule",),
    Table.read_dead_letters: ("operator",),
    Table.delete_dead_letter: ("operator",),
    Table.start_check: ("check-schedule", "operator", "check-workflow", "prune-workflow", "drill-workflow"),
    Table.start_prune: ("prune-schedule", "operator", "prune-workflow"),
    Table.start_restore: ("operator", "restore-workflow", "drill-workflow"),
    Table.start_download: ("downloader",),
    Table.start_drill: ("drill-schedule", "operator"),
    Table.start_ranges: ("record", "record-ranges-workflow"),
    # A Distributed Map starts and stops its children, which are executions of its own workflow.
    Table.stop_check: ("check-workflow", "prune-workflow", "drill-workflow"),
    Table.stop_prune: ("prune-workflow",),
    Table.stop_restore: ("restore-workflow", "drill-workflow"),
    Table.stop_download: ("downloader",),
    Table.stop_ranges: ("record-ranges-workflow",),
}

HARMLESS: tuple[Try, ...] = (
    *(Table.read, Table.read_version, Table.list_versions, Table.read_configuration, Table.list_target),
    *(Table.write_target, Table.write_plan, Table.write_result, Table.read_check_file, Table.write_check_plan),
    *(Table.write_check_result, Table.read_state, Table.write_state, Table.change_state, Table.scan),
    *(Table.read_verdicts, Table.write_verdict, Table.change_verdict, Table.write_acknowledgement),
    *(
        Table.read_password,
        Table.change_password,
        Table.read_another_secret,
        Table.start_acknowledge,
        Table.start_complete,
        Table.start_check,
    ),
    *(Table.see_policies, Table.list_uploads, Table.read_prune_file, Table.read_plans, Table.read_task_token),
    *(Table.write_prune_plan, Table.write_prune_batch, Table.write_prune_result, Table.write_prune_report),
    *(Table.shelve_plan, Table.change_plan, Table.keep_task_token, Table.write_approval, Table.write_hold),
    *(Table.announce_restore, Table.take_lease, Table.change_lease, Table.mark_dropped, Table.write_lock_report),
    *(Table.write_drill_report, Table.list_drills, Table.start_drill),
    *(Table.delete_hold, Table.delete_approval, Table.delete_lease, Table.delete_restore_under_way),
    *(Table.unmark_dropped, Table.start_prune, Table.start_approve, Table.start_hold, Table.start_applying),
    *(Table.read_dead_letters, Table.delete_dead_letter),
    *(Table.write_watch_report, Table.count_dead_letters, Table.list_prunes),
)
"""Somebody who may do everything can make these calls and harms nothing."""

ROLES = sorted({role for roles in ONLY.values() for role in roles})


@pytest.fixture(scope="module")
def token(system: System, begun: Begun) -> str:
    """What the forbidden calls are about; a task token that a prune has waited with."""
    begun.opened.result()
    system.client("secretsmanager").create_secret(Name="of-somebody", SecretString="x")
    s3 = system.client("s3")
    s3.create_bucket(Bucket="rwm-restore-of-roles")
    s3.put_object(Bucket="rwm-restore-of-roles", Key="of-somebody", Body=b"x")
    for key in ("checks/of-somebody", "prunes/of-somebody", "recordings/of-somebody"):
        s3.put_object(Bucket=system.records, Key=key, Body=b"{}")
    system.put("pestered", {"data/precious": b"x"})
    if not system.states("pestered"):
        system.record("pestered")
    asked = json.dumps({"reason": "operator"})
    answer = system.client("lambda").invoke(FunctionName="rwm-publish-pages", Payload=asked)
    assert "FunctionError" not in answer, answer["Payload"].read()
    return begun.pruned.result().tokens[0]


def test_every_role_is_in_the_table(system: System) -> None:
    pages = system.client("iam").get_paginator("list_roles").paginate()
    deployed = {role["RoleName"] for page in pages for role in page["Roles"] if role["RoleName"].startswith("rwm-")}
    assert deployed == {f"rwm-{role}" for role in ROLES}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_what_the_table_says_and_nothing_else(system: System, token: str, role: str) -> None:
    table = Table(system, system.as_role(f"rwm-{role}"), token)
    allowed = {call.__name__ for call in (*NOBODY, *ONLY) if not _is_denied(call, table)}
    assert allowed == {call.__name__ for call, roles in ONLY.items() if role in roles}


def _is_denied(call: Try, table: Table) -> bool:
    try:
        call(table)
    except ClientError as error:
        return error.response["Error"]["Code"] in DENIED
    return False


def test_the_forbidden_calls_would_work_for_somebody(system: System, token: str) -> None:
    # Else a misspelt call would count as refused. Only what harms nothing is called.
    table = Table(system, system.user("almighty", "*"), token)
    for call in HARMLESS:
        call(table)
    table.dynamodb.delete_item(TableName=table.ledger, Key=_key("by-hand", "state#0000000001"))
    table.delete_verdict()
    table.delete_acknowledgement()


@pytest.mark.parametrize(
    ("call", "role"),
    [
        (Table.write_anchor, "rwm-record"),
        (Table.tell, "rwm-record"),
        (Table.write_part, "rwm-list-range"),
        (Table.write_page, "rwm-publish-pages"),
        (Table.write_for_drill, "rwm-copy-batch"),
    ],
)
def test_an_administrator_neither_writes_anchors_nor_listings_nor_copies_nor_tells_people_that_all_is_well(
    system: System, token: str, call: Try, role: str
) -> None:
    assert _is_denied(call, Table(system, system.user("almighty", "*"), token))
    assert not _is_denied(call, Table(system, system.as_role(role), token))


def test_a_steps_role_trusts_its_service_only(system: System) -> None:
    sts = system.examiner("sts")
    for role in ROLES:
        assert refusal(sts.assume_role, RoleArn=_role(f"rwm-{role}"), RoleSessionName="examiner") in DENIED, role


def test_the_approver_is_nobody_without_mfa(system: System) -> None:
    person = system.client("sts", PERSON)
    assert refusal(person.assume_role, RoleArn=_role("rwm-approver"), RoleSessionName="examiner") in DENIED
    # With it, it is: the profile `approver` was issued so.
    assert system.client("sts", "approver").get_caller_identity()["Arn"].split("/")[1] == "rwm-approver"

"""Each role really asks for what it must not have, and AWS refuses; and for something it has, which shows that
the refusals are not of everything."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.credentials import PERSON
from local.embedded import ACCOUNT
from tests.system.system import DENIED, Clients, System, refusal

pytestmark = pytest.mark.system

Try = Callable[["Table"], Any]


class Table:
    """Calls that touch things that exist, with one role's clients."""

    def __init__(self, system: System, clients: Clients) -> None:
        self._system, self._clients = system, clients
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

    def write_anchor(self) -> Any:
        return self.s3.put_object(Bucket=self.records, Key="heads/by-hand/0.json", Body=b"{}")

    def delete_anchor(self) -> Any:
        (newest, *_) = sorted(key for key in self._system.keys(self.records) if key.startswith("heads/pestered/"))
        return self.s3.delete_object(Bucket=self.records, Key=newest)

    def write_target(self) -> Any:
        return self.s3.put_object(Bucket="rwm-restore-of-roles", Key="by-hand", Body=b"x")

    def delete_in_target(self) -> Any:
        return self.s3.delete_object(Bucket="rwm-restore-of-roles", Key="of-somebody")

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

    def write_finding(self) -> Any:
        return self.dynamodb.put_item(TableName=self.operations, Item=_key("by-hand", "finding#by-hand#0"))

    def delete_finding(self) -> Any:
        return self.dynamodb.delete_item(TableName=self.operations, Key=_key("by-hand", "finding#by-hand#0"))

    def start_record(self) -> Any:
        return self.function.invoke(FunctionName="rwm-record", Payload=b"{}")

    def start_copy(self) -> Any:
        return self.function.invoke(FunctionName="rwm-copy-batch", Payload=b"{}")

    def start_collect(self) -> Any:
        # As asked for, not run: it would collect.
        return self.function.invoke(FunctionName="rwm-collect-chunks", InvocationType="DryRun", Payload=b"{}")

    def start_check(self) -> Any:
        return self.function.invoke(FunctionName="rwm-check-posture", Payload=b"{}")

    def start_restore(self) -> Any:
        return self.stepfunctions.start_execution(
            stateMachineArn=f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:rwm-restore", input="{}"
        )

    def stop_restore(self) -> Any:
        return self.stepfunctions.stop_execution(
            executionArn=f"arn:aws:states:us-east-1:{ACCOUNT}:execution:rwm-restore:none"
        )

    def change_function(self) -> Any:
        return self.function.update_function_configuration(FunctionName="rwm-record", Timeout=1)

    def publish(self) -> Any:
        return self.sqs.send_message(QueueUrl=self._system.queue_url("rwm-pestered"), MessageBody="{}")

    def purge(self) -> Any:
        return self.sqs.purge_queue(QueueUrl=self._system.queue_url("rwm-pestered"))

    def make_key(self) -> Any:
        return self.iam.create_access_key(UserName="rwm-pestered-host")

    def become_operator(self) -> Any:
        return self.sts.assume_role(RoleArn=_role("rwm-operator"), RoleSessionName="examiner")


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


NOBODY: tuple[Try, ...] = (
    Table.hide,
    Table.delete_version,
    Table.delete_version_with_bypass,
    Table.overwrite,
    Table.suspend_versioning,
    Table.delete_anchor,
    Table.delete_in_target,
    Table.delete_state,
    Table.delete_head,
    Table.delete_finding,
    Table.scan,
    Table.change_function,
    Table.purge,
    Table.publish,
    Table.make_key,
    Table.become_operator,
)
"""What no role may, whoever it is."""

STARTS: tuple[Try, ...] = (
    Table.start_record,
    Table.start_check,
    Table.start_copy,
    Table.start_collect,
    Table.start_restore,
)
STOPS: tuple[Try, ...] = (Table.stop_restore,)
READS: tuple[Try, ...] = (Table.read, Table.read_version)
WRITES: tuple[Try, ...] = (Table.write_state, Table.change_state, Table.write_finding)
RECORDS: tuple[Try, ...] = (Table.write_plan, Table.write_result, Table.write_anchor)

ROLES: dict[str, tuple[Try, tuple[Try, ...]]] = {
    # role: something it may, and what it may not beside NOBODY's
    "record": (
        Table.list_versions,
        (*READS, *STARTS, Table.write_plan, Table.write_result, Table.delete_chunk, Table.write_target),
    ),
    "collect-chunks": (
        Table.delete_chunk,
        (*READS, *STARTS, *RECORDS, Table.write_state, Table.write_finding, Table.list_versions, Table.write_target),
    ),
    "check-posture": (
        Table.read_configuration,
        (
            *(*READS, *STARTS, *RECORDS, Table.write_state, Table.change_state, Table.list_versions),
            *(Table.write_target, Table.list_target, Table.delete_chunk),
        ),
    ),
    "plan-restore": (
        Table.write_plan,
        (*STARTS, *WRITES, Table.read, Table.write_target, Table.write_anchor, Table.delete_chunk),
    ),
    "copy-batch": (
        Table.write_target,
        (*STARTS, *WRITES, Table.write_plan, Table.write_anchor, Table.list_versions, Table.read_state),
    ),
    "verify-restore": (
        Table.list_target,
        (*STARTS, *READS, Table.write_state, Table.change_state, Table.write_target, Table.write_anchor),
    ),
    "restore-workflow": (
        Table.start_copy,
        (*READS, *WRITES, *RECORDS, Table.start_record, Table.start_collect, Table.write_target, Table.list_versions),
    ),
    "record-schedule": (
        Table.start_record,
        (*READS, *WRITES, *RECORDS, Table.start_copy, Table.start_collect, Table.start_restore, Table.read_state),
    ),
    "check-posture-schedule": (
        Table.start_check,
        (*READS, *WRITES, *RECORDS, Table.start_copy, Table.start_record, Table.start_restore, Table.read_state),
    ),
    "collect-chunks-schedule": (
        Table.start_collect,
        (*READS, *WRITES, *RECORDS, Table.start_copy, Table.start_record, Table.start_restore, Table.read_state),
    ),
    "operator": (
        Table.start_record,
        (*READS, *WRITES, *RECORDS, Table.start_copy, Table.start_collect, Table.write_target, Table.list_versions),
    ),
    "approver": (
        Table.read_state,
        (*READS, *WRITES, *RECORDS, *STARTS, Table.write_target, Table.list_versions),
    ),
}


@pytest.fixture(scope="module")
def something_there(system: System) -> None:
    """What the forbidden calls are about."""
    s3 = system.client("s3")
    s3.create_bucket(Bucket="rwm-restore-of-roles")
    s3.put_object(Bucket="rwm-restore-of-roles", Key="of-somebody", Body=b"x")
    system.put("pestered", {"data/precious": b"x"})
    if not system.states("pestered"):
        system.record("pestered")


def test_every_role_is_in_the_table(system: System) -> None:
    pages = system.client("iam").get_paginator("list_roles").paginate()
    deployed = {role["RoleName"] for page in pages for role in page["Roles"] if role["RoleName"].startswith("rwm-")}
    assert deployed == {f"rwm-{role}" for role in ROLES}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("something_there")
def test_a_role_is_as_weak_as_the_table_says(system: System, role: str) -> None:
    may, may_not = ROLES[role]
    table = Table(system, system.as_role(f"rwm-{role}"))
    may(table)
    # A Distributed Map stops its children; only the workflow's own role may.
    stops = () if role == "restore-workflow" else STOPS
    allowed = [forbidden.__name__ for forbidden in (*NOBODY, *stops, *may_not) if not _is_denied(forbidden, table)]
    assert allowed == []


def _is_denied(call: Try, table: Table) -> bool:
    try:
        call(table)
    except ClientError as error:
        return error.response["Error"]["Code"] in DENIED
    return False


@pytest.mark.usefixtures("something_there")
def test_the_forbidden_calls_would_work_for_somebody(system: System) -> None:
    # Else a misspelt call would count as refused. Only what harms nothing is called.
    table = Table(system, system.user("almighty", "*"))
    harmless = (Table.list_versions, Table.scan, Table.read_state, Table.write_target, Table.write_plan)
    for call in (*READS, *WRITES, *harmless):
        call(table)
    table.dynamodb.delete_item(TableName=table.ledger, Key=_key("by-hand", "state#0000000001"))
    table.delete_finding()


@pytest.mark.usefixtures("something_there")
def test_nobody_but_record_writes_anchors_not_even_an_administrator(system: System) -> None:
    assert _is_denied(Table.write_anchor, Table(system, system.user("almighty", "*")))
    Table(system, system.as_role("rwm-record")).write_anchor()


def test_a_steps_role_trusts_its_service_only(system: System) -> None:
    sts = system.examiner("sts")
    for role in ROLES:
        assert refusal(sts.assume_role, RoleArn=_role(f"rwm-{role}"), RoleSessionName="examiner") in DENIED, role


def test_the_approver_is_nobody_without_mfa(system: System) -> None:
    person = system.client("sts", PERSON)
    assert refusal(person.assume_role, RoleArn=_role("rwm-approver"), RoleSessionName="examiner") in DENIED
    # With it, it is: the profile `approver` was issued so.
    assert system.client("sts", "approver").get_caller_identity()["Arn"].split("/")[1] == "rwm-approver"

"""DESIGN §8: who may do what, and who may never. Read off the synthesized templates."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.configuration import read_toml
from functions.domain.restore.request import TO_DIRECTORY
from infra import permissions_page
from infra.alerts import TELLERS
from infra.deployment import compose
from infra.permissions_page import ACCOUNT, PERSON, REGION
from tests.infra.permissions import Identity, UnknownAction, expand, identities, several
from tests.infra.templates import Assembly
from tests.infra.test_state_machines import definitions

WORM_ADMINISTRATION = tuple(
    line
    for line in Path(__file__).with_name("worm_administration.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
DESTROYS = ("s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:PutObjectLegalHold")
CONFIGURES = (
    *("s3:PutBucket*", "s3:DeleteBucket*", "s3:Put*Configuration", "s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
    *("s3:Replicate*", "s3:CreateJob", "s3:UpdateObjectEncryption", "s3:CreateAccessPoint"),
)
ADMINISTERS = (
    "iam:*",
    "sts:AssumeRole",
    "lambda:Update*",
    "lambda:Create*",
    "cloudformation:*",
    "kms:Put*",
    "kms:Schedule*",
)
NO_SERVICE_MAY = (
    *DESTROYS,
    *CONFIGURES,
    *ADMINISTERS,
    "s3:DeleteObject",
    "dynamodb:DeleteTable",
    "dynamodb:BatchWriteItem",
)
CHANGES_IDENTITIES = (
    *("iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:PassRole", "iam:Put*"),
    *("iam:Remove*", "iam:Set*", "iam:Update*", "iam:Upload*"),
)
NO_PASSWORDS = ("secretsmanager:*", "ssm:*")
CHECKS_NEVER = (
    *(pattern for pattern in NO_SERVICE_MAY if pattern != "iam:*"),
    *CHANGES_IDENTITIES,
    *NO_PASSWORDS,
    *("dynamodb:UpdateItem", "dynamodb:DeleteItem", "lambda:Invoke*", "states:*", "sqs:*", "scheduler:*"),
)
TELLS_NOBODY, APPENDS_NOTHING = "sns:*", "dynamodb:PutItem"
READS_NO_OBJECTS, WRITES_NO_OBJECTS = ("s3:GetObject*", "s3:ListBucket"), ("s3:PutObject*",)
PRUNES_NEVER_WAKING = (
    *(pattern for pattern in NO_SERVICE_MAY if pattern != "iam:*"),
    *("iam:*", *NO_PASSWORDS),
    *("dynamodb:UpdateItem", "dynamodb:DeleteItem", "lambda:Invoke*", "sqs:*", "scheduler:*", "states:Start*"),
)
PRUNES_NEVER = (*PRUNES_NEVER_WAKING, "states:*")
READS_NO_OBJECTS_BUT_THEIR_LOCKS = ("s3:GetObject", "s3:GetObjectVersion*", "s3:GetObjectLegalHold", "s3:ListBucket")
WRITES_NO_OBJECTS_BUT_THEIR_LOCKS = ("s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:PutObjectVersion*")
LEDGER_WRITES = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem")

NEVER: Mapping[str, tuple[str, ...]] = {
    "rwm-alpha-host": WORM_ADMINISTRATION,
    "rwm-beta-host": WORM_ADMINISTRATION,
    "rwm-beta-maintenance": WORM_ADMINISTRATION,
    # They deny, and allow nothing.
    "rwm-alpha-quarantine": ("*:*",),
    "rwm-beta-quarantine": ("*:*",),
    "rwm-record": (
        *NO_SERVICE_MAY,
        *NO_PASSWORDS,
        "s3:GetObject*",
        "dynamodb:DeleteItem",
        "lambda:Invoke*",
        *("states:Describe*", "states:List*", "states:Stop*", "states:SendTask*", "states:Redrive*"),
    ),
    "rwm-list-range": (
        *(*NO_SERVICE_MAY, *NO_PASSWORDS, *READS_NO_OBJECTS, "dynamodb:*", "lambda:Invoke*", "states:*", "sqs:*"),
        TELLS_NOBODY,
    ),
    "rwm-close-recording": (
        *(*NO_SERVICE_MAY, *NO_PASSWORDS, "dynamodb:DeleteItem", "lambda:Invoke*", "states:*", "sqs:*"),
    ),
    "rwm-record-ranges-workflow": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:PutObject", "dynamodb:*", "sqs:*", TELLS_NOBODY),
    "rwm-collect-chunks": (*NO_SERVICE_MAY, "s3:*", "sqs:*", "dynamodb:PutItem", "lambda:Invoke*", "states:*"),
    "rwm-check-posture": (*CHECKS_NEVER, "s3:ListBucket*", *READS_NO_OBJECTS, *WRITES_NO_OBJECTS),
    "rwm-check-consistent": (*CHECKS_NEVER, "iam:*", *READS_NO_OBJECTS, *WRITES_NO_OBJECTS),
    "rwm-plan-content": (*CHECKS_NEVER, "iam:*", "s3:ListBucketVersions", TELLS_NOBODY, APPENDS_NOTHING),
    "rwm-hash-content": (*CHECKS_NEVER, "iam:*", "s3:ListBucketVersions", TELLS_NOBODY, "dynamodb:*"),
    "rwm-conclude-content": (*CHECKS_NEVER, "iam:*", "s3:ListBucketVersions", *WRITES_NO_OBJECTS),
    "rwm-check-complete": (
        *(pattern for pattern in CHECKS_NEVER if pattern != "secretsmanager:*"),
        *("iam:*", "secretsmanager:Put*", "secretsmanager:Update*", "secretsmanager:Delete*"),
        *(*WRITES_NO_OBJECTS, TELLS_NOBODY, APPENDS_NOTHING),
    ),
    "rwm-conclude-complete": (*CHECKS_NEVER, "iam:*", "s3:*"),
    "rwm-acknowledge": (*CHECKS_NEVER, "iam:*", "s3:*", TELLS_NOBODY),
    "rwm-check-workflow": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:PutObject", "dynamodb:*", "sqs:*", TELLS_NOBODY),
    "rwm-plan-prune": (*PRUNES_NEVER, *READS_NO_OBJECTS, TELLS_NOBODY),
    "rwm-ask-approval": (*PRUNES_NEVER_WAKING, "s3:*"),
    "rwm-approve": (*PRUNES_NEVER_WAKING, *READS_NO_OBJECTS, *WRITES_NO_OBJECTS, TELLS_NOBODY),
    "rwm-hold": (
        *(pattern for pattern in PRUNES_NEVER if pattern != "dynamodb:DeleteItem"),
        *("s3:*", TELLS_NOBODY),
    ),
    "rwm-lease-prune": (
        *(pattern for pattern in PRUNES_NEVER_WAKING if pattern not in ("dynamodb:UpdateItem", "dynamodb:DeleteItem")),
        *("states:Start*", "states:Stop*", "states:SendTask*", "s3:*", TELLS_NOBODY),
    ),
    "rwm-drop-states": (*PRUNES_NEVER, "s3:ListBucket*", *WRITES_NO_OBJECTS, TELLS_NOBODY),
    "rwm-apply-prune": (
        # The one that destroys decides nothing: it writes to neither table.
        *(pattern for pattern in PRUNES_NEVER if pattern != "s3:DeleteObjectVersion"),
        *("dynamodb:PutItem", TELLS_NOBODY),
    ),
    "rwm-verify-prune": PRUNES_NEVER,
    "rwm-prune-workflow": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:PutObject", "dynamodb:*", "sqs:*", TELLS_NOBODY),
    "rwm-prune-schedule": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "lambda:*", TELLS_NOBODY),
    "rwm-check-schedule": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "lambda:*", TELLS_NOBODY),
    "rwm-extend-retention": (
        # It may lock, and end no lock, delete nothing and decide nothing.
        *(pattern for pattern in PRUNES_NEVER if pattern != "s3:PutObjectRetention"),
        *(*READS_NO_OBJECTS_BUT_THEIR_LOCKS, *WRITES_NO_OBJECTS_BUT_THEIR_LOCKS),
    ),
    "rwm-extend-retention-schedule": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "states:*", TELLS_NOBODY),
    "rwm-record-schedule": (*NO_SERVICE_MAY, "s3:*", "dynamodb:*", "states:*"),
    "rwm-collect-chunks-schedule": (*NO_SERVICE_MAY, "s3:*", "dynamodb:*", "states:*"),
    "rwm-announce-restore": (
        # It takes back nothing.
        *(*NO_SERVICE_MAY, "dynamodb:UpdateItem", "dynamodb:DeleteItem", "lambda:Invoke*", "states:*", "sqs:*"),
        *("s3:*", TELLS_NOBODY),
    ),
    "rwm-plan-restore": (*(*NO_SERVICE_MAY, *LEDGER_WRITES, "lambda:Invoke*", "states:*", "sqs:*", TELLS_NOBODY),),
    "rwm-thaw-batch": (
        *(*NO_SERVICE_MAY, *NO_PASSWORDS, *WRITES_NO_OBJECTS, "s3:ListBucket*"),
        *("dynamodb:*", "lambda:Invoke*", "states:*", "sqs:*", TELLS_NOBODY),
    ),
    "rwm-copy-batch": (
        # It may lock what it copies, and end no lock.
        *(pattern for pattern in NO_SERVICE_MAY if pattern != "s3:PutObjectRetention"),
        *("dynamodb:*", "lambda:Invoke*", "states:*", "sqs:*", TELLS_NOBODY),
    ),
    "rwm-verify-restore": (*NO_SERVICE_MAY, "dynamodb:UpdateItem", "dynamodb:DeleteItem", "lambda:Invoke*", "states:*"),
    "rwm-end-restore": (
        *(*NO_SERVICE_MAY, "s3:*", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query", "dynamodb:GetItem"),
        *("lambda:Invoke*", "states:*", "sqs:*", TELLS_NOBODY),
    ),
    "rwm-plan-in-place": (
        *(*CHECKS_NEVER, *READS_NO_OBJECTS, "s3:ListBucketVersions", "s3:DeleteObject*", TELLS_NOBODY, APPENDS_NOTHING),
    ),
    "rwm-put-back": (
        # It hides, and that is all that it may delete.
        *(*(pattern for pattern in NO_SERVICE_MAY if pattern != "s3:DeleteObject"), *NO_PASSWORDS),
        *("dynamodb:*", "lambda:Invoke*", "states:*", "sqs:*", "s3:ListBucketVersions", TELLS_NOBODY),
    ),
    "rwm-verify-in-place": (
        *(*NO_SERVICE_MAY, *NO_PASSWORDS, "dynamodb:UpdateItem", "dynamodb:DeleteItem", "lambda:Invoke*", "states:*"),
        *("sqs:*", "s3:ListBucketVersions", TELLS_NOBODY),
    ),
    "rwm-restore-workflow": (*NO_SERVICE_MAY, "s3:PutObject", "dynamodb:*", "sqs:*"),
    # Whoever downloads may start it: it does nothing but to announce, to wait, and to take that back.
    "rwm-restore-to-directory-workflow": (
        *(*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "sqs:*", "states:*", "sns:*"),
    ),
    "rwm-choose-drill": (*CHECKS_NEVER, "iam:*", "s3:*", TELLS_NOBODY, APPENDS_NOTHING),
    # What it says of a drill is all that it may say of anything.
    "rwm-conclude-drill": (*CHECKS_NEVER, "iam:*", "s3:*"),
    "rwm-drill-workflow": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "sqs:*", TELLS_NOBODY),
    "rwm-drill-schedule": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "lambda:*", TELLS_NOBODY),
    "rwm-watch": (
        # It looks at tables, at a count of messages and at how prunes ended. What it told is all that it writes.
        *(*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "lambda:Invoke*"),
        *("sqs:ReceiveMessage", "sqs:SendMessage", "sqs:DeleteMessage", "sqs:PurgeQueue", "scheduler:*"),
        *("states:Start*", "states:Stop*", "states:SendTask*", "states:Redrive*", "states:GetExecutionHistory"),
    ),
    "rwm-watch-schedule": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "states:*", TELLS_NOBODY),
    # It writes pages, and decides nothing.
    "rwm-publish-pages": (
        *CHECKS_NEVER,
        "iam:*",
        *READS_NO_OBJECTS,
        "s3:ListBucketVersions",
        TELLS_NOBODY,
        APPENDS_NOTHING,
    ),
    "rwm-publish-pages-schedule": (*NO_SERVICE_MAY, *NO_PASSWORDS, "s3:*", "dynamodb:*", "states:*", TELLS_NOBODY),
    "rwm-operator": (
        *(*NO_SERVICE_MAY, *LEDGER_WRITES, "secretsmanager:*"),
        *("s3:PutObject", "states:SendTask*", TELLS_NOBODY),
        # It deletes dead letters, and puts nothing into any queue, that least of all.
        *("sqs:Send*", "sqs:*MoveTask*", "sqs:*Queue", "sqs:Set*", "sqs:*Permission", "sqs:ListQueues"),
    ),
    "rwm-downloader": (
        *(*NO_SERVICE_MAY, *LEDGER_WRITES, "secretsmanager:*", "s3:Put*", "s3:DeleteObject*", "s3:ListBucketVersions"),
        *("lambda:*", "states:SendTask*", "sqs:*", "scheduler:*", "dynamodb:PutItem", TELLS_NOBODY),
    ),
    "rwm-approver": (
        *(*NO_SERVICE_MAY, *LEDGER_WRITES, "secretsmanager:*"),
        *("s3:Put*", "s3:List*", "states:*", "sqs:*", "scheduler:*", TELLS_NOBODY),
    ),
}


def violations(assembly: Assembly) -> dict[str, list[str]]:
    """What each identity is allowed and may never be: allowed and forbidden must not meet."""
    found = identities(assembly)
    assert set(found) == set(NEVER), "an identity is not in the table, or no longer deployed"
    overlaps = {name: sorted(found[name].allowed & expand(never)) for name, never in NEVER.items()}
    return {name: overlap for name, overlap in overlaps.items() if overlap}


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


RECORDS = f"arn:aws:s3:::rwm-records-{ACCOUNT}-{REGION}"
DRILLS = f"arn:aws:s3:::rwm-drill-{ACCOUNT}-{REGION}"
REPOSITORIES = {"arn:aws:s3:::rwm-demo-alpha/*", "arn:aws:s3:::rwm-demo-beta/restic/beta/*"}
OWN_LOGS = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
READS_TABLES = {"dynamodb:GetItem", "dynamodb:Query"}
APPENDS = {"dynamodb:PutItem", "sns:Publish"}
LEDGER, OPERATIONS = _arn("dynamodb", "table/rwm-ledger"), _arn("dynamodb", "table/rwm-operations")


def test_nobody_is_allowed_what_the_table_forbids(shipped: Assembly) -> None:
    assert violations(shipped) == {}


GRANT_READ_WRITE = ["s3:GetObject*", "s3:GetBucket*", "s3:List*", "s3:DeleteObject*", "s3:PutObject*", "s3:Abort*"]
"""What CDK's Bucket.grant_read_write gives, near enough: DeleteObjectVersion and PutObjectRetention are in it."""


@pytest.mark.parametrize("name", NEVER)
def test_a_grant_read_write_to_anybody_is_found(shipped: Assembly, name: str) -> None:
    assert name in violations(_with(shipped, name, {"Effect": "Allow", "Action": GRANT_READ_WRITE, "Resource": "*"}))


@pytest.mark.parametrize("name", NEVER)
def test_everything_but_is_found_too(shipped: Assembly, name: str) -> None:
    assert name in violations(_with(shipped, name, {"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}))


def test_a_policy_attached_from_outside_is_found(shipped: Assembly) -> None:
    doctored = copy.deepcopy(shipped)
    statement = {"Effect": "Allow", "Action": "s3:DeleteObject*", "Resource": "*"}
    policy = {"PolicyDocument": {"Statement": [statement]}, "Roles": [{"Ref": "RecordingRecordRole48816116"}]}
    resources: Any = doctored.flows.resources
    assert "RecordingRecordRole48816116" in resources
    resources["Planted"] = {"Type": "AWS::IAM::Policy", "Properties": policy}
    found = violations(doctored)
    assert set(found) == {"rwm-record"}
    assert "s3:deleteobjectversion" in found["rwm-record"]


def test_an_action_that_aws_does_not_have_is_found(shipped: Assembly) -> None:
    with pytest.raises(UnknownAction, match="s3:DeleteObjects is no action"):
        violations(_with(shipped, "rwm-record", {"Effect": "Allow", "Action": "s3:DeleteObjects", "Resource": "*"}))


def _with(assembly: Assembly, name: str, statement: dict[str, Any]) -> Assembly:
    """`assembly` with one more statement for `name`."""
    doctored = copy.deepcopy(assembly)
    for resource in (each for template in doctored.templates for each in template.resources.values()):
        properties = resource["Properties"]
        if properties.get("RoleName") == name:
            properties["Policies"][0]["PolicyDocument"]["Statement"].append(statement)
        elif properties.get("ManagedPolicyName") == name:
            properties["PolicyDocument"]["Statement"].append(statement)
    return doctored


def test_no_permission_comes_from_elsewhere(shipped: Assembly) -> None:
    assert not list(shipped.of_type("AWS::IAM::Policy"))
    assert not list(shipped.of_type("AWS::IAM::Group"))
    assert not list(shipped.of_type("AWS::Lambda::Permission"))
    for _, user in shipped.of_type("AWS::IAM::User"):
        assert "Policies" not in user
        assert user["ManagedPolicyArns"] == [user["UserName"]]
    for _, role in shipped.of_type("AWS::IAM::Role"):
        assert not [arn for arn in role.get("ManagedPolicyArns", ()) if ":aws:policy/" in arn]


def test_no_access_key_is_in_a_template(shipped: Assembly) -> None:
    assert not list(shipped.of_type("AWS::IAM::AccessKey"))


def test_apply_prune_alone_may_destroy_a_version(who: Mapping[str, Identity]) -> None:
    destroys = {name: found for name, identity in who.items() if (found := identity.allowed & expand(DESTROYS))}
    for locks in ("rwm-extend-retention", "rwm-copy-batch"):
        assert destroys.pop(locks) == expand(["s3:PutObjectRetention"])
    assert list(destroys) == ["rwm-apply-prune"]
    assert who["rwm-apply-prune"].allowed & expand(DESTROYS) == expand(["s3:DeleteObjectVersion"])
    assert who["rwm-apply-prune"].resources("s3:DeleteObjectVersion") == REPOSITORIES


# Hosts


@pytest.mark.parametrize("name", ["rwm-alpha-host", "rwm-beta-host", "rwm-beta-maintenance"])
def test_a_host_may_do_its_daily_work_and_nothing_else(who: Mapping[str, Identity], name: str) -> None:
    assert who[name].allowed == expand(
        ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketLocation", "sqs:SendMessage"]
    )


def test_a_host_hides_only_its_lock_files(who: Mapping[str, Identity]) -> None:
    assert who["rwm-beta-host"].resources("s3:DeleteObject") == {"arn:aws:s3:::rwm-demo-beta/restic/beta/locks/*"}


def test_a_host_that_may_hide_and_maintenance_hide_in_their_repository_only(who: Mapping[str, Identity]) -> None:
    assert who["rwm-alpha-host"].resources("s3:DeleteObject") == {"arn:aws:s3:::rwm-demo-alpha/*"}
    assert who["rwm-beta-maintenance"].resources("s3:DeleteObject") == {"arn:aws:s3:::rwm-demo-beta/restic/beta/*"}


@pytest.mark.parametrize("name", ["rwm-beta-host", "rwm-beta-maintenance"])
def test_a_host_stays_in_its_prefix(who: Mapping[str, Identity], name: str) -> None:
    for action in ("s3:GetObject", "s3:PutObject"):
        assert who[name].resources(action) == {"arn:aws:s3:::rwm-demo-beta/restic/beta/*"}
    assert who[name].conditions("s3:ListBucket") == [{"StringLikeIfExists": {"s3:prefix": "restic/beta/*"}}]


@pytest.mark.parametrize(("name", "queue"), [("rwm-alpha-host", "rwm-alpha"), ("rwm-beta-maintenance", "rwm-beta")])
def test_a_host_sends_to_its_own_queue(who: Mapping[str, Identity], name: str, queue: str) -> None:
    assert who[name].resources("sqs:SendMessage") == {_arn("sqs", queue)}


def test_a_queue_takes_messages_from_its_hosts_only_and_over_tls(shipped: Assembly) -> None:
    policies = {
        policy["PolicyDocument"]["Statement"][0]["Resource"]: policy["PolicyDocument"]["Statement"]
        for logical_id, policy in shipped.of_type("AWS::SQS::QueuePolicy")
        if "DeadLetters" not in logical_id
    }
    users = {
        "rwm-alpha": ["rwm-alpha-host"],
        "rwm-beta": ["rwm-beta-host", "rwm-beta-maintenance"],
    }
    assert set(policies) == {_arn("sqs", queue) for queue in users}
    for queue, senders in users.items():
        plain, allowed, denied = policies[_arn("sqs", queue)]
        arns = [f"arn:aws:iam::{ACCOUNT}:user/{sender}" for sender in senders]
        assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert (plain["Effect"], plain["Action"], plain["Principal"]) == ("Deny", "sqs:*", "*")
        assert (allowed["Effect"], allowed["Action"]) == ("Allow", "sqs:SendMessage")
        assert allowed["Condition"] == {"ArnEquals": {"aws:PrincipalArn": arns}}
        assert (denied["Effect"], denied["Action"], denied["Principal"]) == ("Deny", "sqs:SendMessage", "*")
        assert denied["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": arns}}


# Services


def test_record_lists_versions_of_the_repositories_only(who: Mapping[str, Identity]) -> None:
    record = who["rwm-record"]
    assert record.resources("s3:ListBucketVersions") == {"arn:aws:s3:::rwm-demo-alpha", "arn:aws:s3:::rwm-demo-beta"}
    assert record.conditions("s3:ListBucketVersions") == [{}, {"StringLike": {"s3:prefix": "restic/beta/*"}}]


def test_record_writes_head_digests_and_findings_and_its_ledger(who: Mapping[str, Identity]) -> None:
    record = who["rwm-record"]
    assert record.resources("s3:PutObject") == {f"{RECORDS}/heads/*", f"{RECORDS}/recordings/*/manifest.json"}
    assert record.resources("dynamodb:PutItem") == {LEDGER, OPERATIONS}
    assert record.resources("dynamodb:UpdateItem") == {LEDGER}
    assert record.resources("dynamodb:Query") == {LEDGER, OPERATIONS}


def test_record_starts_one_workflow_which_lists_ranges_and_closes(who: Mapping[str, Identity]) -> None:
    record, workflow = who["rwm-record"], who["rwm-record-ranges-workflow"]
    assert record.resources("states:StartExecution") == {_arn("states", "stateMachine:rwm-record-ranges")}
    steps = {_arn("lambda", f"function:rwm-{step}") for step in ("list-range", "close-recording")}
    assert workflow.resources("lambda:InvokeFunction") == steps


def test_who_lists_ranges_writes_what_it_listed_and_nothing_else(who: Mapping[str, Identity]) -> None:
    lists = who["rwm-list-range"]
    assert lists.allowed == expand([*OWN_LOGS, "s3:ListBucketVersions", "s3:PutObject"])
    assert lists.resources("s3:PutObject") == {f"{RECORDS}/recordings/*/parts/*"}
    assert lists.conditions("s3:ListBucketVersions") == [{}, {"StringLike": {"s3:prefix": "restic/beta/*"}}]


def test_who_closes_a_recording_may_what_record_may_and_reads_what_was_listed(who: Mapping[str, Identity]) -> None:
    record, close = who["rwm-record"], who["rwm-close-recording"]
    assert close.resources("s3:GetObjectVersion") == {f"{RECORDS}/recordings/*"}
    assert close.resources("s3:PutObject") == {f"{RECORDS}/heads/*"}
    asks = {each for each in record.allowed if each.startswith("sqs:")}
    asks |= expand(["states:StartExecution", "s3:ListBucketVersions"])
    reads = expand(["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"])
    assert close.allowed == (record.allowed - asks) | reads


def _appending(identity: Identity) -> list[Any]:
    """The conditions under which it puts items into the operations table."""
    return [
        each.get("Condition", {})
        for each in identity.statements
        if each["Effect"] == "Allow"
        and "dynamodb:PutItem" in several(each["Action"])
        and OPERATIONS in several(each["Resource"])
    ]


def test_what_people_and_prunes_decide_by_is_written_by_one_step_each_which_writes_nothing_else(
    who: Mapping[str, Identity],
) -> None:
    # ForAllValues is also true of a request without the key.
    present = {"Null": {"dynamodb:LeadingKeys": "false"}}
    appending = {name: conditions for name, each in who.items() if (conditions := _appending(each))}
    assert appending.pop("rwm-acknowledge") == [
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["ack#*"]}, **present}
    ]
    own = {"plan-prune": "plan", "ask-approval": "plan-token", "approve": "approval", "lease-prune": "prune-lease"}
    for step, partitions in {
        **own,
        "hold": "hold",
        "extend-retention": "locks",
        "announce-restore": "restoring",
        "conclude-drill": "drill",
        "watch": "watch",
    }.items():
        assert appending.pop(f"rwm-{step}") == [
            {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{partitions}#*"]}, **present}
        ]
    assert set(appending) == {
        *("rwm-record", "rwm-check-posture", "rwm-check-consistent", "rwm-conclude-content", "rwm-conclude-complete"),
        *("rwm-close-recording", "rwm-verify-restore", "rwm-verify-in-place", "rwm-verify-prune"),
    }
    for conditions in appending.values():
        decides = ["ack#*", "approval#*", "hold#*", "plan#*", "plan-token#*", "prune-lease#*", "restoring#*", "locks#*"]
        decides += ["drill#*", "watch#*"]
        assert conditions == [{"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": decides}, **present}]


def test_what_a_restore_announced_is_taken_back_by_its_last_step_and_by_who_asks_step_functions(
    who: Mapping[str, Identity],
) -> None:
    only = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["restoring#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    taking = {
        name: each.conditions("dynamodb:DeleteItem")
        for name, each in who.items()
        if OPERATIONS in each.resources("dynamodb:DeleteItem") and name != "rwm-hold"
    }
    assert taking == {"rwm-end-restore": [only], "rwm-lease-prune": [only]}
    end = who["rwm-end-restore"]
    assert end.allowed == expand([*OWN_LOGS, "dynamodb:DeleteItem"])
    assert end.resources("dynamodb:DeleteItem") == {OPERATIONS}


def test_a_restore_is_announced_only_of_a_state_that_is_not_dropped(who: Mapping[str, Identity]) -> None:
    announce = who["rwm-announce-restore"]
    assert announce.resources("dynamodb:PutItem") == {OPERATIONS}
    assert announce.resources("dynamodb:ConditionCheckItem") == {LEDGER}
    assert announce.conditions("dynamodb:ConditionCheckItem") == [
        {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["dropped#*"]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
    ]


def test_nobody_redrives_an_execution(who: Mapping[str, Identity]) -> None:
    """An aborted restore that goes on in its middle would no longer be announced."""
    assert [name for name, each in who.items() if each.allowed & expand(["states:RedriveExecution"])] == []


def test_people_are_told_by_the_steps_that_judge(who: Mapping[str, Identity]) -> None:
    tell = {name for name, each in who.items() if "sns:publish" in each.allowed}
    assert tell == {f"rwm-{step}" for step in TELLERS}
    assert {topic for name in tell for topic in who[name].resources("sns:Publish")} == {_arn("sns", "rwm-alerts")}


def test_only_collect_chunks_deletes_items_of_the_ledger_and_only_chunks(who: Mapping[str, Identity]) -> None:
    assert [name for name, each in who.items() if LEDGER in each.resources("dynamodb:DeleteItem")] == [
        "rwm-collect-chunks"
    ]
    collect = who["rwm-collect-chunks"]
    assert collect.resources("dynamodb:DeleteItem") == {LEDGER}
    assert collect.conditions("dynamodb:DeleteItem") == [
        {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["chunk#*"]},
            # ForAllValues is also true of a request without the key.
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
    ]


def test_the_watch_reads_tables_counts_dead_letters_and_asks_how_prunes_ended(who: Mapping[str, Identity]) -> None:
    watch = who["rwm-watch"]
    asks = {"sqs:GetQueueAttributes", "sqs:GetQueueUrl", "states:ListExecutions", "states:DescribeExecution"}
    assert watch.allowed == expand(OWN_LOGS | READS_TABLES | APPENDS | asks)
    assert watch.resources("dynamodb:GetItem") == {LEDGER}
    assert watch.resources("dynamodb:Query") == {LEDGER, OPERATIONS}
    assert watch.resources("dynamodb:PutItem") == {OPERATIONS}
    assert watch.resources("sqs:GetQueueAttributes") == {_arn("sqs", "rwm-dead-letters")}
    assert watch.resources("states:ListExecutions") == {_arn("states", "stateMachine:rwm-prune")}
    assert watch.resources("states:DescribeExecution") == {_arn("states", "execution:rwm-prune:*")}


def test_the_page_is_made_of_the_two_tables_and_written_to_its_place(who: Mapping[str, Identity]) -> None:
    publish = who["rwm-publish-pages"]
    assert publish.allowed == expand(OWN_LOGS | READS_TABLES | {"s3:PutObject"})
    assert publish.resources("s3:PutObject") == {f"{RECORDS}/pages/*"}
    assert publish.resources("dynamodb:GetItem") == {LEDGER}
    assert publish.resources("dynamodb:Query") == {LEDGER, OPERATIONS}


@pytest.mark.parametrize(
    ("step", "action", "target"),
    [
        ("record", "lambda:InvokeFunction", _arn("lambda", "function:rwm-record")),
        ("collect-chunks", "lambda:InvokeFunction", _arn("lambda", "function:rwm-collect-chunks")),
        ("check", "states:StartExecution", _arn("states", "stateMachine:rwm-check")),
        ("prune", "states:StartExecution", _arn("states", "stateMachine:rwm-prune")),
        ("drill", "states:StartExecution", _arn("states", "stateMachine:rwm-drill")),
        ("extend-retention", "lambda:InvokeFunction", _arn("lambda", "function:rwm-extend-retention")),
        ("watch", "lambda:InvokeFunction", _arn("lambda", "function:rwm-watch")),
        ("publish-pages", "lambda:InvokeFunction", _arn("lambda", "function:rwm-publish-pages")),
    ],
)
def test_a_schedule_starts_its_one_target(who: Mapping[str, Identity], step: str, action: str, target: str) -> None:
    group = "rwm-watch" if step in ("watch", "publish-pages") else "rwm"
    role = who[f"rwm-{step}-schedule"]
    assert role.allowed == expand([action])
    assert role.resources(action) == {target}
    assert role.trust is not None
    assert role.trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnEquals": {"aws:SourceArn": _arn("scheduler", f"schedule-group/{group}")},
    }


def test_the_check_of_posture_reads_configuration_and_rights_and_appends(who: Mapping[str, Identity]) -> None:
    posture = who["rwm-check-posture"]
    read = {
        "s3:GetBucketAcl",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
    }
    rights = {"iam:SimulatePrincipalPolicy", "access-analyzer:CheckAccessNotGranted"}
    rights |= {"iam:ListAttachedRolePolicies", "iam:ListAttachedUserPolicies"}
    assert posture.allowed == expand(read | OWN_LOGS | READS_TABLES | rights | APPENDS)
    for action in read:
        assert posture.resources(action) == {"arn:aws:s3:::rwm-demo-alpha", "arn:aws:s3:::rwm-demo-beta"}
    users = ("rwm-alpha-host", "rwm-beta-host", "rwm-beta-maintenance")
    assert posture.resources("iam:SimulatePrincipalPolicy") == {f"arn:aws:iam::{ACCOUNT}:user/{user}" for user in users}
    assert posture.resources("dynamodb:GetItem") == {LEDGER}
    assert posture.resources("dynamodb:PutItem") == posture.resources("dynamodb:Query") == {OPERATIONS}


def test_the_check_of_consistency_lists_and_appends(who: Mapping[str, Identity]) -> None:
    consistent = who["rwm-check-consistent"]
    clock = {"s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning"}
    assert consistent.allowed == expand(OWN_LOGS | READS_TABLES | APPENDS | clock | {"s3:ListBucketVersions"})
    assert consistent.resources("dynamodb:GetItem") == {LEDGER}
    assert consistent.resources("dynamodb:PutItem") == {OPERATIONS}
    assert consistent.conditions("s3:ListBucketVersions") == [{}, {"StringLike": {"s3:prefix": "restic/beta/*"}}]


def test_of_the_check_of_content_each_step_writes_its_own_files_and_no_other(who: Mapping[str, Identity]) -> None:
    checks = f"{RECORDS}/checks/*"
    writes = {
        "rwm-plan-content": {f"{checks}/plan.json", f"{checks}/manifest.json", f"{checks}/batches/*"},
        "rwm-hash-content": {f"{checks}/results/*"},
        "rwm-conclude-content": set(),
    }
    assert {name: who[name].resources("s3:PutObject") for name in writes} == writes
    assert who["rwm-hash-content"].resources("s3:GetObjectVersion") == {*REPOSITORIES, checks}
    assert who["rwm-conclude-content"].resources("s3:GetObjectVersion") == {checks}
    assert who["rwm-plan-content"].resources("s3:GetObjectVersion") == {checks}


def test_of_the_check_of_content_only_hash_content_reads_a_repository(who: Mapping[str, Identity]) -> None:
    reads = expand(["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"])
    hashing, concluding = who["rwm-hash-content"].allowed, who["rwm-conclude-content"].allowed
    assert hashing == expand(OWN_LOGS | {"s3:PutObject"}) | reads
    clock = expand(["s3:GetBucketVersioning"])
    assert concluding == expand(OWN_LOGS | READS_TABLES | APPENDS) | reads | clock
    assert who["rwm-plan-content"].allowed == expand(OWN_LOGS | READS_TABLES | {"s3:PutObject"}) | reads
    for name in ("rwm-plan-content", "rwm-conclude-content"):
        assert who[name].resources("s3:ListBucket") == {RECORDS}


READABLE = """
restore_targets = ["rwm-restore-*"]
[repositories.open]
bucket = "open-backups"
prefix = "restic"
kms_key = "arn:aws:kms:eu-central-1:123456789012:key/ours"
restic_password_secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:open-AbCdEf"
[repositories.closed]
bucket = "closed-backups"
kms_key = "arn:aws:kms:eu-central-1:123456789012:key/theirs"
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """check-complete, where one of two repositories has a password."""
    directory = tmp_path_factory.mktemp("readable")
    (directory / "repositories.toml").write_text(READABLE)
    outdir = directory / "cdk.out"
    configuration = read_toml(directory / "repositories.toml")
    unpacked: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
    compose(configuration, account=ACCOUNT, region=REGION, context=unpacked, outdir=str(outdir)).synth()
    return identities(Assembly.read(outdir))["rwm-check-complete"]


def test_whoever_reads_with_a_password_writes_nothing_of_any_kind(reader: Identity) -> None:
    reads = {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "kms:Decrypt", "secretsmanager:GetSecretValue"}
    assert reader.allowed == expand(OWN_LOGS | {"dynamodb:GetItem", "dynamodb:Query"} | reads)
    assert reader.resources("dynamodb:GetItem") == reader.resources("dynamodb:Query") == {LEDGER}


def test_a_password_opens_the_repository_it_belongs_to_and_restored_copies(reader: Identity) -> None:
    secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:open-AbCdEf"
    assert reader.resources("secretsmanager:GetSecretValue") == {secret}
    assert reader.resources("s3:GetObjectVersion") == {"arn:aws:s3:::open-backups/restic/*"}
    assert reader.resources("kms:Decrypt") == {"arn:aws:kms:eu-central-1:123456789012:key/ours"}
    assert reader.resources("s3:GetObject") == {"arn:aws:s3:::rwm-restore-*/*", f"{DRILLS}/*"}
    assert reader.resources("s3:ListBucket") == {"arn:aws:s3:::open-backups", "arn:aws:s3:::rwm-restore-*", DRILLS}


def test_passwords_are_read_by_check_complete_alone(who: Mapping[str, Identity]) -> None:
    others = {name for name, each in who.items() if each.allowed & expand(["secretsmanager:*"])}
    assert others <= {"rwm-check-complete"}


def test_what_check_complete_reported_is_concluded_by_who_reads_no_object(who: Mapping[str, Identity]) -> None:
    assert who["rwm-conclude-complete"].allowed == expand(OWN_LOGS | READS_TABLES | APPENDS)


def test_acknowledge_reads_and_appends_to_operations_only(who: Mapping[str, Identity]) -> None:
    acknowledge = who["rwm-acknowledge"]
    assert acknowledge.allowed == expand(OWN_LOGS | {"dynamodb:Query", "dynamodb:PutItem"})
    assert acknowledge.resources("dynamodb:Query") == acknowledge.resources("dynamodb:PutItem") == {OPERATIONS}


def test_restore_reads_versions_only_where_repositories_lie(who: Mapping[str, Identity]) -> None:
    restores = {f"{RECORDS}/restores/*"}
    assert who["rwm-plan-restore"].resources("s3:GetObjectVersion") == REPOSITORIES
    assert who["rwm-copy-batch"].resources("s3:GetObjectVersion") == REPOSITORIES | restores
    assert who["rwm-verify-restore"].resources("s3:GetObjectVersion") == restores


def test_only_copy_writes_to_restore_targets_and_never_to_a_protected_bucket(who: Mapping[str, Identity]) -> None:
    target = "arn:aws:s3:::rwm-restore-*/*"
    assert [name for name, each in who.items() if target in each.resources("s3:PutObject")] == ["rwm-copy-batch"]
    copy_batch = who["rwm-copy-batch"]
    assert copy_batch.resources("s3:PutObject") == {target, f"{DRILLS}/*", f"{RECORDS}/restores/*/results/*"}
    denied = {
        resource
        for each in copy_batch.statements
        if each["Effect"] == "Deny" and each["Action"] == ["s3:PutObject", "s3:PutObjectRetention"]
        for resource in several(each["Resource"])
    }
    assert denied == {"arn:aws:s3:::rwm-demo-alpha/*", "arn:aws:s3:::rwm-demo-beta/*"}


def test_copies_are_locked_in_governance_mode_and_in_restore_targets_only(who: Mapping[str, Identity]) -> None:
    copy_batch = who["rwm-copy-batch"]
    assert copy_batch.resources("s3:PutObjectRetention") == {"arn:aws:s3:::rwm-restore-*/*"}
    assert copy_batch.conditions("s3:PutObjectRetention") == [
        {
            "StringEquals": {"s3:object-lock-mode": "GOVERNANCE"},
            "NumericLessThanEquals": {"s3:object-lock-remaining-retention-days": "3650"},
        }
    ]


def test_archived_versions_are_thawed_by_a_restore_only_and_where_repositories_lie(who: Mapping[str, Identity]) -> None:
    thaws = {name: each.resources("s3:RestoreObject") for name, each in who.items()}
    found = {name: resources for name, resources in thaws.items() if resources}
    assert found == dict.fromkeys(("rwm-thaw-batch", "rwm-copy-batch", "rwm-put-back"), REPOSITORIES)
    assert who["rwm-thaw-batch"].resources("s3:GetObjectVersion") == {f"{RECORDS}/restores/*"}


def test_the_settings_of_restores_reach_who_needs_them_and_nobody_else(tmp_path: Path) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/theirs"
    path = tmp_path / "repositories.toml"
    settings = f'restore_kms_keys = ["{key}"]\nrestore_parallel_batches = 7\nrestore_threads = 3\n'
    path.write_text(f'{settings}[repositories.plain]\nbucket = "plain-backups"\n')
    unpacked: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
    outdir = tmp_path / "cdk.out"
    compose(read_toml(path), account=ACCOUNT, region=REGION, context=unpacked, outdir=str(outdir)).synth()
    used = {
        name: (each.allowed & expand(["kms:*"]), set(each.resources("kms:Decrypt")))
        for name, each in identities(Assembly.read(outdir)).items()
        if each.allowed & expand(["kms:*"])
    }
    assert used == {
        "rwm-plan-restore": (expand(["kms:Decrypt"]), {key}),
        "rwm-copy-batch": (expand(["kms:Decrypt", "kms:GenerateDataKey"]), {key}),
    }
    flows = Assembly.read(outdir).flows
    maps = definitions(Assembly.read(outdir))["rwm-restore"]["States"]
    assert [maps[each]["MaxConcurrency"] for each in ("Thaw batches", "Copy batches")] == [7, 7]
    threads = {
        each["FunctionName"]: each["Environment"]["Variables"].get("RWM_RESTORE_THREADS")
        for each in flows.of_type("AWS::Lambda::Function").values()
    }
    told = {name: number for name, number in threads.items() if number}
    assert told == dict.fromkeys(("rwm-thaw-batch", "rwm-copy-batch", "rwm-put-back"), "3")


def test_only_the_steps_of_a_restore_and_who_opens_a_copy_see_the_bucket_of_drills(who: Mapping[str, Identity]) -> None:
    sees = {name for name, each in who.items() if DRILLS in each.resources("s3:ListBucket")}
    assert sees == {"rwm-plan-restore", "rwm-copy-batch", "rwm-verify-restore", "rwm-check-complete"}
    writes = {name for name, each in who.items() if f"{DRILLS}/*" in each.resources("s3:PutObject")}
    assert writes == {"rwm-copy-batch"}


def test_who_chooses_a_drill_reads_and_who_concludes_it_says_what_it_came_to(who: Mapping[str, Identity]) -> None:
    choose, conclude = who["rwm-choose-drill"], who["rwm-conclude-drill"]
    assert choose.allowed == expand(OWN_LOGS | READS_TABLES)
    assert choose.resources("dynamodb:GetItem") == {LEDGER}
    assert conclude.allowed == expand(OWN_LOGS | APPENDS | {"dynamodb:Query"})
    assert conclude.resources("dynamodb:Query") == conclude.resources("dynamodb:PutItem") == {OPERATIONS}


def test_plan_and_verify_write_beneath_restores_only(who: Mapping[str, Identity]) -> None:
    for name in ("rwm-plan-restore", "rwm-verify-restore"):
        assert who[name].resources("s3:PutObject") == {f"{RECORDS}/restores/*"}
    assert who["rwm-verify-restore"].resources("dynamodb:PutItem") == {OPERATIONS}


STEPS_OF = {
    "restore": (
        *("announce-restore", "plan-restore", "thaw-batch", "copy-batch", "verify-restore", "end-restore"),
        *("record", "plan-in-place", "put-back", "verify-in-place"),
    ),
    "check": (
        *("check-posture", "record", "check-consistent", "plan-content", "hash-content", "conclude-content"),
        *("check-complete", "conclude-complete"),
    ),
    "prune": ("plan-prune", "ask-approval", "lease-prune", "drop-states", "apply-prune", "verify-prune"),
    "record-ranges": ("list-range", "close-recording"),
    "drill": ("choose-drill", "conclude-drill"),
    "restore-to-directory": ("announce-restore", "end-restore"),
}
PARTS = {
    **dict.fromkeys(("restore", "check", "record-ranges", "restore-to-directory"), ()),
    "prune": ("rwm-check",),
    "drill": ("rwm-restore", "rwm-check"),
}
"""Workflows that one runs as a part of itself."""
WITHOUT_A_MAP = ("drill", "restore-to-directory")


@pytest.mark.parametrize("name", STEPS_OF)
def test_a_workflow_invokes_its_steps_and_starts_only_itself_and_its_parts(
    who: Mapping[str, Identity], name: str
) -> None:
    workflow = who[f"rwm-{name}-workflow"]
    steps = {_arn("lambda", f"function:rwm-{step}") for step in STEPS_OF[name]}
    assert workflow.resources("lambda:InvokeFunction") == steps
    # A Distributed Map starts its children as executions of its own workflow, and reads its manifest.
    mapped = name not in WITHOUT_A_MAP
    parts, itself = PARTS[name], [f"rwm-{name}"] if mapped else []
    assert workflow.resources("states:StartExecution") == {
        _arn("states", f"stateMachine:{each}") for each in (*itself, *parts)
    }
    assert workflow.resources("states:StopExecution") == {
        *(_arn("states", f"execution:{each}{end}") for each in itself for end in (":*", "/*")),
        *(_arn("states", f"execution:{part}:*") for part in parts),
    }
    files = "recordings" if name == "record-ranges" else f"{name}s"
    assert workflow.resources("s3:GetObjectVersion") == ({f"{RECORDS}/{files}/*"} if mapped else set())


def test_each_service_role_trusts_one_service(who: Mapping[str, Identity]) -> None:
    services = {
        name: each.trust["Principal"]["Service"]
        for name, each in who.items()
        if each.trust and "Service" in each.trust["Principal"]
    }
    functions = {
        "collect-chunks",
        "extend-retention",
        "acknowledge",
        "approve",
        "hold",
        "publish-pages",
        "watch",
        *(step for steps in STEPS_OF.values() for step in steps),
    }
    assert services == {
        **{f"rwm-{step}": "lambda.amazonaws.com" for step in functions},
        "rwm-record-schedule": "scheduler.amazonaws.com",
        "rwm-collect-chunks-schedule": "scheduler.amazonaws.com",
        "rwm-check-schedule": "scheduler.amazonaws.com",
        "rwm-prune-schedule": "scheduler.amazonaws.com",
        "rwm-drill-schedule": "scheduler.amazonaws.com",
        "rwm-extend-retention-schedule": "scheduler.amazonaws.com",
        "rwm-watch-schedule": "scheduler.amazonaws.com",
        "rwm-publish-pages-schedule": "scheduler.amazonaws.com",
        **{f"rwm-{workflow}-workflow": "states.amazonaws.com" for workflow in STEPS_OF},
    }


# People


def test_an_operator_starts_record_check_prune_restore_and_drill_and_nothing_else(who: Mapping[str, Identity]) -> None:
    operator = who["rwm-operator"]
    assert operator.resources("lambda:InvokeFunction") == {
        _arn("lambda", "function:rwm-record"),
        _arn("lambda", "function:rwm-check-posture"),
    }
    workflows = ("rwm-check", "rwm-drill", "rwm-prune", "rwm-restore")
    assert operator.resources("states:StartExecution") == {_arn("states", f"stateMachine:{each}") for each in workflows}
    followed = {_arn("states", f"execution:{each}:*") for each in (*workflows, "rwm-restore-to-directory")}
    assert operator.resources("states:DescribeExecution") == operator.resources("states:ListMapRuns") == followed
    assert operator.resources("states:DescribeMapRun") == {_arn("states", f"mapRun:{each}/*") for each in workflows}
    seen = {f"{RECORDS}/{each}/*" for each in ("heads", "pages", "prunes", "restores")}
    assert operator.resources("s3:GetObject") == seen
    assert operator.conditions("s3:ListBucket") == [{"StringLike": {"s3:prefix": "heads/*"}}]


def test_an_operator_reads_and_deletes_dead_letters_and_meets_no_other_queue(who: Mapping[str, Identity]) -> None:
    dead_letters = {_arn("sqs", "rwm-dead-letters")}
    operator = who["rwm-operator"]
    may = {action for action in operator.allowed if action.startswith("sqs:")}
    assert may == expand(
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    )
    for action in may:
        assert operator.resources(action) == dead_letters


def test_a_downloader_reads_versions_and_states_and_keeps_prunes_away_and_does_nothing_else(
    who: Mapping[str, Identity],
) -> None:
    downloader = who["rwm-downloader"]
    reads = ["dynamodb:GetItem", "dynamodb:Query", "ssm:GetParametersByPath", "s3:GetObjectVersion", "s3:ListBucket"]
    states = ["states:StartExecution", "states:DescribeExecution", "states:StopExecution"]
    # Where a repository has a KMS key, kms:Decrypt on that key, too; none has one here.
    assert downloader.allowed == expand([*reads, *states])
    assert downloader.resources("s3:GetObjectVersion") == REPOSITORIES
    assert downloader.resources("states:StartExecution") == {
        # IAM sees no input: any other workflow would restore to buckets, too.
        _arn("states", "stateMachine:rwm-restore-to-directory")
    }
    own = "execution:rwm-restore-to-directory"
    assert downloader.resources("states:DescribeExecution") == {_arn("states", f"{own}:*")}
    # Whoever may stop any restore could take away what keeps prunes from another's.
    assert downloader.resources("states:StopExecution") == {_arn("states", f"{own}:{TO_DIRECTORY}*")}
    assert downloader.trust is not None
    assert downloader.trust["Principal"] == {"AWS": PERSON}


DECIDES = {_arn("lambda", f"function:rwm-{step}") for step in ("acknowledge", "approve", "hold")}


def test_only_an_approver_decides_and_needs_mfa(who: Mapping[str, Identity]) -> None:
    approver = who["rwm-approver"]
    reads = ["dynamodb:GetItem", "dynamodb:Query", "ssm:GetParametersByPath", "s3:GetObject", "s3:GetObjectVersion"]
    assert approver.allowed == expand([*reads, "lambda:InvokeFunction"])
    assert approver.resources("lambda:InvokeFunction") == DECIDES
    assert approver.resources("s3:GetObject") == {f"{RECORDS}/prunes/*", f"{RECORDS}/pages/*"}
    calling = [name for name, each in who.items() if DECIDES & each.resources("lambda:InvokeFunction")]
    assert calling == ["rwm-approver"]
    assert approver.trust is not None
    assert approver.trust["Principal"] == {"AWS": PERSON}
    assert approver.trust["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


# Documentation


def test_the_page_in_docs_is_what_is_deployed(shipped: Assembly) -> None:
    assert permissions_page.PAGE.read_text() == permissions_page.page(shipped.directory), (
        "docs/permissions.md is out of date; run .venv/bin/python -m infra.permissions_page"
    )


def test_the_page_tells_every_statement_of_the_templates(shipped: Assembly, who: Mapping[str, Identity]) -> None:
    told = permissions_page.page(shipped.directory)
    for name, identity in who.items():
        section = told.split(f"## {name}\n")[1].split("\n## ")[0]
        assert len([line for line in section.splitlines() if line.startswith("| ")]) == len(identity.statements) + 1

"""The prune's roles: what destroys is torn apart, so that none of them can plan, approve and delete."""

from collections.abc import Mapping
from typing import Any

import pytest

from functions.configuration import read_toml
from infra.deployment import compose
from infra.permissions_page import ACCOUNT, REGION
from tests.infra.permissions import Identity, expand, identities, several
from tests.infra.templates import Assembly
from tests.infra.test_permission_table import LEDGER, OPERATIONS, OWN_LOGS, READS_TABLES, RECORDS

CLOCK = {"s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning"}
READS_FILES = {"s3:GetObject", "s3:GetObjectVersion"}
PRUNES = f"{RECORDS}/prunes/*"
BUCKETS = {"arn:aws:s3:::rwm-demo-alpha", "arn:aws:s3:::rwm-demo-beta"}
WORKFLOW = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-prune"


def _only(*partitions: str) -> dict[str, Any]:
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(partitions)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def test_who_plans_lists_and_writes_plans_and_deletes_nothing(who: Mapping[str, Identity]) -> None:
    plan = who["rwm-plan-prune"]
    writes = {"s3:PutObject", "dynamodb:PutItem"}
    assert plan.allowed == expand(OWN_LOGS | READS_TABLES | CLOCK | writes | {"s3:ListBucketVersions"})
    assert plan.resources("s3:PutObject") == {
        f"{PRUNES}/{file}" for file in ("plan.json", "versions.json", "markers.json", "batches/*")
    }


def test_who_asks_and_who_approves_touch_no_repository(who: Mapping[str, Identity]) -> None:
    wakes = {"states:SendTaskFailure", "states:SendTaskSuccess"}
    asks, approves = who["rwm-ask-approval"], who["rwm-approve"]
    tables = {"dynamodb:Query", "dynamodb:PutItem"}
    assert asks.allowed == expand(OWN_LOGS | tables | wakes | {"sns:Publish"})
    assert approves.allowed == expand(OWN_LOGS | tables | wakes | {"s3:GetBucketVersioning"})
    for each in (asks, approves):
        assert each.resources("states:SendTaskSuccess") == each.resources("states:SendTaskFailure") == {WORKFLOW}
    assert approves.resources("s3:GetBucketVersioning") == {RECORDS}
    assert approves.conditions("dynamodb:Query") == [_only("plan#*", "approval#*", "plan-token#*")]


def test_nobody_else_wakes_a_workflow(who: Mapping[str, Identity]) -> None:
    waking = [name for name, each in who.items() if each.allowed & expand(["states:SendTask*"])]
    assert sorted(waking) == ["rwm-approve", "rwm-ask-approval"]


def test_a_task_token_is_read_by_approve_alone(who: Mapping[str, Identity]) -> None:
    not_tokens = {
        "ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["plan-token#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    readers = {
        name: [
            each.get("Condition", {})
            for each in identity.statements
            if each["Effect"] == "Allow"
            and {"dynamodb:Query", "dynamodb:GetItem"} & set(several(each["Action"]))
            and OPERATIONS in several(each["Resource"])
        ]
        for name, identity in who.items()
    }
    assert readers.pop("rwm-approve")
    assert readers.pop("rwm-hold") == [_only("hold#*")]
    found = {name: conditions for name, conditions in readers.items() if conditions}
    assert len(found) > 10
    assert all(condition == not_tokens for conditions in found.values() for condition in conditions)


def test_who_drops_marks_in_the_ledger_and_touches_no_repository(who: Mapping[str, Identity]) -> None:
    drop = who["rwm-drop-states"]
    marks = {"dynamodb:PutItem", "dynamodb:ConditionCheckItem", "s3:GetBucketVersioning"}
    assert drop.allowed == expand(OWN_LOGS | READS_TABLES | READS_FILES | marks)
    assert drop.resources("dynamodb:PutItem") == {LEDGER}
    assert drop.conditions("dynamodb:PutItem") == [_only("dropped#*")]
    assert drop.resources("s3:GetObject") == drop.resources("s3:GetObjectVersion") == {PRUNES}
    assert drop.resources("s3:GetBucketVersioning") == {RECORDS}


def test_who_records_can_drop_no_state(who: Mapping[str, Identity]) -> None:
    but_marks = {
        "ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["dropped#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    recording = ("rwm-record", "rwm-close-recording")
    for name in recording:
        assert who[name].conditions("dynamodb:UpdateItem") == [but_marks]
        assert but_marks in who[name].conditions("dynamodb:PutItem")
    marking = [
        name
        for name, each in who.items()
        if {LEDGER} & each.resources("dynamodb:PutItem") and name not in (*recording, "rwm-drop-states")
    ]
    assert marking == []


def test_the_one_that_deletes_writes_nothing_but_results(who: Mapping[str, Identity]) -> None:
    apply = who["rwm-apply-prune"]
    s3 = {"s3:DeleteObjectVersion", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:PutObject"}
    assert apply.allowed == expand(OWN_LOGS | READS_TABLES | READS_FILES | CLOCK | s3)
    assert apply.resources("s3:PutObject") == {f"{PRUNES}/results/*"}
    assert apply.resources("s3:GetObject") == {PRUNES}
    assert apply.resources("s3:ListBucketMultipartUploads") == BUCKETS
    assert apply.resources("dynamodb:GetItem") == {LEDGER}


def test_who_verifies_reads_and_reports(who: Mapping[str, Identity]) -> None:
    verify = who["rwm-verify-prune"]
    reports = {"s3:PutObject", "dynamodb:PutItem", "sns:Publish", "s3:ListBucket", "s3:ListBucketVersions"}
    assert verify.allowed == expand(OWN_LOGS | READS_TABLES | READS_FILES | CLOCK | reports)
    assert verify.resources("s3:PutObject") == {f"{PRUNES}/report.json"}
    assert verify.resources("s3:ListBucket") == {RECORDS}


def test_the_lease_is_taken_by_its_step_alone_which_looks_only_at_prunes_and_restores(
    who: Mapping[str, Identity],
) -> None:
    lease = who["rwm-lease-prune"]
    operations = {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    assert lease.allowed == expand(OWN_LOGS | operations | {"states:DescribeExecution"})
    assert lease.resources("states:DescribeExecution") == {
        f"arn:aws:states:{REGION}:{ACCOUNT}:execution:rwm-{workflow}:*"
        for workflow in ("prune", "restore", "restore-to-directory")
    }
    for action in ("dynamodb:PutItem", "dynamodb:UpdateItem"):
        assert lease.conditions(action) == [_only("prune-lease#*")]
    assert lease.conditions("dynamodb:DeleteItem") == [_only("restoring#*")]


def test_hold_holds_and_releases_and_drops_nothing(who: Mapping[str, Identity]) -> None:
    hold = who["rwm-hold"]
    tables = {"dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"}
    assert hold.allowed == expand(OWN_LOGS | tables)
    assert hold.resources("dynamodb:PutItem") == hold.resources("dynamodb:DeleteItem") == {OPERATIONS}
    assert hold.conditions("dynamodb:DeleteItem") == [_only("hold#*")]
    assert hold.conditions("dynamodb:ConditionCheckItem") == [_only("dropped#*")]


BYPASSED = """
[repositories.careful]
bucket = "careful-backups"
[repositories.hasty]
bucket = "hasty-backups"
prefix = "restic"
bypass_governance = true
prune_schedule = "rate(2 days)"
"""


@pytest.fixture(scope="module")
def bypassing(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    directory = tmp_path_factory.mktemp("bypassing")
    (directory / "repositories.toml").write_text(BYPASSED)
    outdir = directory / "cdk.out"
    unpacked: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
    configuration = read_toml(directory / "repositories.toml")
    compose(configuration, account=ACCOUNT, region=REGION, context=unpacked, outdir=str(outdir)).synth()
    return Assembly.read(outdir)


def test_governance_is_bypassed_only_where_the_repository_says_so(bypassing: Assembly) -> None:
    apply = identities(bypassing)["rwm-apply-prune"]
    assert apply.resources("s3:BypassGovernanceRetention") == {"arn:aws:s3:::hasty-backups/restic/*"}
    assert apply.resources("s3:DeleteObjectVersion") == {
        "arn:aws:s3:::careful-backups/*",
        "arn:aws:s3:::hasty-backups/restic/*",
    }


def test_a_bucket_s_policy_spares_the_one_that_prunes_and_no_other(bypassing: Assembly) -> None:
    role = {"ArnNotLike": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/rwm-apply-prune"]}}
    policies = {
        policy["Bucket"]: {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}
        for _, policy in bypassing.of_type("AWS::S3::BucketPolicy")
    }
    for bucket in ("careful-backups", "hasty-backups"):
        deletes = policies[bucket]["DenyVersionDeletes"]
        assert (deletes["Effect"], deletes["Action"], deletes["Condition"]) == (
            "Deny",
            ["s3:DeleteObjectVersion"],
            role,
        )
    assert policies["hasty-backups"]["DenyBypass"]["Condition"] == role
    assert "Condition" not in policies["careful-backups"]["DenyBypass"]

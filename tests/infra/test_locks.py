"""Lock upkeep: a role that can lock for a while, in governance mode, what its repositories hold, and nothing else."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler

from functions.configuration import read_toml
from functions.domain.bucket_policy import Surroundings, bucket_policy
from infra.arns import Arns
from infra.locks import Locks
from infra.permissions_page import ACCOUNT, REGION
from tests.infra.permissions import Identity, expand, identities, several
from tests.infra.templates import Assembly
from tests.infra.test_permission_table import LEDGER, OPERATIONS, OWN_LOGS, WORM_ADMINISTRATION

DEPLOYED = """
[repositories.alpha]
bucket = "alphas"
[repositories.beta]
bucket = "shared"
prefix = "restic/beta"
lock_days = 20
lock_schedule = "rate(12 hours)"
[repositories.gamma]
bucket = "shared"
prefix = "restic/gamma"
lock_days = 20
lock_schedule = "never"
"""
SETS = "s3:PutObjectRetention"


@pytest.fixture(scope="module")
def locks(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Lock upkeep in a stack of its own."""
    directory = tmp_path_factory.mktemp("locks")
    (directory / "repositories.toml").write_text(DEPLOYED)
    outdir = directory / "cdk.out"
    app = cdk.App(outdir=str(outdir))
    environment = cdk.Environment(account=ACCOUNT, region=REGION)
    # Nothing of it is data; the reader of assemblies wants all stacks.
    for other in ("rwm-data", "rwm-watch"):
        cdk.CfnWaitConditionHandle(cdk.Stack(app, other, env=environment), "Nothing")
    stack = cdk.Stack(app, "rwm-flows", env=environment)
    group = scheduler.CfnScheduleGroup(stack, "Schedules", name="rwm")
    code = lambda_.Code.from_inline("def handler(): ...")
    arns = Arns.of(stack, read_toml(directory / "repositories.toml"))
    Locks(stack, "Locks", arns=arns, code=code, schedules=group)
    app.synth()
    return Assembly.read(outdir)


@pytest.fixture(scope="module")
def role(locks: Assembly) -> Identity:
    return identities(locks)["rwm-extend-retention"]


def test_it_may_look_lock_and_report_and_nothing_else(role: Identity) -> None:
    looks = {"s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"}
    tables = {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"}
    assert role.allowed == expand(OWN_LOGS | looks | tables | {"s3:GetObjectRetention", SETS, "sns:Publish"})


def test_it_may_bypass_nothing_delete_nothing_hold_nothing_and_read_no_object(role: Identity) -> None:
    never = expand(each for each in WORM_ADMINISTRATION if each.startswith("s3:"))
    others = expand(
        ["s3:DeleteObject*", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectLegalHold"]
    )
    assert "s3:bypassgovernanceretention" in never
    assert role.allowed & (never | others) == expand([SETS, "s3:ListBucketVersions"])
    assert not role.allowed & expand(["dynamodb:DeleteItem", "dynamodb:UpdateItem", "lambda:*", "states:*"])


def test_it_locks_in_governance_mode_and_for_lock_days_at_most(role: Identity) -> None:
    statements = {
        condition["NumericLessThanEquals"]["s3:object-lock-remaining-retention-days"]: (
            set(several(each["Resource"])),
            condition["StringEquals"],
        )
        for each in role.statements
        if SETS in several(each["Action"])
        for condition in [each["Condition"]]
    }
    governance = {"s3:object-lock-mode": "GOVERNANCE"}
    assert statements == {
        "14": ({"arn:aws:s3:::alphas/*"}, governance),
        "20": ({"arn:aws:s3:::shared/restic/beta/*", "arn:aws:s3:::shared/restic/gamma/*"}, governance),
    }
    # A key that is not in the request makes a positive condition false, but not one that says IfExists.
    assert not [condition for condition in role.conditions(SETS) if "IfExists" in str(condition)]


def test_it_looks_at_its_repositories_only(role: Identity) -> None:
    assert role.resources("s3:GetObjectRetention") == role.resources(SETS)
    assert role.conditions("s3:ListBucketVersions") == [
        {},
        {"StringLike": {"s3:prefix": "restic/beta/*"}},
        {"StringLike": {"s3:prefix": "restic/gamma/*"}},
    ]


def test_it_writes_its_own_reports_and_no_state(role: Identity) -> None:
    own = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["locks#*"]},
        # ForAllValues is also true of a request without the key.
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    assert role.resources("dynamodb:PutItem") == {OPERATIONS}
    assert role.conditions("dynamodb:PutItem") == [own]
    assert role.resources("dynamodb:GetItem") == {LEDGER}
    reads = [each for each in role.statements if "dynamodb:Query" in several(each["Action"])]
    no_tokens = {
        "ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["plan-token#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    assert {str(each["Resource"]): each.get("Condition") for each in reads} == {LEDGER: None, OPERATIONS: no_tokens}


def test_each_repository_has_its_schedule_unless_it_wants_none(locks: Assembly) -> None:
    schedules: dict[str, Any] = {each["Name"]: each for _, each in locks.of_type("AWS::Scheduler::Schedule")}
    assert {name: each["ScheduleExpression"] for name, each in schedules.items()} == {
        "_locks-alpha": "rate(1 day)",
        "_locks-beta": "rate(12 hours)",
    }
    assert schedules["_locks-beta"]["Target"]["Input"] == '{"repository": "beta", "reason": "schedule"}'


def test_the_schedule_may_start_it_and_nothing_else(locks: Assembly) -> None:
    starts = identities(locks)["rwm-extend-retention-schedule"]
    assert starts.allowed == expand(["lambda:InvokeFunction"])
    assert starts.resources("lambda:InvokeFunction") == {
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rwm-extend-retention"
    }


def test_a_run_that_fails_raises_an_alarm(locks: Assembly) -> None:
    (alarm,) = [each for _, each in locks.of_type("AWS::CloudWatch::Alarm")]
    assert (alarm["MetricName"], alarm["Namespace"]) == ("Errors", "AWS/Lambda")
    assert alarm["AlarmActions"] == [f"arn:aws:sns:{REGION}:{ACCOUNT}:rwm-alerts"]


def test_the_function_is_the_one_that_the_buckets_spare(locks: Assembly, tmp_path: Path) -> None:
    (tmp_path / "repositories.toml").write_text(DEPLOYED)
    configuration = read_toml(tmp_path / "repositories.toml")
    where = Surroundings("aws", ACCOUNT, configuration)
    for bucket, repositories in configuration.buckets.items():
        (denies,) = [each for each in bucket_policy(bucket, repositories, where) if each["Sid"] == "DenyLocks"]
        assert denies["Condition"] == {
            "ArnNotLike": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/rwm-extend-retention"]}
        }
    assert "rwm-extend-retention" in identities(locks)

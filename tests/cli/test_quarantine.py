"""`rwm quarantine` and `rwm unquarantine`: who is denied to write, what is left to a person, and what is looked up."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.domain.quarantine import DENIED
from functions.domain.repositories import Repository
from tests.cli.deployed import ACCOUNT, NAMES, Deployed, denied, document, sentence

FOREIGN = "arn:aws:iam::210987654321:role/backup"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/services/backup"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/rwm-beta-quarantine"
DENIES = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": list(DENIED), "Resource": "arn:aws:s3:::x/*"}}
)
HOST, MAINTENANCE = NAMES.host("beta"), NAMES.maintenance("beta")


@pytest.fixture
def with_policies(deployed: Deployed) -> Deployed:
    iam = deployed.aws.iam
    for user in (HOST, MAINTENANCE):
        iam.create_user(UserName=user)
    iam.create_role(RoleName="backup", Path="/services/", AssumeRolePolicyDocument="{}")
    for name in ("beta", "mixed"):
        iam.create_policy(PolicyName=NAMES.quarantine(name), PolicyDocument=DENIES)
    return deployed


def mixed(deployed: Deployed) -> None:
    """A repository whose hosts are a role of this account and one of another."""
    deployed.deploy(Repository(name="mixed", bucket="mixed-bucket", hosts=(ROLE, FOREIGN)))
    deployed.aws.s3.create_bucket(
        Bucket="mixed-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )


def attached(deployed: Deployed, user: str) -> list[str]:
    found = deployed.aws.iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
    return [each["PolicyArn"] for each in found]


def test_both_the_host_and_maintenance_are_put_into_quarantine(with_policies: Deployed) -> None:
    result = with_policies.rwm("quarantine", "beta", "--yes", "--json")
    assert result.exit_code == 0
    standing = document(result)
    assert standing["principals"] == [
        {"arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "quarantined": True, "by_hand": False, "why": ""}
        for name in (HOST, MAINTENANCE)
    ]
    assert (standing["policy"], standing["bucket_statement"]) == (POLICY, None)
    assert attached(with_policies, HOST) == attached(with_policies, MAINTENANCE) == [POLICY]


def test_again_is_no_change_and_unquarantine_ends_it(with_policies: Deployed) -> None:
    for _ in range(2):
        assert with_policies.rwm("quarantine", "beta", "--yes").exit_code == 0
    assert attached(with_policies, HOST) == [POLICY]
    for _ in range(2):
        ended = with_policies.rwm("unquarantine", "beta")
        assert ended.exit_code == 0
        assert "The quarantine of beta is over" in ended.stdout
    assert attached(with_policies, HOST) == attached(with_policies, MAINTENANCE) == []


def test_it_says_what_stops_and_how_it_ends(with_policies: Deployed) -> None:
    said = with_policies.rwm("quarantine", "beta", "--yes").stdout
    assert "IAM takes a few seconds" in said
    assert "so does restic's own prune" in said
    assert "`rwm unquarantine beta` ends it" in said


@pytest.mark.parametrize(("typed", "code", "says"), [("y\n", 0, ""), ("n\n", 2, "nobody was put into quarantine")])
def test_it_asks_first(with_policies: Deployed, typed: str, code: int, says: str) -> None:
    result = with_policies.rwm("quarantine", "beta", typed=typed)
    assert result.exit_code == code
    assert "Every backup to it fails" in sentence(result)
    assert says in sentence(result)
    assert bool(attached(with_policies, HOST)) is (code == 0)


def test_a_repository_that_is_not_deployed_is_refused_before_anybody_is_asked(with_policies: Deployed) -> None:
    result = with_policies.rwm("quarantine", "gamma", typed="y\n")
    assert result.exit_code == 2
    assert "no repository 'gamma'" in sentence(result)


# --- principals of other accounts ------------------------------------------------------------------------------


def test_who_is_of_another_account_is_named_with_the_statement_that_denies_it(with_policies: Deployed) -> None:
    mixed(with_policies)
    result = with_policies.rwm("quarantine", "mixed", "--yes", "--json")
    assert result.exit_code == 1
    standing = document(result)
    assert [(each["arn"], each["quarantined"], each["by_hand"]) for each in standing["principals"]] == [
        (ROLE, True, False),
        (FOREIGN, False, True),
    ]
    statement = standing["bucket_statement"]
    assert statement["Resource"] == "arn:aws:s3:::mixed-bucket/*"
    assert statement["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [FOREIGN]}}
    shown = with_policies.rwm("quarantine", "mixed", "--yes").stdout
    assert "must have this statement" in shown
    assert f'"{FOREIGN}"' in shown


def test_once_the_bucket_has_the_statement_it_is_done_and_to_end_it_it_must_go(with_policies: Deployed) -> None:
    mixed(with_policies)
    s3 = with_policies.aws.s3
    statement = document(with_policies.rwm("quarantine", "mixed", "--yes", "--json"))["bucket_statement"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket="mixed-bucket", Policy=policy)
    assert with_policies.rwm("quarantine", "mixed", "--yes").exit_code == 0
    ended = with_policies.rwm("unquarantine", "mixed")
    assert ended.exit_code == 1
    assert "must no longer have this statement" in ended.stdout
    s3.delete_bucket_policy(Bucket="mixed-bucket")
    assert with_policies.rwm("unquarantine", "mixed").exit_code == 0


# --- what IAM says -----------------------------------------------------------------------------------------------


def test_a_user_that_is_gone_keeps_nobody_else_out_of_quarantine(with_policies: Deployed) -> None:
    with_policies.aws.iam.delete_user(UserName=HOST)
    result = with_policies.rwm("quarantine", "beta", "--yes", "--json")
    assert result.exit_code == 1
    gone, other = document(result)["principals"]
    assert "IAM does not have it" in gone["why"]
    assert other["quarantined"]
    assert attached(with_policies, MAINTENANCE) == [POLICY]


def _refusing(deployed: Deployed, operation: str, error: ClientError) -> None:
    def refuse(**_: Any) -> Any:
        raise error

    setattr(deployed.aws.iam, operation, refuse)


def test_who_has_ten_policies_already_is_told_so(with_policies: Deployed) -> None:
    _refusing(with_policies, "attach_user_policy", denied("AttachUserPolicy", "LimitExceeded"))
    result = with_policies.rwm("quarantine", "beta", "--yes")
    assert result.exit_code == 1
    assert "as many managed policies as IAM allows" in result.stdout


def test_who_is_no_administrator_is_told_who_may(with_policies: Deployed) -> None:
    _refusing(with_policies, "attach_user_policy", denied("AttachUserPolicy", "AccessDenied"))
    result = with_policies.rwm("quarantine", "beta", "--yes")
    assert result.exit_code == 2
    assert "may not iam:AttachUserPolicy; not every host is in quarantine" in sentence(result)
    assert "Only an administrator's own credentials may" in sentence(result)


def test_what_iam_does_not_show_is_not_in_force(with_policies: Deployed) -> None:
    """It is eventually consistent: what was attached shows after a while, or something else is wrong."""
    with_policies.aws.iam.attach_user_policy = lambda **_: {}  # type: ignore[method-assign,assignment]
    pauses: list[float] = []
    with_policies.aws.pause = pauses.append
    result = with_policies.rwm("quarantine", "beta", "--yes")
    assert result.exit_code == 1
    assert "IAM does not show yet" in result.stdout
    assert len(pauses) == 4


def test_what_shows_after_a_while_is_in_force(with_policies: Deployed) -> None:
    iam = with_policies.aws.iam
    attach: Callable[..., Any] = iam.attach_user_policy
    asked: list[dict[str, Any]] = []
    iam.attach_user_policy = lambda **given: asked.append(given)  # type: ignore[method-assign,assignment]
    with_policies.aws.pause = lambda _: [attach(**given) for given in asked]  # type: ignore[assignment]
    assert with_policies.rwm("quarantine", "beta", "--yes").exit_code == 0

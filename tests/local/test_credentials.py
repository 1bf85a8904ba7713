"""Profiles work in boto3 and the aws cli, for exactly the users and roles that are deployed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.domain.names import Names
from local.credentials import PRINCIPALS, issue_profiles
from local.embedded import EmbeddedAws
from tests.local.conftest import Account, allow, policy, refusal

NAMES = Names("rwm")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws.start(tmp_path_factory.mktemp("aws")) as aws:
        _deploy(aws)
        yield aws


def _deploy(aws: EmbeddedAws) -> None:
    """What the stacks leave: two repositories, one of them with maintenance, and the two roles."""
    iam, ssm = aws.client("iam"), aws.client("ssm")
    for repository in ("a", "b-c"):
        ssm.put_parameter(Name=NAMES.repository_parameter(repository), Type="String", Value="{}")
        iam.create_user(UserName=NAMES.host(repository))
    iam.create_user(UserName=NAMES.maintenance("b-c"))
    _role(iam, "operator", {})
    _role(iam, "downloader", {})
    _role(iam, "approver", {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}})


def _role(iam: Any, who: str, condition: dict[str, Any]) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": list(PRINCIPALS)},
        "Action": "sts:AssumeRole",
        **condition,
    }
    name = NAMES.role(who)
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))
    iam.put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=policy(allow("s3:ListAllMyBuckets", **condition)),
    )


def who(aws: EmbeddedAws, profile: str) -> str:
    return str(aws.client("sts", profile).get_caller_identity()["Arn"]).rpartition(":")[2]


def test_each_profile_is_who_it_says(deployed: EmbeddedAws) -> None:
    assert issue_profiles(deployed, NAMES) == [
        "host-a",
        "host-b-c",
        "maintenance-b-c",
        "local-person",
        "operator",
        "downloader",
        "approver",
        "rwm-operator",
        "rwm-downloader",
        "rwm-approver",
    ]
    assert who(deployed, "host-a") == "user/rwm-a-host"
    assert who(deployed, "maintenance-b-c") == "user/rwm-b-c-maintenance"
    assert who(deployed, "operator").startswith("assumed-role/rwm-operator/")
    assert who(deployed, "downloader").startswith("assumed-role/rwm-downloader/")
    assert who(deployed, "approver") == "assumed-role/rwm-approver/local-person"
    for profile in ("operator", "downloader", "approver"):
        assert who(deployed, f"rwm-{profile}") == who(deployed, profile)
    for profile in ("operator", "approver"):
        deployed.client("s3", profile).list_buckets()
    list_as_host = deployed.client("s3", "host-a").list_buckets
    assert refusal(list_as_host) == "AccessDenied"


def test_keys_stay_the_same_when_issued_again(deployed: EmbeddedAws) -> None:
    def key() -> str:
        credentials = deployed.session("host-a").get_credentials()
        assert credentials is not None
        return str(credentials.access_key)

    issue_profiles(deployed, NAMES)
    first = key()
    issue_profiles(deployed, NAMES)
    assert key() == first
    (only,) = deployed.client("iam").list_access_keys(UserName="rwm-a-host")["AccessKeyMetadata"]
    assert only["AccessKeyId"] == first


def test_the_aws_cli_uses_the_profiles_from_another_shell(deployed: EmbeddedAws, tmp_path: Path) -> None:
    """Of the embedded AWS that runs now, not of one before it whose session it remembers."""
    issue_profiles(deployed, NAMES)
    assert ":assumed-role/rwm-operator/" in _who_says_the_aws_cli(deployed, tmp_path)
    with EmbeddedAws.start(tmp_path / "next") as following:
        _deploy(following)
        issue_profiles(following, NAMES)
        assert ":assumed-role/rwm-operator/" in _who_says_the_aws_cli(following, tmp_path)


def _who_says_the_aws_cli(aws: EmbeddedAws, home: Path) -> str:
    return str(_aws_cli(aws, home, "operator", "sts", "get-caller-identity")["Arn"])


def test_the_aws_cli_reaches_the_embedded_queues(account: Account, tmp_path: Path) -> None:
    url, _ = account.queue()
    # Version 1 of the aws cli takes SQS's endpoint from nowhere else.
    endpoint = ["--endpoint-url", account.aws.environment["AWS_ENDPOINT_URL_SQS"]]
    assert url in _aws_cli(account.aws, tmp_path, "admin", *endpoint, "sqs", "list-queues")["QueueUrls"]


def _aws_cli(aws: EmbeddedAws, home: Path, profile: str, *command: str) -> Any:
    shell = {"PATH": os.environ["PATH"], "HOME": str(home), "AWS_PROFILE": profile, **aws.environment}
    cli = str(Path(sys.executable).with_name("aws"))
    answer = subprocess.run([cli, *command], env=shell, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_without_a_deployment_there_is_admin_only(account: Account) -> None:
    assert issue_profiles(account.aws, Names("nothing")) == []
    assert who(account.aws, "admin") == "root"

"""The largest deployment stays clear of AWS's limits, so that the last repository added is not the one that fails."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.configuration import BadConfiguration
from functions.domain.repositories import MOST_IN_A_BUCKET, MOST_REPOSITORIES, Configuration
from infra.deployment import compose
from tests.infra.permissions import identities
from tests.infra.templates import LONGEST, Assembly

MOST_RESOURCES = 480
LARGEST_SHARE = 0.9
LONGEST_PRINCIPAL = 128
"""Characters of a principal's path and name, as functions/domain/repositories.py allows."""

LIMITS = {
    "role, inline": 10_240,
    "role, trust": 2_048,
    "managed policy": 6_144,
    "bucket policy": 20_480,
    "queue policy": 8_192,
    "topic policy": 30_720,
    "parameter": 4_096,
    "state machine": 1_048_576,
    "template": 1_048_576,
}


def _user(number: int) -> str:
    name = f"{number:03d}"
    return f"arn:aws:iam::123456789012:user/{name}{'u' * (LONGEST_PRINCIPAL - len(name))}"


def _secret(number: int) -> str:
    """As long as Secrets Manager has them: 512 characters, and the six that it adds."""
    return f"{number:02d}{'s' * 510}-AbCdEf"


def _largest(*, in_a_bucket: int, given: bool, **more: Any) -> Configuration:
    """30 repositories, every name as long as it can be. Principals are `given`, or RWM makes users."""
    repositories = [
        {
            "name": f"{number:02d}{'n' * 30}",
            "bucket": f"{number // in_a_bucket:02d}{'b' * 61}",
            "prefix": f"{number:02d}{'p' * 62}",
            "hosts": [_user(number * 10 + host) for host in range(4)] if given else ["create"],
            "maintenance": _user(number * 10 + 9) if given else "create",
            "kms_key": f"arn:aws:kms:ap-southeast-1:123456789012:key/mrk-{number // in_a_bucket:032d}",
            "check_level": "complete",
            "check_schedule": f"cron({number:02d} 3 ? * MON-FRI *)",
            "restic_password_secret": f"arn:aws:secretsmanager:ap-southeast-1:123456789012:secret:{_secret(number)}",
            "migrations": [
                {"since": f"20{year}-01-01T00:00:00Z", "until": f"20{year}-01-02T00:00:00Z"} for year in range(26, 36)
            ],
            "storage_classes": ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "DEEP_ARCHIVE"],
        }
        for number in range(MOST_REPOSITORIES)
    ]
    return Configuration.model_validate(
        {
            "deployment": "rwmrwmrw",
            "repositories": repositories,
            "operators": [_user(800 + number) for number in range(8)],
            "approvers": [_user(900 + number) for number in range(8)],
            "downloaders": [_user(950 + number) for number in range(8)],
            "break_glass": _user(999),
            "deployer": "d" * 64,
            "report_schedule": "cron(0 3 ? * MON-FRI *)",
            "alert_emails": [f"{number:02d}{'e' * 62}@{'d' * 180}.example" for number in range(20)],
            "restore_targets": [f"{number}{'t' * 61}*" for number in range(10)],
            **more,
        }
    )


def _synthesized(configuration: Configuration, directory: Path) -> Assembly:
    # For no account and region in particular: the placeholders are replaced by the longest real values.
    compose(configuration, context={"aws:cdk:bundling-stacks": []}, outdir=str(directory)).synth()
    return Assembly.read(directory, configuration.deployment, LONGEST)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param({"in_a_bucket": 1, "given": True}, id="a bucket each, principals given"),
        pytest.param({"in_a_bucket": MOST_IN_A_BUCKET, "given": False}, id="buckets shared, users made"),
    ],
)
def largest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return _synthesized(_largest(**request.param), tmp_path_factory.mktemp("largest"))


def _size(document: Any) -> int:
    """As IAM counts: without white space."""
    return len(document if isinstance(document, str) else json.dumps(document, separators=(",", ":")))


def _sizes(assembly: Assembly) -> Iterator[tuple[str, str, int]]:
    """What is limited, of whom, and its size."""
    for logical_id, role in assembly.of_type("AWS::IAM::Role"):
        yield "role, inline", logical_id, sum(_size(each["PolicyDocument"]) for each in role.get("Policies", ()))
        yield "role, trust", logical_id, _size(role["AssumeRolePolicyDocument"])
    for kind, resource_type in (
        ("managed policy", "AWS::IAM::ManagedPolicy"),
        ("bucket policy", "AWS::S3::BucketPolicy"),
        ("queue policy", "AWS::SQS::QueuePolicy"),
        ("topic policy", "AWS::SNS::TopicPolicy"),
    ):
        for logical_id, policy in assembly.of_type(resource_type):
            yield kind, logical_id, _size(policy["PolicyDocument"])
    for logical_id, parameter in assembly.of_type("AWS::SSM::Parameter"):
        yield "parameter", logical_id, _size(parameter["Value"])
    for logical_id, machine in assembly.of_type("AWS::StepFunctions::StateMachine"):
        yield "state machine", logical_id, _size(machine["DefinitionString"])
    for template in assembly.templates:
        yield "template", template.name, _size(template.content)


def test_every_policy_is_at_most_nine_tenths_of_its_limit(largest: Assembly) -> None:
    sizes = list(_sizes(largest))
    assert {kind for kind, _, _ in sizes} == set(LIMITS), "a kind of policy is not measured"
    assert [(kind, who, size) for kind, who, size in sizes if size > LIMITS[kind] * LARGEST_SHARE] == []


def test_a_stack_holds_at_most_480_resources(largest: Assembly) -> None:
    assert {each.name: len(each.resources) for each in largest.templates if len(each.resources) > MOST_RESOURCES} == {}


def test_a_role_has_at_most_nine_managed_policies(largest: Assembly) -> None:
    assert max(len(role.get("ManagedPolicyArns", ())) for _, role in largest.of_type("AWS::IAM::Role")) <= 9


NAME_LIMITS: Mapping[str, tuple[str, int]] = {
    "AWS::IAM::Role": ("RoleName", 64),
    "AWS::IAM::User": ("UserName", 64),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", 128),
    "AWS::S3::Bucket": ("BucketName", 63),
    "AWS::SQS::Queue": ("QueueName", 80),
    "AWS::SNS::Topic": ("TopicName", 256),
    "AWS::Lambda::Function": ("FunctionName", 64),
    "AWS::Scheduler::Schedule": ("Name", 64),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", 80),
}


def test_every_name_fits(largest: Assembly) -> None:
    names = {
        (resource_type, properties[field], limit)
        for resource_type, (field, limit) in NAME_LIMITS.items()
        for _, properties in largest.of_type(resource_type)
    }
    assert [(kind, name) for kind, name, limit in names if len(name) > limit] == []


def test_all_permissions_of_the_smallest_deployment_are_in_the_largest(largest: Assembly, shipped: Assembly) -> None:
    """Packing into several policies loses nothing: each role still may what it may with two repositories."""
    small, large = identities(shipped), identities(largest)
    roles = [name for name, each in small.items() if each.trust is not None]
    for name in roles:
        assert large[name.replace("rwm-", "rwmrwmrw-", 1)].allowed >= small[name].allowed


def test_too_many_hosts_in_one_bucket_are_refused_before_a_deployment(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"policy of bucket 00b+ would take .* fewer hosts.*nothing was synth"):
        compose(_largest(in_a_bucket=MOST_IN_A_BUCKET, given=True), outdir=str(tmp_path / "cdk.out"))


def test_too_many_operators_are_refused_before_a_deployment(tmp_path: Path) -> None:
    many = [_user(number) for number in range(20)]
    with pytest.raises(BadConfiguration, match=r"trust policy of operators .* nothing was synthesized"):
        compose(_largest(in_a_bucket=1, given=False, operators=many), outdir=str(tmp_path / "cdk.out"))

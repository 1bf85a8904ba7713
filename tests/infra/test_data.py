"""The stateful stack: it keeps its resources, their logical ids, and the protections of what it holds."""

import json
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from functions.configuration import read_toml
from functions.domain.bucket_policy import Surroundings, bucket_policy
from infra.deployment import compose
from infra.permissions_page import ACCOUNT, EXAMPLE
from tests.infra.templates import Assembly

KNOWN_IDS = Path(__file__).with_name("stateful_ids.json")
BUCKETS = ("rwm-demo-alpha", "rwm-demo-beta", "rwm-records-123456789012-eu-central-1")
SCRATCH = "rwm-drill-123456789012-eu-central-1"
KEPT = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::DynamoDB::GlobalTable")


def test_no_stateful_logical_id_changes(shipped: Assembly) -> None:
    """CloudFormation replaces what it no longer finds under its id. A new resource is added to the file by hand."""
    found = {logical_id: resource["Type"] for logical_id, resource in shipped.data.resources.items()}
    assert found == json.loads(KNOWN_IDS.read_text()), f"{KNOWN_IDS.name} lists what must keep its logical id"


def test_buckets_their_policies_and_tables_outlive_their_stack(shipped: Assembly) -> None:
    kept = {
        logical_id: (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        for logical_id, resource in shipped.data.resources.items()
        if resource["Type"] in KEPT
    }
    assert len(kept) == 10
    assert set(kept.values()) == {("Retain", "Retain")}


def test_only_the_stateful_stack_is_protected_against_termination(shipped: Assembly) -> None:
    artifacts = json.loads((shipped.directory / "manifest.json").read_text())["artifacts"]
    protected = {
        name: artifact["properties"].get("terminationProtection", False)
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    assert protected == {"rwm-data": True, "rwm-flows": False, "rwm-watch": False}


def test_the_stateless_stacks_hold_no_data_and_are_deployed_after_it(shipped: Assembly) -> None:
    listed = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "StatefulResources.json"
    stateful = set(json.loads(listed.read_text())["ResourceTypes"]) | set(KEPT)
    # Messages are hints and logs no evidence: a schedule records without the one, the ledger stands without the other.
    without_data = {"AWS::SQS::Queue", "AWS::Logs::LogGroup"}
    for stateless in (shipped.flows, shipped.watch):
        types = {resource["Type"] for resource in stateless.resources.values()}
        assert types & (stateful - without_data) == set()
    artifacts = json.loads((shipped.directory / "manifest.json").read_text())["artifacts"]
    assert "rwm-data" in artifacts["rwm-flows"]["dependencies"]
    assert "rwm-flows" in artifacts["rwm-watch"]["dependencies"]


def test_the_stacks_are_tied_by_names_only(shipped: Assembly) -> None:
    for template in shipped.templates:
        assert "Fn::ImportValue" not in json.dumps(template.content)
    assert "Outputs" not in shipped.data.content


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_versioned_locked_private_and_closed_to_foreign_keys(shipped: Assembly, name: str) -> None:
    (bucket,) = [each for _, each in shipped.of_type("AWS::S3::Bucket") if each["BucketName"] == name]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["ObjectLockEnabled"] is True
    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "GOVERNANCE", "Days": 90 if "records" in name else 1}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert encryption["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    rule, *others = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert not [key for key in rule if "Expiration" in key or "Transition" in key]
    assert [each["Prefix"] for each in others] == (["recordings/", "pages/"] if "records" in name else [])


def _policy(assembly: Assembly, bucket: str) -> list[Any]:
    (policy,) = [each for _, each in assembly.of_type("AWS::S3::BucketPolicy") if each["Bucket"] == bucket]
    statements: list[Any] = policy["PolicyDocument"]["Statement"]
    return statements


def test_a_protected_bucket_has_exactly_the_policy_that_connect_prints(shipped: Assembly) -> None:
    configuration = read_toml(EXAMPLE)
    where = Surroundings("aws", ACCOUNT, configuration)
    for bucket, repositories in configuration.buckets.items():
        assert _policy(shipped, bucket) == bucket_policy(bucket, repositories, where)


def test_the_records_bucket_denies_version_deletes_hiding_and_forged_heads_and_listings(shipped: Assembly) -> None:
    bucket = BUCKETS[2]
    statements = {each["Sid"]: each for each in _policy(shipped, bucket)}
    assert all(each["Effect"] == "Deny" and each["Principal"] == "*" for each in statements.values())
    for sid, action in (
        ("DenyVersionDeletes", "s3:DeleteObjectVersion"),
        ("DenyBypass", "s3:BypassGovernanceRetention"),
    ):
        assert statements[sid]["Action"] == [action]
        assert "Condition" not in statements[sid], "without a break-glass principal nobody is exempt, no prune either"
    assert statements["DenyLocks"]["Action"] == ["s3:PutObjectLegalHold", "s3:PutObjectRetention"]
    assert "Condition" not in statements["DenyLocks"], "its own default locks what is written, and nobody else does"
    assert statements["DenyHiding"]["Action"] == "s3:DeleteObject"
    assert statements["DenyHiding"]["Resource"] == f"arn:aws:s3:::{bucket}/*"
    writers = (
        ("OnlyRecordWritesHeads", "heads/*", ["record", "close-recording"]),
        ("OnlyListRangeWritesParts", "recordings/*/parts/*", ["list-range"]),
        ("OnlyPublishPagesWritesPages", "pages/*", ["publish-pages"]),
    )
    for sid, beneath, steps in writers:
        only = statements[sid]
        roles = [f"arn:aws:iam::{ACCOUNT}:role/rwm-{step}" for step in steps]
        assert (only["Action"], only["Resource"]) == ("s3:PutObject", f"arn:aws:s3:::{bucket}/{beneath}")
        assert only["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": roles}}


def test_the_bucket_of_drills_keeps_nothing_for_longer_than_a_day(shipped: Assembly) -> None:
    (bucket,) = [each for _, each in shipped.of_type("AWS::S3::Bucket") if each["BucketName"] == SCRATCH]
    assert bucket["LifecycleConfiguration"]["Rules"] == [
        {
            "Id": "Empty",
            "Status": "Enabled",
            "ExpirationInDays": 1,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]
    # With either, what lifecycle deletes would stay.
    assert not {"VersioningConfiguration", "ObjectLockEnabled", "ObjectLockConfiguration"} & set(bucket)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert encryption["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_only_the_step_that_copies_writes_to_the_bucket_of_drills_and_nobody_without_tls(shipped: Assembly) -> None:
    statements = {each["Sid"]: each for each in _policy(shipped, SCRATCH)}
    assert set(statements) == {"DenyPlainHttp", "DenyOldTls", "OnlyCopyWrites"}
    assert all(each["Effect"] == "Deny" and each["Principal"] == "*" for each in statements.values())
    where = [f"arn:aws:s3:::{SCRATCH}", f"arn:aws:s3:::{SCRATCH}/*"]
    assert (statements["DenyPlainHttp"]["Action"], statements["DenyPlainHttp"]["Resource"]) == ("s3:*", where)
    assert statements["DenyPlainHttp"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    only = statements["OnlyCopyWrites"]
    assert (only["Action"], only["Resource"]) == ("s3:PutObject", where[1])
    copy_batch = f"arn:aws:iam::{ACCOUNT}:role/rwm-copy-batch"
    assert only["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [copy_batch]}}


@pytest.mark.parametrize("name", ["rwm-ledger", "rwm-operations"])
def test_a_table_can_be_recovered_and_not_be_deleted(shipped: Assembly, name: str) -> None:
    (table,) = [each for _, each in shipped.of_type("AWS::DynamoDB::GlobalTable") if each["TableName"] == name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [("pk", "HASH"), ("sk", "RANGE")]
    (replica,) = table["Replicas"]
    assert replica["DeletionProtectionEnabled"] is True
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


ADOPTED = """
[repositories.theirs]
bucket = "theirs"
adopt = true
hosts = ["arn:aws:iam::210987654321:role/backup"]
maintenance = "arn:aws:iam::210987654321:role/maintenance"
kms_key = "arn:aws:kms:eu-central-1:123456789012:key/theirs"
"""


def test_nothing_is_created_for_an_adopted_bucket_or_a_given_principal(tmp_path: Path) -> None:
    (tmp_path / "repositories.toml").write_text(ADOPTED)
    configuration = read_toml(tmp_path / "repositories.toml")
    outdir = tmp_path / "cdk.out"
    compose(configuration, context={"aws:cdk:bundling-stacks": []}, outdir=str(outdir)).synth()
    assembly = Assembly.read(outdir)
    assert [each["BucketName"] for _, each in assembly.of_type("AWS::S3::Bucket")] == [BUCKETS[2], SCRATCH]
    assert list(assembly.of_type("AWS::IAM::User")) == []
    policies = {each["ManagedPolicyName"]: each for _, each in assembly.of_type("AWS::IAM::ManagedPolicy")}
    assert set(policies) == {"rwm-theirs-host", "rwm-theirs-maintenance", "rwm-theirs-quarantine"}
    for policy in (policies["rwm-theirs-host"], policies["rwm-theirs-maintenance"]):
        key = [each for each in policy["PolicyDocument"]["Statement"] if "kms" in str(each["Action"])]
        assert [(each["Action"], each["Resource"]) for each in key] == [
            (["kms:Decrypt", "kms:GenerateDataKey"], "arn:aws:kms:eu-central-1:123456789012:key/theirs")
        ]
    (queue,) = [
        each["PolicyDocument"]["Statement"]
        for logical_id, each in assembly.of_type("AWS::SQS::QueuePolicy")
        if "DeadLetters" not in logical_id
    ]
    senders = ["arn:aws:iam::210987654321:role/backup", "arn:aws:iam::210987654321:role/maintenance"]
    assert queue[1]["Condition"] == {"ArnEquals": {"aws:PrincipalArn": senders}}
    # Without people there are no roles for them.
    assert not [each for _, each in assembly.of_type("AWS::IAM::Role") if each["RoleName"] == "rwm-operator"]

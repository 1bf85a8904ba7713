"""What RWM relies on and ministack does otherwise: each test fails without the mend it names."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.embedded import ACCOUNT, REGION
from tests.local.conftest import Account, allow, deny, eventually, policy, refusal
from tests.tables import create_table

mends = pytest.mark.mends
EVERYTHING = allow("*")


# IAM


@mends("loopback_counts_as_tls")
def test_a_tls_only_bucket_serves_the_loopback_interface(account: Account) -> None:
    bucket = account.bucket()
    without_tls = {"Bool": {"aws:SecureTransport": "false"}}
    everywhere = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    account.bucket_policy(bucket, deny("s3:*", everywhere, Condition=without_tls))
    s3 = account.user(EVERYTHING)("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")


@mends("principal_arn_is_the_role")
def test_a_deny_exempts_a_role_by_its_own_arn(account: Account) -> None:
    bucket, exempt, other = account.bucket(), account.role(EVERYTHING), account.role(EVERYTHING)
    account.bucket_policy(
        bucket,
        deny(
            "s3:PutObject",
            f"arn:aws:s3:::{bucket}/*",
            Condition={"StringNotEquals": {"aws:PrincipalArn": exempt}},
        ),
    )
    account.assume(exempt)("s3").put_object(Bucket=bucket, Key="k", Body=b"")
    put = account.assume(other)("s3").put_object
    assert refusal(put, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"


@mends("paths_of_parameters_and_map_runs_are_resources")
def test_parameters_are_listed_under_the_path_that_is_allowed_and_no_other(account: Account) -> None:
    arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/mine"
    ssm = account.user(allow("ssm:GetParametersByPath", [arn, f"{arn}/*"]))("ssm")
    ssm.get_parameters_by_path(Path="/mine")
    assert refusal(ssm.get_parameters_by_path, Path="/others") == "AccessDeniedException"


@mends("paths_of_parameters_and_map_runs_are_resources")
def test_a_map_run_is_described_by_who_may_describe_that_one(account: Account) -> None:
    run = f"arn:aws:states:{REGION}:{ACCOUNT}:mapRun:mine/label:run"
    describe = account.user(allow("states:DescribeMapRun", run))("stepfunctions").describe_map_run
    # It is authorised, and then there is no such run.
    assert refusal(describe, mapRunArn=run) == "ResourceNotFound"
    assert refusal(describe, mapRunArn=run.replace("mine", "others")) == "AccessDeniedException"


@mends("denials_have_a_request_id")
def test_every_refusal_has_the_servers_request_id(account: Account) -> None:
    nobody = account.user(allow("ssm:GetParametersByPath"))
    calls: list[Callable[[], Any]] = [
        nobody("s3").list_buckets,
        nobody("dynamodb").list_tables,
        nobody("sqs").list_queues,
    ]
    for call in calls:
        with pytest.raises(ClientError) as denied:
            call()
        assert denied.value.response["ResponseMetadata"]["RequestId"]


@mends("simulations_weigh_the_resource_policy")
def test_a_simulation_weighs_the_bucket_policy_for_each_resource_and_in_its_context(account: Account) -> None:
    bucket, iam = account.bucket(), account.client("iam")
    arn = f"arn:aws:s3:::{bucket}"
    host = account.user(allow("s3:*"))("sts").get_caller_identity()["Arn"]
    denying = {
        "Principal": "*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": host}, "Bool": {"aws:SecureTransport": "true"}},
    }
    answer = iam.simulate_principal_policy(
        PolicySourceArn=host,
        ActionNames=["s3:DeleteObjectVersion", "iam:PassRole"],
        ResourceArns=[f"{arn}/mine", f"{arn}/others"],
        ResourcePolicy=policy(deny("s3:DeleteObjectVersion", f"{arn}/others", **denying)),
        ContextEntries=[
            {"ContextKeyName": "aws:PrincipalArn", "ContextKeyValues": [host], "ContextKeyType": "string"},
            {"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"},
        ],
    )
    decisions = {
        (result["EvalActionName"], each["EvalResourceName"]): each["EvalResourceDecision"]
        for result in answer["EvaluationResults"]
        for each in result["ResourceSpecificResults"]
    }
    assert decisions == {
        ("s3:DeleteObjectVersion", f"{arn}/mine"): "allowed",
        ("s3:DeleteObjectVersion", f"{arn}/others"): "explicitDeny",
        ("iam:PassRole", f"{arn}/mine"): "implicitDeny",
        ("iam:PassRole", f"{arn}/others"): "implicitDeny",
    }
    assert answer["EvaluationResults"][0]["EvalDecision"] == "explicitDeny"


@mends("simulations_are_asked_for_on_the_principal")
def test_a_principal_is_simulated_by_who_may_simulate_that_one(account: Account) -> None:
    mine, other = (account.user()("sts").get_caller_identity()["Arn"] for _ in range(2))
    simulate = account.user(allow("iam:SimulatePrincipalPolicy", mine))("iam").simulate_principal_policy
    simulate(PolicySourceArn=mine, ActionNames=["s3:GetObject"])
    assert refusal(simulate, PolicySourceArn=other, ActionNames=["s3:GetObject"]) == "AccessDenied"


@mends("simulations_weigh_the_resource_policy")
def test_a_stranger_cannot_be_simulated(account: Account) -> None:
    simulate = account.client("iam").simulate_principal_policy
    for stranger in (f"arn:aws:iam::{ACCOUNT}:user/nobody", "arn:aws:iam::999999999999:user/somebody"):
        assert refusal(simulate, PolicySourceArn=stranger, ActionNames=["s3:GetObject"]) == "NoSuchEntity"


@mends("mfa_is_remembered")
def test_a_role_that_wants_mfa_is_assumed_with_a_code_only(account: Account) -> None:
    with_mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    role = account.role(allow("s3:ListAllMyBuckets", Condition=with_mfa), Condition=with_mfa)
    sts = account.user(allow("sts:AssumeRole"))("sts")
    assert refusal(sts.assume_role, RoleArn=role, RoleSessionName="me") == "AccessDenied"
    device = f"arn:aws:iam::{ACCOUNT}:mfa/someone"
    approver = account.assume(role, SerialNumber=device, TokenCode="123456")
    approver("s3").list_buckets()


# S3


@mends("batch_deletes_of_versions_need_their_action")
def test_who_may_only_hide_cannot_destroy_a_version_in_a_batch(account: Account) -> None:
    bucket, root = account.bucket(), account.client("s3")
    version = root.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    host = account.user(allow("s3:DeleteObject"))("s3")
    one = {"Objects": [{"Key": "k", "VersionId": version}]}
    assert refusal(host.delete_objects, Bucket=bucket, Delete=one) == "AccessDenied"
    assert root.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read() == b"1"
    host.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})


CUSTOMER_KEY = os.urandom(32)
SSE_C = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": base64.b64encode(CUSTOMER_KEY).decode(),
    "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode(),
}
IN_90_DAYS = datetime.now(UTC) + timedelta(days=90)


def present(key: str) -> dict[str, str]:
    return {f"s3:{key}": "false"}


@mends("s3_condition_keys_are_resolved")
@pytest.mark.parametrize(
    ("condition", "call", "arguments"),
    [
        (
            {
                "StringNotEquals": {"s3:x-amz-storage-class": "STANDARD"},
                "Null": present("x-amz-storage-class"),
            },
            "put_object",
            {"StorageClass": "GLACIER"},
        ),
        (
            {"Null": present("x-amz-server-side-encryption-customer-algorithm")},
            "put_object",
            SSE_C,
        ),
        (
            {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "ours"}},
            "put_object",
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "theirs"},
        ),
        (
            {"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}},
            "put_object",
            {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": IN_90_DAYS},
        ),
        (
            {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "60"}},
            "put_object",
            {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": IN_90_DAYS},
        ),
        (
            {"Bool": {"s3:ObjectCreationOperation": "false"}},
            "create_multipart_upload",
            {},
        ),
        (
            {"Null": {"s3:if-none-match": "true"}},
            "put_object",
            {},
        ),
    ],
    ids=["storage class", "SSE-C", "KMS key", "lock mode", "lock days", "multipart", "overwrite"],
)
def test_a_deny_sees_what_a_write_asks_for(
    account: Account, condition: Any, call: str, arguments: dict[str, Any]
) -> None:
    bucket = account.bucket(locked=True)
    account.bucket_policy(bucket, deny("s3:PutObject", f"arn:aws:s3:::{bucket}/*", Condition=condition))
    host = account.user(EVERYTHING)("s3")
    asked = {"Bucket": bucket, "Key": "k", **arguments}
    assert refusal(getattr(host, call), **asked) == "AccessDenied"
    if "if-none-match" in str(condition):
        host.put_object(Bucket=bucket, Key="k", IfNoneMatch="*")
    elif "kms" not in str(condition):  # A negated condition also denies what lacks the header.
        host.put_object(Bucket=bucket, Key="k")


@mends("s3_condition_keys_are_resolved")
def test_a_deny_sees_what_a_retention_would_become(account: Account) -> None:
    bucket = account.bucket(locked=True)
    version = account.client("s3").put_object(Bucket=bucket, Key="k")["VersionId"]
    account.bucket_policy(
        bucket,
        deny(
            "s3:PutObjectRetention",
            f"arn:aws:s3:::{bucket}/*",
            Condition={"StringNotEquals": {"s3:object-lock-mode": "GOVERNANCE"}},
        ),
    )
    s3 = account.user(EVERYTHING)("s3")

    def retain(mode: str) -> dict[str, Any]:
        retention = {"Mode": mode, "RetainUntilDate": IN_90_DAYS}
        return {"Bucket": bucket, "Key": "k", "VersionId": version, "Retention": retention}

    assert refusal(s3.put_object_retention, **retain("COMPLIANCE")) == "AccessDenied"
    s3.put_object_retention(**retain("GOVERNANCE"))


@mends("put_headers_need_their_actions")
@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        (
            {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": IN_90_DAYS},
            "s3:PutObjectRetention",
        ),
        ({"ObjectLockLegalHoldStatus": "ON"}, "s3:PutObjectLegalHold"),
        ({"Tagging": "a=b"}, "s3:PutObjectTagging"),
        ({"ACL": "bucket-owner-full-control"}, "s3:PutObjectAcl"),
    ],
)
def test_a_put_with_special_headers_needs_their_permission(
    account: Account, arguments: dict[str, Any], action: str
) -> None:
    bucket = account.bucket(locked=True)
    host = account.user(allow("s3:PutObject"))("s3")
    assert refusal(host.put_object, Bucket=bucket, Key="k", **arguments) == "AccessDenied"
    host.put_object(Bucket=bucket, Key="k")
    allowed = account.user(allow(["s3:PutObject", action]))("s3")
    allowed.put_object(Bucket=bucket, Key="k", **arguments)


@mends("copies_are_proven_and_unlocked")
def test_a_copy_by_version_id_returns_the_sha256_of_its_bytes(account: Account) -> None:
    source, target, s3 = account.bucket(), account.bucket(), account.client("s3")
    old = s3.put_object(Bucket=source, Key="a b+c", Body=b"old")["VersionId"]
    s3.put_object(Bucket=source, Key="a b+c", Body=b"new")
    copied = s3.copy_object(
        Bucket=target,
        Key="k",
        CopySource={"Bucket": source, "Key": "a b+c", "VersionId": old},
        ChecksumAlgorithm="SHA256",
    )
    expected = base64.b64encode(hashlib.sha256(b"old").digest()).decode()
    assert copied["CopyObjectResult"]["ChecksumSHA256"] == expected
    assert copied["CopySourceVersionId"] == old
    head = s3.head_object(Bucket=target, Key="k", VersionId=copied["VersionId"], ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == expected
    assert head["ContentLength"] == 3


@mends("copies_are_proven_and_unlocked")
def test_a_copy_gets_the_locks_of_its_target_not_of_its_source(account: Account) -> None:
    source, target = account.bucket(locked=True), account.bucket(locked=True)
    s3 = account.client("s3")
    s3.put_object(
        Bucket=source,
        Key="k",
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=IN_90_DAYS,
        ObjectLockLegalHoldStatus="ON",
    )
    default = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    s3.put_object_lock_configuration(
        Bucket=target,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": default},
    )
    s3.copy_object(Bucket=target, Key="k", CopySource={"Bucket": source, "Key": "k"})
    head = s3.head_object(Bucket=target, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert "ObjectLockLegalHoldStatus" not in head


@mends("versioning_stays_on_under_object_lock")
def test_versioning_of_a_lock_bucket_cannot_be_suspended(account: Account) -> None:
    bucket, s3 = account.bucket(locked=True), account.client("s3")
    suspended = {"Status": "Suspended"}
    code = refusal(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=suspended)
    assert code == "InvalidBucketState"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@mends("blocked_sse_c_is_refused")
def test_a_bucket_that_blocks_customer_keys_refuses_them(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    for call in (s3.put_object, s3.create_multipart_upload):
        assert refusal(call, Bucket=bucket, Key="k", **SSE_C) == "AccessDenied"
    s3.put_object(Bucket=bucket, Key="k")


@mends("last_modified_has_whole_seconds")
def test_last_modified_has_whole_seconds(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    for number in range(20):
        s3.put_object(Bucket=bucket, Key=str(number))
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert {version["LastModified"].microsecond for version in versions} == {0}


@mends("multipart_versions_are_as_old_as_their_initiation")
def test_a_multipart_version_lands_below_what_was_written_since(account: Account) -> None:
    bucket, s3 = account.bucket(locked=True), account.client("s3")
    default = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 2}}
    s3.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": default},
    )
    where = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    part = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"multipart")
    time.sleep(1.1)
    single = s3.put_object(**where, Body=b"single")["VersionId"]
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    old = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})["VersionId"]
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [version["VersionId"] for version in listed] == [single, old]
    assert [version["IsLatest"] for version in listed] == [True, False]
    assert s3.get_object(**where)["Body"].read() == b"single"
    assert s3.head_object(**where, VersionId=old)["ObjectLockMode"] == "GOVERNANCE"


@mends("version_listings_page_and_encode")
def test_null_versions_are_listed_once_across_pages(account: Account) -> None:
    bucket, s3 = account.bucket(versioned=False), account.client("s3")
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key)
    listed: list[str] = []
    markers: dict[str, str] = {}
    for _ in range(4):
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=1, **markers)
        listed += [version["Key"] for version in page.get("Versions", [])]
        if not page["IsTruncated"]:
            break
        markers = {
            "KeyMarker": page["NextKeyMarker"],
            "VersionIdMarker": page["NextVersionIdMarker"],
        }
    assert listed == ["a", "b", "c"]


@mends("version_listings_page_and_encode")
def test_hostile_keys_survive_a_version_listing(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    keys = sorted(["a b+c%41&<>", "ctrl\x01\x0b", "new\nline", "ü/ﬀ/𝄞"], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key)
    raw = s3.list_object_versions(Bucket=bucket, EncodingType="url")
    assert raw["EncodingType"] == "url"
    assert "ctrl%01%0B" in [version["Key"] for version in raw["Versions"]]
    decoded = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [version["Key"] for version in decoded] == keys
    last = s3.list_object_versions(Bucket=bucket, KeyMarker=keys[-2])["Versions"]
    assert [version["Key"] for version in last] == keys[-1:]


# SQS


@mends("batches_need_no_action_of_their_own")
def test_send_message_is_enough_for_a_batch(account: Account) -> None:
    url, arn = account.queue()
    host = account.user(allow("sqs:SendMessage", arn))("sqs")
    sent = host.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "x"}])
    assert [entry["Id"] for entry in sent["Successful"]] == ["1"]


@mends("sender_id_names_the_caller")
def test_sender_id_names_a_user_and_a_session(account: Account) -> None:
    url, arn = account.queue()
    user = account.user(allow("sqs:SendMessage", arn))
    session = account.assume(account.role(allow("sqs:SendMessage", arn)))
    for clients in (user, session):
        clients("sqs").send_message(QueueUrl=url, MessageBody="x")
    received = account.client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["SenderId"]
    )["Messages"]
    senders = [message["Attributes"]["SenderId"] for message in received]
    assert senders == [clients("sts").get_caller_identity()["UserId"] for clients in (user, session)]


@mends("sender_id_names_the_caller")
def test_sender_id_reaches_the_function(account: Account) -> None:
    url, arn = account.queue()
    name = account.function(
        "def handler(event, context):\n    print('SENDER', [r['attributes']['SenderId'] for r in event['Records']])\n"
    )
    account.client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=name)
    user = account.user(allow("sqs:SendMessage", arn))
    user("sqs").send_message(QueueUrl=url, MessageBody="x")
    line = eventually(lambda: _logged(account, name, "SENDER"))
    assert user("sts").get_caller_identity()["UserId"] in line


def _logged(account: Account, function: str, word: str) -> str | None:
    logs = account.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    except ClientError:
        return None
    return next((event["message"] for event in events if word in event["message"]), None)


# DynamoDB


@mends("leading_keys_are_resolved")
def test_a_role_may_touch_only_the_leading_keys_it_was_given(account: Account) -> None:
    dynamodb, table = account.client("dynamodb"), account.name("table")
    create_table(dynamodb, table)
    chunks_only = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["chunk#*"]}}
    collector = account.user(
        allow(["dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:Query"], "*", Condition=chunks_only)
    )("dynamodb")

    but_acknowledgements = {
        "ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["ack#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    judge = account.user(allow("dynamodb:PutItem", "*", Condition=but_acknowledgements))("dynamodb")
    marks_only = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["dropped#*"]}}
    marker = account.user(
        allow("dynamodb:PutItem", "*", Condition=marks_only), allow("dynamodb:ConditionCheckItem", "*")
    )("dynamodb")

    def key(pk: str) -> dict[str, Any]:
        return {"pk": {"S": pk}, "sk": {"S": "chunk"}}

    def delete(pk: str) -> dict[str, Any]:
        return {"TableName": table, "Key": key(pk)}

    def put(pk: str) -> dict[str, Any]:
        return {"TableName": table, "Item": key(pk)}

    def batch(*pks: str) -> dict[str, Any]:
        requests = [{"DeleteRequest": {"Key": key(pk)}} for pk in pks]
        return {"RequestItems": {table: requests}}

    def transaction(pk: str) -> dict[str, Any]:
        return {"TransactItems": [{"Delete": delete(pk)}]}

    def mark(*pks: str) -> dict[str, Any]:
        """Puts, beside a look at an item that may only be looked at."""
        check = {"TableName": table, "Key": key("head"), "ConditionExpression": "attribute_not_exists(pk)"}
        return {"TransactItems": [{"ConditionCheck": check}, *({"Put": put(pk)} for pk in pks)]}

    def query(pk: str) -> dict[str, Any]:
        return {
            "TableName": table,
            "KeyConditionExpression": "#p = :p",
            "ExpressionAttributeNames": {"#p": "pk"},
            "ExpressionAttributeValues": {":p": {"S": pk}},
        }

    calls: list[tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]] = [
        (collector.delete_item, delete("chunk#1"), delete("host-a")),
        (collector.batch_write_item, batch("chunk#1"), batch("chunk#2", "host-a")),
        (collector.transact_write_items, transaction("chunk#1"), transaction("host-a")),
        (collector.query, query("chunk#1"), query("host-a")),
        (judge.put_item, put("host-a"), put("ack#host-a")),
        (marker.transact_write_items, mark("dropped#1"), mark("dropped#2", "host-b")),
    ]
    for call, allowed, refused in calls:
        call(**allowed)
        assert refusal(call, **refused) == "AccessDeniedException"


# Lambda


@mends("errors_keep_their_type")
def test_a_function_s_error_type_is_its_exception_s_class(account: Account) -> None:
    name = account.function(
        "class RestoreRefused(Exception): pass\n"
        "def handler(event, context):\n"
        "    try:\n"
        "        raise KeyError('first')\n"
        "    except KeyError as error:\n"
        "        raise RestoreRefused('target is not empty\\nValueError: not this') from error\n"
    )
    answer = account.client("lambda").invoke(FunctionName=name)
    assert answer["FunctionError"] == "Unhandled"
    body = json.loads(answer["Payload"].read())
    assert body["errorType"] == "RestoreRefused"
    assert body["errorMessage"].startswith("target is not empty")


@mends("emf_logs_become_metrics")
def test_embedded_metrics_reach_cloudwatch(account: Account) -> None:
    line = {
        "_aws": {
            "Timestamp": 0,
            "CloudWatchMetrics": [
                {
                    "Namespace": "RWM",
                    "Dimensions": [["repository"]],
                    "Metrics": [{"Name": "Entries", "Unit": "Count"}],
                }
            ],
        },
        "repository": "host-a",
        "Entries": [3, 4],
    }
    source = f"import json\ndef handler(event, context): print({json.dumps(json.dumps(line))})\n"
    account.client("lambda").invoke(FunctionName=account.function(source))
    now = datetime.now(UTC)
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace="RWM",
        MetricName="Entries",
        Dimensions=[{"Name": "repository", "Value": "host-a"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert sum(point["Sum"] for point in points) == 7


@mends("handlers_share_their_unpacked_asset")
def test_two_functions_of_one_asset_share_its_unpacked_files(account: Account) -> None:
    source = "import os\ndef handler(event, context): return os.path.realpath(__file__)\n"
    invoke = account.client("lambda").invoke
    functions = [account.function(source), account.function(source)]
    where = {json.loads(invoke(FunctionName=name)["Payload"].read()) for name in functions}
    assert len(where) == 1
    (other,) = {json.loads(invoke(FunctionName=account.function(source + "#"))["Payload"].read())}
    assert other not in where


# Step Functions


def restore_like(function: str) -> str:
    child = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        "Retry": [{"ErrorEquals": ["Throttled"], "MaxAttempts": 0}],
        "End": True,
    }
    copy = {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Arguments": {
                "Bucket": "{% $states.input.manifest.bucket %}",
                "Key": "{% $states.input.manifest.key %}",
                "VersionId": "{% $states.input.manifest.version %}",
            },
        },
        "ItemSelector": {"batch": "{% $states.context.Map.Item.Value %}"},
        "MaxConcurrency": "{% $states.input.width %}",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Child",
            "States": {"Child": child},
        },
        "Output": {"copied": "{% $states.result %}"},
        "End": True,
    }
    machine = {"QueryLanguage": "JSONata", "StartAt": "Copy", "States": {"Copy": copy}}
    return json.dumps(machine)


@mends("distributed_maps_speak_jsonata", "item_readers_pin_a_version")
def test_a_distributed_map_reads_the_pinned_version_of_its_manifest(account: Account) -> None:
    bucket, s3 = account.bucket(), account.client("s3")
    pinned = s3.put_object(Bucket=bucket, Key="m", Body=b'["a", "b"]')["VersionId"]
    s3.put_object(Bucket=bucket, Key="m", Body=b'["swapped"]')
    function = account.function("def handler(event, context): return event['batch'] * 2\n")
    stepfunctions = account.client("stepfunctions")
    machine = stepfunctions.create_state_machine(
        name=account.name("machine"), definition=restore_like(function), roleArn=account.role()
    )["stateMachineArn"]
    execution = stepfunctions.start_execution(
        stateMachineArn=machine,
        input=json.dumps({"manifest": {"bucket": bucket, "key": "m", "version": pinned}, "width": 2}),
    )["executionArn"]

    def ended() -> Any:
        found = stepfunctions.describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found

    done = eventually(ended)
    assert done["status"] == "SUCCEEDED", done
    assert json.loads(done["output"]) == {"copied": ["aa", "bb"]}
    (run,) = stepfunctions.list_map_runs(executionArn=execution)["mapRuns"]
    counts = stepfunctions.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
    assert counts["succeeded"] == 2


def started(account: Account, *states: dict[str, Any]) -> tuple[str, str]:
    """The ARNs of a new machine of JSONata that has one state, `Only`, and of its execution."""
    (only,) = states
    machine = json.dumps({"QueryLanguage": "JSONata", "StartAt": "Only", "States": {"Only": only}})
    stepfunctions = account.client("stepfunctions")
    arn = stepfunctions.create_state_machine(name=account.name("machine"), definition=machine, roleArn=account.role())[
        "stateMachineArn"
    ]
    return arn, stepfunctions.start_execution(stateMachineArn=arn, input="{}")["executionArn"]


def end_of(account: Account, execution: str) -> Any:
    def ended() -> Any:
        found = account.client("stepfunctions").describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found

    return eventually(ended)


def waiting_for_a_token(function: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": function, "Payload": {"token": "{% $states.context.Task.Token %}"}},
        "End": True,
    }


@mends("task_tokens_belong_to_their_machine")
def test_a_task_is_answered_by_who_may_answer_for_its_machine_and_nobody_else(account: Account) -> None:
    url, _ = account.queue()
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Arguments": {"QueueUrl": url, "MessageBody": "{% $states.context.Task.Token %}"},
        "End": True,
    }
    machine, execution = started(account, send)

    def sent() -> Any:
        messages = account.client("sqs").receive_message(QueueUrl=url).get("Messages")
        return messages and messages[0]["Body"]

    answer = {"taskToken": eventually(sent), "output": '{"approved": true}'}
    others = account.user(allow("states:SendTaskSuccess", f"{machine}-of-others"))("stepfunctions")
    assert refusal(others.send_task_success, **answer) == "AccessDeniedException"
    account.user(allow("states:SendTaskSuccess", machine))("stepfunctions").send_task_success(**answer)
    assert json.loads(end_of(account, execution)["output"]) == {"approved": True}


@mends("a_task_fails_with_the_function_that_was_to_keep_its_token")
def test_a_task_whose_function_fails_waits_for_no_token(account: Account) -> None:
    function = account.function("class NotTold(Exception): pass\ndef handler(event, context): raise NotTold('late')\n")
    ended = end_of(account, started(account, waiting_for_a_token(function))[1])
    assert (ended["status"], ended["error"]) == ("FAILED", "NotTold")


@mends("a_nested_execution_that_fails_is_a_failed_task")
def test_a_nested_execution_that_fails_is_told_whole(account: Account) -> None:
    refused, _ = started(account, {"Type": "Fail", "Error": "CheckRefused", "Cause": "no state yet"})
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {"StateMachineArn": refused, "Name": "the-check", "Input": {}},
        "End": True,
    }
    ended = end_of(account, started(account, nested)[1])
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    told = json.loads(ended["cause"])
    assert (told["Error"], told["Cause"], told["Name"]) == ("CheckRefused", "no state yet", "the-check")


# Scheduler


@mends("schedules_act_as_their_role")
def test_a_schedule_calls_only_what_its_role_may_call(account: Account) -> None:
    scheduler = account.client("scheduler")
    urls = []
    for may in (False, True):
        url, arn = account.queue()
        urls.append(url)
        permissions = [allow("sqs:SendMessage", arn)] if may else []
        service = {"Service": "scheduler.amazonaws.com"}
        scheduler.create_schedule(
            Name=account.name("schedule"),
            ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": arn,
                "RoleArn": account.role(*permissions, trusted=service),
                "Input": '{"at": "<aws.scheduler.scheduled-time>"}',
            },
        )
    sqs = account.client("sqs")
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=urls[1]).get("Messages"))
    datetime.fromisoformat(json.loads(message["Body"])["at"])
    assert "Messages" not in sqs.receive_message(QueueUrl=urls[0])


# CloudFormation


@mends("buckets_get_their_object_lock")
def test_a_stack_s_bucket_has_its_object_lock(account: Account) -> None:
    name, s3 = account.name("bucket"), account.client("s3")

    def resources(days: int) -> dict[str, Any]:
        lock = {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": days}},
        }
        properties = {
            "BucketName": name,
            "ObjectLockEnabled": True,
            "ObjectLockConfiguration": lock,
        }
        return {"B": {"Type": "AWS::S3::Bucket", "Properties": properties}}

    def retention() -> Any:
        found = s3.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
        return found["Rule"]["DefaultRetention"]

    stack = account.stack(resources(3))
    assert retention() == {"Mode": "GOVERNANCE", "Days": 3}
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    account.stack(resources(4), stack)
    assert retention() == {"Mode": "GOVERNANCE", "Days": 4}
    version = s3.put_object(Bucket=name, Key="k")["VersionId"]
    assert refusal(s3.delete_object, Bucket=name, Key="k", VersionId=version) == "AccessDenied"


@mends("buckets_get_their_encryption_and_lifecycle")
def test_a_stack_s_bucket_has_its_encryption_and_lifecycle(account: Account) -> None:
    name, s3 = account.name("bucket"), account.client("s3")
    rule = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    abort = {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    properties = {
        "BucketName": name,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]},
        "LifecycleConfiguration": {"Rules": [abort]},
    }
    account.stack({"B": {"Type": "AWS::S3::Bucket", "Properties": properties}})
    (encryption,) = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}
    (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


@mends("tables_get_their_protections")
def test_a_stack_s_table_has_its_protections_and_keeps_its_items(account: Account) -> None:
    name, dynamodb = account.name("table"), account.client("dynamodb")

    def resources(protected: bool) -> dict[str, Any]:
        replica = {
            "Region": REGION,
            "DeletionProtectionEnabled": protected,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        }
        properties = {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "TimeToLiveSpecification": {"AttributeName": "gone", "Enabled": True},
            "Replicas": [replica],
        }
        return {"T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": properties}}

    def is_protected() -> bool:
        return bool(dynamodb.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"])

    stack = account.stack(resources(protected=False))
    dynamodb.put_item(TableName=name, Item={"pk": {"S": "kept"}})
    account.stack(resources(protected=True), stack)
    assert is_protected()
    assert dynamodb.scan(TableName=name)["Count"] == 1
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "gone"}
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"

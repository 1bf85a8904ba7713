"""Reading a bucket's configuration and a principal's rights: S3's and IAM's answers, and their refusals."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber
from moto import mock_aws

from functions.domain.ports import BucketMissing, NotAnalyzed, NotSimulated, PolicyAnalyzer
from functions.domain.posture.facts import BucketFacts, Encryption, Grant, LifecycleRule, ObjectLock, PublicAccess
from functions.domain.posture.host import Decision, Simulated
from functions.domain.values import Versioning
from functions.storage.posture import AccessAnalyzer, IamRightsSimulator, S3BucketFacts
from tests.infra.permissions import expand

BUCKET = "backups"
DATE = {"ResponseMetadata": {"HTTPHeaders": {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}}}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOST = "arn:aws:iam::123456789012:user/rwm-alpha-host"
ROLE = "arn:aws:iam::123456789012:role/backup"
DENY = {"Sid": "D", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}"}

ANSWERS: dict[str, dict[str, Any]] = {
    "get_bucket_versioning": {"Status": "Enabled"},
    "get_object_lock_configuration": {
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 1}},
        }
    },
    "get_bucket_lifecycle_configuration": {
        "Rules": [
            {
                "ID": "all",
                "Status": "Enabled",
                "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}]}},
                "Expiration": {"Date": datetime(2027, 1, 1, tzinfo=UTC)},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}],
                "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "DEEP_ARCHIVE"}],
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            },
            {"ID": "old", "Status": "Disabled", "Prefix": "b/", "Expiration": {"Days": 3}},
        ]
    },
    "get_bucket_policy": {"Policy": json.dumps({"Version": "2012-10-17", "Statement": DENY})},
    "get_public_access_block": {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}},
    "get_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key"},
                    "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
                }
            ]
        }
    },
    "get_bucket_replication": {
        "ReplicationConfiguration": {
            "Role": "role",
            "Rules": [
                {"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::elsewhere"}},
                {"Status": "Disabled", "Destination": {"Bucket": "arn:aws:s3:::nowhere"}},
            ],
        }
    },
    "get_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}},
    "get_bucket_acl": {
        "Owner": {"ID": "me"},
        "Grants": [
            {"Grantee": {"ID": "me", "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"},
            {"Grantee": {"URI": "http://acs/AllUsers", "Type": "Group"}, "Permission": "READ"},
        ],
    },
}
FACTS = BucketFacts(
    read_at=NOON,
    versioning=Versioning.ENABLED,
    object_lock=ObjectLock(True, "GOVERNANCE", 365),
    lifecycle=(
        LifecycleRule(
            id="all",
            prefix="a/",
            expire_date=date(2027, 1, 1),
            noncurrent_days=7,
            transitions=("GLACIER", "DEEP_ARCHIVE"),
            abort_uploads_days=1,
        ),
        LifecycleRule(id="old", enabled=False, prefix="b/", expire_days=3),
    ),
    policy=(DENY,),
    public_access=PublicAccess(block_acls=True),
    encryption=Encryption("aws:kms", "key", sse_c_blocked=True),
    replication=("arn:aws:s3:::elsewhere",),
    ownership="ObjectWriter",
    grants=(Grant("http://acs/AllUsers", "READ"),),
)


def read(*refusals: tuple[str, str], **answers: dict[str, Any]) -> tuple[BucketFacts, dict[str, str]]:
    """What is made of `ANSWERS` with some replaced by others, or by the error code that a call is refused with."""
    s3, refused = boto3.client("s3", region_name="us-east-1"), dict(refusals)
    with Stubber(s3) as stub:
        for call in ("get_bucket_versioning", *ANSWERS):
            if call in refused:
                headers = DATE["ResponseMetadata"]
                stub.add_client_error(call, refused[call], response_meta=headers)
            else:
                stub.add_response(call, {**{**ANSWERS, **answers}[call], **DATE}, {"Bucket": BUCKET})
        facts, unread = S3BucketFacts(s3, BUCKET).facts()
    return facts, dict(unread)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def test_every_answer_becomes_a_fact() -> None:
    assert read() == (FACTS, {})


@pytest.mark.parametrize(
    ("call", "code", "fact", "means"),
    [
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError", "object_lock", ObjectLock(False)),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", "lifecycle", ()),
        ("get_bucket_policy", "NoSuchBucketPolicy", "policy", ()),
        ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration", "public_access", PublicAccess()),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError", "replication", ()),
        ("get_bucket_ownership_controls", "OwnershipControlsNotFoundError", "ownership", "ObjectWriter"),
    ],
)
def test_what_is_not_set_is_a_fact_and_not_unread(call: str, code: str, fact: str, means: object) -> None:
    facts, unread = read((call, code))
    assert (getattr(facts, fact), unread) == (means, {})


def test_a_bucket_that_was_never_versioned_is_off() -> None:
    assert read(get_bucket_versioning={})[0].versioning is Versioning.OFF


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("AccessDenied", "S3 denies s3:GetLifecycleConfiguration"),
        ("NotImplemented", "this S3 does not know s3:GetLifecycleConfiguration"),
    ],
)
def test_what_is_refused_or_unknown_is_unread_with_its_reason(code: str, why: str) -> None:
    facts, unread = read(("get_bucket_lifecycle_configuration", code))
    assert facts.unread == ("lifecycle",)
    assert unread == {"lifecycle": why}


def test_an_answer_to_another_question_is_unread() -> None:
    # An S3 that does not know a subresource answers with a listing of the bucket.
    nothing: dict[str, Any] = {}
    facts, unread = read(get_bucket_encryption=nothing, get_public_access_block=nothing)
    assert facts.unread == ("public_access", "encryption")
    assert unread["encryption"] == "what S3 answers to s3:GetEncryptionConfiguration cannot be read"


def test_a_denial_tells_the_time_all_the_same() -> None:
    facts, unread = read(("get_bucket_versioning", "AccessDenied"))
    assert (facts.read_at, facts.versioning) == (NOON, None)
    assert set(unread) == {"versioning"}


def test_a_missing_bucket_is_said() -> None:
    with pytest.raises(BucketMissing, match="there is no bucket backups; nothing was judged"):
        read(("get_bucket_versioning", "NoSuchBucket"))


def test_what_may_pass_is_not_taken_for_unread() -> None:
    with pytest.raises(boto3.client("s3", region_name="us-east-1").exceptions.ClientError, match="SlowDown"):
        read(("get_bucket_policy", "SlowDown"))


@pytest.fixture
def bucket() -> Iterator[Any]:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        yield s3


def test_a_new_bucket_of_moto_is_read_without_an_error(bucket: Any) -> None:
    facts, unread = S3BucketFacts(bucket, BUCKET).facts()
    assert unread == {}
    assert (facts.versioning, facts.policy, facts.lifecycle, facts.grants) == (Versioning.OFF, (), (), ())
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [DENY]}))
    assert S3BucketFacts(bucket, BUCKET).facts()[0].policy == (DENY,)


# --- rights ------------------------------------------------------------------------------------------------

ON_BUCKET = ("s3:PutBucketPolicy", f"arn:aws:s3:::{BUCKET}")
ELSEWHERE = ("s3:CreateJob", "*")


def result(action: str, decision: str, *specific: tuple[str, str]) -> dict[str, Any]:
    return {
        "EvalActionName": action,
        "EvalDecision": decision,
        "ResourceSpecificResults": [
            {"EvalResourceName": name, "EvalResourceDecision": each} for name, each in specific
        ],
    }


def asked(principal: str, action: str, resource: str, **more: Any) -> dict[str, Any]:
    questions = {"ActionNames": [action], "ResourceArns": [resource], "ContextEntries": ANY}
    return {"PolicySourceArn": principal, **questions, **more}


def page(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"EvaluationResults": list(results), "IsTruncated": False, **more}


def test_each_resources_own_decision_is_read_from_every_page() -> None:
    iam = boto3.client("iam")
    with Stubber(iam) as stub:
        question = asked(HOST, *ON_BUCKET, ResourcePolicy=ANY)
        strict = result(ON_BUCKET[0], "implicitDeny", (ON_BUCKET[1], "allowed"))
        stub.add_response("simulate_principal_policy", page(IsTruncated=True, Marker="m"), question)
        stub.add_response("simulate_principal_policy", page(strict), {**question, "Marker": "m"})
        stub.add_response("simulate_principal_policy", page(result("s3:CreateJob", "explicitDeny")), ANY_OF_ELSEWHERE)
        rights = IamRightsSimulator(iam).simulate(HOST, [ON_BUCKET, ELSEWHERE], [DENY])
    assert rights == (
        Simulated(*ON_BUCKET, Decision.ALLOWED),
        Simulated(*ELSEWHERE, Decision.EXPLICIT_DENY),
    )


ANY_OF_ELSEWHERE = asked(HOST, *ELSEWHERE)
"""Without a resource policy: the bucket's is not about everything."""


def test_a_role_is_simulated_without_the_buckets_policy_which_iam_would_refuse() -> None:
    iam = boto3.client("iam")
    with Stubber(iam) as stub:
        answer = page(result(ON_BUCKET[0], "allowed", (ON_BUCKET[1], "allowed")))
        stub.add_response("simulate_principal_policy", answer, asked(ROLE, *ON_BUCKET))
        assert IamRightsSimulator(iam).simulate(ROLE, [ON_BUCKET], [DENY]) == (Simulated(*ON_BUCKET, Decision.ALLOWED),)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntity", "InvalidInput"])
def test_what_iam_does_not_tell_is_not_simulated(code: str) -> None:
    iam = boto3.client("iam")
    with Stubber(iam) as stub:
        stub.add_client_error("simulate_principal_policy", code)
        with pytest.raises(NotSimulated, match=f"{HOST}: {code}"):
            IamRightsSimulator(iam).simulate(HOST, [ON_BUCKET], None)


# --- the policy by itself ----------------------------------------------------------------------------------

OF_OBJECTS = ("s3:DeleteObjectVersion", f"arn:aws:s3:::{BUCKET}/alpha/*")
REASON = "One or more of the listed actions in the statement with index: 0."


def analyzer() -> Any:
    return boto3.client("accessanalyzer", region_name="us-east-1")


def access(resource: str, *actions: str) -> dict[str, Any]:
    return {
        "policyDocument": json.dumps({"Version": "2012-10-17", "Statement": [DENY]}, separators=(",", ":")),
        "access": [{"actions": list(actions), "resources": [resource]}],
        "policyType": "RESOURCE_POLICY",
    }


def test_the_policy_is_asked_about_each_resource_with_its_own_actions() -> None:
    client, create = analyzer(), ("s3:PutBucketAcl", ON_BUCKET[1])
    with Stubber(client) as stub:
        passed = {"result": "PASS", "message": "m"}
        stub.add_response("check_access_not_granted", passed, access(ON_BUCKET[1], ON_BUCKET[0], create[0]))
        stub.add_response("check_access_not_granted", passed, access(OF_OBJECTS[1], OF_OBJECTS[0]))
        assert AccessAnalyzer(client).grants([DENY], [ON_BUCKET, OF_OBJECTS, create]) == ()
        stub.assert_no_pending_responses()


def test_more_actions_than_a_question_may_name_are_several_questions() -> None:
    client = analyzer()
    limit = client.meta.service_model.shape_for("AccessActionsList").metadata["max"]
    actions = [f"s3:Action{number}" for number in range(2 * limit + 1)]
    portions = [actions[:limit], actions[limit : 2 * limit], actions[2 * limit :]]
    with Stubber(client) as stub:
        for portion, result in zip(portions, ("PASS", "PASS", "FAIL"), strict=True):
            answer = {"result": result, "reasons": [{"description": REASON, "statementIndex": 0}]}
            stub.add_response("check_access_not_granted", answer, access(ON_BUCKET[1], *portion))
        assert AccessAnalyzer(client).grants([DENY], [(action, ON_BUCKET[1]) for action in actions]) == (REASON,)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ({"reasons": [{"description": "a", "statementId": "S"}, {"description": "b"}]}, ("a (Sid S)", "b")),
        ({"reasons": [], "message": "m"}, ("m",)),
        ({"message": "m"}, ("m",)),
        ({"reasons": [{"statementIndex": 0}]}, ("no reason is given",)),
        ({}, ("no reason is given",)),
    ],
)
def test_a_policy_that_could_grant_is_never_without_a_reason(answer: dict[str, Any], reasons: tuple[str, ...]) -> None:
    client = analyzer()
    with Stubber(client) as stub:
        stub.add_response("check_access_not_granted", {"result": "FAIL", **answer})
        assert AccessAnalyzer(client).grants([DENY], [ON_BUCKET]) == reasons


@pytest.mark.parametrize("answer", [{}, {"result": "UNKNOWN"}])
def test_what_is_no_answer_proves_nothing(answer: dict[str, Any]) -> None:
    client = analyzer()
    with Stubber(client) as stub:
        stub.add_response("check_access_not_granted", answer)
        with pytest.raises(NotAnalyzed, match="its answer has the result"):
            AccessAnalyzer(client).grants([DENY], [ON_BUCKET])


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidParameterException", "InvalidAction", "400", ""])
def test_whatever_refuses_the_question_it_could_not_be_asked(code: str) -> None:
    client = analyzer()
    with Stubber(client) as stub:
        stub.add_response("check_access_not_granted", {"result": "PASS"})
        stub.add_client_error("check_access_not_granted", code, http_status_code=400)
        with pytest.raises(NotAnalyzed, match=f"CheckAccessNotGranted could not be asked: {code}$"):
            AccessAnalyzer(client).grants([DENY], [ON_BUCKET, OF_OBJECTS])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"<Error><Type>Sender</Type><Code>InvalidAction</Code></Error>"),
        (400, b'{"error": "Unsupported service: access-analyzer"}'),
        (404, b""),
        (200, b"<html>a proxy</html>"),
        (200, b"{}"),
        (200, b"[]"),
        (400, b'"no"'),
        (200, b"\xff"),
        (200, b'{"result": "FAIL", "reasons": [1]}'),
    ],
)
def test_a_server_that_does_not_know_the_analyzer_proves_nothing(status: int, body: bytes) -> None:
    client = analyzer()
    answer = AWSResponse("https://analyzer", status, HTTPHeaders(), _Raw(body))
    client.meta.events.register("before-send", lambda **_: answer)
    with pytest.raises(NotAnalyzed, match=r"could not be asked: \S"):
        AccessAnalyzer(client).grants([DENY], [ON_BUCKET])


def test_an_endpoint_that_is_not_there_proves_nothing() -> None:
    client = analyzer()

    def unreachable(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://analyzer")

    client.meta.events.register("before-send", unreachable)
    with pytest.raises(NotAnalyzed, match="could not be asked: EndpointConnectionError"):
        AccessAnalyzer(client).grants([DENY], [ON_BUCKET])


class _Raw:
    """The body of an answer as urllib3 gives it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body


def test_the_ports_permission_is_one_that_aws_has() -> None:
    (action,) = re.findall(r"Needs (\S+)\.", PolicyAnalyzer.__doc__ or "")
    assert expand([action]) == {action.lower()}
    assert action.partition(":")[0] == analyzer().meta.service_model.signing_name

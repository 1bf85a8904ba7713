"""How a protected bucket is configured, and what IAM says of a principal's rights and of the bucket's policy.

Security rules:
- A call that S3 denies, does not know, or answers with something else leaves its fact None; only S3's own
  "there is none" makes a fact that says so.
- Only IAM Access Analyzer's own "PASS" to every question proves that a policy grants nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.bucket_policy import Statement
from functions.domain.ports import BucketMissing, NotAnalyzed, NotSimulated
from functions.domain.posture.facts import BucketFacts, Encryption, Grant, LifecycleRule, ObjectLock, PublicAccess
from functions.domain.posture.host import Decision, Simulated
from functions.domain.values import Versioning, whole_second
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_accessanalyzer import AccessAnalyzerClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "403"})
_UNSUPPORTED = frozenset({"MethodNotAllowed", "NotImplemented", "UnsupportedOperation", "405", "501"})
_NOT_SIMULATED = frozenset({"InvalidInput", "NoSuchEntity", "PolicyEvaluation", "ValidationError"})

Answer = Mapping[str, Any]


class S3BucketFacts:
    """BucketFactsReader over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def facts(self) -> tuple[BucketFacts, Mapping[str, str]]:
        s3, unread = self._client, dict[str, str]()

        def read(name: str, action: str, call: Callable[..., Any], parse: Callable[[Answer], Any], **unset: Any) -> Any:
            """One fact; `unset` maps S3's word for "there is none" to what that means."""
            try:
                return parse(call(Bucket=self._bucket))
            except ClientError as error:
                code = error_code(error)
                if code in unset:
                    return unset[code]
                unread[name] = self._why(error, action)
            except (KeyError, TypeError, ValueError):
                # An S3 that does not know a subresource may answer with a listing of the bucket.
                unread[name] = f"what S3 answers to {action} cannot be read"
            return None

        read_at = self._now()
        facts = BucketFacts(
            read_at=read_at,
            versioning=read("versioning", "s3:GetBucketVersioning", s3.get_bucket_versioning, _versioning),
            object_lock=read(
                "object_lock",
                "s3:GetBucketObjectLockConfiguration",
                s3.get_object_lock_configuration,
                _object_lock,
                ObjectLockConfigurationNotFoundError=ObjectLock(enabled=False),
            ),
            lifecycle=read(
                "lifecycle",
                "s3:GetLifecycleConfiguration",
                s3.get_bucket_lifecycle_configuration,
                _lifecycle,
                NoSuchLifecycleConfiguration=(),
            ),
            policy=read("policy", "s3:GetBucketPolicy", s3.get_bucket_policy, _policy, NoSuchBucketPolicy=()),
            public_access=read(
                "public_access",
                "s3:GetBucketPublicAccessBlock",
                s3.get_public_access_block,
                _public_access,
                NoSuchPublicAccessBlockConfiguration=PublicAccess(),
            ),
            encryption=read(
                "encryption",
                "s3:GetEncryptionConfiguration",
                s3.get_bucket_encryption,
                _encryption,
                ServerSideEncryptionConfigurationNotFoundError=Encryption("no default encryption"),
            ),
            replication=read(
                "replication",
                "s3:GetReplicationConfiguration",
                s3.get_bucket_replication,
                _replication,
                ReplicationConfigurationNotFoundError=(),
            ),
            ownership=read(
                "ownership",
                "s3:GetBucketOwnershipControls",
                s3.get_bucket_ownership_controls,
                _ownership,
                OwnershipControlsNotFoundError="ObjectWriter",
            ),
            grants=read("grants", "s3:GetBucketAcl", s3.get_bucket_acl, _grants),
        )
        return facts, unread

    def _now(self) -> datetime:
        """S3's clock, which a denial tells as well."""
        try:
            answer: Any = self._client.get_bucket_versioning(Bucket=self._bucket)
        except ClientError as error:
            self._why(error, "s3:GetBucketVersioning")
            answer = error.response
        return whole_second(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]))

    def _why(self, error: ClientError, action: str) -> str:
        """Why a fact could not be fetched. Raises BucketMissing, and `error` where trying again may help."""
        code = error_code(error)
        if code in _DENIED:
            return f"S3 denies {action}"
        if code in _UNSUPPORTED:
            return f"this S3 does not know {action}"
        if code == "NoSuchBucket":
            raise BucketMissing(f"there is no bucket {self._bucket}; nothing was judged") from error
        raise error


def _versioning(answer: Answer) -> Versioning:
    return Versioning(answer.get("Status", Versioning.OFF))


def _object_lock(answer: Answer) -> ObjectLock:
    configuration = answer["ObjectLockConfiguration"]
    default = configuration.get("Rule", {}).get("DefaultRetention", {})
    return ObjectLock(
        enabled=configuration.get("ObjectLockEnabled") == "Enabled",
        mode=default.get("Mode"),
        days=default.get("Days", 0) or 365 * default.get("Years", 0),
    )


def _lifecycle(answer: Answer) -> tuple[LifecycleRule, ...]:
    return tuple(_lifecycle_rule(rule) for rule in answer["Rules"])


def _lifecycle_rule(rule: Answer) -> LifecycleRule:
    narrowed = rule.get("Filter", {})
    expiration = rule.get("Expiration", {})
    moves = (*rule.get("Transitions", ()), *rule.get("NoncurrentVersionTransitions", ()))
    return LifecycleRule(
        id=rule.get("ID", ""),
        enabled=rule["Status"] == "Enabled",
        prefix=rule.get("Prefix") or narrowed.get("Prefix") or narrowed.get("And", {}).get("Prefix") or "",
        expire_days=expiration.get("Days"),
        expire_date=expiration["Date"].date() if "Date" in expiration else None,
        noncurrent_days=rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        transitions=tuple(each["StorageClass"] for each in moves),
        abort_uploads_days=rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
    )


def _policy(answer: Answer) -> tuple[Statement, ...]:
    statements = json.loads(answer["Policy"])["Statement"]
    return tuple(statements) if isinstance(statements, list) else (statements,)


def _public_access(answer: Answer) -> PublicAccess:
    block = answer["PublicAccessBlockConfiguration"]
    return PublicAccess(
        block_acls=block.get("BlockPublicAcls", False),
        ignore_acls=block.get("IgnorePublicAcls", False),
        block_policy=block.get("BlockPublicPolicy", False),
        restrict_buckets=block.get("RestrictPublicBuckets", False),
    )


def _encryption(answer: Answer) -> Encryption:
    (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    return Encryption(
        algorithm=default["SSEAlgorithm"],
        kms_key=default.get("KMSMasterKeyID"),
        sse_c_blocked="SSE-C" in rule.get("BlockedEncryptionTypes", {}).get("EncryptionType", ()),
    )


def _replication(answer: Answer) -> tuple[str, ...]:
    rules = answer["ReplicationConfiguration"]["Rules"]
    return tuple(rule["Destination"]["Bucket"] for rule in rules if rule["Status"] == "Enabled")


def _ownership(answer: Answer) -> str:
    (rule,) = answer["OwnershipControls"]["Rules"]
    return str(rule["ObjectOwnership"])


def _grants(answer: Answer) -> tuple[Grant, ...]:
    owner = answer["Owner"]["ID"]
    given = ((grant["Grantee"], grant["Permission"]) for grant in answer["Grants"])
    return tuple(
        Grant(who.get("ID") or who.get("URI") or who["EmailAddress"], permission)
        for who, permission in given
        if who.get("ID") != owner
    )


class IamRightsSimulator:
    """RightsSimulator over boto3."""

    def __init__(self, client: "IAMClient") -> None:
        self._client = client

    def simulate(
        self, principal: str, questions: Sequence[tuple[str, str]], bucket_statements: Sequence[Statement] | None
    ) -> tuple[Simulated, ...]:
        try:
            return tuple(
                result
                for resource, some in _by_resource(questions).items()
                for result in self._of_resource(principal, resource, some, bucket_statements)
            )
        except ClientError as error:
            if error_code(error) in _DENIED | _UNSUPPORTED | _NOT_SIMULATED:
                raise NotSimulated(f"iam:SimulatePrincipalPolicy of {principal}: {error_code(error)}") from error
            raise

    def _of_resource(
        self, principal: str, resource: str, actions: Sequence[str], bucket_statements: Sequence[Statement] | None
    ) -> Iterator[Simulated]:
        policy = {}
        # IAM attaches the policy to whatever is asked about, and takes none for a role.
        if bucket_statements and resource != "*" and ":user/" in principal:
            policy = {"ResourcePolicy": _document(bucket_statements)}
        pages = self._client.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=principal,
            ActionNames=list(actions),
            ResourceArns=[resource],
            # Left out, a Deny with an exemption holds for nobody or for everybody, as its operator has it.
            ContextEntries=[
                {"ContextKeyName": "aws:PrincipalArn", "ContextKeyValues": [principal], "ContextKeyType": "string"},
                {"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"},
                {"ContextKeyName": "s3:TlsVersion", "ContextKeyValues": ["1.3"], "ContextKeyType": "numeric"},
            ],
            **policy,  # type: ignore[arg-type]
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                # The result itself is the strictest of all its resources.
                specific = result.get("ResourceSpecificResults") or [
                    {"EvalResourceName": resource, "EvalResourceDecision": result["EvalDecision"]}
                ]
                for each in specific:
                    yield Simulated(
                        result["EvalActionName"], each["EvalResourceName"], Decision(each["EvalResourceDecision"])
                    )


class AccessAnalyzer:
    """PolicyAnalyzer over boto3. Each call is charged for; there is one for every hundred actions of a resource."""

    # boto3-stubs has no types of this client without another package.
    def __init__(self, client: "AccessAnalyzerClient") -> None:
        self._client = client

    def grants(self, statements: Sequence[Statement], questions: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        document = _document(statements)
        try:
            return tuple(
                reason
                # A pair by its own resource: an Allow of an object's action on the bucket grants nothing.
                for resource, actions in _by_resource(questions).items()
                for start in range(0, len(actions), _MOST_ACTIONS)
                for reason in self._of_some(document, resource, actions[start : start + _MOST_ACTIONS])
            )
        except ClientError as error:
            # Whatever it is called: what does not know this API answers with codes of its own.
            raise _not_analyzed(error_code(error)) from error
        except BotoCoreError as error:
            raise _not_analyzed(type(error).__name__) from error
        except (AttributeError, TypeError, ValueError) as error:
            raise _not_analyzed("its answer cannot be read") from error

    def _of_some(self, document: str, resource: str, actions: Sequence[str]) -> Iterator[str]:
        answer = self._client.check_access_not_granted(
            policyDocument=document,
            access=[{"actions": list(actions), "resources": [resource]}],
            policyType="RESOURCE_POLICY",
        )
        result = answer.get("result")
        if result == "PASS":
            return
        if result != "FAIL":
            raise _not_analyzed(f"its answer has the result {result!r}")
        yield from map(_reason, answer.get("reasons") or [{"description": answer.get("message")}])


_MOST_ACTIONS = 100
"""That one question may name."""


def _not_analyzed(why: str) -> NotAnalyzed:
    return NotAnalyzed(f"access-analyzer:CheckAccessNotGranted could not be asked: {why}")


def _reason(reason: Answer) -> str:
    """The description says which statement it is about by its place, counted from 0."""
    described = reason.get("description") or "no reason is given"
    name = reason.get("statementId")
    return f"{described} (Sid {name})" if name else str(described)


def _by_resource(questions: Sequence[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    """Actions by resource, in order."""
    actions: dict[str, list[str]] = {}
    for action, resource in questions:
        actions.setdefault(resource, []).append(action)
    return actions


def _document(statements: Sequence[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))

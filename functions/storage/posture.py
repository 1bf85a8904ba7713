"""How a protected bucket is configured, and what IAM says of a principal's rights.

Security rule: a call that S3 denies, does not know, or answers with something else leaves its fact None; only
S3's own "there is none" makes a fact that says so.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.domain.bucket_policy import Statement
from functions.domain.ports import BucketMissing, NotSimulated
from functions.domain.posture.facts import BucketFacts, Encryption, Grant, LifecycleRule, ObjectLock, PublicAccess
from functions.domain.posture.host import Decision, Simulated
from functions.domain.values import Versioning, whole_second
from functions.storage.aws import error_code

if TYPE_CHECKING:
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
        actions: dict[str, list[str]] = {}
        for action, resource in questions:
            actions.setdefault(resource, []).append(action)
        try:
            return tuple(
                result
                for resource, some in actions.items()
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
            document = {"Version": "2012-10-17", "Statement": list(bucket_statements)}
            policy = {"ResourcePolicy": json.dumps(document, separators=(",", ":"))}
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

"""Who is in quarantine, as IAM and the bucket's policy say; and, for an administrator, putting principals into it."""

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.domain.bucket_policy import Statement
from functions.domain.ports import NotListed
from functions.domain.quarantine import Principal
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client


_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class IamAttachedPolicies:
    """AttachedPolicies over boto3."""

    def __init__(self, client: "IAMClient") -> None:
        self._client = client

    def of(self, principal: Principal) -> frozenset[str]:
        try:
            return frozenset(self._listed(principal))
        except ClientError as error:
            if error_code(error) == "NoSuchEntity":
                return frozenset()
            if error_code(error) in _DENIED:
                raise NotListed(f"IAM denies to see the policies of {principal.arn}") from error
            raise

    def _listed(self, principal: Principal) -> list[str]:
        listed: list[str] = []
        if principal.is_user:
            for page in self._client.get_paginator("list_attached_user_policies").paginate(UserName=principal.name):
                listed += (each["PolicyArn"] for each in page["AttachedPolicies"])
        else:
            for answer in self._client.get_paginator("list_attached_role_policies").paginate(RoleName=principal.name):
                listed += (each["PolicyArn"] for each in answer["AttachedPolicies"])
        return listed


class IamQuarantine(IamAttachedPolicies):
    """The same, and changes it. Needs iam:AttachUserPolicy, iam:DetachUserPolicy and the same for roles: an
    administrator's own credentials have them, and no role of RWM's."""

    def attach(self, principal: Principal, policy: str) -> None:
        """Again: no change."""
        if principal.is_user:
            self._client.attach_user_policy(UserName=principal.name, PolicyArn=policy)
        else:
            self._client.attach_role_policy(RoleName=principal.name, PolicyArn=policy)

    def detach(self, principal: Principal, policy: str) -> None:
        """Where it is not attached: no change."""
        try:
            if principal.is_user:
                self._client.detach_user_policy(UserName=principal.name, PolicyArn=policy)
            else:
                self._client.detach_role_policy(RoleName=principal.name, PolicyArn=policy)
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise


class S3BucketStatements:
    """BucketStatements over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def statements(self) -> list[Statement]:
        try:
            policy: Any = json.loads(self._client.get_bucket_policy(Bucket=self._bucket)["Policy"])
        except ClientError as error:
            if error_code(error) == "NoSuchBucketPolicy":
                return []
            raise
        found = policy.get("Statement", [])
        return list(found) if isinstance(found, list) else [found]

"""Roles and policies that stay clear of AWS's limits, however many repositories there are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam
from constructs import Construct

from functions.configuration import BadConfiguration
from infra.permission import Permission, explain

BUCKET_POLICY_LIMIT = 20_480
TRUST_LIMIT = 2_048
_INLINE_LIMIT = 10_240
_MANAGED_LIMIT = 6_144
_MOST_MANAGED = 10
_SHARE = 0.9
"""Of a limit: beyond it synthesis stops, before a deployment would."""


def make_role(
    scope: Construct,
    name: str,
    *,
    trust: iam.IPrincipal,
    permissions: Iterable[Permission],
    description: str,
) -> iam.IRole:
    """The role `name`: with one inline policy, or with managed ones where there are too many repositories for it.

    CDK cannot add permissions to what this returns.
    """
    permissions = list(permissions)
    inline, managed = pack(permissions, int(_INLINE_LIMIT * _SHARE)), pack(permissions, int(_MANAGED_LIMIT * _SHARE))
    fits = len(inline) == 1
    role = iam.Role(
        scope,
        "Role",
        role_name=name,
        assumed_by=trust,
        description=description,
        inline_policies={"Permissions": iam.PolicyDocument.from_json(inline[0])} if fits else None,
        managed_policies=None
        if fits
        else [
            managed_policy(scope, f"Policy{number}", f"{name}-{number}", document)
            for number, document in enumerate(managed, 1)
        ],
    )
    explain(scope, name, permissions)
    return role.without_policy_updates()


def only_managed_policy(scope: Construct, name: str, permissions: Sequence[Permission]) -> iam.ManagedPolicy:
    """One managed policy that holds all `permissions`."""
    (document,) = pack(permissions, int(_MANAGED_LIMIT * _SHARE))
    policy = managed_policy(scope, "Policy", name, document)
    explain(policy, name, permissions)
    return policy


def managed_policy(scope: Construct, construct_id: str, name: str, document: Mapping[str, Any]) -> iam.ManagedPolicy:
    """Without a description: to change one, CloudFormation replaces the policy, which its name forbids."""
    return iam.ManagedPolicy(
        scope, construct_id, managed_policy_name=name, document=iam.PolicyDocument.from_json(document)
    )


def pack(permissions: Iterable[Permission], limit: int) -> list[dict[str, Any]]:
    """Policy documents of at most `limit` characters that together hold all `permissions`, in their order."""
    documents: list[dict[str, Any]] = []
    room = 0
    for permission in permissions:
        if permission.size + _EMPTY > limit:
            raise ValueError(
                f"{permission.actions}: one statement has {permission.size} characters; at most {limit} fit"
            )
        if permission.size + 1 > room:
            documents.append({"Version": "2012-10-17", "Statement": []})
            room = limit - _EMPTY
        documents[-1]["Statement"].append(permission.statement)
        room -= permission.size + 1
    if len(documents) > _MOST_MANAGED:
        raise ValueError(f"{len(documents)} policies are needed; a role can have {_MOST_MANAGED}")
    return documents


_EMPTY = len('{"Version":"2012-10-17","Statement":[]}')


def refuse_too_large(what: str, document: Mapping[str, Any], limit: int, advice: str) -> None:
    """Raise BadConfiguration when a policy that grows with repositories.toml nears AWS's limit."""
    size = len(json.dumps(document, separators=(",", ":")))
    if size > limit * _SHARE:
        raise BadConfiguration(
            f"{what} would take {size:,} of {limit:,} characters; at most {_SHARE:.0%} are used; {advice}; "
            "nothing was synthesized"
        )

"""Permissions: each with a reason, packed into policies that fit."""

import json

import pytest

from infra.permission import Permission, allow, deny
from infra.policy import pack


def test_a_wildcard_needs_a_reason_of_its_own() -> None:
    with pytest.raises(ValueError, match="a wildcard needs a reason"):
        allow("s3:GetObject", on="arn:aws:s3:::bucket/*", because="reads")


def test_a_wildcard_action_needs_a_reason_too() -> None:
    with pytest.raises(ValueError, match="a wildcard needs a reason"):
        allow("s3:Get*", on="arn:aws:s3:::bucket", because="reads")


def test_a_permission_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="a permission needs a reason"):
        allow("s3:GetBucketLocation", on="arn:aws:s3:::bucket", because="")


def test_a_denial_may_be_broad() -> None:
    assert deny("s3:*", on="*", because="never").statement == {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}


def _permissions(count: int) -> list[Permission]:
    return [allow("s3:ListBucket", on=f"arn:aws:s3:::{number:060d}", because="lists") for number in range(count)]


def test_packed_policies_fit_and_hold_every_statement_in_order() -> None:
    permissions = _permissions(100)
    documents = pack(permissions, 2_000)
    assert max(len(json.dumps(each, separators=(",", ":"))) for each in documents) <= 2_000
    packed = [statement for document in documents for statement in document["Statement"]]
    assert packed == [permission.statement for permission in permissions]


def test_packing_uses_no_more_policies_than_it_must() -> None:
    assert len(pack(_permissions(10), 6_144)) == 1


def test_more_policies_than_a_role_can_have_are_refused() -> None:
    with pytest.raises(ValueError, match="a role can have 10"):
        pack(_permissions(200), 1_000)


def test_a_statement_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 100 fit"):
        pack(_permissions(1), 100)

"""What the owner of a target in another account has to allow: as little as the steps need."""

from typing import Any

from functions.domain.names import Names
from functions.domain.restore.owner import bucket_statements, key_statement
from functions.domain.restore.request import Location

HERE = Location(bucket="theirs", prefix="below")
OURS: dict[str, Any] = {"partition": "aws-cn", "account": "123456789012"}


def test_only_who_copies_may_write_and_only_beneath_the_prefix() -> None:
    statements = bucket_statements(HERE, Names("acme"), **OURS)
    writing = [each for each in statements if any("Put" in action for action in each["Action"])]
    assert [each["Principal"] for each in writing] == [{"AWS": ["arn:aws-cn:iam::123456789012:role/acme-copy-batch"]}]
    assert [each["Resource"] for each in writing] == ["arn:aws-cn:s3:::theirs/below/*"]


def test_nobody_may_delete_and_nothing_is_a_wildcard_but_the_objects() -> None:
    for statement in (*bucket_statements(HERE, Names(), lock=True, **OURS), key_statement(Names(), **OURS)):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action or "Delete" in action or "Bypass" in action for action in statement["Action"])
        assert all("*" not in role for role in statement["Principal"]["AWS"])


def test_locks_are_asked_for_only_where_copies_are_locked() -> None:
    plain, locked = (
        {action for each in bucket_statements(HERE, Names(), lock=lock, **OURS) for action in each["Action"]}
        for lock in (False, True)
    )
    assert locked - plain == {"s3:GetBucketObjectLockConfiguration", "s3:GetObjectRetention", "s3:PutObjectRetention"}

"""When a repository is in quarantine: nothing counts but the policy itself, or its words in the bucket's policy."""

from typing import Any

import pytest

from functions.domain.bucket_policy import Surroundings
from functions.domain.names import Names
from functions.domain.quarantine import DENIED, Principal, Quarantine
from functions.domain.repositories import Configuration, Repository

ACCOUNT, OTHER = "123456789012", "210987654321"
ROLE, FOREIGN = f"arn:aws:iam::{ACCOUNT}:role/path/backup", f"arn:aws:iam::{OTHER}:role/backup"
REPOSITORY = Repository(
    name="of-two", bucket="a-bucket", prefix="restic", hosts=("create", ROLE, FOREIGN), maintenance="create"
)
QUARANTINE = Quarantine.of(REPOSITORY, Names(), "aws", ACCOUNT)
OWN = [f"arn:aws:iam::{ACCOUNT}:user/rwm-of-two-host", ROLE, f"arn:aws:iam::{ACCOUNT}:user/rwm-of-two-maintenance"]
ATTACHED = dict.fromkeys(map(Principal, OWN), frozenset([QUARANTINE.policy]))
STATEMENT: dict[str, Any] = QUARANTINE.bucket_statement


def _missing(attached: Any = ATTACHED, statements: Any = (STATEMENT,)) -> list[str]:
    return [each.arn for each in QUARANTINE.missing(attached, statements)]


def test_it_is_about_the_principals_that_the_buckets_policy_walls_in() -> None:
    where = Surroundings("aws", ACCOUNT, Configuration(repositories=(REPOSITORY,)))
    expected = [*where.hosts(REPOSITORY), *where.maintenance(REPOSITORY)]
    assert [each.arn for each in QUARANTINE.principals] == expected


def test_each_is_asked_for_by_its_kind_and_its_name_without_the_path() -> None:
    user, role, *_ = QUARANTINE.principals
    assert (user.is_user, user.name) == (True, "rwm-of-two-host")
    assert (role.is_user, role.name) == (False, "backup")


def test_it_is_in_force_when_each_has_the_policy_and_the_bucket_denies_the_foreign_one() -> None:
    assert _missing() == []
    assert [each.arn for each in QUARANTINE.foreign] == [FOREIGN]


@pytest.mark.parametrize("principal", OWN)
def test_who_does_not_have_the_policy_is_not_in_quarantine(principal: str) -> None:
    others = frozenset([QUARANTINE.policy.replace("of-two", "another")])
    assert _missing({**ATTACHED, Principal(principal): others}) == [principal]
    assert _missing({each: policies for each, policies in ATTACHED.items() if each.arn != principal}) == [principal]


def test_the_policy_counts_for_nobody_of_another_account() -> None:
    """A managed policy cannot be attached there: whoever says so says nothing of this one."""
    assert _missing({**ATTACHED, Principal(FOREIGN): frozenset([QUARANTINE.policy])}, ()) == [FOREIGN]


WEAKER: dict[str, dict[str, Any]] = {
    "allows": {"Effect": "Allow"},
    "another principal": {"Principal": {"AWS": OWN[0]}},
    "another action": {"Action": ["s3:PutObject"]},
    "one action less": {"Action": list(DENIED[1:])},
    "another prefix": {"Resource": "arn:aws:s3:::a-bucket/elsewhere/*"},
    "an object": {"Resource": "arn:aws:s3:::a-bucket/restic/config"},
    "another one": {"Condition": {"ArnEquals": {"aws:PrincipalArn": [ROLE]}}},
    "all but this one": {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": [FOREIGN]}}},
    "only over http": {
        "Condition": {**STATEMENT["Condition"], "Bool": {"aws:SecureTransport": "false"}},
    },
    "only from there": {
        "Condition": {"ArnEquals": {"aws:PrincipalArn": [FOREIGN], "aws:SourceArn": [ROLE]}},
    },
    "without any": {"Condition": None},
}


@pytest.mark.parametrize("how", WEAKER)
def test_a_statement_that_denies_less_does_not_count(how: str) -> None:
    weaker = {**STATEMENT, **WEAKER[how]}
    assert _missing(statements=[weaker]) == [FOREIGN]


def test_a_statement_that_excepts_something_does_not_count() -> None:
    assert _missing(statements=[{**STATEMENT, "NotResource": "arn:aws:s3:::a-bucket/restic/locks/*"}]) == [FOREIGN]


STRONGER: dict[str, dict[str, Any]] = {
    "another name": {"Sid": "Whatever"},
    "no name": {},
    "as S3 gives it back": {"Principal": {"AWS": "*"}, "Condition": {"ArnEquals": {"aws:PrincipalArn": FOREIGN}}},
    "more of everything": {
        "Action": [*DENIED, "s3:GetObject"],
        "Resource": ["arn:aws:s3:::a-bucket/restic/*", "arn:aws:s3:::a-bucket/another/*"],
        "Condition": {"ArnEquals": {"aws:PrincipalArn": [ROLE, FOREIGN]}},
    },
}


@pytest.mark.parametrize("how", STRONGER)
def test_a_statement_that_denies_as_much_counts_however_it_is_written(how: str) -> None:
    base = STATEMENT if STRONGER[how] else {key: value for key, value in STATEMENT.items() if key != "Sid"}
    assert _missing(statements=[{"Effect": "Allow"}, {**base, **STRONGER[how]}]) == []


def test_the_statement_has_a_name_that_s3_takes() -> None:
    assert STATEMENT["Sid"] == "QuarantineOfTwo"
    assert str(STATEMENT["Sid"]).isalnum()

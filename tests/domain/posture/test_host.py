"""A host that could administer WORM is found out, from a simulation or from the documents."""

from pathlib import Path

import pytest

from functions.domain.bucket_policy import Statement
from functions.domain.findings import host_may
from functions.domain.posture.host import (
    ELSEWHERE,
    ON_OBJECTS,
    ON_THE_BUCKET,
    Decision,
    HostRights,
    Simulated,
    judge_host,
    questions,
    weighed,
)
from functions.domain.values import Severity
from tests.builders import NOON
from tests.domain.posture.buckets import HOST, alpha, our_policy, surroundings
from tests.infra.permissions import expand

WHERE = surroundings()
FORBIDDEN = Path(__file__).parents[2] / "infra" / "worm_administration.txt"
HARMLESS: tuple[Statement, ...] = (
    {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::backups/alpha/*"},
    {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::backups/alpha/locks/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::backups"},
    {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"},
)


def simulated(**decisions: Decision) -> tuple[Simulated, ...]:
    """Everything implicitly denied but the actions of S3 that are named."""
    return tuple(
        Simulated(action, resource, decisions.get(action.partition(":")[2], Decision.IMPLICIT_DENY))
        for action, resource in questions(alpha(WHERE), WHERE)
    )


def found(
    documents: tuple[Statement, ...] | None = None,
    simulation: tuple[Simulated, ...] = (),
    policy: tuple[Statement, ...] | None = None,
) -> dict[str, Severity]:
    rights = HostRights(principal=HOST, read_at=NOON, simulated=simulation, documents=documents)
    return {each.id: each.severity for each in judge_host(rights, alpha(WHERE), WHERE, policy)}


def test_a_host_with_what_it_needs_raises_nothing() -> None:
    assert found(HARMLESS) == {}
    assert found(simulation=simulated()) == {}


def test_every_action_that_the_simulation_allows_fails_by_its_own_id() -> None:
    allowed = simulated(DeleteObjectVersion=Decision.ALLOWED, PutBucketPolicy=Decision.ALLOWED)
    assert found(simulation=allowed) == {
        "host-may-s3-deleteobjectversion": Severity.FAIL,
        "host-may-s3-putbucketpolicy": Severity.FAIL,
    }


def test_an_action_that_is_allowed_on_one_resource_of_two_fails() -> None:
    one = Simulated("s3:DeleteObjectVersion", "arn:aws:s3:::backups/alpha/data/*", Decision.ALLOWED)
    assert found(simulation=(*simulated(), one)) == {"host-may-s3-deleteobjectversion": Severity.FAIL}


def test_the_simulation_wins_over_the_documents() -> None:
    """It knows boundaries and service control policies."""
    everything: tuple[Statement, ...] = ({"Effect": "Allow", "Action": "*", "Resource": "*"},)
    assert found(everything, simulated(PutBucketPolicy=Decision.EXPLICIT_DENY)) == {}


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": "s3:DeleteObject*", "Resource": "*"},
        {"Effect": "Allow", "Action": ["S3:deleteobjectversion"], "Resource": ["arn:aws:s3:::backups/*"]},
        {"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"},
        {
            "Effect": "Allow",
            "Action": "s3:DeleteObjectVersion",
            "Resource": "arn:aws:s3:::backups/alpha/data/*",
            "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        },
    ],
)
def test_a_document_that_allows_it_anywhere_under_any_condition_fails(statement: Statement) -> None:
    assert found((*HARMLESS, statement))["host-may-s3-deleteobjectversion"] is Severity.FAIL


def test_a_document_about_another_bucket_does_not_matter() -> None:
    other: Statement = {"Effect": "Allow", "Action": "s3:DeleteObject*", "Resource": "arn:aws:s3:::other/*"}
    assert found((*HARMLESS, other)) == {}


def test_what_the_buckets_policy_denies_the_host_does_not_have() -> None:
    tempted: Statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::backups/*"}
    assert "host-may-s3-deleteobjectversion" in found((tempted,))
    left = {*found((tempted,), policy=our_policy(WHERE))}
    # What is no request to this bucket, its policy cannot deny.
    assert left <= {host_may(action) for action in ELSEWHERE}


@pytest.mark.parametrize(
    ("whom", "is_allowed"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": ["*"]}}, True),
        ({"Principal": {"AWS": HOST}}, True),
        ({"NotPrincipal": {"AWS": "arn:aws:iam::123456789012:role/other"}}, True),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:role/other"}}, False),
        ({"Principal": {"Service": "logging.s3.amazonaws.com"}}, False),
    ],
)
def test_what_the_buckets_policy_allows_the_host_has(whom: dict[str, object], is_allowed: bool) -> None:
    allow: Statement = {"Effect": "Allow", **whom, "Action": "s3:PutBucketPolicy", "Resource": "arn:aws:s3:::backups"}
    assert ("host-may-s3-putbucketpolicy" in found(HARMLESS, policy=(allow,))) is is_allowed


def test_a_deny_under_a_condition_does_not_count() -> None:
    tempted: Statement = {"Effect": "Allow", "Action": "s3:DeleteObjectVersion", "Resource": "*"}
    sometimes: Statement = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
    }
    assert "host-may-s3-deleteobjectversion" in found((tempted, sometimes))
    always = {name: value for name, value in sometimes.items() if name != "Condition"}
    assert found((tempted, always)) == {}


def test_where_neither_source_answered_that_is_a_hold() -> None:
    assert found() == {"host-rights-not-judged": Severity.HOLD}


def test_no_policy_of_a_bucket_speaks_of_what_is_elsewhere() -> None:
    """Whatever its Resource says: S3 applies it to the bucket alone."""
    everything: Statement = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    assert found(policy=(everything,)) == {"host-rights-not-judged": Severity.HOLD}
    assert found(HARMLESS, policy=({**everything, "Effect": "Allow"},)).keys() <= {
        host_may(action) for action in (*ON_OBJECTS, *ON_THE_BUCKET)
    }


def test_an_action_left_out_that_the_buckets_policy_denies_the_host_anyway_is_judged() -> None:
    policy = our_policy(WHERE)
    assert simulated()[0].action == "s3:BypassGovernanceRetention"
    assert found(simulation=simulated()[1:], policy=policy) == {}
    assert found(simulation=simulated()[:-1], policy=policy) == {"host-rights-not-judged": Severity.HOLD}
    assert found(simulation=simulated()[1:], policy=(ALLOW,)) == {"host-rights-not-judged": Severity.HOLD}


ALLOW: Statement = {
    "Effect": "Allow",
    "Principal": {"AWS": HOST},
    "Action": "s3:PutBucketPolicy",
    "Resource": "arn:aws:s3:::backups",
}


@pytest.mark.parametrize(
    ("decision", "policy", "then"),
    [
        (Decision.IMPLICIT_DENY, (ALLOW,), Decision.ALLOWED),
        (Decision.EXPLICIT_DENY, (ALLOW,), Decision.EXPLICIT_DENY),
        (Decision.IMPLICIT_DENY, (ALLOW, *our_policy(WHERE)), Decision.EXPLICIT_DENY),
        (Decision.ALLOWED, our_policy(WHERE), Decision.EXPLICIT_DENY),
        (Decision.ALLOWED, (), Decision.ALLOWED),
        (Decision.IMPLICIT_DENY, (), Decision.IMPLICIT_DENY),
    ],
)
def test_a_decision_is_weighed_with_the_buckets_policy_as_iam_would(
    decision: Decision, policy: tuple[Statement, ...], then: Decision
) -> None:
    result = Simulated("s3:PutBucketPolicy", "arn:aws:s3:::backups", decision)
    assert [each.decision for each in weighed([result], HOST, policy)] == [then]
    elsewhere = Simulated("s3:CreateJob", "*", decision)
    assert weighed([elsewhere], HOST, policy) == (elsewhere,)


def test_where_the_simulation_left_an_action_out_that_is_a_hold() -> None:
    assert found(simulation=simulated()[1:]) == {"host-rights-not-judged": Severity.HOLD}


def test_the_actions_that_are_asked_about_are_those_that_a_host_must_not_have() -> None:
    lines = FORBIDDEN.read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    asked = [*ON_OBJECTS, *ON_THE_BUCKET, *ELSEWHERE]
    assert len(asked) == len(set(asked))
    assert expand(asked) <= expand(patterns)
    plain = {pattern for pattern in patterns if "*" not in pattern}
    assert plain <= set(asked), "forbidden to hosts, and not asked about"
    for pattern in patterns:
        answered = expand([pattern]) & expand(asked)
        assert answered or pattern in UNASKED, pattern


UNASKED = frozenset({"s3:*ObjectAnnotation", "s3:*ObjectVersionAnnotation", "organizations:*"})
"""Families of which no member destroys, reads or frees a version by itself."""

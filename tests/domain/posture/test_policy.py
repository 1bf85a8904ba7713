"""A policy is compared in meaning: other words for the same are accepted, less is named."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from functions.domain.posture.policy import denied, not_covered
from tests.domain.posture.buckets import ACCOUNT, BREAK_GLASS, HOST, found, our_policy, surroundings

Policy = list[dict[str, Any]]
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-*"
KEEPER = f"arn:aws:iam::{ACCOUNT}:role/rwm-extend-retention"


def ours() -> Policy:
    return [copy.deepcopy(dict(each)) for each in our_policy(surroundings())]


def named(policy: Policy, sid: str) -> dict[str, Any]:
    (statement,) = [each for each in policy if each["Sid"] == sid]
    return statement


def missing(policy: Policy) -> dict[str, str]:
    return dict(not_covered(ours(), policy))


def test_our_own_policy_is_not_weaker() -> None:
    assert missing(ours()) == {}


def test_every_statement_that_is_left_out_is_named() -> None:
    for statement in ours():
        left = [each for each in ours() if each["Sid"] != statement["Sid"]]
        # Some are covered by others: what a host may not do at all, it may not do in parts either.
        assert set(missing(left)) <= {statement["Sid"]}
        assert missing(left) or statement["Sid"].startswith("HostOnlyBacksUp")


def _without_sids(policy: Policy) -> Policy:
    return [{key: value for key, value in each.items() if key != "Sid"} for each in policy]


def _reversed(policy: Policy) -> Policy:
    return list(reversed(policy))


def _split(policy: Policy) -> Policy:
    whole = named(policy, "DenyConfiguration")
    policy.remove(whole)
    return [*policy, *({**whole, "Action": action} for action in whole["Action"])]


def _everything_denied_to_all_but_break_glass(policy: Policy) -> Policy:
    statement = named(policy, "DenyVersionDeletes")
    statement |= {"Action": ["s3:*Version", "s3:Bypass*"], "Resource": ["*"]}
    return policy


def _nobody_spared(policy: Policy) -> Policy:
    for sid in ("DenyVersionDeletes", "DenyLocks", "DenyConfiguration"):
        del named(policy, sid)["Condition"]
    return policy


def _other_case(policy: Policy) -> Policy:
    statement = named(policy, "DenyVersionDeletes")
    statement["Action"] = [action.lower() for action in statement["Action"]]
    statement["Condition"] = {"ArnNotEquals": {"AWS:principalarn": BREAK_GLASS}}
    return policy


def _principals_named(policy: Policy) -> Policy:
    for statement in policy:
        if statement["Sid"] == "HostNoMultipart":
            hosts = statement["Condition"].pop("ArnEquals")["aws:PrincipalArn"]
            statement["Principal"] = {"AWS": hosts}
    return policy


def _newer_tls_asked_for(policy: Policy) -> Policy:
    named(policy, "DenyOldTls")["Condition"] = {"NumericLessThan": {"s3:TlsVersion": "1.3"}}
    return policy


def _multipart_denied_to_all(policy: Policy) -> Policy:
    named(policy, "HostNoMultipart")["Condition"] = {"Bool": {"s3:ObjectCreationOperation": False}}
    return policy


def _with_an_allow(policy: Policy) -> Policy:
    allow = {"Effect": "Allow", "Principal": {"AWS": HOST}, "Action": "s3:PutObject", "Resource": "*"}
    return [*policy, allow]


@pytest.mark.parametrize(
    "said_otherwise",
    [
        _without_sids,
        _reversed,
        _split,
        _everything_denied_to_all_but_break_glass,
        _nobody_spared,
        _other_case,
        _principals_named,
        _newer_tls_asked_for,
        _multipart_denied_to_all,
        _with_an_allow,
    ],
)
def test_the_same_or_more_in_other_words_is_not_weaker(said_otherwise: Callable[[Policy], Policy]) -> None:
    assert missing(said_otherwise(ours())) == {}


def _narrow(sid: str, **changed: Any) -> tuple[str, dict[str, Any]]:
    return sid, changed


@pytest.mark.parametrize(
    ("sid", "changed"),
    [
        _narrow("DenyVersionDeletes", Action=["s3:BypassGovernanceRetention"]),
        _narrow("DenyVersionDeletes", Effect="Allow"),
        _narrow("DenyVersionDeletes", Resource=["arn:aws:s3:::backups/alpha/*"]),
        _narrow("DenyVersionDeletes", Resource=["arn:aws:s3:::backups"]),
        _narrow("DenyVersionDeletes", Resource=["arn:aws:s3:::Backups/*"]),
        _narrow("DenyVersionDeletes", Principal={"AWS": HOST}),
        _narrow("DenyVersionDeletes", Principal={"Service": "lambda.amazonaws.com"}),
        _narrow("DenyVersionDeletes", Condition={"ArnNotLike": {"aws:PrincipalArn": [BREAK_GLASS, HOST]}}),
        _narrow("DenyVersionDeletes", Condition={"ArnNotLike": {"aws:PrincipalArn": "*"}}),
        _narrow("DenyVersionDeletes", Condition={"ArnLike": {"aws:PrincipalArn": HOST}}),
        _narrow("DenyVersionDeletes", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        _narrow("DenyLocks", Action=["s3:PutObjectRetention"]),
        _narrow("DenyLocks", Action=["s3:PutObjectLegalHold"]),
        _narrow("DenyLocks", Resource=["arn:aws:s3:::backups/alpha/*"]),
        _narrow("DenyLocks", Condition={"ArnNotLike": {"aws:PrincipalArn": [KEEPER, BREAK_GLASS, DEPLOYER]}}),
        _narrow("DenyLocks", Condition={"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}}),
        _narrow("DenyConfiguration", Condition={"ArnNotLike": {"aws:PrincipalArn": [DEPLOYER[:-5] + "*"]}}),
        _narrow("DenyConfiguration", Action=["s3:PutBucket*"]),
        _narrow("DenyPlainHttp", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        _narrow("DenyPlainHttp", Resource=["arn:aws:s3:::backups/*"]),
        _narrow("DenyOldTls", Condition={"NumericLessThan": {"s3:TlsVersion": "1.1"}}),
        _narrow("HostHidesOnlyLocks", NotResource="arn:aws:s3:::backups/alpha/*"),
        _narrow("HostHidesOnlyLocks", NotResource=["arn:aws:s3:::backups/alpha/locks/*", "arn:aws:s3:::backups/x"]),
        _narrow("HostNoMultipart", Condition={"ArnEquals": {"aws:PrincipalArn": HOST}}),
        _narrow(
            "HostNoCustomerKey",
            Condition={"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "true"}},
        ),
        _narrow("HostNoForeignKey", Action="s3:PutObjectAcl"),
    ],
)
def test_a_statement_that_denies_less_is_named(sid: str, changed: dict[str, Any]) -> None:
    policy = ours()
    statement = named(policy, sid)
    if "Condition" in changed and "PrincipalArn" not in str(changed) and sid.startswith("Host"):
        changed = {"Condition": {**statement["Condition"], **changed["Condition"]}}
    statement |= changed
    if sid == "HostNoMultipart":
        # Of the two hosts' principals one is left, and multipart is denied to it altogether: more, and less.
        assert set(missing(policy)) == {sid}
        return
    assert set(missing(policy)) == {sid}


def test_a_not_action_that_spares_more_is_weaker() -> None:
    policy = ours()
    named(policy, "HostOnlyBacksUp")["NotAction"].append("s3:PutObjectRetention")
    assert set(missing(policy)) == {"HostOnlyBacksUp"}


def test_a_not_action_that_spares_less_is_not_weaker() -> None:
    policy = ours()
    named(policy, "HostOnlyBacksUp")["NotAction"].remove("s3:DeleteObject")
    assert missing(policy) == {}


def test_a_storage_class_more_is_weaker() -> None:
    policy = ours()
    values = named(policy, "HostStorageClass")["Condition"]["StringNotEquals"]
    values["s3:x-amz-storage-class"] = ["STANDARD", "GLACIER"]
    assert set(missing(policy)) == {"HostStorageClass"}


def test_the_walls_of_the_second_repository_in_the_bucket_count_too() -> None:
    policy = [each for each in ours() if each["Sid"] != "HostHidesOnlyLocks1"]
    assert set(missing(policy)) == {"HostHidesOnlyLocks1"}


def test_the_finding_names_the_statement_and_what_gets_through() -> None:
    policy = ours()
    named(policy, "DenyVersionDeletes")["Action"] = "s3:BypassGovernanceRetention"
    finding = found(policy=tuple(policy))["bucket-policy-weaker-than-ours"]
    assert finding.severity == "FAIL"
    assert "lacks DenyVersionDeletes, or narrows it: s3:DeleteObjectVersion" in finding.what


@pytest.mark.parametrize(
    ("principal", "action", "is_denied"),
    [
        (HOST, "s3:DeleteObjectVersion", True),
        (BREAK_GLASS, "s3:DeleteObjectVersion", False),
        (HOST, "s3:PutObjectTagging", True),
        (HOST, "s3:PutObject", False),
        (f"arn:aws:iam::{ACCOUNT}:user/somebody", "s3:DeleteObjectVersion", True),
        (f"arn:aws:iam::{ACCOUNT}:user/somebody", "s3:PutObjectTagging", False),
        (f"arn:aws:iam::{ACCOUNT}:user/somebody", "s3:PutObjectRetention", True),
        (f"arn:aws:iam::{ACCOUNT}:user/somebody", "s3:PutObjectLegalHold", True),
        (f"arn:aws:iam::{ACCOUNT}:role/rwm-apply-prune", "s3:PutObjectRetention", True),
        (KEEPER, "s3:PutObjectRetention", False),
        (KEEPER, "s3:BypassGovernanceRetention", True),
        (KEEPER, "s3:DeleteObjectVersion", True),
        (BREAK_GLASS, "s3:PutObjectRetention", False),
    ],
)
def test_a_deny_counts_for_whom_it_covers(principal: str, action: str, is_denied: bool) -> None:
    assert denied(ours(), principal, action, "arn:aws:s3:::backups/alpha/*") is is_denied

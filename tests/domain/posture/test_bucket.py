"""A bucket's configuration: what is wrong is named, and what is right is left alone."""

from dataclasses import fields, replace
from datetime import date

import pytest

from functions.domain.posture.bucket import drift, judge, longest_kept
from functions.domain.posture.facts import BucketFacts, Encryption, Grant, LifecycleRule, ObjectLock, PublicAccess
from functions.domain.repositories import Retention
from functions.domain.values import Severity, Versioning
from tests.builders import NOON
from tests.domain.posture.buckets import alpha, found, good, surroundings

KMS = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ABORT = LifecycleRule(id="abort", abort_uploads_days=1)


def severities(**changed: object) -> dict[str, Severity]:
    return {name: each.severity for name, each in found(**changed).items()}  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{}, {"kms_key": KMS}, {"adopt": True}, {"host_may_hide": True}])
def test_a_bucket_as_rwm_makes_it_raises_nothing(settings: dict[str, object]) -> None:
    assert found(surroundings(**settings)) == {}


@pytest.mark.parametrize("versioning", [Versioning.OFF, Versioning.SUSPENDED])
def test_versioning_that_is_not_enabled_fails(versioning: Versioning) -> None:
    assert severities(versioning=versioning) == {"versioning-not-enabled": Severity.FAIL}


@pytest.mark.parametrize(("adopt", "severity"), [(False, Severity.HOLD), (True, Severity.NOTE)])
@pytest.mark.parametrize(
    ("lock", "name"),
    [
        (ObjectLock(False), "object-lock-off"),
        (ObjectLock(True), "default-retention-missing"),
        (ObjectLock(True, "GOVERNANCE", 13), "default-retention-too-short"),
    ],
)
def test_weak_object_lock_is_a_hold_and_a_note_on_an_adopted_bucket(
    lock: ObjectLock, name: str, adopt: bool, severity: Severity
) -> None:
    assert {name: each.severity for name, each in found(surroundings(adopt=adopt), object_lock=lock).items()} == {
        name: severity
    }


def test_a_default_retention_longer_than_grace_is_a_note() -> None:
    assert severities(object_lock=ObjectLock(True, "GOVERNANCE", 30)) == {}
    assert severities(object_lock=ObjectLock(True, "GOVERNANCE", 31)) == {"default-retention-too-long": Severity.NOTE}


def test_a_default_retention_of_compliance_is_a_hold() -> None:
    compliance = ObjectLock(True, "COMPLIANCE", 14)
    assert severities(object_lock=compliance) == {"default-retention-compliance": Severity.HOLD}


@pytest.mark.parametrize(
    "rule",
    [
        LifecycleRule(id="r", expire_days=3650),
        LifecycleRule(id="r", expire_date=date(2030, 1, 1)),
        LifecycleRule(id="r", noncurrent_days=1),
        LifecycleRule(id="r", noncurrent_days=1000),
        LifecycleRule(id="r", prefix="alpha/", expire_days=1),
        LifecycleRule(id="r", prefix="alpha/data/", noncurrent_days=1),
        LifecycleRule(id="r", prefix="al", noncurrent_days=1),
    ],
)
def test_a_lifecycle_rule_that_expires_what_a_state_may_name_fails(rule: LifecycleRule) -> None:
    assert severities(lifecycle=(ABORT, rule)) == {"lifecycle-expires": Severity.FAIL}


@pytest.mark.parametrize(
    "rule",
    [
        LifecycleRule(id="r", enabled=False, expire_days=1),
        LifecycleRule(id="r", prefix="gamma/", expire_days=1),
        LifecycleRule(id="r", prefix="alpha/locks/", expire_days=1, noncurrent_days=1),
        LifecycleRule(id="r", noncurrent_days=4000),
    ],
)
def test_a_lifecycle_rule_that_reaches_nothing_a_state_names_is_left_alone(rule: LifecycleRule) -> None:
    assert severities(lifecycle=(ABORT, rule)) == {}


def test_a_lifecycle_rule_that_moves_to_a_foreign_class_is_a_hold() -> None:
    rule = LifecycleRule(id="r", transitions=("GLACIER",))
    assert severities(lifecycle=(ABORT, rule)) == {"lifecycle-transitions": Severity.HOLD}
    where = surroundings(storage_classes=["STANDARD", "GLACIER"])
    assert found(where, lifecycle=(ABORT, rule)) == {}


@pytest.mark.parametrize("rules", [(), (replace(ABORT, prefix="alpha/"),), (replace(ABORT, enabled=False),)])
def test_incomplete_uploads_that_stay_are_a_note(rules: tuple[LifecycleRule, ...]) -> None:
    assert severities(lifecycle=rules) == {"uploads-not-aborted": Severity.NOTE}


def test_a_missing_policy_fails() -> None:
    assert severities(policy=()) == {"bucket-policy-missing": Severity.FAIL}


def test_public_access_that_is_not_blocked_is_a_hold() -> None:
    assert severities(public_access=PublicAccess(block_acls=True, ignore_acls=True, block_policy=True)) == {
        "public-access-open": Severity.HOLD
    }


def test_a_policy_or_an_acl_for_everybody_fails() -> None:
    where = surroundings()
    everybody = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    finding = found(where, policy=(*(good(where).policy or ()), everybody))["public-access-open"]
    assert finding.severity is Severity.FAIL
    assert "Open" in finding.what
    group = Grant("http://acs.amazonaws.com/groups/global/AllUsers", "READ")
    assert severities(grants=(group,)) == {"public-access-open": Severity.FAIL}


def test_a_policy_that_allows_everybody_but_one_is_public() -> None:
    where = surroundings()
    allow = {"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "Action": "s3:GetObject", "Resource": "*"}
    assert "public-access-open" in found(where, policy=(*(good(where).policy or ()), allow))


def test_a_policy_that_allows_everybody_of_an_organization_is_not_public() -> None:
    where = surroundings()
    allow = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": "*"}
    mine = {**allow, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}
    assert found(where, policy=(*(good(where).policy or ()), mine)) == {}


def test_sse_c_that_is_not_blocked_is_a_hold() -> None:
    assert severities(encryption=Encryption("AES256")) == {"sse-c-allowed": Severity.HOLD}


@pytest.mark.parametrize("encryption", [Encryption("aws:kms", KMS, True), Encryption("aws:kms:dsse", None, True)])
def test_another_key_than_the_repositorys_is_a_hold(encryption: Encryption) -> None:
    assert severities(encryption=encryption) == {"encryption-changed": Severity.HOLD}


def test_no_key_where_the_repository_has_one_is_a_hold() -> None:
    findings = found(surroundings(kms_key=KMS), encryption=Encryption("AES256", None, True))
    assert set(findings) == {"encryption-changed"}


def test_replication_is_a_hold_and_names_where_to() -> None:
    finding = found(replication=("arn:aws:s3:::elsewhere",))["replication-present"]
    assert finding.severity is Severity.HOLD
    assert "arn:aws:s3:::elsewhere" in finding.what


def test_acls_that_count_are_a_hold() -> None:
    assert severities(ownership="ObjectWriter") == {"ownership-not-enforced": Severity.HOLD}
    assert severities(grants=(Grant("canonical-id", "WRITE"),)) == {"acl-grants-others": Severity.HOLD}


@pytest.mark.parametrize("name", [each.name for each in fields(BucketFacts) if each.name != "read_at"])
def test_what_could_not_be_fetched_is_named_and_nothing_else_is_said_of_it(name: str) -> None:
    (finding,) = found(**{name: None}).values()
    assert (finding.id, finding.severity) == ("posture-not-readable", Severity.HOLD)
    assert name in finding.what


def test_the_same_configuration_at_another_time_is_no_drift() -> None:
    where = surroundings()
    facts = good(where)
    later = replace(facts, read_at=NOON.replace(year=2027))
    assert facts.digest == later.digest
    assert list(drift(later, alpha(where), facts.digests)) == []


def test_what_changed_since_the_last_state_is_a_hold_and_is_named_even_when_every_rule_allows_it() -> None:
    where = surroundings()
    before = good(where)
    after = replace(before, object_lock=ObjectLock(True, "GOVERNANCE", 20))
    (finding,) = judge(after, alpha(where), where, before.digests)
    assert (finding.id, finding.severity) == ("drift", Severity.HOLD)
    assert finding.what.endswith(": object_lock")
    assert before.digest != after.digest


def test_what_could_not_be_fetched_is_no_drift() -> None:
    where = surroundings()
    assert list(drift(replace(good(where), policy=None), alpha(where), good(where).digests)) == []


def test_a_state_is_kept_at_most_as_long_as_its_longest_rule() -> None:
    assert longest_kept(Retention()).days == 366 * 3
    assert longest_kept(Retention(years=0, months=0)).days == 84

"""The check of posture: what it gathers, what it makes of it, and in which order it writes it down."""

import pytest

from functions.domain.posture.facts import LifecycleRule, ObjectLock
from functions.domain.values import Versioning
from tests.check.world import World
from tests.domain.posture.buckets import ACCOUNT, HOST, surroundings

EXPIRING = LifecycleRule(id="tidy", expire_days=30)
MAINTENANCE = f"arn:aws:iam::{ACCOUNT}:user/rwm-alpha-maintenance"


@pytest.fixture
def world() -> World:
    return World()


def test_a_bucket_as_we_make_it_passes_without_a_finding(world: World) -> None:
    verdict = world.check()
    assert (verdict.outcome, verdict.findings, verdict.unread) == ("pass", (), {})


def test_a_note_is_no_reason_to_hold(world: World) -> None:
    world.change(lifecycle=())
    verdict = world.check()
    assert [finding.id for finding in verdict.findings] == ["uploads-not-aborted"]
    assert verdict.outcome == "pass"


def test_the_worst_finding_is_the_verdict_and_comes_first(world: World) -> None:
    world.change(object_lock=ObjectLock(enabled=False), lifecycle=(EXPIRING,))
    verdict = world.check()
    assert verdict.outcome == "fail"
    assert [finding.id for finding in verdict.findings] == [
        "lifecycle-expires",
        "object-lock-off",
        "uploads-not-aborted",
    ]
    world.change(lifecycle=())
    assert world.check().outcome == "hold"


def test_what_changed_since_the_last_check_is_drift_and_is_told_once(world: World) -> None:
    assert "drift" not in world.found(), "there is nothing to compare with yet"
    world.change(lifecycle=(EXPIRING,))
    first = world.found()
    assert "lifecycle" in first["drift"].what
    assert {"lifecycle-expires", "drift"} <= set(first)
    second = world.found()
    assert "drift" not in second
    assert "lifecycle-expires" in second


def test_hiding_a_fact_for_a_while_hides_no_drift(world: World) -> None:
    world.check()
    world.unread["lifecycle"] = "S3 denies s3:GetLifecycleConfiguration"
    hidden = world.found()
    assert set(hidden) == {"posture-not-readable"}
    world.unread.clear()
    world.change(lifecycle=(EXPIRING,))
    assert "lifecycle" in world.found()["drift"].what


def test_what_cannot_be_read_is_held_and_its_reason_told(world: World) -> None:
    world.unread["policy"] = "S3 denies s3:GetBucketPolicy"
    verdict = world.check()
    assert (verdict.outcome, [finding.id for finding in verdict.findings]) == ("hold", ["posture-not-readable"])
    assert verdict.unread == {"policy": "S3 denies s3:GetBucketPolicy"}


@pytest.mark.parametrize("principal", [HOST, MAINTENANCE])
def test_a_host_or_maintenance_identity_that_iam_allows_too_much_fails_by_the_actions_name(
    world: World, principal: str
) -> None:
    world.allowed[principal] = {"s3:CreateJob"}
    verdict = world.check()
    (finding,) = verdict.findings
    assert (verdict.outcome, finding.id) == ("fail", "host-may-s3-createjob")
    assert principal in finding.what


def test_what_the_buckets_policy_denies_is_denied_though_iam_could_not_weigh_it() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/backup"
    world = World(surroundings(hosts=[role]))
    world.allowed[role] = {"s3:DeleteObjectVersion", "s3:PutBucketPolicy"}
    assert world.found() == {}
    world.change(policy=tuple(each for each in world.now.policy or () if each["Sid"].startswith("DenyPlain")))
    assert {"host-may-s3-deleteobjectversion", "host-may-s3-putbucketpolicy"} <= set(world.found())


def test_iam_is_given_the_buckets_policy(world: World) -> None:
    world.check()
    assert world.weighed == [world.now.policy, world.now.policy]


def test_a_host_that_iam_does_not_know_could_not_be_judged(world: World) -> None:
    world.strangers.add(HOST)
    verdict = world.check()
    (finding,) = verdict.findings
    assert (verdict.outcome, finding.id) == ("hold", "host-rights-not-judged")
    assert verdict.unread == {HOST: f"IAM does not know {HOST}"}


def test_findings_are_written_before_the_posture_that_ends_their_drift(world: World) -> None:
    world.check()
    world.change(versioning=Versioning.SUSPENDED)
    world.written.clear()
    world.check()
    assert world.written == ["versioning-not-enabled at 0", "drift at 0", "posture fail"]
    outcome, digests, findings = world.kept[-1]
    assert (outcome, findings) == ("fail", ["versioning-not-enabled", "drift"])
    assert digests == world.now.digests

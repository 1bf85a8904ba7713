"""The check of posture: what it gathers, what it makes of it, and in which order it writes it down."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.domain.bucket_policy import Statement
from functions.domain.ports import NotListed
from functions.domain.posture.facts import LifecycleRule, ObjectLock, PublicAccess
from functions.domain.posture.grants import for_hosts_alone, grants_to_ask_about
from functions.domain.quarantine import Principal
from functions.domain.restore.drilled import conclude
from functions.domain.values import AttemptId, Versioning
from tests.check.world import World
from tests.domain.judging import header
from tests.domain.posture.buckets import ACCOUNT, HOST, surroundings
from tests.drill.reports import drill, report
from tests.fakes.faults import Crash, KillAt, nothing

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


def test_what_the_buckets_policy_allows_a_role_it_is_allowed_though_iam_could_not_weigh_it() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/backup"
    world = World(surroundings(hosts=[role]))
    allow = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "s3:*", "Resource": "arn:aws:s3:::backups"}
    world.change(policy=(*(world.now.policy or ()), allow))
    assert world.found() == {}, "the policy denies it as well"
    world.change(policy=(allow,))
    found = world.found()
    assert "host-may-s3-putbucketpolicy" in found
    assert "host-may-s3-deleteobjectversion" not in found, "not on the bucket itself"
    assert "host-may-s3-createjob" not in found, "a bucket's policy grants nothing elsewhere"


def test_the_analyzer_is_asked_what_the_policy_grants_the_hosts(world: World) -> None:
    world.check()
    policy = world.now.policy or ()
    assert world.analyzed == [
        (
            for_hosts_alone(policy, world.repository, world.where),
            grants_to_ask_about(world.repository, world.where),
        )
    ]


def test_a_policy_that_grants_by_itself_fails_with_the_analyzers_reasons(world: World) -> None:
    world.reasons = ("One or more of the listed actions in the statement with index: 0.",)
    verdict = world.check()
    (finding,) = verdict.findings
    assert (verdict.outcome, finding.id) == ("fail", "bucket-policy-grants-host")
    assert "statement with index: 0." in finding.what


@pytest.mark.parametrize("policy", [(), None])
def test_a_bucket_without_a_policy_or_with_one_that_was_not_read_is_not_analyzed(
    world: World, policy: tuple[Statement, ...] | None
) -> None:
    if policy is None:
        world.unread["policy"] = "S3 denies s3:GetBucketPolicy"
    world.change(policy=policy)
    verdict = world.check()
    assert world.analyzed == []
    assert "access-analyzer" not in verdict.unread


def test_without_the_analyzer_the_simulation_judges_and_the_reason_is_told(world: World) -> None:
    world.unanalyzed = "could not be asked: 400"
    verdict = world.check()
    assert (verdict.outcome, verdict.findings) == ("pass", ())
    assert verdict.unread == {"access-analyzer": "could not be asked: 400"}


@pytest.mark.parametrize("unanalyzed", [None, "could not be asked: 400"])
def test_without_a_simulation_the_analyzers_pass_does_not_prove_a_host_weak(
    world: World, unanalyzed: str | None
) -> None:
    world.unanalyzed = unanalyzed
    world.strangers.add(HOST)
    verdict = world.check()
    assert (verdict.outcome, [each.id for each in verdict.findings]) == ("hold", ["host-rights-not-judged"])


def test_without_a_simulation_the_buckets_policy_still_tells_what_it_denies_and_allows(world: World) -> None:
    world.strangers.add(HOST)
    behind_ours = world.found()["host-rights-not-judged"].what
    assert "s3:CreateAccessGrant" in behind_ours
    assert "s3:BypassGovernanceRetention" not in behind_ours, "denied, whatever else the host holds"
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": HOST},
        "Action": "s3:BypassGovernanceRetention",
        "Resource": "arn:aws:s3:::backups/*",
    }
    world.change(policy=(allow,))
    found = world.found()
    assert HOST in found["host-may-s3-bypassgovernanceretention"].what
    assert "s3:BypassGovernanceRetention" not in found["host-rights-not-judged"].what, "it is known"
    assert "s3:DeleteObjectVersion" in found["host-rights-not-judged"].what


def test_a_host_that_iam_does_not_know_could_not_be_judged(world: World) -> None:
    world.strangers.add(HOST)
    verdict = world.check()
    (finding,) = verdict.findings
    assert (verdict.outcome, finding.id) == ("hold", "host-rights-not-judged")
    assert verdict.unread == {HOST: f"IAM does not know {HOST}"}


def test_a_finding_is_news_once(world: World) -> None:
    world.change(object_lock=ObjectLock(enabled=False), lifecycle=(EXPIRING,))
    first = world.check()
    assert [each.id for each in first.news] == ["lifecycle-expires", "object-lock-off"], "a NOTE is none"
    second = world.check()
    assert (second.outcome, second.news) == ("fail", ())


def test_what_was_away_is_news_when_it_is_back(world: World) -> None:
    world.change(versioning=Versioning.SUSPENDED)
    world.check()
    world.change(versioning=Versioning.ENABLED)
    assert [each.id for each in world.check().news] == ["drift"]
    world.change(versioning=Versioning.SUSPENDED)
    assert [each.id for each in world.check().news] == ["versioning-not-enabled", "drift"]


def test_the_same_id_saying_something_else_or_something_worse_is_news(world: World) -> None:
    world.change(public_access=PublicAccess())
    assert [each.id for each in world.check().news] == ["public-access-open"]
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::backups/*"}
    world.change(policy=(*(world.now.policy or ()), everybody))
    news = world.check().news
    assert [(each.id, each.severity) for each in news] == [("public-access-open", "FAIL"), ("drift", "HOLD")]


def test_each_drift_of_a_row_of_them_is_news(world: World) -> None:
    world.check()
    for days in (30, 31, 32):
        world.change(lifecycle=(LifecycleRule(id="all", abort_uploads_days=days),))
        assert [each.id for each in world.check().news] == ["drift"]
    assert world.check().news == ()


def test_news_is_told_once_and_before_the_posture_that_makes_it_old(world: World) -> None:
    world.check()
    world.change(versioning=Versioning.SUSPENDED)

    world.notifier.hook = KillAt(1)
    with pytest.raises(Crash):
        world.check()
    world.notifier.hook = nothing
    world.check()
    world.change()
    world.check()
    (notice,) = world.notifier.notices
    assert notice.subject == "RWM: FAIL alpha: versioning-not-enabled, drift"
    assert notice.attributes.items() >= {"repository": "alpha", "severity": "FAIL", "level": "posture"}.items()


def test_findings_are_written_before_the_posture_that_ends_their_drift(world: World) -> None:
    world.check()
    world.change(versioning=Versioning.SUSPENDED)
    world.written.clear()
    world.check()
    assert world.written == ["versioning-not-enabled at 0", "drift at 0", "posture fail"]
    outcome, digests, findings = world.kept[-1]
    assert (outcome, [each.partition("#")[0] for each in findings]) == ("fail", ["versioning-not-enabled", "drift"])
    assert digests == world.now.digests


# --- restore drills ----------------------------------------------------------------------------------------


def _recorded(world: World, days_ago: int) -> None:
    """alpha's first state."""
    recorded_at = world.now.read_at - timedelta(days=days_ago)
    first = header().model_copy(update={"recorded_at": recorded_at, "repository": world.repository.repository})
    world.ledger.begin(first.repository, AttemptId("attempt"), first.cut_time, recorded_at)
    world.ledger.commit(first, AttemptId("attempt"), None)


def test_a_repository_that_no_drill_restored_for_too_long_is_noted_and_told_once(world: World) -> None:
    _recorded(world, 36)
    verdict = world.check()
    assert [(each.id, each.severity) for each in verdict.findings] == [("drill-overdue", "NOTE")]
    assert verdict.outcome == "pass", "no prune waits for it"
    assert world.notifier.subjects == ["RWM: NOTE alpha: drill-overdue"]
    assert "no prune waits for this." in world.notifier.notices[0].body
    world.change()
    assert set(world.found()) == {"drill-overdue"}
    assert len(world.notifier.notices) == 1


def test_only_a_drill_that_succeeded_ends_it_and_the_next_time_it_is_news_again(world: World) -> None:
    _recorded(world, 36)
    world.check()
    name, now = world.repository.repository, world.now.read_at
    failed = conclude(drill(repository=name, chosen=None, restored=None), now - timedelta(hours=1))
    world.drills.append(failed)
    assert set(world.found()) == {"drill-overdue"}
    succeeded = report().model_copy(update={"repository": name, "ended_at": now, "execution": "drill-2"})
    world.drills.append(succeeded)
    assert world.found() == {}
    world.now = replace(world.now, read_at=now + timedelta(days=36))
    assert set(world.found()) == {"drill-overdue"}
    assert len(world.notifier.notices) == 2


def test_a_young_repository_waits_for_no_drill(world: World) -> None:
    _recorded(world, 34)
    assert world.found() == {}


def test_a_quarantine_is_noted_so_that_it_is_not_forgotten(world: World) -> None:
    policy = frozenset([f"arn:aws:iam::{ACCOUNT}:policy/rwm-alpha-quarantine"])
    assert "quarantined" not in world.found()
    world.attached.policies = {HOST: policy}
    assert "1 of 2 hosts" in world.found()["quarantined"].what
    world.attached.policies = {HOST: policy, MAINTENANCE: policy}
    verdict = world.check()
    (noted,) = verdict.findings
    assert "every host can neither write" in noted.what
    assert "rwm unquarantine alpha" in noted.remedy
    # No prune waits for it, and who did it knows.
    assert (verdict.outcome, verdict.news) == ("pass", ())


def test_where_iam_does_not_tell_who_is_in_quarantine_that_is_told_and_all_else_is_judged(world: World) -> None:
    class Denied:
        def of(self, principal: Principal) -> frozenset[str]:
            raise NotListed(f"IAM denies to see the policies of {principal.arn}")

    world.attached = Denied()  # type: ignore[assignment]
    verdict = world.check()
    assert (verdict.outcome, list(verdict.unread)) == ("pass", ["quarantine"])

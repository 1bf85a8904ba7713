"""What IAM Access Analyzer is asked of a bucket's policy, and what becomes of its answer."""

from functions.domain.posture.grants import bucket_policy_grants_host, for_hosts_alone, grants_to_ask_about
from functions.domain.posture.host import ON_OBJECTS, ON_THE_BUCKET
from functions.domain.posture.policy import denied
from functions.domain.values import Finding, Severity
from tests.domain.posture.buckets import ACCOUNT, BREAK_GLASS, HOST, alpha, good, our_policy, surroundings

WHERE = surroundings()
BUCKET = "arn:aws:s3:::backups"
MAINTENANCE = f"arn:aws:iam::{ACCOUNT}:user/rwm-alpha-maintenance"


def said(*reasons: str) -> list[Finding]:
    return list(bucket_policy_grants_host(good(WHERE), alpha(WHERE), reasons))


def test_each_action_is_asked_about_where_a_buckets_policy_can_grant_it() -> None:
    assert set(grants_to_ask_about(alpha(WHERE), WHERE)) == {
        *((action, f"{BUCKET}/alpha/*") for action in ON_OBJECTS),
        *((action, BUCKET) for action in ON_THE_BUCKET),
    }


def test_the_policy_is_asked_about_whole_and_for_nobody_but_the_repositorys_principals() -> None:
    asked = for_hosts_alone(our_policy(WHERE), alpha(WHERE), WHERE)
    assert tuple(asked[:-1]) == our_policy(WHERE)
    for resource in (BUCKET, f"{BUCKET}/alpha/*"):
        assert denied(asked[-1:], BREAK_GLASS, "s3:GetObjectVersion", resource)
        assert denied(asked[-1:], f"arn:aws:iam::{ACCOUNT}:user/rwm-beta-host", "s3:GetObjectVersion", resource)
        assert not denied(asked[-1:], HOST, "s3:GetObjectVersion", resource)
        assert not denied(asked[-1:], MAINTENANCE, "s3:GetObjectVersion", resource)


def test_a_proof_is_no_finding_and_a_doubt_fails() -> None:
    assert said() == []
    (finding,) = said("One or more of the listed actions in the statement with index: 3.")
    assert (finding.id, finding.severity) == ("bucket-policy-grants-host", Severity.FAIL)
    assert finding.what.endswith("says: One or more of the listed actions in the statement with index: 3.")


def test_reasons_are_bounded_and_their_order_does_not_matter() -> None:
    reasons = ["x" * 5_000, *(f"reason\n {number}" for number in range(100))]
    (finding,) = said(*reasons)
    assert finding.what.endswith("reason 0; reason 1; reason 10; and 98 more")
    assert said(*reversed(reasons)) == [finding]
    (long,) = said("x" * 5_000)
    assert len(long.what) < 500

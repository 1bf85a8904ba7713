"""Whether the bucket's policy by itself gives a host a right of WORM administration.

IAM Access Analyzer proves it (`CheckAccessNotGranted`) of a document alone: "PASS" says that the document
grants none of the actions to anybody. It knows no identity policies, so it never shows that a host is weak;
docs/findings.md says what is made of that.

Rules:
- The policy is analyzed together with a Deny for everybody but the repository's hosts and its maintenance
  principal. What others may is for `bucket_policy_weaker_than_ours` to judge; break-glass may a lot.
- Only what a bucket policy can grant is asked about: actions on this bucket and its objects.
- The analyzer's reasons are somebody else's text: their number and their length are bounded.
"""

from collections.abc import Iterable, Sequence

from functions.domain.bucket_policy import Statement, Surroundings
from functions.domain.findings import FindingId
from functions.domain.posture.facts import BucketFacts
from functions.domain.posture.host import questions
from functions.domain.repositories import Repository
from functions.domain.values import Finding, Severity

_MOST_REASONS = 3
_LONGEST_REASON = 200


def grants_to_ask_about(repository: Repository, where: Surroundings) -> list[tuple[str, str]]:
    """The questions about a host's rights that a bucket's policy can answer, as (action, resource)."""
    return [(action, resource) for action, resource in questions(repository, where) if resource != "*"]


def for_hosts_alone(statements: Sequence[Statement], repository: Repository, where: Surroundings) -> list[Statement]:
    """`statements`, and a Deny for everybody else: what they grant then, they grant to a host of `repository`."""
    bucket = f"arn:{where.partition}:s3:::{repository.bucket}"
    principals = [*where.hosts(repository), *where.maintenance(repository)]
    nobody_else: Statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": principals}},
    }
    # Last: the analyzer names statements by their place.
    return [*statements, nobody_else]


def bucket_policy_grants_host(facts: BucketFacts, repository: Repository, reasons: Sequence[str]) -> Iterable[Finding]:
    """`reasons` are the analyzer's; none: it proved that the policy grants nothing."""
    if reasons:
        yield Finding(
            FindingId.BUCKET_POLICY_GRANTS_HOST,
            Severity.FAIL,
            repository.repository,
            facts.read_at,
            f"the policy of bucket {repository.bucket} could by itself grant a host or the maintenance principal what "
            f"destroys versions or ends their protection; IAM Access Analyzer says: {_bounded(reasons)}",
            f"take the Allow out of the policy; `rwm connect {repository.name}` prints ours, which allows nothing",
        )


def _bounded(reasons: Sequence[str]) -> str:
    # Sorted: the same answer in another order is no other finding.
    told = sorted({" ".join(reason.split())[:_LONGEST_REASON] for reason in reasons})
    shown = "; ".join(told[:_MOST_REASONS])
    return shown if len(told) <= _MOST_REASONS else f"{shown}; and {len(told) - _MOST_REASONS} more"

"""Judge how a repository's bucket is configured, and whether its hosts could change that.

gather: the bucket's configuration, what IAM says of each host's rights, the last posture  ->  decide: the
findings and the verdict  ->  apply: append both.

Security rules:
- It reads configuration only: no object, no version, no listing.
- What could not be read is a finding, never a pass.
- The last digest of a fact that cannot be read now is kept, so that hiding a fact for a while hides no drift.
- Findings and verdicts are appended before anybody is told, and never changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.bucket_policy import Statement, Surroundings
from functions.domain.events import Request
from functions.domain.ports import (
    BucketFactsReader,
    FindingLog,
    LedgerReader,
    NotSimulated,
    PostureHistory,
    PostureLog,
    RightsSimulator,
)
from functions.domain.posture.bucket import judge
from functions.domain.posture.host import Decision, HostRights, Simulated, judge_host, questions
from functions.domain.posture.policy import denied
from functions.domain.repositories import Configuration, Repository
from functions.domain.values import Finding, Severity, zulu
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.operations import DynamoCheckFindingLog, DynamoPostureHistory, DynamoPostureLog
from functions.storage.posture import IamRightsSimulator, S3BucketFacts

Outcome = Literal["pass", "hold", "fail"]


@dataclass(frozen=True, slots=True)
class PosturePorts:
    """All that judging one repository's posture may touch."""

    bucket: BucketFactsReader
    simulator: RightsSimulator
    history: PostureHistory
    ledger: LedgerReader
    findings: FindingLog
    log: PostureLog


@dataclass(frozen=True, slots=True)
class Verdict:
    """What posture says of a repository."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    """The worst first."""
    unread: Mapping[str, str]
    """What could not be read, a fact of the bucket or a principal, and why."""


def check_posture(repository: Repository, where: Surroundings, ports: PosturePorts) -> Verdict:
    """Judge `repository` and write down what was found. Raises BucketMissing."""
    name = repository.repository
    before = ports.history.last(name)
    facts, unread = ports.bucket.facts()
    found = [*judge(facts, repository, where, before)]
    reasons = dict(unread)
    for principal in (*where.hosts(repository), *where.maintenance(repository)):
        simulated: tuple[Simulated, ...] = ()
        try:
            simulated = ports.simulator.simulate(principal, questions(repository, where), facts.policy)
        except NotSimulated as error:
            reasons[principal] = str(error)
        weighed = _weighed(simulated, principal, facts.policy or ())
        found.extend(
            judge_host(HostRights(principal=principal, read_at=facts.read_at, simulated=weighed), repository, where)
        )
    findings = tuple(sorted(found, key=lambda finding: _WORST_FIRST.index(finding.severity)))
    verdict = Verdict(outcome_of(findings), findings, reasons)
    head = ports.ledger.head(name)
    for finding in findings:
        ports.findings.append(finding, head.generation if head else 0)
    # Last: killed before, the next run finds the same drift again.
    ports.log.append(
        name, facts.read_at, verdict.outcome, {**(before or {}), **facts.digests}, [each.id for each in findings]
    )
    return verdict


_WORST_FIRST = (Severity.FAIL, Severity.HOLD, Severity.NOTE)


def outcome_of(findings: Sequence[Finding]) -> Outcome:
    """The verdict that `findings` add up to; a NOTE informs and no more."""
    severities = {finding.severity for finding in findings}
    if Severity.FAIL in severities:
        return "fail"
    return "hold" if Severity.HOLD in severities else "pass"


def _weighed(
    simulated: Sequence[Simulated], principal: str, bucket_statements: Sequence[Statement]
) -> tuple[Simulated, ...]:
    """`simulated` with the bucket's policy, which IAM does not weigh for a role: what it denies is denied."""
    return tuple(
        replace(each, decision=Decision.EXPLICIT_DENY)
        if each.decision is Decision.ALLOWED and denied(bucket_statements, principal, each.action, each.resource)
        else each
        for each in simulated
    )


# --- the Lambda function -----------------------------------------------------------------------------------

logger = Logger(service="check-posture")
metrics = Metrics(namespace="RWM", service="check-posture")


class UnknownRepository(Exception):
    """Nothing of that name is deployed; nothing was checked."""


@dataclass(frozen=True, slots=True)
class PostureFunction:
    """The function with everything it is wired to."""

    configuration: Configuration
    ports: Callable[[Repository], PosturePorts]

    def on_request(self, request: Mapping[str, Any], function_arn: str) -> dict[str, Any]:
        """Check for the Scheduler or an operator, and say what was found."""
        asked = Request.model_validate(request)
        repository = self.configuration.find(asked.repository)
        if repository is None:
            raise UnknownRepository(f"no repository {asked.repository!r} is deployed; nothing was checked")
        verdict = check_posture(repository, self._where(function_arn), self.ports(repository))
        _tell(repository, verdict)
        return _report(verdict)

    def _where(self, function_arn: str) -> Surroundings:
        """A function's own ARN says in which partition and account the bucket policy's principals are."""
        _, partition, _, _, account, *_ = function_arn.split(":")
        return Surroundings(partition, account, self.configuration)


def _tell(repository: Repository, verdict: Verdict) -> None:
    """Log and count."""
    ids = [f"{finding.severity} {finding.id}" for finding in verdict.findings]
    extra = {"repository": repository.name, "outcome": verdict.outcome, "findings": ids, "unread": dict(verdict.unread)}
    (logger.info if verdict.outcome == "pass" else logger.error)("posture checked", extra=extra)
    metrics.add_dimension(name="repository", value=repository.name)
    for severity in Severity:
        count = sum(finding.severity is severity for finding in verdict.findings)
        metrics.add_metric(name=f"Posture{severity.capitalize()}s", unit=MetricUnit.Count, value=count)
    metrics.flush_metrics()


def _report(verdict: Verdict) -> dict[str, Any]:
    """What the `rwm` command is told."""
    told = [
        {**{name: getattr(each, name) for name in ("id", "severity", "what", "remedy")}, "since": zulu(each.since)}
        for each in verdict.findings
    ]
    return {"outcome": verdict.outcome, "level": "posture", "findings": told, "unread": dict(verdict.unread)}


@cache
def _function() -> PostureFunction:
    environment = Environment.read()
    s3 = boto3.client("s3", config=CLIENT)
    iam = IamRightsSimulator(boto3.client("iam", config=CLIENT))
    dynamodb = boto3.client("dynamodb", config=CLIENT)

    def ports(repository: Repository) -> PosturePorts:
        return PosturePorts(
            bucket=S3BucketFacts(s3, repository.bucket),
            simulator=iam,
            history=DynamoPostureHistory(dynamodb, environment.operations),
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            findings=DynamoCheckFindingLog(dynamodb, environment.operations),
            log=DynamoPostureLog(dynamodb, environment.operations),
        )

    return PostureFunction(read_bundled(), ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Entry point: `{"repository": NAME, "reason": "schedule" | "operator"}`."""
    return _function().on_request(event, context.invoked_function_arn)

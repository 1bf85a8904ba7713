"""Judge how a repository's bucket is configured, and whether its hosts could change that.

gather: the bucket's configuration, what IAM says of each host's rights and of the bucket's policy, the last
posture, the last drill that succeeded  ->  decide: the findings, the verdict, and what of it is news  ->  apply: append
findings and verdict.

Security rules:
- It reads configuration only: no object, no version, no listing.
- What could not be read is a finding, never a pass.
- Whether drills come is judged here, because nothing of theirs runs when they do not.
- The last digest of a fact that cannot be read now is kept, so that hiding a fact for a while hides no drift.
- Findings and verdicts are appended before anybody is told, and never changed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.configuration import read_bundled
from functions.domain.bucket_policy import Surroundings
from functions.domain.events import Request
from functions.domain.notices import notice_of
from functions.domain.ports import (
    AttachedPolicies,
    BucketFactsReader,
    DrillReportReader,
    FindingLog,
    LedgerReader,
    NotAnalyzed,
    Notifier,
    NotListed,
    NotSimulated,
    PolicyAnalyzer,
    PostureHistory,
    PostureLog,
    RightsSimulator,
)
from functions.domain.posture.bucket import judge
from functions.domain.posture.facts import BucketFacts
from functions.domain.posture.grants import bucket_policy_grants_host, for_hosts_alone, grants_to_ask_about
from functions.domain.posture.host import HostRights, Simulated, judge_host, questions, weighed
from functions.domain.posture.news import mark, news
from functions.domain.quarantine import Quarantine
from functions.domain.repositories import Configuration, Repository
from functions.domain.restore.drill import overdue
from functions.domain.values import Finding, Severity, zulu
from functions.domain.verdict import CheckLevel, Outcome, outcome_of, seen, worst_first
from functions.environment import Environment
from functions.storage.aws import CLIENT
from functions.storage.drills import DynamoDrillReports
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.notices import SnsNotifier
from functions.storage.operations import DynamoCheckFindingLog, DynamoPostureHistory, DynamoPostureLog
from functions.storage.posture import AccessAnalyzer, IamRightsSimulator, S3BucketFacts
from functions.storage.quarantine import IamAttachedPolicies


@dataclass(frozen=True, slots=True)
class PosturePorts:
    """All that judging one repository's posture may touch."""

    bucket: BucketFactsReader
    simulator: RightsSimulator
    analyzer: PolicyAnalyzer
    history: PostureHistory
    ledger: LedgerReader
    findings: FindingLog
    log: PostureLog
    notifier: Notifier
    drills: DrillReportReader
    attached: AttachedPolicies


@dataclass(frozen=True, slots=True)
class Posture:
    """What posture says of a repository."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    """The worst first."""
    unread: Mapping[str, str]
    """What could not be read, a fact of the bucket, a principal or the analyzer, and why."""
    news: tuple[Finding, ...] = ()
    """What people have to hear of and the last posture did not have, the worst first."""


def check_posture(repository: Repository, where: Surroundings, ports: PosturePorts) -> Posture:
    """Judge `repository` and write down what was found. Raises BucketMissing."""
    name = repository.repository
    before = ports.history.last(name)
    facts, unread = ports.bucket.facts()
    reasons = dict(unread)
    granted = _granted(facts, repository, where, ports, reasons)
    rights = [
        _rights(principal, facts, repository, where, ports, reasons)
        for principal in (*where.hosts(repository), *where.maintenance(repository))
    ]
    found = [
        *judge(facts, repository, where, before.digests if before else None),
        *bucket_policy_grants_host(facts, repository, granted),
        *(finding for each in rights for finding in judge_host(each, repository, where, facts.policy)),
        *_drills(repository, facts, ports),
        *_quarantine(repository, facts, where, ports, reasons),
    ]
    findings = worst_first(found)
    verdict = Posture(outcome_of(findings), findings, reasons, news(findings, before))
    head = ports.ledger.head(name)
    for finding in findings:
        ports.findings.append(finding, head.generation if head else 0)
    if verdict.news:
        # Before it is kept: killed in between, somebody hears of it twice rather than never.
        ports.notifier.notify(notice_of(name, CheckLevel.POSTURE, [seen(finding) for finding in verdict.news]))
    digests = {**(before.digests if before else {}), **facts.digests}
    # Last: killed before, the next run finds the same drift and the same news again.
    ports.log.append(name, facts.read_at, verdict.outcome, digests, [mark(finding) for finding in findings])
    return verdict


def _drills(repository: Repository, facts: BucketFacts, ports: PosturePorts) -> list[Finding]:
    """Whether a drill should have restored it by now, on S3's clock."""
    first = ports.ledger.header(repository.repository, 1)
    last = ports.drills.last_restored(repository.repository)
    found = overdue(repository, first.recorded_at if first else None, last.ended_at if last else None, facts.read_at)
    return [found] if found else []


def _quarantine(
    repository: Repository, facts: BucketFacts, where: Surroundings, ports: PosturePorts, reasons: dict[str, str]
) -> list[Finding]:
    """Whether hosts are denied to write, so that nobody forgets it."""
    quarantine = Quarantine.of(repository, where.names, where.partition, where.account)
    try:
        attached = {each: ports.attached.of(each) for each in quarantine.attachable}
    except NotListed as error:
        reasons["quarantine"] = str(error)
        return []
    found = quarantine.finding(attached, facts.policy or (), facts.read_at)
    return [found] if found else []


def _granted(
    facts: BucketFacts, repository: Repository, where: Surroundings, ports: PosturePorts, reasons: dict[str, str]
) -> Sequence[str]:
    """What the analyzer has against the bucket's policy. Without a policy nothing is asked: it grants nothing."""
    if not facts.policy:
        return ()
    try:
        return ports.analyzer.grants(
            for_hosts_alone(facts.policy, repository, where), grants_to_ask_about(repository, where)
        )
    except NotAnalyzed as error:
        reasons["access-analyzer"] = str(error)
        return ()


def _rights(
    principal: str,
    facts: BucketFacts,
    repository: Repository,
    where: Surroundings,
    ports: PosturePorts,
    reasons: dict[str, str],
) -> HostRights:
    simulated: tuple[Simulated, ...] = ()
    try:
        simulated = ports.simulator.simulate(principal, questions(repository, where), facts.policy)
    except NotSimulated as error:
        reasons[principal] = str(error)
    return HostRights(
        principal=principal, read_at=facts.read_at, simulated=weighed(simulated, principal, facts.policy or ())
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
        repository = self.configuration.deployed(asked.repository, UnknownRepository, "nothing was checked")
        verdict = check_posture(repository, self._where(function_arn), self.ports(repository))
        _tell(repository, verdict)
        return _report(verdict)

    def _where(self, function_arn: str) -> Surroundings:
        """A function's own ARN says in which partition and account the bucket policy's principals are."""
        _, partition, _, _, account, *_ = function_arn.split(":")
        return Surroundings(partition, account, self.configuration)


def _tell(repository: Repository, verdict: Posture) -> None:
    """Log and count."""
    ids = [f"{finding.severity} {finding.id}" for finding in verdict.findings]
    extra = {"repository": repository.name, "outcome": verdict.outcome, "findings": ids, "unread": dict(verdict.unread)}
    (logger.info if verdict.outcome == "pass" else logger.error)("posture checked", extra=extra)
    metrics.add_dimension(name="repository", value=repository.name)
    for severity in Severity:
        count = sum(finding.severity is severity for finding in verdict.findings)
        metrics.add_metric(name=f"Posture{severity.capitalize()}s", unit=MetricUnit.Count, value=count)
    metrics.flush_metrics()


def _report(verdict: Posture) -> dict[str, Any]:
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
    iam = boto3.client("iam", config=CLIENT)
    analyzer = AccessAnalyzer(boto3.client("accessanalyzer", config=CLIENT))
    dynamodb = boto3.client("dynamodb", config=CLIENT)
    notifier = SnsNotifier(boto3.client("sns", config=CLIENT), environment.alerts)

    def ports(repository: Repository) -> PosturePorts:
        return PosturePorts(
            bucket=S3BucketFacts(s3, repository.bucket),
            simulator=IamRightsSimulator(iam),
            analyzer=analyzer,
            history=DynamoPostureHistory(dynamodb, environment.operations),
            ledger=DynamoLedgerReader(dynamodb, environment.ledger),
            findings=DynamoCheckFindingLog(dynamodb, environment.operations),
            log=DynamoPostureLog(dynamodb, environment.operations),
            notifier=notifier,
            drills=DynamoDrillReports(dynamodb, environment.operations),
            attached=IamAttachedPolicies(iam),
        )

    return PostureFunction(read_bundled(), ports)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Entry point: `{"repository": NAME, "reason": "schedule" | "operator"}`."""
    return _function().on_request(event, context.invoked_function_arn)

"""Prune plans on the shelf of a deployment, as plan-prune puts them there, and what people and verify-prune add."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from functions.domain.prune.approval import Approval, ApprovalMode, Decision, ShelvedPlan, approval_need
from functions.domain.prune.draft import Basis, Draft
from functions.domain.prune.histories import Histories
from functions.domain.prune.named import StoredNames
from functions.domain.prune.pins import PinnedVersions
from functions.domain.prune.plan import PrunePlan, batch_file, plan_file
from functions.domain.prune.report import Harmed, PruneReport, Seen, report_on
from functions.domain.prune.results import BatchResult, Stays
from functions.domain.repositories import Retention
from functions.domain.state import StateHeader, Tally
from functions.domain.values import DeleteMarker, ListedVersion, ObjectVersion, VersionId
from functions.domain.verdict import Outcome, SeenFinding
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.prunes import DynamoPruneReports
from functions.storage.records import S3RecordReader, S3RecordWriter
from tests.builders import NOON, pack, version
from tests.cli.deployed import NAMES, RECORDS, Deployed
from tests.domain.prune.world import RULES

DAY = 86_400.0
APPROVER = "arn:aws:sts::123456789012:assumed-role/rwm-approver/anna"
KEY = pack("old")


class Shelf:
    """A repository with two states, the older of which is to be dropped, and the plans that are drawn of it.

    A pack was uploaded twice, hidden twelve days ago, and is to go; another was hidden yesterday and waits.
    """

    def __init__(self, deployed: Deployed, repository: str = "alpha") -> None:
        self.deployed = deployed
        self.repository = repository
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.hidden: ObjectVersion = self.put(20, str(KEY))
        self.config: ObjectVersion = self.put(40, "config")
        self.old = deployed.record(repository, [self.config, self.hidden], cut=self.seconds(15))
        self.fresh = deployed.record(repository, [self.config], cut=self.seconds(0))
        table = (deployed.aws.dynamodb, NAMES.operations)
        self.plans = DynamoPlanShelf(*table)
        self.approvals = DynamoApprovals(*table)
        self.reports = DynamoPruneReports(*table)
        self.records = S3RecordWriter(deployed.aws.s3, RECORDS)

    def seconds(self, days: float) -> float:
        """From noon of the tests' day to `days` ago: a plan's age is told by the clock of this machine."""
        return (self.now - NOON).total_seconds() - days * DAY

    def put(self, days: float, key: str) -> ObjectVersion:
        return version(key, written=self.seconds(days), version_id=f"v{days}")

    def hide(self, days: float, key: str) -> DeleteMarker:
        return DeleteMarker(version(key).key, VersionId(f"m{days}"), self.now - timedelta(days=days))

    def draw(
        self,
        execution: str = "monday",
        *,
        ago: float = 60,
        mode: ApprovalMode = "hold",
        check: Sequence[SeenFinding] = (),
        findings: Sequence[SeenFinding] = (),
        posture: Outcome = "pass",
        dry_run: bool = False,
        nothing: bool = False,
        drops: bool | None = None,
        hostile: str | None = None,
    ) -> ShelvedPlan:
        """Draw a plan `ago` seconds ago, write its files, and shelve it; `nothing` goes, and no state either but
        where it `drops`."""
        drawn_at = self.now - timedelta(seconds=ago)
        young: list[ListedVersion] = [self.hide(1, "data/young"), self.put(30, "data/young")]
        gone: list[ListedVersion] = [self.hide(12, str(KEY)), self.hidden, self.put(30, str(KEY))]
        more: list[ListedVersion] = [self.hide(12, hostile), self.put(30, hostile)] if hostile else []
        listed: list[ListedVersion] = [self.config, *young, *([] if nothing else [*gone, *more])]
        listed.sort(key=lambda entry: entry.key.encode())
        draft = Draft(
            Basis(
                fresh=self.fresh,
                execution=execution,
                drawn_at=drawn_at,
                rules=RULES,
                retention=Retention(),
                dropped=frozenset({self.old.id}) if drops or (drops is None and not nothing) else frozenset(),
                holds=frozenset(),
                check="hold" if check or posture == "hold" else "pass",
            ),
            Histories(listed),
            PinnedVersions([self.fresh], StoredNames(DynamoLedgerReader(self.deployed.aws.dynamodb, NAMES.ledger))),
        )
        for batch in draft.batches():
            self.records.put(batch_file(self.fresh.repository, execution, batch.planned.number), batch.content)
        plan = draft.plan(tuple(findings))
        version_id = self.records.put(plan_file(plan.repository, execution), plan.canonical())
        shelved = ShelvedPlan.of(
            plan, version_id, approval_need(plan, mode), posture=posture, check=tuple(check), dry_run=dry_run
        )
        self.plans.put(shelved)
        return shelved

    def decide(self, shelved: ShelvedPlan, decision: Decision = "approved") -> None:
        self.approvals.decide(
            Approval(
                repository=shelved.repository,
                plan=shelved.plan,
                state=shelved.state,
                generation=shelved.generation,
                decision=decision,
                by=APPROVER,
                at=shelved.drawn_at + timedelta(seconds=10),
            )
        )

    def stored(self, shelved: ShelvedPlan) -> PrunePlan:
        reader = S3RecordReader(self.deployed.aws.s3, RECORDS)
        return PrunePlan.parse(reader.get(shelved.file, shelved.version_id))

    def report(
        self,
        shelved: ShelvedPlan,
        *,
        stays: Mapping[str, str] | None = None,
        unfinished: bool = False,
        harmed: Iterable[Harmed] = (),
        after: float = 60,
    ) -> PruneReport:
        """Write down what became of a plan, `after` seconds after it was drawn: all of it is gone, or all stays for
        the one reason, or nothing is known of it."""
        plan = self.stored(shelved)
        done = (
            []
            if unfinished
            else [
                BatchResult(
                    repository=plan.repository,
                    execution=plan.execution,
                    plan=plan.digest,
                    number=batch.number,
                    phase=batch.phase,
                    batch=batch.digest,
                    done_at=self.now,
                    gone=Tally(objects=0 if stays else batch.objects, bytes=0 if stays else batch.bytes),
                    stays=(Stays(entries=batch.objects, bytes=batch.bytes, **stays),) if stays else (),
                )
                for batch in plan.batches
            ]
        )
        seen = Seen(
            versions=Tally(objects=plan.listed.objects - plan.freed.objects, bytes=plan.listed.bytes),
            markers=1,
            reclaimed=Tally(objects=0, bytes=0) if stays or unfinished else plan.freed,
            reclaimed_markers=0 if stays or unfinished else shelved.markers,
            harmed=tuple(harmed),
        )
        kept: list[StateHeader] = [self.fresh]
        verified_at = shelved.drawn_at + timedelta(seconds=after)
        report = report_on(plan, done, seen, kept, verified_at)
        self.reports.append(plan.repository, plan.execution, report.canonical())
        return report

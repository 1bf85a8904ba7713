"""A repository's bucket as it is configured, its hosts' rights, and the operations table, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.check.posture import Posture, PosturePorts, check_posture
from functions.domain.bucket_policy import Statement, Surroundings
from functions.domain.ports import NotAnalyzed, NotSimulated
from functions.domain.posture.facts import BucketFacts
from functions.domain.posture.host import Decision, Simulated
from functions.domain.posture.news import LastPosture
from functions.domain.repositories import Repository
from functions.domain.values import Digest, Finding, RepositoryName
from tests.domain.posture.buckets import alpha, good, surroundings
from tests.fakes.drills import FakeDrills
from tests.fakes.in_place import FakeAttachedPolicies
from tests.fakes.ledger import FakeLedger
from tests.fakes.operations import FakeNotifier


@dataclass
class World:
    """Everything that one repository's check of posture touches, and implements each port."""

    where: Surroundings = field(default_factory=surroundings)
    unread: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, set[str]] = field(default_factory=dict)
    """Actions by principal."""
    strangers: set[str] = field(default_factory=set)
    reasons: tuple[str, ...] = ()
    """What Access Analyzer has against the policy."""
    unanalyzed: str | None = None
    """Why it cannot be asked."""
    analyzed: list[tuple[Sequence[Statement], Sequence[tuple[str, str]]]] = field(default_factory=list)
    """Policies and questions that it was given."""
    kept: list[tuple[str, Mapping[str, Digest], Sequence[str]]] = field(default_factory=list)
    """Postures, oldest first."""
    written: list[str] = field(default_factory=list)
    """What was appended, in order."""
    weighed: list[Sequence[Statement] | None] = field(default_factory=list)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    drills: FakeDrills = field(default_factory=FakeDrills)
    attached: FakeAttachedPolicies = field(default_factory=FakeAttachedPolicies)
    now: BucketFacts = field(init=False)

    def __post_init__(self) -> None:
        self.now = good(self.where)

    @property
    def repository(self) -> Repository:
        return alpha(self.where)

    def change(self, **changed: object) -> None:
        """Somebody configures the bucket, and a day passes."""
        self.now = replace(self.now, read_at=self.now.read_at + timedelta(days=1), **changed)  # type: ignore[arg-type]

    def check(self) -> Posture:
        findings, log = _Findings(self), _Log(self)
        ports = PosturePorts(
            self, self, self, self, self.ledger, findings, log, self.notifier, self.drills, self.attached
        )
        return check_posture(self.repository, self.where, ports)

    def found(self) -> dict[str, Finding]:
        return {finding.id: finding for finding in self.check().findings}

    # --- ports ------------------------------------------------------------------------------------

    def facts(self) -> tuple[BucketFacts, Mapping[str, str]]:
        return replace(self.now, **dict.fromkeys(self.unread)), self.unread  # type: ignore[arg-type]

    def simulate(
        self, principal: str, questions: Sequence[tuple[str, str]], bucket_statements: Sequence[Statement] | None
    ) -> tuple[Simulated, ...]:
        if principal in self.strangers:
            raise NotSimulated(f"IAM does not know {principal}")
        self.weighed.append(bucket_statements)
        theirs = self.allowed.get(principal, set())
        return tuple(
            Simulated(action, resource, Decision.ALLOWED if action in theirs else Decision.IMPLICIT_DENY)
            for action, resource in questions
        )

    def grants(self, statements: Sequence[Statement], questions: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        if self.unanalyzed:
            raise NotAnalyzed(self.unanalyzed)
        self.analyzed.append((statements, questions))
        return self.reasons

    def last(self, repository: RepositoryName) -> LastPosture | None:
        if not self.kept:
            return None
        _, digests, findings = self.kept[-1]
        return LastPosture(digests, frozenset(findings))


@dataclass(frozen=True)
class _Findings:
    world: World

    def append(self, finding: Finding, generation: int) -> bool:
        self.world.written.append(f"{finding.id} at {generation}")
        return True


@dataclass(frozen=True)
class _Log:
    world: World

    def append(
        self,
        repository: RepositoryName,
        read_at: datetime,
        outcome: str,
        digests: Mapping[str, Digest],
        findings: Sequence[str],
    ) -> None:
        self.world.written.append(f"posture {outcome}")
        self.world.kept.append((outcome, digests, findings))

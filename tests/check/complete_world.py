"""A repository that the real restic made, recorded, and the two steps of the level complete over it.

check-complete runs as a principal of its own that may read versions and targets, and nothing else.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from functions.check.complete import check_complete, check_copy, recorded_state
from functions.check.conclude_complete import ConcludePorts, ConcludeRequest, conclude_complete
from functions.domain.checking import VerdictPorts
from functions.domain.completeness import CompletenessReport
from functions.domain.repositories import Repository
from functions.domain.state import StateHeader
from functions.domain.structure.reading import RangedReader
from functions.domain.structure.report import Level
from functions.domain.values import ObjectVersion
from functions.domain.verdict import Judged
from tests.domain.structure.repositories import PASSWORD, MadeByRestic
from tests.fakes.operations import FakeAcknowledgements, FakeNotifier, FakeVerdicts
from tests.fakes.ports import FakeRangedReader, FakeTargetLister, FakeTargetRangedReader
from tests.restore.world import CONFIGURATION, EXECUTION, PROTECTED, TARGET
from tests.restore.world import World as Recorded

ME = "check-complete"


@dataclass(frozen=True, slots=True)
class FakePassword:
    """PasswordReader."""

    held: str = PASSWORD

    def password(self) -> SecretStr:
        return SecretStr(self.held)


class World(Recorded):
    """A recorded repository, a target, and what is kept about them."""

    def __init__(self) -> None:
        super().__init__()
        self.verdicts = FakeVerdicts()
        self.acknowledgements = FakeAcknowledgements()
        self.notifier = FakeNotifier()
        self.password = FakePassword()
        self.s3.access.allow(ME, ["s3:GetObjectVersion", "s3:ListBucket"], PROTECTED)
        self.s3.access.allow(ME, ["s3:GetObject", "s3:ListBucket"], TARGET)

    @property
    def repository(self) -> Repository:
        return CONFIGURATION.repositories[0]

    # --- the repository --------------------------------------------------------------------------------

    def take(self, made: MadeByRestic) -> StateHeader:
        """Make the bucket hold what a folder does, and record it."""
        self.back_up({entry.key: made.path(entry.key).read_bytes() for entry in made.entries()})
        return self.record()

    def entries(self, header: StateHeader) -> Sequence[ObjectVersion]:
        return recorded_state(self.ledger, self.repository, header.id).entries

    def version_ids(self, header: StateHeader) -> dict[str, tuple[str, ...]]:
        """Of each key of a state, as evidence has them."""
        return {entry.key: (entry.version_id,) for entry in self.entries(header)}

    # --- the steps -------------------------------------------------------------------------------------

    def check(
        self, header: StateHeader, *, level: Level = Level.READ_DATA, reader: RangedReader | None = None
    ) -> CompletenessReport:
        pinned = FakeRangedReader(self.s3, PROTECTED, self.source.key_prefix, ME)
        state = recorded_state(self.ledger, self.repository, header.id)
        with ThreadPoolExecutor(4) as threads:
            return check_complete(state, reader or pinned, self.password, threads, level)

    def check_copy(self, header: StateHeader, reader: RangedReader | None = None) -> CompletenessReport:
        place = (self.s3, TARGET, self.target.key_prefix, ME)
        state = recorded_state(self.ledger, self.repository, header.id)
        lister, current = FakeTargetLister(*place), FakeTargetRangedReader(*place)
        with ThreadPoolExecutor(4) as threads:
            return check_copy(state, self.target, lister, reader or current, self.password, threads)

    def conclude(self, header: StateHeader, report: CompletenessReport | None, /, **changed: Any) -> Judged:
        """As the workflow calls it, with whatever is `changed`; an hour later than whatever was before."""
        self.s3.clock.advance(3600)
        target = report.target.model_dump(mode="json") if report and report.target else None
        request = {
            "repository": "beta",
            "state": header.id,
            "target": target,
            "execution": EXECUTION,
            "report": report and report.payload,
            "error": None,
        }
        verdict = VerdictPorts(self.verdicts, self.acknowledgements, self.notifier, self.verdicts)
        ports = ConcludePorts(self.ledger, verdict)
        return conclude_complete(ConcludeRequest.read(request | changed), ports, self.s3.clock.now())

    def judge(self, header: StateHeader, *, level: Level = Level.READ_DATA) -> Judged:
        """Both steps."""
        return self.conclude(header, self.check(header, level=level))

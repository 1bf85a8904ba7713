"""Verdicts, acknowledgements and notices in memory, with the fakes' fault hook.

A verdict and its evidence are held as the bytes that would be stored, so what does not survive its own
encoding fails here too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.domain.evidence import findings_of, pack_evidence, unpack_evidence
from functions.domain.findings import Acknowledgement
from functions.domain.notices import Notice
from functions.domain.values import Digest, Evidence, Finding, RepositoryName, Severity
from functions.domain.verdict import Judged, Verdict
from tests.fakes.ledger import ITEM_BYTES, FakeTable


class FakeVerdicts(FakeTable):
    """VerdictLog and VerdictReader."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[Digest, bytes] = {}
        """Verdicts by digest, in the order of writing."""
        self.evidence: dict[tuple[Digest, int], bytes] = {}

    def append(self, judged: Judged) -> None:
        verdict = judged.verdict
        for number, part in enumerate(pack_evidence(judged.findings)):
            with self._operation("PutEvidence", f"{verdict.repository}/{number}"):
                assert len(part) < ITEM_BYTES
                self.evidence.setdefault((verdict.digest, number), part)
        with self._operation("PutVerdict", f"{verdict.repository}/{verdict.level}"):
            self.stored.setdefault(verdict.digest, verdict.canonical())

    def verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        with self._operation("QueryVerdicts", repository):
            found = [verdict for verdict in map(Verdict.parse, self.stored.values()) if verdict.target is None]
        of_it = [verdict for verdict in found if verdict.repository == repository]
        yield from sorted(of_it, key=lambda each: (each.generation, each.judged_at, each.digest), reverse=True)

    def findings(self, verdict: Verdict) -> tuple[Finding, ...]:
        with self._operation("QueryEvidence", verdict.repository):
            parts = [part for (digest, _), part in sorted(self.evidence.items()) if digest == verdict.digest]
        return findings_of(verdict, parts)

    def copy_verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        with self._operation("QueryCopyVerdicts", repository):
            of_it = [verdict for verdict in self.of_copies() if verdict.repository == repository]
        yield from sorted(of_it, key=lambda each: (each.judged_at, each.digest), reverse=True)

    def of_copies(self) -> list[Verdict]:
        return [verdict for verdict in map(Verdict.parse, self.stored.values()) if verdict.target is not None]


@dataclass(frozen=True, slots=True)
class Said:
    """An acknowledgement as it was written down."""

    repository: RepositoryName
    finding: str
    part: bytes
    by: str


class FakeAcknowledgements(FakeTable):
    """AcknowledgementReader and AcknowledgementLog."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[tuple[RepositoryName, str, bytes], Said] = {}

    def acknowledgements(self, repository: RepositoryName) -> tuple[Acknowledgement, ...]:
        with self._operation("QueryAcknowledgements", repository):
            of_it = [said for said in self.said.values() if said.repository == repository]
        return tuple(
            Acknowledgement(said.finding, each.key, frozenset(each.version_ids))
            for said in of_it
            for each in unpack_evidence([said.part], [_bare(said.repository, said.finding)])[0].evidence
        )

    def append(self, verdict: Verdict, finding: str, evidence: Sequence[Evidence], by: str, at: datetime) -> None:
        bare = _bare(verdict.repository, finding, at, tuple(evidence))
        for part in pack_evidence([bare]):
            with self._operation("PutAcknowledgement", f"{verdict.repository}/{finding}"):
                self.said.setdefault((verdict.repository, finding, part), Said(verdict.repository, finding, part, by))


class FakeNotifier(FakeTable):
    """Notifier: remembers what people were told."""

    def __init__(self) -> None:
        super().__init__()
        self.notices: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        with self._operation("Publish", notice.subject):
            self.notices.append(notice)

    @property
    def subjects(self) -> list[str]:
        return [notice.subject for notice in self.notices]


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


def _bare(
    repository: RepositoryName,
    finding: str,
    at: datetime = _EPOCH,
    evidence: tuple[Evidence, ...] = (),
) -> Finding:
    return Finding(finding, Severity.NOTE, repository, at, "", "", evidence)

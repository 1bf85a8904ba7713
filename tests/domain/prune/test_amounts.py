"""What about a plan makes a person look first."""

import pytest

from functions.domain.findings import FindingId
from functions.domain.prune.amounts import odd
from functions.domain.prune.plan import Total
from functions.domain.prune.rules import Reason
from functions.domain.repositories import Thresholds
from functions.domain.restic import FileType
from functions.domain.values import Finding, Severity
from tests.builders import NOON
from tests.strands import ALPHA


def found(*totals: tuple[FileType, int], level: int = 1000) -> list[Finding]:
    given = [Total(reason=Reason.HIDDEN, type=kind, entries=2, bytes=size) for kind, size in totals]
    return list(odd(given, level, Thresholds(), ALPHA, NOON))


def test_a_plan_that_frees_no_more_than_the_threshold_is_not_odd() -> None:
    assert found((FileType.PACK, 199), (FileType.SNAPSHOT, 1)) == []


def test_a_plan_that_frees_more_is_a_hold_that_says_how_much() -> None:
    (finding,) = found((FileType.PACK, 200), (FileType.INDEX, 1))
    assert (finding.id, finding.severity, finding.since) == (FindingId.PRUNE_FREES_MUCH, Severity.HOLD, NOON)
    assert finding.what == ("the plan frees 201 bytes, 20% of the 1,000 that it usually holds; the threshold is 20%")


def test_where_nothing_is_known_whatever_is_freed_is_much() -> None:
    (finding,) = found((FileType.PACK, 1), level=0)
    assert "what is usual, is unknown" in finding.what
    assert found((FileType.PACK, 0), level=0) == []


def test_lock_files_do_not_count() -> None:
    assert found((FileType.LOCK, 10_000)) == []


def test_what_is_not_restics_makes_a_person_look() -> None:
    (finding,) = found((FileType.ALIEN, 10))
    assert (finding.id, finding.severity) == (FindingId.PRUNE_TAKES_ALIENS, Severity.HOLD)
    assert finding.what.startswith("the plan deletes 2 version(s)")


@pytest.mark.parametrize("totals", [((FileType.ALIEN, 10_000),)])
def test_no_finding_of_a_plan_can_be_acknowledged_in_advance(totals: tuple[tuple[FileType, int], ...]) -> None:
    both = found(*totals)
    assert len(both) == 2
    assert not any(finding.evidence for finding in both)

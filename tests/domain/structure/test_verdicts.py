"""Our verdict is restic's: on whole repositories and on damaged ones, of both versions, at both levels."""

import pytest

from functions.domain.structure.report import Level
from tests.domain.structure.damages import COMPLETE, DAMAGES
from tests.domain.structure.repositories import MadeByRestic


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_verdict_is_restics(repository: MadeByRestic, damage: str, level: Level) -> None:
    DAMAGES[damage](repository)
    report = repository.check(level)
    assert report.complete is (level in COMPLETE[damage]), report
    assert repository.restic_finds_no_errors(level) is report.complete


def test_there_are_damages_enough_of_each_sort() -> None:
    sorts = [frozenset(complete) for complete in COMPLETE.values()]
    assert sorts.count(frozenset()) >= 20
    assert sorts.count(frozenset({Level.STRUCTURE})) >= 6

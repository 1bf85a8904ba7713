"""What the machine found, as stories."""

from collections.abc import Iterator

import pytest

from functions.domain.values import StateId
from functions.prune.hold import Asked as Holding
from functions.prune.hold import hold
from tests.promises.life import APPROVER, DAY, Life
from tests.promises.world import ALPHA, Settings, to_scale


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with to_scale():
        yield


def a_life() -> Life:
    return Life(Settings(retention={"keep_within": "2d", "days": 0, "weeks": 0, "months": 0, "years": 0}))


def days(life: Life, number: int) -> None:
    """Of a backup and a state each."""
    for _ in range(number):
        life.world.clock.advance(DAY)
        life._back_up(ALPHA, 1)
        life._record(ALPHA, "schedule")


def hold_newest(life: Life) -> None:
    state = life.truth.chain[ALPHA][-1].id
    asked = Holding(repository=ALPHA, state=StateId(state), action="hold", why="evidence", by=APPROVER)
    hold(ALPHA, asked, life.world.hold_ports(), life.truth.now)


def outcome(life: Life) -> str:
    """Of the newest state."""
    return life.truth.outcome(ALPHA, life.truth.chain[ALPHA][-1].id)


@pytest.mark.parametrize("key", ["config", "data/"])
def test_an_attack_that_was_mended_and_acknowledged_does_not_come_back_when_the_true_bytes_of_then_are_pruned(
    key: str,
) -> None:
    """The checks tell the false version of a name by the oldest one. With that gone, the false one would be the oldest,
    what was mended would be called false, and nobody could mend or acknowledge that: no prune would ever run again."""
    life = a_life()
    days(life, 1)
    victim = next(each for each in life.honest[ALPHA].live if each.startswith(key))
    life.world.clock.advance(60)
    life._put(ALPHA, victim, b"poison".ljust(40, b"!"))
    life.world.clock.advance(60)
    life._record(ALPHA, "schedule")
    assert outcome(life) == "fail"
    hold_newest(life)
    life._mend(ALPHA)
    days(life, 1)
    assert outcome(life) == "fail"
    life._acknowledge(ALPHA)
    for _ in range(3):
        days(life, 6)
        assert outcome(life) == "pass"
        life._prune(life.world.repositories[ALPHA])
        life.truth.look()
    assert life.truth.deleted["states"] > 5

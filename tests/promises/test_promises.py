"""P1 to P5 hold after every step of every life; and at the end, what nobody needs is gone.

hypothesis chooses the lives, and shortens one that breaks a promise.
"""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.promises.life import ACTS, LEAST_DELETED, Life, settings_of
from tests.promises.world import to_scale

STEPS, LIVES = 200, 50
"""In CI, of one life; and lives."""
NUMBERS = st.integers(0, 0xFFFF)
PHASES = [Phase.generate, Phase.shrink]


class Machine(RuleBasedStateMachine):
    """A life whose every step hypothesis chooses."""

    steps = 0
    done: Counter[str] = Counter()

    life: Life | None = None

    @initialize(
        number=st.integers(0, 3),
        approval=st.sampled_from(["hold", "never", "always"]),
        odd=st.integers(0, 31),
        attacked=st.integers(0, 2),
    )
    def begin(self, number: int, approval: Any, odd: int, attacked: int) -> None:
        self.life = Life(settings_of(number, approval, odd, number), attacked=attacked > 0)

    @rule(act=st.sampled_from(ACTS), a=NUMBERS, b=NUMBERS, c=NUMBERS)
    def step(self, act: str, a: int, b: int, c: int) -> None:
        assert self.life is not None
        Machine.steps += 1
        self.life.step(act, a, b, c)

    def teardown(self) -> None:
        if self.life is not None and not self.life.truth.broken:
            self.life.settle()
            Machine.done.update(self.life.truth.deleted)


def test_the_promises_hold_after_every_step_of_every_life() -> None:
    Machine.steps, Machine.done = 0, Counter()
    with to_scale():
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=LIVES + 2,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=PHASES,
            ),
        )
    assert Machine.steps >= STEPS * LIVES, "lives ended before their time"
    for what, least in LEAST_DELETED.items():
        assert Machine.done[what] > LIVES * least, f"{Machine.done[what]} {what}: too little happened"

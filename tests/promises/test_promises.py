"""P1 to P5 hold after every step of every life; and at the end, what nobody needs is gone.

hypothesis chooses the lives that CI runs, and shortens one that breaks a promise. `make long` chooses a million steps
by seeds, which it prints: RWM_PROMISE_SEED runs the life of one again.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.promises.life import ACTS, Life, Step
from tests.promises.truth import PromiseBroken
from tests.promises.world import Settings, to_scale

STEPS, LIVES = 200, 50
"""In CI, of one life; and lives."""
LONG_STEPS, LONG_LIFE, SHARDS = 1_000_000, 300, 4
"""In `make long`; shards run side by side."""
LEAST_DELETED = {"versions": 10, "markers": 8, "states": 1, "restores": 0.5}
"""Per life, on average: where nothing is ever deleted, every promise holds."""
RETENTIONS: tuple[dict[str, Any], ...] = (
    {"keep_within": "2d", "days": 0, "weeks": 0, "months": 0, "years": 0},
    {"keep_within": "2d", "days": 1, "weeks": 0, "months": 0, "years": 0},
    {"keep_within": "3d", "days": 2, "weeks": 1, "months": 1, "years": 0},
)
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
        self.life = Life(_settings(number, approval, odd, number), attacked=attacked > 0)

    @rule(act=st.sampled_from(ACTS), a=NUMBERS, b=NUMBERS, c=NUMBERS)
    def step(self, act: str, a: int, b: int, c: int) -> None:
        assert self.life is not None
        Machine.steps += 1
        self.life.step(act, a, b, c)

    def teardown(self) -> None:
        if self.life is not None and not self.life.truth.broken:
            self.life.settle()
            Machine.done.update(self.life.truth.deleted)


def _settings(seed: int, approval: Any, odd: int, retention: int) -> Settings:
    return Settings(
        seed=seed,
        approval=approval,
        bypass=odd % 8 == 1,
        adopt=odd % 8 == 2,
        host_may_hide=odd % 4 != 3,
        retention=RETENTIONS[retention % len(RETENTIONS)],
        strict=odd >= 24,
    )


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


# --- a million steps -------------------------------------------------------------------------------


def _life_of(seed: int) -> tuple[Life, list[Step]]:
    """What `seed` stands for: a life just begun, and the steps to come."""
    chance = random.Random(seed)
    numbers = [chance.randrange(1 << 16) for _ in range(4)]
    life = Life(
        _settings(seed, ("hold", "hold", "always", "never")[numbers[0] % 4], numbers[1] % 32, numbers[2]),
        attacked=numbers[3] % 3 > 0,
    )
    steps = [
        (chance.choice(ACTS), chance.randrange(1 << 16), chance.randrange(1 << 16), chance.randrange(1 << 16))
        for _ in range(LONG_LIFE)
    ]
    return life, steps


def _live(life: Life, steps: Sequence[Step]) -> None:
    """All of it, to the end. Raises PromiseBroken."""
    for step in steps:
        life.step(*step)
    life.settle()


def _shortened(seed: int, steps: list[Step]) -> list[Step]:
    """Steps that still break a promise, and none that can be left out."""

    def breaks(some: Sequence[Step]) -> bool:
        try:
            _live(_life_of(seed)[0], some)
        except PromiseBroken:
            return True
        return False

    run = max(1, len(steps) // 2)
    while run:
        start = 0
        while start < len(steps):
            fewer = steps[:start] + steps[start + run :]
            if breaks(fewer):
                steps = fewer
            else:
                start += run
        run //= 2
    return steps


def _seeds(shard: int) -> Iterator[int]:
    if (only := os.environ.get("RWM_PROMISE_SEED")) is not None:
        yield int(only)
        return
    yield from range(shard, LONG_STEPS // LONG_LIFE + 1, SHARDS)


@pytest.mark.skipif(not os.environ.get("RWM_LONG"), reason="a million steps: `make long`")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_promises_hold_for_a_million_steps(shard: int, capsys: pytest.CaptureFixture[str]) -> None:
    began, steps, done = time.monotonic(), 0, Counter[str]()
    lives = 0
    for seed in _seeds(shard):
        with to_scale():
            life, planned = _life_of(seed)
            try:
                _live(life, planned)
            except PromiseBroken as broken:
                few = _shortened(seed, planned)
                raise AssertionError(f"RWM_PROMISE_SEED={seed}: {broken}\nshortened: {few}") from broken
        lives += 1
        steps += life.steps
        done.update(life.truth.deleted)
        if lives % 50 == 0:
            # Nobody reads what the steps log, and in a million of them it would fill the memory.
            capsys.readouterr()
            with capsys.disabled():
                sys.stdout.write(
                    f"shard {shard}: seed {seed}, {steps:,} steps, {time.monotonic() - began:.0f} s, {done}\n"
                )
    for what, least in LEAST_DELETED.items():
        assert done[what] > lives * least, f"{done[what]} {what}: too little happened"

"""P1 to P5 hold in lives that are chosen by seeds: a few in CI, a million steps in `make long`.

hypothesis likes to try the same again with a difference; these lives have nothing in common. A seed that broke a
promise is named, and RWM_PROMISE_SEED runs its life again in `make long`.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import pytest

from tests.promises.life import ACTS, LEAST_DELETED, Life, Step, settings_of
from tests.promises.truth import PromiseBroken
from tests.promises.world import to_scale

SEEDED_STEPS, SEEDED_LIVES = 300, 20
"""In CI, of one life; and lives."""
LONG_STEPS, SHARDS = 1_000_000, 4
"""In `make long`; shards run side by side."""
SHORTENING = 60.0
"""Seconds that shortening a life by seed may take."""


def _life_of(seed: int) -> tuple[Life, list[Step]]:
    """What `seed` stands for: a life just begun, and the steps to come."""
    chance = random.Random(seed)
    numbers = [chance.randrange(1 << 16) for _ in range(4)]
    life = Life(
        settings_of(seed, ("hold", "hold", "always", "never")[numbers[0] % 4], numbers[1] % 32, numbers[2]),
        attacked=numbers[3] % 3 > 0,
    )
    steps = [
        (chance.choice(ACTS), chance.randrange(1 << 16), chance.randrange(1 << 16), chance.randrange(1 << 16))
        for _ in range(SEEDED_STEPS)
    ]
    return life, steps


def _live(life: Life, steps: Sequence[Step]) -> None:
    """All of it, to the end. Raises PromiseBroken."""
    for step in steps:
        life.step(*step)
    life.settle()


def _shortened(seed: int, steps: list[Step]) -> list[Step]:
    """Steps that still break a promise, and as few as can be found in the time there is."""
    deadline = time.monotonic() + SHORTENING

    def breaks(some: Sequence[Step]) -> bool:
        try:
            _live(_life_of(seed)[0], some)
        except PromiseBroken:
            return True
        return False

    run = max(1, len(steps) // 2)
    while run:
        start = 0
        while start < len(steps) and time.monotonic() < deadline:
            fewer = steps[:start] + steps[start + run :]
            if breaks(fewer):
                steps = fewer
            else:
                start += run
        run //= 2
    return steps


def _live_all(seeds: Iterable[int], tell: Callable[[str], None]) -> None:
    """Raises AssertionError, which names the seed of the life in which a promise was broken."""
    began, steps, lives, done = time.monotonic(), 0, 0, Counter[str]()
    with to_scale():
        for seed in seeds:
            life, planned = _life_of(seed)
            try:
                _live(life, planned)
            except PromiseBroken as broken:
                few = _shortened(seed, planned[: life.steps])
                raise AssertionError(f"RWM_PROMISE_SEED={seed}: {broken}\nshortened: {few}") from broken
            lives += 1
            steps += life.steps
            done.update(life.truth.deleted)
            if lives % 50 == 0:
                tell(f"seed {seed}: {steps:,} steps, {time.monotonic() - began:.0f} s, {dict(done)}")
    for what, least in LEAST_DELETED.items():
        # A single life, run again by its seed, may be a poor one.
        assert lives == 1 or done[what] > lives * least, f"{done[what]} {what}: too little happened"


def test_the_promises_hold_in_lives_chosen_by_seeds() -> None:
    _live_all(range(SEEDED_LIVES), lambda _: None)


@pytest.mark.skipif(not os.environ.get("RWM_LONG"), reason="a million steps: `make long`")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_promises_hold_for_a_million_steps(shard: int, capsys: pytest.CaptureFixture[str]) -> None:
    def tell(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"shard {shard}, {line}\n")

    only = os.environ.get("RWM_PROMISE_SEED")
    seeds = range(shard, LONG_STEPS // SEEDED_STEPS + SHARDS, SHARDS)
    _live_all([int(only)] if only else seeds, tell)

"""Which size of packs is advised."""

import pytest

from functions.domain.pack_size import DEFAULT, FEW, MIB, MOST_PACKS, TARGETS, advise

TIB = 1 << 40


@pytest.mark.parametrize(
    ("packs", "average_mib", "verdict", "target"),
    [
        (0, 0, "few", None),
        (FEW - 1, 1, "few", None),
        (FEW, 16, "good", None),
        (MOST_PACKS, 16, "good", None),
        # As large as restic makes them, and too many.
        (2 * MOST_PACKS, 16, "larger", 32),
        (3 * MOST_PACKS, 16, "larger", 64),
        (6 * MOST_PACKS, 16, "larger", 128),
        (60 * MOST_PACKS, 16, "larger", 128),
        # What is nearly so large already.
        (2 * MOST_PACKS, 100, "good", None),
        # Many small backups.
        (5_000, 1, "small", DEFAULT),
        (2 * MOST_PACKS, 3, "small", DEFAULT),
    ],
)
def test_the_smallest_target_that_makes_few_enough_is_advised(
    packs: int, average_mib: int, verdict: str, target: int | None
) -> None:
    found = advise(packs, packs * average_mib * MIB)
    assert (found.verdict, found.target) == (verdict, target)


@pytest.mark.parametrize("terabytes", [1, 2, 3, 5, 8, 13, 40])
def test_what_is_advised_is_worth_it(terabytes: int) -> None:
    found = advise(terabytes * TIB // (16 * MIB), terabytes * TIB)
    if found.target:
        assert found.packs_then is not None
        assert found.packs_then < found.packs
        assert found.packs_then <= MOST_PACKS or found.target == TARGETS[-1]
        # restic's own rule: the pack size for each connection, and once more.
        assert found.room == found.target * MIB * 6

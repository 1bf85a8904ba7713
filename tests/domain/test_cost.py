"""What a repository costs: each line is a quantity times a price, and docs/cost.md's example is what comes out."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.cost import (
    GB,
    PRICES,
    ClassTally,
    Estimate,
    Usage,
    estimate,
    saving,
    times_a_month,
    usage_of,
    with_packs_of,
)
from functions.domain.page.survey import survey
from functions.domain.page.words import amount, dollars
from functions.domain.repositories import Repository
from functions.domain.state import Tally
from tests.builders import NOON
from tests.page.world import NOW, known

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
EXAMPLE = Usage(
    current=(ClassTally(storage_class="STANDARD", objects=130_000, bytes=2_000 * GB),),
    packs=128_000,
    pack_bytes=1_999 * GB,
    noncurrent=14_000,
    noncurrent_bytes=200 * GB,
    noncurrent_class="STANDARD",
    new_objects=30_000,
    recordings=150,
    changed=30,
    checks=30,
    prunes=30 / 7,
    lock_runs=30,
    drills=1,
    drill_bytes=50 * GB,
    drill_objects=5_000,
    lock_days=14,
    reads_content=False,
    states=400,
    ledger_entries=800_000,
    repositories=3,
)
"""docs/cost.md tells it in words."""


def by_name(found: Estimate) -> dict[str, float | None]:
    return {line.what: line.dollars for line in found.lines}


def rows(found: Estimate) -> list[str]:
    """As docs/cost.md has them."""
    return [
        f"| {line.what} | {amount(line.quantity)} | {line.unit} | {line.price:g} | {dollars(line.dollars or 0)} |"
        for line in found.lines
        if line.quantity is not None
    ]


def test_the_example_in_the_documentation_is_what_the_model_computes() -> None:
    page = (ROOT / "docs" / "cost.md").read_text()
    found = estimate(EXAMPLE)
    missing = [row for row in [*rows(found), f"| **together** | | | | **{dollars(found.total)}** |"] if row not in page]
    assert missing == []
    assert f"{dollars(found.restoring('bucket'))} into a bucket" in page
    assert f"{dollars(found.restoring('directory'))} to a directory outside AWS" in page
    saved = saving(EXAMPLE, 32)
    assert f"{dollars(saved.month)} less a month" in page


def test_every_price_of_the_table_is_in_the_documentation_with_its_date() -> None:
    page = (ROOT / "docs" / "cost.md").read_text()
    assert str(PRICES.as_of) in page
    simple = [value for name, value in PRICES.model_dump().items() if isinstance(value, float)]
    classes = [
        price
        for each in PRICES.classes.values()
        for name, price in each.model_dump(exclude={"thaw", "least_bytes", "more_bytes", "index_bytes"}).items()
        if price
    ]
    thaws = [price for each in PRICES.classes.values() if each.thaw for price in each.thaw.model_dump().values()]
    told = {float(number) for number in re.findall(r"\d+\.\d+|\b\d+\b", page)}
    assert [price for price in [*simple, *classes, *thaws] if price not in told] == []


def test_storage_is_bytes_times_the_price_of_its_class() -> None:
    found = by_name(estimate(EXAMPLE))
    assert found["objects in STANDARD"] == pytest.approx(2_000 * 0.023)
    assert found["versions that are hidden or replaced, and kept by states, grace or locks"] == pytest.approx(4.6)


def test_locks_cost_by_the_number_of_versions_and_how_short_they_are() -> None:
    found = by_name(estimate(EXAMPLE))
    assert found["locks: asked for, each version"] == pytest.approx(30 * 130 * 0.0004)
    assert found["locks: set again, twice in lock_days"] == pytest.approx(130 * 30 / 14 * 2 * 0.005)
    longer = by_name(estimate(EXAMPLE.model_copy(update={"lock_days": 28})))
    assert longer["locks: set again, twice in lock_days"] == pytest.approx(130 * 30 / 28 * 2 * 0.005)
    without = by_name(estimate(EXAMPLE.model_copy(update={"lock_runs": 0.0})))
    assert not [what for what in without if what.startswith("locks")]


def test_what_nobody_listed_is_unknown_and_not_in_the_total() -> None:
    found = estimate(EXAMPLE.model_copy(update={"noncurrent_bytes": None}))
    (unknown,) = [line for line in found.lines if line.group == "noncurrent"]
    assert (unknown.quantity, unknown.dollars) == (None, None)
    assert found.unknown == (unknown.what,)
    assert found.total == pytest.approx(estimate(EXAMPLE).total - 4.6)


def test_where_there_is_nothing_noncurrent_nothing_is_unknown() -> None:
    assert estimate(EXAMPLE.model_copy(update={"noncurrent_bytes": None, "noncurrent": 0})).unknown == ()


def test_a_class_without_a_price_is_said() -> None:
    strange = EXAMPLE.model_copy(update={"current": (ClassTally(storage_class="NEW", objects=1, bytes=GB),)})
    assert estimate(strange).unknown == ("objects in class NEW, of which the table has no price",)


def test_small_and_archived_objects_are_billed_for_more_than_their_bytes() -> None:
    small = ClassTally(storage_class="STANDARD_IA", objects=1 << 20, bytes=1 << 30)
    found = by_name(estimate(EXAMPLE.model_copy(update={"current": (small,)})))
    assert found["objects in STANDARD_IA"] == pytest.approx(128 * 0.0125)
    archived = ClassTally(storage_class="DEEP_ARCHIVE", objects=1 << 20, bytes=1 << 40)
    found = by_name(estimate(EXAMPLE.model_copy(update={"current": (archived,)})))
    assert found["objects in DEEP_ARCHIVE"] == pytest.approx((1024 + 32) * 0.00099)
    assert found["names of objects in DEEP_ARCHIVE"] == pytest.approx(8 * 0.023)


def test_a_restore_from_an_archive_is_thawed_first_and_one_to_the_internet_is_paid_by_the_byte() -> None:
    archived = ClassTally(storage_class="GLACIER", objects=1_000, bytes=100 * GB)
    found = estimate(EXAMPLE.model_copy(update={"current": (archived,)}))
    to_bucket = {line.what: line.dollars for line in found.restore if line.to == "bucket"}
    assert to_bucket["thaw from GLACIER"] == pytest.approx(1.0)
    assert to_bucket["thaw from GLACIER: requests"] == pytest.approx(0.05)
    assert to_bucket["copies, a request each"] == pytest.approx(0.005)
    assert found.restoring("directory") == pytest.approx(1.0 + 0.05 + 0.0004 + 9.0)


def test_larger_packs_are_fewer_requests_for_the_same_bytes() -> None:
    then = with_packs_of(EXAMPLE, 32)
    assert then.packs == 1_999 * 1024 // 32
    assert then.bytes == EXAMPLE.bytes
    assert then.objects == EXAMPLE.objects - (EXAMPLE.packs - then.packs)
    saved = saving(EXAMPLE, 32)
    assert saved.month > 0
    assert saved.restore == pytest.approx((EXAMPLE.objects - then.objects) / 1000 * 0.005)


@given(st.integers(1, 128), st.integers(0, 10**6), st.integers(1, 40 * MIB))
def test_another_size_of_packs_never_makes_more_of_them_and_loses_no_byte(
    target: int, packs: int, average: int
) -> None:
    size = packs * average
    usage = EXAMPLE.model_copy(
        update={
            "packs": packs,
            "pack_bytes": size,
            "current": (ClassTally(storage_class="STANDARD", objects=packs + 10, bytes=size + 10),),
        }
    )
    then = with_packs_of(usage, target)
    assert then.packs <= packs
    assert then.objects - then.packs == 10
    assert then.bytes == usage.bytes
    assert estimate(then).total <= estimate(usage).total + 1e-9


@pytest.mark.parametrize(
    ("schedule", "times"), [(None, 0), ("rate(1 day)", 30), ("rate(6 hours)", 120), ("cron(0 3 ? * SUN *)", 30 / 7)]
)
def test_a_schedule_comes_so_often_in_a_month(schedule: str | None, times: float) -> None:
    assert times_a_month(schedule) == pytest.approx(times)


def used(days: int) -> Usage:
    what = known(days)
    assert what.survey is not None
    headers = [header for header, _ in what.chain]
    return usage_of(what.repository, headers, what.survey, 7, NOW)


def test_usage_counts_the_states_of_the_last_month() -> None:
    usage = used(365)
    assert usage.recordings == 30
    assert usage.states == 365
    assert usage.noncurrent_bytes == 7
    # What restic's prune took away takes nothing off what came.
    assert usage.new_objects > 0


def test_a_younger_repository_is_taken_to_go_on_as_it_began() -> None:
    usage = used(10)
    # Ten states in nine days and thirteen hours or so.
    assert usage.recordings == pytest.approx(30 * 10 / 9.6, rel=0.05)


def test_a_day_at_the_least_counts_so_that_the_first_state_is_no_flood() -> None:
    assert used(1).recordings == 30


def test_a_drill_of_a_large_repository_copies_no_more_than_it_may() -> None:
    usage = used(30)
    repository = Repository(name="alpha", bucket="b12")
    assert usage.drill_bytes == repository.drill_bytes < usage.bytes
    assert usage.drill_objects < usage.objects / 2


def test_nothing_is_divided_by_a_repository_that_holds_no_pack() -> None:
    what = known(3)
    assert what.survey is not None
    header = what.chain[0][0].model_copy(update={"by_type": {}, "objects": 0, "bytes": 0})
    usage = usage_of(what.repository, [header], survey([]), None, NOON + timedelta(days=400))
    assert estimate(usage).of("storage") == 0
    assert usage.drill_objects == 0
    assert Tally(objects=usage.packs, bytes=usage.pack_bytes) == Tally(objects=0, bytes=0)

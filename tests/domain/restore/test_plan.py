"""The plan of a restore: its batches, what it leaves out, and that what was planned before stays as it was."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.batches import encode_batch, sha256_of
from functions.domain.columns import Columns, in_runs
from functions.domain.documents import UnreadableDocument
from functions.domain.restore.plan import (
    BATCH_BYTES,
    BATCH_OBJECTS,
    Choice,
    RestorePlan,
    Sample,
    Wishes,
    batch_digest,
    batch_file,
    draw_plan,
    draw_sample,
    planned_batches,
    result_file,
)
from functions.domain.restore.request import Location
from functions.domain.restore.target import LARGEST_COPY, Survey
from functions.domain.values import Digest, ObjectKey, ObjectVersion
from tests.builders import named, pack, version
from tests.domain.restore.states import a_header

HERE = Location(bucket="rwm-restore-here")
NOTHING = Digest("0" * 64)
PACKS = sorted((version(pack(f"{each}"), size=each) for each in range(1, 41)), key=lambda each: each.key)


def planned(entries: list[ObjectVersion], choice: Choice | None = None, wishes: Wishes | None = None) -> RestorePlan:
    chosen, survey = choice or Choice(), Survey()
    blocks = [chosen.of(block) for block in in_runs(entries)]
    for block in blocks:
        survey.add(block)
    return draw_plan(
        a_header(entries),
        Location(bucket="protected"),
        HERE,
        batches=[batch for batch, _ in planned_batches(blocks)],
        survey=survey,
        choice=chosen,
        wishes=wishes or Wishes(),
    )


@given(st.lists(st.integers(0, LARGEST_COPY), max_size=40))
def test_batches_keep_the_order_and_both_bounds(sizes: list[int]) -> None:
    entries = [version(f"{number:04}", size=size) for number, size in enumerate(sizes)]
    batches = list(planned_batches(in_runs(entries)))
    assert b"".join(content for _, content in batches) == encode_batch(entries)
    assert len(batches) == 1 or all(batch.objects for batch, _ in batches)
    assert [batch.number for batch, _ in batches] == list(range(len(batches)))
    for batch, content in batches:
        assert batch.objects == content.count(b"\n") <= BATCH_OBJECTS
        assert batch.bytes <= BATCH_BYTES
        assert batch.digest == batch_digest(content)
    for (before, _), (_, after) in pairwise(batches):
        first = json.loads(after.splitlines()[0])["size"]
        assert before.objects == BATCH_OBJECTS or before.bytes + first > BATCH_BYTES


def test_a_page_of_restics_packs_fits_one_batch() -> None:
    entries = [version(f"{number:04}", size=16 << 20) for number in range(BATCH_OBJECTS)]
    assert len(list(planned_batches(in_runs(entries)))) == 1


def test_no_entries_are_one_empty_batch() -> None:
    [(batch, content)] = planned_batches([])
    assert (batch.objects, batch.bytes, content) == (0, 0, b"")


def test_the_digest_of_a_batch_changes_with_any_byte_of_it() -> None:
    content = encode_batch([version("config")])
    assert batch_digest(content) != batch_digest(content.replace(b"config", b"confic"))
    assert batch_digest(b"") != sha256_of([]), "no other digest can pass for it"


def test_files_are_named_by_the_plan() -> None:
    assert batch_file(NOTHING, 7) == f"restores/{NOTHING}/batches/00007.jsonl"
    assert result_file(NOTHING, "tuesday", 7) == f"restores/{NOTHING}/results/tuesday/00007.json"


# --- formats ---------------------------------------------------------------------------------------


def test_a_plan_without_wishes_is_of_the_first_format_and_stays_as_it_was_written() -> None:
    plan = planned(PACKS)
    content = json.loads(plan.canonical())
    assert content["format"] == 1
    assert not {"lock_days", "thaw", "revoked", "reinstated", "sample", "unproven"} & set(content)
    assert RestorePlan.parse(plan.canonical()) == plan


@pytest.mark.parametrize("wishes", [Wishes(lock_days=30), Wishes(thaw="Bulk")])
def test_a_wish_makes_another_plan_of_the_second_format(wishes: Wishes) -> None:
    plan = planned(PACKS, wishes=wishes)
    assert (plan.format, plan.lock_days, plan.thaw) == (2, wishes.lock_days, wishes.thaw)
    assert plan.digest != planned(PACKS).digest
    assert RestorePlan.parse(plan.canonical()) == plan
    with pytest.raises(UnreadableDocument):
        RestorePlan.parse(plan.canonical().replace(b'"format":2', b'"format":1'))


# --- what is left out ------------------------------------------------------------------------------

KEY_FILES = sorted(named("keys", each) for each in ("one", "two", "three"))


def test_without_a_newer_state_everything_is_restored_and_the_root_is_the_state_s() -> None:
    entries = [*PACKS, *(version(key) for key in KEY_FILES)]
    plan = planned(entries)
    assert (plan.revoked, plan.reinstated, plan.sample) == (None, None, None)
    assert plan.content_root == a_header(entries).content_root


def test_a_key_file_that_was_removed_since_is_left_out_and_named() -> None:
    entries = [*PACKS, *(version(key) for key in KEY_FILES)]
    plan = planned(entries, Choice(keys_of_today=frozenset(KEY_FILES[1:])))
    assert plan.revoked == (KEY_FILES[0],)
    assert plan.reinstated is None
    assert (plan.objects, plan.bytes) == (len(entries) - 1, a_header(entries).bytes - 100)
    remaining = [entry for entry in entries if entry.key != KEY_FILES[0]]
    assert plan.content_root == a_header(remaining).content_root


def test_a_key_file_that_comes_back_as_was_asked_for_is_named_all_the_same() -> None:
    entries = [*PACKS, *(version(key) for key in KEY_FILES)]
    plan = planned(entries, Choice(keys_of_today=frozenset(KEY_FILES[1:]), with_revoked_keys=True))
    assert (plan.revoked, plan.reinstated) == (None, (KEY_FILES[0],))
    assert plan.content_root == a_header(entries).content_root


# --- samples ---------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.text(max_size=5))
def test_a_sample_is_as_many_packs_as_fit_its_bytes_and_one_at_least(most_bytes: int, seed: str) -> None:
    sample = draw_sample(in_runs(PACKS), seed, most_bytes)
    chosen = [each.size for each in PACKS if sample.has(each.key)]
    assert chosen
    assert sum(chosen) <= most_bytes or len(chosen) == 1
    if len(chosen) < len(PACKS):
        # As many as fit in the order of their numbers: a little more allowed, and a pack more is in.
        more = draw_sample(in_runs(PACKS), seed, sum(chosen) + 40)
        assert sum(more.has(each.key) for each in PACKS) > len(chosen)


def test_another_seed_is_another_sample_and_the_same_one_the_same() -> None:
    samples = {seed: draw_sample(in_runs(PACKS), seed, 400) for seed in ("monday", "tuesday")}
    chosen = {seed: {each.key for each in PACKS if sample.has(each.key)} for seed, sample in samples.items()}
    assert chosen["monday"] != chosen["tuesday"]
    assert samples["monday"] == draw_sample(in_runs(PACKS), "monday", 400)


def test_a_sample_leaves_out_packs_and_nothing_else() -> None:
    others = [version("config"), version("data/README"), *(version(key) for key in KEY_FILES)]
    entries = sorted([*PACKS, *others], key=lambda each: each.key)
    sample = draw_sample(in_runs(entries), "monday", 400)
    plan = planned(entries, Choice(sample=sample))
    chosen = [each for each in entries if each in others or sample.has(each.key)]
    assert plan.sample == len(entries) - len(chosen) > 0
    assert (plan.objects, plan.content_root) == (len(chosen), a_header(chosen).content_root)


def test_a_sample_of_no_packs_has_none() -> None:
    sample = draw_sample([Columns.of([version("config")])], "monday", 0)
    assert sample == Sample("monday", 0)
    assert not sample.has(ObjectKey("anything"))

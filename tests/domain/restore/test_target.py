"""What keeps a restore from beginning, seen in passing, and what a target holds beside a state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.columns import Columns, in_runs
from functions.domain.restore.request import Location, RestoreRefused, Tier
from functions.domain.restore.target import (
    COMPARED,
    COMPARED_BYTES,
    LARGEST_COPY,
    LARGEST_OBJECT,
    LARGEST_READ_BACK,
    MOST_PARTS,
    Holdings,
    Survey,
    can_be_proven,
    check_copyable,
    part_size,
)
from functions.domain.roots import content_of, content_root
from functions.domain.values import ObjectKey, ObjectVersion
from tests import builders
from tests.builders import named, pack, version

HERE = Location(bucket="rwm-restore-here")


def surveyed(*entries: ObjectVersion, target: Location = HERE) -> Survey:
    survey = Survey(target.key_prefix)
    for block in in_runs(entries):
        survey.add(block)
    return survey


def check(*entries: ObjectVersion, target: Location = HERE, thaw: Tier | None = None) -> None:
    check_copyable(surveyed(*entries, target=target), target, thaw)


# --- what passes -----------------------------------------------------------------------------------


@given(builders.states, st.integers(1, 7))
def test_a_survey_counts_what_passes_however_it_is_cut(entries: list[ObjectVersion], run: int) -> None:
    survey = Survey()
    for start in range(0, len(entries), run):
        survey.add(Columns.of(entries[start : start + run]))
    assert (survey.objects, survey.bytes) == (len(entries), sum(each.size for each in entries))
    assert survey.content_root == content_root(content_of(entries))
    assert {name: (seen.objects, seen.bytes) for name, seen in survey.classes.items()} == {
        name: (len(of_class), sum(each.size for each in of_class))
        for name in {each.storage_class for each in entries}
        for of_class in [[each for each in entries if each.storage_class == name]]
    }
    assert sorted(survey.in_parts) == sorted(each.size for each in entries if each.size > LARGEST_COPY)


# --- large objects ---------------------------------------------------------------------------------


def test_what_s3_copies_in_parts_is_no_reason_to_refuse() -> None:
    check(version("config", size=LARGEST_COPY + 1), version(pack("large"), size=LARGEST_OBJECT))


def test_what_s3_does_not_store_is_refused() -> None:
    with pytest.raises(RestoreRefused, match=r"over 48.8 TiB.*config \(53687091200001 bytes\); nothing was written"):
        check(version("config", size=LARGEST_OBJECT + 1))


@given(st.integers(LARGEST_COPY + 1, LARGEST_OBJECT))
def test_parts_are_as_s3_bounds_them(size: int) -> None:
    part = part_size(size)
    assert 5 << 20 <= part <= LARGEST_COPY
    assert part % (1 << 20) == 0
    assert -(-size // part) <= MOST_PARTS


@pytest.mark.parametrize(
    ("key", "size", "proven"),
    [
        (pack("a"), LARGEST_READ_BACK, True),
        (pack("a"), LARGEST_READ_BACK + 1, False),
        ("alien", LARGEST_COPY, True),
        ("alien", LARGEST_READ_BACK // 2, True),
        ("alien", LARGEST_READ_BACK // 2 + 1, False),
    ],
)
def test_what_takes_too_long_to_read_back_cannot_be_proven(key: str, size: int, proven: bool) -> None:
    """What has no name that promises its bytes is read twice: the copy, and the pinned version."""
    assert can_be_proven(ObjectKey(key), size) is proven
    assert surveyed(version(key, size=size)).unproven == ([] if proven else [key])


# --- archive classes -------------------------------------------------------------------------------


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_what_must_be_thawed_first_is_refused_with_the_tiers_and_their_times(storage_class: str) -> None:
    cold = [version(f"{number}", storage_class=storage_class) for number in range(7)]
    with pytest.raises(RestoreRefused, match=r"7 object\(s\) .* archive class") as refusal:
        check(*cold)
    for words in (f"0 ({storage_class})", "and 2 more", "nothing was written", "--thaw TIER", "Bulk (5 to 12 hours"):
        assert words in str(refusal.value)
    check(*cold, thaw="Bulk")
    check(*cold, thaw="Standard")


def test_deep_archive_is_not_thawed_in_minutes() -> None:
    check(version("a", storage_class="GLACIER"), thaw="Expedited")
    with pytest.raises(
        RestoreRefused, match=r"1 object\(s\).*DEEP_ARCHIVE.*Expedited; nothing was written; pass --thaw"
    ):
        check(version("a", storage_class="GLACIER"), version("b", storage_class="DEEP_ARCHIVE"), thaw="Expedited")


def test_an_archive_class_that_answers_at_once_can_be_copied() -> None:
    check(version("config", storage_class="GLACIER_IR"))


# --- keys ------------------------------------------------------------------------------------------


def test_a_key_that_does_not_fit_beneath_the_targets_prefix_is_refused() -> None:
    longest = version("ü" * 512)
    check(longest)
    with pytest.raises(RestoreRefused, match="without a possible key under rwm-restore-here/below/"):
        check(longest, target=Location(bucket=HERE.bucket, prefix="below"))


def test_the_object_that_is_named_like_the_prefix_needs_a_prefix_in_the_target_too() -> None:
    placeholder = version("", size=0)
    check(placeholder, target=Location(bucket=HERE.bucket, prefix="below"))
    with pytest.raises(RestoreRefused, match="without a possible key"):
        check(placeholder)


# --- what the target holds -------------------------------------------------------------------------

sizes = st.dictionaries(builders.keys.map(ObjectKey), st.integers(0, 2), max_size=12)


@given(sizes, sizes, st.integers(1, 4))
def test_a_target_is_told_from_the_state_key_by_key(
    there: dict[ObjectKey, int], planned: dict[ObjectKey, int], run: int
) -> None:
    held = Holdings(iter(sorted(there.items(), key=lambda each: each[0].encode())), HERE)
    entries = [version(key, size=planned[key]) for key in sorted(planned, key=str.encode)]
    for start in range(0, len(entries), run):
        block = Columns.of(entries[start : start + run])
        held.beside(block, block.keys[-1])
    alike = {key for key in there if there[key] == planned.get(key)}
    if len(alike) < len(there):
        with pytest.raises(RestoreRefused, match=rf"holds {len(there) - len(alike)} object\(s\) that are not part"):
            held.finish()
    else:
        held.finish()
    assert held.objects == len(alike)
    assert {each.key for each in held.to_compare} == alike


def test_a_key_file_that_was_removed_since_is_strange_in_a_target_and_says_why() -> None:
    revoked = named("keys", "old")
    held = Holdings([(revoked, 100)], HERE)
    held.beside(Columns.of([version("config")]), ObjectKey("zzz"), {revoked})
    with pytest.raises(
        RestoreRefused, match=rf"'{revoked}' \(a key file that was removed since this state; --with-rev"
    ):
        held.finish()


def test_a_listing_that_is_in_no_order_shows_nothing_and_is_refused() -> None:
    held = Holdings([(ObjectKey("a"), 1), (ObjectKey("c"), 1), (ObjectKey("b"), 1)], HERE)
    with pytest.raises(RestoreRefused, match=r"is not listed in key order.*nothing was written"):
        held.beside(Columns.of([version("d")]), ObjectKey("d"))


def test_of_very_many_objects_some_are_compared_beforehand_and_what_no_name_promises_is_among_them() -> None:
    packs = sorted((version(pack(f"{each}"), size=1) for each in range(COMPARED + 50)), key=lambda each: each.key)
    entries = sorted([*packs, version("config"), version("zzz")], key=lambda each: each.key)
    held = Holdings([(each.key, each.size) for each in entries], HERE)
    for block in in_runs(entries):
        held.beside(block, block.keys[-1])
    held.finish()
    assert held.objects == len(entries)
    assert len(held.to_compare) == COMPARED + 2
    assert {"config", "zzz"} <= {each.key for each in held.to_compare}


def test_what_is_read_beforehand_is_bounded_in_bytes() -> None:
    entries = [version("a", size=COMPARED_BYTES), version("b", size=1)]
    held = Holdings([(each.key, each.size) for each in entries], HERE)
    held.beside(Columns.of(entries), ObjectKey("b"))
    assert [each.key for each in held.to_compare] == ["a"]

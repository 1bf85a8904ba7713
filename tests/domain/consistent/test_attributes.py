"""What S3 tells beside the bytes, and what lock files tell."""

import pytest

from functions.domain.key_history import MOST_ENTRIES
from functions.domain.values import ListedVersion, Severity
from tests.builders import named
from tests.domain.consistent.cases import CONFIG, PACK, Known, ago, found, healthy, hide, only, point, put

YOUNG_LOCK, OLD_LOCK = put(named("locks", "young"), 0.01), put(named("locks", "old"), 0.1)


@pytest.mark.parametrize("newer", [[], [put(CONFIG, 1)]])
def test_a_null_version_fails_only_where_versioning_could_be_suspended(newer: list[ListedVersion]) -> None:
    entries = [*[each for each in healthy() if each.key != CONFIG], put(CONFIG, version_id="null"), *newer]
    assert only(entries, object_lock=False).id == "null-version"
    assert found(entries, object_lock=True) == {}


def test_a_flooded_key_is_a_hold_and_cannot_be_acknowledged() -> None:
    flood = [put(PACK, number / 1000, body="same", version_id=str(number)) for number in range(MOST_ENTRIES + 1)]
    finding = found([*healthy(), *flood])["flooded-key"]
    assert (finding.severity, finding.evidence[0].standing) == (Severity.HOLD, True)


def test_as_many_entries_as_are_kept_are_no_flood() -> None:
    many = [put(PACK, number / 1000, body="same", version_id=str(number)) for number in range(MOST_ENTRIES)]
    assert found([*healthy(), *many]) == {}


def test_two_versions_are_no_flood() -> None:
    assert found([*healthy(), put(PACK, 2, body="same"), put(PACK, 1, body="same")]) == {}


@pytest.mark.parametrize("covered", [[], [put(PACK, 1, etag="a" * 32)]])
def test_an_upload_in_parts_is_a_hold_even_when_it_is_covered(covered: list[ListedVersion]) -> None:
    entries = [*healthy(), put(PACK, 2, etag="a" * 32 + "-2"), *covered]
    assert found(entries)["multipart-etag"].severity is Severity.HOLD
    assert "multipart-etag" not in found(entries, settings={"allow_multipart": True})


def test_an_archived_object_is_a_hold_unless_the_class_is_allowed() -> None:
    entries = [*healthy(), put(PACK, storage_class="DEEP_ARCHIVE")]
    finding = only(entries)
    assert (finding.id, finding.severity) == ("storage-class-changed", Severity.HOLD)
    assert "DEEP_ARCHIVE" in finding.what
    assert found(entries, settings={"storage_classes": ["STANDARD", "DEEP_ARCHIVE"]}) == {}


def busy_since(days: float) -> Known:
    every = [day / 4 for day in range(80, 0, -1)]
    return Known(points=tuple(point(each, busy=each <= days) for each in every))


def test_busy_for_a_day_is_a_hold_since_the_first_busy_state() -> None:
    finding = only([*healthy(), YOUNG_LOCK], baseline=busy_since(1.5))
    assert (finding.id, finding.severity, finding.since) == ("busy-too-long", Severity.HOLD, ago(1.5))


def test_busy_for_hours_raises_nothing() -> None:
    assert found([*healthy(), YOUNG_LOCK], baseline=busy_since(0.75)) == {}


def test_a_quiet_state_ends_it() -> None:
    assert found(healthy(), baseline=busy_since(5)) == {}


def test_busy_from_the_first_state_on_is_told_after_a_day_too() -> None:
    always = Known(points=(point(2, busy=True), point(1, busy=True)))
    assert only([*healthy(), YOUNG_LOCK], baseline=always).id == "busy-too-long"


def test_a_stale_lock_is_a_note_since_it_was_written() -> None:
    finding = only([*healthy(), OLD_LOCK])
    assert (finding.id, finding.severity, finding.since) == ("stale-lock", Severity.NOTE, ago(0.1))


def test_a_young_lock_and_a_removed_one_raise_nothing() -> None:
    assert found([*healthy(), YOUNG_LOCK, OLD_LOCK, hide(OLD_LOCK.key, 0.05)]) == {}

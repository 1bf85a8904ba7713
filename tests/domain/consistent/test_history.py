"""What became of restic's files."""

import pytest

from functions.domain.findings import Acknowledgement, unacknowledged
from functions.domain.key_history import MOST_ENTRIES
from functions.domain.values import Finding, ListedVersion, ObjectVersion, Severity
from tests.builders import named, pack
from tests.domain.consistent.cases import (
    CONFIG,
    INDEX,
    KEY,
    KMS,
    PACK,
    SNAPSHOT,
    Known,
    ago,
    found,
    healthy,
    hide,
    migration,
    point,
    put,
    versions,
)


def acknowledge(finding: Finding) -> list[Acknowledgement]:
    return [Acknowledgement(finding.id, each.key, frozenset(each.version_ids)) for each in finding.evidence]


def left(entries: list[ListedVersion], acknowledged: list[Acknowledgement], **rest: object) -> dict[str, Finding]:
    return {each.id: each for each in unacknowledged(found(entries, **rest).values(), acknowledged)}


# --- overwritten ---------------------------------------------------------------------------------------

GOOD, GARBAGE = put(PACK, 9, body="good"), put(PACK, 3, body="garbage")


@pytest.mark.parametrize("key", [PACK, KEY, INDEX, SNAPSHOT])
def test_other_bytes_under_a_name_that_promises_the_old_ones_fail(key: str) -> None:
    entries = [entry for entry in healthy() if entry.key != key]
    finding = found([*entries, put(key, 9, body="good"), put(key, 3, body="garbage")])["pack-overwritten"]
    assert (finding.severity, finding.since) == (Severity.FAIL, ago(3))
    assert [(each.key, each.version_ids) for each in finding.evidence] == [(key, (f"{key[-4:]}@3",))]


def test_the_same_bytes_uploaded_again_raise_nothing() -> None:
    assert "pack-overwritten" not in found([*healthy(), GOOD, put(PACK, 3, body="good")])


def test_the_same_etag_with_another_size_fails() -> None:
    entries = [*healthy(), put(PACK, 9, etag="e" * 32, size=100), put(PACK, 3, etag="e" * 32, size=101)]
    assert found(entries)["pack-overwritten"].severity is Severity.FAIL


def test_an_overwritten_lock_file_raises_nothing() -> None:
    lock = named("locks", "l")
    assert "pack-overwritten" not in found([*healthy(), put(lock, 9, body="a"), put(lock, 3, body="b")])


def test_under_kms_equal_sizes_are_a_hold_until_both_are_hashed() -> None:
    entries = [*healthy(), GOOD, GARBAGE]
    settings: dict[str, object] = {"kms_key": KMS}
    assert found(entries, settings=settings)["pack-overwritten"].severity is Severity.HOLD
    both = {(each.key, each.version_id) for each in (GOOD, GARBAGE)}
    assert "pack-overwritten" not in found(entries, settings=settings, proven=both)
    assert "pack-overwritten" in found(entries, settings=settings, proven={min(both)})


def test_under_kms_other_sizes_fail_all_the_same() -> None:
    entries = [*healthy(), GOOD, put(PACK, 3, size=7000)]
    assert found(entries, settings={"kms_key": KMS})["pack-overwritten"].severity is Severity.FAIL


def test_an_etag_that_s3_did_not_give_compares_nothing() -> None:
    entries = [*healthy(), GOOD, ObjectVersion(PACK, GARBAGE.version_id, 100, ago(3), "", "STANDARD")]
    assert found(entries)["pack-overwritten"].severity is Severity.HOLD


def test_while_the_garbage_is_current_no_acknowledgement_lifts_it() -> None:
    entries = [*healthy(), GOOD, GARBAGE]
    acknowledged = acknowledge(found(entries)["pack-overwritten"])
    assert "pack-overwritten" in left(entries, acknowledged)


@pytest.mark.parametrize("end", [put(PACK, 2, body="good"), hide(PACK, 2)])
def test_an_attack_that_is_over_blocks_until_it_is_acknowledged_and_the_same_attack_blocks_again(
    end: ListedVersion,
) -> None:
    over = [*healthy(), GOOD, GARBAGE, end]
    acknowledged = acknowledge(found(over)["pack-overwritten"])
    assert "pack-overwritten" in left(over, [])
    assert "pack-overwritten" not in left(over, acknowledged)
    again = [*over, put(PACK, 1, body="garbage"), put(PACK, 0.5, body="good")]
    assert "pack-overwritten" in left(again, acknowledged)


def test_what_was_acknowledged_stays_so_when_a_part_of_it_was_pruned() -> None:
    first, second = GARBAGE, put(PACK, 2, body="worse")
    end = put(PACK, 1, body="good")
    acknowledged = acknowledge(found([*healthy(), GOOD, first, second, end])["pack-overwritten"])
    assert "pack-overwritten" not in left([*healthy(), GOOD, second, end], acknowledged)


# --- config --------------------------------------------------------------------------------------------

WITHOUT_CONFIG = [entry for entry in healthy() if entry.key != CONFIG]
V1, V2 = put(CONFIG, 20, body="version 1"), put(CONFIG, 3, body="version 2")


def test_a_changed_config_fails_and_stands() -> None:
    entries = [*WITHOUT_CONFIG, V1, V2]
    finding = found(entries)["config-changed"]
    assert (finding.severity, finding.evidence[0].standing) == (Severity.FAIL, True)
    assert "config-changed" in left(entries, acknowledge(finding))


def test_a_declared_migration_excuses_one_change_of_config() -> None:
    entries = [*WITHOUT_CONFIG, V1, V2]
    assert "config-changed" not in found(entries, settings={"migrations": (migration(3.1, 2.9),)})
    twice = [*entries, put(CONFIG, 2.95, body="version 3")]
    assert found(twice, settings={"migrations": (migration(3.1, 2.9),)})["config-changed"].severity is Severity.FAIL


def test_after_a_migration_the_old_config_is_as_foreign_as_any_other() -> None:
    entries = [*WITHOUT_CONFIG, V1, V2]
    declared = (migration(3.1, 2.9),)
    assert "config-changed" not in found(
        [*entries, put(CONFIG, 2, body="version 2")], settings={"migrations": declared}
    )
    finding = found([*entries, put(CONFIG, 1, body="version 1")], settings={"migrations": declared})["config-changed"]
    assert (finding.severity, finding.since, finding.evidence[0].standing) == (Severity.FAIL, ago(1), True)


def test_a_migration_declared_for_another_time_excuses_nothing() -> None:
    assert "config-changed" in found([*WITHOUT_CONFIG, V1, V2], settings={"migrations": (migration(9, 8),)})


def test_a_config_that_was_written_again_with_the_same_bytes_raises_nothing() -> None:
    assert "config-changed" not in found([*WITHOUT_CONFIG, V1, put(CONFIG, 3, body="version 1")])


def test_the_recorded_config_counts_even_when_it_was_pruned() -> None:
    findings = found([*WITHOUT_CONFIG, V2], baseline=Known(reference=(V1,)))
    assert findings["config-changed"].severity is Severity.FAIL


def test_under_kms_a_config_of_equal_size_is_a_hold() -> None:
    finding = found([*WITHOUT_CONFIG, V1, V2], settings={"kms_key": KMS})["config-changed"]
    assert finding.severity is Severity.HOLD


# --- hidden --------------------------------------------------------------------------------------------

HIDDEN = hide(pack("pack 3"), 1)


def test_a_marker_where_nobody_may_hide_is_a_hold() -> None:
    finding = found([*healthy(), HIDDEN])["host-hid-objects"]
    assert (finding.severity, finding.evidence[0].version_ids) == (Severity.HOLD, (HIDDEN.version_id,))


def test_a_marker_beneath_a_version_that_came_back_is_still_told() -> None:
    assert "host-hid-objects" in found([*healthy(), HIDDEN, put(HIDDEN.key, 0.5, size=1000)])


@pytest.mark.parametrize("settings", [{"host_may_hide": True}, {"maintenance": "create"}])
def test_a_marker_where_somebody_may_hide_raises_nothing(settings: dict[str, object]) -> None:
    assert "host-hid-objects" not in found([*healthy(), HIDDEN], settings=settings)


def test_a_hidden_lock_file_raises_nothing() -> None:
    lock = named("locks", "l")
    assert "host-hid-objects" not in found([*healthy(), put(lock, 2), hide(lock, 1)])


def test_what_was_hidden_before_a_person_approved_is_not_found_again() -> None:
    approved = Known(approved=point(0.5))
    assert "host-hid-objects" not in found([*healthy(), HIDDEN], baseline=approved)
    assert "host-hid-objects" not in found([*healthy(), HIDDEN], baseline=Known(approved=point(1)))
    later = hide(pack("pack 4"), 0.2)
    (evidence,) = found([*healthy(), HIDDEN, later], baseline=approved)["host-hid-objects"].evidence
    assert evidence.key == later.key


def test_an_acknowledged_marker_is_over_and_another_one_is_not() -> None:
    acknowledged = acknowledge(found([*healthy(), HIDDEN])["host-hid-objects"])
    assert "host-hid-objects" not in left([*healthy(), HIDDEN], acknowledged)
    again = [*healthy(), HIDDEN, put(HIDDEN.key, 0.9, size=1000), hide(HIDDEN.key, 0.8)]
    assert "host-hid-objects" in left(again, acknowledged)


DOCTORS = "rwm-doctor-0123456789abcdef"


def test_a_marker_above_nothing_where_the_doctor_tried_a_key_raises_nothing() -> None:
    assert found([*healthy(), hide(DOCTORS, 0.1)]) == {}
    assert found([*healthy(), hide(DOCTORS, 0.2), hide(DOCTORS, 0.1)]) == {}


def test_what_the_doctor_wrote_and_hid_under_locks_raises_nothing() -> None:
    canary = f"locks/{DOCTORS}-main"
    assert found([*healthy(), put(canary, 0.1), hide(canary, 0.09)]) == {}


@pytest.mark.parametrize("versions_of_it", [1, 2])
def test_nothing_can_be_hidden_under_the_doctors_name(versions_of_it: int) -> None:
    entries: list[ListedVersion] = [put(DOCTORS, 2 + number) for number in range(versions_of_it)]
    assert found([*healthy(), *entries, hide(DOCTORS, 1)])["host-hid-objects"].severity is Severity.HOLD
    assert "alien-key" in found([*healthy(), *entries])


def test_a_flood_of_markers_covers_no_version_under_the_doctors_name() -> None:
    """Of so many entries not all are at hand: what lies between might be a version."""
    flood = [hide(DOCTORS, 0.001 * number) for number in range(1, 2 * MOST_ENTRIES)]
    assert "host-hid-objects" in found([*healthy(), hide(DOCTORS, 9), put(DOCTORS, 8), *flood])


@pytest.mark.parametrize(
    "key", [f"{DOCTORS}0", DOCTORS[:-1], f"data/{DOCTORS}", DOCTORS.upper(), f"{DOCTORS}-main", f"{DOCTORS}/x"]
)
def test_only_the_very_name_of_the_doctors_try_is_excused(key: str) -> None:
    assert "host-hid-objects" in found([*healthy(), hide(key, 0.1)])


# --- key files -----------------------------------------------------------------------------------------

SECOND = put(named("keys", "second key"), 19)
RECORDED = Known(reference=versions([*healthy(), SECOND]))
HIDING: dict[str, object] = {"maintenance": "create"}


def test_key_files_as_recorded_raise_nothing() -> None:
    assert not {"key-file-removed", "key-file-added"} & set(found([*healthy(), SECOND], baseline=RECORDED))


def test_without_a_recorded_state_no_key_file_was_added_or_removed() -> None:
    assert not {"key-file-removed", "key-file-added"} & set(found([*healthy(), SECOND]))


def test_a_removed_key_file_is_a_hold_that_can_be_acknowledged() -> None:
    entries = [*healthy(), SECOND, hide(SECOND.key, 1)]
    finding = found(entries, baseline=RECORDED)["key-file-removed"]
    assert finding.severity is Severity.HOLD
    assert "key-file-removed" not in left(entries, acknowledge(finding), baseline=RECORDED)


def test_a_key_file_that_was_removed_and_pruned_is_missed_all_the_same() -> None:
    finding = found(healthy(), baseline=RECORDED)["key-file-removed"]
    assert finding.evidence[0].version_ids == (SECOND.version_id,)


def test_all_recorded_key_files_gone_fail() -> None:
    entries = [*healthy(), SECOND, hide(SECOND.key, 1), hide(KEY, 1)]
    assert found(entries, baseline=RECORDED)["key-file-removed"].severity is Severity.FAIL
    with_a_strangers = [*entries, put(named("keys", "stranger"), 0.5)]
    assert found(with_a_strangers, baseline=RECORDED)["key-file-removed"].severity is Severity.FAIL


def test_an_added_key_file_is_a_hold_that_can_be_acknowledged() -> None:
    entries = [*healthy(), SECOND, put(named("keys", "stranger"), 0.5)]
    finding = found(entries, baseline=RECORDED)["key-file-added"]
    assert (finding.severity, finding.since) == (Severity.HOLD, ago(0.5))
    assert "key-file-added" not in left(entries, acknowledge(finding), baseline=RECORDED)


def test_a_state_approved_since_knows_the_new_key_file() -> None:
    entries = [*healthy(), SECOND, put(named("keys", "mine"), 0.5)]
    approved = Known(approved=point(0.1), reference=versions(entries))
    assert "key-file-added" not in found(entries, baseline=approved)


# --- young snapshots -----------------------------------------------------------------------------------

YOUNG = put(named("snapshots", "young"), 1.5)


def test_a_snapshot_that_was_removed_young_is_a_hold() -> None:
    finding = found([*healthy(), YOUNG, hide(YOUNG.key, 1.2)], settings=HIDING)["snapshot-removed-too-young"]
    assert (finding.severity, finding.evidence[0].key) == (Severity.HOLD, YOUNG.key)


def test_a_snapshot_that_was_removed_old_enough_raises_nothing() -> None:
    entries = [*healthy(), YOUNG, hide(YOUNG.key, 0.2)]
    assert "snapshot-removed-too-young" not in found(entries, settings=HIDING)


def test_a_snapshot_that_restic_tag_replaced_was_not_removed() -> None:
    tagged = put(named("snapshots", "tagged"), 1.2001)
    entries = [*healthy(), YOUNG, tagged, hide(YOUNG.key, 1.2)]
    assert "snapshot-removed-too-young" not in found(entries, settings=HIDING)


def test_one_new_snapshot_stands_for_one_that_was_removed_and_not_for_two() -> None:
    other = put(named("snapshots", "other"), 1.4)
    garbage = put(named("snapshots", "garbage"), 1.2001)
    entries = [*healthy(), YOUNG, other, garbage, hide(YOUNG.key, 1.2), hide(other.key, 1.2)]
    assert len(found(entries, settings=HIDING)["snapshot-removed-too-young"].evidence) == 1


def test_a_snapshot_time_that_restic_tells_cannot_matter_since_only_s3s_is_read() -> None:
    """A forged snapshot is as old as its upload, so removing it next to the true ones is removing it young."""
    forged = put(named("snapshots", "of 1999, it says"), 0.3)
    entries = [*healthy(), forged, hide(forged.key, 0.1)]
    assert "snapshot-removed-too-young" in found(entries, settings=HIDING)


def test_a_young_removal_that_a_person_approved_is_not_found_again() -> None:
    entries = [*healthy(), YOUNG, hide(YOUNG.key, 1.2)]
    approved = Known(approved=point(1))
    assert "snapshot-removed-too-young" not in found(entries, settings=HIDING, baseline=approved)


# --- pinned --------------------------------------------------------------------------------------------


def test_a_pinned_version_that_is_gone_fails_and_is_named() -> None:
    lost = put(pack("lost"), 9)
    finding = found(healthy(), kept=[versions([*healthy(), lost])])["pinned-version-gone"]
    assert finding.severity is Severity.FAIL
    assert [(each.key, each.version_ids) for each in finding.evidence] == [(lost.key, (lost.version_id,))]


def test_a_pinned_version_that_is_only_hidden_is_not_gone() -> None:
    lost = put(pack("lost"), 9)
    assert "pinned-version-gone" not in found([*healthy(), lost, hide(lost.key, 1)], kept=[(lost,)])


def test_a_backdated_version_is_a_hold_that_can_be_acknowledged() -> None:
    beneath = put(PACK, 9)
    finding = found([*healthy(), beneath], kept=[versions(healthy())], kept_cut=5)["backdated-version"]
    assert finding.severity is Severity.HOLD
    assert {each.key for each in finding.evidence} >= {PACK}
    assert not any(each.standing for each in finding.evidence)

"""What an attacker with the host's keys and the restic password can still do, and what betrays it.

The attacker forges whatever verifies, so nothing here looks at bytes. Where the maintenance key is stolen as
well, markers say nothing, and the amounts must.
"""

from datetime import timedelta

import pytest

from functions.domain.findings import Acknowledgement, unacknowledged
from functions.domain.key_history import MOST_ENTRIES
from functions.domain.values import ListedVersion, Severity
from tests.builders import NOON, named, pack
from tests.domain.consistent.cases import KEY, Known, found, healthy, hide, point, put, steady, versions

MAINTENANCE: dict[str, object] = {"maintenance": "create"}
BEFORE = healthy()
KNOWN = Known(points=steady().points, reference=versions(BEFORE), old=versions(BEFORE))
PACKS = [each.key for each in versions(BEFORE) if each.key.startswith("data/")]
SNAPSHOTS = [each.key for each in versions(BEFORE) if each.key.startswith("snapshots/")]


def severe(entries: list[ListedVersion], *, stolen_maintenance: bool = True, baseline: Known = KNOWN) -> set[str]:
    """The ids of all FAILs and HOLDs."""
    settings = MAINTENANCE if stolen_maintenance else {}
    findings = found(entries, baseline=baseline, settings=settings, kept=[versions(BEFORE)]).values()
    return {each.id for each in findings if each.severity is not Severity.NOTE}


def test_before_the_attack_there_is_nothing() -> None:
    assert severe(BEFORE) == set()


def test_forget_everything_and_back_up_garbage() -> None:
    garbage = [put(pack(f"garbage {n}"), 0.1, size=1000) for n in range(10)]
    attack = [*BEFORE, *(hide(key, 0.2) for key in (*PACKS, *SNAPSHOTS)), *garbage, put(named("snapshots", "x"), 0.1)]
    assert {"snapshots-dropped", "old-data-dropped"} <= severe(attack)
    assert "host-hid-objects" in severe(attack, stolen_maintenance=False)


def test_forget_everything_and_put_as_many_garbage_snapshots_in_their_place() -> None:
    """By the number of snapshots nothing is lost; by S3's clock all new ones are of today, and old data is gone."""
    garbage = [put(pack(f"garbage {n}"), 0.1, size=1000) for n in range(10)]
    forged = [put(named("snapshots", f"forged to be of {n} days ago"), 0.1) for n in range(10)]
    attack = [*BEFORE, *(hide(key, 0.05) for key in (*PACKS, *SNAPSHOTS)), *garbage, *forged]
    assert "old-data-dropped" in severe(attack)


def test_encrypt_the_source_first() -> None:
    attack = [*BEFORE, *(put(pack(f"encrypted {n}"), 0.1, size=1000) for n in range(20))]
    assert severe(attack) == {"growth"}


def test_flood_one_key_with_versions() -> None:
    flood = [put(PACKS[0], n / 10_000, size=1000, version_id=f"f{n}") for n in range(MOST_ENTRIES + 5)]
    assert "flooded-key" in severe([*BEFORE, *flood])


def test_flood_with_states_in_which_everything_is_forgotten_already() -> None:
    flood = tuple(point(0.5 - n / 1000, snapshots=1, data=1000) for n in range(300))
    attack = [*BEFORE, *(hide(key, 0.6) for key in (*PACKS[1:], *SNAPSHOTS[1:]))]
    drowned = Known(points=(*KNOWN.points, *flood), reference=KNOWN.reference, old=KNOWN.old)
    assert {"snapshots-dropped", "data-dropped", "old-data-dropped"} <= severe(attack, baseline=drowned)


def test_stop_the_backups_in_silence() -> None:
    later = NOON + timedelta(days=3)
    assert set(found(BEFORE, baseline=KNOWN, at=later)) == {"no-new-snapshot"}


def test_poison_the_current_state_just_before_a_prune() -> None:
    attack = [*BEFORE, *(put(key, 0.01, body="poison", size=1000) for key in PACKS)]
    assert severe(attack, stolen_maintenance=False) == {"pack-overwritten"}


def test_keep_a_lock_alive_so_that_every_state_is_busy() -> None:
    busy = Known(points=tuple(point(n / 24, busy=True) for n in range(72, 0, -1)))
    assert "busy-too-long" in severe([*BEFORE, put(named("locks", "l"), 0.001)], baseline=busy)


def test_upload_in_parts_beneath_recorded_states() -> None:
    beneath = put(PACKS[0], 15, etag="a" * 32 + "-1", size=1000)
    assert "multipart-etag" in severe([*BEFORE, beneath])


def test_give_oneself_a_password() -> None:
    assert severe([*BEFORE, put(named("keys", "mine"), 0.1)]) == {"key-file-added"}


def test_upload_a_key_file_that_sorts_first() -> None:
    assert severe([*BEFORE, put(f"keys/{'0' * 64}", 0.1)]) == {"key-file-added"}


def test_lock_the_owner_out() -> None:
    assert "key-file-removed" in severe([*BEFORE, hide(KEY, 0.1)])


@pytest.mark.parametrize("removed", range(1, 4))
def test_remove_the_newest_snapshots_before_anybody_looked(removed: int) -> None:
    young = [put(named("snapshots", f"young {n}"), 0.4) for n in range(removed)]
    attack = [*BEFORE, *young, *(hide(each.key, 0.2) for each in young)]
    assert "snapshot-removed-too-young" in severe(attack)


def test_destroy_versions_after_all() -> None:
    assert "pinned-version-gone" in severe([each for each in BEFORE if each.key != PACKS[0]])


def test_move_packs_to_an_archive() -> None:
    attack = [each for each in BEFORE if each.key != PACKS[0]]
    archived = put(PACKS[0], 0.5, size=1000, storage_class="DEEP_ARCHIVE")
    assert "storage-class-changed" in severe([*attack, archived])


def test_an_attack_that_is_over_and_acknowledged_no_longer_blocks_and_the_same_attack_again_does() -> None:
    def blocks(entries: list[ListedVersion], known: list[Acknowledgement]) -> set[str]:
        findings = found(entries, baseline=KNOWN, kept=[versions(BEFORE)]).values()
        return {each.id for each in unacknowledged(findings, known) if each.severity is Severity.FAIL}

    attack = [*BEFORE, *(put(key, 0.03, body="poison", size=1000) for key in PACKS)]
    over = [*attack, *(put(key, 0.02, size=1000) for key in PACKS)]
    acknowledged = [
        Acknowledgement(each.id, evidence.key, frozenset(evidence.version_ids))
        for each in found(over, baseline=KNOWN).values()
        for evidence in each.evidence
    ]
    assert blocks(attack, acknowledged) == {"pack-overwritten"}, "it is not over"
    assert blocks(over, []) == {"pack-overwritten"}
    assert blocks(over, acknowledged) == set()
    again = [*over, put(PACKS[0], 0.01, body="poison", size=1000), put(PACKS[0], 0.005, size=1000)]
    assert blocks(again, acknowledged) == {"pack-overwritten"}

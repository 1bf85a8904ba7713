"""What an attacker with the host's keys and the restic password can still do, and what record says at the next event.

tests/domain/consistent/test_attacks.py has the same attacks as listings, and more. Here the whole of record sees
them: its own past states, its own verdicts, and what was acknowledged.
"""

from typing import Any

import pytest

from functions.domain.key_history import MOST_ENTRIES
from functions.domain.recording import NotYet, Recorded
from functions.domain.values import Severity
from tests.builders import named, pack
from tests.fakes.s3_model import Attributes
from tests.record.lived import CONFIG, DAY, KEY, Upload, back_up, current, lived, write
from tests.record.world import BUCKET, World

MAINTAINED: dict[str, Any] = {"maintenance": "create"}
"""He has stolen the maintenance key as well, so that no marker says anything."""


def seen(world: World) -> set[str]:
    """What the next event's verdict says."""
    world.clock.advance(120)
    assert isinstance(world.event(), Recorded)
    return world.said()


def hide_all(world: World, *folders: str) -> None:
    for folder in folders:
        for key in current(world, folder):
            world.hide(key)


def garbage(world: World, *, packs: int) -> None:
    for number in range(packs):
        write(world, pack(f"garbage {number}"), size=1000)
    write(world, named("snapshots", "forged"))


def test_before_the_attack_there_is_nothing() -> None:
    world = lived()
    assert seen(world) == set()
    assert world.notifier.notices == []


@pytest.mark.parametrize(("settings", "expected"), [(MAINTAINED, set()), ({}, {"host-hid-objects"})])
def test_forget_everything_and_back_up_garbage(settings: dict[str, Any], expected: set[str]) -> None:
    world = lived(**settings)
    hide_all(world, "snapshots/", "data/")
    garbage(world, packs=25)
    assert {"snapshots-dropped", "old-data-dropped", *expected} <= seen(world)


def test_forget_a_little_every_day() -> None:
    world = lived(**MAINTAINED)
    said: set[str] = set()
    days = 0
    while "snapshots-dropped" not in said:
        for key in current(world, "snapshots/")[:2]:
            world.hide(key)
        back_up(world, f"erosion {days}")
        said = seen(world)
        world.clock.advance(DAY)
        days += 1
        assert days < 10
    assert len(current(world, "snapshots/")) > 15, "long before they are gone"


def test_upload_random_objects_with_good_names_by_the_mass() -> None:
    """A few of them are found by who has the password: they are orphans."""
    world = lived()
    garbage(world, packs=30)
    assert seen(world) == {"growth"}


def test_forge_the_times_of_snapshots() -> None:
    """A listing has S3's clock alone: as many snapshots as there were, all of them written today."""
    world = lived(**MAINTAINED)
    hide_all(world, "snapshots/", "data/")
    for number in range(25):
        write(world, named("snapshots", f"forged to be of {number} days ago"))
    garbage(world, packs=25)
    assert "old-data-dropped" in seen(world)


def test_encrypt_the_source_first() -> None:
    world = lived()
    back_up(world, "encrypted", packs=30)
    assert seen(world) == {"growth"}


def test_flood_one_key_with_versions() -> None:
    world = lived()
    key = current(world, "data/")[0]
    for number in range(MOST_ENTRIES + 5):
        write(world, key, f"flood {number}", size=1000)
    assert "flooded-key" in seen(world)


def test_flood_with_events() -> None:
    """It records once per interval, and later states lower no level."""
    world = lived(**MAINTAINED)
    hide_all(world, "snapshots/", "data/")
    garbage(world, packs=5)
    world.clock.advance(60)
    outcomes = [world.event() for _ in range(20)]
    assert [type(each) for each in outcomes] == [Recorded, *[NotYet] * 19]
    for _ in range(30):
        assert {"snapshots-dropped", "data-dropped", "old-data-dropped"} <= seen(world)


def test_stop_the_events() -> None:
    """The schedule records without any."""
    world = lived()
    world.clock.advance(3 * DAY)
    assert seen(world) == {"no-new-snapshot"}


def test_poison_the_current_state_just_before_a_prune() -> None:
    world = lived()
    for key in current(world, "data/"):
        write(world, key, "poison", size=1000)
    assert seen(world) == {"pack-overwritten"}
    assert {each.severity for each in world.verdict().findings} == {Severity.FAIL}


def test_remove_the_newest_snapshot_before_anybody_saw_it() -> None:
    world = lived(**MAINTAINED)
    back_up(world, "young")
    world.hide(named("snapshots", "young"))
    assert seen(world) == {"snapshot-removed-too-young"}


def test_give_oneself_a_password_and_lock_the_owner_out() -> None:
    world = lived(**MAINTAINED)
    write(world, named("keys", "mine"))
    assert seen(world) == {"key-file-added"}
    world.hide(KEY)
    assert seen(world) == {"key-file-added", "key-file-removed"}


def test_exchange_the_config() -> None:
    world = lived()
    write(world, CONFIG, "another repository's")
    assert seen(world) == {"config-changed"}


def test_keep_a_lock_alive_so_that_no_state_is_quiet() -> None:
    world = lived()
    said: set[str] = set()
    for hour in range(26):
        write(world, named("locks", f"{hour}"))
        said = seen(world)
        world.hide(named("locks", f"{hour}"))
        world.clock.advance(3600)
    assert said == {"busy-too-long"}


def test_leave_a_ransom_note_and_archive_a_pack() -> None:
    world = lived()
    write(world, "how to get your files back.txt")
    assert seen(world) == {"alien-key"}
    key = current(world, "data/")[0]
    body = world.s3.get(BUCKET, key).body
    world.s3.put(BUCKET, key, body, Attributes(storage_class="DEEP_ARCHIVE"))
    assert seen(world) == {"alien-key", "storage-class-changed"}


@pytest.mark.parametrize(
    ("allowed", "expected"), [(False, {"multipart-etag", "key-file-added"}), (True, {"key-file-added"})]
)
def test_complete_an_upload_that_began_before_the_oldest_state(*, allowed: bool, expected: set[str]) -> None:
    """As of that state's cut the listing now shows his key file, too. Its manifest root says that it was not there."""
    world = World.with_settings(allow_multipart=allowed)
    upload = Upload(world, named("keys", "mine"))
    write(world, CONFIG)
    write(world, KEY)
    for day in range(9):
        back_up(world, f"day {day}")
        world.event()
        assert world.said() == set()
        world.clock.advance(DAY)
    upload.complete()
    back_up(world, "the last")
    assert seen(world) == expected


def test_an_attack_that_is_over_and_acknowledged_no_longer_blocks_and_the_same_attack_again_does() -> None:
    world = lived()
    key = current(world, "data/")[0]
    good = world.s3.get(BUCKET, key).body

    def poison() -> None:
        write(world, key, "poison", size=1000)

    poison()
    assert seen(world) == {"pack-overwritten"}
    world.acknowledge()
    assert seen(world) == {"pack-overwritten"}, "it is not over"
    world.put(key, good)
    assert seen(world) == set()
    assert world.verdict().acknowledged == 1
    poison()
    world.put(key, good)
    assert seen(world) == {"pack-overwritten"}
    assert world.notifier.subjects == ["RWM: FAIL alpha: pack-overwritten"] * 2

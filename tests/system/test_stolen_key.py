"""Somebody has the key of a host that may hide: he is noticed, named, undone and laid to rest, and noticed again."""

from typing import Any

import pytest

from tests.system.conftest import Begun
from tests.system.judged import LEVELS, Attacked
from tests.system.system import Answer, System

pytestmark = pytest.mark.system

Evidence = dict[str, list[str]]
"""Version ids by key."""


@pytest.fixture(scope="module")
def attacked(begun: Begun) -> Attacked:
    return begun.attacked.result()


def _evidence(answer: Answer, level: str, finding: str) -> Evidence:
    """What the check names in a finding; nothing where there is none."""
    return {
        each["key"]: each["version_ids"]
        for found in answer.document["findings"]
        if (found["level"], found["id"]) == (level, finding)
        for each in found["evidence"]
    }


def _told(messages: list[dict[str, Any]], level: str) -> list[str]:
    """Subjects of what was told at a level."""
    return [each["Subject"] for each in messages if each["MessageAttributes"]["level"]["Value"] == level]


def test_before_it_everything_is_sound(attacked: Attacked) -> None:
    assert (attacked.sound.exit_code, attacked.sound.document["claim"]) == (0, "complete")


def test_its_first_event_is_recorded_and_people_are_told_once(attacked: Attacked) -> None:
    newest, after, before = attacked.states[:3]
    assert before["id"] == attacked.before["id"]
    assert [each["cause"]["reason"] for each in (after, newest)] == ["event", "event"]
    assert (newest["checked"], newest["good"]) == ({"consistent": "fail"}, False)
    (subject,) = (message["Subject"] for message in attacked.told_at_once)
    assert subject == "RWM: FAIL attacked: key-file-removed, pack-overwritten"
    assert attacked.told_again == []


def test_what_is_told_counts_and_names_no_key_and_no_version(attacked: Attacked) -> None:
    (message,) = attacked.told_at_once
    assert f"state {attacked.states[1]['id'][:12]}" in message["Message"]
    assert "FAIL pack-overwritten" in message["Message"]
    damage = attacked.damage
    for secret in (damage.pack, damage.key_file, damage.garbage, damage.marker):
        assert secret.rpartition("/")[2] not in str(message)


def test_a_check_names_the_very_keys_and_versions(attacked: Attacked) -> None:
    damage = attacked.damage
    assert attacked.found.exit_code == 4
    assert _evidence(attacked.found, "consistent", "pack-overwritten") == {damage.pack: [damage.garbage]}
    assert _evidence(attacked.found, "consistent", "key-file-removed") == {damage.key_file: [damage.marker]}
    assert _evidence(attacked.found, "content", "content-damaged") == {damage.pack: [damage.garbage]}
    assert attacked.found.document["claim"] is None


def test_the_states_show_it_and_last_good_is_the_one_before(attacked: Attacked) -> None:
    assert attacked.shown.exit_code == 0
    newest, *_, oldest = attacked.shown.document["states"]
    assert newest["checked"].keys() == {"consistent", "content", "complete"}
    assert "fail" in newest["checked"].values()
    assert oldest["checked"] == dict.fromkeys(LEVELS[1:], "pass")
    assert attacked.shown.document["last_good"] == oldest["id"] == attacked.before["id"]


def test_last_good_is_restored_and_the_copy_is_complete(attacked: Attacked) -> None:
    assert (attacked.restored.exit_code, attacked.restored.document["outcome"]) == (0, "restored")
    assert attacked.restored.document["state"] == attacked.before["id"]
    assert attacked.restored.document["proven"] == attacked.before["objects"]
    said = attacked.copy.document
    assert (attacked.copy.exit_code, said["claim"], said["findings"]) == (0, "complete", [])
    assert (said["state"], said["target"]["bucket"]) == (attacked.before["id"], "rwm-restore-attacked")


def test_nobody_lays_damage_to_rest_while_it_is_there(attacked: Attacked) -> None:
    assert attacked.too_early.exit_code == 2
    assert "pack-overwritten cannot be acknowledged: all that it names is wrong now" in attacked.too_early.message


def test_mended_damage_blocks_until_an_approver_acknowledges_it(attacked: Attacked) -> None:
    assert attacked.mended.exit_code == 4
    assert {found["id"] for found in attacked.mended.document["findings"]} == {"pack-overwritten"}
    assert _evidence(attacked.mended, "consistent", "pack-overwritten") == {
        attacked.damage.pack: [attacked.damage.garbage]
    }


def test_an_operator_cannot_acknowledge_and_is_told_who_can(attacked: Attacked) -> None:
    assert attacked.by_the_operator.exit_code == 2
    assert "nothing was acknowledged. Only an approver may" in attacked.by_the_operator.message
    assert "rwm-approver with MFA" in attacked.by_the_operator.message


def test_an_approver_acknowledges_exactly_what_was_found(attacked: Attacked) -> None:
    said = attacked.acknowledged.document
    assert (attacked.acknowledged.exit_code, said["outcome"], said["left"]) == (0, "acknowledged", 0)
    assert {each["key"]: each["version_ids"] for each in said["evidence"]} == {
        attacked.damage.pack: [attacked.damage.garbage]
    }
    assert (attacked.twice.exit_code, attacked.twice.document["outcome"]) == (0, "already")


def test_once_it_is_acknowledged_the_check_passes_and_last_good_moves_on(attacked: Attacked) -> None:
    said = attacked.over.document
    assert (attacked.over.exit_code, said["claim"], said["findings"]) == (0, "complete", [])
    assert sum(level["acknowledged"] for level in said["levels"]) == 1
    assert attacked.shown_when_over.document["last_good"] == said["state"] == attacked.mended.document["state"]


def test_the_same_attack_again_is_told_and_found_again(attacked: Attacked) -> None:
    assert _told(attacked.told_of_the_second, "consistent") == [
        "RWM: FAIL attacked: key-file-removed, pack-overwritten"
    ]
    assert attacked.found_again.exit_code == 4
    first, second = attacked.damage, attacked.second_damage
    assert first.pack == second.pack
    assert _evidence(attacked.found_again, "consistent", "pack-overwritten") == {
        first.pack: [second.garbage, first.garbage]
    }
    assert _evidence(attacked.found_again, "consistent", "key-file-removed") == {first.key_file: [second.marker]}


def test_an_older_state_is_judged_by_itself_whatever_came_after_it(attacked: Attacked) -> None:
    said = attacked.older.document
    assert (attacked.older.exit_code, said["state"], said["claim"]) == (0, attacked.before["id"], "complete")


def test_no_item_of_what_was_judged_ever_changes_or_goes(attacked: Attacked) -> None:
    for before, after in zip(attacked.operations, attacked.operations[1:], strict=False):
        assert before.items() <= after.items()
        assert len(before) < len(after)
    kinds = {key.partition(" ")[2].partition("#")[0] for key in attacked.operations[-1] if key.startswith("attacked ")}
    assert {"verdict", "copy-verdict", "posture", "verified", "damaged"} <= kinds


def test_who_acknowledged_is_written_down(system: System, attacked: Attacked) -> None:
    (item,) = system.items(system.names.operations, "ack#attacked")
    assert item["by"]["S"].split(":")[-1].startswith("assumed-role/rwm-approver/")
    assert item["verdict"]["S"] == attacked.acknowledged.document["verdict"]
    # At each of the levels it was the same finding; nothing else was ever laid to rest.
    assert item["finding"]["S"] == "pack-overwritten"

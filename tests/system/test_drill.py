"""`rwm drill` in the deployed system: by the real workflows, with the real restic's repository."""

from typing import Any

import pytest

from tests.system.conftest import Begun
from tests.system.drilled import NAME, Drilled
from tests.system.system import System, refusal

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def drilled(begun: Begun) -> Drilled:
    return begun.drilled.result()


def _result(answer: Any) -> dict[str, Any]:
    assert answer.document["result"] is not None, answer
    return dict(answer.document["result"])


def test_nothing_is_drilled_before_there_is_a_state(drilled: Drilled) -> None:
    assert drilled.too_early.exit_code == 2
    assert "has no recorded state yet; nothing was drilled" in drilled.too_early.message


def test_of_a_large_state_everything_but_packs_is_restored_and_a_sample_of_those(drilled: Drilled) -> None:
    assert drilled.sampled.exit_code == 0, drilled.sampled
    result = _result(drilled.sampled)
    assert (result["outcome"], result["level"], result["sample_bytes"]) == ("restored", "content", 2000)
    packs = drilled.good["by_type"]["pack"]["objects"]
    assert result["state_objects"] - packs <= result["objects"] < result["state_objects"]
    assert result["proven"] == result["objects"]
    own = {key for key in drilled.copied if key.startswith(f"{NAME}/{result['execution']}/")}
    assert len(own) == result["objects"]


def test_a_sound_repository_is_restored_whole_and_opened_with_its_password(drilled: Drilled) -> None:
    assert drilled.sound.exit_code == 0, drilled.sound
    result = _result(drilled.sound)
    assert (result["outcome"], result["level"], result["why"]) == ("restored", "complete", None)
    assert (result["state"], result["sample_bytes"]) == (drilled.good["id"], None)
    assert result["proven"] == result["objects"] == result["state_objects"] == drilled.good["objects"]
    assert (result["reason"], result["seconds"] >= 0) == ("operator", True)
    assert drilled.told_of_success == []


def test_the_copy_lies_beneath_its_own_prefix_where_nobody_else_writes(system: System, drilled: Drilled) -> None:
    result = _result(drilled.sound)
    assert result["target"] == {"bucket": system.drills, "prefix": f"{NAME}/{result['execution']}"}
    own = {key for key in drilled.copied if key.startswith(f"{NAME}/{result['execution']}/")}
    assert len(own) == result["objects"]
    almighty = system.user("almighty", "*")("s3")
    assert refusal(almighty.put_object, Bucket=system.drills, Key=min(own), Body=b"x") == "AccessDenied"


def test_lifecycle_empties_the_bucket_of_drills_and_nothing_there_is_kept_by_versions(
    system: System, drilled: Drilled
) -> None:
    assert drilled.copied
    s3 = system.client("s3")
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=system.drills)["Rules"]
    assert (rule["Status"], rule["Expiration"]["Days"]) == ("Enabled", 1)
    assert "Status" not in s3.get_bucket_versioning(Bucket=system.drills)


def test_a_person_s_restore_is_refused_there(drilled: Drilled) -> None:
    assert drilled.restored_by_hand.exit_code == 2
    assert "is for drills" in drilled.restored_by_hand.message
    assert "nothing was written" in drilled.restored_by_hand.message


def test_after_an_attack_the_last_good_state_is_drilled(drilled: Drilled) -> None:
    assert drilled.attacked["objects"] < drilled.good["objects"]
    assert drilled.attacked["checked"]["consistent"] != "pass"
    assert drilled.after_the_attack.exit_code == 0, drilled.after_the_attack
    result = _result(drilled.after_the_attack)
    assert (result["state"], result["level"]) == (drilled.good["id"], "complete")


def test_the_timeline_shows_the_moment_of_the_attack(drilled: Drilled) -> None:
    story = drilled.story.document
    newest, oldest = story["moments"]
    assert [each["id"] for each in (newest, oldest)] == [drilled.attacked["id"], drilled.good["id"]]
    assert (newest["fell"], oldest["fell"]) == (True, False)
    assert {each["type"] for each in newest["by_type"] if each["objects"] < 0} == {"pack", "snapshot"}
    assert (story["last_good"], story["turn"]["first_bad"]) == (drilled.good["id"], drilled.attacked["id"])
    assert newest["findings"]


def test_a_pack_that_is_not_what_its_name_says_fails_the_drill_and_people_are_told(drilled: Drilled) -> None:
    assert drilled.damaged["checked"]["consistent"] == "pass", "a listing cannot show it"
    assert drilled.of_the_damage.exit_code == 4, drilled.of_the_damage
    result = _result(drilled.of_the_damage)
    assert (result["state"], result["outcome"], result["why"]) == (drilled.damaged["id"], "failed", "damaged")
    assert result["level"] is None
    subjects = [each["Subject"] for each in drilled.told_of_the_damage]
    assert f"RWM: FAIL {NAME}: restore drill failed: damaged" in subjects


def test_past_drills_are_listed_and_their_restores_have_their_names(drilled: Drilled) -> None:
    done = [_result(each) for each in (drilled.of_the_damage, drilled.after_the_attack, drilled.sound, drilled.sampled)]
    assert drilled.listed.document["drills"] == done
    assert drilled.listed.document["overdue_since"] is None
    restores = {each["execution"]: each["outcome"] for each in drilled.restores.document["restores"]}
    assert {each["execution"] for each in done} == set(restores)
    assert drilled.restores.document["under_way"] == []

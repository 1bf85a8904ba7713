"""`rwm timeline`: the states of a repository as one story, in which the moment of an attack is plain to see."""

from typing import Any

import pytest

from functions.domain.keeping import Hold
from functions.domain.prune.approval import Approval
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ListedVersion
from functions.domain.verdict import CheckLevel
from functions.storage.holds import DynamoHoldLog
from functions.storage.plans import DynamoApprovals
from tests.builders import at, marker, named, pack, version
from tests.cli.deployed import NAMES, Deployed, document, sentence
from tests.cli.test_holding import drop
from tests.domain.judging import FAIL, HOLD, NOTE, finding

HOUR = 3600
REPOSITORY: list[ListedVersion] = [
    version("config", size=10, written=-HOUR),
    version(named("keys", "k"), size=5, written=-HOUR),
    version(named("index", "i"), size=7, written=-HOUR),
    *(version(named("snapshots", name), size=20, written=-HOUR) for name in ("monday", "tuesday")),
    *(version(pack(name), size=1024, written=-HOUR) for name in ("a", "b", "c")),
]
HID = finding(finding_id="host-hid-objects")


def _later(*more: ListedVersion) -> list[ListedVersion]:
    return [*REPOSITORY, *more]


@pytest.fixture
def attacked(deployed: Deployed) -> list[StateHeader]:
    """Three good states, then the host hides two packs and a snapshot, then it backs up as if nothing were."""
    monday = deployed.record("alpha", REPOSITORY)
    tuesday = deployed.record("alpha", _later(version(pack("d"), size=2048, written=HOUR)), cut=2 * HOUR)
    wednesday = deployed.record("alpha", _later(version(pack("d"), size=2048, written=HOUR)), cut=4 * HOUR)
    hidden: list[ListedVersion] = [
        version(pack("d"), size=2048, written=HOUR),
        *(marker(key, written=5 * HOUR) for key in (pack("a"), pack("b"), named("snapshots", "monday"))),
    ]
    thursday = deployed.record("alpha", _later(*hidden), cut=6 * HOUR)
    friday = deployed.record("alpha", _later(*hidden, version(pack("e"), size=1, written=7 * HOUR)), cut=8 * HOUR)
    for good in (monday, tuesday, wednesday):
        deployed.judge(good, NOTE)
    deployed.judge(thursday, HID, HOLD)
    deployed.judge(friday, HID)
    return [monday, tuesday, wednesday, thursday, friday]


def told(deployed: Deployed, *more: str) -> Any:
    result = deployed.rwm("timeline", "alpha", "--json", *more)
    assert result.exit_code == 0, result.stderr
    return document(result)


def test_each_state_comes_with_what_came_and_what_went_by_type(deployed: Deployed, attacked: list[StateHeader]) -> None:
    friday, thursday, wednesday, tuesday, monday = told(deployed)["moments"]
    assert [each["id"] for each in (monday, tuesday, wednesday, thursday, friday)] == [each.id for each in attacked]
    assert (monday["change"], monday["by_type"], monday["same"], monday["fell"]) == (None, [], False, False)
    assert tuesday["by_type"] == [{"type": "pack", "objects": 1, "bytes": 2048}]
    assert (tuesday["change"], tuesday["fell"]) == ({"objects": 1, "bytes": 2048}, False)
    assert (wednesday["same"], wednesday["by_type"]) == (True, [])
    assert thursday["by_type"] == [
        {"type": "snapshot", "objects": -1, "bytes": -20},
        {"type": "pack", "objects": -2, "bytes": -2048},
    ]
    assert (thursday["fell"], thursday["hidden"]) == (True, 3)
    assert (friday["by_type"], friday["fell"]) == ([{"type": "pack", "objects": 1, "bytes": 1}], False)


def test_each_state_comes_with_the_worst_that_was_said_and_the_ids(
    deployed: Deployed, attacked: list[StateHeader]
) -> None:
    friday, thursday, wednesday, *_ = told(deployed)["moments"]
    assert (wednesday["outcome"], wednesday["findings"]) == ("pass", [{"id": "stale-lock", "severity": "NOTE"}])
    assert thursday["outcome"] == "fail"
    assert [each["id"] for each in thursday["findings"]] == ["host-hid-objects", "growth"]
    assert [each["id"] for each in friday["findings"]] == ["host-hid-objects"]


def test_the_moment_of_the_attack_is_told_between_two_states(deployed: Deployed, attacked: list[StateHeader]) -> None:
    _, _, wednesday, thursday, _ = attacked
    found = told(deployed)
    assert (found["last_good"], found["last_good_at"]) == (wednesday.id, "2026-11-21T16:00:00Z")
    assert found["turn"] == {
        "last_good": wednesday.id,
        "after": "2026-11-21T16:00:00Z",
        "first_bad": thursday.id,
        "by": "2026-11-21T18:00:00Z",
        "findings": [{"id": "host-hid-objects", "severity": "FAIL"}, {"id": "growth", "severity": "HOLD"}],
    }


def test_a_person_sees_it_in_words_and_not_only_in_colours(deployed: Deployed, attacked: list[StateHeader]) -> None:
    _, _, wednesday, thursday, _ = attacked
    shown = deployed.rwm("timeline", "alpha").stdout.splitlines()
    rows = {line.split()[1]: line for line in shown[1:6]}
    assert [line for line in shown if "FELL: " in line] == [rows[thursday.id[:12]]]
    assert "FELL: -1 snapshot (-20 B), -2 pack (-2.000 KiB)" in rows[thursday.id[:12]]
    assert "FAIL host-hid-objects, HOLD growth" in rows[thursday.id[:12]]
    assert " = " in rows[wednesday.id[:12]]
    assert rows[wednesday.id[:12]].endswith("last-good")
    assert (
        "It went wrong after 2026-11-21T16:00:00Z and by 2026-11-21T18:00:00Z: FAIL host-hid-objects, HOLD growth. "
        f"`rwm diff alpha {wednesday.id[:12]} {thursday.id[:12]}` names what changed."
    ) in shown
    assert any(line.startswith(f"last-good is state {wednesday.id[:12]}") for line in shown)


def test_last_good_is_named_also_where_it_is_older_than_what_is_shown(
    deployed: Deployed, attacked: list[StateHeader]
) -> None:
    _, _, wednesday, thursday, friday = attacked
    found = told(deployed, "--limit", "1")
    assert [each["id"] for each in found["moments"]] == [friday.id]
    assert found["moments"][0]["change"] == {"objects": 1, "bytes": 1}
    assert (found["last_good"], found["turn"]["first_bad"], found["more"]) == (wednesday.id, thursday.id, True)
    assert "there are older ones: --limit" in deployed.rwm("timeline", "alpha", "--limit", "1").stdout
    assert told(deployed, "--limit", "5")["more"] is False


def test_it_is_the_state_that_last_good_means_elsewhere(deployed: Deployed, attacked: list[StateHeader]) -> None:
    assert told(deployed)["last_good"] == document(deployed.rwm("state", "alpha", "last-good", "--json"))["id"]


def test_once_the_newest_state_is_good_nothing_speaks_against_what_came_after(
    deployed: Deployed, attacked: list[StateHeader]
) -> None:
    newest = deployed.record("alpha", REPOSITORY, cut=10 * HOUR)
    deployed.judge(newest)
    found = told(deployed)
    assert (found["last_good"], found["turn"]) == (newest.id, None)
    assert "nothing speaks against any state that came after it" in deployed.rwm("timeline", "alpha").stdout


def test_a_restored_copy_and_an_older_verdict_say_nothing_of_a_state(deployed: Deployed) -> None:
    state = deployed.record("alpha", REPOSITORY)
    deployed.judge(state, FAIL, seconds=100)
    deployed.judge(state, seconds=200)
    deployed.judge(state, FAIL, level=CheckLevel.COMPLETE, seconds=300, target="rwm-restore-1/")
    (moment,) = told(deployed)["moments"]
    assert (moment["outcome"], moment["findings"]) == ("pass", [])


def test_marks_say_what_people_prunes_and_restic_did(deployed: Deployed) -> None:
    first = deployed.record("alpha", REPOSITORY)
    locked = version(named("locks", "l"), written=2 * HOUR - 60)
    second = deployed.record("alpha", _later(locked), cut=2 * HOUR)
    edge = deployed.record("alpha", _later(version(pack("z"), written=4 * HOUR)), cut=4 * HOUR)
    for each in (first, second, edge):
        deployed.judge(each)
    approval = Approval(
        repository=first.repository,
        plan=Digest("d" * 64),
        state=first.id,
        generation=1,
        decision="approved",
        by="somebody",
        at=at(0),
    )
    DynamoApprovals(deployed.aws.dynamodb, NAMES.operations).decide(approval)
    rejected = approval.model_copy(update={"plan": Digest("e" * 64), "state": edge.id, "decision": "rejected"})
    DynamoApprovals(deployed.aws.dynamodb, NAMES.operations).decide(rejected)
    log = DynamoHoldLog(deployed.aws.dynamodb, NAMES.operations, NAMES.ledger)
    log.hold(first.repository, 1, Hold(first.id, "somebody", at(0), "evidence"))
    assert [each["marks"] for each in told(deployed)["moments"]] == [
        ["edge", "last-good"],
        ["busy"],
        ["quiet", "held", "approved"],
    ]


def test_a_state_that_a_prune_dropped_is_no_last_good(deployed: Deployed) -> None:
    first = deployed.record("alpha", REPOSITORY)
    second = deployed.record("alpha", REPOSITORY, cut=HOUR)
    for each in (first, second):
        deployed.judge(each)
    drop(deployed, second)
    found = told(deployed)
    assert found["last_good"] == first.id
    assert found["moments"][0]["marks"] == ["quiet", "dropped"]


def test_where_only_the_bytes_of_packs_fell_it_fell_and_where_indexes_became_fewer_it_did_not(
    deployed: Deployed,
) -> None:
    deployed.record("alpha", REPOSITORY)
    without_index = [each for each in REPOSITORY if not each.key.startswith("index/")]
    deployed.record("alpha", without_index, cut=HOUR)
    smaller = [version(each.key, size=1, written=HOUR) if each.key == pack("a") else each for each in without_index]
    deployed.record("alpha", smaller, cut=2 * HOUR)
    fell, fewer, _ = told(deployed)["moments"]
    assert (fell["fell"], fell["by_type"]) == (True, [{"type": "pack", "objects": 0, "bytes": -1023}])
    assert (fewer["fell"], [each["type"] for each in fewer["by_type"]]) == (False, ["index"])
    assert "FELL: 0 pack (-1023 B)" in deployed.rwm("timeline", "alpha").stdout


@pytest.mark.parametrize("folder", ["keys/", "snapshots/", "config"])
def test_a_snapshot_a_key_file_or_the_config_that_is_gone_is_a_fall_though_no_pack_is(
    deployed: Deployed, folder: str
) -> None:
    deployed.record("alpha", REPOSITORY)
    gone = next(each for each in REPOSITORY if each.key.startswith(folder))
    deployed.record("alpha", [each for each in REPOSITORY if each is not gone], cut=HOUR)
    newest, _ = told(deployed)["moments"]
    assert (newest["fell"], newest["change"]["objects"]) == (True, -1)


def test_versions_that_were_replaced_by_as_many_bytes_are_told(deployed: Deployed) -> None:
    deployed.record("alpha", REPOSITORY)
    deployed.record("alpha", _later(version(pack("a"), size=1024, written=HOUR, version_id="other")), cut=2 * HOUR)
    newest, _ = told(deployed)["moments"]
    assert (newest["same"], newest["by_type"]) == (False, [])
    assert "as many as before, other versions" in deployed.rwm("timeline", "alpha").stdout


def test_where_nothing_was_ever_good_it_says_so(deployed: Deployed) -> None:
    state = deployed.record("alpha", REPOSITORY)
    assert (
        "no state is known to be good; `rwm check alpha` judges the newest" in deployed.rwm("timeline", "alpha").stdout
    )
    deployed.judge(state, FAIL)
    shown = deployed.rwm("timeline", "alpha").stdout
    assert f"Already the state of 2026-11-21T12:00:00Z, {state.id[:12]}, is bad: FAIL config-missing." in shown


def test_without_a_state_it_says_how_to_record_one(deployed: Deployed) -> None:
    assert "beta has no recorded state yet" in deployed.rwm("timeline", "beta").stdout
    assert document(deployed.rwm("timeline", "beta", "--json"))["moments"] == []


def test_a_broken_chain_is_said_and_nothing_is_shown(deployed: Deployed, attacked: list[StateHeader]) -> None:
    deployed.change_item(NAMES.ledger, "alpha", "state#0000000002")
    result = deployed.rwm("timeline", "alpha")
    assert result.exit_code == 4
    assert "the chain of states of alpha is broken" in sentence(result)
    assert result.stdout == ""

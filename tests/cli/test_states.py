"""`rwm repositories`, `states`, `state`, `diff`: what the ledger holds, told so that it can be trusted."""

from datetime import timedelta

import pytest

from functions.domain.state import Cause, StateHeader
from functions.domain.values import zulu
from functions.domain.verdict import CheckLevel
from tests.builders import NOON, marker, named, pack, version
from tests.cli.deployed import NAMES, Deployed, document, sentence
from tests.domain.judging import FAIL, HOLD


def record_two(deployed: Deployed) -> tuple[StateHeader, StateHeader]:
    first = [version("config", size=10), version(named("keys", "k"), size=5)]
    second = [*first, version(pack("a"), size=1000, written=60)]
    return deployed.record("alpha", first), deployed.record(
        "alpha", second, cut=3600, cause=Cause(reason="event", snapshot="ab" * 32, outcome="incomplete")
    )


class TestRepositories:
    def test_lists_what_is_deployed_and_the_newest_state_of_each(self, deployed: Deployed) -> None:
        _, newest = record_two(deployed)
        result = deployed.rwm("repositories", "--json")
        assert result.exit_code == 0
        found = document(result)
        assert found["deployment"] == "rwm"
        alpha, beta = found["repositories"]
        assert (alpha["name"], alpha["bucket"], alpha["host_may_hide"]) == ("alpha", "alpha-bucket", True)
        assert (alpha["newest"]["state"], alpha["newest"]["generation"]) == (newest.id, 2)
        assert (beta["prefix"], beta["maintenance"], beta["newest"]) == ("restic/beta", "create", None)

    def test_marks_a_repository_whose_newest_state_is_older_than_it_may_be(self, deployed: Deployed) -> None:
        deployed.record("alpha", [version("config", written=-(10**9))], cut=-100_000_000)
        assert document(deployed.rwm("repositories", "--json"))["repositories"][0]["newest"]["late"] is True
        assert "late" in deployed.rwm("repositories").stdout

    def test_refuses_a_deployment_that_is_not_there_and_says_how_to_deploy_it(self, deployed: Deployed) -> None:
        result = deployed.rwm("repositories", "--deployment", "other")
        assert result.exit_code == 2
        assert (
            "there is no deployment other in eu-central-1; nothing was done. Deploy it with `make deploy`"
            in sentence(result)
        )

    def test_refuses_a_deployment_of_another_version_of_rwm(self, deployed: Deployed) -> None:
        deployed.aws.ssm.put_parameter(
            Name=NAMES.repository_parameter("gamma"), Value='{"name":"gamma","bucket":"gamma","new":1}', Type="String"
        )
        result = deployed.rwm("states", "alpha")
        assert result.exit_code == 1
        assert "deployed by another version of RWM" in sentence(result)


class TestStates:
    def test_lists_states_newest_first_with_their_change(self, deployed: Deployed) -> None:
        first, second = record_two(deployed)
        result = deployed.rwm("states", "alpha", "--json")
        assert result.exit_code == 0
        found = document(result)
        assert [each["id"] for each in found["states"]] == [second.id, first.id]
        assert [each["change"] for each in found["states"]] == [{"objects": 1, "bytes": 1000}, None]
        assert found["states"][0]["cause"] == {
            "reason": "event", "sent": None, "sender": None, "snapshot": "ab" * 32, "outcome": "incomplete",
        }  # fmt: skip
        assert found["more"] is False

    def test_shows_ids_times_changes_hidden_keys_and_flags(self, deployed: Deployed) -> None:
        record_two(deployed)
        third = deployed.record(
            "alpha",
            [
                version("config", size=10),
                marker("config", written=7000),
                version(named("locks", "l"), written=7100),
                version(named("index", "i"), written=7199, size=3),
            ],
            cut=7200,
        )
        shown = deployed.rwm("states", "alpha").stdout.splitlines()
        assert len(shown) == 4
        assert shown[1].split()[:5] == [third.id[:12], "2026-11-21T14:00:00Z", "1", "3", "B"]
        assert "-2, -1012 B" in shown[1]
        assert "edge busy" in shown[1]
        assert "event (snapshot abababab, incomplete)" in shown[2]
        assert "first" in shown[3]

    def test_limits_the_list_and_says_that_there_are_more(self, deployed: Deployed) -> None:
        _, second = record_two(deployed)
        found = document(deployed.rwm("states", "alpha", "--limit", "1", "--json"))
        assert [each["id"] for each in found["states"]] == [second.id]
        assert found["states"][0]["change"] == {"objects": 1, "bytes": 1000}
        assert found["more"] is True

    def test_says_when_nothing_was_recorded_yet(self, deployed: Deployed) -> None:
        result = deployed.rwm("states", "beta")
        assert result.exit_code == 0
        assert "no recorded state yet" in result.stdout
        assert document(deployed.rwm("states", "beta", "--json"))["states"] == []

    def test_refuses_an_unknown_repository_and_names_those_there_are(self, deployed: Deployed) -> None:
        result = deployed.rwm("states", "gamma")
        assert result.exit_code == 2
        assert "has no repository 'gamma'; nothing was done; it has: alpha, beta" in sentence(result)

    @pytest.mark.parametrize("command", [("states", "alpha"), ("state", "alpha", "latest")])
    def test_a_removed_header_is_noticed(self, deployed: Deployed, command: tuple[str, ...]) -> None:
        record_two(deployed)
        deployed.record("alpha", [version("config")], cut=7200)
        deployed.change_item(NAMES.ledger, "alpha", "state#0000000002")
        result = deployed.rwm(*command)
        assert result.exit_code == 4
        assert "the chain of states of alpha is broken: generation 3 is state" in sentence(result)

    def test_a_truncated_chain_is_noticed(self, deployed: Deployed) -> None:
        record_two(deployed)
        deployed.change_item(NAMES.ledger, "alpha", "state#0000000002")
        result = deployed.rwm("states", "alpha")
        assert result.exit_code == 4
        assert "it ends at generation 1 and the head is 2" in sentence(result)

    def test_a_chain_whose_states_or_head_are_all_gone_is_noticed(self, deployed: Deployed) -> None:
        deployed.record("alpha", [version("config")])
        deployed.record("beta", [version("config")])
        deployed.change_item(NAMES.ledger, "alpha", "state#0000000001")
        deployed.change_item(NAMES.ledger, "beta", "head")
        assert "there are no states" in sentence(deployed.rwm("states", "alpha"))
        assert "there are states and no head" in sentence(deployed.rwm("states", "beta"))

    def test_a_header_put_in_the_place_of_another_is_noticed(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        forged = first.model_copy(update={"objects": 1})
        deployed.change_item(
            NAMES.ledger, "alpha", "state#0000000001", document={"B": forged.canonical()}, id={"S": forged.id}
        )
        assert deployed.rwm("states", "alpha").exit_code == 4

    def test_an_edited_header_is_not_read(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        forged = first.model_copy(update={"objects": 1})
        deployed.change_item(NAMES.ledger, "alpha", "state#0000000001", document={"B": forged.canonical()})
        result = deployed.rwm("states", "alpha")
        assert result.exit_code == 1
        assert "changed by hand" in sentence(result)


class TestChecked:
    """What was judged of each state, and which one is the last good one."""

    def test_states_have_their_newest_outcome_of_each_level(self, deployed: Deployed) -> None:
        first, second = record_two(deployed)
        third = deployed.record("alpha", [version("config")], cut=7200)
        deployed.judge(first, level=CheckLevel.COMPLETE)
        deployed.judge(first)
        deployed.judge(second, FAIL, seconds=600)
        deployed.judge(second, HOLD, seconds=700)
        result = deployed.rwm("states", "alpha", "--json")
        found = document(result)
        assert [each["checked"] for each in found["states"]] == [
            {}, {"consistent": "hold"}, {"consistent": "pass", "complete": "pass"},
        ]  # fmt: skip
        assert [each["good"] for each in found["states"]] == [False, False, True]
        assert found["last_good"] == first.id
        shown = deployed.rwm("states", "alpha").stdout.splitlines()
        assert third.id[:12] in shown[1]
        assert "not yet" in shown[1]
        assert "consistent HOLD" in shown[2]
        assert "last-good" not in shown[1] + shown[2]
        assert "last-good" in shown[3]
        assert "consistent pass, complete pass" in shown[3]

    def test_only_the_newest_good_state_is_marked(self, deployed: Deployed) -> None:
        for header in record_two(deployed):
            deployed.judge(header)
        assert deployed.rwm("states", "alpha").stdout.count("last-good") == 1
        assert deployed.rwm("states", "alpha", "--limit", "1").stdout.count("last-good") == 1

    def test_none_among_those_listed_is_none(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        deployed.judge(first)
        assert document(deployed.rwm("states", "alpha", "--limit", "1", "--json"))["last_good"] is None

    def test_a_verdict_on_a_restored_copy_is_none_on_the_state(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        deployed.judge(first, target="rwm-restore-1/")
        assert document(deployed.rwm("state", "alpha", first.id, "--json"))["checked"] == {}

    def test_a_state_shows_what_was_judged_of_it(self, deployed: Deployed) -> None:
        first, second = record_two(deployed)
        deployed.judge(first, FAIL)
        found = document(deployed.rwm("state", "alpha", first.id, "--json"))
        assert (found["checked"], found["good"]) == ({"consistent": "fail"}, False)
        assert "consistent FAIL" in deployed.rwm("state", "alpha", first.id).stdout
        assert "not yet" in deployed.rwm("state", "alpha", second.id).stdout

    def test_last_good_works_as_a_state(self, deployed: Deployed) -> None:
        first, second = record_two(deployed)
        deployed.judge(first)
        deployed.judge(second, FAIL)
        assert document(deployed.rwm("state", "alpha", "last-good", "--json"))["id"] == first.id
        found = document(deployed.rwm("diff", "alpha", "last-good", "latest", "--json"))
        assert (found["before"]["id"], found["after"]["id"]) == (first.id, second.id)
        assert (found["before"]["good"], found["after"]["checked"]) == (True, {"consistent": "fail"})

    def test_without_a_good_one_it_is_said_why_and_what_to_do(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        deployed.judge(first, HOLD)
        result = deployed.rwm("state", "alpha", "last-good")
        assert result.exit_code == 2
        assert (
            "no state of alpha is known to be good: 1 never judged, 1 with a FAIL or a HOLD; `rwm check alpha` judges "
            "the newest; nothing was read"
        ) in sentence(result)

    def test_it_is_not_chosen_from_a_chain_that_is_broken(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        deployed.judge(first)
        deployed.change_item(NAMES.ledger, "alpha", "state#0000000002")
        result = deployed.rwm("state", "alpha", "last-good")
        assert result.exit_code == 4
        assert "the chain of states of alpha is broken" in sentence(result)

    def test_a_verdict_that_was_edited_is_not_believed(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        judged = deployed.judge(first, FAIL)
        passed = judged.model_copy(update={"findings": ()})
        place = f"verdict#0000000001#2026-11-21T12:10:00Z#{judged.digest[:16]}"
        deployed.change_item(NAMES.operations, "alpha", place, document={"B": passed.canonical()})
        for command in (("states", "alpha"), ("state", "alpha", "last-good")):
            result = deployed.rwm(*command)
            assert result.exit_code == 1
            assert "it was changed by hand; nothing was decided" in sentence(result)


class TestState:
    def test_shows_one_state_by_restics_types(self, deployed: Deployed) -> None:
        _, second = record_two(deployed)
        result = deployed.rwm("state", "alpha", second.id[:8], "--json")
        assert result.exit_code == 0
        found = document(result)
        assert (found["id"], found["parent"], found["kind"]) == (second.id, second.parent, "base")
        assert found["by_type"] == {
            "config": {"objects": 1, "bytes": 10},
            "key": {"objects": 1, "bytes": 5},
            "pack": {"objects": 1, "bytes": 1000},
        }
        assert found["change"] == {"objects": 1, "bytes": 1000}
        shown = deployed.rwm("state", "alpha", "latest").stdout
        for part in (second.id, second.manifest_root, second.content_root, "2026-11-21T13:00:00Z", "1015 B"):
            assert part in shown

    @pytest.mark.parametrize("wanted", ["latest", zulu(NOON + timedelta(hours=2)), "2026-11-21"])
    def test_finds_the_newest_by_name_and_by_time(self, deployed: Deployed, wanted: str) -> None:
        _, second = record_two(deployed)
        assert document(deployed.rwm("state", "alpha", wanted, "--json"))["id"] == second.id

    def test_finds_the_state_before_a_time(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        assert document(deployed.rwm("state", "alpha", "2026-11-21T12:30Z", "--json"))["id"] == first.id

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ("0000", "alpha has no state 0000; `rwm states alpha` lists them"),
            ("2020-01-01", "the oldest state of alpha is of 2026-11-21T12:00:00Z, after 2020-01-01"),
            ("yesterday", "'yesterday' is no state's id (4 hex digits or more)"),
            ("", "'' is no state's id (4 hex digits or more)"),
        ],
    )
    def test_refuses_what_names_no_state(self, deployed: Deployed, wanted: str, said: str) -> None:
        record_two(deployed)
        result = deployed.rwm("state", "alpha", wanted)
        assert result.exit_code == 2
        assert said in sentence(result)

    def test_says_whose_a_state_of_another_repository_is(self, deployed: Deployed) -> None:
        record_two(deployed)
        foreign = deployed.record("beta", [version("config", size=99)])
        result = deployed.rwm("state", "alpha", foreign.id, "--json")
        assert result.exit_code == 2
        assert document(result)["error"] == {
            "exit_code": 2,
            "kind": "refused",
            "message": f"state {foreign.id} belongs to beta, not to alpha; nothing was done",
        }

    def test_a_state_chosen_by_its_id_is_shown_even_where_the_chain_is_broken(self, deployed: Deployed) -> None:
        first, _ = record_two(deployed)
        deployed.change_item(NAMES.ledger, "alpha", "head")
        assert deployed.rwm("state", "alpha", first.id).exit_code == 0


class TestDiff:
    def test_tells_what_changed_and_what_restic_would_not_do(self, deployed: Deployed) -> None:
        kept, lost = version("config", size=10), version(named("snapshots", "s"), size=7)
        good, garbage = version(pack("a"), size=1000, version_id="1"), version(pack("a"), size=3, version_id="2")
        before = deployed.record("alpha", [kept, lost, good])
        after = deployed.record("alpha", [kept, version("README-ransom.txt", size=1), garbage], cut=60)
        result = deployed.rwm("diff", "alpha", before.id, after.id, "--json")
        assert result.exit_code == 0
        found = document(result)
        assert (found["before"]["id"], found["after"]["id"], found["same"]) == (before.id, after.id, False)
        assert [(each["key"], each["change"], each["expected"]) for each in found["changes"]] == [
            ("README-ransom.txt", "added", False),
            (pack("a"), "replaced", False),
            (lost.key, "removed", True),
        ]
        assert found["unexpected"] == 2
        assert {"type": "pack", "change": "replaced", "objects": 1, "bytes_before": 1000, "bytes_after": 3,
                "unexpected": 1} in found["totals"]  # fmt: skip
        replaced = found["changes"][1]
        assert (replaced["before"]["version_id"], replaced["after"]["version_id"]) == ("1", "2")
        assert (replaced["same_size"], replaced["same_etag"]) == (False, True)
        shown = deployed.rwm("diff", "alpha", before.id, after.id).stdout
        assert f"~ {pack('a')}  1000 -> 3 B  damage" in shown
        assert f"- {lost.key}  7 B  restic forget" in shown
        assert "2 keys changed as restic changes none" in shown

    def test_shows_fifty_keys_unless_all_are_wanted(self, deployed: Deployed) -> None:
        before = deployed.record("alpha", [version("config")])
        many = [version(pack(str(number)), written=1) for number in range(60)]
        after = deployed.record("alpha", [version("config"), *many], cut=60)
        shown = deployed.rwm("diff", "alpha", before.id, after.id).stdout
        assert (shown.count("+ data/"), "and 10 more keys: --all" in shown) == (50, True)
        assert deployed.rwm("diff", "alpha", before.id, after.id, "--all").stdout.count("+ data/") == 60

    def test_says_when_nothing_changed(self, deployed: Deployed) -> None:
        for cut in (0, 60):
            deployed.record("alpha", [version("config")], cut=cut)
        result = deployed.rwm("diff", "alpha", "2026-11-21T12:00:30", "latest")
        assert result.exit_code == 0
        assert "nothing changed" in result.stdout

    def test_a_state_whose_chunks_are_gone_is_not_compared(self, deployed: Deployed) -> None:
        first, second = record_two(deployed)
        deployed.change_item(NAMES.ledger, "chunk#attempt-1#000000", "chunk")
        result = deployed.rwm("diff", "alpha", first.id, second.id)
        assert result.exit_code == 4
        assert f"chunk 0 of 1 of state {first.id[:12]} is missing; nothing was compared" in sentence(result)

    def test_a_key_cannot_speak_to_the_terminal(self, deployed: Deployed) -> None:
        """Keys are the attacker's to choose: no control sequence, no markup, no line of his own."""
        before = deployed.record("alpha", [version("config")])
        hostile = "\x1b[2Jall is well\n[bold]\u202erestored"
        after = deployed.record("alpha", [version("config"), version(hostile, written=1)], cut=60)
        shown = deployed.rwm("diff", "alpha", before.id, after.id).stdout
        assert r"+ \x1b[2Jall is well\n[bold]\u202erestored" in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert document(deployed.rwm("diff", "alpha", before.id, after.id, "--json"))["changes"][0]["key"] == hostile

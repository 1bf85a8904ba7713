"""`rwm plans`, `rwm plan`: what is on the shelf, what became of it, and nothing that does not prove itself."""

import json
from typing import Any

import pytest

from cli.plans import PlanWithEntries
from functions.domain.prune.approval import ShelvedPlan, status_of
from functions.domain.prune.plan import batch_file, plan_file
from functions.domain.state import Tally
from functions.domain.values import RepositoryName
from functions.domain.verdict import seen
from tests.cli.deployed import NAMES, RECORDS, Deployed, denied, document, sentence
from tests.cli.shelf import APPROVER, DAY, KEY, Shelf
from tests.domain.judging import HOLD, finding

ALPHA = RepositoryName("alpha")
ODD = seen(HOLD)


@pytest.fixture
def shelf(deployed: Deployed) -> Shelf:
    return Shelf(deployed)


def listed(deployed: Deployed, *more: str) -> list[Any]:
    result = deployed.rwm("plans", *more, "--json")
    assert result.exit_code == 0, result.stderr
    return list(document(result)["plans"])


def forge(shelf: Shelf, shelved: ShelvedPlan, **changes: Any) -> None:
    """Somebody edits the shelf, and canonically."""
    forged = shelved.model_copy(update=changes)
    shelf.deployed.change_item(
        NAMES.operations, f"plan#{shelved.repository}", shelved.plan, document={"B": forged.canonical()}
    )


class TestTheList:
    def test_has_the_newest_first_of_every_repository(self, deployed: Deployed, shelf: Shelf) -> None:
        other = Shelf(deployed, "beta")
        older, newest = shelf.draw("monday", ago=5000), shelf.draw("tuesday", ago=100)
        between = other.draw("monday", ago=3000)
        assert [each["plan"] for each in listed(deployed)] == [newest.plan, between.plan, older.plan]
        assert [each["plan"] for each in listed(deployed, "alpha")] == [newest.plan, older.plan]
        shown = deployed.rwm("plans").stdout.splitlines()
        assert [line.split()[:2] for line in shown[1:]] == [
            [newest.plan[:12], "alpha"], [between.plan[:12], "beta"], [older.plan[:12], "alpha"],
        ]  # fmt: skip

    def test_is_as_long_as_is_wanted(self, deployed: Deployed, shelf: Shelf) -> None:
        for number in range(3):
            shelf.draw(f"day-{number}", ago=1000 - number)
        result = deployed.rwm("plans", "--limit", "2", "--json")
        assert (len(document(result)["plans"]), document(result)["more"]) == (2, True)
        assert "there are older ones: --limit" in deployed.rwm("plans", "--limit", "2").stdout
        assert document(deployed.rwm("plans", "--limit", "3", "--json"))["more"] is False

    def test_says_so_when_there_is_none(self, deployed: Deployed) -> None:
        assert listed(deployed) == []
        assert "there is no prune plan yet; `rwm prune REPO --dry-run`" in deployed.rwm("plans").stdout

    def test_tells_what_goes_and_what_is_odd(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.draw(findings=[ODD], posture="hold")
        (found,) = listed(deployed)
        assert (found["versions"], found["markers"], found["bytes"], found["drops"]) == (2, 1, 200, 1)
        assert (found["outcome"], found["posture"], found["approval"]) == ("hold", "hold", "needed")
        assert [each["id"] for each in found["findings"]] == ["growth"]
        shown = deployed.rwm("plans").stdout
        assert "  posture, growth  " in shown
        assert "waits for an approver until " in shown

    def test_of_an_unknown_repository_is_refused(self, deployed: Deployed) -> None:
        result = deployed.rwm("plans", "gamma")
        assert (result.exit_code, "has no repository 'gamma'" in sentence(result)) == (2, True)


class TestWhatBecameOfAPlan:
    def test_one_that_nobody_decided_on_waits(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.draw(findings=[ODD])
        assert listed(deployed)[0]["status"] == "waiting"

    def test_and_is_expired_once_its_time_is_over(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.draw(findings=[ODD], ago=DAY)
        assert listed(deployed)[0]["status"] == "expired"
        assert "expired: nobody decided in time" in deployed.rwm("plans").stdout

    @pytest.mark.parametrize("decision", ["approved", "rejected"])
    def test_who_decided_is_told(self, deployed: Deployed, shelf: Shelf, decision: Any) -> None:
        shelf.decide(shelf.draw(findings=[ODD], ago=2 * DAY), decision)
        (found,) = listed(deployed)
        assert (found["status"], found["by"]) == (decision, APPROVER)
        assert f"{decision} by {APPROVER} at {found['decided_at']}" in deployed.rwm("plans").stdout

    def test_one_with_a_report_was_applied(self, deployed: Deployed, shelf: Shelf) -> None:
        approved, unasked = shelf.draw("monday", findings=[ODD], ago=500), shelf.draw("tuesday")
        shelf.decide(approved)
        shelf.report(approved)
        shelf.report(unasked)
        assert [each["status"] for each in listed(deployed)] == ["applied", "applied"]
        assert f"applied, approved by {APPROVER}" in deployed.rwm("plans").stdout

    def test_one_that_nobody_has_to_look_at_needs_no_approval(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.draw()
        assert listed(deployed)[0]["status"] == "not-needed"
        assert "needs no approval" in deployed.rwm("plans").stdout

    def test_a_dry_run_and_one_that_deletes_nothing_wait_for_nobody(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.draw("monday", ago=100, dry_run=True, findings=[ODD])
        shelf.draw("tuesday", nothing=True)
        assert [each["status"] for each in listed(deployed)] == ["nothing-to-do", "dry-run"]

    def test_what_was_done_counts_for_more_than_what_was_decided(self, shelf: Shelf) -> None:
        shelved = shelf.draw(findings=[ODD])
        shelf.decide(shelved, "rejected")
        approval = shelf.approvals.decided(ALPHA, shelved.plan)
        assert status_of(shelved, approval, True, shelf.now) == "applied"
        assert status_of(shelved, approval, False, shelved.valid_until) == "rejected"


class TestOnePlan:
    def test_is_shown_in_full(self, deployed: Deployed, shelf: Shelf) -> None:
        shelved = shelf.draw(findings=[ODD], posture="hold")
        result = deployed.rwm("plan", shelved.plan)
        assert result.exit_code == 0
        shown = result.stdout
        assert f"plan {shelved.plan} of alpha: waits for an approver until " in shown
        assert f"by monday from state {shelf.fresh.id[:12]} (generation 2); valid until " in shown
        assert "it deletes 2 versions of 4, and 1 delete markers of 2, in 2 batches; it frees 200 B of 400 B" in shown
        assert "hidden for longer than the grace          pack        1  100 B\n" in shown
        assert "delete markers with nothing left to hide  pack        1    0 B\n" in shown
        assert "it drops 1 states, which can be restored no more; 1 are kept\n" in shown
        assert f"     {shelf.old.id[:12]} (generation 1), cut " in shown
        assert "HOLD of the posture\n     what to do: `rwm check alpha --level posture`" in shown
        assert "HOLD growth: what\n     since 2026-11-21T12:00:00Z; what to do: what to do\n" in shown
        assert "hidden or replaced less than the grace ago        1  100 B  2" in shown

    def test_as_a_document_has_what_its_file_says(self, deployed: Deployed, shelf: Shelf) -> None:
        shelved = shelf.draw()
        found = document(deployed.rwm("plan", shelved.plan, "--json"))
        plan = shelf.stored(shelved)
        assert found["plan"] == plan.digest
        assert [each["state"] for each in found["dropped"]] == [shelf.old.id]
        assert found["dropped"][0]["generation"] == 1
        assert (found["listed"], found["listed_markers"]) == ({"objects": 4, "bytes": 400}, 2)
        assert found["rules"]["grace"] == "10d"
        assert found["file"] == {"bucket": RECORDS, "key": shelved.file, "version_id": shelved.version_id}
        assert "entries" not in found

    def test_without_anything_odd_or_dropped_says_so(self, deployed: Deployed, shelf: Shelf) -> None:
        shown = deployed.rwm("plan", shelf.draw(nothing=True).plan).stdout
        assert "it drops no state; 1 are kept\nnothing looks odd\n" in shown

    def test_is_found_by_the_start_of_its_digest_in_any_repository(self, deployed: Deployed, shelf: Shelf) -> None:
        shelf.draw()
        other = Shelf(deployed, "beta").draw()
        for wanted in (other.plan, other.plan[:8], other.plan[:9].upper()):
            assert document(deployed.rwm("plan", wanted, "--json"))["repository"] == "beta"

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ("abcdef0", "'abcdef0' is no digest of a prune plan, nor its first 8 digits or more; nothing was done"),
            ("../alpha", "'../alpha' is no digest of a prune plan"),
            ("00000000", "has no prune plan 00000000; nothing was done; `rwm plans` lists those there are"),
        ],
    )
    def test_that_is_not_there_is_refused(self, deployed: Deployed, shelf: Shelf, wanted: str, said: str) -> None:
        shelf.draw()
        result = deployed.rwm("plan", wanted)
        assert result.exit_code == 2
        assert said in sentence(result)

    def test_a_start_of_two_is_refused(self, deployed: Deployed, shelf: Shelf) -> None:
        twins = [shelf.draw("monday"), shelf.draw("tuesday")]
        for each, digit in zip(twins, "12", strict=True):
            digest = f"abcdef00{digit * 56}"
            forged = each.model_copy(update={"plan": digest})
            item = {"document": {"B": forged.canonical()}}
            deployed.change_item(NAMES.operations, "plan#alpha", digest, **item)
        result = deployed.rwm("plan", "abcdef00")
        assert result.exit_code == 2
        assert "abcdef00 is the start of 2 plans (abcdef00" in sentence(result)
        assert "nothing was done; give more digits" in sentence(result)

    def test_who_may_not_read_the_records_bucket_is_told_who_may(self, deployed: Deployed, shelf: Shelf) -> None:
        shelved = shelf.draw()
        deployed.aws.s3.meta.events.register_first("before-call.s3.GetObject", _deny)
        try:
            result = deployed.rwm("plan", shelved.plan)
        finally:
            deployed.aws.s3.meta.events.unregister("before-call.s3.GetObject", _deny)
        assert result.exit_code == 2
        assert "may not s3:GetObject; nothing was decided. The role rwm-operator may" in sentence(result)


def _deny(**_: Any) -> None:
    raise denied("GetObject", "AccessDenied")


class TestItsEntries:
    def test_are_every_version_and_then_every_marker(self, deployed: Deployed, shelf: Shelf) -> None:
        shown = deployed.rwm("plan", shelf.draw().plan, "--entries").stdout.splitlines()[-3:]
        assert [line.split()[:2] for line in shown] == [[KEY, "v20"], [KEY, "v30"], [KEY, "m12"]]
        assert "  100 B  hidden since " in shown[0]
        assert "  marker  spent-marker since " in shown[2]

    def test_are_part_of_the_document(self, deployed: Deployed, shelf: Shelf) -> None:
        found = document(deployed.rwm("plan", shelf.draw().plan, "--entries", "--json"))
        assert [(each["key"], each["version_id"], each["size"], each["reason"]) for each in found["entries"]] == [
            (KEY, "v20", 100, "hidden"), (KEY, "v30", 100, "replaced"), (KEY, "m12", None, "spent-marker"),
        ]  # fmt: skip
        assert found["versions"] == 2
        assert PlanWithEntries.model_validate(found).model_dump(mode="json") == found, "as its schema says"

    def test_of_a_plan_that_deletes_nothing_are_none(self, deployed: Deployed, shelf: Shelf) -> None:
        assert document(deployed.rwm("plan", shelf.draw(nothing=True).plan, "--entries", "--json"))["entries"] == []

    def test_cannot_speak_to_the_terminal(self, deployed: Deployed, shelf: Shelf) -> None:
        result = deployed.rwm("plan", shelf.draw(hostile="\x1b[2J[bold]all is well\n").plan, "--entries")
        assert r"\x1b[2J[bold]all is well\n  v30  100 B" in result.stdout
        assert "\x1b" not in result.stdout

    @pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
    def test_that_are_not_the_plans_are_not_shown(self, deployed: Deployed, shelf: Shelf, as_json: list[str]) -> None:
        """The first batch is proven before it is shown; the second is not what the plan covers."""
        shelved = shelf.draw()
        shelf.records.put(batch_file(ALPHA, "monday", 1), b"")
        result = deployed.rwm("plan", shelved.plan, "--entries", *as_json)
        assert result.exit_code == 4
        assert "batch 1 is " in sentence(result)
        assert "reject the plan, and find out who changed the records bucket" in sentence(result)
        assert "m12" not in result.stdout
        if as_json:
            with pytest.raises(json.JSONDecodeError):
                document(result)


class TestWhatDoesNotProveItself:
    @pytest.mark.parametrize(
        "changes",
        [
            *({"drops": 0}, {"bytes": 7}, {"kept": 30}, {"outcome": "pass"}, {"findings": ()}, {"totals": ()}),
            {"listed": Tally(objects=1, bytes=1)},
            {"listed": None, "drops": 0},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_a_shelf_that_makes_a_plan_look_better_is_noticed(
        self, deployed: Deployed, shelf: Shelf, changes: dict[str, Any]
    ) -> None:
        shelved = shelf.draw(findings=[ODD, seen(finding(finding_id="prune-frees-much"))])
        forge(shelf, shelved, **changes)
        result = deployed.rwm("plan", shelved.plan)
        assert result.exit_code == 4
        assert f"the shelf says something else of plan {shelved.plan[:12]} than the plan itself" in sentence(result)
        assert result.stdout == ""

    def test_a_plan_that_was_shelved_before_all_versions_were_told_is_shown(
        self, deployed: Deployed, shelf: Shelf
    ) -> None:
        shelved = shelf.draw()
        forge(shelf, shelved, listed=None)
        assert deployed.rwm("plan", shelved.plan).exit_code == 0

    def test_a_shelf_that_points_at_another_file_is_noticed(self, deployed: Deployed, shelf: Shelf) -> None:
        harmless, shelved = shelf.draw("tuesday", nothing=True), shelf.draw("monday")
        forge(shelf, shelved, file=harmless.file, version_id=harmless.version_id)
        result = deployed.rwm("plan", shelved.plan)
        assert result.exit_code == 4
        assert f"what is stored of plan {shelved.plan[:12]} is another plan" in sentence(result)

    def test_the_version_that_was_shelved_is_read_whatever_came_after(self, deployed: Deployed, shelf: Shelf) -> None:
        shelved = shelf.draw()
        shelf.records.put(plan_file(ALPHA, "monday"), b"{}")
        assert deployed.rwm("plan", shelved.plan).exit_code == 0

    def test_a_file_that_is_gone_is_a_failure(self, deployed: Deployed, shelf: Shelf) -> None:
        shelved = shelf.draw()
        deployed.aws.s3.delete_object(Bucket=RECORDS, Key=shelved.file, VersionId=shelved.version_id)
        result = deployed.rwm("plan", shelved.plan)
        assert result.exit_code == 1
        assert "the records bucket has no prunes/alpha/monday/plan.json; nothing was decided" in sentence(result)

    def test_a_state_that_is_dropped_and_not_in_the_ledger_is_noticed(self, deployed: Deployed, shelf: Shelf) -> None:
        shelved = shelf.draw()
        deployed.change_item(NAMES.ledger, "alpha", "state#0000000001")
        result = deployed.rwm("plan", shelved.plan)
        assert result.exit_code == 4
        assert f"state {shelf.old.id[:12]}, which plan {shelved.plan[:12]} drops, is not in the ledger" in sentence(
            result
        )

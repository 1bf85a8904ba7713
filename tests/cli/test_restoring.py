"""`rwm restore`: what is refused before it starts, how it is followed, and how each end is told."""

import hashlib
import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.domain.restore.plan import report_file
from functions.domain.restore.proof import Kind, Trouble
from functions.domain.restore.request import Location
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, zulu
from tests.builders import NOON, named, pack, version
from tests.cli.deployed import ACCOUNT, NAMES, RECORDS, REGION, Deployed, denied, document, map_run, sentence

TARGET = Location(bucket="rwm-restore-1", prefix="here")
FULL = "the target holds 2 objects; nothing was written"
RUNNING, SUCCEEDED = {"status": "RUNNING"}, {"status": "SUCCEEDED"}


@pytest.fixture
def state(deployed: Deployed) -> StateHeader:
    return deployed.record("alpha", [version("config"), version(pack("a")), version(named("snapshots", "s"))])


def restore(deployed: Deployed, *more: str, state: str = "latest") -> Any:
    return deployed.rwm("restore", "alpha", state, "--to-bucket", TARGET.bucket, "--to-prefix", TARGET.prefix, *more)


def damaged(key: str) -> Trouble:
    return Trouble(key=ObjectKey(key), kind=Kind.DAMAGED, why="its bytes are not what its name promises")


def missing(key: str) -> Trouble:
    return Trouble(key=ObjectKey(key), kind=Kind.MISSING, why="its version is gone")


def begins_alike(header: StateHeader, start: str) -> StateHeader:
    """`header` with the first count of noncurrent versions that gives it an id which begins with `start`."""
    head, tail = header.canonical().split(b'"noncurrent":0')
    prefix = f"rwm {header.KIND} {header.format}\0".encode() + head
    for count in itertools.count():
        content = b'%s"noncurrent":%d%s' % (prefix, count, tail)
        if hashlib.sha256(content).hexdigest().startswith(start):
            return header.model_copy(update={"noncurrent": count})
    raise AssertionError


class TestTheBeginning:
    def test_the_workflow_is_given_the_full_id_whatever_was_typed(self, deployed: Deployed, state: StateHeader) -> None:
        restore(deployed, "--no-wait", state=state.id[:6])
        (started,) = deployed.workflows.started
        assert started["stateMachineArn"] == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rwm-restore"
        assert started["input"] == {
            "repository": "alpha",
            "state": state.id,
            "target": {"bucket": "rwm-restore-1", "prefix": "here"},
        }
        assert started["name"].startswith(f"alpha-{state.id[:12]}-")
        assert len(started["name"]) <= 80

    def test_the_last_good_state_is_found_before_the_workflow_starts(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        deployed.record("alpha", [version("config")], cut=60)
        result = restore(deployed, "--no-wait", state="last-good")
        assert result.exit_code == 2
        assert "no state of alpha is known to be good: 2 never judged" in sentence(result)
        assert deployed.workflows.started == []
        deployed.judge(state)
        restore(deployed, "--no-wait", state="last-good")
        assert deployed.workflows.started[0]["input"]["state"] == state.id

    def test_two_restores_of_one_state_are_two_executions(self, deployed: Deployed, state: StateHeader) -> None:
        for _ in range(2):
            restore(deployed, "--no-wait")
        assert len({started["name"] for started in deployed.workflows.started}) == 2

    def test_without_waiting_the_exit_code_says_that_nothing_is_restored_yet(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        result = restore(deployed, "--no-wait", "--json")
        assert result.exit_code == 3
        found = document(result)
        assert (found["outcome"], found["state"], found["report"]) == ("running", state.id, None)
        assert found["execution"].startswith(f"arn:aws:states:{REGION}:{ACCOUNT}:execution:rwm-restore:alpha-")
        assert "describe-execution --execution-arn arn:aws:states" in restore(deployed, "--no-wait").stdout

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [("0000", "alpha has no state 0000"), ("2020-01-01", "the oldest state"), ("soon", "'soon' is no state's id")],
    )
    def test_a_state_that_is_not_there_starts_nothing(
        self, deployed: Deployed, state: StateHeader, wanted: str, said: str
    ) -> None:
        result = restore(deployed, state=wanted)
        assert result.exit_code == 2
        assert said in sentence(result)
        assert "nothing was restored" in sentence(result)
        assert deployed.workflows.started == []

    def test_an_ambiguous_state_starts_nothing(self, deployed: Deployed, state: StateHeader) -> None:
        twin = begins_alike(state.model_copy(update={"generation": 2, "parent": state.id}), state.id[:4])
        deployed.change_item(
            NAMES.ledger, "alpha", "state#0000000002", document={"B": twin.canonical()}, id={"S": twin.id}
        )
        result = restore(deployed, state=state.id[:4])
        assert result.exit_code == 2
        assert f"{state.id[:4]} is the start of 2 states of alpha" in sentence(result)
        assert deployed.workflows.started == []

    def test_a_state_of_another_repository_starts_nothing(self, deployed: Deployed, state: StateHeader) -> None:
        foreign = deployed.record("beta", [version("config", size=7)])
        result = restore(deployed, state=foreign.id)
        assert result.exit_code == 2
        assert f"state {foreign.id} belongs to beta, not to alpha" in sentence(result)
        assert deployed.workflows.started == []

    @pytest.mark.parametrize("bucket", ["s3://bucket", "UPPER", "a", "bucket/prefix"])
    def test_what_is_no_bucket_name_starts_nothing(self, deployed: Deployed, state: StateHeader, bucket: str) -> None:
        result = deployed.rwm("restore", "alpha", "latest", "--to-bucket", bucket)
        assert result.exit_code == 2
        assert "target.bucket" in sentence(result)
        assert "nothing was written" in sentence(result)
        assert deployed.workflows.started == []

    def test_a_prefix_may_be_typed_with_its_slash(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.rwm("restore", "alpha", "latest", "--to-bucket", "rwm-restore-1", "--to-prefix", "a/b/", "--no-wait")
        assert deployed.workflows.started[0]["input"]["target"]["prefix"] == "a/b"

    def test_without_a_bucket_it_is_wrong_use(self, deployed: Deployed, state: StateHeader) -> None:
        assert deployed.rwm("restore", "alpha", "latest").exit_code == 2


class TestFollowing:
    def test_tells_each_stage_once_on_stderr(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.looks = [RUNNING] * 5 + [SUCCEEDED]
        deployed.workflows.map_runs = [
            map_run("RUNNING", 0, 3), map_run("RUNNING", 0, 3), map_run("RUNNING", 1, 3, failed=1),
            map_run("SUCCEEDED", 2, 3, failed=1),
        ]  # fmt: skip
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name)
        result = restore(deployed)
        assert result.exit_code == 0
        assert result.stderr.splitlines() == [
            f"restoring state {state.id[:12]} of alpha (cut {zulu(NOON)}, 3 objects, 300 B) to rwm-restore-1/here/",
            "copying: 0 of 3 batches",
            "copying: 2 of 3 batches, 1 failed",
            "verifying: 3 of 3 batches, 1 failed",
        ]

    def test_says_planning_before_there_is_a_map_run(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.looks = [RUNNING, SUCCEEDED]
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name)
        assert restore(deployed).stderr.splitlines()[1:] == ["planning"]

    def test_progress_that_cannot_be_read_does_not_end_the_restore(
        self, deployed: Deployed, state: StateHeader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: Any) -> None:
            raise denied("ListMapRuns")

        monkeypatch.setattr(deployed.workflows, "list_map_runs", refuse)
        deployed.workflows.looks = [RUNNING, SUCCEEDED]
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name)
        assert restore(deployed).exit_code == 0

    def test_when_aws_is_not_reached_any_more_the_restore_goes_on(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.looks = [RUNNING, {"raise": EndpointConnectionError(endpoint_url="https://states")}]
        result = restore(deployed)
        assert result.exit_code == 1
        assert "the restore goes on all the same. Look at it with `aws stepfunctions describe-execution" in sentence(
            result
        )

    def test_when_the_operator_stops_waiting_the_restore_goes_on(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.looks = [RUNNING, {"raise": KeyboardInterrupt()}]
        result = restore(deployed, "--json")
        assert result.exit_code == 3
        assert "the restore goes on" in document(result)["error"]["message"]


class TestTheEnd:
    def test_restored_and_proven(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name)
        result = restore(deployed, "--json")
        assert result.exit_code == 0
        found = document(result)
        arn, _, execution = found["execution"].rpartition(":")
        assert arn == f"arn:aws:states:{REGION}:{ACCOUNT}:execution:rwm-restore"
        assert found["outcome"] == "restored"
        assert (found["objects"], found["bytes"], found["proven"], found["copied"]) == (3, 300, 3, 3)
        assert found["content_root"] == found["found_content_root"] == state.content_root
        assert found["report"] == {"bucket": RECORDS, "key": report_file(Digest("d" * 64), execution)}
        assert found["target"] == {"bucket": "rwm-restore-1", "prefix": "here"}
        assert found["environment"]["RESTIC_REPOSITORY"] == (f"s3:https://s3.{REGION}.amazonaws.com/rwm-restore-1/here")
        assert found["troubles"] == []

    def test_prints_the_commands_to_use_the_result(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name)
        shown = restore(deployed).stdout
        assert f"restored state {state.id[:12]} of alpha in rwm-restore-1/here/: all 3 objects are proven" in shown
        assert f"    export RESTIC_REPOSITORY=s3:https://s3.{REGION}.amazonaws.com/rwm-restore-1/here\n" in shown
        assert "    restic check --read-data --no-lock\n" in shown

    def test_damage_in_the_state_itself_is_a_fail(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.on_end = lambda name: deployed.report(
            state, TARGET, name, outcome="restored-damaged", troubles=[damaged(pack("a"))]
        )
        result = restore(deployed)
        assert result.exit_code == 4
        assert "exactly, but 1 objects were damaged already in the state" in result.stdout
        assert f"damaged: {pack('a')}: its bytes are not what its name promises" in result.stdout

    def test_an_incomplete_restore_fails_and_names_what_is_missing(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete", "cause": "{}"}]
        deployed.workflows.on_end = lambda name: deployed.report(
            state, TARGET, name, outcome="incomplete", troubles=[missing("config")]
        )
        result = restore(deployed)
        assert result.exit_code == 1
        assert "not restored: state" in result.stdout
        assert "missing: config: its version is gone" in result.stdout
        assert "What is missing is gone for good" in result.stdout
        assert "restic check" not in result.stdout

    def test_all_names_come_from_the_report_in_the_records_bucket(self, deployed: Deployed, state: StateHeader) -> None:
        """The operations table holds a shortened one."""
        troubles = [missing("config"), missing(pack("a"))]
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
        deployed.workflows.on_end = lambda name: deployed.report(
            state, TARGET, name, outcome="incomplete", troubles=troubles, shortened=True
        )
        found = document(restore(deployed, "--json"))
        assert [trouble["key"] for trouble in found["troubles"]] == ["config", pack("a")]
        assert (found["outcome"], found["missing"]) == ("incomplete", 2)

    def test_shows_twenty_troubles_and_counts_the_others(self, deployed: Deployed, state: StateHeader) -> None:
        extra = [Trouble(key=ObjectKey(f"x{each:02}"), kind=Kind.UNEXPECTED, why="extra") for each in range(25)]
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
        deployed.workflows.on_end = lambda name: deployed.report(
            state, TARGET, name, outcome="incomplete", troubles=extra, proven=3
        )
        shown = restore(deployed).stdout
        assert (shown.count("unexpected: x"), "and 5 more; the report names all" in shown) == (20, True)

    def test_says_of_very_many_troubles_how_many_the_report_names(self, deployed: Deployed, state: StateHeader) -> None:
        extra = [Trouble(key=ObjectKey(f"x{each:02}"), kind=Kind.UNEXPECTED, why="extra") for each in range(25)]
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
        deployed.workflows.on_end = lambda name: deployed.report(
            state, TARGET, name, outcome="incomplete", troubles=extra, proven=3, unexpected=70
        )
        assert "and 50 more; the report names the first 25" in restore(deployed).stdout

    @pytest.mark.parametrize(
        "cause", [FULL, json.dumps({"errorType": "RestoreRefused", "errorMessage": FULL})], ids=["message", "json"]
    )
    def test_a_refusal_of_the_workflow_is_a_refusal(self, deployed: Deployed, state: StateHeader, cause: str) -> None:
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreRefused", "cause": cause}]
        result = restore(deployed, "--json")
        assert result.exit_code == 2
        assert document(result)["error"] == {
            "exit_code": 2,
            "kind": "refused",
            "message": FULL,
        }

    @pytest.mark.parametrize(
        ("look", "said"),
        [
            (
                {"status": "FAILED", "error": "Lambda.Unknown", "cause": "boom"},
                "the restore failed: Lambda.Unknown: boom;",
            ),
            ({"status": "TIMED_OUT"}, "the restore failed: TIMED_OUT; what was copied stays in rwm-restore-1/here/"),
            ({"status": "ABORTED"}, "the restore failed: ABORTED;"),
        ],
    )
    def test_a_workflow_that_broke_is_a_failure(
        self, deployed: Deployed, state: StateHeader, look: dict[str, str], said: str
    ) -> None:
        deployed.workflows.looks = [look]
        result = restore(deployed)
        assert result.exit_code == 1
        assert said in sentence(result)

    def test_a_workflow_that_ended_well_without_a_report_is_a_failure(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        result = restore(deployed)
        assert result.exit_code == 1
        assert "ended without a report; nothing proves what rwm-restore-1/here/ holds" in sentence(result)

    def test_a_report_about_another_state_or_target_proves_nothing(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        other = deployed.record("alpha", [version("config")], cut=60)
        elsewhere = Location(bucket="rwm-restore-2")
        for about, target in ((other, TARGET), (state, elsewhere)):
            deployed.workflows.on_end = lambda name, about=about, target=target: deployed.report(about, target, name)
            result = restore(deployed, state=state.id)
            assert result.exit_code == 1
            assert "trust nothing in the target" in sentence(result)

    def test_a_good_report_of_a_failed_workflow_proves_nothing(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name)
        result = restore(deployed)
        assert result.exit_code == 1
        assert "the workflow failed and its report says restored" in sentence(result)

    def test_a_report_that_is_gone_from_the_records_bucket_is_a_failure(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        def lose(name: str) -> None:
            report = deployed.report(state, TARGET, name, outcome="incomplete", troubles=[missing("c")], shortened=True)
            deployed.aws.s3.delete_object(Bucket=RECORDS, Key=report_file(report.plan, name))

        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
        deployed.workflows.on_end = lose
        result = restore(deployed)
        assert result.exit_code == 1
        assert "the records bucket has no restores/" in sentence(result)


class TestWhatWasWished:
    KEYS = tuple(sorted(named("keys", f"{each}") for each in range(12)))

    def test_key_files_that_were_left_out_are_named_with_what_brings_them_back(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name, revoked=self.KEYS)
        shown = restore(deployed).stdout
        assert "12 key files were removed since that state and are left out; --with-revoked-keys restores" in shown
        assert (shown.count("  keys/"), "  and 2 more; the report names all" in shown) == (10, True)

    def test_key_files_that_came_back_and_locks_are_told(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.on_end = lambda name: deployed.report(
            state, TARGET, name, reinstated=self.KEYS[:1], lock_days=30
        )
        result = restore(deployed)
        assert result.exit_code == 0
        assert "1 key files that were removed since that state came back, as --with-revoked-keys says" in result.stdout
        assert "each copy is under governance for 30 days from when it was made" in result.stdout

    def test_a_sample_is_never_called_the_state(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name, sample=7)
        assert "restored a sample (7 packs are left out) of state" in restore(deployed).stdout

    def test_a_name_that_could_move_the_cursor_is_written_out(self, deployed: Deployed, state: StateHeader) -> None:
        odd = "keys/\x1b[2J"
        deployed.workflows.on_end = lambda name: deployed.report(state, TARGET, name, revoked=(ObjectKey(odd),))
        shown = restore(deployed).stdout
        assert "\x1b" not in shown
        assert "keys/\\x1b[2J" in shown


class TestWhatIsGone:
    """Versions that the state pins and S3 no longer has: since when, and which states do without them."""

    @pytest.fixture
    def states(self, deployed: Deployed) -> list[StateHeader]:
        kept, lost, another = (version(key, written=-9000) for key in ("config", pack("lost"), pack("another")))
        return [
            deployed.record("alpha", [kept], cut=-7200),
            deployed.record("alpha", [kept, lost]),
            deployed.record("alpha", [kept, lost, another], cut=60),
            deployed.record("alpha", [kept, another], cut=120),
        ]

    def restored_without(self, deployed: Deployed, state: StateHeader, *keys: str) -> Any:
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
        deployed.workflows.on_end = lambda name: deployed.report(
            state, TARGET, name, outcome="incomplete", troubles=[missing(key) for key in keys]
        )
        return restore(deployed, state=state.id)

    def test_since_when_and_which_states_have_everything_is_told(
        self, deployed: Deployed, states: list[StateHeader]
    ) -> None:
        first, chosen, newest_with_it, without = states
        shown = self.restored_without(deployed, chosen, pack("lost")).stdout
        assert (
            f"{pack('lost')}: the newest state that names it is {newest_with_it.id[:12]} (cut "
            f"{zulu(newest_with_it.cut_time)}); at the next, {without.id[:12]} (cut {zulu(without.cut_time)}), it was "
            "hidden or replaced"
        ) in shown
        for other in (first, without):
            command = f"rwm restore alpha {other.id[:12]} --to-bucket rwm-restore-1 --to-prefix here-{other.id[:12]}"
            assert command in shown
        for touched in (chosen, newest_with_it):
            assert f"rwm restore alpha {touched.id[:12]} --to-bucket" not in shown

    def test_where_every_state_names_it_that_is_told(self, deployed: Deployed, states: list[StateHeader]) -> None:
        shown = self.restored_without(deployed, states[1], "config").stdout
        assert f"{states[-1].id[:12]} (cut {zulu(states[-1].cut_time)}), and none is newer" in shown
        assert "Every kept state names some of it" in shown

    def test_a_dropped_state_is_not_offered(self, deployed: Deployed, states: list[StateHeader]) -> None:
        first = states[0]
        deployed.change_item(
            NAMES.ledger,
            "dropped#alpha",
            "dropped#0000000001",
            format={"N": "1"},
            state={"S": first.id},
            plan={"S": "0" * 64},
            execution={"S": "prune-1"},
            at={"S": zulu(NOON)},
        )
        result = self.restored_without(deployed, states[1], pack("lost"))
        assert f"restore alpha {first.id[:12]}" not in result.stdout
        assert f"restore alpha {states[3].id[:12]}" in result.stdout

    def test_the_document_holds_it_too(self, deployed: Deployed, states: list[StateHeader]) -> None:
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreIncomplete"}]
        deployed.workflows.on_end = lambda name: deployed.report(
            states[1], TARGET, name, outcome="incomplete", troubles=[missing(pack("lost"))]
        )
        gone = document(restore(deployed, "--json", state=states[1].id))["gone"]
        assert [each["key"] for each in gone["versions"]] == [pack("lost")]
        assert (gone["before"]["state"], gone["after"]["state"], gone["more"]) == (states[0].id, states[3].id, 0)

    def test_a_ledger_that_cannot_be_read_takes_nothing_from_the_report(
        self, deployed: Deployed, states: list[StateHeader]
    ) -> None:
        for number in range(states[2].chunks.count):
            self.lose_chunk(deployed, states[2], number)
        result = self.restored_without(deployed, states[1], pack("lost"))
        assert result.exit_code == 1
        assert f"missing: {pack('lost')}: its version is gone" in result.stdout
        assert "Since when is not known: chunk 0 of 1 of state" in result.stdout

    @staticmethod
    def lose_chunk(deployed: Deployed, state: StateHeader, number: int) -> None:
        place = f"chunk#{state.chunks.attempt}#{number:06d}"
        found = deployed.aws.dynamodb.scan(TableName=NAMES.ledger)["Items"]
        for item in found:
            if place in (item["pk"]["S"], item["sk"]["S"]):
                deployed.change_item(NAMES.ledger, item["pk"]["S"], item["sk"]["S"])


class TestWhatTheOwnerMustAllow:
    WHY = "S3 denies s3:PutObject on rwm-restore-1; nothing was written; see docs/restoring.md"

    def refused(self, deployed: Deployed, *more: str) -> Any:
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreRefused", "cause": self.WHY}]
        return restore(deployed, *more)

    def test_what_the_target_denies_is_shown_with_the_policy_that_allows_it(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        result = self.refused(deployed)
        assert result.exit_code == 2
        assert self.WHY in sentence(result)
        first, last = result.stderr.index("["), result.stderr.index("]\nand, if")
        statements = json.loads(result.stderr[first : last + 1])
        assert statements[-1] == {
            "Sid": "RwmRestoreCopies",
            "Effect": "Allow",
            "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:role/rwm-copy-batch"]},
            "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": "arn:aws:s3:::rwm-restore-1/here/*",
        }
        assert "kms:GenerateDataKey" in result.stderr

    def test_a_dry_run_tells_the_same(self, deployed: Deployed, state: StateHeader) -> None:
        result = self.refused(deployed, "--dry-run")
        assert (result.exit_code, self.WHY in sentence(result)) == (2, True)
        assert "RwmRestoreCopies" in result.stderr

    def test_another_refusal_has_nothing_to_do_with_an_owner(self, deployed: Deployed, state: StateHeader) -> None:
        deployed.workflows.looks = [{"status": "FAILED", "error": "RestoreRefused", "cause": FULL}]
        assert "RwmRestoreCopies" not in restore(deployed).stderr

    def test_a_lock_needs_more(self, deployed: Deployed, state: StateHeader) -> None:
        assert "s3:PutObjectRetention" in self.refused(deployed, "--lock", "30").stderr
        assert "s3:PutObjectRetention" not in self.refused(deployed).stderr

    def test_a_program_reads_the_refusal_alone(self, deployed: Deployed, state: StateHeader) -> None:
        result = self.refused(deployed, "--json")
        assert document(result)["error"]["message"] == self.WHY
        assert "RwmRestoreCopies" not in result.stderr

"""`rwm why`: one object's story, told from what is proven; what was not seen is said not to have been."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, cast

import boto3
import pytest

from cli.deployment import Deployment
from cli.why import ObjectStory, why
from functions.domain.prune.plan import batch_file, result_file
from functions.domain.prune.results import BatchResult, Stays
from functions.domain.repositories import Retention
from functions.domain.state import StateHeader, Tally
from functions.domain.values import ObjectVersion, RepositoryName
from functions.storage.ledger import DynamoLedgerReader
from tests.builders import NOON, named, pack, version
from tests.cli.conftest import ALPHA
from tests.cli.deployed import NAMES, RECORDS, Deployed, denied, document, sentence
from tests.cli.shelf import KEY, Shelf
from tests.domain.judging import NOTE, evidence, finding
from tests.fakes.clock import FakeClock
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server

PACK = pack("a")
NAME = PACK.rpartition("/")[2]


def record_three(deployed: Deployed) -> list[Any]:
    """A pack comes with the second state, and is another version in the third."""
    config = version("config")
    one, two = version(PACK, written=-100, size=700), version(PACK, written=5000, size=701)
    return [
        deployed.record("alpha", [config]),
        deployed.record("alpha", [config, one], cut=3600),
        deployed.record("alpha", [config, two], cut=7200),
    ]


def headers_of(deployed: Deployed) -> list[StateHeader]:
    return list(DynamoLedgerReader(deployed.aws.dynamodb, NAMES.ledger).headers(RepositoryName("alpha")))


def drop(deployed: Deployed, header: StateHeader) -> None:
    deployed.change_item(
        NAMES.ledger,
        "dropped#alpha",
        f"dropped#{header.generation:010d}",
        format={"N": "1"},
        state={"S": header.id},
        plan={"S": "d" * 64},
        execution={"S": "monday"},
        at={"S": "2026-11-21T15:00:00Z"},
    )


def lose_chunks(deployed: Deployed, header: StateHeader) -> None:
    for number in range(header.chunks.count):
        deployed.change_item(NAMES.ledger, f"chunk#{header.chunks.attempt}#{number:06d}", "chunk")


def why_at(deployed: Deployed, now: datetime) -> ObjectStory:
    """The story as it is told at another time."""
    return why(Deployment(NAMES, deployed.aws), "alpha", PACK, now)


def story(deployed: Deployed, key: str = PACK) -> Any:
    result = deployed.rwm("why", "alpha", key, "--json")
    assert result.exit_code == 0, result.stderr
    return document(result)


class Bucket:
    """alpha's own in S3, whose clock begins at noon of the tests' day."""

    def __init__(self, server: S3Server) -> None:
        self.clock = server.fake.clock
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            region_name="us-east-1",
            aws_access_key_id="owner",
            aws_secret_access_key="secret",
        )
        self.s3.create_bucket(Bucket="alpha-bucket", ObjectLockEnabledForBucket=True)

    def put(self, key: str = PACK, body: bytes = b"x") -> ObjectVersion:
        put = self.s3.put_object(Bucket="alpha-bucket", Key=key, Body=body)
        written = (self.clock.second() - NOON).total_seconds()
        self.clock.advance(1)
        return version(key, version_id=put["VersionId"], size=len(body), written=written, etag=put["ETag"].strip('"'))

    def hide(self, key: str = PACK) -> str:
        marker = self.s3.delete_object(Bucket="alpha-bucket", Key=key)
        self.clock.advance(1)
        return str(marker["VersionId"])

    def refuse(self, operation: str) -> None:
        def refuse(**_: Any) -> None:
            raise denied(operation, "AccessDenied")

        self.s3.meta.events.register(f"before-call.s3.{operation}", refuse)


@pytest.fixture
def bucket(deployed: Deployed) -> Iterator[Bucket]:
    with S3Server(FakeS3(FakeClock(NOON))) as server:
        made = Bucket(server)
        deployed.aws.s3_over = cast("Any", lambda _: made.s3)  # type: ignore[method-assign]
        yield made


class TestWhatTheLedgerSays:
    def test_each_version_is_told_with_the_states_that_name_it(self, deployed: Deployed) -> None:
        first, second, third = record_three(deployed)
        told = story(deployed)
        assert (told["key"], told["type"], told["states"], told["unread"]) == (PACK, "pack", 3, 0)
        new, old = told["entries"]
        assert (new["version_id"], new["size"], new["last_modified"]) == ("v+5000", 701, "2026-11-21T13:23:20Z")
        assert (old["version_id"], old["size"], old["states"]) == ("v-100", 700, 1)
        assert [pin["id"] for pin in new["pins"]] == [third.id]
        assert old["first_state"]["id"] == old["last_state"]["id"] == second.id
        assert [(each["version_id"], each["first"]["id"], each["states"]) for each in told["spans"]] == [
            ("v+5000", third.id, 1),
            ("v-100", second.id, 1),
            (None, first.id, 1),
        ]

    def test_states_of_several_bases_are_told_of(self, deployed: Deployed) -> None:
        many = [version(pack(f"pack {number}"), written=-100) for number in range(40)]
        deployed.record("alpha", [version("config"), version(PACK, written=-100)])
        # Nothing is as before: a base of its own.
        deployed.record("alpha", many, cut=3600)
        deployed.record("alpha", [*many, version(PACK, written=-100)], cut=7200)
        told = story(deployed)
        headers = headers_of(deployed)
        assert len({each.base for each in headers}) > 1
        assert [each["version_id"] for each in told["spans"]] == ["v-100", None, "v-100"]
        assert told["entries"][0]["states"] == 2

    def test_why_a_state_is_kept_and_who_holds_it_is_told(self, deployed: Deployed) -> None:
        shelf = Shelf(deployed)
        (entry,) = story(deployed, "config")["entries"]
        newest, older = entry["pins"]
        assert (newest["id"], "newest" in newest["kept"]) == (shelf.fresh.id, True)
        assert older["id"] == shelf.old.id
        shown = deployed.rwm("why", "alpha", "config").stdout
        assert "kept by 2 of them" in shown
        assert "named by 2 states, from " in shown

    def test_a_dropped_state_pins_nothing(self, deployed: Deployed) -> None:
        _, second, _ = record_three(deployed)
        drop(deployed, second)
        old = story(deployed)["entries"][1]
        assert (old["states"], old["pins"], old["today"]) == (1, [], None)
        assert "no kept state names it" in deployed.rwm("why", "alpha", PACK).stdout

    def test_a_dropped_state_whose_chunks_are_gone_hides_no_other(self, deployed: Deployed) -> None:
        first, *_ = record_three(deployed)
        third = deployed.record("alpha", [version(pack(f"{n}"), written=-1) for n in range(30)], cut=9000)
        assert third.base != first.base
        drop(deployed, first)
        lose_chunks(deployed, first)
        told = story(deployed, pack("7"))
        assert (told["states"], told["unread"]) == (3, 1)
        assert "1 dropped states can be read no more" in deployed.rwm("why", "alpha", pack("7")).stdout

    def test_a_kept_state_that_cannot_be_read_ends_it(self, deployed: Deployed) -> None:
        first, *_ = record_three(deployed)
        lose_chunks(deployed, first)
        result = deployed.rwm("why", "alpha", PACK)
        assert result.exit_code == 4
        assert "is missing; nothing was told" in sentence(result)

    def test_a_chunk_that_was_exchanged_is_not_believed(self, deployed: Deployed) -> None:
        first, second, _ = record_three(deployed)
        ledger = DynamoLedgerReader(deployed.aws.dynamodb, NAMES.ledger)
        other = ledger.chunk(second.chunks.attempt, 0)
        assert other is not None
        deployed.change_item(NAMES.ledger, f"chunk#{first.chunks.attempt}#000000", "chunk", content={"B": other})
        result = deployed.rwm("why", "alpha", PACK)
        assert result.exit_code == 4
        assert "are not those its header names" in sentence(result)


class TestWhichObject:
    @pytest.mark.parametrize("wanted", [PACK, NAME, NAME[:4], NAME[:63]])
    def test_an_object_is_named_by_its_key_or_the_start_of_its_name(self, deployed: Deployed, wanted: str) -> None:
        record_three(deployed)
        assert story(deployed, wanted)["key"] == PACK

    @pytest.mark.parametrize("folder", ["snapshots", "index", "keys"])
    def test_a_snapshot_is_named_by_its_id(self, deployed: Deployed, folder: str) -> None:
        key = named(folder, "s")
        deployed.record("alpha", [version("config"), version(key)])
        assert story(deployed, key.rpartition("/")[2][:8])["key"] == key

    def test_a_key_may_have_the_repositorys_prefix(self, deployed: Deployed) -> None:
        deployed.record("beta", [version(PACK)])
        told = document(deployed.rwm("why", "beta", f"restic/beta/{PACK}", "--json"))
        assert told["key"] == PACK

    def test_a_start_of_several_names_is_refused_and_they_are_named(self, deployed: Deployed) -> None:
        keys = sorted(f"{folder}/abcd{number}{'0' * 59}" for folder, number in (("index", 1), ("snapshots", 2)))
        deployed.record("alpha", [version(key) for key in keys])
        result = deployed.rwm("why", "alpha", "abcd")
        assert result.exit_code == 2
        assert f"abcd is the start of 2 names ({', '.join(keys)})" in sentence(result)
        assert story(deployed, "abcd1")["key"] == keys[0]

    def test_an_exact_key_of_hex_digits_is_that_key(self, deployed: Deployed) -> None:
        deployed.record("alpha", [version("abcd"), version("abcde")])
        assert story(deployed, "abcd")["key"] == "abcd"

    @pytest.mark.parametrize("wanted", ["ffff", "data/00/nothing", "abc"])
    def test_what_nothing_names_is_refused(self, deployed: Deployed, wanted: str) -> None:
        record_three(deployed)
        result = deployed.rwm("why", "alpha", wanted)
        assert result.exit_code == 2
        assert "no state, no finding and no prune plan" in sentence(result) or "no recorded state" in sentence(result)

    def test_a_key_cannot_speak_to_the_terminal(self, deployed: Deployed) -> None:
        deployed.record("alpha", [version("evil\x1b[31m[red]")])
        shown = deployed.rwm("why", "alpha", "evil\x1b[31m[red]").stdout
        assert "\x1b" not in shown
        assert r"evil\x1b[31m[red]" in shown


class TestWhatS3Says:
    def test_what_was_not_visible_is_said_and_nothing_is_guessed(self, deployed: Deployed, bucket: Bucket) -> None:
        record_three(deployed)
        bucket.refuse("ListObjectVersions")
        told = story(deployed)
        assert told["s3_seen"] is False
        assert told["s3_unseen"] == "the default profile may not s3:ListBucketVersions on alpha-bucket"
        for entry in told["entries"]:
            assert (entry["listed"], entry["current"], entry["locks"]) == (None, None, None)
            # Named by a kept state: whatever S3 lists, it stays.
            assert entry["today"] == {"goes": False, "why": "named", "until": None}
        assert "were not visible" in deployed.rwm("why", "alpha", PACK).stdout

    def test_what_s3_lists_is_told_with_its_markers_and_its_locks(self, deployed: Deployed, bucket: Bucket) -> None:
        put = bucket.put()
        until = NOON + timedelta(days=3)
        bucket.s3.put_object_retention(
            Bucket="alpha-bucket",
            Key=PACK,
            VersionId=put.version_id,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
        )
        bucket.s3.put_object_legal_hold(
            Bucket="alpha-bucket", Key=PACK, VersionId=put.version_id, LegalHold={"Status": "ON"}
        )
        deployed.record("alpha", [put], cut=60)
        marker = bucket.hide()
        told = story(deployed)
        assert (told["s3_seen"], told["s3_entries"]) == (True, 2)
        above, beneath = told["entries"]
        assert (above["version_id"], above["marker"], above["current"]) == (marker, True, False)
        assert (beneath["version_id"], beneath["listed"], beneath["current"]) == (put.version_id, True, False)
        assert beneath["locks"]["mode"] == "GOVERNANCE"
        assert beneath["locks"]["legal_hold"] is True
        shown = deployed.rwm("why", "alpha", PACK).stdout
        assert "locks: GOVERNANCE until" in shown
        assert "and under a legal hold" in shown

    def test_locks_that_were_not_visible_are_said_to_be_so(self, deployed: Deployed, bucket: Bucket) -> None:
        bucket.put()
        bucket.refuse("GetObjectRetention")
        assert story(deployed)["entries"][0]["locks"] is None
        assert "locks: not visible" in deployed.rwm("why", "alpha", PACK).stdout

    def test_a_named_version_that_s3_lists_no_more_is_told(self, deployed: Deployed, bucket: Bucket) -> None:
        record_three(deployed)
        bucket.put()
        told = {each["version_id"]: each["listed"] for each in story(deployed)["entries"]}
        assert (told["v+5000"], told["v-100"]) == (False, False)
        assert "not listed any more" in deployed.rwm("why", "alpha", PACK).stdout

    def test_an_object_that_no_state_knows_is_told_of_by_s3(self, deployed: Deployed, bucket: Bucket) -> None:
        deployed.record("alpha", [version("config")])
        bucket.put("locks/left")
        (entry,) = story(deployed, "locks/left")["entries"]
        assert (entry["states"], entry["current"], entry["today"]["why"]) == (0, True, "current")


class TestWhatAPruneWouldDo:
    def test_it_goes_by_the_rules_of_a_prune(self, deployed: Deployed, bucket: Bucket) -> None:
        old = bucket.put(body=b"1")
        named_one = bucket.put(body=b"2")
        marker = bucket.hide()
        deployed.record("alpha", [version("config"), named_one], cut=60)
        # All young, by S3's clock; what a kept state names stays for that reason.
        decided = {
            each.version_id: each.today and each.today.why
            for each in why_at(deployed, NOON + timedelta(days=1)).entries
        }
        assert decided == {marker: "covers", named_one.version_id: "named", old.version_id: "young"}

    def test_a_current_version_is_left_as_one(self, deployed: Deployed, bucket: Bucket) -> None:
        put = bucket.put()
        deployed.record("alpha", [version("config")])
        (entry,) = story(deployed)["entries"]
        assert (entry["version_id"], entry["today"]) == (
            put.version_id,
            {"goes": False, "why": "current", "until": None},
        )

    def test_what_may_go_is_told_with_its_reason(self, deployed: Deployed, bucket: Bucket) -> None:
        put = bucket.put()
        bucket.hide()
        deployed.record("alpha", [version("config")])
        later = NOON + timedelta(days=40)
        (today,) = [each.today for each in why_at(deployed, later).entries if each.version_id == put.version_id]
        assert today is not None
        assert (today.goes, today.why) == (True, "hidden")

    def test_a_state_that_the_next_prune_drops_keeps_nothing(self, deployed: Deployed, bucket: Bucket) -> None:
        put = bucket.put()
        bucket.hide()
        deployed.record("alpha", [version("config"), put], cut=60)
        deployed.deploy(ALPHA.model_copy(update={"retention": Retention(days=1, weeks=0, months=0, years=0)}))
        # Years after it there are good ones enough, and nothing keeps it.
        for year in range(2, 8):
            good = deployed.record("alpha", [version("config")], cut=year * 366 * 86_400.0)
            deployed.judge(good, seconds=year * 366 * 86_400.0 + 60)
        later = NOON + timedelta(days=366 * 9)
        entry = next(each for each in why_at(deployed, later).entries if not each.marker)
        assert [pin.kept for pin in entry.pins] == [()]
        assert entry.today is not None
        assert entry.today.goes is True


class TestFindings:
    def test_a_finding_whose_evidence_names_the_key_is_told_once(self, deployed: Deployed) -> None:
        _, _, third = record_three(deployed)
        about = finding(evidence(PACK, "v+5000"), what="overwritten")
        other = finding(evidence(pack("b"), "v"), finding_id="pack-missing")
        deployed.judge(third, about, other, NOTE, seconds=8000)
        newest = deployed.judge(third, about, seconds=9000)
        (told,) = story(deployed)["findings"]
        assert (told["id"], told["severity"], told["what"]) == ("pack-overwritten", "FAIL", "overwritten")
        assert (told["verdict"], told["version_ids"], told["acknowledged"]) == (newest.digest, ["v+5000"], False)
        shown = deployed.rwm("why", "alpha", PACK).stdout
        assert "FAIL pack-overwritten, since" in shown
        assert "what to do: what to do" in shown

    def test_one_that_was_laid_to_rest_is_said_to_be(self, deployed: Deployed) -> None:
        _, _, third = record_three(deployed)
        about = finding(evidence(PACK, "v+5000"))
        deployed.acknowledge(deployed.judge(third, about, seconds=8000), about)
        assert story(deployed)["findings"][0]["acknowledged"] is True

    def test_evidence_that_was_changed_by_hand_is_not_told(self, deployed: Deployed) -> None:
        _, _, third = record_three(deployed)
        said = deployed.judge(third, finding(evidence(PACK, "v+5000")), seconds=8000)
        deployed.change_item(NAMES.operations, f"evidence#{said.digest}", "0000")
        assert deployed.rwm("why", "alpha", PACK).exit_code == 1


class TestPlans:
    def test_a_plan_that_deletes_of_it_is_told_with_what_became_of_it(self, deployed: Deployed) -> None:
        shelf = Shelf(deployed)
        waiting = shelf.draw()
        told = story(deployed, KEY)["plans"]
        assert [(each["plan"], each["status"], each["became"]) for each in told] == [
            (waiting.plan, told[0]["status"], "not-applied")
        ] * len(told)
        assert {(each["version_id"], each["reason"]) for each in told} >= {("v20", "hidden"), ("v30", "replaced")}
        shown = deployed.rwm("why", "alpha", KEY).stdout
        assert "hidden for longer than the grace" in shown
        assert "nothing was deleted" in shown

    @pytest.mark.parametrize(("gone", "became"), [(1.0, "gone"), (0.5, "some-gone"), (0.0, "stays")])
    def test_what_became_of_its_batch_is_told_as_it_was_written_down(
        self, deployed: Deployed, gone: float, became: str
    ) -> None:
        shelf = Shelf(deployed)
        shelved = shelf.draw()
        plan = shelf.stored(shelved)
        for batch in plan.batches:
            went = int(batch.objects * gone)
            left = batch.objects - went
            result = BatchResult(
                repository=plan.repository,
                execution=plan.execution,
                plan=plan.digest,
                number=batch.number,
                phase=batch.phase,
                batch=batch.digest,
                done_at=shelf.now,
                gone=Tally(objects=went, bytes=0),
                stays=(Stays(by="rules", why="young", entries=left, bytes=0),) if left else (),
            )
            shelf.records.put(result_file(plan.repository, plan.execution, batch.number), result.canonical())
        shelf.report(shelved)
        told = {each["became"] for each in story(deployed, KEY)["plans"] if not each["marker"]}
        assert told == {became}

    def test_of_an_applied_plan_without_a_result_nobody_knows(self, deployed: Deployed) -> None:
        shelf = Shelf(deployed)
        shelf.report(shelf.draw())
        assert {each["became"] for each in story(deployed, KEY)["plans"]} == {"unknown"}

    def test_a_plan_whose_batch_was_changed_is_counted_and_not_told(self, deployed: Deployed) -> None:
        shelf = Shelf(deployed)
        shelved = shelf.draw()
        for number in range(len(shelf.stored(shelved).batches)):
            deployed.aws.s3.put_object(
                Bucket=RECORDS, Key=batch_file(shelf.fresh.repository, shelved.execution, number), Body=b"{}\n"
            )
        told = story(deployed, KEY)
        assert (told["plans"], told["plans_unread"]) == ([], 1)
        assert "1 prune plans could not be read" in deployed.rwm("why", "alpha", KEY).stdout

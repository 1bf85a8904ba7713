"""An approver lays to rest exactly what a verdict told of: then it blocks no longer, and the same attack again does."""

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.check import acknowledge as step
from functions.check.acknowledge import (
    AcknowledgeFunction,
    AcknowledgePorts,
    AcknowledgeRefused,
    Asked,
    acknowledge,
)
from functions.domain.documents import UnreadableDocument
from functions.domain.repositories import Configuration, Repository
from functions.domain.values import Evidence, Finding
from functions.domain.verdict import CheckLevel, Judged
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog
from tests.builders import at, pack
from tests.domain.judging import ALPHA, FAIL, HOLD, evidence, finding, header, judge
from tests.fakes.faults import Call, Crash, Moment
from tests.fakes.operations import FakeAcknowledgements, FakeVerdicts
from tests.tables import create_table

APPROVER = "arn:aws:sts::123456789012:assumed-role/rwm-approver/somebody"
ATTACK = finding(
    evidence(pack("a"), "1", "2"),
    evidence(pack("b"), "3", standing=True),
    evidence(pack("c"), "4"),
    evidence("flooded"),
)
OVER = finding(evidence(pack("a"), "1", "2"), evidence(pack("c"), "4"))
CONFIGURATION = Configuration(repositories=(Repository(name="alpha", bucket="alpha-bucket"),))


class World:
    """The operations table, and checks that are concluded with what was acknowledged."""

    def __init__(self) -> None:
        self.verdicts = FakeVerdicts()
        self.said = FakeAcknowledgements()
        self.state = header()
        self._seconds = 60

    def check(self, *found: Finding, level: CheckLevel = CheckLevel.CONSISTENT) -> Judged:
        self._seconds += 60
        said = self.said.acknowledgements(ALPHA)
        judged = judge(self.state, *found, level=level, acknowledged=said, seconds=self._seconds)
        self.verdicts.append(judged)
        return judged

    def acknowledge(self, judged: Judged, finding_id: str = "pack-overwritten", by: str = APPROVER) -> Any:
        asked = Asked(repository="alpha", finding=finding_id, verdict=judged.verdict.digest, by=by)
        return acknowledge(ALPHA, asked, AcknowledgePorts(self.verdicts, self.said), at(9999))


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_over_blocks_no_longer_once_it_is_acknowledged(world: World) -> None:
    judged = world.check(OVER)
    assert judged.verdict.outcome == "fail"
    done = world.acknowledge(judged)
    assert (done.finding, done.verdict) == ("pack-overwritten", judged.verdict.digest)
    assert (done.keys, done.versions, done.left) == (2, 3, 0)
    after = world.check(OVER)
    assert (after.verdict.outcome, after.verdict.acknowledged) == ("pass", 1)


def test_it_holds_at_every_level_that_finds_the_same(world: World) -> None:
    world.acknowledge(world.check(OVER))
    assert world.check(OVER, level=CheckLevel.CONTENT).verdict.outcome == "pass"


def test_the_same_attack_again_blocks_again(world: World) -> None:
    world.acknowledge(world.check(OVER))
    again = world.check(finding(*OVER.evidence, evidence(pack("a"), "1", "2", "9")))
    assert again.verdict.outcome == "fail"
    assert [each.version_ids for each in again.findings[0].evidence] == [("1", "2", "9")]


def test_what_is_wrong_now_stays_when_the_rest_is_acknowledged(world: World) -> None:
    done = world.acknowledge(world.check(ATTACK))
    assert (done.keys, done.versions, done.left) == (2, 3, 2)
    after = world.check(ATTACK)
    assert after.verdict.outcome == "fail"
    assert {each.key for each in after.findings[0].evidence} == {pack("b"), "flooded"}


def test_nothing_but_the_one_finding_is_laid_to_rest(world: World) -> None:
    other = finding(evidence(pack("a"), "1", "2"), finding_id="malformed-name")
    world.acknowledge(world.check(OVER, other))
    assert [each.id for each in world.check(OVER, other).findings] == ["malformed-name"]


def test_what_came_after_the_verdict_is_not_covered(world: World) -> None:
    shown = world.check(OVER)
    world.check(finding(*OVER.evidence, evidence(pack("d"), "5")))
    world.acknowledge(shown)
    after = world.check(finding(*OVER.evidence, evidence(pack("d"), "5")))
    assert [each.key for each in after.findings[0].evidence] == [pack("d")]


def test_acknowledging_twice_changes_nothing(world: World) -> None:
    judged = world.check(OVER)
    first = world.acknowledge(judged)
    before = dict(world.said.said)
    assert world.acknowledge(judged, by="arn:somebody-else") == first
    assert world.said.said == before


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (finding(evidence(pack("a"), "1", standing=True)), "is wrong now, and has to be mended"),
        (finding(evidence("flooded")), "is wrong now, and has to be mended"),
        (finding(), "is about now and names no versions: it ends when its cause does"),
    ],
    ids=["standing", "no version ids", "no evidence"],
)
def test_what_cannot_be_laid_to_rest_is_refused_and_nothing_is_written(world: World, found: Finding, why: str) -> None:
    judged = world.check(found)
    with pytest.raises(AcknowledgeRefused, match=f"{why}.*nothing was acknowledged"):
        world.acknowledge(judged)
    assert world.said.said == {}


def test_a_finding_that_the_verdict_does_not_have_is_refused_and_those_it_has_are_named(world: World) -> None:
    with pytest.raises(AcknowledgeRefused, match=r"has no finding alien-key; nothing was .*; it has: pack-over"):
        world.acknowledge(world.check(OVER), "alien-key")


def test_a_verdict_that_is_not_there_is_refused(world: World) -> None:
    world.check(OVER)
    with pytest.raises(AcknowledgeRefused, match=r"no verdict on alpha is [0-9a-f]{12}; nothing was acknowledged"):
        world.acknowledge(judge(header(), HOLD, seconds=5))


def test_a_verdict_on_a_restored_copy_lays_nothing_of_the_repository_to_rest(world: World) -> None:
    copy = judge(world.state, OVER, target="rwm-restore-1/")
    world.verdicts.append(copy)
    with pytest.raises(AcknowledgeRefused, match="no verdict on alpha"):
        world.acknowledge(copy)


def test_evidence_that_somebody_edited_is_laid_to_rest_by_nobody(world: World) -> None:
    judged = world.check(OVER)
    other = judge(world.state, finding(evidence(pack("z"), "9")), seconds=7)
    world.verdicts.append(other)
    world.verdicts.evidence[judged.verdict.digest, 0] = world.verdicts.evidence[other.verdict.digest, 0]
    with pytest.raises(UnreadableDocument):
        world.acknowledge(judged)
    assert world.said.said == {}


def test_killed_in_between_it_is_finished_by_saying_so_again(world: World) -> None:
    many = finding(*(evidence(f"{number:04} {pack(str(number))}", "v" * 1000) for number in range(900)))
    judged = world.check(many)

    def kill(call: Call) -> None:
        if call.operation == "PutAcknowledgement" and call.moment is Moment.AFTER:
            raise Crash

    world.said.hook = kill
    with pytest.raises(Crash):
        world.acknowledge(judged)
    world.said.hook = lambda _: None
    half = world.check(many)
    assert half.verdict.outcome == "fail"
    assert 0 < half.verdict.findings[0].keys < 900
    assert world.acknowledge(judged).keys == 900
    assert world.check(many).verdict.outcome == "pass"


# --- the function ------------------------------------------------------------------------------------------


def request(judged: Judged, **changes: Any) -> dict[str, Any]:
    asked = {"repository": "alpha", "finding": "pack-overwritten", "verdict": judged.verdict.digest, "by": APPROVER}
    return {**asked, **changes}


def on_request(world: World, event: object) -> dict[str, Any]:
    ports = AcknowledgePorts(world.verdicts, world.said)
    return AcknowledgeFunction(CONFIGURATION, ports, lambda: at(9999)).on_request(event)


def test_the_function_answers_with_counts_and_names_no_key(world: World, caplog: pytest.LogCaptureFixture) -> None:
    judged = world.check(ATTACK)
    assert on_request(world, request(judged)) == {
        "outcome": "acknowledged",
        "repository": "alpha",
        "finding": "pack-overwritten",
        "verdict": judged.verdict.digest,
        "keys": 2,
        "versions": 3,
        "left": 2,
    }
    (said,) = {each.by for each in world.said.said.values()}
    assert said == APPROVER
    logged = str([vars(record) for record in caplog.records])
    assert APPROVER in logged
    assert pack("a") not in logged


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdict": "5" * 12}, "verdict: String should match pattern"),
        ({"finding": "no/such finding"}, "finding: String should match pattern"),
        ({"by": "two\nlines"}, "by: String should match pattern"),
        ({"by": ""}, "by: String should have at least 1 character"),
        ({"keys": ["config"]}, "keys: Extra inputs are not permitted"),
        ({"repository": "omega"}, "no repository 'omega' is deployed"),
        ({"finding": "alien-key"}, "has no finding alien-key"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_a_refusal_is_an_answer_and_nothing_is_written(world: World, changes: dict[str, Any], why: str) -> None:
    answer = on_request(world, request(world.check(OVER), **changes))
    assert answer["outcome"] == "refused"
    assert why in answer["message"]
    assert "nothing was acknowledged" in answer["message"]
    assert world.said.said == {}


@pytest.mark.parametrize("event", [None, [], "alpha", {}, {"repository": "alpha"}])
def test_what_is_no_request_is_refused(world: World, event: object) -> None:
    assert on_request(world, event)["outcome"] == "refused"


class Context:
    function_name = "rwm-acknowledge"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:rwm-acknowledge"
    aws_request_id = "request"


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in (
        ("RWM_LEDGER", "ledger"), ("RWM_OPERATIONS", "operations"), ("RWM_RECORDS", "records"), ("RWM_ALERTS", "arn"),
        ("AWS_DEFAULT_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(step, "read_bundled", lambda: CONFIGURATION)
    step._function.cache_clear()
    with mock_aws():
        client = boto3.client("dynamodb")
        create_table(client, "operations")
        yield client
    step._function.cache_clear()


def test_the_handler_is_wired_to_the_operations_table(operations: Any) -> None:
    judged = judge(header(), ATTACK, FAIL)
    DynamoVerdictLog(operations, "operations").append(judged)
    answer = step.handler(request(judged), Context())  # type: ignore[arg-type]
    assert (answer["outcome"], answer["keys"]) == ("acknowledged", 2)
    said = DynamoAcknowledgements(operations, "operations").acknowledgements(ALPHA)
    assert keys_of(judge(header(), ATTACK, FAIL, acknowledged=said).findings[-1].evidence) == {pack("b"), "flooded"}


def keys_of(found: Sequence[Evidence]) -> set[str]:
    return {each.key for each in found}

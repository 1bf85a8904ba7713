"""`rwm acknowledge`: exactly what was shown is laid to rest, by an approver, and a check afterwards passes."""

from typing import Any

import pytest

from functions.check.acknowledge import AcknowledgeFunction, AcknowledgePorts
from functions.domain.repositories import Configuration
from functions.domain.state import StateHeader
from functions.domain.verdict import CheckLevel, Verdict
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictReader
from tests.builders import at, pack, version
from tests.cli.conftest import ALPHA
from tests.cli.deployed import ACCOUNT, NAMES, Deployed, denied, document, sentence
from tests.domain.judging import FAIL, evidence, finding, judge

ATTACK = finding(
    evidence(pack("a"), "1", "2", since=-60), evidence(pack("b"), "3", standing=True), evidence(pack("c"), "4")
)
OVER = finding(evidence(pack("a"), "1", "2"), evidence(pack("c"), "4"))


@pytest.fixture
def state(deployed: Deployed) -> StateHeader:
    return deployed.record("alpha", [version("config")])


@pytest.fixture(autouse=True)
def function(deployed: Deployed) -> None:
    """The deployed function, over the same table."""
    table = (deployed.aws.dynamodb, NAMES.operations)
    ports = AcknowledgePorts(DynamoVerdictReader(*table), DynamoAcknowledgements(*table))
    wired = AcknowledgeFunction(Configuration(repositories=(ALPHA,)), ports, lambda: at(9999))
    deployed.lambda_.answer = wired.on_request


def acknowledge(deployed: Deployed, *more: str, typed: str | None = None) -> Any:
    return deployed.rwm("acknowledge", "alpha", "pack-overwritten", *more, typed=typed)


def checked_again(deployed: Deployed, state: StateHeader, *found: Any) -> Verdict:
    return deployed.judge(state, *(found or (OVER,)), seconds=99_999)


def test_the_function_is_asked_for_exactly_the_verdict_that_was_shown(deployed: Deployed, state: StateHeader) -> None:
    judged = deployed.judge(state, OVER)
    result = acknowledge(deployed, "--yes", "--json")
    assert result.exit_code == 0
    (asked,) = deployed.lambda_.asked
    assert asked["FunctionName"] == "rwm-acknowledge"
    caller = deployed.aws.sts.get_caller_identity()["Arn"]
    assert asked["Payload"] == {
        "repository": "alpha",
        "finding": "pack-overwritten",
        "verdict": judged.digest,
        "by": caller,
    }
    assert ACCOUNT in caller
    found = document(result)
    assert (found["outcome"], found["verdict"], found["keys"], found["versions"]) == (
        "acknowledged",
        judged.digest,
        2,
        3,
    )
    assert found["evidence"][0] == {"key": pack("a"), "version_ids": ["1", "2"], "since": "2026-11-21T12:00:00Z"}


def test_a_check_afterwards_passes_and_the_same_attack_again_does_not(deployed: Deployed, state: StateHeader) -> None:
    assert deployed.judge(state, OVER).outcome == "fail"
    assert acknowledge(deployed, "--yes").exit_code == 0
    assert checked_again(deployed, state).outcome == "pass"
    again = finding(*OVER.evidence, evidence(pack("a"), "1", "2", "9"))
    assert checked_again(deployed, state, again).outcome == "fail"


def test_the_state_becomes_the_last_good_one(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, OVER)
    assert deployed.rwm("state", "alpha", "last-good").exit_code == 2
    acknowledge(deployed, "--yes")
    checked_again(deployed, state)
    assert document(deployed.rwm("state", "alpha", "last-good", "--json"))["id"] == state.id


def test_what_would_be_laid_to_rest_is_shown_before_anybody_is_asked(deployed: Deployed, state: StateHeader) -> None:
    judged = deployed.judge(state, ATTACK)
    result = acknowledge(deployed, typed="n\n")
    assert result.exit_code == 2
    shown = result.stderr
    assert "FAIL pack-overwritten of alpha: what\n" in shown
    assert f"as verdict {judged.digest[:12]} (consistent, 2026-11-21T12:10:00Z) on state {state.id[:12]}" in shown
    assert f"  {pack('a')}  2 version ids, since 2026-11-21T11:59:00Z\n  {pack('c')}  1 version ids" in shown
    assert pack("b") not in shown
    assert "1 keys are wrong now; they have to be mended, and are not laid to rest" in shown
    assert "Lay 3 versions of 2 keys to rest?" in shown
    assert "nothing was acknowledged, as you wish" in sentence(result)
    assert deployed.lambda_.asked == []


def test_whoever_says_yes_is_told_what_it_means(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, ATTACK)
    result = acknowledge(deployed, typed="y\n")
    assert result.exit_code == 0
    assert "acknowledged pack-overwritten: 3 versions of 2 keys. `rwm check alpha` judges anew" in result.stdout
    assert "CloudTrail has the proof of who you are" in result.stdout
    assert "1 keys are wrong now and stay in the finding until they are mended" in result.stdout


def test_nobody_to_ask_is_a_refusal(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, OVER)
    assert "there is nobody to ask; nothing was acknowledged; pass --yes" in sentence(acknowledge(deployed, typed=""))
    program = acknowledge(deployed, "--json")
    assert program.exit_code == 2
    assert document(program)["error"]["message"] == "--json cannot ask; nothing was acknowledged; pass --yes"
    assert deployed.lambda_.asked == []


def test_twenty_keys_are_shown_and_all_when_they_are_wanted(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, finding(*(evidence(pack(str(number)), "1") for number in range(25))))
    shown = acknowledge(deployed, typed="n\n").stderr
    assert (shown.count("  data/"), "and 5 more keys: --all" in shown) == (20, True)
    assert acknowledge(deployed, "--all", typed="n\n").stderr.count("  data/") == 25


def test_a_key_cannot_speak_to_the_terminal(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, finding(evidence("\x1b[2Jall is well\n[bold]", "1")))
    shown = acknowledge(deployed, typed="n\n").stderr
    assert r"  \x1b[2Jall is well\n[bold]  1 version ids" in shown
    assert "\x1b" not in shown


def test_saying_so_again_changes_nothing(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, OVER)
    acknowledge(deployed, "--yes")
    before = deployed.aws.dynamodb.scan(TableName=NAMES.operations)["Count"]
    result = acknowledge(deployed, "--yes")
    assert result.exit_code == 0
    assert "all of it was acknowledged before; nothing was changed" in result.stdout
    assert len(deployed.lambda_.asked) == 1
    assert deployed.aws.dynamodb.scan(TableName=NAMES.operations)["Count"] == before
    assert document(acknowledge(deployed, "--json"))["outcome"] == "already"


def test_an_operator_is_told_that_only_an_approver_may(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, OVER)
    deployed.lambda_.answer = denied("Invoke")
    result = acknowledge(deployed, "--yes")
    assert result.exit_code == 2
    assert (
        "the default profile may not lambda:InvokeFunction; nothing was acknowledged. Only an approver may: set "
        "AWS_PROFILE to a profile that assumes rwm-approver with MFA"
    ) in sentence(result)


class TestWhichVerdict:
    def test_the_newest_that_has_the_finding_with_something_that_is_over(
        self, deployed: Deployed, state: StateHeader
    ) -> None:
        newer = deployed.record("alpha", [version("config")], cut=60)
        deployed.judge(state, finding(evidence(pack("x"), "7")))
        chosen = deployed.judge(newer, OVER, seconds=700)
        deployed.judge(newer, finding(evidence(pack("z"), "9", standing=True)), seconds=800)
        deployed.judge(newer, FAIL, level=CheckLevel.CONTENT, seconds=900)
        assert document(acknowledge(deployed, "--yes", "--json"))["verdict"] == chosen.digest

    def test_another_one_can_be_named(self, deployed: Deployed, state: StateHeader) -> None:
        older = deployed.judge(state, finding(evidence(pack("x"), "7")))
        deployed.judge(state, OVER, seconds=700)
        found = document(acknowledge(deployed, "--verdict", older.digest[:8], "--yes", "--json"))
        assert (found["verdict"], found["keys"]) == (older.digest, 1)

    @pytest.mark.parametrize(
        ("prefix", "said"),
        [
            ("abc", "'abc' is too short for a verdict's digest; nothing was acknowledged"),
            ("zzzz", "alpha has no verdict zzzz; nothing was acknowledged"),
        ],
    )
    def test_a_verdict_that_is_not_there_is_refused(
        self, deployed: Deployed, state: StateHeader, prefix: str, said: str
    ) -> None:
        deployed.judge(state, OVER)
        result = acknowledge(deployed, "--verdict", prefix)
        assert result.exit_code == 2
        assert said in sentence(result)

    def test_a_start_of_two_verdicts_is_refused(self, deployed: Deployed, state: StateHeader) -> None:
        seen: dict[str, Verdict] = {}
        for seconds in range(100_000):
            verdict = judge(state, OVER, seconds=seconds, by="schedule").verdict
            if (twin := seen.setdefault(verdict.digest[:4], verdict)) is not verdict:
                break
        for each in (twin, verdict):
            deployed.judge(state, OVER, seconds=(each.judged_at - at(0)).total_seconds())
        result = acknowledge(deployed, "--verdict", verdict.digest[:4])
        assert result.exit_code == 2
        assert f"{verdict.digest[:4]} is the start of 2 verdicts" in sentence(result)

    def test_a_verdict_without_the_finding_is_refused(self, deployed: Deployed, state: StateHeader) -> None:
        judged = deployed.judge(state, FAIL)
        result = acknowledge(deployed, "--verdict", judged.digest)
        assert result.exit_code == 2
        assert "has no finding pack-overwritten; nothing was acknowledged; it has: config-missing" in sentence(result)


@pytest.mark.parametrize("named", [False, True], ids=["newest", "named"])
@pytest.mark.parametrize(
    ("found", "why"),
    [
        (finding(evidence(pack("a"), "1", standing=True)), "all that it names is wrong now, and has to be mended"),
        (finding(evidence(pack("a"))), "all that it names is wrong now, and has to be mended"),
        (finding(), "it is about now and names no versions: it ends when its cause does"),
    ],
    ids=["standing", "no version ids", "no evidence"],
)
def test_what_cannot_be_laid_to_rest_is_refused_with_what_to_do_instead(
    deployed: Deployed, state: StateHeader, found: Any, why: str, named: bool
) -> None:
    judged = deployed.judge(state, found)
    result = acknowledge(deployed, "--yes", *(["--verdict", judged.digest] if named else []))
    assert result.exit_code == 2
    assert f"pack-overwritten cannot be acknowledged: {why}; nothing was acknowledged; what to do: " in sentence(result)
    assert deployed.lambda_.asked == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alpha", "pack-overwriten"), "there is no finding 'pack-overwriten'; nothing was acknowledged"),
        (("alpha", "host-hid-objects"), "no verdict on a state of alpha has the finding host-hid-objects"),
        (("alpha", "host-may-s3-putobject"), "What posture finds ends when its cause does"),
        (("gamma", "pack-overwritten"), "has no repository 'gamma'"),
    ],
)
def test_what_is_not_there_is_refused(
    deployed: Deployed, state: StateHeader, arguments: tuple[str, ...], said: str
) -> None:
    deployed.judge(state, OVER)
    result = deployed.rwm("acknowledge", *arguments, "--yes")
    assert result.exit_code == 2
    assert said in sentence(result)
    assert deployed.lambda_.asked == []


def test_a_verdict_on_a_restored_copy_is_not_offered(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, OVER, target="rwm-restore-1/")
    assert "no verdict on a state of alpha has the finding" in sentence(acknowledge(deployed, "--yes"))


def test_a_refusal_of_the_function_is_a_refusal(deployed: Deployed, state: StateHeader) -> None:
    deployed.judge(state, OVER)
    deployed.lambda_.answer = {"outcome": "refused", "message": "no verdict is that; nothing was acknowledged"}
    result = acknowledge(deployed, "--yes", "--json")
    assert result.exit_code == 2
    assert document(result)["error"]["message"] == "no verdict is that; nothing was acknowledged"


def test_another_amount_than_was_shown_is_a_failure(deployed: Deployed, state: StateHeader) -> None:
    judged = deployed.judge(state, OVER)
    deployed.lambda_.answer = {"outcome": "acknowledged", "verdict": judged.digest, "keys": 9, "versions": 9}
    result = acknowledge(deployed, "--yes")
    assert result.exit_code == 1
    assert "9 versions of 9 keys were acknowledged, and 3 of 2 were shown; find out who changed" in sentence(result)


@pytest.mark.parametrize("answer", [b"", b"[]", {"outcome": "unheard of"}])
def test_an_answer_that_cannot_be_read_is_a_failure(deployed: Deployed, state: StateHeader, answer: Any) -> None:
    deployed.judge(state, OVER)
    deployed.lambda_.answer = answer
    result = acknowledge(deployed, "--yes")
    assert result.exit_code == 1
    assert "rwm-acknowledge gave an answer this version of RWM cannot read" in sentence(result)


def test_evidence_that_somebody_edited_is_not_shown_for_approval(deployed: Deployed, state: StateHeader) -> None:
    judged = deployed.judge(state, OVER)
    deployed.change_item(NAMES.operations, f"evidence#{judged.digest}", "0000")
    result = acknowledge(deployed, "--yes")
    assert result.exit_code == 1
    assert "somebody changed the operations table; nothing was decided; nothing was acknowledged" in sentence(result)
    assert deployed.lambda_.asked == []

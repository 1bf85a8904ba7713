"""What a verdict says, what of it is news, and when a state is one to go back to."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.documents import UnreadableDocument
from functions.domain.findings import Acknowledgement, unacknowledged
from functions.domain.values import ObjectKey, Severity, VersionId
from functions.domain.verdict import (
    MOST_EVIDENCE,
    CheckLevel,
    Verdict,
    conclude,
    fingerprint,
    is_good,
    newest_outcomes,
    news,
)
from tests.builders import at, pack
from tests.domain.judging import FAIL, HOLD, NOTE, evidence, finding, header, judge

ATTACK = finding(evidence(pack("a"), "1", "2"), evidence(pack("b"), "3", since=9))


def acknowledged(key: str, *version_ids: str, finding_id: str = "pack-overwritten") -> Acknowledgement:
    return Acknowledgement(finding_id, ObjectKey(key), frozenset(map(VersionId, version_ids)))


ALL_OF_IT = (acknowledged(pack("a"), "1", "2"), acknowledged(pack("b"), "3"))


@pytest.mark.parametrize(
    ("found", "outcome"),
    [((), "pass"), ((NOTE,), "pass"), ((NOTE, HOLD), "hold"), ((NOTE, FAIL, HOLD), "fail")],
)
def test_the_worst_finding_is_the_outcome_and_a_note_is_none(found: tuple, outcome: str) -> None:  # type: ignore[type-arg]
    judged = judge(header(), *found)
    assert judged.verdict.outcome == outcome
    assert [each.severity for each in judged.verdict.findings] == sorted(
        (each.severity for each in found), key=["FAIL", "HOLD", "NOTE"].index
    )


def test_a_verdict_names_its_state_and_reads_back_as_it_was_written() -> None:
    state = header(header())
    verdict = conclude(
        state, CheckLevel.CONTENT, [ATTACK], (), judged_at=at(60), by="execution", figures={"objects": 3}
    ).verdict
    assert (verdict.state, verdict.generation, verdict.cut_time) == (state.id, 2, state.cut_time)
    assert verdict.findings[0].keys == 2
    assert Verdict.parse(verdict.canonical()) == verdict
    with pytest.raises(UnreadableDocument):
        Verdict.parse(verdict.canonical().replace(b'"generation":2', b'"generation": 2'))


def test_findings_of_one_severity_come_by_id_whatever_the_order_in_which_they_were_made() -> None:
    found = [finding(finding_id=name) for name in ("b", "c", "a")]
    orders = {judge(header(), *order).verdict.digest for order in itertools.permutations(found)}
    assert len(orders) == 1


class TestJunk:
    """Whoever may write may write a lot."""

    EVERYTHING = tuple(evidence(f"junk {number:06}", str(number)) for number in range(MOST_EVIDENCE + 3))
    FLOOD = finding(*EVERYTHING, finding_id="alien-key", severity=Severity.HOLD)

    def test_a_verdict_names_the_first_of_many_keys_and_counts_all(self) -> None:
        judged = judge(header(), self.FLOOD)
        (found,), (kept,) = judged.findings, judged.verdict.findings
        assert found.evidence == self.EVERYTHING[:MOST_EVIDENCE]
        assert (kept.keys, kept.more) == (MOST_EVIDENCE + 3, 3)

    def test_one_more_than_it_names_is_news(self) -> None:
        before = judge(header(), self.FLOOD).verdict
        assert news(judge(header(), self.FLOOD).verdict, before) == ()
        more = replace(self.FLOOD, evidence=(*self.EVERYTHING, evidence("junk of today", "1")))
        assert [each.id for each in news(judge(header(), more).verdict, before)] == ["alien-key"]

    def test_what_it_names_is_acknowledged_and_the_rest_comes_to_light(self) -> None:
        first = judge(header(), self.FLOOD).findings[0].evidence
        known = [acknowledged(each.key, *each.version_ids, finding_id="alien-key") for each in first]
        judged = judge(header(), self.FLOOD, acknowledged=known)
        assert judged.findings[0].evidence == self.EVERYTHING[MOST_EVIDENCE:]
        assert (judged.verdict.findings[0].more, judged.verdict.outcome) == (0, "hold")

    def test_a_finding_that_does_not_name_everything_is_not_laid_to_rest_by_what_it_names(self) -> None:
        (named,) = judge(header(), self.FLOOD).findings
        known = [acknowledged(each.key, *each.version_ids, finding_id="alien-key") for each in named.evidence]
        assert [each.more for each in unacknowledged([named], known)] == [3]


class TestAcknowledged:
    def test_an_attack_that_is_over_and_acknowledged_blocks_no_longer(self) -> None:
        judged = judge(header(), ATTACK, acknowledged=ALL_OF_IT)
        assert (judged.verdict.outcome, judged.verdict.acknowledged, judged.findings) == ("pass", 1, ())

    def test_the_same_attack_again_is_found_with_the_new_evidence_alone(self) -> None:
        again = finding(*ATTACK.evidence, evidence(pack("a"), "1", "2", "7", since=5))
        judged = judge(header(), again, acknowledged=ALL_OF_IT)
        assert judged.verdict.outcome == "fail"
        assert [each.version_ids for each in judged.findings[0].evidence] == [("1", "2", "7")]
        assert (judged.verdict.findings[0].since, judged.verdict.findings[0].keys) == (at(5), 1)

    def test_a_part_of_a_keys_versions_lays_nothing_to_rest(self) -> None:
        part = (acknowledged(pack("a"), "1"), acknowledged(pack("b"), "3"))
        assert [each.key for each in judge(header(), ATTACK, acknowledged=part).findings[0].evidence] == [pack("a")]

    def test_parts_add_up(self) -> None:
        parts = (acknowledged(pack("a"), "1"), acknowledged(pack("a"), "2"), acknowledged(pack("b"), "3", "4"))
        assert judge(header(), ATTACK, acknowledged=parts).verdict.outcome == "pass"

    @pytest.mark.parametrize(
        "wrong",
        [
            (acknowledged(pack("a"), "1", "2", finding_id="alien-key"), ALL_OF_IT[1]),
            (acknowledged(pack("c"), "1", "2"), ALL_OF_IT[1]),
        ],
        ids=["another finding", "another key"],
    )
    def test_what_is_said_of_another_finding_or_key_does_not_count(self, wrong: tuple[Acknowledgement, ...]) -> None:
        assert judge(header(), ATTACK, acknowledged=wrong).verdict.outcome == "fail"

    @pytest.mark.parametrize(
        "found",
        [finding(evidence(pack("a"), "1", standing=True)), finding(evidence(pack("a"))), FAIL],
        ids=["standing", "without version ids", "without evidence"],
    )
    def test_what_is_wrong_now_cannot_be_acknowledged(self, found: object) -> None:
        judged = judge(header(), found, acknowledged=[acknowledged(pack("a"), "1")])  # type: ignore[arg-type]
        assert (judged.verdict.outcome, judged.verdict.acknowledged) == ("fail", 0)


class TestNews:
    def test_the_first_fail_and_hold_are_news_and_a_note_is_not(self) -> None:
        verdict = judge(header(), FAIL, HOLD, NOTE).verdict
        assert [each.id for each in news(verdict, None)] == ["config-missing", "growth"]

    def test_the_same_again_is_no_news(self) -> None:
        before = judge(header(), ATTACK).verdict
        reworded = finding(*reversed(ATTACK.evidence), what="3 packs of now 5")
        assert news(judge(header(header()), reworded, seconds=999).verdict, before) == ()

    @pytest.mark.parametrize(
        "changed",
        [
            finding(*ATTACK.evidence, evidence(pack("c"), "4")),
            finding(evidence(pack("a"), "1", "2", "4"), ATTACK.evidence[1]),
            finding(evidence(pack("a"), "1", "2", standing=True), ATTACK.evidence[1]),
            finding(*ATTACK.evidence, severity=Severity.HOLD),
            finding(*ATTACK.evidence, finding_id="alien-key"),
        ],
        ids=["another key", "another version", "standing now", "another severity", "another finding"],
    )
    def test_new_evidence_under_a_known_finding_is_news(self, changed: object) -> None:
        before = judge(header(), ATTACK).verdict
        after = judge(header(), changed).verdict  # type: ignore[arg-type]
        assert len(news(after, before)) == 1

    def test_what_was_over_and_comes_back_is_news(self) -> None:
        assert len(news(judge(header(), HOLD).verdict, judge(header()).verdict)) == 1

    @given(st.permutations([evidence(pack(name), "1", "2") for name in "abc"]))
    def test_a_fingerprint_does_not_depend_on_the_order_of_evidence(self, shuffled: list) -> None:  # type: ignore[type-arg]
        assert fingerprint(finding(*shuffled)) == fingerprint(finding(*sorted(shuffled, key=lambda each: each.key)))


class TestGood:
    def test_a_state_that_nobody_judged_is_not_good(self) -> None:
        assert not is_good(header(), [])

    def test_a_quiet_state_that_passed_is_good_and_a_note_does_not_matter(self) -> None:
        state = header()
        assert is_good(state, [judge(state).verdict])
        assert is_good(state, [judge(state, NOTE).verdict])

    @pytest.mark.parametrize("found", [FAIL, HOLD], ids=["fail", "hold"])
    def test_a_fail_or_a_hold_at_any_level_speaks_against_it(self, found: object) -> None:
        state = header()
        for level in (CheckLevel.CONSISTENT, CheckLevel.CONTENT, CheckLevel.COMPLETE):
            verdicts = [judge(state).verdict, judge(state, found, level=level, seconds=99).verdict]  # type: ignore[arg-type]
            assert not is_good(state, verdicts)

    def test_content_alone_does_not_make_it_good(self) -> None:
        state = header()
        assert not is_good(state, [judge(state, level=CheckLevel.CONTENT).verdict])

    def test_a_busy_state_is_not_good(self) -> None:
        state = header(busy=True)
        assert not is_good(state, [judge(state).verdict])

    def test_the_newest_verdict_of_a_level_counts_in_whatever_order_they_come(self) -> None:
        state = header()
        failed, passed = judge(state, FAIL, seconds=60).verdict, judge(state, seconds=61).verdict
        assert is_good(state, [failed, passed])
        assert is_good(state, [passed, failed])
        worse = judge(state, HOLD, seconds=62).verdict
        assert not is_good(state, [worse, failed, passed])

    def test_of_two_of_the_same_second_the_worse_one_counts(self) -> None:
        state = header()
        verdicts = [judge(state).verdict, judge(state, HOLD).verdict, judge(state, FAIL).verdict]
        for order in itertools.permutations(verdicts):
            assert newest_outcomes(state, order) == {CheckLevel.CONSISTENT: "fail"}

    def test_verdicts_on_other_states_and_on_restored_copies_do_not_count(self) -> None:
        state = header()
        other = judge(header(state)).verdict
        copy = judge(state, target="rwm-restore-1/").verdict
        assert not is_good(state, [other, copy])
        damaged_copy = judge(state, FAIL, target="rwm-restore-1/", seconds=999).verdict
        assert is_good(state, [judge(state).verdict, damaged_copy])

    def test_outcomes_are_told_level_by_level(self) -> None:
        state = header()
        verdicts = [
            judge(state, FAIL, level=CheckLevel.COMPLETE).verdict,
            judge(state, HOLD, level=CheckLevel.CONTENT).verdict,
            judge(state).verdict,
        ]
        assert list(newest_outcomes(state, verdicts).items()) == [
            (CheckLevel.CONSISTENT, "pass"), (CheckLevel.CONTENT, "hold"), (CheckLevel.COMPLETE, "fail"),
        ]  # fmt: skip


def test_a_level_includes_itself_and_those_before_it() -> None:
    assert [level for level in CheckLevel if CheckLevel.CONTENT.includes(level)] == [
        CheckLevel.POSTURE, CheckLevel.CONSISTENT, CheckLevel.CONTENT,
    ]  # fmt: skip

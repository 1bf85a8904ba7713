"""Verdicts and acknowledgements keep the promises of their ports' docstrings, in memory and over DynamoDB alike."""

import pytest

from functions.domain.documents import UnreadableDocument
from functions.domain.findings import Acknowledgement
from functions.domain.state import StateHeader
from functions.domain.values import RepositoryName, VersionId
from functions.domain.verdict import CheckLevel
from tests.builders import at, pack
from tests.contract.ports import Tables
from tests.domain.judging import ALPHA, FAIL, HOLD, NOTE, evidence, finding, header, judge

BETA = RepositoryName("beta")
ATTACK = finding(evidence(pack("a"), "1", "2"), evidence(pack("b"), "3", standing=True))


def chain(length: int) -> list[StateHeader]:
    """States, the oldest first."""
    headers: list[StateHeader] = []
    for generation in range(length):
        headers.append(header(headers[-1] if headers else None, cut=100.0 * generation))
    return headers


def test_there_are_no_verdicts_at_first(tables: Tables) -> None:
    assert list(tables.verdicts.verdicts(ALPHA)) == []
    assert list(tables.verdicts.copy_verdicts(ALPHA)) == []
    assert tables.acknowledgements.acknowledgements(ALPHA) == ()


def test_a_verdict_is_read_back_with_all_its_evidence(tables: Tables) -> None:
    judged = judge(header(), NOTE, FAIL, ATTACK, HOLD)
    tables.verdict_log.append(judged)
    (verdict,) = tables.verdicts.verdicts(ALPHA)
    assert verdict == judged.verdict
    assert tables.verdicts.findings(verdict) == judged.findings


def test_evidence_of_many_keys_takes_many_items_and_comes_back_in_order(tables: Tables) -> None:
    many = finding(*(evidence(f"{number:05} {pack(str(number))}", "v" * 1000) for number in range(400)))
    judged = judge(header(), many, ATTACK)
    tables.verdict_log.append(judged)
    (verdict,) = tables.verdicts.verdicts(ALPHA)
    assert tables.verdicts.findings(verdict) == judged.findings


def test_verdicts_come_by_their_states_newest_first_beyond_nine(tables: Tables) -> None:
    """Whatever was judged last: an old state that is judged again today stays in its place."""
    headers = chain(12)
    for state in (*headers[5:], *headers[:5]):
        tables.verdict_log.append(judge(state, seconds=5000 - state.generation))
    assert [verdict.generation for verdict in tables.verdicts.verdicts(ALPHA)] == list(range(12, 0, -1))


def test_of_one_state_the_newest_verdict_comes_first(tables: Tables) -> None:
    state = header()
    for seconds in (7200.0, 0.0, 3600.0):
        tables.verdict_log.append(judge(state, seconds=seconds))
        tables.verdict_log.append(judge(state, seconds=seconds + 1, level=CheckLevel.CONTENT))
    found = [verdict.judged_at for verdict in tables.verdicts.verdicts(ALPHA)]
    assert found == [at(seconds) for seconds in (7201, 7200, 3601, 3600, 1, 0)]


def test_verdicts_of_one_second_are_all_kept_and_the_same_one_only_once(tables: Tables) -> None:
    state = header()
    for judged in (judge(state), judge(state, FAIL), judge(state, level=CheckLevel.CONTENT), judge(state, FAIL)):
        tables.verdict_log.append(judged)
    assert len(list(tables.verdicts.verdicts(ALPHA))) == 3


def test_verdicts_on_restored_copies_are_told_apart(tables: Tables) -> None:
    state = header()
    own = judge(state)
    copies = [judge(state, ATTACK, target="rwm-restore-1/here", seconds=seconds) for seconds in (10, 20)]
    for judged in (own, *copies):
        tables.verdict_log.append(judged)
    assert list(tables.verdicts.verdicts(ALPHA)) == [own.verdict]
    found = list(tables.verdicts.copy_verdicts(ALPHA))
    assert found == [copies[1].verdict, copies[0].verdict]
    assert tables.verdicts.findings(found[0]) == copies[1].findings


def test_each_repository_has_its_own(tables: Tables) -> None:
    judged = judge(header(), ATTACK)
    tables.verdict_log.append(judged)
    tables.acknowledgement_log.append(judged.verdict, ATTACK.id, ATTACK.evidence, "somebody", at(99))
    assert list(tables.verdicts.verdicts(BETA)) == []
    assert tables.acknowledgements.acknowledgements(BETA) == ()


def test_a_verdict_whose_evidence_is_gone_is_not_read(tables: Tables) -> None:
    judged = judge(header(), ATTACK)
    tables.verdict_log.append(judged)
    tables.lose_evidence(judged.verdict.digest)
    with pytest.raises(UnreadableDocument, match="the evidence of pack-overwritten names 0 keys"):
        tables.verdicts.findings(judged.verdict)


def test_what_is_acknowledged_is_read_back_exactly(tables: Tables) -> None:
    judged = judge(header(), ATTACK)
    tables.acknowledgement_log.append(judged.verdict, ATTACK.id, ATTACK.evidence[:1], "somebody", at(99))
    assert tables.acknowledgements.acknowledgements(ALPHA) == (
        Acknowledgement("pack-overwritten", pack("a"), frozenset({VersionId("1"), VersionId("2")})),
    )


def test_saying_so_again_changes_nothing(tables: Tables) -> None:
    judged = judge(header(), ATTACK)
    for seconds, by in ((99, "somebody"), (100, "somebody else")):
        tables.acknowledgement_log.append(judged.verdict, ATTACK.id, ATTACK.evidence, by, at(seconds))
    assert len(tables.acknowledgements.acknowledgements(ALPHA)) == 2


def test_acknowledgements_of_several_findings_and_of_a_flood_add_up(tables: Tables) -> None:
    flood = evidence("config", *(f"{number:04}" + "v" * 1000 for number in range(700)))
    judged = judge(header(), ATTACK)
    tables.acknowledgement_log.append(judged.verdict, ATTACK.id, ATTACK.evidence[:1], "somebody", at(99))
    tables.acknowledgement_log.append(judged.verdict, "config-changed", [flood], "somebody", at(99))
    said = tables.acknowledgements.acknowledgements(ALPHA)
    assert len(said) > 2
    again = judge(header(), finding(flood, finding_id="config-changed"), finding(ATTACK.evidence[0]), acknowledged=said)
    assert again.verdict.outcome == "pass"
    one_more = evidence("config", *flood.version_ids, "new")
    assert judge(header(), finding(one_more, finding_id="config-changed"), acknowledged=said).verdict.outcome == "fail"


def test_an_acknowledgement_covers_no_other_finding(tables: Tables) -> None:
    judged = judge(header(), ATTACK)
    tables.acknowledgement_log.append(judged.verdict, "alien-key", ATTACK.evidence, "somebody", at(99))
    said = tables.acknowledgements.acknowledgements(ALPHA)
    assert judge(header(), ATTACK, acknowledged=said).verdict.outcome == "fail"

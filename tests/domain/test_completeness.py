"""From a report to findings: nothing that was not read is good, and evidence is the ledger's."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.checking import CheckRefused, state_to_judge
from functions.domain.completeness import (
    CompletenessReport,
    figures_of,
    findings_of,
    keys_named,
    not_judged,
    why_it_failed,
)
from functions.domain.documents import UnreadableDocument
from functions.domain.findings import Acknowledgement
from functions.domain.restore.request import Location
from functions.domain.structure.report import (
    SHOWN,
    ConfigFields,
    KeyFiles,
    Level,
    StructureReport,
    Trouble,
    Troubles,
)
from functions.domain.values import Finding, ObjectKey, ObjectVersion, RepositoryName, Severity, StateId
from functions.domain.verdict import CheckLevel, conclude, outcome_of
from tests.builders import NOON, named, pack, version
from tests.domain.judging import header
from tests.fakes.ledger import FakeLedger

STATE = header()
PACK, INDEX, KEY = pack("one"), named("index", "one"), named("keys", "one")
BLOB = "ab" * 32
TARGET = Location(bucket="rwm-restore-alpha", prefix="copy")


def troubles(*subjects: str, count: int | None = None, why: str = "why") -> Troubles:
    shown = tuple(Trouble(subject=subject, why=why) for subject in subjects)
    return Troubles(count=len(shown) if count is None else count, shown=shown)


def report(*, target: Location | None = None, **found: Any) -> CompletenessReport:
    structure = StructureReport(level=Level.STRUCTURE, **found)
    return CompletenessReport(state=STATE.id, target=target, structure=structure)


def state_of(*keys: str) -> dict[ObjectKey, ObjectVersion]:
    return {ObjectKey(key): version(key, version_id=f"of {key}") for key in keys}


def found(report: CompletenessReport) -> dict[str, Finding]:
    """What is found of a state that has every key named but those in no version of it."""
    findings = findings_of(STATE, report, state_of(*keys_named(report)))
    assert len({each.id for each in findings}) == len(findings)
    return {each.id: each for each in findings}


def severities(report: CompletenessReport) -> dict[str, Severity]:
    return {name: finding.severity for name, finding in found(report).items()}


# --- findings --------------------------------------------------------------------------------------


def test_a_whole_state_has_no_findings() -> None:
    whole = report(snapshots=2, key_files=KeyFiles(opened=KEY, wrong_password=3, not_tried=1))
    assert found(whole) == {}
    assert keys_named(whole) == frozenset()


def test_a_repository_without_snapshots_is_for_the_level_below_to_judge() -> None:
    assert found(report(snapshots=0)) == {}


@pytest.mark.parametrize(
    ("sort", "subject"),
    [
        ("damaged", PACK),
        ("damaged", "config"),
        ("damaged", "keys/"),
        ("missing_packs", PACK),
        ("wrong_size", PACK),
        ("missing_trees", BLOB),
        ("missing_blobs", BLOB),
    ],
)
def test_whatever_snapshots_cannot_be_read_from_fails(sort: str, subject: str) -> None:
    (finding,) = found(report(**dict[str, Any]({sort: troubles(subject, count=7)}))).values()
    assert (finding.id, finding.severity) == ("deep-check-failed", Severity.FAIL)
    assert ": 7" in finding.what


def test_evidence_has_the_version_ids_of_the_ledger_and_stands() -> None:
    lost = report(damaged=troubles(PACK, INDEX), wrong_size=troubles(PACK), missing_blobs=troubles(BLOB, count=5))
    finding = found(lost)["deep-check-failed"]
    assert {each.key: each.version_ids for each in finding.evidence} == {key: (f"of {key}",) for key in (PACK, INDEX)}
    assert all(each.standing for each in finding.evidence)
    assert finding.since == version(PACK).last_modified
    assert finding.what.endswith("damaged objects: 2, packs of a wrong size: 1, blobs of files in no pack: 5")


def test_a_pack_that_the_state_lacks_has_no_version() -> None:
    (finding,) = findings_of(STATE, report(missing_packs=troubles(PACK)), {})
    (evidence,) = finding.evidence
    assert (evidence.key, evidence.version_ids, evidence.since) == (PACK, (), STATE.cut_time)


def test_what_is_said_names_no_key_and_no_blob() -> None:
    everything: dict[str, Any] = {
        name: troubles(PACK, BLOB) for name in ("damaged", "missing_packs", "foreign", "unindexed")
    }
    for finding in found(report(**everything, key_files=KeyFiles(refused=troubles(KEY)))).values():
        for name in (PACK, PACK[-64:], BLOB, KEY):
            assert name not in finding.what + finding.remedy


def test_a_password_that_opens_nothing_is_no_damage() -> None:
    wrong = report(unjudged="the password opens no key file of the state", key_files=KeyFiles(wrong_password=2))
    assert severities(wrong) == {"password-opens-nothing": Severity.HOLD}
    assert "(2 tried)" in found(wrong)["password-opens-nothing"].what


@pytest.mark.parametrize("why", ["it has restic's legacy layout", "it is no restic repository"])
def test_what_is_no_repository_was_not_judged(why: str) -> None:
    unjudged = report(unjudged=why)
    assert severities(unjudged) == {"complete-not-judged": Severity.HOLD}
    assert why in found(unjudged)["complete-not-judged"].what


def test_a_config_that_cannot_be_read_fails_and_the_rest_was_not_judged() -> None:
    damaged, tried = troubles("config"), KeyFiles(wrong_password=1)
    lost = report(unjudged="the config cannot be read", damaged=damaged, key_files=tried)
    assert severities(lost) == {"deep-check-failed": Severity.FAIL, "complete-not-judged": Severity.HOLD}


def test_key_files_that_were_all_refused_say_so_and_leave_all_unjudged() -> None:
    refused = report(unjudged="the password opens no key file", key_files=KeyFiles(refused=troubles(KEY)))
    assert severities(refused) == {"key-file-refused": Severity.FAIL, "complete-not-judged": Severity.HOLD}
    (evidence,) = found(refused)["key-file-refused"].evidence
    assert (evidence.key, evidence.version_ids, evidence.standing) == (KEY, (f"of {KEY}",), True)


# --- what harms nothing by itself ------------------------------------------------------------------


def acknowledged(finding: Finding) -> list[Acknowledgement]:
    return [Acknowledgement(finding.id, each.key, frozenset(each.version_ids)) for each in finding.evidence]


def left(report: CompletenessReport, acknowledgements: list[Acknowledgement]) -> list[str]:
    findings = tuple(found(report).values())
    judged = conclude(STATE, CheckLevel.COMPLETE, findings, acknowledgements, judged_at=NOON, by="me")
    return [finding.id for finding in judged.findings]


def test_foreign_packs_are_held_until_each_is_acknowledged() -> None:
    foreign = report(foreign=troubles(PACK), unindexed=troubles(PACK), orphaned_bytes=100)
    assert severities(foreign) == {"foreign-packs": Severity.HOLD}
    known = acknowledged(found(foreign)["foreign-packs"])
    assert left(foreign, known) == []
    more = report(foreign=troubles(PACK, pack("two")), unindexed=troubles(PACK, pack("two")))
    assert left(more, known) == ["foreign-packs"]


def test_more_foreign_packs_than_are_named_cannot_be_acknowledged() -> None:
    """Who acknowledged the first hundred of a flood would never hear of what comes after them."""
    flood = report(foreign=troubles(PACK, count=2), unindexed=troubles(PACK, count=2))
    assert left(flood, acknowledged(found(flood)["foreign-packs"])) == ["foreign-packs"]


def test_packs_that_an_interrupted_backup_left_are_noted() -> None:
    own = report(unindexed=troubles(PACK, pack("two"), count=2), foreign=troubles(PACK), orphaned_bytes=300)
    assert severities(own) == {"foreign-packs": Severity.HOLD, "orphaned-packs": Severity.NOTE}
    note = found(own)["orphaned-packs"]
    assert ([each.key for each in note.evidence], "1 packs" in note.what) == ([pack("two")], True)


# --- copies ----------------------------------------------------------------------------------------


def test_a_copys_objects_have_no_versions_that_anybody_recorded() -> None:
    damaged = report(target=TARGET, damaged=troubles(PACK))
    assert keys_named(damaged) == frozenset()
    (finding,) = findings_of(STATE, damaged, state_of(PACK))
    assert [(each.key, each.version_ids) for each in finding.evidence] == [(PACK, ())]
    assert "restore it again" in finding.remedy


def test_a_copy_that_differs_fails_with_whatever_differs() -> None:
    differing = CompletenessReport(state=STATE.id, target=TARGET, differences=troubles("any key", PACK, count=9))
    (finding,) = findings_of(STATE, differing, {})
    assert (finding.id, finding.severity) == ("copy-differs", Severity.FAIL)
    assert [each.key for each in finding.evidence] == ["any key", PACK]
    assert "rwm-restore-alpha/copy/ differs from the state by 9 objects" in finding.what
    assert figures_of(differing) == {"different": 9}


# --- nothing that was not read is good -------------------------------------------------------------

SORTS = tuple(name for name, each in StructureReport.model_fields.items() if each.annotation is Troubles)
tallies = st.builds(
    lambda subjects, more: troubles(*subjects, count=len(subjects) + more),
    st.lists(st.sampled_from([PACK, INDEX, KEY, BLOB, "config", "keys/"]), unique=True, max_size=3),
    st.integers(0, 3),
)
structures = st.builds(
    StructureReport,
    level=st.sampled_from(Level),
    unjudged=st.one_of(st.none(), st.just("a reason")),
    key_files=st.builds(
        KeyFiles,
        opened=st.one_of(st.none(), st.just(KEY)),
        wrong_password=st.integers(0, 2),
        not_tried=st.integers(0, 2),
        refused=tallies,
    ),
    config=st.one_of(st.none(), st.just(ConfigFields(version=2, id=BLOB, chunker_polynomial="ff"))),
    snapshots=st.integers(0, 9),
    **dict.fromkeys(SORTS, tallies),
)
reports = st.builds(CompletenessReport, state=st.just(STATE.id), structure=structures)


@given(structures)
def test_what_is_not_complete_never_passes(structure: StructureReport) -> None:
    findings = findings_of(STATE, CompletenessReport(state=STATE.id, structure=structure), {})
    if not structure.complete:
        assert outcome_of(findings) != "pass"
    elif not structure.foreign:
        assert outcome_of(findings) == "pass"


@given(structures)
def test_damage_cannot_be_acknowledged(structure: StructureReport) -> None:
    whole = CompletenessReport(state=STATE.id, structure=structure)
    everything = [each for finding in found(whole).values() for each in acknowledged(finding)]
    assert structure.complete or left(whole, everything) != []


def test_an_error_is_a_hold_by_its_name() -> None:
    finding = not_judged(STATE, why_it_failed("Sandbox.Timedout"))
    assert (finding.id, finding.severity) == ("complete-not-judged", Severity.HOLD)
    assert "check-complete ended with Sandbox.Timedout; it ran out of time" in finding.what


@pytest.mark.parametrize(
    "error", ["States.Timeout", "PasswordUnavailable", "Runtime.OutOfMemory", "Ω\n" * 500, "KeyError"]
)
def test_whatever_an_error_is_called_the_finding_is_one_line(error: str) -> None:
    what = not_judged(STATE, why_it_failed(error)).what
    assert len(what) < 300
    assert "\n" not in what
    assert what.isascii()


# --- the report on its way -------------------------------------------------------------------------


@given(reports)
def test_a_report_arrives_as_it_was_sent(sent: CompletenessReport) -> None:
    arrived = CompletenessReport.of_payload(json.loads(json.dumps(sent.payload)))
    assert arrived == sent
    assert arrived.digest == sent.digest


def test_a_number_that_was_written_differently_on_its_way_is_the_same_number() -> None:
    payload = report(snapshots=3).payload
    payload["structure"]["snapshots"] = 3.0
    assert CompletenessReport.of_payload(payload).structure == report(snapshots=3).structure


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"surprise": 1},
        {"state": 7},
        {"differences": None},
        {"structure": "whole"},
        {"target": {"bucket": "B A D"}},
        {"structure": {"level": "structure", "snapshots": "3"}},
        {"structure": {"level": "structure"}},
    ],
)
def test_a_report_that_is_none_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(UnreadableDocument):
        CompletenessReport.of_payload({**report().payload, **change})


@pytest.mark.parametrize("payload", [None, [], "report", 7, {}])
def test_neither_is_anything_else(payload: object) -> None:
    with pytest.raises(UnreadableDocument):
        CompletenessReport.of_payload(payload)


def sorts_of(structure: StructureReport) -> list[Troubles]:
    own = [getattr(structure, name) for name in StructureReport.model_fields]
    return [each for each in own if isinstance(each, Troubles)] + [structure.key_files.refused]


def test_the_largest_report_fits_with_every_count_and_some_of_each_sort() -> None:
    many = troubles(*(pack(str(number)) for number in range(SHOWN)), count=10**9, why="\x7f☃" * 150)
    sent = report(**dict[str, Any](dict.fromkeys(SORTS, many)), key_files=KeyFiles(refused=many)).bounded()
    assert len(json.dumps(sent.payload)) <= 200_000
    assert sent.structure is not None
    sorts = sorts_of(sent.structure)
    assert len(sorts) == 8
    assert {each.count for each in sorts} == {10**9}
    assert len({each.shown for each in sorts}) == 1
    assert 0 < len(sorts[0].shown) < SHOWN
    assert sorts[0].shown == many.shown[: len(sorts[0].shown)]


def test_so_does_one_of_a_copy_full_of_the_longest_keys() -> None:
    keys = troubles(*("☃" * 340 + str(number) for number in range(SHOWN)), count=5000, why="w" * 300)
    sent = CompletenessReport(state=STATE.id, target=TARGET, differences=keys).bounded()
    assert len(json.dumps(sent.payload)) <= 200_000
    assert (sent.differences.count, len(sent.differences.shown) > 10) == (5000, True)


def test_a_report_that_fits_is_not_shortened() -> None:
    sent = report(damaged=troubles(*(pack(str(number)) for number in range(SHOWN))))
    assert sent.bounded() == sent


# --- which state -----------------------------------------------------------------------------------


def ledger_with_a_state(repository: str = "alpha") -> FakeLedger:
    ledger = FakeLedger()
    ledger.stored_headers[RepositoryName(repository), 1] = (STATE.id, STATE.canonical())
    return ledger


def test_no_state_named_is_the_newest() -> None:
    for wanted in ("", STATE.id):
        assert state_to_judge(ledger_with_a_state(), STATE.repository, wanted) == STATE


def test_a_state_that_is_not_there_is_refused() -> None:
    for ledger, repository, wanted in (
        (FakeLedger(), "alpha", ""),
        (ledger_with_a_state(), "alpha", StateId("0" * 64)),
        (ledger_with_a_state("beta"), "beta", STATE.id),
    ):
        with pytest.raises(CheckRefused, match="nothing was judged"):
            state_to_judge(ledger, RepositoryName(repository), wanted)

"""From a report to a verdict: who is told, in which order, and what is done about a report that is none."""

from typing import Any

import pytest

from functions.check.conclude_complete import ConcludeRequest
from functions.domain.checking import CheckRefused
from functions.domain.completeness import CompletenessReport
from functions.domain.restore.request import Location
from functions.domain.state import StateHeader
from functions.domain.structure.report import Level, StructureReport, Trouble, Troubles
from functions.domain.values import StateId
from functions.domain.verdict import CheckLevel, Verdict
from tests.check.complete_world import World
from tests.fakes.faults import Call, CallLog, Crash, Moment
from tests.restore.world import EXECUTION, REPOSITORY, TARGET, a_backup, a_pack

PACK = a_pack(b"pack 0")
OTHER = a_pack(b"pack 1")
COPY = Location(bucket=TARGET, prefix="copy")


@pytest.fixture
def world() -> World:
    made = World()
    made.back_up(a_backup())
    return made


@pytest.fixture
def state(world: World) -> StateHeader:
    return world.record()


def damaged(state: StateHeader, *keys: str, target: Location | None = None, **found: Any) -> CompletenessReport:
    troubles = Troubles(count=len(keys), shown=tuple(Trouble(subject=key, why="it is flipped") for key in keys))
    structure = StructureReport(level=Level.READ_DATA, snapshots=3, blobs=70, damaged=troubles, **found)
    return CompletenessReport(state=state.id, target=target, structure=structure)


def stored(world: World) -> list[Verdict]:
    return list(world.verdicts.verdicts(REPOSITORY))


# --- the verdict -----------------------------------------------------------------------------------


def test_a_whole_state_passes_with_its_figures_and_nobody_is_told(world: World, state: StateHeader) -> None:
    log = CallLog()
    world.ledger.hook = log
    judged = world.conclude(state, damaged(state))
    assert stored(world) == [judged.verdict]
    verdict = judged.verdict
    assert (verdict.outcome, verdict.level, verdict.by) == ("pass", CheckLevel.COMPLETE, EXECUTION)
    assert (verdict.figures["snapshots"], verdict.figures["blobs"]) == (3, 70)
    assert world.notifier.notices == []
    assert "GetChunk" not in log.count(), "millions of entries are not read for nothing"


def test_damage_is_told_before_it_is_written_down_with_its_evidence(world: World, state: StateHeader) -> None:
    log = CallLog()
    world.verdicts.hook = world.notifier.hook = log
    judged = world.conclude(state, damaged(state, PACK))
    done = [call.operation for call in log.calls if call.moment is Moment.AFTER]
    assert [each for each in done if not each.startswith("Query")] == ["Publish", "PutEvidence", "PutVerdict"]
    (finding,) = world.verdicts.findings(judged.verdict)
    assert finding == judged.findings[0]
    assert {each.key: each.version_ids for each in finding.evidence} == {PACK: world.version_ids(state)[PACK]}
    (notice,) = world.notifier.notices
    assert notice.attributes.items() >= {"repository": "beta", "severity": "FAIL", "level": "complete"}.items()
    assert PACK[-64:] not in notice.subject + notice.body


@pytest.mark.parametrize("operation", ["Publish", "PutEvidence", "PutVerdict"])
@pytest.mark.parametrize("moment", list(Moment))
def test_killed_anywhere_and_run_again_people_are_told_and_a_verdict_is_there(
    world: World, state: StateHeader, operation: str, moment: Moment
) -> None:
    def die(call: Call) -> None:
        if (call.operation, call.moment) == (operation, moment):
            raise Crash

    world.verdicts.hook = world.notifier.hook = die
    with pytest.raises(Crash):
        world.conclude(state, damaged(state, PACK))
    world.verdicts.hook = world.notifier.hook = lambda _: None
    world.conclude(state, damaged(state, PACK))
    assert [verdict.outcome for verdict in stored(world)][:1] == ["fail"]
    assert len(world.notifier.notices) >= 1


def test_the_same_damage_is_told_once_and_new_damage_again(world: World, state: StateHeader) -> None:
    for keys in ([PACK], [PACK], [PACK, OTHER]):
        world.conclude(state, damaged(state, *keys))
    assert len(world.notifier.notices) == 2
    assert len(stored(world)) == 3


def test_a_verdict_of_another_level_makes_no_damage_old_news(world: World, state: StateHeader) -> None:
    world.conclude(state, damaged(state, PACK))
    (verdict,) = stored(world)
    world.verdicts.stored.clear()
    content = verdict.model_copy(update={"level": CheckLevel.CONTENT})
    world.verdicts.stored[content.digest] = content.canonical()
    world.conclude(state, damaged(state, PACK))
    assert len(world.notifier.notices) == 2


def test_what_was_acknowledged_speaks_against_a_state_no_more(world: World, state: StateHeader) -> None:
    troubles = Troubles(count=1, shown=(Trouble(subject=PACK, why="foreign"),))
    foreign = damaged(state, foreign=troubles, unindexed=troubles)
    first = world.conclude(state, foreign)
    assert first.verdict.outcome == "hold"
    (finding,) = first.findings
    world.acknowledgements.append(first.verdict, finding.id, finding.evidence, "ann", world.s3.clock.now())
    second = world.conclude(state, foreign).verdict
    assert (second.outcome, second.acknowledged) == ("pass", 1)
    world.back_up({PACK: b"pack 0"})
    again = world.record()
    assert world.conclude(again, foreign.model_copy(update={"state": again.id})).verdict.outcome == "hold"


# --- copies ----------------------------------------------------------------------------------------


def test_a_copys_verdict_is_its_own_and_is_told_only_when_it_is_bad(world: World, state: StateHeader) -> None:
    good = world.conclude(state, damaged(state, target=COPY)).verdict
    assert (good.outcome, good.target, world.notifier.notices) == ("pass", f"{TARGET}/copy/", [])
    for _ in range(2):
        bad = world.conclude(state, damaged(state, PACK, target=COPY)).verdict
    assert (bad.outcome, len(world.notifier.notices)) == ("fail", 1)
    assert stored(world) == []
    assert len(world.verdicts.of_copies()) == 3
    assert world.conclude(state, damaged(state, PACK)).verdict.target is None
    assert len(world.notifier.notices) == 2, "a copy's damage is not the state's"


def test_a_copy_of_another_state_is_another_copy(world: World, state: StateHeader) -> None:
    world.conclude(state, damaged(state, PACK, target=COPY))
    world.back_up({a_pack(b"more"): b"more"})
    later = world.record()
    world.conclude(later, damaged(later, PACK, target=COPY))
    assert len(world.notifier.notices) == 2


# --- without a report ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("brought", "why"),
    [
        ({"error": "States.Timeout"}, "ended with States.Timeout; it ran out of time"),
        ({"error": "PasswordUnavailable"}, "restic_password_secret gave no password"),
        ({"error": "Runtime.OutOfMemory"}, "it ran out of memory"),
        ({}, "no report that can be read"),
        ({"report": "whole"}, "no report that can be read"),
        ({"report": {"format": 1, "state": "x", "snapshots": 3}}, "no report that can be read"),
    ],
)
def test_what_was_not_read_is_held(world: World, state: StateHeader, brought: dict[str, Any], why: str) -> None:
    verdict = world.conclude(state, None, **brought).verdict
    assert [(each.id, each.severity) for each in verdict.findings] == [("complete-not-judged", "HOLD")]
    assert why in verdict.findings[0].what
    assert len(world.notifier.notices) == 1


def test_a_report_beside_an_error_counts_for_nothing(world: World, state: StateHeader) -> None:
    assert world.conclude(state, damaged(state), error="Anything").verdict.outcome == "hold"


def test_a_report_of_another_state_or_copy_counts_for_nothing(world: World, state: StateHeader) -> None:
    copy = COPY.model_dump(mode="json")
    of_another = damaged(state).model_copy(update={"state": StateId("0" * 64)})
    for report, target in ((of_another, None), (damaged(state), copy), (damaged(state, target=COPY), None)):
        verdict = world.conclude(state, report, target=target).verdict
        assert [finding.id for finding in verdict.findings] == ["complete-not-judged"]


def test_without_a_state_it_is_the_newest_that_was_not_judged(world: World, state: StateHeader) -> None:
    verdict = world.conclude(state, None, state="", error="States.Timeout").verdict
    assert (verdict.state, verdict.outcome) == (state.id, "hold")


# --- what is refused -------------------------------------------------------------------------------


def test_a_state_that_is_not_there_or_not_proven_is_refused_and_nothing_is_written(
    world: World, state: StateHeader
) -> None:
    with pytest.raises(CheckRefused, match="nothing was judged"):
        world.conclude(state, damaged(state), state="0" * 64)
    world.ledger.chunks.clear()
    with pytest.raises(CheckRefused, match="is missing; nothing was judged"):
        world.conclude(state, damaged(state, PACK))
    assert (stored(world), world.notifier.notices) == ([], [])


@pytest.mark.parametrize("change", [{"state": "latest"}, {"execution": "a/b"}, {"surprise": 1}, {"error": 7}])
def test_a_request_that_is_none_is_refused(change: dict[str, object]) -> None:
    whole = {"repository": "beta", "state": "", "target": None, "execution": "e", "report": None, "error": None}
    assert ConcludeRequest.read(whole).repository == "beta"
    with pytest.raises(CheckRefused, match=f"{next(iter(change))}: .*nothing was judged"):
        ConcludeRequest.read(whole | change)

"""Drawing a plan: batches, digests, totals, what waits; and what no plan may be."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.prune.draft import BATCH_ENTRIES, Draft, PlanUnsound
from functions.domain.prune.entries import (
    NotPlannable,
    PlannedEntry,
    batch_digest,
    decode_batch,
    encode_batch,
)
from functions.domain.prune.histories import Histories
from functions.domain.prune.plan import (
    VALID_FOR,
    Phase,
    PlanMismatch,
    PrunePlan,
    batch_file,
    manifest_file,
    plan_file,
    read_batch,
    read_plan,
    result_file,
    states_digest,
)
from functions.domain.prune.rules import Decision, Reason, Waits
from functions.domain.restic import FileType
from functions.domain.state import Head, StateHeader
from functions.domain.values import Digest, Finding, ListedVersion, ObjectVersion, StateId, VersionId
from functions.domain.verdict import seen
from tests import builders
from tests.builders import NOON, listing, marker, named, pack, version
from tests.domain.judging import HOLD, NOTE
from tests.domain.prune.world import Drawn, basis, draw, header_of, pins, unproven
from tests.strands import cut_of

DAY = timedelta(days=1)
OLD, OLDER = -86400 * 20, -86400 * 30
FRESH = version("config", written=OLDER, version_id="config")


def hidden(key: str, *, versions: int = 1, size: int = 100) -> list[ListedVersion]:
    """A key whose versions may all go, and its marker with them."""
    return [
        marker(key, written=OLD),
        *(version(key, written=OLDER - number, size=size) for number in range(versions)),
    ]


def fresh_header() -> StateHeader:
    return header_of(cut_of([FRESH]))


def drawn(*entries: ListedVersion) -> Drawn:
    return draw(listing(FRESH, *entries), pins([FRESH]), basis(fresh_header()))


class Records:
    """RecordReader of a plan and its batches."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def get(self, name: str, version_id: VersionId | None = None) -> bytes:
        del version_id
        return self.files[name]


def test_an_empty_plan_is_a_plan() -> None:
    plan = drawn().plan
    assert (plan.batches, plan.totals, plan.waiting) == ((), (), ())
    assert plan.outcome == "pass"


def test_versions_and_markers_have_batches_of_their_own() -> None:
    found = drawn(*hidden(pack("a")), *hidden(pack("b")))
    assert [(batch.phase, batch.objects) for batch in found.plan.batches] == [(Phase.VERSIONS, 2), (Phase.MARKERS, 2)]
    assert found.plan.of_phase(Phase.MARKERS) == found.plan.batches[1:]
    assert all(entry.size is None for entry in found.entries(Phase.MARKERS))


def test_each_planned_version_is_named_with_its_rule_and_since_when() -> None:
    (entry,) = drawn(*hidden(pack("a"), size=7)).entries(Phase.VERSIONS)
    assert (entry.key, entry.size, entry.reason) == (pack("a"), 7, Reason.HIDDEN)
    assert entry.since == NOON + timedelta(seconds=OLD)


def test_totals_are_by_reason_and_type_of_file() -> None:
    found = drawn(*hidden(pack("a"), size=7), *hidden(named("snapshots", "s"), size=5), *hidden("ransom.txt", size=3))
    totals = {(each.reason, each.type): (each.entries, each.bytes) for each in found.plan.totals}
    assert totals[Reason.HIDDEN, FileType.PACK] == (1, 7)
    assert totals[Reason.HIDDEN, FileType.SNAPSHOT] == (1, 5)
    assert totals[Reason.HIDDEN, FileType.ALIEN] == (1, 3)
    assert totals[Reason.SPENT_MARKER, FileType.PACK] == (1, 0)
    assert (found.plan.freed.objects, found.plan.freed.bytes) == (3, 15)


def test_what_lies_under_locks_counts_as_lock_files_whatever_its_name() -> None:
    found = drawn(*hidden("locks/rubbish"))
    assert {each.type for each in found.plan.totals} == {FileType.LOCK}


def test_what_waits_is_counted_with_its_reason_and_its_first_and_last_day() -> None:
    two = [version(pack("a"), written=-86400 * day, size=5) for day in (2, 4, 500)]
    (waiting,) = drawn(*two).plan.waiting
    assert (waiting.why, waiting.entries, waiting.bytes) == (Waits.YOUNG, 2, 10)
    assert (waiting.first, waiting.last) == (NOON + 6 * DAY, NOON + 8 * DAY)


def test_what_a_kept_state_names_waits_without_an_end() -> None:
    old = version(pack("a"), written=OLDER)
    found = draw(
        listing(FRESH, marker(pack("a"), written=OLD), old), pins([FRESH], [FRESH, old]), basis(fresh_header())
    )
    named_ones = next(each for each in found.plan.waiting if each.why is Waits.NAMED)
    assert (named_ones.entries, named_ones.first, named_ones.last) == (1, None, None)
    assert found.plan.batches == ()


def test_a_flooded_key_is_counted_and_none_of_it_planned() -> None:
    found = drawn(*hidden(pack("a"), versions=250))
    assert found.plan.flooded == 1
    assert found.plan.batches == ()
    assert [(each.why, each.entries) for each in found.plan.waiting] == [(Waits.FLOODED, 251)]


def test_a_batch_has_at_most_a_thousand_entries_and_never_a_part_of_a_key() -> None:
    keys = sorted(pack(str(number)) for number in range(30))
    found = drawn(*[entry for key in keys for entry in hidden(key, versions=90)])
    sizes = [batch.objects for batch in found.plan.of_phase(Phase.VERSIONS)]
    assert sizes == [990, 990, 720]
    assert max(sizes) <= BATCH_ENTRIES
    in_batches = [
        {entry.key for entry in decode_batch(batch.content)}
        for batch in found.batches
        if batch.planned.phase is Phase.VERSIONS
    ]
    assert sum(map(len, in_batches)) == len(keys)


def test_batches_are_in_key_order() -> None:
    found = drawn(*[entry for number in range(5) for entry in hidden(pack(str(number)))])
    for phase in Phase:
        keys = [key for key, _ in groupby(found.entries(phase), key=lambda entry: entry.key)]
        assert keys == sorted(keys)


def test_a_batch_leaves_as_soon_as_it_is_full() -> None:
    def endless() -> Iterator[ListedVersion]:
        number = 0
        while True:
            yield from hidden(f"data/{number:08}", versions=100)
            number += 1

    draft = Draft(basis(fresh_header()), Histories(endless()), pins([FRESH]))
    assert next(draft.batches()).planned.objects == BATCH_ENTRIES


# --- documents -------------------------------------------------------------------------------------


def test_the_plan_names_what_it_was_drawn_from() -> None:
    plan = drawn().plan
    header = fresh_header()
    assert (plan.state, plan.generation, plan.head) == (header.id, 1, Head.of(header).digest)
    assert plan.kept == (header.id,)
    assert plan.kept_digest == states_digest([header.id])
    assert plan.valid_until == NOON + VALID_FOR
    assert PrunePlan.parse(plan.canonical()) == plan


def test_the_digest_of_states_is_that_of_the_set() -> None:
    one, two = StateId("1" * 64), StateId("2" * 64)
    assert states_digest([one, two]) == states_digest([two, one, two])
    assert states_digest([one]) != states_digest([two])


def test_the_plans_digest_covers_each_batch() -> None:
    one, other = drawn(*hidden(pack("a"), size=7)), drawn(*hidden(pack("a"), size=8))
    assert one.plan.digest != other.plan.digest
    assert one.plan.batches[0].digest != other.plan.batches[0].digest


@given(st.lists(builders.versions, max_size=10), st.sampled_from(Reason), builders.instants)
def test_a_batch_file_holds_its_entries_whole(versions: list[ObjectVersion], reason: Reason, since: datetime) -> None:
    entries = tuple(PlannedEntry.of(Decision(each, reason, since)) for each in versions)
    content = encode_batch(entries)
    assert decode_batch(content) == entries
    assert content.count(b"\n") == len(content.splitlines()) == len(entries)


@pytest.mark.parametrize("content", [b"{", b"[]\n", b'{"key":"config"}\n', b"null\n", b"\xff\n"])
def test_a_malformed_batch_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        decode_batch(content)


def test_a_batch_is_believed_only_by_the_digest_in_the_plan() -> None:
    found = drawn(*hidden(pack("a")))
    name = batch_file(found.plan.repository, found.plan.execution, 0)
    content = found.batches[0].content
    assert read_batch(Records({name: content}), found.plan, 0) == decode_batch(content)
    with pytest.raises(PlanMismatch, match="nothing was deleted of it"):
        read_batch(Records({name: content.replace(b'"size":100', b'"size":101')}), found.plan, 0)
    for number in (2, -1):
        with pytest.raises(PlanMismatch, match="none numbered"):
            read_batch(Records({}), found.plan, number)


def test_files_lie_in_the_folder_of_the_execution_and_each_phase_has_a_manifest() -> None:
    where = (drawn().plan.repository, "tuesday")
    assert plan_file(*where) == "prunes/alpha/tuesday/plan.json"
    assert manifest_file(*where, Phase.MARKERS) == "prunes/alpha/tuesday/markers.json"
    assert batch_file(*where, 7) == "prunes/alpha/tuesday/batches/00007.jsonl"
    assert result_file(*where, 7) == "prunes/alpha/tuesday/results/00007.json"


def test_no_other_digest_can_pass_for_a_batchs() -> None:
    assert batch_digest(b"") != states_digest([])


def test_a_plan_is_believed_only_by_the_digest_that_was_approved() -> None:
    plan = drawn().plan
    name = plan_file(plan.repository, plan.execution)
    stored = Records({name: plan.canonical()})
    assert read_plan(stored, name, VersionId("v1"), plan.digest) == plan
    with pytest.raises(PlanMismatch, match="nothing was deleted"):
        read_plan(stored, name, VersionId("v1"), Digest("0" * 64))


@pytest.mark.parametrize(("findings", "outcome"), [((), "pass"), ((NOTE,), "pass"), ((NOTE, HOLD), "hold")])
def test_a_plan_that_is_odd_waits_for_a_person(findings: tuple[Finding, ...], outcome: str) -> None:
    found = draw([FRESH], pins([FRESH]), basis(fresh_header()), [seen(each) for each in findings])
    assert found.plan.outcome == outcome


def test_a_plan_on_a_state_that_was_held_waits_for_a_person() -> None:
    assert draw([FRESH], pins([FRESH]), basis(fresh_header(), check="hold")).plan.outcome == "hold"


# --- what no plan may be ---------------------------------------------------------------------------


def test_there_is_no_plan_before_everything_was_read() -> None:
    draft = Draft(basis(fresh_header()), Histories([FRESH]), pins([FRESH]))
    with pytest.raises(PlanUnsound, match="nothing was planned"):
        draft.plan([])


def test_there_is_no_plan_when_a_kept_state_does_not_prove_itself_to_its_end() -> None:
    pinned = unproven(FRESH, version("zzz"))
    draft = Draft(basis(fresh_header()), Histories(listing(FRESH, *hidden(pack("a")))), pinned)
    with pytest.raises(StateDamaged, match="are not those"):
        list(draft.batches())
    with pytest.raises(PlanUnsound):
        draft.plan([])


def test_the_fresh_state_has_to_be_kept() -> None:
    with pytest.raises(PlanUnsound, match="have to be kept"):
        draw([FRESH], pins([version("other")]), basis(fresh_header()))


def test_a_held_state_has_to_be_kept() -> None:
    with pytest.raises(PlanUnsound, match="have to be kept"):
        draw([FRESH], pins([FRESH]), basis(fresh_header(), holds=[StateId("1" * 64)]))


def test_a_state_is_not_both_kept_and_dropped() -> None:
    with pytest.raises(PlanUnsound, match="have to be kept"):
        draw([FRESH], pins([FRESH]), basis(fresh_header(), dropped=[fresh_header().id]))


def test_there_is_no_plan_on_a_state_that_failed_its_checks() -> None:
    with pytest.raises(PlanUnsound, match="did not pass"):
        draw([FRESH], pins([FRESH]), basis(fresh_header(), check="fail"))


@pytest.mark.parametrize("what", ["batches", "totals"])
def test_a_stored_plan_whose_totals_are_not_its_batches_is_refused(what: str) -> None:
    plan = drawn(*hidden(pack("a"))).plan
    forged = plan.model_copy(update={what: getattr(plan, what)[1:]})
    with pytest.raises(UnreadableDocument):
        PrunePlan.parse(forged.canonical())


def test_what_waits_cannot_be_planned() -> None:
    with pytest.raises(NotPlannable):
        PlannedEntry.of(Decision(FRESH, Waits.YOUNG, NOON))


def test_a_planned_entry_is_recognized_by_all_of_it() -> None:
    entry = PlannedEntry.of(Decision(FRESH, Reason.HIDDEN, NOON))
    assert entry.is_still(FRESH)
    assert not entry.is_still(replace(FRESH, size=FRESH.size + 1))
    assert not entry.is_still(replace(FRESH, last_modified=NOON))
    assert not entry.is_still(replace(FRESH, version_id=VersionId("other")))
    assert not entry.is_still(marker("config", written=OLDER))

"""The end of a restore: nothing is called restored that was not compared, and the target is the state's exactly."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.batches import PlannedBatch
from functions.domain.documents import UnreadableDocument
from functions.domain.restore.plan import RestorePlan
from functions.domain.restore.proof import BatchResult, Kind, Trouble, trouble
from functions.domain.restore.report import SHOWN, Found, RestoreReport, conclude, differences, found_in
from functions.domain.restore.request import Location
from functions.domain.roots import content_root
from functions.domain.values import Digest, ObjectKey, RepositoryName, StateId
from tests import builders
from tests.builders import at, named, pack, version

HERE = Location(bucket="rwm-restore-here")
NOTHING = Digest("0" * 64)
ENTRIES = sorted(
    (version("config", size=10), version(pack("one"), size=3), version(pack("two"), size=3)), key=lambda each: each.key
)
LISTED = [(entry.key, entry.size) for entry in ENTRIES]
WHOLE = found_in(LISTED)
PLAN = RestorePlan(
    repository=RepositoryName("beta"),
    state=StateId(NOTHING),
    manifest_root=NOTHING,
    content_root=WHOLE.content_root,
    source=Location(bucket="protected"),
    target=HERE,
    objects=3,
    bytes=16,
    batches=(PlannedBatch(number=0, digest=NOTHING, objects=3, bytes=16),),
)


def result(*troubles: Trouble) -> BatchResult:
    return BatchResult(
        plan=PLAN.digest,
        execution="tuesday",
        number=0,
        batch=NOTHING,
        proven=3 - len(troubles),
        copied=2,
        copied_bytes=13,
        skipped=1,
        troubles=troubles,
    )


def one(kind: Kind) -> Trouble:
    return trouble(ObjectKey("config"), kind, "why")


def test_the_content_root_of_a_listing_is_that_of_the_state() -> None:
    assert found_in(iter(LISTED)) == Found(content_root(LISTED), 3)


def test_everything_proven_and_the_roots_equal_is_restored() -> None:
    report = conclude(PLAN, "tuesday", [result()], [], WHOLE, at(0))
    assert (report.outcome, report.proven, report.copied, report.skipped) == ("restored", 3, 2, 1)


@pytest.mark.parametrize("kind", [Kind.FAILED, Kind.MISSING, Kind.UNPROVEN])
def test_any_object_that_is_not_proven_makes_it_incomplete(kind: Kind) -> None:
    report = conclude(PLAN, "tuesday", [result(one(kind))], [], WHOLE, at(0))
    assert report.outcome == "incomplete"
    assert (report.proven, getattr(report, kind)) == (2, 1)


def test_what_is_damaged_in_the_state_itself_is_restored_and_called_so() -> None:
    report = conclude(PLAN, "tuesday", [result(one(Kind.DAMAGED))], [], WHOLE, at(0))
    assert (report.outcome, report.proven, report.damaged) == ("restored-damaged", 2, 1)


def test_another_content_root_makes_it_incomplete_whatever_the_results_say() -> None:
    report = conclude(PLAN, "tuesday", [result()], [], found_in([]), at(0))
    assert report.outcome == "incomplete"


def test_a_report_of_the_first_format_has_no_time_and_stays_as_it_was_written() -> None:
    new = conclude(PLAN, "tuesday", [result()], [], WHOLE, at(0))
    old = new.model_copy(update={"verified_at": None})
    assert (new.format, old.format) == (2, 1)
    assert b"verified_at" not in old.canonical()
    for report in (new, old):
        assert RestoreReport.parse(report.canonical()) == report
    with pytest.raises(UnreadableDocument):
        RestoreReport.parse(new.canonical().replace(b'"format":2', b'"format":1'))


def test_a_report_says_what_was_left_out_and_how_long_the_copies_are_locked() -> None:
    keys = tuple(sorted(named("keys", each) for each in ("one", "two")))
    plan = PLAN.model_copy(update={"lock_days": 30, "revoked": keys[:1], "reinstated": keys[1:], "sample": 7})
    result_of_it = result().model_copy(update={"plan": plan.digest})
    report = conclude(plan, "tuesday", [result_of_it], [], WHOLE, at(0))
    assert (report.format, report.outcome) == (3, "restored")
    assert (report.lock_days, report.revoked, report.reinstated, report.sample) == (30, keys[:1], keys[1:], 7)
    assert RestoreReport.parse(report.canonical()) == report


def test_a_short_report_counts_the_key_files_that_it_does_not_name() -> None:
    keys = tuple(sorted(named("keys", f"{each}") for each in range(SHOWN + 5)))
    plan = PLAN.model_copy(update={"revoked": keys})
    short = conclude(plan, "tuesday", [result(one(Kind.FAILED))], [], WHOLE, at(0)).shortened()
    assert (short.revoked, short.reinstated, short.left_out, len(short.troubles)) == (keys[:SHOWN], None, 5, 1)


def test_a_report_cannot_be_made_to_say_more_than_was_proven() -> None:
    told = conclude(PLAN, "tuesday", [result(one(Kind.FAILED))], [], WHOLE, at(0)).model_dump(mode="json")
    for outcome in ("restored", "restored-damaged"):
        with pytest.raises(ValidationError, match="of what was not proven"):
            type(conclude(PLAN, "tuesday", [result()], [], WHOLE, at(0))).model_validate({**told, "outcome": outcome})


def test_a_listing_differs_by_what_is_absent_resized_or_too_much() -> None:
    listed = [(ObjectKey("config"), 11), LISTED[1], (ObjectKey("extra"), 1)]
    assert [(each.key, each.kind) for each in differences(listed, ENTRIES)] == [
        ("config", Kind.FAILED),
        (ENTRIES[2].key, Kind.FAILED),
        ("extra", Kind.UNEXPECTED),
    ]
    assert list(differences(iter(LISTED), iter(ENTRIES))) == []


sizes = st.dictionaries(builders.keys.map(ObjectKey), st.integers(0, 2), max_size=12)


@given(sizes, sizes)
def test_two_listings_differ_by_exactly_the_keys_whose_sizes_differ_in_key_order(
    there: dict[ObjectKey, int], planned: dict[ObjectKey, int]
) -> None:
    listed = sorted(there.items(), key=lambda each: each[0].encode())
    pinned = [version(key, size=planned[key]) for key in sorted(planned, key=str.encode)]
    found = list(differences(iter(listed), iter(pinned)))
    assert {each.key for each in found} == {key for key in {*there, *planned} if there.get(key) != planned.get(key)}
    assert all((each.kind is Kind.UNEXPECTED) == (each.key not in planned) for each in found)
    assert all(one.key.encode() < other.key.encode() for one, other in pairwise(found))


def test_a_result_speaks_of_one_batch_of_one_execution_of_one_plan() -> None:
    batch = PLAN.batches[0]
    assert result().is_of(PLAN, "tuesday", batch)
    assert not result().is_of(PLAN, "wednesday", batch)
    assert not result().model_copy(update={"proven": 2}).is_of(PLAN, "tuesday", batch)
    twice = result(one(Kind.FAILED), one(Kind.MISSING))
    assert not twice.is_of(PLAN, "tuesday", batch), "two troubles of one key leave another object untold"

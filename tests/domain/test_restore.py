"""The pure part of a restore: batches, plans, refusals, comparisons, conclusions."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.batches import ManifestItem, PlannedBatch, decode_batch, encode_batch, encode_manifest, sha256_of
from functions.domain.documents import UnreadableDocument
from functions.domain.restore.plan import (
    BATCH_BYTES,
    BATCH_OBJECTS,
    RestorePlan,
    batch_digest,
    batch_file,
    cut_batches,
    result_file,
)
from functions.domain.restore.proof import BatchResult, Comparison, Kind, Trouble, compare, trouble
from functions.domain.restore.report import Found, RestoreReport, conclude, differences
from functions.domain.restore.request import Location, RestoreRefused
from functions.domain.restore.target import LARGEST_COPY, check_copyable
from functions.domain.roots import content_root
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId
from tests import builders
from tests.builders import at, pack, version

HERE = Location(bucket="rwm-restore-here")
NOTHING = Digest("0" * 64)


@given(builders.states)
def test_a_batch_file_holds_its_entries_whole(entries: list[ObjectVersion]) -> None:
    content = encode_batch(entries)
    assert list(decode_batch(content)) == entries
    assert content.count(b"\n") == len(entries)


def test_a_batch_file_has_one_entry_a_line_whatever_the_key_holds() -> None:
    odd = [version(key, size=0) for key in ("a\nb", "c\r\nd", "e f", "g\x85h", 'i"j\\k', "日本")]
    lines = encode_batch(odd).splitlines()
    assert [json.loads(line)["key"] for line in lines] == [entry.key for entry in odd]


@pytest.mark.parametrize("content", [b"{", b"[]\n", b'{"key":"config"}\n', b"null\n", b"\xff\n"])
def test_a_malformed_batch_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        decode_batch(content)


@given(st.lists(st.integers(0, LARGEST_COPY), max_size=40))
def test_batches_keep_the_order_and_both_bounds(sizes: list[int]) -> None:
    entries = [version(f"{number:04}", size=size) for number, size in enumerate(sizes)]
    batches = list(cut_batches(entries))
    assert [entry for batch in batches for entry in batch] == entries
    assert len(batches) == 1 or all(batches)
    for batch in batches:
        assert len(batch) <= BATCH_OBJECTS
        assert sum(entry.size for entry in batch) <= BATCH_BYTES
    for before, after in pairwise(batches):
        full = len(before) == BATCH_OBJECTS or sum(entry.size for entry in (*before, after[0])) > BATCH_BYTES
        assert full, "a batch is cut only when the next entry does not fit"


def test_a_page_of_restics_packs_fits_one_batch() -> None:
    entries = [version(f"{number:04}", size=16 << 20) for number in range(BATCH_OBJECTS)]
    assert len(list(cut_batches(entries))) == 1


def test_the_digest_of_a_batch_changes_with_any_byte_of_it() -> None:
    content = encode_batch([version("config")])
    assert batch_digest(content) != batch_digest(content.replace(b"config", b"confic"))
    assert batch_digest(b"") != sha256_of([]), "no other digest can pass for it"


def test_files_are_named_by_the_plan() -> None:
    assert batch_file(NOTHING, 7) == f"restores/{NOTHING}/batches/00007.jsonl"
    assert result_file(NOTHING, "tuesday", 7) == f"restores/{NOTHING}/results/tuesday/00007.json"


def test_the_manifest_is_the_array_that_the_distributed_map_reads() -> None:
    item = ManifestItem(batch=batch_file(NOTHING, 0), version_id=VersionId("v1"), digest=NOTHING, number=0)
    assert json.loads(encode_manifest([item])) == [
        {"batch": f"restores/{NOTHING}/batches/00000.jsonl", "version_id": "v1", "digest": NOTHING, "number": 0}
    ]


# --- refusals --------------------------------------------------------------------------------------


def test_what_s3_cannot_copy_in_one_call_is_refused() -> None:
    check_copyable([version("config", size=LARGEST_COPY)], HERE)
    with pytest.raises(RestoreRefused, match=r"over 5 GiB.*config \(5368709121 bytes\); nothing was written; copy"):
        check_copyable([version("config", size=LARGEST_COPY + 1)], HERE)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_what_must_be_thawed_first_is_refused(storage_class: str) -> None:
    with pytest.raises(RestoreRefused, match=f"archive class.*config \\({storage_class}\\); nothing was written"):
        check_copyable([version("config", storage_class=storage_class)], HERE)


def test_an_archive_class_that_answers_at_once_can_be_copied() -> None:
    check_copyable([version("config", storage_class="GLACIER_IR")], HERE)


def test_a_key_that_does_not_fit_beneath_the_targets_prefix_is_refused() -> None:
    longest = version("ü" * 512)
    check_copyable([longest], HERE)
    with pytest.raises(RestoreRefused, match="without a possible key under rwm-restore-here/below/"):
        check_copyable([longest], Location(bucket=HERE.bucket, prefix="below"))


def test_the_object_that_is_named_like_the_prefix_needs_a_prefix_in_the_target_too() -> None:
    placeholder = version("", size=0)
    check_copyable([placeholder], Location(bucket=HERE.bucket, prefix="below"))
    with pytest.raises(RestoreRefused, match="without a possible key"):
        check_copyable([placeholder], HERE)


# --- comparing -------------------------------------------------------------------------------------


def never() -> Digest:
    raise AssertionError("the name settles it; the source must not be read")


@pytest.mark.parametrize(
    ("key", "found", "pinned", "comparison"),
    [
        (pack("good"), b"good", None, Comparison.PROVEN),
        (pack("good"), b"rot", b"rot", Comparison.DAMAGED),
        (pack("good"), b"rot", b"good", Comparison.DIFFERENT),
        (pack("good"), b"rot", b"another rot", Comparison.DIFFERENT),
        ("config", b"same", b"same", Comparison.PROVEN),
        ("config", b"one", b"other", Comparison.DIFFERENT),
        ("alien", b"", b"", Comparison.PROVEN),
        ("data/00/" + builders.sha256("good"), b"good", b"good", Comparison.PROVEN),
    ],
)
def test_bytes_are_compared_with_the_name_or_with_the_pinned_version(
    key: str, found: bytes, pinned: bytes | None, comparison: Comparison
) -> None:
    asked = never if pinned is None else (lambda: sha256_of([pinned]))
    assert compare(ObjectKey(key), sha256_of([found]), asked) is comparison


# --- concluding ------------------------------------------------------------------------------------

ENTRIES = (version("config", size=10), version(pack("one"), size=3), version(pack("two"), size=3))
WHOLE = Found({entry.key: entry.size for entry in sorted(ENTRIES, key=lambda entry: entry.key)})
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
    assert WHOLE.content_root == content_root((entry.key, entry.size) for entry in sorted(ENTRIES, key=lambda e: e.key))


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
    report = conclude(PLAN, "tuesday", [result()], [], Found({}), at(0))
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


def test_a_report_cannot_be_made_to_say_more_than_was_proven() -> None:
    told = conclude(PLAN, "tuesday", [result(one(Kind.FAILED))], [], WHOLE, at(0)).model_dump(mode="json")
    for outcome in ("restored", "restored-damaged"):
        with pytest.raises(ValidationError, match="of what was not proven"):
            type(conclude(PLAN, "tuesday", [result()], [], WHOLE, at(0))).model_validate({**told, "outcome": outcome})


def test_a_listing_differs_by_what_is_absent_resized_or_too_much() -> None:
    found = Found({ObjectKey("config"): 11, ENTRIES[1].key: 3, ObjectKey("extra"): 1})
    assert [(each.key, each.kind) for each in differences(found, ENTRIES)] == [
        ("config", Kind.FAILED),
        (ENTRIES[2].key, Kind.FAILED),
        ("extra", Kind.UNEXPECTED),
    ]
    assert list(differences(WHOLE, ENTRIES)) == []


def test_a_result_speaks_of_one_batch_of_one_execution_of_one_plan() -> None:
    batch = PLAN.batches[0]
    assert result().is_of(PLAN, "tuesday", batch)
    assert not result().is_of(PLAN, "wednesday", batch)
    assert not result().model_copy(update={"proven": 2}).is_of(PLAN, "tuesday", batch)
    twice = result(one(Kind.FAILED), one(Kind.MISSING))
    assert not twice.is_of(PLAN, "tuesday", batch), "two troubles of one key leave another object untold"

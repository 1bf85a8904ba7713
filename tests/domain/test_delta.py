"""What changed is exactly what makes the one state of the other, and comes back from its chunks exactly."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain import chunks
from functions.domain.columns import in_runs
from functions.domain.delta import (
    LARGEST_SHARE,
    MOST_LINKS,
    Change,
    DoesNotFit,
    Overlay,
    Removal,
    apply,
    ascend,
    changes_of,
    fits_a_strand,
    unlike,
)
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StatesInTurn, read_state
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, VersionId
from tests.builders import block_lengths, in_blocks, in_key_order, keys, restic_states, states, version, versions
from tests.domain.test_chunks import DYNAMODB_ITEM, restic_like
from tests.fakes.ledger import FakeLedger
from tests.strands import write


def made_of(before: Sequence[ObjectVersion], drawn: st.DataObject) -> list[ObjectVersion]:
    """Another state: some of the one before it, some changed in one of all the ways there are, some new."""
    kept: list[ObjectVersion] = []
    for entry in before:
        match drawn.draw(st.sampled_from(["kept", "kept", "gone", "version", "class", "etag", "size"])):
            case "kept":
                kept.append(entry)
            case "version":
                kept.append(replace(entry, version_id=VersionId(entry.version_id[:9] + "'")))
            case "class":
                kept.append(replace(entry, storage_class=entry.storage_class + "_IR"))
            case "etag":
                kept.append(replace(entry, etag=entry.etag + "-2"))
            case "size":
                kept.append(replace(entry, size=entry.size + 1))
    taken = {entry.key for entry in before}
    return in_key_order([*kept, *(entry for entry in drawn.draw(states) if entry.key not in taken)])


changes = st.dictionaries(keys, st.one_of(versions, st.none()), max_size=30).map(
    lambda found: [
        Removal(ObjectKey(key)) if put is None else replace(put, key=ObjectKey(key))
        for key, put in sorted(found.items(), key=lambda each: each[0].encode())
    ]
)


def changes_between(old: list[ObjectVersion], new: list[ObjectVersion]) -> Iterator[Change]:
    return changes_of(unlike(in_runs(old), in_runs(new)))


@given(states, st.data())
def test_the_changes_make_the_one_state_of_the_other(before: list[ObjectVersion], data: st.DataObject) -> None:
    after = made_of(before, data)
    found = list(changes_between(before, after))
    assert apply(before, found) == after
    assert [change.key for change in found] == sorted({change.key for change in found})
    assert len(found) == len({e.key for e in {*before} ^ {*after}}), "no more than what differs"


@pytest.mark.parametrize("at", [0, 511, 512, 513, 1500, 2047])
def test_changes_are_found_wherever_they_lie(at: int) -> None:
    before = restic_like(2048)
    (new,) = (replace(entry, key=ObjectKey(entry.key + "0")) for entry in before[at : at + 1])
    for after in (before[:at] + before[at + 1 :], [*before[: at + 1], new, *before[at + 1 :]]):
        assert len(list(changes_between(before, after))) == 1
        assert apply(before, changes_between(before, after)) == after


@given(changes)
def test_every_change_comes_back_exactly(found: list[Change]) -> None:
    packed = list(chunks.encode_delta(found))
    assert [change for chunk in packed for change in chunks.decode_delta(chunk)] == found
    names = [name for chunk in packed for name in chunks.decode_delta_names(chunk)]
    assert names == [(each.key, each.version_id if isinstance(each, ObjectVersion) else None) for each in found]


@given(changes.filter(bool), states.filter(bool))
def test_a_chunk_of_a_delta_is_never_read_as_a_bases_nor_the_other_way_round(
    found: list[Change], entries: list[ObjectVersion]
) -> None:
    for decode in (chunks.decode, chunks.decode_names, chunks.decode_named):
        with pytest.raises(UnreadableDocument, match=r"has format 3 .* reads 1 and 2"):
            decode(next(chunks.encode_delta(found)))
    for decode_delta in (chunks.decode_delta, chunks.decode_delta_names):
        with pytest.raises(UnreadableDocument, match=r"has format 2 .* reads 3"):
            decode_delta(next(chunks.encode(entries)))


@given(changes.filter(bool), st.data())
def test_a_damaged_chunk_of_a_delta_is_refused_or_read_but_never_crashes_the_reader(
    found: list[Change], data: st.DataObject
) -> None:
    """Which of the two, its digest shows, which whoever reads it compares."""
    chunk = bytearray(next(chunks.encode_delta(found)))
    at = data.draw(st.integers(0, len(chunk) - 1))
    chunk[at] ^= data.draw(st.integers(1, 255))
    for decode in (chunks.decode_delta, chunks.decode_delta_names):
        with contextlib.suppress(UnreadableDocument):
            decode(bytes(chunk))


@given(changes.filter(bool), st.data())
def test_a_truncated_chunk_of_a_delta_is_refused(found: list[Change], data: st.DataObject) -> None:
    chunk = next(chunks.encode_delta(found))
    with pytest.raises(UnreadableDocument):
        chunks.decode_delta(chunk[: data.draw(st.integers(0, len(chunk) - 1))])


def test_changes_that_do_not_compress_still_make_chunks_under_the_limit_of_an_item() -> None:
    source = random.Random(7)
    noise = [chr(code) for code in range(0x4E00, 0x9FFF)]

    def text() -> str:
        return "".join(source.choices(noise, k=341))

    found: list[Change] = [version(text(), version_id=text(), etag="e" * 60) for _ in range(500)]
    found += [Removal(version(text()).key) for _ in range(500)]
    found.sort(key=lambda change: change.key)
    packed = list(chunks.encode_delta(found))
    assert max(map(len, packed)) <= chunks.LARGEST_CHUNK < DYNAMODB_ITEM
    assert [change for chunk in packed for change in chunks.decode_delta(chunk)] == found


def test_a_thousand_more_objects_take_less_than_eighty_bytes_each() -> None:
    assert sum(map(len, chunks.encode_delta(restic_like(1_000)))) < 80_000


ENTRIES = [version(key) for key in "bdf"]


@pytest.mark.parametrize(
    "misfit",
    [
        [Removal(version("a").key)],
        [Removal(version("c").key)],
        [Removal(version("g").key)],
        [Removal(ENTRIES[0].key), Removal(ENTRIES[0].key)],
        [version("e"), version("c")],
        [version("c"), version("c")],
    ],
)
def test_a_delta_that_is_not_one_on_these_entries_makes_nothing(misfit: list[Change]) -> None:
    with pytest.raises(DoesNotFit):
        apply(ENTRIES, misfit)


def laid_over(base: list[ObjectVersion], deltas: list[list[Change]], lengths: Sequence[int]) -> list[ObjectVersion]:
    overlay = Overlay()
    for delta in deltas:
        overlay.add(delta)
    blocks = list(overlay.over(in_blocks(base, lengths)))
    assert all(map(len, blocks)), "a block is never empty"
    return [entry for block in blocks for entry in block.versions()]


some_keys = st.sampled_from("abcdefghij").map(ObjectKey)
any_change = st.one_of(
    st.builds(Removal, some_keys),
    st.builds(lambda key, version_id: version(key, version_id=version_id), some_keys, st.sampled_from("12")),
)
in_some_order = st.lists(any_change, max_size=6)
in_order = in_some_order.map(lambda found: sorted({each.key: each for each in found}.values(), key=lambda e: e.key))


@given(
    st.sets(some_keys).map(lambda found: [version(key, version_id="0") for key in sorted(found)]),
    st.lists(st.one_of(in_order, in_order, in_order, in_some_order), max_size=4),
    block_lengths,
)
def test_deltas_laid_over_a_base_at_once_make_what_one_after_another_makes_or_fit_as_little(
    base: list[ObjectVersion], deltas: list[list[Change]], lengths: list[int]
) -> None:
    made: list[ObjectVersion] = base
    try:
        for delta in deltas:
            made = apply(made, delta)
    except DoesNotFit:
        with pytest.raises(DoesNotFit):
            laid_over(base, deltas, lengths)
    else:
        assert laid_over(base, deltas, lengths) == made


@given(states, st.data(), block_lengths)
def test_any_delta_laid_over_its_base_makes_the_state(
    before: list[ObjectVersion], data: st.DataObject, lengths: list[int]
) -> None:
    after = made_of(before, data)
    latest = made_of(after, data)
    deltas = [list(changes_between(before, after)), list(changes_between(after, latest))]
    assert laid_over(before, deltas, lengths) == latest


def test_a_base_that_nothing_changes_passes_as_it_is() -> None:
    blocks = in_blocks(restic_like(10), [3])
    overlay = Overlay()
    overlay.add([Removal(blocks[1].keys[0])])
    made = list(overlay.over(blocks))
    assert len(overlay) == 1
    assert [one is other for one, other in zip(made, blocks, strict=True)] == [True, False, True, True]


@given(restic_states, st.data(), block_lengths, block_lengths)
def test_what_two_states_do_not_agree_on_is_told_once_in_key_order(
    before: list[ObjectVersion], data: st.DataObject, lengths: list[int], other_lengths: list[int]
) -> None:
    after = made_of(before, data)
    pairs = list(unlike(in_blocks(before, lengths), in_blocks(after, other_lengths)))
    old, new = ({entry.key: entry for entry in entries} for entries in (before, after))
    all_keys = sorted({*old, *new})
    assert pairs == [(old.get(key), new.get(key)) for key in all_keys if old.get(key) != new.get(key)]
    assert list(changes_of(pairs)) == list(changes_between(before, after))


@pytest.mark.parametrize("at", [[0], [15, 16, 17], [4095], [4096], [5000, 9_999], range(0, 10_000, 97), range(10_000)])
def test_differences_are_found_wherever_they_lie_in_a_large_state(at: Sequence[int]) -> None:
    before = restic_like(10_000)
    other = {number: replace(before[number], etag="another") for number in at}
    after = [other.get(number, entry) for number, entry in enumerate(before)]
    less = [entry for number, entry in enumerate(before) if number not in other]
    one, two, three = in_blocks(before, [2_343]), in_blocks(after, [1_000, 7]), in_blocks(less, [999])
    assert list(unlike(one, two)) == [(before[number], other[number]) for number in at]
    assert list(unlike(one, three)) == [(before[number], None) for number in at]
    assert list(unlike(three, one)) == [(None, before[number]) for number in at]


@given(st.lists(st.sampled_from("abc"), max_size=4))
def test_keys_ascend_where_each_is_after_the_one_before(found: list[str]) -> None:
    assert ascend(map(ObjectKey, found)) == (found == sorted(set(found)))


def test_a_strand_ends_where_its_deltas_pass_a_fifth_of_the_base_or_64_links() -> None:
    assert (MOST_LINKS, LARGEST_SHARE) == (64, 5)
    assert fits_a_strand(100, 64, 20)
    assert not fits_a_strand(100, 65, 20)
    assert not fits_a_strand(100, 64, 21)
    assert not fits_a_strand(4, 1, 1)


few = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.sampled_from("12"), st.sampled_from("xy")))


@given(
    st.lists(st.tuples(few, st.sampled_from([True, False, False])), min_size=1, max_size=9),
    st.integers(0, 3),
    st.sets(st.integers(0, 8)),
)
def test_any_sequence_of_bases_and_deltas_reads_back_exactly(
    sequence: list[tuple[dict[str, tuple[str, str]], bool]], size: int, wanted: set[int]
) -> None:
    """Each by itself; and some of them in turn, as a check reads them, with what is new in each."""
    ledger = FakeLedger()
    written: list[tuple[StateHeader, list[ObjectVersion]]] = []
    for named, base in sequence:
        entries = [version(key, version_id=named[key][0], storage_class=named[key][1]) for key in sorted(named)]
        header = write(ledger, entries, base=base, size=size)
        # A state with its parent's manifest root names its parent's chunks, whatever the attributes are.
        written.append((header, written[-1][1] if header.kind == "same" else entries))
    for header, entries in written:
        assert list(read_state(ledger, header)) == entries
    in_turn = StatesInTurn(ledger)
    last: list[ObjectVersion] = []
    for header, entries in (each for number, each in enumerate(written) if number in wanted):
        read = in_turn.read(header)
        assert list(read.entries) == entries
        new = list(read.new)
        assert set(new) == set(entries) if read.from_base else {*entries} - {*last} <= set(new) <= set(entries)
        last = entries

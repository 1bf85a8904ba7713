"""Columns hold exactly the entries they were made of."""

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.columns import RUN, Columns, in_runs
from functions.domain.values import DeleteMarker, ListedVersion
from tests.builders import pack, version, versions

markers = st.builds(
    lambda entry: DeleteMarker(entry.key, entry.version_id, entry.last_modified),
    versions,
)
listings = st.one_of(st.lists(versions, max_size=8), st.lists(st.one_of(versions, markers), max_size=8))


@given(listings)
def test_entries_come_back_as_they_were(entries: list[ListedVersion]) -> None:
    columns = Columns.of(entries)
    assert list(columns.entries()) == entries
    assert len(columns) == len(entries)
    one_by_one = Columns()
    for entry in entries:
        one_by_one.append(entry)
    assert one_by_one == columns


@given(listings, st.integers(0, 8), st.integers(0, 8))
def test_a_part_is_those_between_and_parts_can_be_put_together_again(
    entries: list[ListedVersion], start: int, stop: int
) -> None:
    columns = Columns.of(entries)
    assert list(columns.part(start, stop).entries()) == entries[start:stop]
    together = columns.part(0, start)
    together.extend(columns.part(start, len(columns)))
    assert together == columns


def test_runs_hold_all_entries_in_order_and_none_is_empty() -> None:
    entries = [version(pack(str(number))) for number in range(2 * RUN + 1)]
    runs = list(in_runs(entries))
    assert list(map(len, runs)) == [RUN, RUN, 1]
    assert [entry for run in runs for entry in run.entries()] == entries
    assert list(in_runs([])) == []

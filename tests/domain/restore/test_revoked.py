"""Which key files were removed since a state: what the newest recorded state lacks."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.columns import Columns
from functions.domain.documents import UnreadableDocument
from functions.domain.ledger import StateDamaged
from functions.domain.restic import FileType, file_type
from functions.domain.restore.request import RestoreRefused
from functions.domain.restore.revoked import check_known, check_openable, key_files, keys_of_today
from functions.domain.values import ObjectKey, ObjectVersion
from tests import builders
from tests.builders import named, pack, version
from tests.fakes.ledger import FakeLedger
from tests.strands import write

OLD, NEW = named("keys", "old"), named("keys", "new")


@given(builders.states, st.integers(1, 5))
def test_key_files_are_found_however_a_state_is_cut(entries: list[ObjectVersion], run: int) -> None:
    blocks = [Columns.of(entries[start : start + run]) for start in range(0, len(entries), run)]
    assert list(key_files(blocks)) == [each.key for each in entries if file_type(each.key) is FileType.KEY]


def test_a_name_that_only_looks_like_a_key_file_s_is_none() -> None:
    odd = ["keys", "keys/", f"keys/{'0' * 63}", f"keys/{'A' * 64}", f"keys/{'0' * 64}/x", f"keysX/{'0' * 64}"]
    assert list(key_files([Columns.of([version(key) for key in sorted(odd)])])) == []


def today(*states: Sequence[ObjectKey]) -> frozenset[ObjectKey] | None:
    """Of the first of these states, by what the last one has."""
    ledger = FakeLedger()
    headers = [write(ledger, [version(key) for key in sorted(state)]) for state in states]
    return keys_of_today(ledger, headers[0], headers[-1])


def test_the_newest_state_decides_and_not_those_between() -> None:
    assert today([OLD], [NEW], [OLD, NEW, pack("a")]) == frozenset({OLD, NEW})
    assert today([OLD], [OLD, NEW], [NEW]) == frozenset({NEW})
    assert today([OLD], [pack("a")]) == frozenset()


def test_of_the_newest_state_and_of_its_equal_nothing_was_removed() -> None:
    assert today([OLD]) is None
    assert today([OLD], [NEW], [OLD]) is None


def test_of_a_state_without_key_files_nothing_can_have_been_removed() -> None:
    assert today([pack("a")], [NEW]) is None
    assert keys_of_today(FakeLedger(), write(FakeLedger(), []), None) is None


def test_a_newest_state_that_is_damaged_is_not_taken_for_one_without_key_files() -> None:
    ledger = FakeLedger()
    headers = [write(ledger, [version(OLD)]), write(ledger, [version(NEW)])]
    ledger.chunks[max(ledger.chunks)] += b"x"
    with pytest.raises(StateDamaged):
        keys_of_today(ledger, *headers)


@pytest.mark.parametrize("error", [StateDamaged("state 12 is damaged"), UnreadableDocument("state 12 is damaged")])
def test_what_is_not_known_is_refused_unless_no_key_file_is_left_out(error: StateDamaged | UnreadableDocument) -> None:
    with pytest.raises(RestoreRefused, match=r"not known: state 12 is damaged; nothing was written.*--with-rev"):
        check_known(error, with_revoked_keys=False)
    check_known(error, with_revoked_keys=True)


def test_a_repository_must_keep_one_key_file_if_it_had_any() -> None:
    check_openable([], 0)
    check_openable([OLD], 1)
    with pytest.raises(RestoreRefused, match="cannot be opened; nothing was written"):
        check_openable([OLD], 0)

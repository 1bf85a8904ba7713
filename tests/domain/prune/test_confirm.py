"""Just before the call: what was planned hours ago is looked at again, by its key and version id."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.ledger import StateDamaged
from functions.domain.prune.confirm import Confirmed, Left, confirm, confirm_markers
from functions.domain.prune.entries import PlannedEntry
from functions.domain.prune.pins import PinnedVersions
from functions.domain.prune.rules import Waits
from functions.domain.values import ListedVersion, ObjectKey
from tests.builders import NOON, version
from tests.domain.prune.cases import KEY, MARKERS, PLANNED, VERSIONS, hide, history, put
from tests.domain.prune.world import RULES, pins, unproven

DAY = timedelta(days=1)


def again(*newest_first: ListedVersion, pinned: PinnedVersions | None = None, now: datetime = NOON) -> Confirmed:
    histories = [history(*newest_first)] if newest_first else []
    return confirm(VERSIONS, histories, pinned or pins(), RULES, now)


def markers(*newest_first: ListedVersion, pending: tuple[str, ...] = ()) -> Confirmed:
    histories = [history(*newest_first)] if newest_first else []
    return confirm_markers(MARKERS, histories, frozenset(map(ObjectKey, pending)), RULES, NOON)


def ids(entries: tuple[PlannedEntry, ...]) -> list[str]:
    return [entry.version_id for entry in entries]


def stays(confirmed: Confirmed) -> dict[str, Waits | None]:
    return {left.entry.version_id: left.why for left in confirmed.left}


def test_what_is_as_it_was_planned_goes() -> None:
    found = again(*PLANNED)
    assert (ids(found.go), found.gone, found.left) == (["v20", "v30"], (), ())


def test_nothing_goes_that_was_not_planned() -> None:
    found = again(*PLANNED, put(40))
    assert ids(found.go) == ["v20", "v30"]


def test_what_is_current_again_stays() -> None:
    found = again(put(20), put(30))
    assert stays(found) == {"v20": None}
    assert ids(found.go) == ["v30"], "its successor is the version that came back, which is as old as before"


def test_what_a_state_names_now_stays() -> None:
    found = again(*PLANNED, pinned=pins([put(30)]))
    assert stays(found) == {"v30": Waits.NAMED}
    assert ids(found.go) == ["v20"]


def test_what_a_younger_or_an_undated_entry_covers_now_stays() -> None:
    assert stays(again(put(5), put(20), put(30))) == {"v20": Waits.YOUNG}
    assert stays(again(put(15, etag="abc-1"), put(20), put(30))) == {"v20": Waits.UNDATED, "v30": Waits.FIRST}


def test_what_is_not_there_any_more_is_done_so_that_running_again_finishes_the_work() -> None:
    found = again(hide(10), put(30))
    assert (ids(found.go), ids(found.gone)) == (["v30"], ["v20"])
    assert ids(again().gone) == ["v20", "v30"]
    assert ids(again(hide(10)).gone) == ["v20", "v30"]


@pytest.mark.parametrize("change", [{"size": 101}, {"last_modified": NOON - 21 * DAY}])
def test_what_is_not_what_was_planned_stays(change: dict[str, object]) -> None:
    found = again(hide(10), replace(put(20), **change), put(30))  # type: ignore[arg-type]
    assert stays(found) == {"v20": None}


def test_of_a_key_that_was_flooded_since_everything_stays() -> None:
    flood = tuple(hide(1 + number / 1000) for number in range(MOST_ENTRIES))
    found = confirm(VERSIONS, [KeyHistory(KEY, flood, MOST_ENTRIES + 3)], pins(), RULES, NOON)
    assert stays(found) == {"v20": Waits.FLOODED, "v30": Waits.FLOODED}
    assert found.gone == ()


def test_why_an_entry_stays_says_until_when() -> None:
    (left,) = again(put(5), put(20)).left
    assert left == Left(VERSIONS[0], Waits.YOUNG, NOON + 5 * DAY)


def test_a_grace_that_was_lengthened_since_counts() -> None:
    longer = RULES.model_copy(update={"grace": 15 * DAY})
    found = confirm(VERSIONS, [history(*PLANNED)], pins(), longer, NOON)
    assert stays(found) == {"v20": Waits.YOUNG}


def test_nothing_is_confirmed_when_a_state_does_not_prove_itself_to_its_end() -> None:
    with pytest.raises(StateDamaged):
        again(*PLANNED, pinned=unproven(put(99), version("zzz")))


# --- markers ---------------------------------------------------------------------------------------


def test_a_marker_goes_when_its_key_was_listed_again_and_has_no_version() -> None:
    assert ids(markers(hide(10)).go) == ["m10"]


def test_a_first_phase_that_failed_for_a_key_leaves_its_marker() -> None:
    assert stays(markers(hide(10), put(30))) == {"m10": Waits.COVERS}


def test_a_marker_stays_while_an_upload_to_its_key_is_pending() -> None:
    assert stays(markers(hide(10), pending=(KEY,))) == {"m10": Waits.UPLOAD_PENDING}
    assert ids(markers(hide(10), pending=("another",)).go) == ["m10"]


def test_a_marker_stays_above_an_upload_that_was_completed_in_between() -> None:
    assert stays(markers(hide(10), put(40, etag="abc-2"))) == {"m10": Waits.COVERS}


def test_a_marker_that_a_new_version_covers_waits_for_that_ones_grace() -> None:
    assert stays(markers(put(0), hide(10))) == {"m10": Waits.YOUNG}


def test_a_marker_that_is_gone_is_done() -> None:
    assert ids(markers().gone) == ["m10"]


def test_the_first_phase_never_confirms_a_marker() -> None:
    found = confirm(MARKERS, [history(hide(10))], pins(), RULES, NOON)
    assert (found.go, stays(found)) == ((), {"m10": None})


def test_the_second_phase_never_confirms_a_version() -> None:
    found = confirm_markers(VERSIONS, [history(*PLANNED)], frozenset(), RULES, NOON)
    assert (found.go, stays(found)) == ((), {"v20": None, "v30": None})

"""Which entries of a key may go, and which wait: each clause by itself."""

from datetime import timedelta

import pytest

from functions.domain.key_history import MOST_ENTRIES
from functions.domain.prune.rules import (
    LOCKS_GRACE,
    Decision,
    PruneRules,
    Reason,
    Waits,
    decide_key,
    decide_markers,
)
from functions.domain.repositories import Repository
from functions.domain.values import ListedVersion, ObjectKey, ObjectVersion, VersionId
from tests.builders import NOON, named
from tests.domain.prune.cases import KEY, hide, history, put
from tests.domain.prune.world import RULES

DAY = timedelta(days=1)
LOCK = named("locks", "lock")


def decide(*newest_first: ListedVersion, pinned: tuple[str, ...] = (), rules: PruneRules = RULES) -> dict[str, str]:
    """Verdict by version id, of the key whose history this is."""
    found = decide_key(history(*newest_first), frozenset(map(VersionId, pinned)), rules, NOON)
    return {each.entry.version_id: each.verdict.value for each in found}


def only(*newest_first: ListedVersion, rules: PruneRules = RULES) -> Decision:
    (found,) = decide_key(history(*newest_first), frozenset(), rules, NOON)
    return found


def test_a_current_version_never_goes_however_old_it_is() -> None:
    assert decide(put(1000)) == {}


def test_a_hidden_version_goes_with_its_marker_once_the_marker_is_as_old_as_the_grace() -> None:
    assert decide(hide(10), put(20)) == {"m10": Reason.SPENT_MARKER, "v20": Reason.HIDDEN}


def test_a_version_that_a_newer_one_replaced_goes_once_that_is_as_old_as_the_grace() -> None:
    assert decide(put(10), put(20)) == {"v20": Reason.REPLACED}


def test_a_version_that_a_kept_state_names_stays_and_so_does_the_marker_that_hides_it() -> None:
    assert decide(hide(10), put(20), pinned=("v20",)) == {"m10": Waits.COVERS, "v20": Waits.NAMED}


def test_a_version_whose_successor_is_younger_than_the_grace_waits_for_it() -> None:
    young = only(put(9.5), put(500))
    assert young.verdict is Waits.YOUNG
    assert young.until == NOON + timedelta(days=0.5)


def test_the_next_newer_entry_is_the_successor_not_the_newest() -> None:
    assert decide(put(1), put(15), put(20)) == {"v15": Waits.YOUNG, "v20": Reason.REPLACED}


def test_a_version_dated_after_its_successor_waits_by_its_own_date() -> None:
    odd = only(put(20), put(5))
    assert odd.verdict is Waits.YOUNG
    assert odd.until == NOON + 5 * DAY


@pytest.mark.parametrize("etag", ["d41d8cd98f00b204e9800998ecf8427e-2", "-"])
def test_a_version_whose_successor_is_multipart_waits_whatever_its_date_says(etag: str) -> None:
    assert only(put(500, etag=etag), put(600)).verdict is Waits.UNDATED


def test_a_successor_without_an_etag_could_be_multipart() -> None:
    bare = ObjectVersion(ObjectKey(KEY), VersionId("bare"), 1, NOON - 500 * DAY, "", "STANDARD")
    assert only(bare, put(600)).verdict is Waits.UNDATED


def test_a_multipart_version_itself_goes_like_any_other() -> None:
    assert decide(put(10), put(20, etag="abc-2")) == {"v20": Reason.REPLACED}


def test_a_null_version_waits_unless_object_lock_keeps_it_from_being_replaced() -> None:
    null = (put(15), put(20, version_id="null"))
    assert decide(*null) == {"null": Waits.NULL}
    assert decide(*null, rules=RULES.model_copy(update={"object_lock": True})) == {"null": Reason.REPLACED}


def test_a_null_marker_waits_likewise() -> None:
    null = hide(20, version_id="null")
    assert decide(null) == {"null": Waits.NULL}
    assert decide(null, rules=RULES.model_copy(update={"object_lock": True})) == {"null": Reason.SPENT_MARKER}


def test_what_the_default_retention_still_holds_waits_for_its_end() -> None:
    locked = RULES.model_copy(update={"default_retention": 30 * DAY})
    waiting = only(put(10), put(20), rules=locked)
    assert waiting.verdict is Waits.RETAINED
    assert waiting.until == NOON + 10 * DAY
    assert decide(put(10), put(30), rules=locked) == {"v30": Reason.REPLACED}
    assert decide(hide(10), put(20), rules=locked)["m10"] == Waits.COVERS


def test_of_a_flooded_key_nothing_goes() -> None:
    flood = history(hide(20), put(30), count=MOST_ENTRIES + 1)
    found = decide_key(flood, frozenset(), RULES, NOON)
    assert [each.verdict for each in found] == [Waits.FLOODED, Waits.FLOODED]
    assert [each.verdict for each in decide_markers(flood, RULES, NOON)] == [Waits.FLOODED]


def test_an_alien_key_goes_by_the_same_rules() -> None:
    assert decide(hide(10, "ransom.txt"), put(20, "ransom.txt"))["v20"] == Reason.HIDDEN


# --- markers ---------------------------------------------------------------------------------------


def test_a_current_marker_goes_when_every_version_of_its_key_does() -> None:
    assert decide(hide(10), put(20), hide(30), put(40)) == {
        "m10": Reason.SPENT_MARKER,
        "v20": Reason.HIDDEN,
        "m30": Reason.SPENT_MARKER,
        "v40": Reason.HIDDEN,
    }


def test_a_current_marker_of_a_key_without_versions_goes_after_the_grace() -> None:
    assert only(hide(10)).verdict is Reason.SPENT_MARKER
    young = only(hide(9))
    assert (young.verdict, young.until) == (Waits.YOUNG, NOON + DAY)


def test_a_noncurrent_marker_goes_when_nothing_lies_beneath_it() -> None:
    assert decide(put(10), hide(20)) == {"m20": Reason.SPENT_MARKER}


def test_a_noncurrent_marker_stays_while_a_version_beneath_it_does() -> None:
    assert decide(put(10), hide(20), put(30), pinned=("v30",)) == {"m20": Waits.COVERS, "v30": Waits.NAMED}


def test_a_marker_stays_for_a_version_that_lies_deeper_too() -> None:
    found = decide(hide(10), hide(20), put(30), put(40), pinned=("v40",))
    assert found == {"m10": Waits.COVERS, "m20": Waits.COVERS, "v30": Reason.HIDDEN, "v40": Waits.NAMED}


def test_a_marker_above_what_stays_says_nothing_of_one_beneath_it() -> None:
    found = decide(put(10), put(20), hide(30), pinned=("v20",))
    assert found == {"v20": Waits.NAMED, "m30": Reason.SPENT_MARKER}


def test_a_noncurrent_marker_waits_for_its_successors_grace() -> None:
    assert decide(put(9), hide(20)) == {"m20": Waits.YOUNG}
    assert decide(put(15, etag="abc-2"), hide(20)) == {"m20": Waits.UNDATED}


def test_a_key_that_was_listed_again_gives_no_marker_up_while_a_version_lies_beneath() -> None:
    found = decide_markers(history(hide(10), put(20), hide(30)), RULES, NOON)
    assert [(each.entry.version_id, each.verdict) for each in found] == [
        ("m10", Waits.COVERS),
        ("m30", Reason.SPENT_MARKER),
    ]


# --- locks -----------------------------------------------------------------------------------------


def test_lock_files_have_a_grace_of_their_own() -> None:
    assert decide(hide(1, LOCK), put(2, LOCK)) == {"m1": Reason.SPENT_MARKER, "v2": Reason.LOCK_FILE}
    assert decide(hide(0.5, LOCK), put(2, LOCK)) == {"m0.5": Waits.COVERS, "v2": Waits.YOUNG}
    assert decide(hide(1), put(2)) == {"m1": Waits.COVERS, "v2": Waits.YOUNG}


def test_a_current_lock_file_stays() -> None:
    assert decide(put(500, LOCK)) == {}


# --- settings --------------------------------------------------------------------------------------


def rules_of(*, object_lock: bool = True, **settings: object) -> PruneRules:
    repository = Repository.model_validate({"name": "alpha", "bucket": "protected", **settings})
    return PruneRules.of(repository, object_lock=object_lock)


def test_the_rules_are_the_repositorys() -> None:
    rules = rules_of(grace_days="20d", lock_days=7)
    assert (rules.grace, rules.locks_grace, rules.default_retention) == (20 * DAY, LOCKS_GRACE, 7 * DAY)


def test_a_short_grace_is_that_of_lock_files_too() -> None:
    rules = rules_of(grace_days="1h", retention={"keep_within": "2h"}, lock_days=1, unsafe_short_times=True)
    assert rules.locks_grace == timedelta(hours=1)


@pytest.mark.parametrize(
    ("object_lock", "settings"), [(False, {}), (True, {"adopt": True}), (True, {"bypass_governance": True})]
)
def test_without_a_default_retention_of_ours_or_with_bypass_nothing_waits_for_it(
    object_lock: bool, settings: dict[str, object]
) -> None:
    assert rules_of(object_lock=object_lock, **settings).default_retention == timedelta(0)


# --- the version by which the checks tell the others -------------------------------------------------


@pytest.mark.parametrize("key", [KEY, "config", named("keys", "key"), named("snapshots", "s"), named("index", "i")])
def test_the_oldest_version_stays_while_those_above_it_are_not_all_alike(key: str) -> None:
    mended, poison, true = put(11, key, etag="true"), put(15, key, etag="poison"), put(20, key, etag="true")
    assert decide(mended, poison, true, pinned=("v15",)) == {"v15": Waits.NAMED, "v20": Waits.FIRST}
    assert decide(mended, poison, true) == {"v15": Reason.REPLACED, "v20": Waits.FIRST}, "not even with it"
    assert decide(mended, true) == {"v20": Reason.REPLACED}
    assert decide(hide(10, key), poison, true) == {
        "m10": Reason.SPENT_MARKER,
        "v15": Reason.HIDDEN,
        "v20": Reason.REPLACED,
    }


def test_a_marker_over_the_oldest_version_that_stays_covers_it() -> None:
    found = decide(hide(10), put(11, etag="true"), put(15, etag="poison"), put(20, etag="true"))
    assert found == {"m10": Waits.COVERS, "v11": Reason.HIDDEN, "v15": Reason.REPLACED, "v20": Waits.FIRST}


@pytest.mark.parametrize("key", ["notes.txt", LOCK])
def test_of_what_the_checks_do_not_compare_the_oldest_version_goes(key: str) -> None:
    found = decide(put(11, key, etag="c"), put(15, key, etag="b"), put(20, key, etag="a"))
    assert {verdict in set(Reason) for verdict in found.values()} == {True}

"""Is there a repository, one, and nothing else."""

import pytest

from functions.domain.values import Severity
from tests.builders import named, pack, sha256
from tests.domain.consistent.cases import (
    CONFIG,
    INDEX,
    KEY,
    PACK,
    SNAPSHOT,
    Known,
    found,
    healthy,
    hide,
    only,
    point,
    put,
    steady,
    versions,
)


def test_a_healthy_repository_raises_nothing() -> None:
    assert found(healthy(), baseline=steady()) == {}


def test_an_empty_bucket_is_a_note() -> None:
    finding = only([])
    assert (finding.id, finding.severity) == ("empty-repository", Severity.NOTE)


def test_an_initialised_repository_without_a_backup_is_a_note() -> None:
    finding = only([put(CONFIG), put(KEY)])
    assert (finding.id, finding.severity) == ("empty-repository", Severity.NOTE)


def test_the_first_backup_at_work_is_a_note() -> None:
    finding = only([put(CONFIG), put(KEY), put(PACK), put(named("locks", "l"), 0.001)])
    assert (finding.id, finding.severity) == ("empty-repository", Severity.NOTE)


@pytest.mark.parametrize("lost", [SNAPSHOT, INDEX, PACK])
def test_a_repository_that_lost_all_of_a_kind_fails(lost: str) -> None:
    whole = [put(CONFIG), put(KEY), put(INDEX), put(PACK), put(SNAPSHOT)]
    findings = found([*whole, hide(lost, 1)])
    assert findings["empty-repository"].severity is Severity.FAIL


def test_a_bucket_in_which_everything_is_hidden_fails() -> None:
    assert found([put(CONFIG), hide(CONFIG, 1)])["empty-repository"].severity is Severity.FAIL


def test_a_bucket_whose_states_had_snapshots_fails_even_when_no_history_is_left() -> None:
    assert found([], baseline=Known(points=(point(3),)))["empty-repository"].severity is Severity.FAIL


def test_something_else_than_a_repository_fails_once() -> None:
    finding = only([put("photographs/cat.jpg"), put("readme.txt")])
    assert (finding.id, finding.severity) == ("not-a-restic-repository", Severity.FAIL)


def test_the_legacy_layout_fails_once() -> None:
    name = sha256("x")
    finding = only([put("config"), put(f"key/{name}"), put(f"data/{name}"), put(f"lock/{name}"), put(INDEX)])
    assert (finding.id, finding.severity) == ("legacy-layout", Severity.FAIL)


def test_a_legacy_name_in_a_good_repository_is_malformed_or_alien_and_not_the_legacy_layout() -> None:
    name = sha256("x")
    findings = found([*healthy(), put(f"key/{name}"), put(f"data/{name}")])
    assert set(findings) == {"alien-key", "malformed-name"}


def test_a_repository_inside_the_prefix_is_a_hold() -> None:
    findings = found([*healthy(), put("other/config"), put(f"other/{PACK}"), put(f"other/{KEY}")])
    assert set(findings) == {"several-repositories-under-one-prefix"}
    assert findings["several-repositories-under-one-prefix"].severity is Severity.HOLD


def test_repositories_one_folder_further_down_alone_fail() -> None:
    finding = only([put("one/config"), put(f"two/sub/{PACK}")])
    assert (finding.id, finding.severity) == ("several-repositories-under-one-prefix", Severity.FAIL)
    assert "in 2 folders" in finding.what
    assert [each.key for each in finding.evidence] == ["one/config", f"two/sub/{PACK}"]


def test_a_missing_config_fails_and_one_that_is_there_does_not() -> None:
    entries = healthy()
    assert "config-missing" not in found(entries)
    assert found([*entries, hide(CONFIG, 1)])["config-missing"].severity is Severity.FAIL


@pytest.mark.parametrize(
    "key",
    [
        "data/junk",
        f"data/00/{sha256('x')}",
        "snapshots/latest",
        f"keys/{sha256('x').upper()}",
        f"index/{sha256('x')}.tmp",
    ],
)
def test_a_malformed_name_in_restics_folders_fails(key: str) -> None:
    finding = only([*healthy(), put(key)])
    assert (finding.id, finding.severity, finding.evidence[0].key) == ("malformed-name", Severity.FAIL, key)


def test_a_malformed_name_that_was_hidden_is_over() -> None:
    assert "malformed-name" not in found([*healthy(), put("data/junk"), hide("data/junk", 1)])


def test_an_alien_key_is_a_hold() -> None:
    finding = only([*healthy(), put("ransom.txt")])
    assert (finding.id, finding.severity, finding.evidence[0].key) == ("alien-key", Severity.HOLD, "ransom.txt")


def test_an_alien_key_in_the_approved_state_is_known_and_another_version_of_it_is_not() -> None:
    alien = put("notes.txt", 9)
    entries = [*healthy(), alien]
    approved = Known(approved=point(1), reference=versions(entries))
    assert "alien-key" not in found(entries, baseline=approved)
    assert "alien-key" in found([*entries, put("notes.txt", 0.1)], baseline=approved)


def test_an_alien_key_that_came_between_the_approved_state_and_the_one_that_stands_for_it_is_not_known() -> None:
    """Once a prune dropped the approved one, a later state is the reference: what is new in that, nobody approved."""
    entries = [*healthy(), put("notes.txt", 2), put("later.txt", 0.5)]
    approved = Known(approved=point(1), reference=versions(entries))
    (evidence,) = found(entries, baseline=approved)["alien-key"].evidence
    assert evidence.key == "later.txt"


def test_an_alien_key_in_a_state_that_nobody_approved_is_not_known() -> None:
    entries = [*healthy(), put("notes.txt", 9)]
    assert "alien-key" in found(entries, baseline=Known(reference=versions(entries)))


@pytest.mark.parametrize(("size", "impossible"), [(0, True), (31, True), (32, False)])
def test_a_file_that_is_too_small_to_be_restics_fails(size: int, impossible: bool) -> None:
    findings = found([*healthy(), put(pack("small"), size=size)])
    assert ("impossible-size" in findings) is impossible

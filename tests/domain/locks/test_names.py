"""Which kept states name a version: all of them, each once, and none that is broken spoils the others."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.cut import NotInOrder
from functions.domain.locks.names import KeptNames, named_by_key
from functions.domain.prune.named import StoredNames
from functions.domain.values import Digest, ObjectKey, ObjectVersion
from tests.builders import listing, marker, version
from tests.fakes.faults import CallLog
from tests.fakes.ledger import FakeLedger
from tests.strands import write

KEYS = ["a", "b", "c", "d"]
Contents = tuple[tuple[str, str], ...]


class Ledger:
    """States by what they name, each a delta on the one before it unless it is to be a base."""

    def __init__(self, *states: Contents, bases: bool = False) -> None:
        self.stored = FakeLedger()
        self.headers = [
            write(
                self.stored,
                [version(key, version_id=version_id) for key, version_id in sorted(each)],
                base=bases or number % 3 == 2,
                size=1,
            )
            for number, each in enumerate(states)
        ]

    def damage(self, state: int, chunk: int) -> None:
        self.stored.chunks[self.headers[state].chunks.attempt, chunk] = b"junk"

    def kept(self) -> KeptNames:
        return KeptNames(self.headers, StoredNames(self.stored))


def named(names: KeptNames, key: str) -> Mapping[str, tuple[Digest, ...]]:
    return {str(version_id): roots for version_id, roots in names.of(ObjectKey(key)).items()}


contents = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["1", "2"]), max_size=4).map(
    lambda found: tuple(sorted(found.items()))
)


@given(
    st.lists(contents, min_size=1, max_size=5), st.lists(st.sampled_from([*KEYS, "aa", "e"]), unique=True).map(sorted)
)
def test_each_state_that_names_a_version_is_told_whichever_keys_are_asked_for(
    states: list[Contents], asked: list[str]
) -> None:
    ledger = Ledger(*states)
    names = ledger.kept()
    for key in asked:
        expected: dict[str, set[Digest]] = {}
        for each, state in zip(ledger.headers, states, strict=True):
            for name, version_id in state:
                if name == key:
                    expected.setdefault(version_id, set()).add(each.manifest_root)
        assert {version_id: set(roots) for version_id, roots in named(names, key).items()} == expected
    names.finish()
    assert names.unproven == set()


def test_each_base_and_each_delta_is_read_once() -> None:
    ledger = Ledger((("a", "1"),), (("a", "1"),), (("b", "1"),), (("b", "1"), ("c", "1")))
    assert [header.kind for header in ledger.headers] == ["base", "same", "base", "delta"]
    log = CallLog()
    ledger.stored.hook = log
    ledger.kept().finish()
    assert log.count()["GetChunk"] == 3


@pytest.mark.parametrize("chunk", [0, 1, 2])
def test_a_state_that_breaks_is_told_and_the_others_are_read_on(chunk: int) -> None:
    whole = (("a", "1"), ("b", "1"), ("c", "1"))
    ledger = Ledger((("a", "1"), ("b", "1"), ("c", "2")), whole, bases=True)
    ledger.damage(0, chunk)
    names = ledger.kept()
    good = ledger.headers[1].manifest_root
    for key in KEYS:
        assert all(good in roots for version_id, roots in named(names, key).items() if version_id == "1")
    names.finish()
    assert names.unproven == {ledger.headers[0].manifest_root}


def test_a_delta_that_breaks_costs_what_lies_on_it_and_not_what_it_lies_on() -> None:
    ledger = Ledger((("a", "1"),), (("a", "1"), ("b", "1")))
    ledger.damage(1, 0)
    names = ledger.kept()
    assert ledger.headers[0].manifest_root in named(names, "a")["1"]
    names.finish()
    assert names.unproven == {ledger.headers[1].manifest_root}


def test_a_state_with_fewer_entries_than_its_header_says_is_unproven() -> None:
    ledger = Ledger((("a", "1"),))
    header = ledger.headers[0].model_copy(update={"objects": 2})
    names = KeptNames([header], StoredNames(ledger.stored))
    names.of(ObjectKey("a"))
    names.finish()
    assert names.unproven == {header.manifest_root}


def test_of_a_listing_only_named_versions_come_and_every_key_does() -> None:
    ledger = Ledger((("a", "v-10"), ("c", "v-30")))
    listed = listing(
        version("a", written=-10), version("a", written=-20), marker("b", written=-5), version("c", written=-5)
    )
    found = [(key, [each.version_id for each, _ in versions]) for key, versions in named_by_key(listed, ledger.kept())]
    assert found == [("a", ["v-10"]), ("b", []), ("c", [])]


def test_a_listing_that_is_not_in_key_order_is_not_believed() -> None:
    """In it a version is looked for where it is not, and would stay without a lock unseen."""
    listed: list[ObjectVersion] = [version("b"), version("a")]
    with pytest.raises(NotInOrder, match="nothing is said of the locks"):
        list(named_by_key(listed, Ledger((("a", "1"),)).kept()))

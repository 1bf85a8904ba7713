"""Which kept states name a version: all of them, each once, and none that is broken spoils the others."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.cut import Cut, NotInOrder
from functions.domain.ledger import StateDamaged
from functions.domain.locks.names import KeptNames, named_by_key
from functions.domain.state import Cause, ChunkSet, StateHeader, describe
from functions.domain.values import AttemptId, Digest, ObjectKey, ObjectVersion, RepositoryName, VersionId
from tests.builders import NOON, listing, marker, version

KEYS = ["a", "b", "c", "d"]
Contents = tuple[tuple[str, str], ...]


def header(contents: Contents, generation: int = 1) -> StateHeader:
    """Of a state that names these versions."""
    versions = tuple(version(key, version_id=version_id) for key, version_id in sorted(contents))
    cut = Cut(NOON + timedelta(hours=generation), versions, False, False, 0, 0, 0, 0, ())
    chunks = ChunkSet(attempt=AttemptId(f"attempt-{generation}"), count=0, digest=Digest("0" * 64))
    return describe(
        cut,
        repository=RepositoryName("alpha"),
        parent=None,
        own_chunks=chunks,
        recorded_at=NOON,
        cause=Cause(reason="operator"),
    ).model_copy(update={"generation": generation})


class Ledger:
    """States by what they name."""

    def __init__(self, *states: Contents) -> None:
        self.headers = [header(each, number) for number, each in enumerate(states, 1)]
        self._contents = {number: sorted(state) for number, state in enumerate(states, 1)}
        self.read: list[int] = []
        self.breaks: dict[int, int] = {}
        """By generation, after how many entries it turns out to be damaged."""

    def names(self, of: StateHeader) -> Iterator[tuple[ObjectKey, VersionId]]:
        self.read.append(of.generation)
        for number, (key, version_id) in enumerate(self._contents[of.generation]):
            if self.breaks.get(of.generation) == number:
                raise StateDamaged("a chunk is missing")
            yield ObjectKey(key), VersionId(version_id)
        if of.generation in self.breaks:
            raise StateDamaged("it does not prove itself")

    def kept(self) -> KeptNames:
        return KeptNames(self.headers, self.names)


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


def test_states_of_one_manifest_root_are_read_once() -> None:
    ledger = Ledger((("a", "1"),), (("a", "1"),), (("b", "1"),))
    ledger.kept().finish()
    assert ledger.read == [1, 3]


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_state_that_breaks_is_told_and_the_others_are_read_on(after: int) -> None:
    whole = (("a", "1"), ("b", "1"), ("c", "1"))
    ledger = Ledger((("a", "1"), ("b", "1"), ("c", "2")), whole)
    ledger.breaks[1] = after
    names = ledger.kept()
    good = ledger.headers[1].manifest_root
    for key in KEYS:
        assert all(good in roots for version_id, roots in named(names, key).items() if version_id == "1")
    names.finish()
    assert names.unproven == {ledger.headers[0].manifest_root}


def test_a_state_with_fewer_entries_than_its_header_says_is_unproven() -> None:
    ledger = Ledger((("a", "1"),))
    names = KeptNames([ledger.headers[0].model_copy(update={"objects": 2})], ledger.names)
    names.of(ObjectKey("a"))
    names.finish()
    assert names.unproven == {ledger.headers[0].manifest_root}


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

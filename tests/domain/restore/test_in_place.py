"""The plan of a restore in place, by values alone: applied to a bucket it gives the state, with the fewest writes."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.batches import PlannedBatch
from functions.domain.columns import in_runs
from functions.domain.diff import differences
from functions.domain.documents import UnreadableDocument
from functions.domain.restore.in_place import (
    BATCH_BYTES,
    BATCH_CHANGES,
    Change,
    Changes,
    Done,
    InPlacePlan,
    PutBackResult,
    batch_digest,
    content_root_without,
    cut_batches,
    decode_changes,
    encode_changes,
    planned,
)
from functions.domain.restore.proof import Kind, trouble
from functions.domain.restore.request import Location
from functions.domain.roots import content_of, content_root
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, StateId, VersionId
from tests.builders import named, pack, version, versions

KEYS = [*(pack(text) for text in "abc"), named("keys", "k"), named("keys", "l"), ObjectKey("config"), ObjectKey("ü /+")]
states = st.dictionaries(
    st.sampled_from(KEYS), st.tuples(st.sampled_from(["v1", "v2", "v3"]), st.integers(0, 3)), max_size=len(KEYS)
).map(lambda state: tuple(version(key, version_id=state[key][0], size=state[key][1]) for key in sorted(state)))


def changes_of(
    before: Iterable[ObjectVersion], chosen: Iterable[ObjectVersion], *, with_revoked_keys: bool = True
) -> tuple[list[Change], Changes]:
    changes = Changes(with_revoked_keys)
    return list(changes.of(differences(in_runs(before), in_runs(chosen)))), changes


def same(version_: ObjectVersion) -> tuple[str, int]:
    return version_.version_id, version_.size


@given(before=states, chosen=states)
def test_applied_to_what_is_current_it_gives_the_state_with_one_change_for_each_key_that_differs(
    before: tuple[ObjectVersion, ...], chosen: tuple[ObjectVersion, ...]
) -> None:
    current = {each.key: same(each) for each in before}
    wanted = {each.key: same(each) for each in chosen}
    made, changes = changes_of(before, chosen)
    assert [each.key for each in made] == sorted(
        key for key in {*current, *wanted} if current.get(key) != wanted.get(key)
    )
    for change in made:
        # What it says to be current is.
        assert current.get(change.key, (None, 0))[0] == change.over
        if change.put is None:
            del current[change.key]
        else:
            current[change.key] = same(change.put)
    assert current == wanted
    assert (changes.put, changes.hide) == (
        sum(each.put is not None for each in made),
        sum(not each.put for each in made),
    )


@given(before=states, chosen=states)
def test_key_files_that_were_removed_stay_away_and_nothing_else_does(
    before: tuple[ObjectVersion, ...], chosen: tuple[ObjectVersion, ...]
) -> None:
    everything, _ = changes_of(before, chosen)
    made, changes = changes_of(before, chosen, with_revoked_keys=False)
    gone = {each.key for each in chosen if each.key.startswith("keys/")} - {each.key for each in before}
    assert changes.left_out == tuple(sorted(gone))
    assert made == [each for each in everything if each.key not in gone]
    left = [each for each in chosen if each.key not in gone]
    assert content_root_without(in_runs(chosen), changes.left_out) == content_root(content_of(left))
    assert changes.left_out_bytes == sum(each.size for each in chosen) - sum(each.size for each in left)


def test_a_change_of_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="nothing is to be done"):
        Change(ObjectKey("config"), None, None)


# --- batches ---------------------------------------------------------------------------------------------------


def put(size: int, number: int = 0) -> Change:
    return Change(ObjectKey(f"o{number:04d}"), None, version(f"o{number:04d}", size=size))


def test_a_batch_holds_as_many_changes_and_bytes_as_one_function_gets_through() -> None:
    many = list(cut_batches(put(1, number) for number in range(2 * BATCH_CHANGES + 1)))
    assert [len(each) for each in many] == [BATCH_CHANGES, BATCH_CHANGES, 1]
    large = list(cut_batches([put(BATCH_BYTES), put(1), put(BATCH_BYTES - 1), put(BATCH_BYTES + 1), put(0)]))
    assert [len(each) for each in large] == [1, 2, 1, 1]
    assert list(cut_batches([])) == []


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
some_changes = st.one_of(
    st.builds(lambda key, over: Change(ObjectKey(key), VersionId(over), None), texts, texts),
    st.builds(lambda over, put: Change(put.key, over, put), st.one_of(st.none(), texts.map(VersionId)), versions),
)


@given(st.lists(some_changes, max_size=5))
def test_a_batch_file_gives_back_exactly_the_changes_one_a_line(batch: list[Change]) -> None:
    content = encode_changes(batch)
    assert decode_changes(content) == tuple(batch)
    assert content.count(b"\n") == len(batch)
    described = planned(3, tuple(batch), content)
    assert (described.objects, described.digest) == (len(batch), batch_digest(content))


@pytest.mark.parametrize("content", [b"{}\n", b"no json\n", b'{"key":"a","over":null,"put":null}\n'])
def test_a_malformed_batch_is_not_read(content: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="a stored batch is malformed"):
        decode_changes(content)


# --- documents ---------------------------------------------------------------------------------------------------

BATCH = PlannedBatch(number=0, digest=Digest("b" * 64), objects=2, bytes=5)
PLAN = InPlacePlan(
    repository=RepositoryName("alpha"),
    state=StateId("1" * 64),
    manifest_root=Digest("2" * 64),
    source=Location(bucket="a-bucket"),
    before=StateId("3" * 64),
    before_generation=7,
    content_root=Digest("4" * 64),
    objects=3,
    bytes=30,
    unchanged=2,
    put=1,
    put_bytes=5,
    hide=1,
    revoked=(),
    reinstated=(),
    archived=0,
    thaw=None,
    quarantined=True,
    batches=(BATCH,),
)


def test_a_plan_is_read_back_by_its_digest_and_says_whether_hosts_could_write() -> None:
    assert InPlacePlan.parse(PLAN.canonical()) == PLAN
    assert PLAN.model_copy(update={"quarantined": False}).digest != PLAN.digest


@pytest.mark.parametrize("wrong", [{"unchanged": 3}, {"hide": 2}, {"batches": ()}])
def test_a_plan_that_does_not_add_up_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        InPlacePlan.model_validate({**PLAN.model_dump(), **wrong})


def a_result(**changes: object) -> PutBackResult:
    values: dict[str, object] = {
        "plan": PLAN.digest,
        "execution": "tuesday",
        "number": 0,
        "batch": BATCH.digest,
        "written_bytes": 5,
        "done": (Done(key=ObjectKey("a"), version_id=VersionId("v"), written=True),),
        "troubles": (trouble(ObjectKey("b"), Kind.FAILED, "denied"),),
    }
    return PutBackResult.model_validate({**values, **changes})


def test_a_result_counts_for_its_batch_of_its_execution_and_if_it_speaks_of_every_key() -> None:
    assert a_result().is_of(PLAN, "tuesday", BATCH)
    assert not a_result().is_of(PLAN, "wednesday", BATCH)
    assert not a_result(number=1).is_of(PLAN, "tuesday", BATCH)
    assert not a_result(troubles=()).is_of(PLAN, "tuesday", BATCH)
    damaged = (trouble(ObjectKey("a"), Kind.DAMAGED, "damaged"),)
    assert not a_result(troubles=damaged).is_of(PLAN, "tuesday", BATCH)

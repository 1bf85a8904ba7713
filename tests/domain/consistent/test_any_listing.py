"""Whatever a listing holds, the rules end, and say what they say in sentences of people."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.consistent.check import judge
from functions.domain.findings import Acknowledgement, unacknowledged
from functions.domain.values import ListedVersion
from tests.builders import keys, sha256
from tests.domain.consistent.cases import KMS, Known, case, hide, ordered, point, put, versions

LEGACY = f"key/{sha256('x')}"
some_keys = st.one_of(
    keys, st.sampled_from(["config", "data/", "/", "a//config", "locks/", LEGACY, "x/config", f"keys/{sha256('k')}"])
)
listings = st.lists(
    st.builds(
        lambda key, age, marker, size, etag: (
            hide(key, age) if marker else put(key, age, size=size, etag=etag, version_id=f"{age}")
        ),
        some_keys,
        st.integers(-1, 90),
        st.booleans(),
        st.sampled_from([0, 31, 32, 5 * 2**40]),
        st.sampled_from(["", "a" * 32, "b" * 32, "c" * 32 + "-3"]),
    ),
    max_size=30,
    unique_by=lambda entry: (entry.key, entry.last_modified),
).map(ordered)
points = st.lists(
    st.builds(point, st.integers(-1, 60), snapshots=st.integers(0, 9), data=st.integers(0, 10**12), busy=st.booleans()),
    max_size=9,
).map(lambda found: tuple(sorted(found, key=lambda each: each.cut_time)))


@settings(max_examples=300, deadline=None)
@given(
    listings,
    listings,
    points,
    st.one_of(st.none(), points),
    st.sampled_from([{}, {"kms_key": KMS}]),
    st.integers(0, 80),
)
def test_the_rules_end_and_everything_they_say_can_be_read_and_acknowledged_exactly(
    entries: list[ListedVersion],
    before: list[ListedVersion],
    known: Any,
    approved: Any,
    how: dict[str, object],
    kept_cut: int,
) -> None:
    reference = {version.key: version for version in versions(before)}.values()
    baseline = Known(
        points=known, approved=approved[-1] if approved else None, reference=tuple(reference), old=tuple(reference)
    )
    kept: dict[str, Any] = {"kept": [tuple(reference)], "kept_cut": kept_cut}
    judged = judge(case(entries, baseline=baseline, settings=how, object_lock=False, **kept))
    ranks = ["FAIL", "HOLD", "NOTE"]
    assert [ranks.index(each.severity) for each in judged] == sorted(ranks.index(each.severity) for each in judged)
    for finding in judged:
        assert finding.what
        assert finding.remedy
    known_now = [
        Acknowledgement(each.id, shown.key, frozenset(shown.version_ids)) for each in judged for shown in each.evidence
    ]
    for finding in unacknowledged(judged, known_now):
        assert all(each.standing for each in finding.evidence)

"""Two states have the same root exactly when they hold the same."""

from dataclasses import replace

from hypothesis import assume, given

from functions.domain.roots import content_of, content_root, manifest_root
from functions.domain.values import ObjectVersion
from tests.builders import pack, states, version


def test_the_roots_of_an_empty_state_differ_from_each_other() -> None:
    assert manifest_root([]) != content_root([])


def test_the_manifest_root_covers_key_version_and_size_and_nothing_else() -> None:
    entry = version(pack("a"), version_id="1", size=7)
    root = manifest_root([entry])
    assert manifest_root([replace(entry, size=8)]) != root
    assert manifest_root([version(pack("a"), version_id="2", size=7)]) != root
    assert manifest_root([version(pack("b"), version_id="1", size=7)]) != root
    assert manifest_root([replace(entry, etag="x", storage_class="GLACIER")]) == root


def test_the_content_root_is_the_same_for_a_copy_with_other_version_ids() -> None:
    original, copy = version(pack("a"), version_id="1"), version(pack("a"), version_id="2", written=99)
    assert content_root(content_of([original])) == content_root(content_of([copy]))


def test_moving_bytes_between_neighbouring_fields_changes_the_root() -> None:
    assert manifest_root([version("ab", version_id="c")]) != manifest_root([version("a", version_id="bc")])


@given(states, states)
def test_different_states_have_different_roots(one: list[ObjectVersion], other: list[ObjectVersion]) -> None:
    assume([(v.key, v.version_id, v.size) for v in one] != [(v.key, v.version_id, v.size) for v in other])
    assert manifest_root(one) != manifest_root(other)

"""Order, paging and prefixes of listings: what a cut is made from."""

import pytest

from tests.contract.backends import Backend
from tests.contract.reading import entries, page, put, refused
from tests.contract.rules import rule

ODD_KEYS = ["a b+c", "a%20b", "a&b<c>", "a/b", "ä", "100%", "\u00fc", "tab\there", "\ufb01", "\U0001f600"]


@rule(moto="lists versions and markers apart")
def test_versions_and_markers_of_a_key_are_listed_newest_first_even_of_one_second(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    written: list[tuple[str, bool]] = []
    for _ in range(4):
        written.append((put(s3, bucket, "config"), False))
        written.append((s3.delete_object(Bucket=bucket, Key="config")["VersionId"], True))
    listed = entries(s3, bucket)
    assert [(entry.version_id, entry.is_marker) for entry in listed] == written[::-1]
    assert [entry.is_latest for entry in listed] == [True] + [False] * 7


@rule()
def test_keys_are_listed_by_their_utf8_bytes(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    # In UTF-16, as some servers compare, the emoji would come before the ligature.
    keys = ["a", "a!", "a/b", "aB", "ab", "\u00e9", "\ufb01", "\U0001f600"]
    for key in reversed(keys):
        put(s3, bucket, key)
    assert [entry.key for entry in entries(s3, bucket)] == sorted(keys, key=str.encode)


@rule(moto="does not encode a + or a %")
@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_url_encoded_listing_gives_back_every_key_exactly(backend: Backend, key: str) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, key)
    assert [(entry.key, entry.version_id) for entry in entries(s3, bucket)] == [(key, version)]


@rule(moto="lists versions and markers apart")
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_paging_in_the_middle_of_a_key_loses_and_repeats_nothing(backend: Backend, size: int) -> None:
    s3, bucket = backend.s3, backend.bucket()
    for key in ("alpha", "beta", "gamma delta"):
        for _ in range(2):
            put(s3, bucket, key)
            s3.delete_object(Bucket=bucket, Key=key)
    whole = entries(s3, bucket)
    assert len(whole) == 12
    assert entries(s3, bucket, MaxKeys=size) == whole


@rule()
def test_a_page_that_ends_inside_a_key_says_at_which_version(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    versions = [put(s3, bucket, "config") for _ in range(3)]
    first = page(s3, bucket, MaxKeys=2)
    assert first.is_truncated
    assert first.markers["KeyMarker"] == "config"
    rest = page(s3, bucket, **first.markers)
    assert [entry.version_id for entry in rest.entries] == [versions[0]]


@rule(
    moto="leaves no marker where nothing was, so the rule has nothing to list", embedded="gives pages as large as asked"
)
def test_a_page_holds_a_thousand_entries_at_most(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    # Hiding what does not exist is the quickest way to many entries.
    for start in (0, 1000):
        objects = [{"Key": f"{number:05d}"} for number in range(start, start + 1000)]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})  # type: ignore[typeddict-item]
    first = page(s3, bucket, MaxKeys=2000)
    assert (len(first.entries), first.is_truncated) == (1000, True)
    assert len(entries(s3, bucket)) == 2000


@rule()
def test_a_prefix_is_compared_with_the_whole_key_and_not_with_folders(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    for key in ("repo", "repo-b/config", "repo/config", "repo/data/00/aa", "report"):
        put(s3, bucket, key)
    assert [entry.key for entry in entries(s3, bucket, Prefix="repo/")] == ["repo/config", "repo/data/00/aa"]
    assert len(entries(s3, bucket, Prefix="repo")) == 5
    assert entries(s3, bucket, Prefix="repo/", MaxKeys=1) == entries(s3, bucket, Prefix="repo/")


@rule(moto="accepts it", embedded="accepts it", ceph="accepts it")
def test_a_version_marker_without_a_key_marker_is_refused(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    version = put(s3, bucket, "config")
    with refused("InvalidArgument"):
        s3.list_object_versions(Bucket=bucket, VersionIdMarker=version)


@rule()
@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_a_plain_listing_shows_current_objects_only_and_pages(backend: Backend, operation: str) -> None:
    s3, bucket = backend.s3, backend.bucket()
    for number in range(5):
        put(s3, bucket, f"key {number}")
        put(s3, bucket, f"key {number}", b"again")
    s3.delete_object(Bucket=bucket, Key="key 1")
    pages = s3.get_paginator(operation).paginate(  # type: ignore[call-overload]
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )
    found = [(entry["Key"], entry["Size"]) for one in pages for entry in one.get("Contents", [])]
    assert found == [("key 0", 5), ("key 2", 5), ("key 3", 5), ("key 4", 5)]


@rule()
def test_start_after_excludes_itself(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    for key in ("a", "b", "c"):
        put(s3, bucket, key)
    answer = s3.list_objects_v2(Bucket=bucket, StartAfter="a")
    assert [entry["Key"] for entry in answer["Contents"]] == ["b", "c"]


@rule()
def test_a_delimiter_rolls_keys_up_to_common_prefixes(backend: Backend) -> None:
    s3, bucket = backend.s3, backend.bucket()
    for key in ("config", "data/00/aa", "data/01/bb", "keys/cc"):
        put(s3, bucket, key)
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [entry["Key"] for entry in answer["Contents"]] == ["config"]
    assert [entry["Prefix"] for entry in answer["CommonPrefixes"]] == ["data/", "keys/"]

"""Values for tests, with everything that a test does not care about filled in."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle

from hypothesis import strategies as st

from functions.domain.columns import Columns
from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion, VersionId

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """`seconds` after noon of the day on which most tests happen."""
    return NOON + timedelta(seconds=seconds)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pack(text: str) -> ObjectKey:
    """The key of a pack whose bytes are `text`."""
    name = sha256(text)
    return ObjectKey(f"data/{name[:2]}/{name}")


def named(folder: str, text: str) -> ObjectKey:
    """The key of a snapshot, index, key or lock file whose bytes are `text`."""
    return ObjectKey(f"{folder}/{sha256(text)}")


def version(
    key: str, *, written: float = -3600.0, version_id: str | None = None, size: int = 100, etag: str = "", **rest: str
) -> ObjectVersion:
    """A version written `written` seconds after noon."""
    return ObjectVersion(
        key=ObjectKey(key),
        version_id=VersionId(version_id or f"v{written:+.0f}"),
        size=size,
        last_modified=at(written),
        etag=etag or hashlib.md5(key.encode(), usedforsecurity=False).hexdigest(),
        storage_class=rest.get("storage_class", "STANDARD"),
    )


def marker(key: str, *, written: float) -> DeleteMarker:
    return DeleteMarker(ObjectKey(key), VersionId(f"m{written:+.0f}"), at(written))


def listing(*entries: ListedVersion) -> list[ListedVersion]:
    """`entries` in S3's order; of two entries of one key and one second, the one given first is the newer."""
    return sorted(entries, key=lambda entry: (entry.key.encode(), -entry.last_modified.timestamp()))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
hex_names = st.binary(min_size=32, max_size=32).map(bytes.hex)
restic_keys = st.one_of(
    st.just("config"),
    hex_names.map(lambda name: f"data/{name[:2]}/{name}"),
    st.builds(lambda folder, name: f"{folder}/{name}", st.sampled_from(["keys", "snapshots", "index"]), hex_names),
)
keys = st.one_of(restic_keys, texts, hex_names.map(lambda name: f"data/00/{name}"))
instants = st.datetimes(datetime(2006, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - given its zone below
    lambda naive: naive.replace(microsecond=0, tzinfo=UTC)
)
versions = st.builds(
    ObjectVersion,
    key=keys.map(ObjectKey),
    version_id=st.one_of(texts, st.text("abc", min_size=1024, max_size=1024)).map(VersionId),
    size=st.integers(0, 5 * 2**40),
    last_modified=instants,
    etag=st.one_of(st.just(""), st.binary(min_size=16, max_size=16).map(bytes.hex), texts),
    storage_class=st.sampled_from(["STANDARD", "GLACIER", "SOMETHING_NEW"]),
)


def in_key_order(entries: list[ObjectVersion]) -> list[ObjectVersion]:
    return sorted(entries, key=lambda entry: entry.key.encode())


states = st.lists(versions, max_size=30, unique_by=lambda entry: entry.key).map(in_key_order)

packs = st.builds(
    ObjectVersion,
    key=hex_names.map(lambda name: ObjectKey(f"data/{name[:2]}/{name}")),
    version_id=st.text("abc._", min_size=32, max_size=32).map(VersionId),
    size=st.integers(0, 5 * 2**40),
    last_modified=instants,
    etag=st.binary(min_size=16, max_size=16).map(bytes.hex),
    storage_class=st.just("STANDARD"),
)
"""What nearly all of a repository is: all keys, version ids and ETags of one length."""
restic_states = st.lists(st.one_of(packs, packs, packs, versions), max_size=30, unique_by=lambda entry: entry.key).map(
    in_key_order
)
"""Runs of packs, and now and then something else between them."""


def in_blocks(entries: Sequence[ObjectVersion], lengths: Sequence[int]) -> list[Columns]:
    """`entries` as columns, cut into blocks of these lengths (at least 1), again and again."""
    blocks, start = [], 0
    for length in cycle(lengths or [1]):
        if start >= len(entries):
            break
        blocks.append(Columns.of(entries[start : start + length]))
        start += length
    return blocks


block_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=5)

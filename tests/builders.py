"""Values for tests, with everything that a test does not care about filled in."""

import hashlib
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

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

"""The ports that touch S3 keep the promises of their docstrings, in memory and over boto3 alike."""

from datetime import UTC

import pytest

from functions.domain.ports import TargetDenied, TargetGone, TargetMissing
from functions.domain.restic import FileType
from functions.domain.state import Head
from functions.domain.values import (
    DeleteMarker,
    ObjectKey,
    ObjectVersion,
    RepositoryName,
    StateId,
    VersionGone,
    VersionId,
    Versioning,
)
from tests.builders import at, sha256
from tests.contract.ports import Ports

ODD = [ObjectKey(key) for key in ("a b+c", "a%20b", "config", "data/00/\U0001f600", "data/00/\ufb01", "x&<y>")]


def listed(ports: Ports, bucket: str, prefix: str = "") -> list[ObjectVersion]:
    return [entry for entry in ports.lister(bucket, prefix).versions() if isinstance(entry, ObjectVersion)]


def test_a_lister_gives_relative_keys_in_s3s_order_with_the_newest_entry_first(ports: Ports) -> None:
    bucket = ports.bucket()
    ports.put(bucket, "repo-b/config")
    expected: list[tuple[str, VersionId, type]] = []
    for key in sorted(ODD, key=str.encode):
        first = ports.put(bucket, f"repo/{key}", b"first")
        marker = ports.hide(bucket, f"repo/{key}")
        second = ports.put(bucket, f"repo/{key}", b"second one")
        expected += [(key, second, ObjectVersion), (key, marker, DeleteMarker), (key, first, ObjectVersion)]
    entries = list(ports.lister(bucket, "repo/").versions())
    assert [(entry.key, entry.version_id, type(entry)) for entry in entries] == expected
    assert {entry.size for entry in entries if isinstance(entry, ObjectVersion)} == {5, 10}
    assert all(entry.last_modified.tzinfo is UTC and entry.last_modified.microsecond == 0 for entry in entries)


def test_blocks_hold_what_is_listed_whatever_was_expected(ports: Ports) -> None:
    bucket = ports.bucket()
    for key in (*ODD, "data/80/80000000", "data/80/8000", "index/0", "snapshots/f", "z"):
        ports.put(bucket, f"repo/{key}")
        ports.hide(bucket, f"repo/{key}")
        ports.put(bucket, f"repo/{key}", b"second one")
    lister = ports.lister(bucket, "repo/")
    entries = list(lister.versions())
    for expected in (None, {}, {FileType.PACK: 16_000}, {FileType.PACK: 90_000, FileType.SNAPSHOT: 90_000}):
        blocks = list(lister.blocks(expected))
        assert all(map(len, blocks))
        assert [entry for block in blocks for entry in block.entries()] == entries
    assert len(entries) == 3 * 11


def test_a_listed_version_carries_its_etag_without_quotes_and_its_class(ports: Ports) -> None:
    bucket = ports.bucket()
    ports.put(bucket, "config", b"bytes")
    (version,) = listed(ports, bucket)
    assert (version.etag, version.storage_class) == ("4b3a6218bb3e3a7303e8a171a60fcf92", "STANDARD")


def test_an_empty_bucket_is_an_empty_listing(ports: Ports) -> None:
    assert list(ports.lister(ports.bucket()).versions()) == []


def test_a_configuration_tells_the_clock_the_versioning_and_the_lock(ports: Ports) -> None:
    locked, plain, off = ports.bucket(object_lock=True), ports.bucket(), ports.bucket(versioning=False)
    before = ports.configuration(plain).now()
    assert (before.tzinfo, before.microsecond) == (UTC, 0)
    ports.put(plain, "config")
    (version,) = listed(ports, plain)
    assert before <= version.last_modified <= ports.configuration(plain).now()
    seen = ports.configuration(plain).versioning()
    assert version.last_modified <= seen.at <= ports.configuration(plain).now()
    assert [ports.configuration(bucket).versioning().status for bucket in (locked, plain, off)] == [
        Versioning.ENABLED,
        Versioning.ENABLED,
        Versioning.OFF,
    ]
    assert [ports.configuration(bucket).object_lock() for bucket in (locked, plain, off)] == [True, False, False]


def test_a_reader_reads_exactly_the_pinned_version(ports: Ports) -> None:
    bucket = ports.bucket()
    pinned = ports.put(bucket, "repo/a b+c", b"p" * 3_000_000)
    ports.put(bucket, "repo/a b+c", b"garbage")
    ports.hide(bucket, "repo/a b+c")
    assert b"".join(ports.reader(bucket, "repo/").read(ObjectKey("a b+c"), pinned)) == b"p" * 3_000_000


def test_a_reader_says_when_a_version_is_gone_or_a_marker(ports: Ports) -> None:
    bucket = ports.bucket()
    gone = ports.put(bucket, "config")
    ports.put(bucket, "config")
    marker = ports.hide(bucket, "config")
    ports.destroy(bucket, "config", gone)
    for version_id in (gone, marker):
        with pytest.raises(VersionGone):
            b"".join(ports.reader(bucket).read(ObjectKey("config"), version_id))


def test_a_ranged_reader_reads_a_part_of_exactly_the_pinned_version(ports: Ports) -> None:
    bucket = ports.bucket()
    pinned = ports.put(bucket, "repo/a b+c", b"0123456789")
    empty = ports.put(bucket, "repo/empty", b"")
    ports.put(bucket, "repo/a b+c", b"garbage that is longer")
    ports.hide(bucket, "repo/a b+c")
    ranges = ports.ranges(bucket, "repo/").read_range
    asked = [(0, 10), (3, 4), (9, 1), (0, 0), (10, 0), (8, 100), (10, 5), (1000, 1)]
    read = [ranges(ObjectKey("a b+c"), pinned, offset, length) for offset, length in asked]
    assert read == [b"0123456789", b"3456", b"9", b"", b"", b"89", b"", b""]
    assert ranges(ObjectKey("empty"), empty, 0, 1) == b""


def test_a_ranged_reader_says_when_a_version_is_gone_or_a_marker(ports: Ports) -> None:
    bucket = ports.bucket()
    gone = ports.put(bucket, "config", b"bytes")
    ports.put(bucket, "config", b"newer")
    marker = ports.hide(bucket, "config")
    ports.destroy(bucket, "config", gone)
    for key, version_id in (("config", gone), ("config", marker), ("never there", gone)):
        with pytest.raises(VersionGone):
            ports.ranges(bucket).read_range(ObjectKey(key), version_id, 0, 1)


def test_a_target_is_listed_by_its_current_objects_and_between_bounds(ports: Ports) -> None:
    bucket = ports.bucket()
    for key in ODD:
        ports.put(bucket, f"into/{key}", key.encode())
    ports.put(bucket, "elsewhere")
    ports.put(bucket, "into/hidden")
    ports.hide(bucket, "into/hidden")
    everything = [(key, len(key.encode())) for key in sorted(ODD, key=str.encode)]
    lister = ports.target_lister(bucket, "into/")
    assert list(lister.objects()) == everything
    for first in range(len(everything)):
        for last in range(first, len(everything)):
            bounds = (everything[first][0], everything[last][0])
            assert list(lister.objects(*bounds)) == everything[first : last + 1]


def test_a_target_that_does_not_exist_says_so(ports: Ports) -> None:
    source = ports.bucket()
    ports.put(source, "config", b"bytes")
    (version,) = listed(ports, source)
    with pytest.raises(TargetMissing):
        list(ports.target_lister("no-such-bucket-anywhere").objects())
    with pytest.raises(TargetMissing):
        ports.copier(source, "no-such-bucket-anywhere").copy(version)


def test_a_denied_target_says_which_action_was_denied(ports: Ports) -> None:
    source, target = ports.bucket(), ports.bucket()
    ports.put(source, "config", b"bytes")
    (version,) = listed(ports, source)
    limited = ports.limited(source, ["s3:GetObjectVersion"])
    with pytest.raises(TargetDenied, match="s3:ListBucket"):
        list(limited.target_lister(target).objects())
    with pytest.raises(TargetDenied, match="s3:PutObject"):
        limited.copier(source, target).copy(version)
    with pytest.raises(TargetDenied, match="s3:GetObject"):
        limited.target_reader(target).stored_sha256(ObjectKey("config"))


def test_a_copy_takes_the_pinned_version_and_proves_its_bytes(ports: Ports) -> None:
    source, target = ports.bucket(), ports.bucket()
    # As restic writes: without a checksum of S3's.
    ports.put_without_checksum(source, "repo/a b+c", b"pinned")
    (version,) = listed(ports, source, "repo/")
    ports.put(source, "repo/a b+c", b"garbage")
    digest = ports.copier(source, target, "repo/", "into/").copy(version)
    assert digest == sha256("pinned")
    reader = ports.target_reader(target, "into/")
    assert reader.stored_sha256(ObjectKey("a b+c")) == digest
    assert b"".join(reader.read(ObjectKey("a b+c"))) == b"pinned"


def test_a_copy_of_a_version_that_is_gone_says_so_and_writes_nothing(ports: Ports) -> None:
    source, target = ports.bucket(), ports.bucket()
    gone = ports.put(source, "config")
    (version,) = listed(ports, source)
    ports.put(source, "config", b"newer")
    ports.destroy(source, "config", gone)
    with pytest.raises(VersionGone):
        ports.copier(source, target).copy(version)
    assert list(ports.target_lister(target).objects()) == []


def test_a_target_object_without_a_sha256_proves_nothing(ports: Ports) -> None:
    bucket = ports.bucket()
    ports.put_without_checksum(bucket, "config", b"bytes")
    assert ports.target_reader(bucket).stored_sha256(ObjectKey("config")) is None


def test_a_target_object_that_is_no_longer_there_says_so(ports: Ports) -> None:
    reader = ports.target_reader(ports.bucket())
    with pytest.raises(TargetGone):
        reader.stored_sha256(ObjectKey("config"))
    with pytest.raises(TargetGone):
        b"".join(reader.read(ObjectKey("config")))


def test_a_record_is_read_back_by_the_version_that_its_writer_was_told(ports: Ports) -> None:
    bucket = ports.bucket(object_lock=True)
    first = ports.writer(bucket).put("restores/x/plan.json", b"first")
    ports.writer(bucket).put("restores/x/plan.json", b"second")
    records = ports.records(bucket)
    assert records.get("restores/x/plan.json", first) == b"first"
    assert records.get("restores/x/plan.json") == b"second"
    with pytest.raises(VersionGone):
        records.get("restores/x/missing.json")


def test_a_head_is_anchored_once_and_never_replaced(ports: Ports) -> None:
    bucket = ports.bucket(object_lock=True)
    head = Head(
        repository=RepositoryName("alpha"),
        generation=7,
        state=StateId(sha256("state")),
        cut_time=at(0),
        recorded_at=at(5),
        busy=False,
    )
    for _ in range(2):
        ports.anchor(bucket).anchor(head)
    (anchored,) = listed(ports, bucket)
    assert anchored.key == f"heads/alpha/0000000007-{head.state}.json"
    assert ports.records(bucket).get(anchored.key) == head.canonical()

"""Whoever has the password can forge what verifies: time and memory stay bounded whatever it says."""

import hashlib
import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zstandard

from functions.domain.structure.blobs import BlobIndex
from functions.domain.structure.formats import Blob, BlobKind, IndexedPack
from functions.domain.structure.reading import Limits
from functions.domain.structure.report import Level
from tests.domain.structure.repositories import MadeByRestic, cheap_key_file, seal


@contextmanager
def at_most(megabytes: int, seconds: float) -> Iterator[None]:
    tracemalloc.start()
    started = time.monotonic()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - started < seconds
    assert peak < megabytes << 20


def zeros(gigabytes: int) -> bytes:
    """A zstd frame of so many GiB of zeros, without a content size: blocks of 128 KiB that repeat one byte."""
    block = (1 | 1 << 1 | (1 << 17) << 3).to_bytes(3, "little")
    ordinary = (0 | 1 << 1 | (1 << 17) << 3).to_bytes(3, "little") + b"\0"
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x50"
    return frame + ordinary * ((gigabytes << 13) - 1) + block + b"\0"


def test_the_bomb_is_one() -> None:
    pieces = zstandard.ZstdDecompressor().read_to_iter(zeros(1), write_size=1 << 20)
    assert sum(map(len, pieces)) == 1 << 30


@pytest.mark.parametrize("n", [1 << 20, 1 << 24, 1 << 31])
def test_a_scrypt_bomb_is_refused_before_a_derivation(repository: MadeByRestic, n: int) -> None:
    """restic takes 28 s and 1.1 GB for N = 2^20."""
    key = repository.add("keys", cheap_key_file(repository.key, N=n))
    with at_most(megabytes=60, seconds=5):
        report = repository.check()
    (refused,) = report.key_files.refused.shown
    assert (refused.subject, "cost too much" in refused.why) == (key, True)
    assert report.key_files.opened is not None


@pytest.mark.parametrize(("r", "p"), [(1 << 20, 1), (8, 1 << 20), (0, 1), (8, 0), (1 << 15, 1 << 15)])
def test_so_are_other_parameters_of_scrypt(repository: MadeByRestic, r: int, p: int) -> None:
    repository.add("keys", cheap_key_file(repository.key, r=r, p=p))
    assert repository.check().key_files.refused.count == 1


def test_no_more_key_files_are_tried_than_restic_tries(repository: MadeByRestic) -> None:
    for number in range(50):
        repository.add("keys", cheap_key_file(repository.key, str(number)))
    key_files = repository.check(limits=Limits(key_files=5)).key_files
    assert key_files.wrong_password <= 5
    assert key_files.wrong_password + key_files.not_tried + (key_files.opened is not None) == 51


@pytest.mark.parametrize("folder", ["index", "snapshots"])
def test_four_gigabytes_of_zeros_in_an_index_or_a_snapshot_are_not_read(repository: MadeByRestic, folder: str) -> None:
    key = repository.add(folder, seal(repository.key, b"\x02" + zeros(4)))
    with at_most(megabytes=300, seconds=10):
        report = repository.check()
    assert [trouble.subject for trouble in report.damaged.shown] == [key]


@pytest.mark.parametrize("uncompressed", [1 << 20, (1 << 32) - 1])
def test_four_gigabytes_of_zeros_in_a_tree_are_not_read(repository: MadeByRestic, uncompressed: int) -> None:
    key = repository.forge(zeros(4), uncompressed=uncompressed)
    for level in Level:
        with at_most(megabytes=60, seconds=10):
            report = repository.check(level)
        assert [trouble.subject for trouble in report.damaged.shown] == [key]


def test_a_frame_that_announces_four_gigabytes_gets_none_of_them(repository: MadeByRestic) -> None:
    announced = b"\x28\xb5\x2f\xfd\xe0" + (4 << 30).to_bytes(8, "little") + b"\x01\x00\x00"
    for folder in ("index", "snapshots"):
        repository.add(folder, seal(repository.key, b"\x02" + announced))
    repository.forge(announced, uncompressed=1 << 20)
    with at_most(megabytes=60, seconds=5):
        assert repository.check(Level.READ_DATA).damaged.count == 3


def test_a_deeply_nested_document_is_damage(repository: MadeByRestic) -> None:
    for folder in ("index", "snapshots"):
        repository.add(folder, seal(repository.key, b'{"packs":[' + b"[" * 1_000_000))
    repository.forge(b'{"nodes":[' + b'{"a":' * 1_000_000)
    with at_most(megabytes=60, seconds=10):
        assert repository.check().damaged.count == 3


def test_a_file_larger_than_any_that_restic_writes_is_not_read(repository: MadeByRestic) -> None:
    keys = {repository.add(folder, bytes(70_000)) for folder in ("keys",)}
    repository.add("snapshots", seal(repository.key, b"{" + b" " * 5000))
    report = repository.check(limits=Limits(snapshot=4000))
    assert {trouble.subject for trouble in report.key_files.refused.shown} == keys
    assert "was not tried" in report.damaged.shown[0].why


def test_a_tree_that_contains_itself_cannot_be_and_one_shared_by_all_is_read_once(repository: MadeByRestic) -> None:
    leaf = b'{"nodes":[]}'
    repository.forge(leaf)
    name = hashlib.sha256(leaf).hexdigest()
    wide = {"nodes": [{"name": f"d{number}", "type": "dir", "subtree": name} for number in range(20_000)]}
    before = repository.check().trees
    repository.forge(json.dumps(wide).encode())
    assert repository.check().trees == before + 1


def test_the_index_keeps_a_blob_in_less_than_a_hundred_bytes() -> None:
    blobs = 100_000

    def packs() -> Iterator[IndexedPack]:
        for number in range(blobs // 100):
            held = (Blob(BlobKind.DATA, _name(number, each), each * 1000, 1000, 3000) for each in range(100))
            yield IndexedPack(_name(number, -1), *zip(*held, strict=True))

    tracemalloc.start()
    index = BlobIndex()
    index.add(packs())
    index.close()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index) == blobs
    assert kept / blobs < 70
    assert peak / blobs < 140


def test_a_hundred_thousand_copies_of_a_blob_are_not_walked_for_each_that_needs_it() -> None:
    name = b"n" * 32
    index = BlobIndex()
    held = (Blob(BlobKind.DATA, name, offset, 40, 0) for offset in range(100_000))
    index.add([IndexedPack(b"p" * 32, *zip(*held, strict=True))])
    index.close()
    with at_most(megabytes=10, seconds=5):
        for _ in range(1000):
            assert len(index.rows(BlobKind.DATA, name)) == 64


def _name(number: int, each: int) -> bytes:
    return hashlib.sha256(f"{number} {each}".encode()).digest()

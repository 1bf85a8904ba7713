"""A repository to be restored: files on disk as the truth, uploaded into a bucket, recorded, and then attacked.

Names are those of restic: the SHA-256 of the bytes, `config` aside. Packs have 100 KB to 1 MB, so that bytes count, and
requests, too.
"""

import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from functions.domain.consistent.fold import observe
from functions.domain.cut import Cut
from functions.domain.repositories import Repository
from functions.domain.state import StateHeader
from functions.domain.values import ObjectKey, ObjectVersion, VersionId
from functions.storage.bucket import S3BucketConfiguration
from functions.storage.listing import S3VersionLister
from tests.fakes.ledger import FakeLedger
from tests.strands import cut_of, write

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Item = TypeVar("Item")
_THREADS = 16
_MADE, _FORMAT = "made.json", 2
_HIT = 20
"""One object in so many is overwritten, and one hidden, after the state was recorded."""
_QUIET = 3.0
"""Seconds without a write on either side of the cut."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What there is: `objects` in all, one in five a snapshot of some 300 bytes, as after most of a year of backups,
    and packs of `smallest` to `largest` bytes, more of them small."""

    objects: int
    smallest: int = 100_000
    largest: int = 1_000_000
    seed: int = 1


def truth(folder: Path, shape: Shape) -> Path:
    """The folder in which the repository lies as restic keeps it; made now unless this very shape is there already."""
    made, wanted = folder / _MADE, {**asdict(shape), "format": _FORMAT}
    if not made.exists() or json.loads(made.read_text()) != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        for key, content in _objects(shape):
            path = folder / "repository" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        made.write_text(json.dumps(wanted))
    return folder / "repository"


def _objects(shape: Shape) -> Iterable[tuple[str, bytes]]:
    chance = random.Random(shape.seed)
    few = {"keys": (2, 450), "index": (max(1, shape.objects // 200), 60_000), "snapshots": (shape.objects // 5, 300)}
    yield "config", chance.randbytes(155)
    for kind, (count, size) in few.items():
        for _ in range(count):
            content = chance.randbytes(size + chance.randrange(100))
            yield f"{kind}/{_name(content)}", content
    for _ in range(shape.objects - 1 - sum(count for count, _ in few.values())):
        size = round(shape.smallest * (shape.largest / shape.smallest) ** chance.random())
        content = chance.randbytes(size)
        yield f"data/{_name(content)[:2]}/{_name(content)}", content


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keys_of(repository: Path) -> dict[str, int]:
    """Sizes by key."""
    return {path.relative_to(repository).as_posix(): path.stat().st_size for path in _files(repository)}


def _files(repository: Path) -> list[Path]:
    return sorted(path for path in repository.rglob("*") if path.is_file())


def upload(s3: "S3Client", bucket: str, repository: Path) -> dict[str, VersionId]:
    """Every file; the version ids by key."""
    put: dict[str, VersionId] = {}

    def one(path: Path) -> None:
        key = path.relative_to(repository).as_posix()
        answer = s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        put[key] = VersionId(answer["VersionId"])

    _each(one, _files(repository))
    return put


@dataclass(frozen=True, slots=True)
class Recorded:
    """A bucket's state in a ledger."""

    bucket: str
    ledger: FakeLedger
    header: StateHeader
    versions: Sequence[ObjectVersion]


def record_listed(s3: "S3Client", repository: Repository, pause: Callable[[float], object] = time.sleep) -> Recorded:
    """What the bucket lists now, between two quiet times. The header's cut time is what others restore to."""
    configuration = S3BucketConfiguration(s3, repository.bucket)
    pause(_QUIET)
    cut = observe(S3VersionLister(s3, repository.bucket, "").blocks(), configuration.now()).cut
    pause(_QUIET)
    return _recorded(repository, cut)


def record_put(repository: Repository, sizes: dict[str, int], put: dict[str, VersionId], at: datetime) -> Recorded:
    """What was put into a bucket that lists no versions."""
    uploaded = at - timedelta(hours=1)
    entries = [
        ObjectVersion(ObjectKey(key), put[key], sizes[key], uploaded, "0" * 32, "STANDARD") for key in sorted(sizes)
    ]
    return _recorded(repository, cut_of(entries))


def _recorded(repository: Repository, cut: Cut) -> Recorded:
    ledger = FakeLedger()
    header = write(ledger, cut, repository=repository.repository)
    return Recorded(repository.bucket, ledger, header, tuple(cut.versions))


def attack(s3: "S3Client", bucket: str, versions: Sequence[ObjectVersion]) -> None:
    """Overwrite some, hide some, and add some that the state does not know: a restore has to go by version or time."""
    overwritten, hidden = versions[::_HIT], versions[1::_HIT]
    _each(lambda each: s3.put_object(Bucket=bucket, Key=each.key, Body=b"encrypted"), overwritten)
    _each(lambda each: s3.delete_object(Bucket=bucket, Key=each.key), hidden)
    _each(lambda each: s3.put_object(Bucket=bucket, Key=f"{each.key}.locked", Body=b"pay"), hidden)


def _each(call: Callable[[Item], object], items: Iterable[Item]) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(call, items):
            pass

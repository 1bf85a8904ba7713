"""A restic repository as S3 lists it, drawn from a seed: columns for whoever reads one, XML for whoever serves one.

Nothing in it is easier to pack or to read than in a real one. Names, ETags and version ids are random, and so are the
gaps between names in order; packs have restic's sizes; they were uploaded on the first days, and a backup a day since.
"""

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import cast

from functions.domain.columns import MARKER, Columns
from functions.domain.restic import FileType
from functions.domain.values import ObjectKey, VersionId

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
"""When the first backup began. It took three days."""
BACKUPS = 200
"""One a day after that, of ten minutes."""
LAST_BACKUP = FIRST + timedelta(days=3 + BACKUPS)
SECOND_VERSION, HIDDEN = 37, 73
"""Of each hundred packs the one that was uploaded twice, and the one that a marker hides."""
_BLOCK = 2_000
_NAMES = 1 << 256


@dataclass(frozen=True, slots=True)
class Synthetic:
    """About `versions` object versions, one in a hundred noncurrent, and a hundredth as many delete markers.

    The last backup added packs, one index and one snapshot. All else was there before.
    """

    versions: int
    seed: int = 1

    @property
    def added(self) -> int:
        """Objects of the last backup."""
        return min(1_000, self.versions // 20)

    @property
    def before(self) -> datetime:
        """An hour before the last backup."""
        return LAST_BACKUP - timedelta(hours=1)

    @property
    def after(self) -> datetime:
        """An hour after it."""
        return LAST_BACKUP + timedelta(hours=1)

    def blocks(self) -> Iterator[Columns]:
        """Everything, in S3's order."""
        if not self.versions:
            return
        count = self.by_type()
        packs = count[FileType.PACK]
        yield self._few("config", 1, "config")
        for start in range(0, packs, _BLOCK):
            yield self._packs(start, min(_BLOCK, packs - start), packs)
        yield self._few("index", count[FileType.INDEX], "index/", 3_000_000, newest=1)
        yield self._few("keys", count[FileType.KEY], "keys/", 450)
        yield self._few("snapshots", count[FileType.SNAPSHOT], "snapshots/", 300, newest=1)

    def by_type(self) -> dict[FileType, int]:
        """How many keys there are of each type, hidden ones among them."""
        snapshots, indexes = max(2, min(400, self.versions // 500)), max(2, self.versions // 5_000)
        packs = max(1, round(self.versions / 1.01) - snapshots - indexes - 3)
        return {
            FileType.CONFIG: 1,
            FileType.PACK: packs,
            FileType.INDEX: indexes,
            FileType.KEY: 2,
            FileType.SNAPSHOT: snapshots,
        }

    def _packs(self, start: int, count: int, packs: int) -> Columns:
        chance = random.Random(f"{self.seed} {start}")
        names = _names(chance, start, count, packs)
        sizes = [(1 << 24) + draw for draw in _draws(chance, 22, count)]
        columns = Columns(
            cast("list[ObjectKey]", [f"data/{name[:2]}/{name}" for name in names]),
            _version_ids(chance, count),
            sizes,
            _times(chance, count),
            _etags(chance, count),
            ["STANDARD"] * count,
        )
        packs_added = self.added - 2
        for place in range(count - 1, -1, -1):
            at = start + place
            if packs_added > 0 and at * packs_added // packs != (at + 1) * packs_added // packs:
                columns.times[place] = int(LAST_BACKUP.timestamp()) + chance.randrange(600)
            elif at % 100 == SECOND_VERSION:
                older = columns.times[place] - 60
                _insert(columns, place + 1, columns.sizes[place], older, columns.etags[place], "STANDARD", chance)
            elif at % 100 == HIDDEN:
                hidden = int(self.before.timestamp()) - chance.randrange(3_600, 86_400 * 30)
                _insert(columns, place, MARKER, max(hidden, columns.times[place]), "", "", chance)
        return columns

    def _few(self, what: str, count: int, folder: str, size: int = 155, newest: int = 0) -> Columns:
        chance = random.Random(f"{self.seed} {what}")
        keys = [what] if count == 1 else [f"{folder}{name}" for name in _names(chance, 0, count, count)]
        times = _times(chance, count)
        for place in range(newest):
            times[place] = int(LAST_BACKUP.timestamp()) + 601
        return Columns(
            cast("list[ObjectKey]", keys),
            _version_ids(chance, count),
            [size + draw for draw in _draws(chance, 6, count)],
            times,
            _etags(chance, count),
            ["STANDARD"] * count,
        )


def render(columns: Columns, key_before: str | None) -> list[bytes]:
    """Each entry as AWS writes it into a page: since 2025 with the checksum that S3 computes of every upload, and
    owners by id alone. `key_before`: of the entry before them."""
    keys = [key_before, *columns.keys]
    latest = ["true" if key != before else "false" for before, key in zip(keys, columns.keys, strict=False)]
    times = [f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S}.000Z" for time in columns.times]
    rows = zip(columns.keys, columns.version_ids, latest, times, columns.etags, columns.sizes, strict=True)
    return [
        (
            f"<DeleteMarker><Key>{key}</Key><VersionId>{version_id}</VersionId><IsLatest>{is_latest}</IsLatest>"
            f"<LastModified>{time}</LastModified><Owner><ID>{OWNER}</ID></Owner></DeleteMarker>"
            if size == MARKER
            else f"<Version><Key>{key}</Key><VersionId>{version_id}</VersionId><IsLatest>{is_latest}</IsLatest>"
            f"<LastModified>{time}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
            "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
            f"<Size>{size}</Size><Owner><ID>{OWNER}</ID></Owner><StorageClass>STANDARD</StorageClass></Version>"
        ).encode()
        for key, version_id, is_latest, time, etag, size in rows
    ]


OWNER = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
"""A canonical user id, as long as they are."""


def _names(chance: random.Random, start: int, count: int, of: int) -> list[str]:
    """Digests in order, random but for the share of all that these are."""
    low, high = _NAMES * start // of, _NAMES * (start + count) // of
    return [f"{name:064x}" for name in sorted(chance.randrange(low, high) for _ in range(count))]


def _times(chance: random.Random, count: int) -> list[int]:
    """Three in five on the first three days, the others by a backup."""
    first = int(FIRST.timestamp())
    days, seconds = _draws(chance, 18, count), _draws(chance, 20, count)
    return [
        first + second % 259_200 if day % 5 < 3 else first + 86_400 * (3 + day % BACKUPS) + second % 600
        for day, second in zip(days, seconds, strict=True)
    ]


def _draws(chance: random.Random, bits: int, count: int) -> list[int]:
    return list(map(chance.getrandbits, repeat(bits, count)))


def _etags(chance: random.Random, count: int) -> list[str]:
    digits = chance.randbytes(16 * count).hex()
    return [digits[each : each + 32] for each in range(0, len(digits), 32)]


def _version_ids(chance: random.Random, count: int) -> list[VersionId]:
    """32 characters each, as S3's are."""
    text = base64.b64encode(chance.randbytes(24 * count), b"._").decode()
    return cast("list[VersionId]", [text[each : each + 32] for each in range(0, len(text), 32)])


def _insert(
    columns: Columns, place: int, size: int, time: int, etag: str, storage_class: str, chance: random.Random
) -> None:
    """Another entry of the key that is at `place`, or just before it."""
    columns.keys.insert(place, columns.keys[place if size == MARKER else place - 1])
    columns.version_ids.insert(place, _version_ids(chance, 1)[0])
    columns.sizes.insert(place, size)
    columns.times.insert(place, time)
    columns.etags.insert(place, etag)
    columns.classes.insert(place, storage_class)

"""Weeks of a large repository, drawn from a seed: what S3 lists of it, and what each state names.

A backup a day adds packs, and `restic forget --prune` hides as many. Every key is found again by its place alone, so
that nothing has to be kept: a listing of ten million versions takes the memory of one block of keys.
"""

import base64
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain, repeat
from typing import cast

from functions.domain.values import DeleteMarker, ListedVersion, Listing, ObjectKey, ObjectVersion, VersionId

DAY = timedelta(days=1)
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = 8
"""Days before the oldest state. What was hidden on them, no kept state names."""
_LOTS = 256
_STAYS = 255
"""The lot of every second key, so that a backup adds the 512th part of all, and a prune hides as many: from one state
to the next 0.4 % of the entries change."""
_BLOCK = 4096
_NEVER = 255


@dataclass(frozen=True, slots=True)
class Life:
    """`versions` packs were ever uploaded, and `states` states (at most 100) recorded, one at the end of each day."""

    versions: int
    states: int
    seed: int = 1

    @property
    def now(self) -> datetime:
        """An hour after the last state."""
        return self.cut_time(self.states - 1) + timedelta(hours=1)

    def cut_time(self, state: int) -> datetime:
        return FIRST_DAY + (BEFORE + state) * DAY

    @property
    def days(self) -> int:
        """From the first upload to the last state."""
        return BEFORE + self.states - 1

    def listing(self) -> Listing:
        """Every version and marker, as S3 lists them."""
        days = self._days()
        return chain.from_iterable(block.listed(self.seed, days) for block in self._blocks())

    def spans(self) -> Iterator[tuple[ObjectVersion, int, int]]:
        """Every version that a state names, with the first state that does and the first one after that does not."""
        for block in self._blocks():
            for version, born, hidden in zip(block.versions, block.born, block.hidden, strict=True):
                first, end = max(0, born - BEFORE + 1), min(self.states, hidden - BEFORE + 1)
                if end > 0:
                    yield version, first, end

    def hidden_before(self, at: datetime) -> int:
        """How many versions are hidden by a marker that is older."""
        days = [day for day, noon in enumerate(self._days()) if noon < at]
        return sum(block.hidden.count(day) for block in self._blocks() for day in days)

    def _days(self) -> list[datetime]:
        """Noon of each day: when backups and prunes run."""
        return [self.cut_time(0) - (BEFORE - day - 0.5) * DAY for day in range(self.days)]

    def _blocks(self) -> "Iterator[_Block]":
        days = self._days()
        for start in range(0, self.versions, _BLOCK):
            yield self._block(start, min(_BLOCK, self.versions - start), days)

    def _block(self, start: int, count: int, days: list[datetime]) -> "_Block":
        chance = random.Random(f"{self.seed} {start}")
        names = bytearray(chance.randbytes(32 * count))
        # The first 32 bits ascend with the place, which puts the keys in order; the others are random.
        heads = array("I", [(place << 32) // self.versions for place in range(start, start + count)])
        heads.byteswap()
        head = heads.tobytes()
        for place in range(4):
            names[place::32] = head[place::4]
        digits, etags = names.hex(), chance.randbytes(16 * count).hex()
        born_on, hidden_on = _days_by_lot(self.days)
        lots = bytearray(chance.randbytes(count))
        lots[1::2] = bytes([_STAYS]) * (count // 2)
        each_name = [digits[each : each + 64] for each in range(0, len(digits), 64)]
        keys = cast("list[ObjectKey]", [f"data/{name[:2]}/{name}" for name in each_name])
        versions = map(
            ObjectVersion,
            keys,
            _version_ids(chance, count),
            array("I", chance.randbytes(4 * count)),
            map(days.__getitem__, lots.translate(born_on)),
            [etags[each : each + 32] for each in range(0, len(etags), 32)],
            repeat("STANDARD"),
        )
        return _Block(start, list(versions), bytes(lots.translate(born_on)), bytes(lots.translate(hidden_on)))


@dataclass(frozen=True, slots=True)
class _Block:
    """A run of keys, with the days on which each was uploaded and hidden."""

    start: int
    versions: list[ObjectVersion]
    born: bytes
    hidden: bytes

    def listed(self, seed: int, days: list[datetime]) -> list[ListedVersion]:
        found: list[ListedVersion] = []
        hidden = [place for place, day in enumerate(self.hidden) if day != _NEVER]
        last = 0
        for place, marker_id in zip(
            hidden, _version_ids(random.Random(f"{seed} {self.start} markers"), len(hidden)), strict=True
        ):
            found += self.versions[last:place]
            found.append(DeleteMarker(self.versions[place].key, marker_id, days[self.hidden[place]]))
            last = place
        return found + self.versions[last:]


@cache
def _days_by_lot(days: int) -> tuple[bytes, bytes]:
    """For each lot on which day a key is uploaded, 0 for most, and on which it is hidden; never both."""
    later = range(1, days)
    born = bytes([*later, *repeat(0, _LOTS - len(later))])
    hidden = bytes([*repeat(_NEVER, len(later)), *later, *repeat(_NEVER, _LOTS - 2 * len(later))])
    return born, hidden


def _version_ids(chance: random.Random, count: int) -> list[VersionId]:
    """32 characters each, as S3's are."""
    text = base64.b64encode(chance.randbytes(24 * count), b"._").decode()
    # A call of a NewType for each would be a tenth of the whole.
    return cast("list[VersionId]", [text[each : each + 32] for each in range(0, len(text), 32)])

"""What becomes of each object of a batch: copied or there already, proven, and tried again where a failure passes."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from threading import Event

from functions.domain.batches import sha256_of
from functions.domain.ports import (
    Archived,
    PinnedReader,
    RetentionReader,
    RetentionSetter,
    TargetGone,
    TargetReader,
    Thawer,
    ThawRefused,
    VersionCopier,
)
from functions.domain.restore.proof import Comparison, Kind, Trouble, compare, trouble
from functions.domain.restore.target import ARCHIVE_CLASSES, TOO_LARGE_TO_PROVE, can_be_proven
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionGone
from functions.environment import RESTORE_THREADS

ROUNDS = 3
"""How often what failed for a passing reason is tried again, after all others had their turn."""
_LONGEST_PAUSE = 4.0
"""Seconds before the first of them; twice as long before each further one."""
_DAY = timedelta(days=1)


class StillFrozen(Exception):
    """Objects of the batch are not back from their archive class; the workflow asks again. No result was written."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one object."""

    copied: bool
    trouble: Trouble | None = None
    passing: bool = False
    """What troubles it may pass."""
    frozen: bool = False
    """It is on its way back from an archive class; there is nothing to tell of it yet."""

    def after(self, before: "Settled | None") -> "Settled":
        """The same, where an earlier try came to `before`."""
        if before is None or not before.copied:
            return self
        told = self.trouble
        if told is not None and told.kind is Kind.FAILED and not self.copied:
            told = told.model_copy(update={"kind": Kind.UNPROVEN})
        return replace(self, copied=True, trouble=told)


class TooLarge(Exception):
    """An object has no SHA-256 and is too large to be read back."""


@dataclass(frozen=True, slots=True)
class Locking:
    """Keeps what is in the target locked for as long as was asked."""

    now: datetime
    until: datetime
    reader: TargetReader
    retentions: RetentionReader
    setter: RetentionSetter

    def keep(self, key: ObjectKey) -> None:
        """A lock that ends less than a day sooner is left alone. Raises LockRefused, TargetGone."""
        version_id = self.reader.version(key)
        held = self.retentions.retention(key, version_id)
        if held is not None and held.holds(self.now) and held.until >= self.until - _DAY:
            return
        self.setter.lock(key, version_id, self.until)


@dataclass(frozen=True, slots=True)
class ObjectCopier:
    """Brings one object of a state into the target, and proves it."""

    pinned: PinnedReader
    reader: TargetReader
    copier: VersionCopier
    thawer: Thawer | None = None
    """None: nobody asked to thaw anything."""
    locking: Locking | None = None
    """None: nobody asked for locks."""
    passes: Callable[[BaseException], bool] = lambda _error: False
    """Whether a failure is of a kind that passes."""

    def settle(self, version: ObjectVersion, size_there: int | None) -> Settled:
        """`size_there` is the size of what the target holds under this key, None where it holds nothing.

        Whatever goes wrong with one object is told in its result: it must not cost the proof of the others.
        """
        try:
            if size_there == version.size:
                there = self._compare(version, self._there(version))
                if there is not Comparison.DIFFERENT:
                    return self._locked(version, Settled(copied=False, trouble=_damage(version, there)))
        except TargetGone:
            pass
        except Exception as error:  # noqa: BLE001 - see the docstring
            return self._failed(version, error)
        return self._copy(version)

    def _copy(self, version: ObjectVersion) -> Settled:
        try:
            computed = self.copier.copy(version)
        except Exception as error:  # noqa: BLE001 - as in settle
            return self._failed(version, error)
        try:
            found = computed or self._read_back(version)
            comparison = self._compare(version, found)
        except Exception as error:  # noqa: BLE001 - as in settle
            return Settled(True, trouble(version.key, Kind.UNPROVEN, error), passing=self.passes(error))
        if comparison is Comparison.DIFFERENT:
            why = f"the copy's SHA-256 is {found}, which is not that of the pinned version"
            return Settled(copied=True, trouble=trouble(version.key, Kind.FAILED, why))
        return self._locked(version, Settled(copied=True, trouble=_damage(version, comparison)))

    def _locked(self, version: ObjectVersion, settled: Settled) -> Settled:
        """What is right in the target is locked as was asked. A lock that was sent with a copy is seen before it is
        believed: there are servers that drop it, or carry the source's along."""
        if self.locking is None:
            return settled
        try:
            self.locking.keep(version.key)
        except Exception as error:  # noqa: BLE001 - as in settle
            why = trouble(version.key, Kind.FAILED, f"it is right, but S3 does not lock it ({error})")
            return replace(settled, trouble=why, passing=self.passes(error.__cause__ or error))
        return settled

    def _failed(self, version: ObjectVersion, error: Exception) -> Settled:
        """Nothing was copied."""
        match error:
            case VersionGone():
                return Settled(copied=False, trouble=trouble(version.key, Kind.MISSING, error))
            case TooLarge():
                return Settled(copied=False, trouble=trouble(version.key, Kind.UNPROVEN, error))
            case Archived():
                return self._thaw(version)
        return Settled(False, trouble(version.key, Kind.FAILED, error), passing=self.passes(error))

    def _thaw(self, version: ObjectVersion) -> Settled:
        if self.thawer is None:
            why = "it lies in an archive class, where nobody can copy it; ask for the restore again with --thaw"
            return Settled(copied=False, trouble=trouble(version.key, Kind.FAILED, why))
        try:
            # Also of what was asked for before the first copy: S3 says so, and it costs nothing.
            self.thawer.thaw(version)
        except ThawRefused as refused:
            why = f"it lies in an archive class, and does not come back: {refused}"
            return Settled(copied=False, trouble=trouble(version.key, Kind.FAILED, why))
        except Exception as error:  # noqa: BLE001 - as in settle
            return self._failed(version, error)
        return Settled(copied=False, frozen=True)

    def _there(self, version: ObjectVersion) -> Digest:
        return self.reader.stored_sha256(version.key) or self._read_back(version)

    def _read_back(self, version: ObjectVersion) -> Digest:
        if not can_be_proven(version.key, version.size):
            raise TooLarge(TOO_LARGE_TO_PROVE)
        return self.reader.sha256(version.key)

    def _compare(self, version: ObjectVersion, found: Digest) -> Comparison:
        return compare(version.key, found, lambda: sha256_of(self.pinned.read(version.key, version.version_id)))


def _damage(version: ObjectVersion, comparison: Comparison) -> Trouble | None:
    if comparison is not Comparison.DAMAGED:
        return None
    why = "damaged in the state: its bytes do not have the SHA-256 of its name; the copy is exact"
    return trouble(version.key, Kind.DAMAGED, why)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Goes through a batch, and again through what failed for a passing reason."""

    threads: int = RESTORE_THREADS
    pause: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    """From 0 to 1."""

    def settle(
        self, copier: ObjectCopier, versions: Sequence[ObjectVersion], there: Mapping[ObjectKey, int]
    ) -> list[Settled]:
        """What became of each of `versions`, in their order; `there` is what the target lists. Raises StillFrozen."""
        sizes = [there.get(version.key) for version in versions]
        settled: dict[int, Settled] = {}
        # What lies in an archive class comes first: while some of it is not back, little else is asked of S3.
        waiting = sorted(range(len(versions)), key=lambda place: versions[place].storage_class not in ARCHIVE_CLASSES)
        with ThreadPoolExecutor(self.threads) as pool:
            for turn in range(ROUNDS + 1):
                if turn and waiting:
                    self.pause(self.chance() * _LONGEST_PAUSE * 2 ** (turn - 1))
                for place, found in _once(pool, self.threads, copier, versions, sizes, waiting):
                    settled[place] = found.after(settled.get(place))
                waiting = [place for place in waiting if settled[place].passing]
                for place in waiting:
                    if settled[place].copied:
                        # It was written, and is to be read again, not written again.
                        sizes[place] = versions[place].size
        return [settled[place] for place in range(len(versions))]


def _once(
    pool: ThreadPoolExecutor,
    threads: int,
    copier: ObjectCopier,
    versions: Sequence[ObjectVersion],
    sizes: Sequence[int | None],
    places: Sequence[int],
) -> Iterator[tuple[int, Settled]]:
    """Each of `places` with what became of it, in no order. Raises StillFrozen as soon as one of them is."""
    frozen = Event()
    # All threads take from it, each its next one: a future for each object would cost more than its signature.
    remaining = iter(places)

    def work(_: int) -> list[tuple[int, Settled]]:
        done: list[tuple[int, Settled]] = []
        for place in remaining:
            if frozen.is_set():
                break
            found = copier.settle(versions[place], sizes[place])
            if found.frozen:
                frozen.set()
            done.append((place, found))
        return done

    done = list(pool.map(work, range(min(threads, len(places)))))
    if frozen.is_set():
        raise StillFrozen("objects are still on their way back from their archive class; nothing is told of them")
    return chain.from_iterable(done)

"""Fetches pinned versions into a directory: many at once, hashed as they are written, compared before they get a name.

What is a proof here: where restic's name promises the SHA-256 of the bytes, that the bytes that were written have it.
`config` and keys that are not restic's promise nothing. A length and an ETag prove little: under KMS, an ETag is no
hash. So such a version is read twice, and both must agree; and where a check of content read it before, its bytes must
be the ones that were seen first. The same is said of a restore to a bucket: equal to those of the pinned version.

Security rules:
- A file gets its name after its bytes were compared; what is not the state's never has one.
- What is damaged in the state already is written exactly as it is, and told: twice read, twice the same.
- A disk that is full or broken stops all at once; so does S3, if nothing of it can be read any more.
"""

import hashlib
import random
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Condition, Event, Lock, Thread
from typing import Protocol, TypeVar

from functions.domain.ports import NotRead
from functions.domain.restic import promised_sha256
from functions.domain.restore.directory import Tally
from functions.domain.restore.proof import Comparison, Kind, Trouble, compare, trouble
from functions.domain.restore.rate import RateLimit
from functions.domain.restore.target import Examples
from functions.domain.values import Digest, ObjectVersion, VersionGone
from functions.storage.directory import DiskFailed, RestoredDirectory
from functions.storage.downloads import ReadRefused
from functions.storage.wires import PIECE

Result = TypeVar("Result")

ROUNDS = 3
"""How often what failed for a passing reason is asked for again, each time after a longer pause."""
_PAUSE = 2.0
"""Seconds, the longest before the first of them; five times as long before each further one."""
IN_A_ROW = 50
"""So many objects one after another that cannot be read: then the others cannot either, and it stops."""
_LOOK = 0.2
"""Seconds between two looks at how far it is."""


class Source(Protocol):
    """Needs s3:GetObjectVersion."""

    def read(self, version: ObjectVersion, piece: int) -> Iterator[bytes | memoryview]:
        """The bytes of exactly this version, at most `piece` at once; a piece is gone when the next one is taken.

        Raises VersionGone; ReadRefused; and, at any piece, NotRead when it may work another time.
        """
        ...


Sighted = Callable[[ObjectVersion], Digest | None]
"""The SHA-256 that a check of content saw first, of a version whose name promises none; None: no check did."""


@dataclass(slots=True)
class Progress:
    """How far it is."""

    stage: str
    objects: int
    bytes: int
    done_objects: int = 0
    done_bytes: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Pacing:
    """How fast, and how patiently."""

    threads: int
    limit: RateLimit | None = None
    """None: as fast as it comes."""
    pause: Callable[[float], object] | None = None
    """None: wait, unless all has stopped."""
    jitter: Callable[[], float] = random.random


@dataclass
class Fetcher:
    """Compares what is there, and fetches what is not. Reusable for one after the other, not for both at once."""

    directory: RestoredDirectory
    source: Source
    sighted: Sighted
    pacing: Pacing
    tally: Tally = field(default_factory=Tally)
    strange: Examples = field(default_factory=Examples)
    """Files whose bytes are not the state's."""

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._stop = Event()
        self._in_a_row = 0
        self._pause = self.pacing.pause or self._stop.wait

    def compare(self, there: Iterable[ObjectVersion], progress: Progress) -> Generator[Progress]:
        """Compare files that lie in the directory with the state. How far it is, now and then.

        Raises DiskFailed: what is there cannot be read.
        """
        yield from self._run(self._compare, there, progress)
        if self.tally.stopped:
            raise DiskFailed(self.tally.stopped)

    def fetch(self, missing: Iterable[ObjectVersion], progress: Progress) -> Generator[Progress]:
        """Download what is not there. How far it is, now and then; what stopped it is in the tally."""
        yield from self._run(self._fetch, missing, progress)

    # --- one after the other ------------------------------------------------------------------------

    def _run(
        self, work: Callable[[ObjectVersion, Progress], None], versions: Iterable[ObjectVersion], progress: Progress
    ) -> Generator[Progress]:
        remaining = iter(versions)
        ended = Condition()
        working = self.pacing.threads
        errors: list[BaseException] = []

        def run() -> None:
            nonlocal working
            try:
                while not self._stop.is_set() and (version := self._next(remaining)) is not None:
                    work(version, progress)
            except DiskFailed as error:
                self._stop_all(f"the disk failed: {error}")
            except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for
                errors.append(error)
                self._stop.set()
            finally:
                with ended:
                    working -= 1
                    ended.notify()

        threads = [Thread(target=run, name="download", daemon=True) for _ in range(self.pacing.threads)]
        for thread in threads:
            thread.start()
        try:
            while True:
                with ended:
                    ended.wait_for(lambda: not working, _LOOK)
                    is_over = not working
                yield progress
                if is_over:
                    break
        finally:
            # Also when the person had enough: each ends with the piece that it is at.
            if working:
                self._stop_all("it was interrupted")
            for thread in threads:
                thread.join()
            for version in remaining:
                self._tell(trouble(version.key, Kind.FAILED, "not downloaded: it was stopped before its turn"))
        if errors:
            raise errors[0]

    def _next(self, remaining: Iterator[ObjectVersion]) -> ObjectVersion | None:
        with self._lock:
            return next(remaining, None)

    def _stop_all(self, why: str) -> None:
        with self._lock:
            self.tally.stopped = self.tally.stopped or why
        self._stop.set()

    def _tell(self, one: Trouble) -> None:
        with self._lock:
            self.tally.add(one)

    # --- what is there ------------------------------------------------------------------------------

    def _compare(self, version: ObjectVersion, progress: Progress) -> None:
        found = self.directory.sha256(version.key)
        try:
            comparison = compare(version.key, found, lambda: self._hash_pinned(version))
        except VersionGone as error:
            # Nothing is left to compare with. Other bytes than the name promises are not shown to be the state's.
            with self._lock:
                if promised_sha256(version.key):
                    self.strange.note(f"{version.key!r} (other bytes)")
                else:
                    self.tally.add(trouble(version.key, Kind.MISSING, f"a file is there, and {error}"))
        except (NotRead, ReadRefused) as error:
            self._tell(trouble(version.key, Kind.UNPROVEN, f"a file is there, and was not compared: {error}"))
        else:
            with self._lock:
                if comparison is Comparison.DIFFERENT:
                    self.strange.note(f"{version.key!r} (other bytes)")
                else:
                    self.tally.skipped += 1
            if comparison is not Comparison.DIFFERENT:
                self._settle(version, comparison, found)
        with self._lock:
            progress.done_objects += 1
            progress.done_bytes += version.size

    # --- what is not --------------------------------------------------------------------------------

    def _fetch(self, version: ObjectVersion, progress: Progress) -> None:
        try:
            comparison, found = self._patiently(lambda: self._download(version))
        except VersionGone as error:
            self._failed(trouble(version.key, Kind.MISSING, error), progress)
            self._went_well()
        except (NotRead, ReadRefused) as error:
            self._failed(trouble(version.key, Kind.FAILED, f"not downloaded: {error}"), progress)
            self._went_wrong(error)
        except DiskFailed as error:
            self._failed(trouble(version.key, Kind.FAILED, f"not downloaded: {error}"), progress)
            raise
        else:
            self._went_well()
            self._settle(version, comparison, found)
            with self._lock:
                self.tally.downloaded += 1
                self.tally.downloaded_bytes += version.size
                progress.done_objects += 1
                progress.done_bytes += version.size

    def _failed(self, one: Trouble, progress: Progress) -> None:
        with self._lock:
            self.tally.add(one)
            progress.failed += 1

    def _settle(self, version: ObjectVersion, comparison: Comparison, found: Digest) -> None:
        why = ""
        if comparison is Comparison.DAMAGED:
            why = "its bytes are not what its name promises, in the state already"
        elif not promised_sha256(version.key) and self.sighted(version) not in (None, found):
            why = "its bytes are not those that a check of content saw first"
        with self._lock:
            if why:
                self.tally.add(trouble(version.key, Kind.DAMAGED, why))
            else:
                self.tally.proven += 1

    def _went_well(self) -> None:
        with self._lock:
            self._in_a_row = 0

    def _went_wrong(self, error: Exception) -> None:
        with self._lock:
            self._in_a_row += 1
            enough = self._in_a_row >= IN_A_ROW
        if enough:
            self._stop_all(f"{IN_A_ROW} objects in a row were not read, the last one because of {error}")

    def _download(self, version: ObjectVersion) -> tuple[Comparison, Digest]:
        with self.directory.partial(version.key) as file:
            hasher = hashlib.sha256()
            size = file.write(self._read(version), hasher)
            if size != version.size:
                raise NotRead(f"{size} bytes came, and the state says {version.size}")
            found = Digest(hasher.hexdigest())
            comparison = compare(version.key, found, lambda: self._hash_once(version))
            if comparison is Comparison.DIFFERENT:
                raise NotRead("it was read twice, and its bytes differed")
            file.keep()
        return comparison, found

    def _hash_pinned(self, version: ObjectVersion) -> Digest:
        return self._patiently(lambda: self._hash_once(version))

    def _hash_once(self, version: ObjectVersion) -> Digest:
        hasher = hashlib.sha256()
        for piece in self._read(version):
            hasher.update(piece)
        return Digest(hasher.hexdigest())

    def _read(self, version: ObjectVersion) -> Iterator[bytes | memoryview]:
        limit = self.pacing.limit
        if limit is None:
            yield from self.source.read(version, PIECE)
            return
        for piece in self.source.read(version, min(PIECE, limit.piece)):
            # What came is paid for before the next is taken: the server then waits, too.
            if (seconds := limit.pause(len(piece))) > 0:
                self._pause(seconds)
            yield piece

    def _patiently(self, attempt: Callable[[], Result]) -> Result:
        """What `attempt` returns, at the latest after ROUNDS further tries. Raises what the last one did."""
        longest = _PAUSE
        for _ in range(ROUNDS):
            try:
                return attempt()
            except NotRead:
                if self._stop.is_set():
                    raise
                self._pause(longest * self.pacing.jitter())
                longest *= 5
        return attempt()

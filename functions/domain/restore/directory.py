"""A restore to a directory: which keys can be its files, what it may hold before, and how the download ended.

Keys are whatever a host chose to upload. Security rules:
- A state with a key that would leave the directory, or that cannot be a file of its own there, is refused as a whole
  before the first download: `..`, an absolute path, an empty part, NUL, a part over 255 bytes, a key that is another's
  folder, keys that a filesystem would take for one.
- What the directory holds beforehand must be a part of this same state, byte for byte. Nothing is overwritten.
- Nothing is called restored unless each object is proven and what lies on the disk has the state's content root.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Self

from pydantic import Field, model_validator

from functions.domain.columns import Columns
from functions.domain.documents import Document, Instant
from functions.domain.restic import digests_of_packs
from functions.domain.restore.proof import Kind, Trouble, trouble
from functions.domain.restore.report import Outcome
from functions.domain.restore.request import RestoreRefused
from functions.domain.restore.target import Examples
from functions.domain.roots import content_root
from functions.domain.values import Digest, ObjectKey, RepositoryName, StateId

FOLDERS = ("data", "index", "keys", "locks", "snapshots")
"""What restic's local backend expects beside `config`; it makes `data/00` to `data/ff` itself when it writes there."""
LONGEST_NAME = 255
"""Bytes of a part of a path, on the filesystems there are."""

PARTIAL = re.compile(r"\.rwm-partial-[0-9a-f]{16}")
"""A file that is not whole yet. Whoever finds one may remove it, so that no key can be named like that."""

NAMED = 10_000
"""Objects that a report names at most: of a million that were not downloaded, the others are counted."""


def partial_name(random: str) -> str:
    """`random`: 16 hex digits."""
    return f".rwm-partial-{random}"


def why_no_file(key: ObjectKey) -> str | None:
    """Why `key` can be no file beneath a directory, whatever else there is; None: it can."""
    parts = key.split("/")
    troubles = {
        "holds a NUL": "\0" in key,
        "is absolute, or has an empty part": not all(parts),
        "has a part that is . or ..": "." in parts or ".." in parts,
        "is named like a file that is not whole yet": any(PARTIAL.fullmatch(part) for part in parts),
        "is the name of one of restic's folders": key in FOLDERS,
        f"has a part of over {LONGEST_NAME} bytes": any(len(part.encode()) > LONGEST_NAME for part in parts),
    }
    return next((why for why, is_so in troubles.items() if is_so), None)


class FileNames:
    """Whether all keys of a state can be files of one directory. It is fed them in key order, and holds few of them."""

    def __init__(self, *, folds: bool) -> None:
        """`folds`: the filesystem takes names for one that differ only in upper and lower case, or in how Unicode
        writes the same letters."""
        self._folds = folds
        self._above: list[ObjectKey] = []
        """Keys that the last one begins with, and that one: all that could be a folder of the next."""
        self._spelled: dict[str, str] = {}
        """With `folds`: each path, whole or of a folder, as it was spelled first."""
        self._unfit = Examples()

    def feed(self, keys: Sequence[ObjectKey]) -> None:
        if not self._folds and digests_of_packs(keys) is not None:
            # Packs are files, and none of them is beneath another: only what came before the first can be its folder.
            self._check_folders(keys[0])
            self._above = [keys[-1]]
            return
        for key in keys:
            if (why := why_no_file(key)) is not None:
                self._add(key, why)
            self._check_folders(key)
            if self._folds:
                self._check_spelling(key)

    def refuse(self) -> None:
        """Raises RestoreRefused if there was any key that cannot be a file."""
        if self._unfit.count:
            raise RestoreRefused(
                f"{self._unfit.count} key(s) of the state cannot be files of a directory: {self._unfit}; nothing was "
                "written; restore to a bucket, where they can be"
            )

    def _add(self, key: ObjectKey, why: str) -> None:
        self._unfit.note(f"{key!r} {why}")

    def _check_folders(self, key: ObjectKey) -> None:
        # In key order, all keys that begin with another come directly after it.
        while self._above and not key.startswith(self._above[-1]):
            self._above.pop()
        for above in self._above:
            if key.startswith(f"{above}/"):
                self._add(above, f"is a folder of {key!r}")
        self._above.append(key)

    def _check_spelling(self, key: ObjectKey) -> None:
        for path in _paths(key):
            first = self._spelled.setdefault(unicodedata.normalize("NFD", path).casefold(), path)
            if first != path:
                self._add(key, f"is, on this filesystem, the same as {first!r}")
                return


def _paths(key: ObjectKey) -> Iterator[str]:
    """Each folder of `key`, and itself."""
    at = key.find("/")
    while at >= 0:
        yield key[:at]
        at = key.find("/", at + 1)
    yield key


# --- what the directory holds ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Something that lies in the directory."""

    path: bytes
    """Relative, parts with / between them."""
    size: int | None
    """Bytes of a regular file; None for anything else, which is no folder either: a link, a device, a socket."""
    folder: bool = False


@dataclass(slots=True)
class Held:
    """What of the state lies in the directory, by name and size. The bytes are yet to be seen."""

    there: bytearray = field(default_factory=bytearray)
    """For each entry of the state, in key order: 1 if a file of its size is there."""
    files: int = 0
    """That are there."""
    bytes: int = 0
    missing_bytes: int = 0
    """Of the entries that are not there."""
    strange: Examples = field(default_factory=Examples)
    """What is not a part of the state."""


def held_of(found: Iterable[OnDisk], blocks: Iterable[Columns]) -> Held:
    """`found` by the bytes of their paths, `blocks` in key order."""
    result = Held()
    remaining = iter(found)
    next_found = next(remaining, None)
    for block in blocks:
        for key, size in zip(block.keys, block.sizes, strict=True):
            name = key.encode()
            while next_found is not None and next_found.path < name:
                _judge_stranger(next_found, result)
                next_found = next(remaining, None)
            is_there = False
            if next_found is not None and next_found.path == name:
                is_there = _judge_namesake(next_found, key, size, result)
                next_found = next(remaining, None)
            result.there.append(is_there)
            if is_there:
                result.files += 1
                result.bytes += size
            else:
                result.missing_bytes += size
    while next_found is not None:
        _judge_stranger(next_found, result)
        next_found = next(remaining, None)
    return result


def _judge_namesake(found: OnDisk, key: ObjectKey, size: int, result: Held) -> bool:
    if found.folder:
        result.strange.note(f"{key!r} (a folder, in the state a file)")
    elif found.size is None:
        result.strange.note(f"{key!r} (a link or a special file)")
    elif found.size != size:
        result.strange.note(f"{key!r} ({found.size} bytes, in the state {size})")
    else:
        return True
    return False


def _judge_stranger(found: OnDisk, result: Held) -> None:
    # A folder by itself is nothing: a restore that was stopped leaves some, and restic makes its own.
    if not found.folder:
        what = "" if found.size is not None else " (a link or a special file)"
        result.strange.note(f"{shown(found.path)!r}{what}")


def shown(path: bytes) -> str:
    """A path as a text, whatever its bytes."""
    return path.decode(errors="backslashreplace")


def refuse_strangers(strange: Examples, directory: str) -> None:
    """Raises RestoreRefused if there is any: the directory holds what this state does not."""
    if strange.count:
        raise RestoreRefused(
            f"{directory} holds {strange.count} file(s) that are not part of this state: {strange}; nothing was "
            "written; name an empty directory, or the one where a restore of this state was begun"
        )


@dataclass(frozen=True, slots=True)
class Room:
    """What a filesystem has left."""

    bytes: int
    files: int | None
    """None: it does not count them."""
    block: int
    """Bytes that the smallest file takes."""


def refuse_what_does_not_fit(room: Room, directory: str, *, size: int, files: int) -> None:
    """Raises RestoreRefused where `files` more files of `size` bytes altogether cannot be written. `size` counts each
    file to its last byte, the filesystem whole blocks: half a block more for each."""
    needed = size + files * room.block // 2
    if needed > room.bytes:
        raise RestoreRefused(
            f"{directory} has room for {room.bytes} bytes, and what is missing takes {needed}; nothing was written; "
            "make room, or name a directory on another disk"
        )
    if room.files is not None and files > room.files:
        raise RestoreRefused(
            f"the filesystem of {directory} takes {room.files} more files, and {files} are missing; nothing was "
            "written; name a directory on another filesystem"
        )


# --- how it ended ------------------------------------------------------------------------------------------


class DirectoryReport(Document):
    """How a restore to a directory ended. `incomplete` unless everything was compared and is the state's."""

    KIND: ClassVar[str] = "directory restore report"

    repository: RepositoryName
    state: StateId
    cut_time: Instant
    directory: str
    execution: str | None
    """Name of the execution of the restore workflow that kept prunes away meanwhile; None: there was none."""
    held: bool
    """It still ran at the end: no prune dropped the state, or deleted a version of it, in between."""
    began_at: Instant
    ended_at: Instant
    """Both by this machine's clock."""
    outcome: Outcome
    stopped: str | None
    """What ended it before its end, if anything did."""
    objects: int = Field(ge=0)
    """To be restored; without the key files that were revoked."""
    bytes: int = Field(ge=0)
    proven: int = Field(ge=0)
    downloaded: int = Field(ge=0)
    downloaded_bytes: int = Field(ge=0)
    skipped: int = Field(ge=0)
    """There already, read and compared: nothing was downloaded for them."""
    unproven: int = Field(ge=0)
    missing: int = Field(ge=0)
    damaged: int = Field(ge=0)
    failed: int = Field(ge=0)
    """What was not restored for any other reason, such as that it was stopped before."""
    unexpected: int = Field(ge=0)
    content_root: Digest
    """The state's, or, where revoked key files are left out, that of what remains."""
    found_content_root: Digest
    """Of what lies in the directory, from a walk through it at the end."""
    revoked: tuple[ObjectKey, ...]
    """Key files that were removed since the state, and are left out."""
    troubles: tuple[Trouble, ...]
    """In key order."""
    left_out: int = Field(ge=0)
    """Troubles that are counted and not named, because there are so many."""

    @model_validator(mode="after")
    def _is_earned(self) -> Self:
        same = self.content_root == self.found_content_root
        whole = self.proven == self.objects if self.outcome == "restored" else True
        exact = self.proven + self.damaged == self.objects
        clean = not (self.unexpected or self.missing or self.failed or self.unproven or self.stopped)
        if self.outcome != "incomplete" and not (same and whole and exact and clean):
            raise ValueError(f"a report says {self.outcome} of what was not proven")
        return self


@dataclass(slots=True)
class Tally:
    """What became of the objects, counted as it comes."""

    proven: int = 0
    downloaded: int = 0
    downloaded_bytes: int = 0
    skipped: int = 0
    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    troubles: dict[ObjectKey, Trouble] = field(default_factory=dict)
    """The first NAMED."""
    left_out: int = 0
    stopped: str | None = None
    """What ended it before its end."""

    def add(self, one: Trouble) -> None:
        """At most one for a key."""
        self.counts[one.kind] += 1
        if len(self.troubles) < NAMED:
            self.troubles[one.key] = one
        else:
            self.left_out += 1

    def saw(self, differences: Iterable[Trouble]) -> None:
        """What the walk at the end found to be other than the state, of what was not in trouble before."""
        for each in differences:
            if each.key not in self.troubles:
                self.proven -= each.kind is Kind.FAILED and self.proven > 0
                self.add(each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was to be restored."""

    repository: RepositoryName
    state: StateId
    cut_time: datetime
    objects: int
    bytes: int
    content_root: Digest
    revoked: tuple[ObjectKey, ...]
    """Key files that are left out."""


def differences(found: Mapping[ObjectKey, int], blocks: Iterable[Columns]) -> Iterator[Trouble]:
    """Where what lies in the directory (sizes in bytes) is not the state's: files that are absent, of another size, or
    too many."""
    unseen = dict(found)
    for block in blocks:
        for key, size in zip(block.keys, block.sizes, strict=True):
            there = unseen.pop(key, None)
            if there is None:
                yield trouble(key, Kind.FAILED, "it is not in the directory")
            elif there != size:
                yield trouble(key, Kind.FAILED, f"it has {there} bytes in the directory, in the state {size}")
    for key in unseen:
        yield trouble(key, Kind.UNEXPECTED, "it is in the directory, but not in the state")


def sizes_on_disk(found: Iterable[OnDisk]) -> dict[ObjectKey, int]:
    """Bytes by path, of all but folders. What is no regular file counts as one without bytes."""
    return {ObjectKey(shown(each.path)): each.size or 0 for each in found if not each.folder}


def root_on_disk(found: Iterable[OnDisk]) -> Digest:
    """The content root of what lies there; `found` by the bytes of their paths."""
    return content_root(sizes_on_disk(found).items())


def conclude(
    wanted: Wanted,
    tally: Tally,
    *,
    directory: str,
    execution: str | None,
    held: bool,
    began_at: datetime,
    ended_at: datetime,
    found_root: Digest,
) -> DirectoryReport:
    """The report. Whatever is neither proven nor in any other trouble counts as failed."""
    counts = tally.counts
    others = counts[Kind.DAMAGED] + counts[Kind.MISSING] + counts[Kind.UNPROVEN]
    failed = max(counts[Kind.FAILED], wanted.objects - tally.proven - others)
    exact = found_root == wanted.content_root
    clean = not (failed or counts[Kind.MISSING] or counts[Kind.UNPROVEN] or counts[Kind.UNEXPECTED] or tally.stopped)
    outcome: Outcome = "restored-damaged" if counts[Kind.DAMAGED] else "restored"
    return DirectoryReport(
        repository=wanted.repository,
        state=wanted.state,
        cut_time=wanted.cut_time,
        directory=directory,
        execution=execution,
        held=held,
        began_at=began_at,
        ended_at=ended_at,
        outcome=outcome if exact and clean else "incomplete",
        stopped=tally.stopped,
        objects=wanted.objects,
        bytes=wanted.bytes,
        proven=tally.proven,
        downloaded=tally.downloaded,
        downloaded_bytes=tally.downloaded_bytes,
        skipped=tally.skipped,
        unproven=counts[Kind.UNPROVEN],
        missing=counts[Kind.MISSING],
        damaged=counts[Kind.DAMAGED],
        failed=failed,
        unexpected=counts[Kind.UNEXPECTED],
        content_root=wanted.content_root,
        found_content_root=found_root,
        revoked=wanted.revoked,
        troubles=tuple(sorted(tally.troubles.values(), key=lambda each: each.key.encode())),
        left_out=tally.left_out,
    )

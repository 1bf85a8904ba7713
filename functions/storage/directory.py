"""The directory that a state is restored to, as restic's local backend lays one out.

| what | name | mode, as restic makes it |
|---|---|---|
| folder | `data/00`, `keys`, … | 0700 |
| object | its key | 0400 |
| object that is not whole yet | `.rwm-partial-` and 16 hex digits, in the folder of the object | 0400 |
| report | `DIRECTORY.rwm-report.json`, beside the directory: nothing that is not restic's lies inside | 0600 |

Security rules:
- Every name is opened from the folder that it lies in, each of them opened from the one above, the first one from the
  directory: never through a link (O_NOFOLLOW), so that nothing is read or written outside, whatever was planted.
- A file gets its key as its name when all its bytes are on the disk (fsync), and have been compared; so a file under
  its key is whole, whenever this process or the machine dies. What is not whole is removed by the next restore.
- Folders are synced once, at the end, all of them, before anything is called restored. Until then a crash of the
  machine may take the name of a file away again, and never leaves a name without the bytes, which were on the disk
  before: the next restore downloads it again. So the order within a folder does not matter, nor does a sync between.
- One restore at a time: the directory is locked (flock) as long as the process lives.
"""

import hashlib
import os
import random
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, EINVAL, ENOSPC, ENOTSUP, EWOULDBLOCK
from pathlib import Path
from threading import Lock
from typing import Protocol

from functions.domain.restore.directory import FOLDERS, PARTIAL, OnDisk, Room, partial_name, shown
from functions.domain.values import Digest, ObjectKey

if sys.platform != "win32":
    # Not there, and neither are the flags that follow no link: there, no directory is restored to.
    import fcntl

_PIECE = 1 << 20
_FOLDER_MODE, _FILE_MODE, _REPORT_MODE = 0o700, 0o400, 0o600
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_OPEN_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINKS
# Not to wait for somebody at the other end, where a pipe was planted.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_LINKS
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS
_MOST_LENT = 16
_names = random.Random(secrets.randbits(128))  # noqa: S311 - no secret is made of it


class DiskFailed(Exception):
    """The directory cannot be read or written any more; the message says why, as the system does."""


class DiskFull(DiskFailed):
    """There is no room left, or no quota."""


class DirectoryInUse(Exception):
    """Another restore has the directory."""


class NoDirectory(Exception):
    """It is none, or cannot be opened or made; nothing was written."""


class Hasher(Protocol):
    def update(self, content: bytes | memoryview, /) -> None: ...


class RestoredDirectory:
    """One directory, open and locked. Its methods may be called in many threads, but for `close`."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        """`make`: where it is not there, make it; what it lies in must be. Raises NoDirectory, DirectoryInUse."""
        if sys.platform == "win32":
            raise NoDirectory("a restore to a directory needs Linux, macOS or BSD; restore to a bucket")
        self.path = path
        try:
            if make:
                with suppress(FileExistsError):
                    path.mkdir(_FOLDER_MODE)
            # A link to the directory is the person's own choice; beneath it, there is none that is followed.
            self._root = os.open(path, _OPEN_FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise NoDirectory(f"{path}: {error.strerror}") from error
        self._lent = _Lent(self._open_folder)
        try:
            fcntl.flock(self._root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == EWOULDBLOCK:
                os.close(self._root)
                raise DirectoryInUse(f"another restore writes to {path}") from error
            # A filesystem without locks, as some networks have: nobody but the person keeps two restores apart.

    def close(self) -> None:
        self._lent.close()
        os.close(self._root)

    # --- before -------------------------------------------------------------------------------------

    def found(self) -> list[OnDisk]:
        """All that lies there but partial files, by the bytes of their paths. Raises DiskFailed."""
        with _disk():
            return sorted(self._walk(), key=lambda each: each.path)

    def prepare(self) -> None:
        """Remove what a restore that died left unfinished, and make restic's folders. Raises DiskFailed."""
        with _disk():
            for folder in self._folders():
                self._remove_partials(folder)
            for name in FOLDERS:
                os.close(self._open_folder(name.encode()))

    def folds_names(self) -> bool:
        """Whether it takes names for one that differ only in upper and lower case. Raises DiskFailed."""
        name = partial_name(f"{secrets.token_hex(6)}abcd")
        with _disk():
            os.close(os.open(name, _CREATE, _FILE_MODE, dir_fd=self._root))
            try:
                os.stat(name.upper(), dir_fd=self._root, follow_symlinks=False)
            except FileNotFoundError:
                return False
            finally:
                os.unlink(name, dir_fd=self._root)
            return True

    def room(self) -> Room:
        """Raises DiskFailed."""
        with _disk():
            return _room(os.fstatvfs(self._root))

    def sha256(self, key: ObjectKey) -> Digest:
        """Of the bytes of the file of `key`, whoever wrote it; they are on the disk then. Raises DiskFailed."""
        with _disk():
            path, _, name = key.encode().rpartition(b"/")
            with _closing(self._open_folder(path, make=False)) as folder:
                return _sha256_at(folder, name)

    # --- writing ------------------------------------------------------------------------------------

    @contextmanager
    def partial(self, key: ObjectKey) -> Iterator["PartialFile"]:
        """A new file that is to become that of `key`; unless it is kept, it is removed. Raises DiskFailed."""
        path, _, name = key.encode().rpartition(b"/")
        with _disk():
            folder = self._lent.take(path)
        try:
            with _disk():
                file = PartialFile(folder, name)
            try:
                yield file
            finally:
                file.close()
        finally:
            self._lent.give_back(path)

    def sync(self) -> None:
        """Put the names of all files and folders on the disk. Raises DiskFailed."""
        with _disk():
            for path in sorted(self._folders(), reverse=True):
                with _closing(self._open_folder(path, make=False)) as folder:
                    _sync(folder)
            with _closing(os.open(self.path.resolve().parent, _OPEN_FOLDER)) as above:
                _sync(above)

    def write_report(self, content: bytes) -> Path:
        """Put `content` beside the directory, over the report of an earlier try; where. Raises DiskFailed."""
        place = self.path.resolve()
        where = place.with_name(f"{place.name}.rwm-report.json")
        partial = place.with_name(f".{place.name}.{partial_name(secrets.token_hex(8))}")
        with _disk():
            descriptor = os.open(partial, _CREATE, _REPORT_MODE)
            try:
                _write_all(descriptor, content)
                _sync(descriptor)
                partial.replace(where)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
        return where

    # --- folders ------------------------------------------------------------------------------------

    def _open_folder(self, path: bytes, *, make: bool = True) -> int:
        """Opens each folder on the way from the one above it, following no link."""
        at = os.dup(self._root)
        for part in path.split(b"/") if path else ():
            try:
                below = _open_or_make(at, part) if make else os.open(part, _OPEN_FOLDER, dir_fd=at)
            finally:
                os.close(at)
            at = below
        return at

    def _folders(self) -> Iterator[bytes]:
        yield b""
        for each in self._walk():
            if each.folder:
                yield each.path

    def _walk(self) -> Iterator[OnDisk]:
        """In no order. What is not whole yet is left out."""
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            folder = self._open_folder(path, make=False)
            try:
                # scandir gives texts for a descriptor; the names are bytes again at once, whatever they are.
                with os.scandir(folder) as entries:
                    for entry in entries:
                        below = os.fsencode(entry.name)
                        if _is_partial(entry):
                            continue
                        below = path + b"/" + below if path else below
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(below)
                            yield OnDisk(below, None, folder=True)
                        else:
                            told = entry.stat(follow_symlinks=False)
                            yield OnDisk(below, told.st_size if stat.S_ISREG(told.st_mode) else None)
            finally:
                os.close(folder)

    def _remove_partials(self, path: bytes) -> None:
        folder = self._open_folder(path, make=False)
        try:
            with os.scandir(folder) as entries:
                partial = [entry.name for entry in entries if _is_partial(entry)]
            for name in partial:
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)


def room_for(path: Path) -> Room:
    """Where a directory would be made. Raises NoDirectory."""
    try:
        return _room(os.statvfs(path.absolute().parent))
    except OSError as error:
        raise NoDirectory(f"{path.absolute().parent}: {error.strerror}") from error


class _Lent:
    """Folders that stay open for a while: objects come in the order of their keys, so the next one often lies there.

    Safe for threads. At most _MOST_LENT are open that nobody uses.
    """

    def __init__(self, open_folder: Callable[[bytes], int]) -> None:
        self._open = open_folder
        self._lock = Lock()
        self._folders: dict[bytes, _Folder] = {}
        """The one that was taken last is the last."""

    def take(self, path: bytes) -> int:
        """Its descriptor, until it is given back. Raises OSError."""
        with self._lock:
            folder = self._folders.pop(path, None)
            if folder is None:
                self._make_room()
                folder = _Folder(self._open(path))
            self._folders[path] = folder
            folder.users += 1
            return folder.descriptor

    def give_back(self, path: bytes) -> None:
        with self._lock:
            self._folders[path].users -= 1

    def close(self) -> None:
        while self._folders:
            os.close(self._folders.popitem()[1].descriptor)

    def _make_room(self) -> None:
        idle = [path for path, folder in self._folders.items() if not folder.users]
        for path in idle[: max(0, len(idle) - _MOST_LENT + 1)]:
            os.close(self._folders.pop(path).descriptor)


@dataclass(slots=True)
class _Folder:
    descriptor: int
    users: int = 0


class PartialFile:
    """A file that is being written, under a name of its own."""

    def __init__(self, folder: int, name: bytes) -> None:
        """`folder`: open, and so until the file is closed."""
        self._folder = folder
        self._name = name
        # Nobody has to guess it: what is there already is not opened.
        self._partial = partial_name(f"{_names.getrandbits(64):016x}")
        self._kept = False
        self._descriptor = os.open(self._partial, _CREATE, _FILE_MODE, dir_fd=folder)

    def write(self, pieces: Iterable[bytes | memoryview], hasher: Hasher) -> int:
        """Write all of `pieces`, hashing them; how many bytes they were. Raises DiskFailed, and what they raise."""
        size = 0
        for piece in pieces:
            hasher.update(piece)
            with _disk():
                _write_all(self._descriptor, piece)
            size += len(piece)
        return size

    def keep(self) -> None:
        """All its bytes are right: put them on the disk, then give it its name. Raises DiskFailed."""
        with _disk():
            _sync(self._descriptor)
            os.rename(self._partial, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._kept = True

    def sha256(self) -> Digest:
        """Of its bytes, as they are read back. Raises DiskFailed."""
        with _disk():
            return _sha256_at(self._folder, self._partial.encode())

    def close(self) -> None:
        os.close(self._descriptor)
        if not self._kept:
            with suppress(OSError):
                os.unlink(self._partial, dir_fd=self._folder)


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _room(told: os.statvfs_result) -> Room:
    # Filesystems without a fixed number of inodes say 0 of 0.
    return Room(told.f_bavail * told.f_frsize, told.f_favail if told.f_files else None, told.f_frsize)


def _is_partial(entry: "os.DirEntry[str]") -> bool:
    return PARTIAL.fullmatch(entry.name) is not None and entry.is_file(follow_symlinks=False)


def _open_or_make(above: int, part: bytes) -> int:
    try:
        return os.open(part, _OPEN_FOLDER, dir_fd=above)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(part, _FOLDER_MODE, dir_fd=above)
        return os.open(part, _OPEN_FOLDER, dir_fd=above)


def _sha256_at(folder: int, name: bytes) -> Digest:
    with _closing(os.open(name, _READ, dir_fd=folder)) as descriptor:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EINVAL, "is no regular file", shown(name))
        hasher = hashlib.sha256()
        while content := os.read(descriptor, _PIECE):
            hasher.update(content)
        _sync(descriptor)
    return Digest(hasher.hexdigest())


def _write_all(descriptor: int, content: bytes | memoryview) -> None:
    written = os.write(descriptor, content)
    while written < len(content):
        # What a full disk still took; the next write says so.
        written += os.write(descriptor, memoryview(content)[written:])


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # As restic has it: some network filesystems cannot, and are not asked twice.
        if error.errno != ENOTSUP:
            raise


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f" ({shown(os.fsencode(error.filename))})" if error.filename else ""
        said = f"{error.strerror}{what}"
        if error.errno in (ENOSPC, EDQUOT):
            raise DiskFull(said) from error
        raise DiskFailed(said) from error

"""What the structural reader reads through, the bounds it keeps, and its one error.

Security rules:
- Whoever holds the repository's password can forge anything that verifies. So authenticated is not harmless:
  every size is bounded before it is read, derived, decompressed or parsed.
- An error's words never carry a password, a key or a decrypted byte.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from functions.domain.values import ObjectKey, ObjectVersion, VersionGone, VersionId


class RangedReader(Protocol):
    """Needs s3:GetObjectVersion. Called from several threads at once."""

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        """`length` bytes of exactly this version from `offset` on. Raises VersionGone.

        Both are within the size that the state gives; fewer bytes only where the version is shorter than that.
        """
        ...


class Unreadable(Exception):
    """Bytes of a repository that are not what they should be. The message says why, and quotes none of them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is read into memory of one thing. restic itself writes far less; what exceeds one is damage."""

    small_file: int = 1 << 16
    """Bytes of the config or a key file: restic's have under 1,000."""
    key_files: int = 20
    """How many key files may cost a derivation; restic tries as many."""
    scrypt_memory: int = 256 << 20
    """Bytes that scrypt takes, 128 N r: restic chooses 32 MiB, rustic 128 MiB. N = 2^20 would take 1 GiB."""
    scrypt_work: int = 1 << 24
    """N r p, which is proportional to its time: restic chooses about 2^21 for half a second."""
    snapshot: int = 16 << 20
    """Bytes of a snapshot, as stored and decompressed."""
    index: int = 128 << 20
    """Bytes of an index: restic's hold 50,000 blobs in 9 MB, but old versions wrote a single one for everything."""
    header: int = 16 << 20
    """Bytes of a pack's header, as restic bounds it."""
    tree: int = 128 << 20
    """Bytes of a tree: some 300,000 entries of one directory."""
    data: int = 128 << 20
    """Bytes of a data blob: restic's have 8 MiB at most."""
    ratio: int = 1000
    """How far an index, a snapshot or a tree over 1 MiB may have been compressed; honest JSON gives 30."""
    in_flight: int = 16
    """Reads under way at once."""
    in_flight_bytes: int = 32 << 20
    """And how many bytes they may ask for together (a single one may ask for more)."""


def read_exactly(reader: RangedReader, version: ObjectVersion, offset: int, length: int) -> bytes:
    """`length` bytes of `version` from `offset` on. Raises Unreadable when they are not there."""
    if length == 0:
        return b""
    try:
        content = reader.read_range(version.key, version.version_id, offset, length)
    except VersionGone:
        content = None
    if content is None:
        raise Unreadable(f"version {version.version_id} no longer exists")
    if len(content) != length:
        raise Unreadable(f"{len(content)} bytes came for the {length} at offset {offset}")
    return content


_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


def read_ahead(
    executor: Executor,
    limits: Limits,
    next_asked: Callable[[], tuple[int, _Asked] | None],
    answer: Callable[[_Asked], _Answer],
) -> Iterator[tuple[_Asked, _Answer | Unreadable]]:
    """`answer` of each thing asked, computed ahead in `executor`, in the order of asking.

    `next_asked` gives it with the bytes it costs, or None while there is nothing more: what was answered may
    lead to more. `limits` bounds what is under way.
    """
    under_way: deque[tuple[int, _Asked, Future[_Answer | Unreadable]]] = deque()
    weight = 0
    try:
        while True:
            while len(under_way) < limits.in_flight and (not under_way or weight < limits.in_flight_bytes):
                if (following := next_asked()) is None:
                    break
                cost, item = following
                under_way.append((cost, item, executor.submit(_outcome, answer, item)))
                weight += cost
            if not under_way:
                return
            cost, item, future = under_way.popleft()
            weight -= cost
            yield item, future.result()
    finally:
        for _, _, future in under_way:
            future.cancel()


def _outcome(answer: Callable[[_Asked], _Answer], asked: _Asked) -> _Answer | Unreadable:
    try:
        return answer(asked)
    except Unreadable as error:
        return error

"""The two calls of which a restore makes a million, without what boto3 spends on each: copying a version, and reading
an object. boto3 takes 0.8 ms of a processor for a call, and one process has one; here it is 0.02 ms.

Security rules:
- Only a plain 200 with the very answer that was expected is believed. Of anything else, be it another status, an error
  within a 200, or a connection that breaks, nothing is concluded: the caller gets None, and asks boto3, which knows
  S3's errors, its redirects, and when to ask again.
- Requests are signed with the client's own credentials, for the host that the client itself would ask; certificates are
  verified as it does (functions/storage/wires.py).
- Once S3 says that it is busy, boto3 alone asks for a while: it keeps to the pace that S3 sets.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import BotoCoreError

from functions.domain.values import Digest
from functions.storage.signing import Unsignable
from functions.storage.wires import Answer, Broken, quoted, version_query, wires_to

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Found = TypeVar("Found")
_BUSY_SECONDS = 10.0
_BUSY, _OK = 500, 200
_LARGEST_ANSWER = 1 << 16
_COPIED = re.compile(rb"\s*(<\?xml[^>]*\?>)?\s*<CopyObjectResult[ >].*</CopyObjectResult>\s*", re.DOTALL)
_ELEMENT = re.compile(rb"<(ChecksumSHA256|ChecksumType)>([^<]*)</")


class Direct:
    """Asks one bucket, with connections that it keeps open. Safe for threads."""

    def __init__(self, client: "S3Client", bucket: str, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since 1970."""
        self._wires = wires_to(client, bucket, clock)
        self._clock = clock
        self._busy_until = 0.0

    @property
    def kept(self) -> int:
        """Connections that wait for a request."""
        return self._wires.kept if self._wires else 0

    def copied(self, key: str, source: str, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        """CopyObject of `source`, as `copy_source` writes it, to `key`: the checksum's elements of the answer, by their
        names. None: nothing is known of it, not even whether it was copied."""
        return self._ask("PUT", key, "", {"x-amz-copy-source": source, **headers}, _read_copied)

    def read(self, key: str, take: Callable[[memoryview], object], version_id: str = "") -> int | None:
        """GetObject of `key`, whole: gives its bytes to `take`, a piece after the other, each good only until the next
        one comes, and returns how many there were.

        None: nothing is known of it, and what `take` got is nothing.
        """
        query = version_query(version_id) if version_id else ""
        return self._ask("GET", key, query, {}, lambda answer: _read_pieces(answer, take))

    def sha256(self, key: str) -> Digest | None:
        """That of the bytes of `key`, which are read. None: nothing is known of it."""
        hasher = hashlib.sha256()
        return Digest(hasher.hexdigest()) if self.read(key, hasher.update) is not None else None

    def close(self) -> None:
        """Close all. Nobody may be asking."""
        if self._wires:
            self._wires.close()

    def _ask(
        self, method: str, key: str, query: str, headers: Mapping[str, str], read: Callable[[Answer], Found]
    ) -> Found | None:
        """What `read` makes of a 200; None where it raises what a connection raises, and for any other answer."""
        if self._wires is None or self._clock() < self._busy_until:
            return None
        try:
            answer = self._wires.ask(method, key, query, headers)
            if answer.status >= _BUSY:
                self._busy_until = self._clock() + _BUSY_SECONDS
            if answer.status != _OK:
                answer.drop()
                return None
            return read(answer)
        except (OSError, Unsignable, BotoCoreError):
            return None


def _read_copied(answer: Answer) -> Mapping[str, str]:
    body = answer.text(_LARGEST_ANSWER)
    if not _COPIED.fullmatch(body):
        raise Broken("that is no answer to a copy")
    return {name.decode(): value.decode() for name, value in _ELEMENT.findall(body)}


def _read_pieces(answer: Answer, take: Callable[[memoryview], object]) -> int:
    for piece in answer.pieces():
        take(piece)
    return answer.length or 0


def copy_source(bucket: str, key: str, version_id: str) -> str:
    """As the header of a copy names a version."""
    return f"{bucket}/{quoted(key)}?versionId={version_id}"

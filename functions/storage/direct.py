"""The two calls of which a restore makes a million, without what boto3 spends on each: copying a version, and reading
an object. boto3 takes 0.8 ms of a processor for a call, and one process has one; here it is 0.15 ms.

Security rules:
- Only a plain 200 with the very answer that was expected is believed. Of anything else, be it another status, an error
  within a 200, or a connection that breaks, nothing is concluded: the caller gets None, and asks boto3, which knows
  S3's errors, its redirects, and when to ask again.
- Requests are signed as Signature Version 4 says, the empty body included, with the client's own credentials, for the
  host that the client itself would ask; certificates are verified as it does.
- Once S3 says that it is busy, boto3 alone asks for a while: it keeps to the pace that S3 sets.
"""

import hashlib
import hmac
import os
import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from functions.domain.values import Digest

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials
    from mypy_boto3_s3 import S3Client

Found = TypeVar("Found")
_NOTHING = hashlib.sha256(b"").hexdigest()
"""Of the body, which these requests do not have."""
_PIECE = 1 << 17
_TIMEOUT = 60.0
_BUSY_SECONDS = 10.0
_UNRESERVED = "-._~"
_LARGEST_ANSWER = 1 << 16
_LONGEST_LINE, _MOST_LINES = 1 << 14, 100
"""Of an answer's head."""
_COPIED = re.compile(rb"\s*(<\?xml[^>]*\?>)?\s*<CopyObjectResult[ >].*</CopyObjectResult>\s*", re.DOTALL)
_ELEMENT = re.compile(rb"<(ChecksumSHA256|ChecksumType)>([^<]*)</")


class Direct:
    """Asks one bucket, with connections that it keeps open. Safe for threads."""

    def __init__(self, client: "S3Client", bucket: str, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since 1970."""
        # The client knows best which host it asks for a bucket, and whether the bucket is a part of the path.
        url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}))
        self._host = url.netloc
        self._before_key = url.path.removesuffix("k")
        self._context = _context() if url.scheme == "https" else None
        self._behind_a_proxy = bool(get_environ_proxies(f"{url.scheme}://{url.netloc}"))
        self._region = client.meta.region_name
        self._credentials: Credentials = client._request_signer._credentials  # type: ignore[attr-defined]  # noqa: SLF001
        self._clock = clock
        self._idle: deque[HTTPConnection] = deque()
        self._signing_key: tuple[tuple[str | None, str], bytes] = (("", ""), b"")
        self._busy_until = 0.0

    def copied(self, key: str, source: str, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        """CopyObject of `source`, as `copy_source` writes it, to `key`: the checksum's elements of the answer, by their
        names. None: nothing is known of it, not even whether it was copied."""
        return self._ask("PUT", key, "", {"x-amz-copy-source": source, **headers}, _read_copied)

    def read(self, key: str, take: Callable[[memoryview], object], version_id: str = "") -> int | None:
        """GetObject of `key`, whole: gives its bytes to `take`, a piece after the other, each good only until the next
        one comes, and returns how many there were.

        None: nothing is known of it, and what `take` got is nothing.
        """
        query = f"versionId={quote(version_id, safe=_UNRESERVED)}" if version_id else ""
        return self._ask("GET", key, query, {}, lambda answer: _read_pieces(answer, take))

    def sha256(self, key: str) -> Digest | None:
        """That of the bytes of `key`, which are read. None: nothing is known of it."""
        hasher = hashlib.sha256()
        return Digest(hasher.hexdigest()) if self.read(key, hasher.update) is not None else None

    def close(self) -> None:
        """Close what is open and not in use."""
        while self._idle:
            self._idle.pop().close()

    def _ask(
        self,
        method: str,
        key: str,
        query: str,
        headers: Mapping[str, str],
        read: Callable[[HTTPResponse], Found],
    ) -> Found | None:
        """What `read` makes of a 200; None where it raises what a connection raises, and for any other answer."""
        if self._behind_a_proxy or self._clock() < self._busy_until:
            return None
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connection()
        kept = False
        try:
            path = self._before_key + quote(key, safe=f"/{_UNRESERVED}")
            target = f"{path}?{query}" if query else path
            connection.request(method, target, headers=self._signed(method, path, query, headers))
            answer = connection.getresponse()
            if answer.status >= 500:
                self._busy_until = self._clock() + _BUSY_SECONDS
            if answer.status != 200:
                return None
            found = read(answer)
            kept = answer.isclosed() and not answer.will_close
        except (OSError, HTTPException):
            return None
        finally:
            if kept:
                self._idle.append(connection)
            else:
                connection.close()
        return found

    def _connection(self) -> HTTPConnection:
        made = (
            HTTPConnection(self._host, timeout=_TIMEOUT)
            if self._context is None
            else HTTPSConnection(self._host, timeout=_TIMEOUT, context=self._context)
        )
        made.response_class = _Answer
        return made

    def _signed(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> dict[str, str]:
        """`headers` and those that every request has, with the signature over all of them."""
        credentials = self._credentials.get_frozen_credentials()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        everything = {**headers, "host": self._host, "x-amz-content-sha256": _NOTHING, "x-amz-date": now}
        if credentials.token:
            everything["x-amz-security-token"] = credentials.token
        names = sorted(everything)
        signed = ";".join(names)
        lines = [f"{name}:{everything[name]}" for name in names]
        request = "\n".join((method, path, query, *lines, "", signed, _NOTHING))
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = hmac.digest(
            self._key(credentials, now[:8]), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}".encode(), "sha256"
        ).hex()
        credential = f"{credentials.access_key}/{scope}"
        everything["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"
        )
        everything["user-agent"] = "rwm"
        if method == "PUT":
            everything["content-length"] = "0"
        return everything

    def _key(self, credentials: "ReadOnlyCredentials", day: str) -> bytes:
        """What signs on that day."""
        of_whom = (credentials.secret_key, day)
        known, key = self._signing_key
        if known != of_whom:
            key = f"AWS4{credentials.secret_key}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._signing_key = (of_whom, key)
        return key


class _Answer(HTTPResponse):
    """Keeps the head of an answer as words: http.client makes a mail message of it, which takes as long as all else."""

    def begin(self) -> None:
        version, self.status, self.reason = self._read_status()  # type: ignore[attr-defined]
        if version != "HTTP/1.1":
            raise HTTPException("that is another protocol")
        head: dict[str, str] = {}
        while (line := self.fp.readline(_LONGEST_LINE)) != b"\r\n":
            if not line.endswith(b"\r\n") or len(head) == _MOST_LINES:
                raise HTTPException("that is no head of an answer")
            name, _, value = line.decode("latin-1").partition(":")
            head[name.lower()] = value.strip()
        self.code, self.version, self.headers = self.status, 11, head  # type: ignore[assignment]
        self.chunked, self.chunk_left = head.get("transfer-encoding", "").lower() == "chunked", None
        told = head.get("content-length", "")
        self.length = int(told) if told.isdecimal() and not self.chunked else None
        self.will_close = "close" in head.get("connection", "").lower() or (self.length is None and not self.chunked)


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True))


def _read_copied(answer: HTTPResponse) -> Mapping[str, str]:
    body = answer.read(_LARGEST_ANSWER)
    if not answer.isclosed() or not _COPIED.fullmatch(body):
        raise HTTPException("that is no answer to a copy")
    return {name.decode(): value.decode() for name, value in _ELEMENT.findall(body)}


def _read_pieces(answer: HTTPResponse, take: Callable[[memoryview], object]) -> int:
    if answer.length is None:
        raise HTTPException("nobody says how many bytes there are")
    total = left = answer.length
    room = memoryview(bytearray(min(_PIECE, total)))
    while left:
        count = answer.readinto(room)
        if not count:
            # http.client takes a connection that was cut for the end of the bytes.
            raise HTTPException("the connection was cut")
        take(room[:count])
        left -= count
    answer.read()
    return total


def copy_source(bucket: str, key: str, version_id: str) -> str:
    """As the header of a copy names a version."""
    return f"{bucket}/{quote(key, safe=f'/{_UNRESERVED}')}?versionId={version_id}"

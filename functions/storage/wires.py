"""Connections of our own to one bucket: requests without a body over HTTP/1.1, without what boto3 does around a call.

boto3 takes 0.8 to 2 ms of a processor for each call, and all threads of a process share one. What it takes to sign a
request, send it and read the head of its answer is a twentieth of that. Who asks here knows exactly one good answer; of
any other, boto3 is asked, with its retries, redirects and errors.

Security rules:
- The server's certificate is verified as boto3 would, against the same authorities, and against its name.
- A body ends where the head of its answer said; before that, it is no body. So what an object holds never passes for
  the answer to the next request: a connection on which anything is left over is closed.
- Whatever is configured that this does not know (a proxy, a client's certificate, no verification) is boto3's.
"""

import re
import socket
import ssl
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from functions.storage.signing import Signer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE = 1 << 20
"""Bytes that are read at once: what is hashed and written without the interpreter's lock, while others run. Each time
that it is let go, another thread has to be waited for: so few pieces are better than small ones."""
NOT_PLAIN = 0
"""The status of an answer that is no such HTTP as is known here."""
_LARGEST_HEAD, _MOST_LINES, _TWICE = 1 << 14, 100, 2
_UNRESERVED = "-._~"
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LONGEST_SIZE_LINE = 64
_STATUS = re.compile(rb"HTTP/1\.1 [1-9][0-9]{2}( .*)?", re.DOTALL)
_FRAMING = re.compile(rb"^(content-length|transfer-encoding)\s*:", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"[0-9]{1,15}")


class Broken(OSError):
    """The server ended the connection before its answer, or answered something that is no plain HTTP."""


class _NoAnswer(Broken):
    """The connection ended before the first byte of an answer."""


def quoted(key: str) -> str:
    """A key as it stands in a path."""
    return quote(key, safe=f"/{_UNRESERVED}")


def version_query(version_id: str) -> str:
    return f"versionId={quote(version_id, safe=_UNRESERVED)}"


def wires_to(client: "S3Client", bucket: str, clock: Callable[[], float] = time.time) -> "Wires | None":
    """Connections to where `client` asks for `bucket`, with its credentials. None: only boto3 itself can go there.

    `clock`: seconds since 1970.
    """
    credentials: Any = getattr(getattr(client, "_request_signer", None), "_credentials", None)
    http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
    verify = getattr(http, "_verify", None)
    # The client knows best which host it asks for a bucket, and whether the bucket is a part of the path.
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    configured = getattr(client.meta.config, "proxies", None)
    proxies = get_environ_proxies(url) if configured is None else configured
    if credentials is None or not verify or getattr(http, "_cert_file", True) or proxies:
        return None
    parts = urlsplit(url)
    tls = ssl.create_default_context(cafile=str(get_cert_path(verify))) if parts.scheme == "https" else None
    timeouts = (
        getattr(client.meta.config, "connect_timeout", None) or 5.0,
        getattr(client.meta.config, "read_timeout", None) or 60.0,
    )
    signer = Signer(credentials, client.meta.region_name, parts.netloc, clock)
    where = (parts.hostname or "", parts.port or (443 if tls else 80))
    return Wires(signer, parts.path.removesuffix("k"), where, timeouts, tls)


class Wires:
    """Safe for threads: each answer has a connection of its own until its body is read, then the next one has it."""

    def __init__(
        self,
        signer: Signer,
        before_key: str,
        where: tuple[str, int],
        timeouts: tuple[float, float],
        tls: ssl.SSLContext | None,
    ) -> None:
        """`timeouts`: seconds to connect, and for each read."""
        self._signer = signer
        self.before_key = before_key
        """Of each path."""
        self.host = signer.host
        self._where = where
        self._timeouts = timeouts
        self._tls = tls
        self._idle: deque[_Wire] = deque()
        self._open: set[_Wire] = set()
        self.made = 0
        """Connections, so far."""

    @property
    def kept(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    def close(self) -> None:
        """Close all. Nobody may be using any."""
        self._idle.clear()
        for wire in list(self._open):
            wire.close()

    def ask(self, method: str, key: str, query: str = "", headers: Mapping[str, str] | None = None) -> "Answer":
        """The answer, whatever it is, of which the head was read. `query` is quoted; `headers` are signed, their names
        in lower case. The answer's body has to be read, or the answer to be dropped.

        Raises OSError; Unsignable; and what botocore raises where there are no credentials any more.
        """
        path = self.before_key + quoted(key)
        lines = self._signer.lines(method, path, query, headers or {})
        if method != "GET":
            lines.append("content-length:0")
        target = f"{path}?{query}" if query else path
        head = "\r\n".join(
            (f"{method} {target} HTTP/1.1", *lines, "user-agent:rwm", "accept-encoding:identity", "", "")
        )
        request = head.encode("ascii")
        try:
            kept = self._idle.pop()
        except IndexError:
            return self._connected().ask(request)
        try:
            return kept.ask(request)
        except (ConnectionError, _NoAnswer):
            # The server may have ended it while nobody asked.
            return self._connected().ask(request)

    def _connected(self) -> "_Wire":
        self.made += 1
        to_connect, to_read = self._timeouts
        connection = socket.create_connection(self._where, to_connect)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self._where[0])
                connection.settimeout(to_read)
            else:
                _set_timeout(connection, to_read)
        except BaseException:
            connection.close()
            raise
        return _Wire(connection, self._idle, self._open)


_BY_KERNEL = sys.platform == "linux"
"""Whether the kernel is told how long to wait. Python's own way asks it twice, before each read and for it."""


def _set_timeout(connection: socket.socket, seconds: float) -> None:
    if not _BY_KERNEL:
        connection.settimeout(seconds)
        return
    connection.settimeout(None)
    whole = int(seconds)
    value = struct.pack("@ll", whole, int((seconds - whole) * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


class _Wire:
    """One connection, and the room for what comes over it. Whoever has it is alone with it."""

    def __init__(self, connection: socket.socket, idle: "deque[_Wire]", opened: "set[_Wire]") -> None:
        """It is in `opened` until it is closed, and in `idle` as long as nobody uses it."""
        self._socket = connection
        self._idle = idle
        self._opened = opened
        opened.add(self)
        self._room = bytearray(_LARGEST_HEAD + PIECE)
        self.view = memoryview(self._room)
        # All that is wanted in one call, where there is such a one. Encrypted, it comes a record after the other.
        self._all = socket.MSG_WAITALL if _BY_KERNEL and not isinstance(connection, ssl.SSLSocket) else 0

    def close(self) -> None:
        self._opened.discard(self)
        self._socket.close()

    def keep(self) -> None:
        """For the next request."""
        self._idle.append(self)

    def ask(self, request: bytes) -> "Answer":
        """Raises OSError; then it is closed."""
        try:
            self._socket.sendall(request)
            return self._read_head()
        except BaseException:
            self.close()
            raise

    def _read_head(self) -> "Answer":
        got = 0
        while (end := self._room.find(b"\r\n\r\n", 0, got)) < 0:
            if got >= _LARGEST_HEAD:
                raise Broken("that is no head of an answer")
            if not (count := self._receive(self.view[got:], 0)):
                raise Broken("the connection was cut") if got else _NoAnswer("the connection was cut")
            got += count
        if end > _LARGEST_HEAD:
            raise Broken("that is no head of an answer")
        return Answer(self, bytes(self.view[:end]), end + 4, got)

    def fill(self, start: int, stop: int) -> None:
        """Receive bytes into the room, from `start` to `stop`. Raises OSError."""
        while start < stop:
            count = self._receive(self.view[start:stop], self._all)
            if not count:
                raise Broken("the connection was cut")
            start += count

    def more(self) -> bytes:
        """What comes next, some of it. Raises OSError."""
        count = self._receive(self.view, 0)
        if not count:
            raise Broken("the connection was cut")
        return bytes(self.view[:count])

    def _receive(self, into: memoryview, flags: int) -> int:
        try:
            return self._socket.recv_into(into, 0, flags)
        except BlockingIOError as error:
            raise TimeoutError("nothing came for too long") from error


class Answer:
    """The head of an answer, and its body, which is read once. Then its connection is for others."""

    def __init__(self, wire: _Wire, head: bytes, start: int, stop: int) -> None:
        """The body's first bytes are in the wire's room, from `start` to `stop`."""
        self._wire = wire
        self._start, self._stop = start, stop
        status, *lines = head.split(b"\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        """By their names in lower case."""
        self.status = int(status[9:12]) if _is_plain(status, lines, self.headers) else NOT_PLAIN
        told = self.headers.get(b"content-length")
        self.length = int(told) if told and self.status else None
        """Bytes of the body. None: it comes in chunks, or nobody says."""

    @property
    def ends(self) -> bool:
        """Whether the server ends the connection after it."""
        return b"close" in self.headers.get(b"connection", b"").lower()

    def drop(self) -> None:
        """Nobody reads the body."""
        self._wire.close()

    def pieces(self, most: int = PIECE) -> Iterator[memoryview]:
        """The body, at most `most` bytes at once. Each piece is gone when the next one is taken.

        Raises OSError; then, and if it is not read to its end, the connection is closed.
        """
        wire, left, most = self._wire, self.length, min(most, PIECE)
        start, got = self._start, self._stop - self._start
        whole = False
        try:
            if left is None:
                raise Broken("nobody says how many bytes there are")
            over, got = got > left, min(got, left)
            while left:
                count = min(most, left)
                if got < count:
                    if start + count > len(wire.view):
                        wire.view[:got] = wire.view[start : start + got]
                        start = 0
                    wire.fill(start + got, start + count)
                    got = count
                yield wire.view[start : start + count]
                start, got, left = start + count, got - count, left - count
                if not got:
                    start = 0
            whole = not over
        finally:
            self._done(whole)

    def text(self, most: int) -> bytes:
        """The body, whole. Raises Broken where it has more than `most` bytes; OSError."""
        whole = False
        try:
            data = bytes(self._wire.view[self._start : self._stop])
            while (body := self._body_in(data)) is None:
                if len(data) > most:
                    raise Broken("that is too much for an answer")
                data += self._wire.more()
            found, used = body
            if len(found) > most:
                raise Broken("that is too much for an answer")
            whole = used == len(data)
        finally:
            self._done(whole)
        return found

    def _body_in(self, data: bytes) -> tuple[bytes, int] | None:
        """The body, and how many bytes it took. None: there is more of it to come. Raises Broken."""
        if self.length is None:
            if self.headers.get(b"transfer-encoding", b"").lower() != b"chunked":
                raise Broken("nobody says how many bytes there are")
            return unchunked(data)
        return (data[: self.length], self.length) if len(data) >= self.length else None

    def _done(self, whole: bool) -> None:
        if whole and not self.ends:
            self._wire.keep()
        else:
            self._wire.close()


def _is_plain(status: bytes, lines: Sequence[bytes], headers: Mapping[bytes, bytes]) -> bool:
    """HTTP/1.1, and a body whose end is told in one way, once."""
    return (
        _STATUS.fullmatch(status) is not None
        and len(lines) <= _MOST_LINES
        # A space before a colon: some would take it for that header, and some for another one.
        and not any(b" :" in line for line in lines)
        and _LENGTH.fullmatch(headers.get(b"content-length", b"0")) is not None
        and not (b"content-length" in headers and b"transfer-encoding" in headers)
        and headers.get(b"content-encoding", b"identity") == b"identity"
        and (len(headers) == len(lines) or len(_FRAMING.findall(b"\n".join(lines))) < _TWICE)
    )


def unchunked(data: bytes) -> tuple[bytes, int] | None:
    """The body that `data` begins with in chunks, and how many bytes it takes. None: its end is not there yet.

    Raises Broken for anything else. Trailers are none of what S3 answers with.
    """
    body: list[bytes] = []
    at = 0
    while (end := data.find(b"\r\n", at, at + _LONGEST_SIZE_LINE)) >= 0:
        size = data[at:end].partition(b";")[0].strip()
        if not _SIZE.fullmatch(size):
            raise Broken("that is no chunk")
        start, count = end + 2, int(size, 16)
        after = data[start + count : start + count + 2]
        if len(after) < 2:
            return None
        if after != b"\r\n":
            raise Broken("that is no chunk")
        if not count:
            return b"".join(body), start + 2
        body.append(data[start : start + count])
        at = start + count + 2
    if len(data) - at >= _LONGEST_SIZE_LINE:
        raise Broken("that is no chunk")
    return None

"""The bytes of pinned versions, for whoever reads very many: asked for without what boto3 does around each call.

`get_object` takes 2 ms of a processor for each call, and all threads of a process share one: 500 small objects a second
at most. What it takes to sign a request, send it and read the head of its answer is a tenth of that. So a version is
asked for with botocore's own signer over a connection that each thread keeps. Only a plain 200 of the right version is
taken from there. Whatever else is answered, and whatever is configured that this does not know (a proxy, a client's
certificate), goes to `get_object`, with its retries, redirects and errors.

Security rules:
- The version id is in every request, and an answer of another version is none.
- The server's certificate is verified as boto3 would, against the same authorities, and against its name.
- An answer without a length, or shorter than its length, is a failure.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from functions.domain.ports import NotRead
from functions.domain.values import ObjectKey, ObjectVersion, VersionGone
from functions.storage.aws import error_code

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client

PIECE = 1 << 20
"""Bytes that are read at once: what is hashed and written without the interpreter's lock, while others run."""
_LARGEST_HEAD = 1 << 16
_GONE = ("NoSuchVersion", "NoSuchKey", "MethodNotAllowed", "404", "405")
"""MethodNotAllowed: the version is a delete marker."""
_DENIED = ("AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403")
_FINAL = (*_DENIED, "InvalidObjectState", "KMS.DisabledException", "KMS.NotFoundException", "NoSuchBucket")


class ReadRefused(Exception):
    """S3 or KMS does not give these bytes to these credentials; asking again changes nothing."""

    def __init__(self, code: str, said: str = "") -> None:
        super().__init__(f"{code}: {said}" if said else code)
        self.is_denied = code in _DENIED
        """For want of a permission, or of credentials."""


class S3Downloads:
    """Reads versions of one repository over boto3. Needs s3:GetObjectVersion; of encrypted ones also kms:Decrypt.

    In any number of threads; each keeps one connection. `close` closes all.
    """

    def __init__(self, session: "boto3.Session", client: "S3Client", bucket: str, key_prefix: str) -> None:
        """`client` was made by `session`, whose credentials are used, and renewed."""
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        self._wires = _wires_to(session, client, bucket)

    @property
    def is_direct(self) -> bool:
        """Whether it has connections of its own; otherwise everything goes through boto3."""
        return self._wires is not None

    @property
    def connections(self) -> int:
        """Of its own, made so far."""
        return self._wires.made if self._wires is not None else 0

    def use_boto3(self) -> None:
        """From now on, for everything."""
        self.close()
        self._wires = None

    def close(self) -> None:
        if self._wires is not None:
            self._wires.close()

    def read(self, version: ObjectVersion, piece: int = PIECE) -> Iterator[bytes | memoryview]:
        """The bytes of exactly this version, at most `piece` at once. Each piece is gone when the next one is taken.

        Raises VersionGone; ReadRefused; and, at any piece, NotRead when it may work another time.
        """
        try:
            if self._wires is not None:
                answer = self._wires.get(self._key_prefix + version.key, version.version_id)
                if answer is not None:
                    yield from answer.body(min(piece, PIECE))
                    return
            yield from self._read_by_boto3(version, piece)
        except (BotoCoreError, OSError) as error:
            raise NotRead(type(error).__name__) from error

    def _read_by_boto3(self, version: ObjectVersion, piece: int) -> Iterator[bytes]:
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._key_prefix + version.key, VersionId=version.version_id
            )
        except ClientError as error:
            raise _meaning(error, version.key) from error
        if answer.get("VersionId", version.version_id) != version.version_id:
            raise NotRead("AnotherVersion")
        yield from answer["Body"].iter_chunks(piece)


def _meaning(error: ClientError, key: ObjectKey) -> Exception:
    code = error_code(error)
    if code in _GONE:
        return VersionGone(f"the version of {key} that the state pins no longer exists")
    if code in _FINAL:
        return ReadRefused(code, str(error.response.get("Error", {}).get("Message", "")))
    return NotRead(code)


# --- connections of our own --------------------------------------------------------------------------------


class _Broken(OSError):
    """The server ended the connection before its answer, or answered something that is no HTTP."""


def _wires_to(session: "boto3.Session", client: "S3Client", bucket: str) -> "_Wires | None":
    """None: only boto3 itself knows how to get there."""
    credentials: Any = session.get_credentials()
    http: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
    verify = getattr(http, "_verify", None)
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x"})
    configured = getattr(client.meta.config, "proxies", None)
    proxies = get_environ_proxies(url) if configured is None else configured
    if credentials is None or not verify or getattr(http, "_cert_file", True) or proxies:
        return None
    return _Wires(client, credentials, url, str(get_cert_path(verify)))


class _Wires:
    """The connections of all threads to one bucket."""

    def __init__(self, client: "S3Client", credentials: Any, url: str, authorities: str) -> None:
        """`url`: of the key `x`. How a bucket is addressed at this endpoint is for botocore to know."""
        parts = urlsplit(url)
        self._path = parts.path.removesuffix("x")
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._host, self._port = parts.hostname or "", parts.port
        self._header = f"Host: {parts.netloc}\r\nUser-Agent: rwm\r\nAccept-Encoding: identity\r\n"
        self._tls = ssl.create_default_context(cafile=authorities) if parts.scheme == "https" else None
        self._credentials = credentials
        self._region = client.meta.region_name
        self._timeouts: tuple[float, float] = (
            getattr(client.meta.config, "connect_timeout", None) or 5,
            getattr(client.meta.config, "read_timeout", None) or 60,
        )
        self._own = threading.local()
        self._all: list[_Wire] = []
        self.made = 0
        """Connections."""

    def close(self) -> None:
        for wire in self._all:
            wire.close()

    def get(self, key: str, version_id: str) -> "_Answer | None":
        """A plain 200 of this version, or None. Raises OSError, botocore's errors."""
        target = f"{self._path}{quote(key, safe='/~')}?versionId={quote(version_id, safe='~')}"
        request = AWSRequest("GET", self._base + target)
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        asked = f"GET {target} HTTP/1.1\r\n{self._header}{headers}\r\n".encode("ascii")
        wire: _Wire = getattr(self._own, "wire", None) or self._new_wire()
        answer = wire.ask(asked)
        if answer.is_plain and answer.headers.get(b"x-amz-version-id") == version_id.encode():
            return answer
        wire.close()
        return None

    def _new_wire(self) -> "_Wire":
        wire = self._own.wire = _Wire(self._connect)
        self._all.append(wire)
        return wire

    def _connect(self) -> socket.socket:
        self.made += 1
        to_connect, to_read = self._timeouts
        port = self._port or (443 if self._tls else 80)
        connection = socket.create_connection((self._host, port), to_connect)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self._host)
            connection.settimeout(to_read)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection


class _Wire:
    """One thread's connection: HTTP/1.1 for requests without a body. It is made again where the server ended it."""

    def __init__(self, connect: Any) -> None:
        self._connect = connect
        self._socket: socket.socket | None = None
        self.buffer = memoryview(bytearray(PIECE))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def ask(self, request: bytes) -> "_Answer":
        kept = self._socket is not None
        try:
            return self._ask(request)
        except (ConnectionError, _Broken):
            self.close()
            if not kept:
                raise
        except BaseException:
            self.close()
            raise
        # What was kept may have been ended by the server while nobody asked.
        try:
            return self._ask(request)
        except BaseException:
            self.close()
            raise

    def _ask(self, request: bytes) -> "_Answer":
        if self._socket is None:
            self._socket = self._connect()
        self._socket.sendall(request)
        got = 0
        while True:
            count = self._socket.recv_into(self.buffer[got:])
            if not count:
                raise _Broken
            got += count
            start = max(0, got - count - 3)
            end = bytes(self.buffer[start : min(got, _LARGEST_HEAD)]).find(b"\r\n\r\n")
            if end >= 0:
                return _Answer(self, bytes(self.buffer[: start + end]), start + end + 4, got)
            if got >= _LARGEST_HEAD:
                raise _Broken

    def fill(self, start: int, stop: int) -> None:
        """Receive bytes into the buffer, from `start` to `stop`. Raises OSError."""
        assert self._socket is not None  # noqa: S101 - an answer has a connection
        while start < stop:
            count = self._socket.recv_into(self.buffer[start:stop])
            if not count:
                raise _Broken
            start += count


class _Answer:
    """The head of an answer, and its body, which is read once."""

    def __init__(self, wire: _Wire, head: bytes, start: int, stop: int) -> None:
        """The body's first bytes are in the wire's buffer, from `start` to `stop`."""
        self._wire = wire
        self._start, self._stop = start, stop
        status, *lines = head.split(b"\r\n")
        self.status = status
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}

    @property
    def is_plain(self) -> bool:
        """A 200 whose bytes are those of the object, as many as it says."""
        headers = self.headers
        return (
            self.status[:13] in (b"HTTP/1.1 200 ", b"HTTP/1.1 200")
            and headers.get(b"content-length", b"").isdigit()
            and b"transfer-encoding" not in headers
            and headers.get(b"content-encoding", b"identity") == b"identity"
            and headers.get(b"connection", b"keep-alive").lower() != b"close"
        )

    def body(self, piece: int) -> Iterator[memoryview]:
        """Raises OSError. Unless it is read to its end, the connection is closed."""
        wire, left = self._wire, int(self.headers[b"content-length"])
        start, got = self._start, min(self._stop - self._start, left)
        whole = False
        try:
            while left:
                count = min(piece, left)
                if got < count and start:
                    wire.buffer[:got] = wire.buffer[start : start + got]
                    start = 0
                if got < count:
                    wire.fill(start + got, start + count)
                    got = count
                yield wire.buffer[start : start + count]
                start, got, left = start + count, got - count, left - count
                if not got:
                    start = 0
            whole = True
        finally:
            if not whole or self._stop - self._start > int(self.headers[b"content-length"]):
                wire.close()

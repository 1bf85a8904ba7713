"""The strict fake behind HTTP, for clients nobody here wrote: boto3, the aws cli, the real restic.

Path-style, HTTP/1.1 with keep-alive, on a free port of the loopback interface. **Signatures are not
verified**: the access key id alone chooses the principal (it *is* the principal's name in
`FakeS3.access`), and any secret will do. Never let it listen anywhere else.

A `Crash` raised by the fake's hook cuts the connection without an answer, as a server that died would.
"""

import socket
import threading
import traceback
from contextlib import suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.fakes import s3_wire, s3_xml
from tests.fakes.faults import Crash
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_errors import InternalError, InvalidAccessKeyId, S3Error
from tests.fakes.s3_routes import answer
from tests.fakes.s3_wire import Answer

_REASONS = {200: "OK", 202: "Accepted", 204: "No Content", 206: "Partial Content", 304: "Not Modified"}


class S3Server:
    """A context manager that serves `fake` at `endpoint` while it is open."""

    def __init__(self, fake: FakeS3 | None = None) -> None:
        self.fake = fake or FakeS3()
        self.failures: list[str] = []
        """Tracebacks of what the fake itself got wrong; leaving the context raises when there are any."""
        self._server = _Listener(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fake-s3")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> int:
        """Answered so far, or about to be."""
        return self._server.requests

    def hang_up(self) -> None:
        """End every connection, as a server does with those on which nobody has asked for a while."""
        self._server.hang_up()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        if self.failures and kind is None:
            raise AssertionError("the fake failed while it served:\n" + "\n".join(self.failures))


class _Listener(ThreadingHTTPServer):
    """Knows its open connections, so that idle keep-alive clients do not outlive it."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, owner: S3Server) -> None:
        self.owner = owner
        self.requests = 0
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def next_request_id(self) -> str:
        with self._guard:
            self.requests += 1
            return f"{self.requests:016X}"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._guard:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        with self._guard:
            for connection in self._open:
                # The client may have hung up first.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads each request whole, then answers it in one write."""

    server: _Listener
    protocol_version = "HTTP/1.1"
    # Without this the two small packets of an answer wait 40 ms for each other's acknowledgement.
    disable_nagle_algorithm: ClassVar[bool] = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet: a test's story is in its assertions."""

    def _serve(self) -> None:
        request_id = self.server.next_request_id()
        try:
            self._send(self._answer(), request_id)
        except S3Error as error:
            headers = {"Content-Type": "application/xml"} | error.headers
            body = s3_xml.failure(error, self.path.partition("?")[0], request_id)
            self._send(Answer(error.status, headers, body), request_id)
        except (Crash, ConnectionError):
            self.close_connection = True
        except Exception:  # noqa: BLE001 - kept, and raised when the server is left
            self.server.owner.failures.append(traceback.format_exc())
            body = s3_xml.failure(InternalError(), self.path, request_id)
            self._send(Answer(500, {}, body), request_id)
            self.close_connection = True

    def _answer(self) -> Answer:
        fake = self.server.owner.fake
        request = s3_wire.read_request(self.command, self.path, dict(self.headers.items()), self.rfile)
        if not request.access_key:
            raise s3_wire.anonymous()
        if not fake.access.knows(request.access_key):
            raise InvalidAccessKeyId
        return answer(fake, request)

    def _send(self, reply: Answer, request_id: str) -> None:
        headers = {
            "Date": format_datetime(self.server.owner.fake.clock.second(), usegmt=True),
            "Server": "FakeS3",
            "x-amz-request-id": request_id,
            "x-amz-id-2": request_id,
        }
        if reply.status not in (204, 304):
            headers["Content-Length"] = str(len(reply.body))
        if reply.body.startswith(b"<?xml"):
            headers.setdefault("Content-Type", "application/xml")
        headers |= reply.headers
        lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.wfile.write(head if self.command == "HEAD" else head + reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - the base class's names

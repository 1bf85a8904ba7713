"""Connections of our own: what they make of chunks, of silence, and of what a client is configured with."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from functions.storage.wires import NOT_PLAIN, Broken, Wires, unchunked, wires_to
from tests.storage.test_direct import chunked, head

BUCKET = "alpha-bucket"


def wires(endpoint: str, read_timeout: float = 5, verify: bool | None = None, **config: object) -> Wires | None:
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="reader",
        aws_secret_access_key="any",
        verify=verify,
        config=Config(read_timeout=read_timeout, **({"proxies": {}} | config)),  # type: ignore[arg-type]
    )
    made = wires_to(client, BUCKET)
    client.close()
    return made


@contextmanager
def saying(*answers: bytes) -> Iterator[str]:
    """A server that gives each connection these answers, one for each request, and then waits."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        ended = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                for answer in answers:
                    connection.recv(1 << 16)
                    connection.sendall(answer)
                ended.wait(10)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            serving.join()


@given(st.lists(st.binary(min_size=1, max_size=40)), st.binary(max_size=10), st.data())
def test_chunks_are_put_together_wherever_they_are_cut(pieces: list[bytes], after: bytes, data: st.DataObject) -> None:
    whole = chunked(*pieces) + b"0\r\n\r\n"
    assert unchunked(whole + after) == (b"".join(pieces), len(whole))
    assert unchunked(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@pytest.mark.parametrize("odd", [b"x\r\n", b"-1\r\n", b"\r\n", b"2\r\nabc\r\n", b"0\r\nTrailer: x\r\n\r\n", b"f" * 70])
def test_what_are_no_chunks_is_nothing(odd: bytes) -> None:
    with pytest.raises(Broken, match="no chunk"):
        unchunked(odd)


@pytest.mark.parametrize("sent", [b"", head("Content-Length: 5"), head("Content-Length: 5") + b"byt"])
def test_whoever_says_nothing_more_is_waited_for_as_long_as_the_client_waits(sent: bytes) -> None:
    with saying(sent) as endpoint:
        asking = wires(endpoint, read_timeout=0.3)
        assert asking is not None
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            b"".join(bytes(piece) for piece in asking.ask("GET", "k").pieces())
        assert 0.2 < time.monotonic() - began < 3
        assert asking.kept == 0


def test_a_connection_is_kept_for_the_next_request_once_the_body_is_read() -> None:
    with saying(head("Content-Length: 5") + b"first", head("Content-Length: 6") + b"second") as endpoint:
        asking = wires(endpoint)
        assert asking is not None
        assert asking.ask("GET", "k").text(100) == b"first"
        assert (asking.kept, asking.made) == (1, 1)
        assert asking.ask("GET", "k").text(100) == b"second"
        assert asking.made == 1
        asking.close()
        assert asking.kept == 0


@pytest.mark.parametrize("as_pieces", [True, False], ids=["pieces", "text"])
def test_a_connection_on_which_more_came_than_was_told_is_not_kept(as_pieces: bool) -> None:
    with saying(head("Content-Length: 5") + b"bytes" + head("Content-Length: 6") + b"forged") as endpoint:
        asking = wires(endpoint)
        assert asking is not None
        answer = asking.ask("GET", "k")
        found = b"".join(bytes(piece) for piece in answer.pieces()) if as_pieces else answer.text(100)
        assert (found, asking.kept) == (b"bytes", 0)


@pytest.mark.parametrize(
    "answer",
    [
        head("Content-Length: 4", "Transfer-Encoding: chunked") + b"half",
        head("Content-Length: 4", "Content-Length: 5") + b"half",
        head("Content-Length: 4", "content-length : 5") + b"half",
        head("Content-Length: 4", "Content-Encoding: gzip") + b"half",
        head("Content-Length: " + "9" * 5000) + b"half",
        head("Content-Length: 4", status="HTTP/2 200") + b"half",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_none(answer: bytes) -> None:
    with saying(answer) as endpoint:
        asking = wires(endpoint)
        assert asking is not None
        found = asking.ask("GET", "k")
        assert (found.status, found.length) == (NOT_PLAIN, None)
        found.drop()


def test_a_header_may_come_twice_that_says_nothing_of_the_body() -> None:
    with saying(head("Vary: Origin", "Content-Length: 4", "Vary: Accept-Encoding") + b"body") as endpoint:
        asking = wires(endpoint)
        assert asking is not None
        assert asking.ask("GET", "k").text(10) == b"body"
        asking.close()


def test_what_the_client_alone_knows_how_to_reach_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    endpoint = "http://s3.example.org"
    assert wires(endpoint) is not None
    assert wires(endpoint, proxies={"http": "http://proxy.invalid:3128"}) is None
    assert wires(endpoint, client_cert="/nowhere/certificate.pem") is None
    assert wires(endpoint, verify=False) is None
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    assert wires(endpoint, proxies=None) is None
    assert wires(endpoint) is not None, "whoever configures that there is none has none"

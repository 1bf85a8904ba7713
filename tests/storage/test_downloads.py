"""Reading very many versions: over connections of its own, or over boto3, with the same bytes and the same errors."""

import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from functions.domain.ports import NotRead
from functions.domain.values import ObjectVersion, VersionGone
from functions.storage.downloads import ReadRefused, S3Downloads
from functions.storage.wires import PIECE
from tests.builders import pack, version
from tests.fakes.faults import Call, CallLog, Crash, Moment
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server

BUCKET = "alpha-bucket"
ODD = ("a b", "a+b", "a%20b", "100%", "ümlaut/ß", "日本/語", "d?q=1&r#f", "😀", "(x)'!*~", "a\\b", "x" * 1000)


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        running.fake.create_bucket(BUCKET, object_lock=True)
        running.fake.access.allow("reader", ["s3:GetObjectVersion", "s3:ListBucket"], BUCKET)
        yield running


@contextmanager
def downloads(
    endpoint: str, prefix: str = "", *, direct: bool = True, key: str = "reader", proxies: dict[str, str] | None = None
) -> Iterator[S3Downloads]:
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="any", region_name="us-east-1")
    config = Config(
        proxies=proxies or {}, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=5
    )
    client = session.client("s3", endpoint_url=endpoint, config=config)
    made = S3Downloads(client, BUCKET, prefix)
    assert made.is_direct is (not proxies)
    if not direct:
        made.use_boto3()
    try:
        yield made
    finally:
        made.close()
        client.close()


def put(s3: FakeS3, key: str, content: bytes, prefix: str = "") -> ObjectVersion:
    return version(key, version_id=s3.put(BUCKET, prefix + key, content).version_id, size=len(content))


def read(source: S3Downloads, of: ObjectVersion, piece: int = PIECE) -> bytes:
    return b"".join(bytes(each) for each in source.read(of, piece))


WAYS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "boto3"])


@WAYS
@pytest.mark.parametrize("key", ODD)
def test_the_bytes_of_a_version_under_any_key(server: S3Server, key: str, direct: bool) -> None:
    wanted = put(server.fake, key, b"bytes of it", "restic/alpha/")
    put(server.fake, key, b"written over it", "restic/alpha/")
    with downloads(server.endpoint, "restic/alpha/", direct=direct) as source:
        assert read(source, wanted) == b"bytes of it"


@WAYS
@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
def test_every_size_comes_whole_and_no_piece_is_larger_than_asked_for(
    server: S3Server, size: int, direct: bool
) -> None:
    content = os.urandom(size)
    wanted = put(server.fake, "data", content)
    with downloads(server.endpoint, direct=direct) as source:
        assert read(source, wanted) == content
        for piece in (PIECE, 700_000):
            pieces = [bytes(each) for each in source.read(wanted, piece)]
            assert b"".join(pieces) == content
            assert max(map(len, pieces), default=0) <= piece


def test_a_thousand_versions_come_over_one_connection_and_none_is_mixed_up(server: S3Server) -> None:
    wanted = [put(server.fake, pack(str(number)), str(number).encode() * (number % 50)) for number in range(300)]
    with downloads(server.endpoint) as source:
        for number, each in enumerate(wanted):
            assert read(source, each) == str(number).encode() * (number % 50)
        assert source.connections == 1


def test_what_is_not_read_to_its_end_does_not_end_up_in_the_next(server: S3Server) -> None:
    long, short = put(server.fake, "long", os.urandom(3 * PIECE)), put(server.fake, "short", b"short")
    with downloads(server.endpoint) as source:
        pieces = source.read(long, 1000)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert read(source, short) == b"short"


def test_only_what_is_asked_for_is_asked_for_and_by_its_version(server: S3Server) -> None:
    wanted = put(server.fake, "config", b"x")
    server.fake.hook = log = CallLog()
    with downloads(server.endpoint) as source:
        read(source, wanted)
    assert log.count() == {"GetObject": 1}
    assert server.requests == 1


@WAYS
def test_a_version_that_is_gone_or_a_delete_marker_is_gone(server: S3Server, direct: bool) -> None:
    gone = put(server.fake, "gone", b"x")
    server.fake.delete_version(BUCKET, "gone", gone.version_id)
    hidden = put(server.fake, "hidden", b"x")
    marker = server.fake.delete(BUCKET, "hidden").marker_version_id
    with downloads(server.endpoint, direct=direct) as source:
        for each in (gone, version("hidden", version_id=marker), version("never", version_id=gone.version_id)):
            with pytest.raises(VersionGone, match=f"the version of {each.key} that the state pins no longer exists"):
                read(source, each)
        # And the connection is of use after it.
        assert read(source, hidden) == b"x"


@WAYS
def test_what_may_not_be_read_is_refused_with_s3_s_own_word(server: S3Server, direct: bool) -> None:
    wanted = put(server.fake, "config", b"x")
    server.fake.access.allow("nobody", ["s3:ListBucket"], BUCKET)
    with (
        downloads(server.endpoint, direct=direct, key="nobody") as source,
        pytest.raises(ReadRefused, match="AccessDenied"),
    ):
        read(source, wanted)


@WAYS
def test_what_lies_in_an_archive_class_is_refused(server: S3Server, direct: bool) -> None:
    wanted = put(server.fake, "config", b"x")
    server.fake.transition(BUCKET, "config", "GLACIER")
    with downloads(server.endpoint, direct=direct) as source, pytest.raises(ReadRefused, match="InvalidObjectState"):
        read(source, wanted)


def test_a_server_that_dies_is_a_failure_that_may_pass_and_the_next_answer_is_whole(server: S3Server) -> None:
    wanted = put(server.fake, "config", b"bytes")
    alive = threading.Event()

    def die(call: Call) -> None:
        if not alive.is_set() and call.moment is Moment.BEFORE:
            raise Crash

    server.fake.hook = die
    with downloads(server.endpoint) as source:
        with pytest.raises(NotRead):
            read(source, wanted)
        alive.set()
        assert read(source, wanted) == b"bytes"


def test_a_connection_that_the_server_ended_meanwhile_is_made_again_without_a_word(server: S3Server) -> None:
    wanted = put(server.fake, "config", b"bytes")
    with downloads(server.endpoint) as source:
        assert read(source, wanted) == b"bytes"
        server.hang_up()
        assert read(source, wanted) == b"bytes"


def test_behind_a_proxy_boto3_finds_the_way(server: S3Server) -> None:
    """Whoever has one configured may have no other way out; boto3 asks it."""
    wanted = put(server.fake, "config", b"bytes")
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return _response(b"bytes", wanted.version_id)

    with _answering(answer) as proxy, downloads("http://s3.example.org", proxies={"http": proxy}) as source:
        assert read(source, wanted) == b"bytes"
    assert asked[0].startswith(b"GET http://s3.example.org/alpha-bucket/config?versionId=")


# --- answers that no S3 should give ------------------------------------------------------------------------


def _response(body: bytes, version_id: str, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body) if length is None else length}",
        f"x-amz-version-id: {version_id}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def _answering(
    answer: Callable[[bytes], bytes], wrap: Callable[[socket.socket], socket.socket] = lambda it: it
) -> Iterator[str]:
    """A server that answers each request so, and then hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), wrap(connection) as wrapped:
                request = b""
                while b"\r\n\r\n" not in request and (more := wrapped.recv(65536)):
                    request += more
                if request:
                    wrapped.sendall(answer(request))
                    wrapped.shutdown(socket.SHUT_WR)

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # Closing alone does not wake who accepts.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        serving.join()


WANTED = version("config", version_id="v1", size=5)


@pytest.mark.parametrize(
    "answer",
    [
        _response(b"byt", "v1", length=5),
        _response(b"bytes", "v2"),
        b"",
        b"220 smtp.example.org ESMTP\r\n\r\n",
        b"x" * 70_000,
        _response(b"", "v1", status="500 Internal Server Error"),
        _response(b"", "v1", status="503 Slow Down"),
    ],
    ids=["cut short", "another version", "nothing", "no HTTP", "no end of a head", "500", "503"],
)
def test_no_other_answer_passes_for_the_version(answer: bytes) -> None:
    with _answering(lambda _: answer) as endpoint, downloads(endpoint) as source, pytest.raises(NotRead):
        read(source, WANTED)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-amz-version-id: v1\r\n\r\n5\r\nbytes\r\n0\r\n\r\n",
        _response(b"bytes", "v1", "Connection: close"),
        _response(b"bytes", "v1", "X-Long: " + "x" * 9000),
        b"HTTP/1.1 200\r\ncontent-LENGTH:5\r\nX-AMZ-version-ID:   v1  \r\n\r\nbytes",
    ],
    ids=["chunked", "connection closes", "long head", "other spelling"],
)
def test_an_answer_that_is_unusual_and_right_is_read_all_the_same(answer: bytes) -> None:
    with _answering(lambda _: answer) as endpoint, downloads(endpoint) as source:
        assert read(source, WANTED) == b"bytes"


def test_more_bytes_than_were_told_of_are_not_the_objects() -> None:
    answer = _response(b"bytes and more", "v1", length=5)
    with _answering(lambda _: answer) as endpoint, downloads(endpoint) as source:
        assert read(source, WANTED) == b"bytes"


def test_what_an_object_holds_never_passes_for_the_answer_to_the_next_request() -> None:
    """Its bytes are the attacker's to choose: they may look like an answer, with a version id that he knows."""
    forged = _response(b"forged", "v2")
    answers = iter([_response(b"x" * 1000 + forged, "v1"), _response(b"right", "v2")])
    left = [b""]

    def answer(request: bytes) -> bytes:
        whole = next(answers)
        # What is left of the first answer comes when the second request is sent, wherever it is sent.
        now, left[0] = (whole[: -len(forged)], forged) if not left[0] else (whole, b"")
        return now

    with _keeping(answer, lambda: left[0]) as endpoint, downloads(endpoint) as source:
        pieces = source.read(version("first", version_id="v1", size=1000 + len(forged)), 1000)
        assert bytes(next(pieces)) == b"x" * 1000
        pieces.close()  # type: ignore[attr-defined]
        assert read(source, version("second", version_id="v2", size=5)) == b"right"


@contextmanager
def _keeping(answer: Callable[[bytes], bytes], more: Callable[[], bytes]) -> Iterator[str]:
    """A server that answers the first request of a connection so, and whatever comes after it with `more`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), connection:
                if request := connection.recv(65536):
                    connection.sendall(answer(request))
                    if connection.recv(65536):
                        connection.sendall(more())

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        serving.join()


# --- certificates ------------------------------------------------------------------------------------------


def _certificate(folder: Path, name: str) -> Path:
    """A file with a certificate for 127.0.0.1, or another address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file


@contextmanager
def _over_tls(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def wrap(connection: socket.socket) -> socket.socket:
        return context.wrap_socket(connection, server_side=True)

    with _answering(lambda _: _response(b"bytes", "v1"), wrap) as endpoint:
        yield endpoint.replace("http:", "https:")


def test_a_server_is_believed_whose_certificate_an_authority_signed_that_boto3_believes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with _over_tls(certificate) as endpoint, downloads(endpoint) as source:
        assert read(source, WANTED) == b"bytes"
        assert source.connections == 1


@pytest.mark.parametrize("what", ["of nobody", "for another name"])
def test_no_other_server_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    certificate = _certificate(tmp_path, "127.0.0.1" if what == "of nobody" else "127.0.0.2")
    if what == "for another name":
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with (
        _over_tls(certificate) as endpoint,
        downloads(endpoint) as source,
        pytest.raises(NotRead, match="SSL"),
    ):
        read(source, WANTED)

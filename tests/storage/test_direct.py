"""Copying and reading without boto3: the same requests, signed the same way; what is odd in any way is boto3's."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from functions.domain.values import ObjectKey, ObjectVersion, VersionId
from functions.storage.direct import Direct, copy_source
from functions.storage.target import S3TargetReader, S3VersionCopier
from functions.storage.wires import PIECE, wires_to
from tests.builders import sha256
from tests.fakes.faults import Call, CallLog, Crash, Moment
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_errors import AccessDenied, InternalError, NoSuchKey, S3Error, SlowDown
from tests.fakes.s3_server import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOURCE, TARGET = "the-source", "rwm-restore-here"
HEADERS = {"x-amz-checksum-algorithm": "SHA256"}
ODD = (
    *("a b", "a+b", "a%20b", "100%", "ümlaut/ß", "日本/語", "d?q=1&r#f", "😀", "(x)'!*~", "a//b", "/a", "../a"),
    "x" * 900,
)


class LateError(InternalError):
    """An error within an answer of 200, as S3 sends it once it has begun to answer."""

    status = 200


@pytest.fixture
def server() -> Iterator[S3Server]:
    fake = FakeS3()
    for bucket in (SOURCE, TARGET):
        fake.create_bucket(bucket, object_lock=True)
    with S3Server(fake) as running:
        yield running


@pytest.fixture
def client(server: S3Server) -> Iterator["S3Client"]:
    made = a_client(server.endpoint)
    yield made
    made.close()


def a_client(endpoint: str | None, token: str | None = None, attempts: int = 1, **config: str) -> "S3Client":
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="owner",
        aws_secret_access_key="any",
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": attempts}, proxies={}, **config),  # type: ignore[arg-type]
    )


@pytest.fixture
def direct(client: "S3Client") -> Iterator[Direct]:
    made = Direct(client, TARGET)
    yield made
    made.close()


def pinned(key: str, version_id: str, size: int) -> ObjectVersion:
    return ObjectVersion(ObjectKey(key), VersionId(version_id), size, datetime(2026, 1, 1, tzinfo=UTC), "", "STANDARD")


def test_an_object_is_hashed_whatever_its_size(server: S3Server, direct: Direct) -> None:
    for size in (0, 1, PIECE, PIECE + 1, 3_000_000):
        content = hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1)
        server.fake.put(TARGET, "pack", content[:size])
        assert direct.sha256("pack") == hashlib.sha256(content[:size]).hexdigest()


def test_a_version_is_read_in_pieces(server: S3Server, direct: Direct) -> None:
    old = server.fake.put(TARGET, "pack", b"12345678" * (1 << 18))
    server.fake.put(TARGET, "pack", b"newer")
    pieces: list[bytes] = []
    assert direct.read("pack", lambda piece: pieces.append(bytes(piece)), old.version_id) == 1 << 21
    assert b"".join(pieces) == old.body
    assert len(pieces) > 1


def test_keys_are_asked_for_as_they_are(server: S3Server, direct: Direct) -> None:
    for key in ODD:
        version = server.fake.put(SOURCE, f"from/{key}", key.encode())
        assert direct.copied(f"into/{key}", copy_source(SOURCE, f"from/{key}", version.version_id), HEADERS)
        assert server.fake.get(TARGET, f"into/{key}").body == key.encode()
        assert direct.sha256(f"into/{key}") == sha256(key)


def test_a_copy_tells_the_checksum_that_s3_computed(server: S3Server, direct: Direct) -> None:
    version = server.fake.put(SOURCE, "config", b"hello")
    told = direct.copied("config", copy_source(SOURCE, "config", version.version_id), HEADERS)
    assert told is not None
    assert told["ChecksumType"] == "FULL_OBJECT"
    assert told["ChecksumSHA256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="


# --- what is odd is boto3's ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [AccessDenied, NoSuchKey, SlowDown, InternalError, LateError])
def test_of_anything_but_the_expected_answer_nothing_is_believed(
    server: S3Server, direct: Direct, error: type[S3Error]
) -> None:
    version = server.fake.put(SOURCE, "config", b"hello")

    def fail(_: Call) -> None:
        raise error

    server.fake.hook = fail
    assert direct.copied("config", copy_source(SOURCE, "config", version.version_id), HEADERS) is None
    assert direct.sha256("config") is None or error is LateError


def test_an_error_within_a_200_is_an_error_and_is_tried_again(server: S3Server) -> None:
    """CopyObject answers 200 as soon as it begins; that it failed, the body says."""
    version = server.fake.put(SOURCE, "config", b"hello")
    client = a_client(server.endpoint, attempts=3)
    direct = Direct(client, TARGET)
    late: list[str] = []

    def fail(call: Call) -> None:
        if call.operation == "CopyObject" and call.moment is Moment.BEFORE and len(late) < 2:
            late.append(call.resource)
            raise LateError

    server.fake.hook = fail
    copier = S3VersionCopier(
        client, source_bucket=SOURCE, source_key_prefix="", target_bucket=TARGET, target_key_prefix="", direct=direct
    )
    assert copier.copy(pinned("config", version.version_id, 5)) == sha256("hello")
    assert len(late) == 2, "once directly, once by boto3, which asked again"
    direct.close()
    client.close()


def test_an_error_within_a_200_that_lasts_is_raised(server: S3Server, client: "S3Client", direct: Direct) -> None:
    version = server.fake.put(SOURCE, "config", b"hello")

    def fail(call: Call) -> None:
        if call.operation == "CopyObject":
            raise LateError

    server.fake.hook = fail
    copier = S3VersionCopier(
        client, source_bucket=SOURCE, source_key_prefix="", target_bucket=TARGET, target_key_prefix="", direct=direct
    )
    with pytest.raises(Exception, match="InternalError"):
        copier.copy(pinned("config", version.version_id, 5))


def test_a_connection_that_breaks_is_nothing_and_the_next_one_is_new(server: S3Server, direct: Direct) -> None:
    server.fake.put(TARGET, "pack", b"bytes")
    assert direct.sha256("pack") == sha256("bytes")

    def die(_: Call) -> None:
        raise Crash

    server.fake.hook = die
    assert direct.sha256("pack") is None
    server.fake.hook = CallLog()
    assert direct.sha256("pack") == sha256("bytes")


@contextmanager
def answering(answer: bytes) -> Iterator["S3Client"]:
    """A client of a server that gives one answer, hangs up, and is gone."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        client = a_client(f"http://127.0.0.1:{listening.getsockname()[1]}")
        try:
            yield client
        finally:
            serving.join()
            client.close()


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "".join(f"{line}\r\n" for line in (status, *lines, "")).encode()


COPIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n   \n<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<ETag>&quot;1&quot;</ETag><ChecksumSHA256>LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=</ChecksumSHA256>"
    b"<ChecksumType>FULL_OBJECT</ChecksumType></CopyObjectResult>"
)


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


@pytest.mark.parametrize(
    "answer",
    [
        head("Content-Length: 100") + b"half of it",
        head("Content-Length: 100"),
        head() + b"no length",
        head("Transfer-Encoding: chunked") + chunked(b"half"),
        head("Content-Length: 4", status="HTTP/1.1 206 Partial Content") + b"half",
        head("Content-Length: 4", status="HTTP/1.0 200 OK") + b"half",
        head("Content-Length: 4").removesuffix(b"\r\n"),
        head("Content-Length: 4", f"x-long: {'x' * (1 << 14)}") + b"half",
        head("Content-Length: 4", *(f"x-{number}: x" for number in range(101))) + b"half",
        head("Content-Length: -4") + b"half",
        b"nonsense\r\n\r\n",
        b"",
    ],
)
def test_half_an_object_is_none(answer: bytes) -> None:
    with answering(answer) as client:
        direct = Direct(client, TARGET)
        assert direct.sha256("pack") is None
        direct.close()


def test_an_object_is_read_to_its_end_though_the_connection_ends_there() -> None:
    with answering(head("content-LENGTH:5", "Connection: close") + b"hello") as client:
        direct = Direct(client, TARGET)
        assert direct.sha256("pack") == sha256("hello")
        assert direct.kept == 0, "a connection that ends is not kept"


def test_a_copy_s_answer_may_come_in_chunks_with_spaces_before_it() -> None:
    """So S3 answers a copy that takes long: it begins at once, and sends spaces until it has copied."""
    pieces = (COPIED[:40], b" " * 100, b"\n" * 3, COPIED[40:200], COPIED[200:])
    spaced = chunked(*pieces) + b"0\r\n\r\n"
    with answering(head("Transfer-Encoding: chunked") + spaced) as client:
        direct = Direct(client, TARGET)
        told = direct.copied("k", copy_source(SOURCE, "k", "v"), HEADERS)
        assert told == {
            "ChecksumSHA256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
            "ChecksumType": "FULL_OBJECT",
        }
        direct.close()


@pytest.mark.parametrize(
    "answer",
    [
        head("Transfer-Encoding: chunked") + chunked(COPIED),
        head("Transfer-Encoding: chunked") + chunked(COPIED[:-5]) + b"0\r\n\r\n",
        head(f"Content-Length: {len(COPIED) + 1}") + COPIED,
        head("Content-Length: 100000") + COPIED.replace(b"<ETag>", b" " * (100_000 - len(COPIED)) + b"<ETag>"),
        head("Content-Length: 0"),
        head("Content-Length: 7") + b"<Error>",
    ],
)
def test_half_an_answer_to_a_copy_is_none(answer: bytes) -> None:
    with answering(answer) as client:
        direct = Direct(client, TARGET)
        assert direct.copied("k", copy_source(SOURCE, "k", "v"), HEADERS) is None
        direct.close()


def test_a_reader_falls_back_to_boto3(server: S3Server, client: "S3Client", direct: Direct) -> None:
    server.fake.put(TARGET, "pack", b"bytes")
    broken: list[int] = []

    def once(call: Call) -> None:
        if not broken:
            broken.append(call.number)
            raise AccessDenied

    server.fake.hook = once
    assert S3TargetReader(client, TARGET, "", direct).sha256(ObjectKey("pack")) == sha256("bytes")
    assert broken


def test_while_s3_is_busy_boto3_alone_asks(server: S3Server, client: "S3Client") -> None:
    server.fake.put(TARGET, "pack", b"bytes")
    now = [1_800_000_000.0]
    direct = Direct(client, TARGET, lambda: now[0])
    log = CallLog()

    def busy(_: Call) -> None:
        raise SlowDown

    server.fake.hook = busy
    assert direct.sha256("pack") is None
    server.fake.hook = log
    now[0] += 9.0
    assert direct.sha256("pack") is None
    assert log.calls == []
    now[0] += 2.0
    assert direct.sha256("pack") == sha256("bytes")
    direct.close()


def test_behind_a_proxy_boto3_alone_asks(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.fake.put(TARGET, "pack", b"bytes")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    behind = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=server.endpoint,
        aws_access_key_id="owner",
        aws_secret_access_key="any",
    )
    server.fake.hook = log = CallLog()
    direct = Direct(behind, TARGET)
    assert direct.sha256("pack") is None
    assert log.calls == []
    direct.close()
    behind.close()


# --- where it asks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "host", "path"),
    [
        (None, f"{TARGET}.s3.us-east-1.amazonaws.com", "/"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", f"/{TARGET}/"),
    ],
)
def test_it_asks_the_host_that_the_client_asks(endpoint: str | None, host: str, path: str) -> None:
    client = a_client(endpoint)
    found = wires_to(client, TARGET)
    assert found is not None
    assert found.before_key == path
    assert found.host.replace("s3.amazonaws", "s3.us-east-1.amazonaws") == host
    client.close()


@pytest.mark.parametrize("key", ODD)
def test_a_version_is_named_as_boto3_names_it(server: S3Server, client: "S3Client", key: str) -> None:
    version = server.fake.put(SOURCE, key, b"")
    sent: list[str] = []
    client.meta.events.register(
        "before-send.s3.CopyObject", lambda request, **_: sent.append(request.headers["x-amz-copy-source"].decode())
    )
    source = {"Bucket": SOURCE, "Key": key, "VersionId": version.version_id}
    client.copy_object(Bucket=TARGET, Key="copy", CopySource=source)  # type: ignore[arg-type]
    assert sent == [copy_source(SOURCE, key, version.version_id)]

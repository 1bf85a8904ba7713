"""What the HTTP side adds: transport encodings, keys it does not know, things it does not model."""

import http.client
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.fakes.faults import Crash, FailOnce, Moment
from tests.fakes.s3_server import S3Server

OWNER = {"Authorization": "AWS4-HMAC-SHA256 Credential=owner/20260105/us-east-1/s3/aws4_request"}


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        server.fake.create_bucket("vault")
        yield server


def ask(
    server: S3Server, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request with the owner's key; underscores in header names stand for dashes."""
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, OWNER | named)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def chunked(content: bytes, trailer: bytes) -> bytes:
    """An aws-chunked body in two signed chunks with a trailing checksum."""
    half = len(content) // 2
    parts = [b"%x;chunk-signature=none\r\n%s\r\n" % (len(part), part) for part in (content[:half], content[half:])]
    return b"".join(parts) + b"0;chunk-signature=none\r\nx-amz-checksum-sha256:" + trailer + b"\r\n\r\n"


def test_an_aws_chunked_body_is_unwrapped_and_its_trailing_checksum_is_kept(server: S3Server) -> None:
    content = b"written in two chunks"
    checksum = b64encode(sha256(content).digest())
    streaming = {
        "x_amz_content_sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "Content_Encoding": "aws-chunked",
        "x_amz_trailer": "x-amz-checksum-sha256",
        "x_amz_decoded_content_length": str(len(content)),
    }
    status, _, _ = ask(server, "PUT", "/vault/key", chunked(content, checksum), **streaming)
    assert status == 200
    version = server.fake.get("vault", "key")
    assert version.body == content
    assert version.checksums == {"SHA256": checksum.decode()}
    wrong = b64encode(sha256(b"other").digest())
    status, _, said = ask(server, "PUT", "/vault/other", chunked(content, wrong), **streaming)
    assert (status, b"BadDigest" in said) == (400, True)


def test_a_wrong_content_md5_or_payload_hash_is_refused(server: S3Server) -> None:
    status, _, said = ask(server, "PUT", "/vault/key", b"bytes", Content_MD5=b64encode(b"0" * 16).decode())
    assert (status, b"BadDigest" in said) == (400, True)
    status, _, said = ask(server, "PUT", "/vault/key", b"bytes", x_amz_content_sha256="0" * 64)
    assert (status, b"XAmzContentSHA256Mismatch" in said) == (400, True)


def test_a_key_nobody_made_is_refused(server: S3Server) -> None:
    status, _, said = ask(server, "GET", "/vault", Authorization="AWS4-HMAC-SHA256 Credential=stranger/x")
    assert (status, b"InvalidAccessKeyId" in said) == (403, True)


@pytest.mark.parametrize("path", ["/vault?policy", "/vault?lifecycle", "/vault/key?tagging", "/vault/key?partNumber=1"])
def test_what_is_not_modelled_is_refused_and_not_ignored(server: S3Server, path: str) -> None:
    status, _, said = ask(server, "GET", path)
    assert (status, b"NotImplemented" in said) == (501, True)


def test_a_header_that_is_not_modelled_is_refused_and_nothing_is_written(server: S3Server) -> None:
    status, _, _ = ask(server, "PUT", "/vault/key", b"bytes", x_amz_acl="public-read")
    assert status == 501
    assert server.fake.everything("vault") == []


def test_a_crash_after_a_put_cuts_the_connection_and_the_object_is_there(server: S3Server) -> None:
    server.fake.hook = FailOnce(at=1, moment=Moment.AFTER, raising=Crash)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(server, "PUT", "/vault/key", b"bytes")
    assert server.fake.get("vault", "key").body == b"bytes"


def test_every_answer_carries_the_fakes_clock(server: S3Server) -> None:
    _, before, _ = ask(server, "GET", "/vault?versioning")
    server.fake.clock.advance(86_400)
    _, after, _ = ask(server, "GET", "/vault/missing")
    assert (before["Date"], after["Date"]) == ("Mon, 05 Jan 2026 09:00:00 GMT", "Tue, 06 Jan 2026 09:00:00 GMT")


def test_the_aws_cli_copies_lists_and_removes(server: S3Server, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "owner",
        "AWS_SECRET_ACCESS_KEY": "any secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.endpoint,
    }

    def aws(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("aws")), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # Over 8 MiB the cli uploads in parts.
    (tmp_path / "a file").write_bytes(b"0123456789" * 1_000_000)
    aws("s3", "cp", "--quiet", str(tmp_path / "a file"), "s3://vault/a file")
    aws("s3", "cp", "--quiet", "s3://vault/a file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "a file").read_bytes()
    assert "a file" in aws("s3", "ls", "s3://vault/")
    aws("s3", "rm", "--quiet", "s3://vault/a file")
    assert server.fake.everything("vault") == []

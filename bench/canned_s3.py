"""`python -m bench.canned_s3 FOLDER`: an S3 that answers at once, since all its answers are there before the questions.

A bucket is a number of versions (`200000`), written into FOLDER when it is first asked for; `0` is empty. It lists
versions, copies an object to nowhere, and takes whatever is put. In a bucket of any other name, objects are kept in
memory, to be listed, read and copied by version. **Signatures are not verified.** It listens on the loopback interface
alone, says where in one line of JSON, and ends when its input does. `--delay SECONDS` waits before each page of a
listing of versions, `--latency SECONDS` before each answer, `--tls` encrypts with a certificate of its own. `--write
VERSIONS` writes such a bucket and does no more: a large one takes longer than a client waits.

One thread a connection: what takes time, sending and encrypting, is done while others run.
"""

import argparse
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.canned import Canned, NoSuchMarker, Page, write
from bench.kept import KeptBuckets, NotThere
from bench.part import CannotMeasure
from bench.processes import measured
from bench.synthetic import Synthetic

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "bench" / "canned"
_HOST = "127.0.0.1"
_XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_ETAG = "9b2cf535f27731c974343645a3985328"
_LARGEST_HEAD = 1 << 16
_END = "\r\n"
_COPIED = (
    f"<CopyObjectResult {_XMLNS}><LastModified>2026-11-01T00:00:00.000Z</LastModified><ETag>&quot;{_ETAG}&quot;</ETag>"
    "<ChecksumType>FULL_OBJECT</ChecksumType><ChecksumSHA256>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    "</ChecksumSHA256></CopyObjectResult>"
)
_CANNED = {
    "location": f"<LocationConstraint {_XMLNS}/>",
    "versioning": f"<VersioningConfiguration {_XMLNS}><Status>Enabled</Status></VersioningConfiguration>",
    "object-lock": f"<ObjectLockConfiguration {_XMLNS}><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
    "</ObjectLockConfiguration>",
}
"""By the query that asks for them."""


class Server:
    """Answers until its process ends."""

    def __init__(self, folder: Path, delay: float = 0.0, latency: float = 0.0, *, tls: bool = False) -> None:
        """Seconds: `delay` before each page of a listing of versions, `latency` before each answer."""
        self._folder = folder
        self._delay = delay
        self._latency = latency
        self._kept = KeptBuckets()
        self._guard = threading.Lock()
        self._buckets: dict[str, Canned] = {}
        self._context: ssl.SSLContext | None = None
        self.certificate: Path | None = None
        if tls:
            self.certificate, key = _certificate(folder / "tls")
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(self.certificate, key)
        self._socket = socket.create_server((_HOST, 0), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self._context else ''}://{_HOST}:{self._socket.getsockname()[1]}"

    def bucket(self, name: str) -> Canned:
        """Raises ValueError for a name that is no number."""
        with self._guard:
            if name not in self._buckets:
                folder = self._folder / str(int(name))
                write(folder, Synthetic(int(name)))
                self._buckets[name] = Canned(folder)
            return self._buckets[name]

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that hangs up, in whatever way, or says what is no request, ends its connection and nothing else.
        with suppress(OSError, EOFError, ValueError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                requests = _Requests(connection)
                while True:
                    method, target, headers, body = requests.next()
                    time.sleep(self._latency)
                    self._answer(connection, method, target, headers, body)

    def _answer(
        self, connection: socket.socket, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> None:
        address = urlsplit(target)
        asked = dict(parse_qsl(address.query, keep_blank_values=True))
        name, _, key = unquote(address.path).lstrip("/").partition("/")
        try:
            if key and not name.isdecimal():
                self._answer_kept(connection, method, (name, key), asked, headers, content)
            elif method == "GET" and "list-type" in asked:
                _send(connection, 200, self._kept.listing(name, asked))
            elif method == "GET" and not key and "versions" in asked:
                time.sleep(self._delay)
                _send(connection, 200, self._page(name, asked))
            elif method in ("GET", "HEAD") and not key:
                body = next((answer for query, answer in _CANNED.items() if query in asked), "")
                known = bool(body) or method == "HEAD"
                _send(connection, 200 if known else 501, body if known else _error("NotImplemented", target), method)
            elif method == "PUT" and key:
                _send(connection, 200, _COPIED if "x-amz-copy-source" in headers else "")
            else:
                _send(connection, 404, _error("NoSuchKey", target), method)
        except NotThere as error:
            _send(connection, 404, _error(str(error), target), method)
        except (NoSuchMarker, ValueError) as error:
            _send(connection, 400, _error("InvalidArgument", str(error)))

    def _answer_kept(
        self,
        connection: socket.socket,
        method: str,
        place: tuple[str, str],
        asked: Mapping[str, str],
        headers: Mapping[str, str],
        content: bytes,
    ) -> None:
        """Raises NotThere."""
        if method == "PUT" and (source := headers.get("x-amz-copy-source")):
            path, _, version_id = source.lstrip("/").partition("?versionId=")
            bucket, _, key = unquote(path).partition("/")
            made = self._kept.copy(self._kept.get(bucket, key, unquote(version_id) or None), *place)
            _send(connection, 200, made.copied(), named=made.headers({}))
        elif method == "PUT":
            _send(connection, 200, "", named=self._kept.put(*place, content).headers({}))
        elif method in ("GET", "HEAD"):
            kept = self._kept.get(*place, asked.get("versionId"))
            _send(connection, 200, kept.content, method, kept.headers(headers))
        else:
            _send(connection, 501, _error("NotImplemented", method), method)

    def _page(self, name: str, asked: Mapping[str, str]) -> Page:
        if asked.get("delimiter"):
            raise ValueError("keys are not rolled up here")
        return self.bucket(name).page(name, asked)


class _Requests:
    """What comes in on a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = b""

    def next(self) -> tuple[str, str, Mapping[str, str], bytes]:
        """Method, target, headers and body. Raises EOFError when there is none."""
        while b"\r\n\r\n" not in self._held:
            if len(self._held) > _LARGEST_HEAD:
                raise EOFError("that is no request")
            self._receive()
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, target, _ = first.split(" ")
        if headers.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while (size := int(self._line().partition(b";")[0], 16)) > 0:
                body += self._take(size)
                self._line()
            while self._line():  # what trails the last chunk
                pass
        else:
            body = self._take(int(headers.get("content-length", 0)))
        return method, target, headers, body

    def _line(self) -> bytes:
        while b"\r\n" not in self._held:
            self._receive()
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    def _take(self, size: int) -> bytes:
        while size > len(self._held):
            self._receive()
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _receive(self) -> None:
        piece = self._connection.recv(1 << 16)
        if not piece:
            raise EOFError("the client hung up")
        self._held += piece


def _send(
    connection: socket.socket,
    status: int,
    body: Page | str | bytes,
    method: str = "GET",
    named: Mapping[str, str] | None = None,
) -> None:
    """`named`: headers of the object, if there is one."""
    if isinstance(body, Page):
        pieces: tuple[bytes | memoryview, ...] = (body.head, body.entries, body.tail)
    else:
        pieces = (body.encode() if isinstance(body, str) else body,)
    length = sum(map(len, pieces))
    of_the_object = named or {"x-amz-version-id": "canned", "ETag": f'"{_ETAG}"'}
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\nDate: {formatdate(usegmt=True)}\r\n"
        "x-amz-request-id: 656C76696E672B63\r\nx-amz-bucket-region: us-east-1\r\n"
        f"Content-Type: application/xml\r\nContent-Length: {length}\r\nServer: AmazonS3\r\n"
        f"{''.join(f'{name}: {value}{_END}' for name, value in of_the_object.items())}{_END}"
    )
    connection.sendall(head.encode() + (b"" if method == "HEAD" else bytes(pieces[0])))
    if method != "HEAD":
        for piece in pieces[1:]:
            connection.sendall(piece)


def _error(code: str, message: str) -> str:
    return f"<Error><Code>{code}</Code><Message>{message.replace('&', '&amp;').replace('<', '&lt;')}</Message></Error>"


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, for this address and a day, and its key, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key_file = folder / "certificate.pem", folder / "key.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(_HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key_file


def _usage() -> x509.KeyUsage:
    """Without it OpenSSL 3 in its strict mode, which is Python's default, trusts no certificate of a CA."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def prepare(versions: int) -> None:
    """Write a bucket before anybody asks for it, in a process of its own: the bench stays small."""
    measured([sys.executable, "-m", "bench.canned_s3", str(FOLDER), "--write", str(versions)], ROOT, {})


@contextmanager
def canned_s3(
    folder: Path = FOLDER, delay: float = 0.0, latency: float = 0.0, *, tls: bool = False
) -> Iterator[dict[str, str]]:
    """The server as a process of its own; gives what a client's environment needs to reach it."""
    options = ["--delay", str(delay), "--latency", str(latency), *(["--tls"] if tls else [])]
    command = [sys.executable, "-m", "bench.canned_s3", str(folder), *options]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise CannotMeasure("a process has no pipes")
        try:
            line = process.stdout.readline()
            if not line:
                raise CannotMeasure("the canned S3 did not start; nothing was measured")
            said = json.loads(line)
            yield {
                "AWS_ENDPOINT_URL_S3": said["endpoint"],
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                **({"AWS_CA_BUNDLE": said["certificate"]} if tls else {}),
            }
        finally:
            process.stdin.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.canned_s3")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--write", type=int)
    options = parser.parse_args(arguments)
    if options.write is not None:
        write(options.folder / str(options.write), Synthetic(options.write))
        return 0
    server = Server(options.folder, options.delay, options.latency, tls=options.tls)
    said = {"endpoint": server.endpoint, "certificate": str(server.certificate or "")}
    print(json.dumps(said), flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

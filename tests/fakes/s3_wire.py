"""S3's HTTP requests read strictly: bodies decoded and verified, headers understood or refused."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import BufferedIOBase
from urllib.parse import parse_qsl, unquote

from tests.fakes import s3_checksums
from tests.fakes.s3 import Integrity, Precondition
from tests.fakes.s3_errors import (
    AccessDenied,
    ContentSha256Mismatch,
    IncompleteBody,
    InvalidArgument,
    InvalidRequest,
    NotImplementedByFake,
)
from tests.fakes.s3_model import Attributes, LockMode, Retention

_IGNORED = frozenset(
    {
        # Authentication, which the fake does not verify, and what clients say about themselves.
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-user-agent",
        # Read while the body is decoded.
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-trailer",
        # Without it nothing more is asked of the fake.
        "x-amz-checksum-mode",
    }
)
_SSE = "x-amz-server-side-encryption"
_LOCK = "x-amz-object-lock-"
_UNSTORED = ("cache-control", "content-disposition", "content-language", "expires")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: names decoded, the body verified and without its transport encoding."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case; a trailing checksum is among them."""
    body: bytes
    access_key: str

    def flag(self, name: str) -> bool:
        return self.headers.get(name, "").lower() == "true"

    def refuse_unknown(self, *known: str) -> None:
        """Refuse every `x-amz-*` header that is neither general nor among `known` (`…-` stands for a family)."""
        for name in self.headers:
            if not name.startswith("x-amz-") or name in _IGNORED:
                continue
            if not any(name == entry or (entry.endswith("-") and name.startswith(entry)) for entry in known):
                raise NotImplementedByFake(f"The fake does not model the header {name}; nothing was done")

    def refuse_unknown_query(self, *known: str) -> None:
        for name in self.query:
            if name not in known and name != "x-id" and not name.startswith("X-Amz-"):
                raise NotImplementedByFake(f"The fake does not model the parameter {name}; nothing was done")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def read_request(method: str, target: str, headers: Mapping[str, str], stream: BufferedIOBase) -> Request:
    """Read one request off the connection, its whole body included, so that the next one can follow.

    Raises IncompleteBody, ContentSha256Mismatch.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    path, _, query_text = target.partition("?")
    bucket, _, key = path.lstrip("/").partition("/")
    query = dict(parse_qsl(query_text, keep_blank_values=True))
    body, trailers = _decoded_body(lowered, stream)
    return Request(method, unquote(bucket), unquote(key), query, lowered | trailers, body, _access_key(lowered, query))


def _access_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The id of the key that signed; empty for an anonymous request. The signature is not verified."""
    _, found, credential = headers.get("authorization", "").partition("Credential=")
    text = credential if found else query.get("X-Amz-Credential", "")
    return text.partition("/")[0]


def _decoded_body(headers: Mapping[str, str], stream: BufferedIOBase) -> tuple[bytes, dict[str, str]]:
    if "chunked" in headers.get("transfer-encoding", ""):
        raw, _ = _chunks(stream)
    else:
        raw = _exactly(stream, int(headers.get("content-length", "0")))
    announced = headers.get("x-amz-content-sha256", "")
    if "aws-chunked" in headers.get("content-encoding", "") or announced.startswith("STREAMING-"):
        return _unwrapped(headers, raw)
    if len(announced) == 64 and announced != hashlib.sha256(raw).hexdigest():
        raise ContentSha256Mismatch
    return raw, {}


def _unwrapped(headers: Mapping[str, str], raw: bytes) -> tuple[bytes, dict[str, str]]:
    """The payload of an aws-chunked body and its trailers. Chunk signatures are not verified."""
    payload, rest = bytearray(), memoryview(raw)
    while True:
        line, rest = _line(rest)
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        payload += rest[:size]
        if bytes(rest[size : size + 2]) != b"\r\n":
            raise IncompleteBody
        rest = rest[size + 2 :]
    trailers: dict[str, str] = {}
    while rest:
        line, rest = _line(rest)
        name, _, value = line.decode().partition(":")
        if name:
            trailers[name.strip().lower()] = value.strip()
    trailers.pop("x-amz-trailer-signature", None)
    if int(headers.get("x-amz-decoded-content-length", len(payload))) != len(payload):
        raise IncompleteBody
    if (promised := headers.get("x-amz-trailer", "").lower()) and promised not in trailers:
        raise InvalidRequest(f"The trailer {promised} was announced and did not come")
    return bytes(payload), trailers


def _line(rest: memoryview) -> tuple[bytes, memoryview]:
    # Chunk heads and trailers are short: looking only here keeps large payloads from being copied.
    head = bytes(rest[:1024])
    end = head.find(b"\r\n")
    if end < 0:
        raise IncompleteBody
    return head[:end], rest[end + 2 :]


def _chunks(stream: BufferedIOBase) -> tuple[bytes, dict[str, str]]:
    """A body in HTTP's own chunked transfer encoding."""
    payload = bytearray()
    while size := int(stream.readline().partition(b";")[0], 16):
        payload += _exactly(stream, size)
        stream.readline()
    while stream.readline().strip():
        pass
    return bytes(payload), {}


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    content = stream.read(size) if size else b""
    if len(content) != size:
        raise IncompleteBody
    return content


# --- headers ---------------------------------------------------------------------------------------


WRITE_HEADERS = (
    "x-amz-meta-",
    "x-amz-storage-class",
    _LOCK,
    _SSE,
    f"{_SSE}-aws-kms-key-id",
    f"{_SSE}-customer-",
)
CHECKSUM_HEADERS = ("x-amz-checksum-", "x-amz-sdk-checksum-algorithm")


def attributes(request: Request) -> Attributes:
    """What the headers say about the object that is written."""
    headers = request.headers
    for name in _UNSTORED:
        if name in headers:
            raise NotImplementedByFake(f"The fake does not keep the header {name}; nothing was done")
    return Attributes(
        storage_class=headers.get("x-amz-storage-class", "STANDARD"),
        content_type=headers.get("content-type", "binary/octet-stream"),
        metadata={
            name.removeprefix("x-amz-meta-"): value for name, value in headers.items() if name.startswith("x-amz-meta-")
        },
        retention=_retention(headers),
        legal_hold=headers.get(f"{_LOCK}legal-hold", "OFF") == "ON",
        kms_key_id=_kms_key(headers),
        customer_key_md5=customer_key_md5(request),
    )


def customer_key_md5(request: Request) -> str:
    """The digest of the SSE-C key; empty without one."""
    return request.headers.get(f"{_SSE}-customer-key-md5", "")


def integrity(request: Request) -> Integrity:
    """What the request announces about its bytes."""
    headers = request.headers
    algorithm, value = "", ""
    for name in s3_checksums.ALGORITHMS:
        if (found := headers.get(f"x-amz-checksum-{name.lower()}")) is not None:
            if value:
                raise InvalidRequest(
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
                )
            algorithm, value = name, found
    stated = headers.get("x-amz-sdk-checksum-algorithm", "").upper()
    if stated and value and stated != algorithm:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    content_md5 = headers.get("content-md5", "")
    return Integrity(content_md5, algorithm or stated, value, stated=bool(content_md5 or algorithm or stated))


def precondition(request: Request) -> Precondition:
    """If-Match and If-None-Match of a write; S3 knows the latter only as `*`."""
    none_match = request.headers.get("if-none-match", "")
    if none_match not in ("", "*"):
        raise NotImplementedByFake("A header you provided implies functionality that is not implemented")
    return Precondition(none_match == "*", request.headers.get("if-match", "").strip('"'))


def copy_source(request: Request) -> tuple[str, str, str]:
    """(bucket, key, version id or empty) of `x-amz-copy-source`."""
    path, _, query_text = request.headers["x-amz-copy-source"].partition("?versionId=")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    return bucket, key, unquote(query_text)


def byte_range(header: str) -> tuple[int | None, int | None] | None:
    """The (first, last) of a `Range`; None when S3 would ignore it and send everything."""
    unit, _, text = header.partition("=")
    first, dash, last = text.partition("-")
    if unit != "bytes" or not dash or not (first + last).isdecimal():
        return None
    if first and last and int(last) < int(first):
        return None
    return (int(first) if first else None, int(last) if last else None)


def instant(text: str) -> datetime:
    """An ISO 8601 instant as S3 accepts it. Raises InvalidArgument."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"{text!r} is not a date") from None
    if moment.tzinfo is None:
        raise InvalidArgument(f"{text!r} has no time zone")
    return moment


def lock_mode(text: str) -> LockMode:
    """Raises InvalidArgument for anything but S3's two modes."""
    try:
        return LockMode(text)
    except ValueError:
        raise InvalidArgument("Unknown wormMode directive.") from None


def _retention(headers: Mapping[str, str]) -> Retention | None:
    mode, until = headers.get(f"{_LOCK}mode", ""), headers.get(f"{_LOCK}retain-until-date", "")
    if not mode and not until:
        return None
    if not mode or not until:
        raise InvalidArgument("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
    return Retention(lock_mode(mode), instant(until))


def _kms_key(headers: Mapping[str, str]) -> str:
    kind = headers.get(_SSE, "")
    if kind in ("", "AES256"):
        return ""
    if kind != "aws:kms":
        raise InvalidArgument("The encryption method specified is not supported")
    return headers.get(f"{_SSE}-aws-kms-key-id", "aws/s3")


def anonymous() -> AccessDenied:
    """The answer to a request that names no access key."""
    return AccessDenied("Anonymous requests are denied")

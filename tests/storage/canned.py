"""Pages of ListObjectVersions as S3 writes them, and a server that answers with what a test hands it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

import boto3
from botocore.config import Config
from mypy_boto3_s3 import S3Client

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
)
URL = "<EncodingType>url</EncodingType>"
TAIL = "<IsTruncated>false</IsTruncated></ListVersionsResult>"

OWNER = "<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID></Owner>"


def element(name: str, text: str | None) -> str:
    return "" if text is None else f"<{name}>{text}</{name}>"


def entry(key: str, version_id: str = "v", *, tag: str = "Version", **elements: str | None) -> str:
    """A version or a marker as S3 writes it; None for an element leaves it out, and unknown ones come last."""
    content: dict[str, str | None] = {"Key": key, "VersionId": version_id, "IsLatest": "true"}
    content["LastModified"] = "2026-11-21T12:00:00.000Z"
    if tag == "Version":
        content |= {"ETag": "&quot;abc&quot;", "Size": "7", "StorageClass": "STANDARD"}
    inner = "".join(element(name, text) for name, text in (content | elements).items())
    return f"<{tag}>{inner}</{tag}>"


def page(*entries: str, head: str = HEAD + URL, tail: str = TAIL) -> str:
    return head + "".join(entries) + tail


def truncated(*entries: str, key: str, version_id: str = "") -> str:
    markers = element("NextKeyMarker", key) + element("NextVersionIdMarker", version_id or None)
    return page(*entries, tail=f"<IsTruncated>true</IsTruncated>{markers}</ListVersionsResult>")


Query = dict[str, list[str]]
Answer = tuple[int, str]
"""Status and body."""


def one(query: Query, name: str) -> str:
    """A parameter that is given once, or empty."""
    return query.get(name, [""])[0]


@contextmanager
def canned(*answers: str, status: int = 200, date: str | None = None) -> Iterator[tuple[S3Client, list[Query]]]:
    """A server that gives these answers, one a request and the last for ever, and the queries it was asked."""
    queries: list[Query] = []
    waiting = list(answers)

    def answer(query: Query) -> Answer:
        queries.append(query)
        return status, waiting.pop(0) if len(waiting) > 1 else waiting[0]

    with answering(answer, date) as client:
        yield client, queries


@contextmanager
def answering(answer: Callable[[Query], Answer], date: str | None = None, retries: int = 1) -> Iterator[S3Client]:
    """A server that answers queries, several at a time, and a client that asks again so often."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = answer(parse_qs(urlsplit(self.path).query, keep_blank_values=True))
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_PUT(self) -> None:
            self.do_GET()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return date or super().date_time_string(timestamp)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(
                retries={"max_attempts": retries},
                s3={"addressing_style": "path"},
                proxies={},
                max_pool_connections=32,
            ),
        )
        try:
            yield client
        finally:
            client.close()
            server.shutdown()
            thread.join()


@dataclass
class Bucket:
    """Answers listings of these (key, version id), which ascend as S3's do, by their markers."""

    listed: Sequence[tuple[str, str]]
    page: int = 1000
    repeats: bool = False
    """A key marker without a version begins with its key once more, as Ceph's does."""
    queries: list[Query] = field(default_factory=list)

    def __call__(self, query: Query) -> Answer:
        self.queries.append(query)
        return 200, self.answer(one(query, "prefix"), one(query, "key-marker"), one(query, "version-id-marker"))

    def answer(self, prefix: str, key: str, version_id: str) -> str:
        rest = [each for each in self.listed if each[0].startswith(prefix) and self.follows(each, key, version_id)]
        if version_id:
            rest = rest[rest.index((key, version_id)) + 1 :]
        entries = [entry(quote(name), version) for name, version in rest[: self.page]]
        if len(rest) <= self.page:
            return page(*entries)
        name, version = rest[self.page - 1]
        return truncated(*entries, key=quote(name), version_id=version)

    def follows(self, each: tuple[str, str], key: str, version_id: str) -> bool:
        return not key or each[0] > key or (each[0] == key and (self.repeats or bool(version_id)))

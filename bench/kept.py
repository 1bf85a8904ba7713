"""Buckets in memory, for what a bench puts into the canned S3 and wants back: each version, and its SHA-256."""

import base64
import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import escape

MOST_KEYS = 1_000
_XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_TIME = "2026-11-01T00:00:00.000Z"


class NotThere(Exception):
    """There is no such object, or no such version of it; the message is S3's code for it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A version of an object."""

    content: bytes
    version_id: str
    sha256: str
    """As S3 writes it, in base64."""
    etag: str

    def headers(self, asked: Mapping[str, str]) -> dict[str, str]:
        """Of an answer that gives it, or tells of it, to a request with the headers `asked`."""
        named = {"x-amz-version-id": self.version_id, "ETag": f'"{self.etag}"'}
        if asked.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            named |= {"x-amz-checksum-sha256": self.sha256, "x-amz-checksum-type": "FULL_OBJECT"}
        return named

    def copied(self) -> str:
        """The answer to whoever made it by a copy."""
        return (
            f"<CopyObjectResult {_XMLNS}><LastModified>{_TIME}</LastModified><ETag>&quot;{self.etag}&quot;</ETag>"
            f"<ChecksumType>FULL_OBJECT</ChecksumType><ChecksumSHA256>{self.sha256}</ChecksumSHA256></CopyObjectResult>"
        )


class KeptBuckets:
    """All that was put, by bucket and key; a bucket is there as soon as something is in it."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[Kept]] = {}
        self._guard = threading.Lock()

    def put(self, bucket: str, key: str, content: bytes) -> Kept:
        digest, etag = hashlib.sha256(content).digest(), hashlib.md5(content, usedforsecurity=False).hexdigest()
        return self._add(bucket, key, content, base64.b64encode(digest).decode(), etag)

    def copy(self, source: Kept, bucket: str, key: str) -> Kept:
        return self._add(bucket, key, source.content, source.sha256, source.etag)

    def _add(self, bucket: str, key: str, content: bytes, sha256: str, etag: str) -> Kept:
        with self._guard:
            versions = self._versions.setdefault((bucket, key), [])
            versions.append(Kept(content, f"version-{len(versions) + 1}-of-{etag}", sha256, etag))
            return versions[-1]

    def get(self, bucket: str, key: str, version_id: str | None = None) -> Kept:
        """The newest version, or that one. Raises NotThere."""
        with self._guard:
            versions = self._versions.get((bucket, key), ())
        if not versions:
            raise NotThere("NoSuchKey")
        if version_id is None:
            return versions[-1]
        for each in versions:
            if each.version_id == version_id:
                return each
        raise NotThere("NoSuchVersion")

    def listing(self, bucket: str, asked: Mapping[str, str]) -> str:
        """What S3 answers to a ListObjectsV2 with these parameters."""
        prefix, after = asked.get("prefix", ""), asked.get("continuation-token") or asked.get("start-after", "")
        most = min(int(asked.get("max-keys", MOST_KEYS)), MOST_KEYS)
        with self._guard:
            keys = sorted(key for of, key in self._versions if of == bucket and key.startswith(prefix) and key > after)
        page = keys[:most]
        further = len(keys) > most
        name = quote if (encoded := asked.get("encoding-type") == "url") else escape
        return "".join(
            [
                f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult {_XMLNS}><Name>{bucket}</Name>',
                f"<Prefix>{name(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount><MaxKeys>{most}</MaxKeys>",
                "<EncodingType>url</EncodingType>" if encoded else "",
                f"<IsTruncated>{'true' if further else 'false'}</IsTruncated>",
                f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if further else "",
                *(self._entries(bucket, page, encoded=encoded)),
                "</ListBucketResult>",
            ]
        )

    def _entries(self, bucket: str, keys: list[str], *, encoded: bool) -> Iterator[str]:
        for key in keys:
            kept = self.get(bucket, key)
            yield (
                f"<Contents><Key>{quote(key) if encoded else escape(key)}</Key><LastModified>{_TIME}</LastModified>"
                f"<ETag>&quot;{kept.etag}&quot;</ETag><Size>{len(kept.content)}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )

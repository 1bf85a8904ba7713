"""A protected repository's bucket: its configuration and clock, its versions, and the bytes of one version."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from functions.domain.consistent.fresh import MOST_ENTRIES, KeyHistory
from functions.domain.values import (
    DeleteMarker,
    ListedVersion,
    Listing,
    ObjectKey,
    ObjectVersion,
    VersionGone,
    VersionId,
    Versioning,
    VersioningSeen,
    whole_second,
)
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE = 1 << 20
"""Bytes read at a time."""


class MalformedListing(Exception):
    """S3 answered a listing that cannot be read completely; nothing was recorded."""


class S3BucketConfiguration:
    """BucketConfiguration over boto3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def now(self) -> datetime:
        return self.versioning().at

    def versioning(self) -> VersioningSeen:
        answer = self._client.get_bucket_versioning(Bucket=self._bucket)
        at = whole_second(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]))
        return VersioningSeen(Versioning(answer.get("Status", Versioning.OFF)), at)

    def object_lock(self) -> bool:
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError as error:
            if error_code(error) == "ObjectLockConfigurationNotFoundError":
                return False
            raise
        return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"


class S3VersionLister:
    """VersionLister and LaterVersions over boto3.

    boto3 sorts a page into a list of versions and a list of markers, which loses the order between a
    PUT and a DELETE of the same second: the one thing that says which came last. So the page is read as
    S3 sent it, before botocore parses it, and botocore gets an empty one: whoever else lists versions with
    the same client sees none.
    """

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        # Registered once however many listers share the client.
        client.meta.events.register("before-parse.s3.ListObjectVersions", _keep_page, unique_id="rwm-keep-page")

    def versions(self) -> Listing:
        return self._from({})

    def after(self, key: ObjectKey | None) -> Listing:
        """LaterVersions."""
        if key is None:
            return self._from({})
        # Ceph begins with the key of the marker once more.
        return (entry for entry in self._from({"KeyMarker": self._key_prefix + key}) if entry.key > key)

    def _from(self, markers: dict[str, str]) -> Listing:
        while True:
            page = self._page(markers)
            yield from self._entries(page)
            if page.findtext("IsTruncated") != "true":
                return
            markers = self._advanced(markers, _markers(page))

    def _page(self, markers: dict[str, str]) -> ET.Element:
        # EncodingType=url: without it, a key with a control character makes the page unreadable XML.
        answer = self._client.list_object_versions(
            Bucket=self._bucket,
            Prefix=self._key_prefix,
            EncodingType="url",
            **markers,  # type: ignore[arg-type]
        )
        return self._read(answer["RwmPage"])  # type: ignore[typeddict-item]

    def _advanced(self, before: dict[str, str], following: dict[str, str]) -> dict[str, str]:
        if following == before:
            raise MalformedListing(f"a listing of {self._bucket} does not advance; nothing was recorded")
        return following

    def _read(self, body: bytes) -> ET.Element:
        try:
            page = ET.fromstring(body)  # noqa: S314 - S3's own answer over TLS, and expat bounds entity expansion
        except ET.ParseError as error:
            raise MalformedListing(f"a listing of {self._bucket} is no XML: {error}; nothing was recorded") from error
        for element in page.iter():
            element.tag = element.tag.rpartition("}")[2]
        if page.tag != "ListVersionsResult" or page.findtext("IsTruncated") not in ("true", "false"):
            raise MalformedListing(f"S3 answered a listing of {self._bucket} with <{page.tag}>; nothing was recorded")
        return page

    def _entries(self, page: ET.Element) -> Iterator[ListedVersion]:
        encoded = page.findtext("EncodingType") == "url"
        for element in page:
            if element.tag not in ("Version", "DeleteMarker"):
                continue
            raw = _text(element, "Key")
            key = unquote_plus(raw) if encoded else raw
            if not key.startswith(self._key_prefix):
                raise MalformedListing(f"a listing of {self._bucket} left its prefix; nothing was recorded")
            inner = ObjectKey(key[len(self._key_prefix) :])
            version_id = VersionId(_text(element, "VersionId"))
            last_modified = whole_second(datetime.fromisoformat(_text(element, "LastModified")))
            if element.tag == "DeleteMarker":
                yield DeleteMarker(inner, version_id, last_modified)
            else:
                yield ObjectVersion(
                    key=inner,
                    version_id=version_id,
                    size=int(_text(element, "Size")),
                    last_modified=last_modified,
                    etag=(element.findtext("ETag") or "").strip('"'),
                    storage_class=element.findtext("StorageClass") or "STANDARD",
                )


@dataclass(slots=True)
class _Sought:
    """Keys whose histories are gathered from a listing, one after the other."""

    keys: Sequence[ObjectKey]
    place: int = 0
    count: int = 0
    entries: list[ListedVersion] = field(default_factory=list)

    def key(self) -> ObjectKey | None:
        """The one that is gathered, or looked for; None: there is none left."""
        return self.keys[self.place] if self.place < len(self.keys) else None

    def take(self, entry: ListedVersion) -> Iterator[KeyHistory]:
        """The histories that end before `entry`."""
        while (key := self.key()) is not None and key < entry.key:
            yield from self.end()
        if key == entry.key:
            self.count += 1
            if self.count <= MOST_ENTRIES:
                self.entries.append(entry)

    def end(self) -> Iterator[KeyHistory]:
        """The history of the key at hand, if it has any; then the next one is looked for."""
        if (key := self.key()) is not None and self.count:
            yield KeyHistory(key, tuple(self.entries), self.count)
        self.place, self.count, self.entries = self.place + 1, 0, []


class S3KeyHistories(S3VersionLister):
    """KeyHistories over boto3: reads on while the next key is on the page at hand or near it, else begins anew there.

    So it takes as many requests as pages lie between the keys, and never more than one for each key and page of a
    key's own history.
    """

    def of(self, keys: Sequence[ObjectKey]) -> Iterator[KeyHistory]:
        """Raises MalformedListing, also for `keys` that do not ascend."""
        if any(later <= earlier for earlier, later in pairwise(keys)):
            raise MalformedListing("keys were asked for that do not ascend; nothing was listed")
        sought = _Sought(keys)
        markers = self._before(keys[0]) if keys else {}
        skipped: ObjectKey | None = None
        while sought.key() is not None:
            page = self._page(markers)
            at = ObjectKey("")
            for entry in self._entries(page):
                if entry.key < at:
                    raise MalformedListing(f"a listing of {self._bucket} is not in key order; nothing was decided")
                at = entry.key
                yield from sought.take(entry)
            if (key := sought.key()) is None:
                return
            if page.findtext("IsTruncated") != "true":
                yield from sought.end()
                return
            if sought.count > MOST_ENTRIES and skipped != key:
                # A flood: that it is one is all that its history tells. Ceph begins with the key again: then it is
                # read to its end after all.
                skipped, markers = key, {"KeyMarker": self._key_prefix + key}
            else:
                markers = self._advanced(markers, self._further(key, _markers(page)))

    def _further(self, key: ObjectKey, following: dict[str, str]) -> dict[str, str]:
        """Where the page ended, or just before `key` if that is further on."""
        ahead = self._before(key)
        return ahead if following["KeyMarker"] < ahead.get("KeyMarker", "") else following

    def _before(self, key: ObjectKey) -> dict[str, str]:
        """Markers of a place before `key`, with next to nothing in between."""
        marker = (self._key_prefix + key)[:-1] if key else ""
        return {"KeyMarker": marker} if marker else {}


def _keep_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    # An error, which S3 may send with status 200 too, stays botocore's to parse and to retry.
    if response_dict["status_code"] == 200 and b"<Error" not in response_dict["body"][:200]:
        customized_response_dict["RwmPage"] = response_dict["body"]
        response_dict["body"] = b"<ListVersionsResult/>"


def _markers(page: ET.Element) -> dict[str, str]:
    key = page.findtext("NextKeyMarker")
    if not key:
        raise MalformedListing("a truncated listing names no next key; nothing was recorded")
    encoded = page.findtext("EncodingType") == "url"
    markers = {"KeyMarker": unquote_plus(key) if encoded else key}
    if version_id := page.findtext("NextVersionIdMarker"):
        markers["VersionIdMarker"] = version_id
    return markers


def _text(element: ET.Element, name: str) -> str:
    text = element.findtext(name)
    if not text:
        raise MalformedListing(f"a listed <{element.tag}> has no <{name}>; nothing was recorded")
    return text


_GONE = ("NoSuchVersion", "NoSuchKey", "MethodNotAllowed", "404", "405")
"""MethodNotAllowed: the version is a delete marker."""
_BEYOND = ("InvalidRange", "416")


class S3PinnedReader:
    """PinnedReader over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key_prefix + key, VersionId=version_id)
        except ClientError as error:
            if error_code(error) in _GONE:
                raise VersionGone(f"{key} version {version_id} no longer exists") from error
            raise
        return answer["Body"].iter_chunks(PIECE)


class S3RangedReader:
    """RangedReader over boto3: needs s3:GetObjectVersion."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        """A connection that is cut raises botocore's error: it never passes for a short version, which is damage."""
        if length == 0:
            return b""  # HTTP has no range of no bytes
        try:
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=self._key_prefix + key,
                VersionId=version_id,
                Range=f"bytes={offset}-{offset + length - 1}",
            )
        except ClientError as error:
            if error_code(error) in _GONE:
                raise VersionGone(f"{key} version {version_id} no longer exists") from error
            if error_code(error) in _BEYOND:
                return b""
            raise
        body = answer["Body"].read()
        # A server need not know ranges (RFC 9110, 14.2): then it sends everything, and no Content-Range.
        return body if answer.get("ContentRange") else body[offset : offset + length]

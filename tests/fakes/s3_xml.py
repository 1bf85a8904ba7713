"""S3's XML: requests read, answers written."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from tests.fakes.s3_errors import MalformedXML, S3Error
from tests.fakes.s3_model import (
    DefaultRetention,
    Deletions,
    ListedVersion,
    ObjectPage,
    Part,
    Retention,
    Upload,
    Version,
    VersionPage,
)

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_OWNER = "<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID></Owner>"


class Node:
    """An element of a request, addressed by its children's local names."""

    def __init__(self, element: ET.Element) -> None:
        self._element = element

    def text(self, name: str, default: str = "") -> str:
        for child in self._element:
            if _local(child) == name:
                return child.text or ""
        return default

    def children(self, name: str) -> list["Node"]:
        return [Node(child) for child in self._element if _local(child) == name]

    def child(self, name: str) -> "Node | None":
        return next(iter(self.children(name)), None)


def parse(body: bytes, root: str) -> Node:
    """The request's root element. Raises MalformedXML when it is not `root`."""
    try:
        element = ET.fromstring(body)  # noqa: S314 - loopback tests only, nothing untrusted
    except ET.ParseError:
        raise MalformedXML from None
    if _local(element) != root:
        raise MalformedXML
    return Node(element)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


# --- answers ---------------------------------------------------------------------------------------


def document(root: str, *content: str) -> bytes:
    """A whole answer."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{head}<{root} xmlns="{_NAMESPACE}">{"".join(content)}</{root}>'.encode()


def tag(name: str, value: object) -> str:
    """One element. Control characters become references, as S3 writes them."""
    text = escape(str(value))
    if not text.isprintable():
        text = "".join(char if char >= " " else f"&#x{ord(char):x};" for char in text)
    return f"<{name}>{text}</{name}>"


def group(name: str, *content: str) -> str:
    """An element that holds others."""
    return f"<{name}>{''.join(content)}</{name}>"


def timestamp(instant: datetime) -> str:
    """As S3 writes an instant in XML."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def failure(error: S3Error, resource: str, request_id: str) -> bytes:
    content = tag("Code", error.code) + tag("Message", error.message)
    content += tag("Resource", resource) + tag("RequestId", request_id)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{content}</Error>'.encode()


def _key(text: str, encoding: str) -> str:
    return quote_plus(text, safe="/*-._") if encoding == "url" else text


def version_page(page: VersionPage, request: dict[str, str], encoding: str) -> bytes:
    """ListVersionsResult; `request` holds the echoed parameters by element name."""
    parts = [tag(name, _echo(name, value, encoding)) for name, value in request.items()]
    parts.append(tag("IsTruncated", str(page.is_truncated).lower()))
    if page.is_truncated:
        parts.append(tag("NextKeyMarker", _key(page.next_key_marker, encoding)))
        if page.next_version_id_marker:
            parts.append(tag("NextVersionIdMarker", page.next_version_id_marker))
    parts += [_listed_version(entry, encoding) for entry in page.entries]
    parts += _common_prefixes(page.common_prefixes, encoding)
    return document("ListVersionsResult", *parts)


def object_page(page: ObjectPage, request: dict[str, str], encoding: str, *extra: str) -> bytes:
    """ListBucketResult of either version; `extra` carries what only one of them has."""
    parts = [tag(name, _echo(name, value, encoding)) for name, value in request.items()]
    parts.append(tag("IsTruncated", str(page.is_truncated).lower()))
    parts += extra
    parts += [group("Contents", _listed(version, encoding)) for version in page.objects]
    parts += _common_prefixes(page.common_prefixes, encoding)
    return document("ListBucketResult", *parts)


def _echo(name: str, value: str, encoding: str) -> str:
    return _key(value, encoding) if name in ("Prefix", "Delimiter", "KeyMarker", "Marker", "StartAfter") else value


def _common_prefixes(prefixes: Iterable[str], encoding: str) -> list[str]:
    return [group("CommonPrefixes", tag("Prefix", _key(prefix, encoding))) for prefix in prefixes]


def _listed_version(entry: ListedVersion, encoding: str) -> str:
    version = entry.version
    start = tag("Key", _key(version.key, encoding)) + tag("VersionId", version.version_id)
    start += tag("IsLatest", str(entry.is_latest).lower()) + tag("LastModified", timestamp(version.last_modified))
    if version.is_delete_marker:
        return group("DeleteMarker", start, _OWNER)
    return group("Version", start, _content(version), _OWNER, tag("StorageClass", version.storage_class))


def _listed(version: Version, encoding: str) -> str:
    start = tag("Key", _key(version.key, encoding)) + tag("LastModified", timestamp(version.last_modified))
    return start + _content(version) + tag("StorageClass", version.storage_class)


def _content(version: Version) -> str:
    content = tag("ETag", f'"{version.etag}"')
    for algorithm in version.checksums:
        content += tag("ChecksumAlgorithm", algorithm) + tag("ChecksumType", version.checksum_type)
    return content + tag("Size", version.size)


def deletions(outcome: Deletions, quiet: bool) -> bytes:
    parts = []
    for done in () if quiet else outcome.deleted:
        content = tag("Key", done.key)
        if done.version_id:
            content += tag("VersionId", done.version_id)
        if done.is_delete_marker:
            content += tag("DeleteMarker", "true") + tag("DeleteMarkerVersionId", done.marker_version_id)
        parts.append(group("Deleted", content))
    for error in outcome.errors:
        content = tag("Key", error.key)
        if error.version_id:
            content += tag("VersionId", error.version_id)
        parts.append(group("Error", content, tag("Code", error.code), tag("Message", error.message)))
    return document("DeleteResult", *parts)


def checksums(version: Version) -> str:
    """The elements that say which checksums S3 computed."""
    parts = [tag(f"Checksum{algorithm}", value) for algorithm, value in version.checksums.items()]
    return "".join(parts) + (tag("ChecksumType", version.checksum_type) if parts else "")


def copied(version: Version) -> bytes:
    etag = tag("ETag", f'"{version.etag}"')
    return document("CopyObjectResult", tag("LastModified", timestamp(version.last_modified)), etag, checksums(version))


def part_copied(part: Part) -> bytes:
    etag = tag("ETag", f'"{part.etag}"')
    sums = "".join(tag(f"Checksum{name}", value) for name, value in part.checksums.items())
    return document("CopyPartResult", tag("LastModified", timestamp(part.last_modified)), etag, sums)


def uploads(bucket: str, found: Iterable[Upload], encoding: str) -> bytes:
    parts = [
        group(
            "Upload",
            tag("Key", _key(upload.key, encoding)),
            tag("UploadId", upload.upload_id),
            tag("Initiated", timestamp(upload.initiated)),
            tag("StorageClass", upload.attributes.storage_class),
            _OWNER,
        )
        for upload in found
    ]
    head = tag("Bucket", bucket) + (tag("EncodingType", encoding) if encoding else "")
    return document("ListMultipartUploadsResult", head, tag("IsTruncated", "false"), *parts)


def parts_of(bucket: str, key: str, upload_id: str, found: Iterable[Part]) -> bytes:
    parts = [
        group(
            "Part",
            tag("PartNumber", part.number),
            tag("ETag", f'"{part.etag}"'),
            tag("Size", len(part.body)),
            tag("LastModified", timestamp(part.last_modified)),
        )
        for part in found
    ]
    head = tag("Bucket", bucket) + tag("Key", key) + tag("UploadId", upload_id) + tag("IsTruncated", "false")
    return document("ListPartsResult", head, *parts)


def lock_configuration(default: DefaultRetention | None) -> bytes:
    rule = ""
    if default is not None:
        rule = group("Rule", group("DefaultRetention", tag("Mode", default.mode), tag("Days", default.days)))
    return document("ObjectLockConfiguration", tag("ObjectLockEnabled", "Enabled"), rule)


def retention(held: Retention) -> bytes:
    return document("Retention", tag("Mode", held.mode), tag("RetainUntilDate", timestamp(held.until)))

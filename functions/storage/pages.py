"""One page of ListObjectVersions: S3's bytes as Columns, in the order in which S3 sent the entries.

A parser of XML and a datetime for each entry cost many times what reading them takes. So one expression that knows the
rows of S3 and of Ceph takes a page apart, and a page that it does not know to the byte goes to ElementTree as a whole.
The expression guesses nothing:

- a row has these elements in this order, and texts without entities, markup or control characters;
- nothing lies between two rows;
- what lies before the first and after the last is whole, read by ElementTree, and holds no further entry;
- the page is UTF-8, and does not say otherwise.

Either way gives the same Page, or MalformedListing.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import repeat
from typing import Final, cast
from urllib.parse import unquote_plus

from functions.domain.columns import MARKER, Columns
from functions.domain.values import ObjectKey, VersionId, whole_second


class MalformedListing(Exception):
    """S3 answered a listing that cannot be read completely; nothing was recorded."""


@dataclass(frozen=True, slots=True)
class Place:
    """Between two entries of a bucket: where a listing goes on."""

    key: str
    """The bucket's key, with the repository's prefix."""
    version_id: str = ""
    """The place is after this version of the key; empty: after all of them."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer of S3 holds."""

    columns: Columns
    """Keys without the prefix."""
    following: Place | None
    """None: this was the last page."""


def read_page(body: bytes, prefix: str, bucket: str) -> Page:
    """Every entry of the page. Raises MalformedListing for what is no whole page, or leaves `prefix`."""
    try:
        return by_rows(body, prefix) or by_elements(body, prefix)
    except UnreadablePage as error:
        raise MalformedListing(f"a listing of {bucket} {error}; nothing was recorded") from error


class UnreadablePage(Exception):
    """What is wrong with a page, to be said of the listing."""


# --- by rows ---------------------------------------------------------------------------------------

_TEXT = "[!-%'-;=?-~]"
"""A character that is itself in XML: visible ASCII but for & < >."""
_NAME = r"[^\x00-\x1f<>&\ufffe\uffff]*"
_OWNER = f"(?:<Owner>(?:<ID>{_NAME}</ID>)?(?:<DisplayName>{_NAME}</DisplayName>)?</Owner>)?"
_TYPE = "(?:<Type>[A-Za-z]+</Type>)?"  # Ceph's
_ROW: Final = re.compile(
    "<(?:(V)ersion|DeleteMarker)>"
    f"<Key>({_TEXT}+)</Key>"
    f"<VersionId>({_TEXT}+)</VersionId>"
    "<IsLatest>(?:true|false)</IsLatest>"
    "<LastModified>([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}):([0-5][0-9]:[0-5][0-9])(?:[.][0-9]{1,9})?Z</LastModified>"
    "(?(1)"
    '(?:<ETag>(?:&quot;|")?([!#-%\'-;=?-~]*)(?:&quot;|")?</ETag>)?'
    "(?:<ChecksumAlgorithm>[A-Z0-9]+</ChecksumAlgorithm>)*(?:<ChecksumType>[A-Z_]+</ChecksumType>)?"
    "<Size>([0-9]{1,18})</Size>"
    f"{_OWNER}((?:<StorageClass>[A-Z0-9_]+</StorageClass>)?){_OWNER}{_TYPE}</Version>"
    f"|{_OWNER}{_TYPE}</DeleteMarker>)"
)
_STRIDE: Final = _ROW.groups + 1
"""A row's groups, and what lies between it and the next."""
_DECLARATION: Final = re.compile('<[?]xml version="1[.]0"(?: encoding="(?i:utf-8)")?[?]>')
_SECONDS: Final = {f"{minute:02}:{second:02}": 60 * minute + second for minute in range(60) for second in range(60)}


def by_rows(body: bytes, prefix: str) -> Page | None:
    """None: it takes a parser of XML to tell what this page holds."""
    try:
        parts = _ROW.split(body.decode())
        if len(parts) == 1 or any(parts[_STRIDE:-1:_STRIDE]):
            return None
        frame = _frame(parts[0], parts[-1])
        times = [_hour(hour) + _SECONDS[rest] for hour, rest in zip(parts[4::_STRIDE], parts[5::_STRIDE], strict=True)]
    except (ValueError, ET.ParseError):  # no UTF-8, no such hour, or rows that are not right beneath the root
        return None
    if frame is None:
        return None
    columns = Columns(
        keys=_keys(parts[2::_STRIDE], frame, prefix),
        version_ids=cast("list[VersionId]", parts[3::_STRIDE]),
        sizes=[MARKER if size is None else int(size) for size in parts[7::_STRIDE]],
        times=times,
        etags=[etag or "" for etag in parts[6::_STRIDE]],
        classes=list(map(_storage_class, parts[8::_STRIDE])),
    )
    return Page(columns, _following(frame, prefix + columns.keys[-1]))


def _frame(before: str, after: str) -> ET.Element | None:
    """What surrounds the rows; None: it holds entries, or names an encoding. Raises ParseError.

    Both ends are whole by themselves, so no row lies in a comment, in an attribute, or in an element that is no root.
    """
    if declaration := _DECLARATION.match(before):
        before = before[declaration.end() :]
    if "<?xml" in before:
        return None
    root = _unqualified(ET.fromstring(f"{before}</ListVersionsResult>"))  # noqa: S314 - as in by_elements
    root.extend(_unqualified(ET.fromstring(f"<ListVersionsResult>{after}")))  # noqa: S314
    return root if next(_entries(root), None) is None else None


@lru_cache(1 << 16)
def _hour(text: str) -> int:
    """Seconds from 1970 to the beginning of an hour."""
    return int(datetime.fromisoformat(f"{text}:00+00:00").timestamp())


@lru_cache(1 << 10)
def _storage_class(element: str | None) -> str:
    """Also makes one string of the same class of thousands of entries."""
    if element is None:
        return ""  # of a delete marker
    return element.removeprefix("<StorageClass>").removesuffix("</StorageClass>") or _STANDARD


# --- by elements -----------------------------------------------------------------------------------

_STANDARD: Final = "STANDARD"
"""What an entry without a storage class has."""
_LONGEST_SIZE: Final = 18
"""Digits: more bytes than any store has."""


def by_elements(body: bytes, prefix: str) -> Page:
    try:
        root = _unqualified(ET.fromstring(body))  # noqa: S314 - S3's own answer, and expat bounds entity expansion
    except (ET.ParseError, ValueError, LookupError) as error:  # the latter two: an encoding that nobody knows
        raise UnreadablePage(f"is no XML: {error}") from error
    if root.tag != "ListVersionsResult":
        raise UnreadablePage(f"is a <{root.tag}>")
    entries = [element for element in root if element.tag in ("Version", "DeleteMarker")]
    if len(entries) != sum(1 for _ in _entries(root)):
        raise UnreadablePage("has an entry within another element")
    columns = Columns()
    for element in entries:
        version = element.tag == "Version"
        columns.version_ids.append(VersionId(_needed(element, "VersionId")))
        columns.times.append(_time(_needed(element, "LastModified")))
        columns.sizes.append(_size(_needed(element, "Size")) if version else MARKER)
        columns.etags.append(_text(element, "ETag").strip('"') if version else "")
        columns.classes.append((_text(element, "StorageClass") or _STANDARD) if version else "")
    columns.keys = _keys([_needed(element, "Key") for element in entries], root, prefix)
    return Page(columns, _following(root, prefix + columns.keys[-1] if entries else ""))


def _time(text: str) -> int:
    try:
        return int(whole_second(datetime.fromisoformat(text)).timestamp())
    except (ValueError, OverflowError) as error:
        raise UnreadablePage("has an entry whose LastModified is no time") from error


def _size(text: str) -> int:
    # A number below zero would pass for a delete marker.
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_SIZE):
        raise UnreadablePage("has a version whose Size is no number of bytes")
    return int(text)


# --- either way ------------------------------------------------------------------------------------


def _unqualified(root: ET.Element) -> ET.Element:
    """Without namespaces, which differ between servers."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _entries(root: ET.Element) -> Iterator[ET.Element]:
    return (element for element in root.iter() if element.tag in ("Version", "DeleteMarker"))


def _text(parent: ET.Element, name: str) -> str:
    """Empty, if there is no such element."""
    found = parent.findall(name)
    if len(found) > 1 or any(map(len, found)):
        raise UnreadablePage(f"has a <{parent.tag}> with more than one <{name}>, or with elements in it")
    return (found[0].text or "") if found else ""


def _needed(parent: ET.Element, name: str) -> str:
    text = _text(parent, name)
    if not text:
        raise UnreadablePage(f"has a <{parent.tag}> without <{name}>")
    return text


def _keys(raw: list[str], root: ET.Element, prefix: str) -> list[ObjectKey]:
    """Decoded, and without the prefix."""
    keys = list(map(_decoded, raw)) if _is_encoded(root, "".join(raw)) else raw
    if not all(map(str.startswith, keys, repeat(prefix))):
        raise UnreadablePage("left its prefix")
    return [ObjectKey(key[len(prefix) :]) for key in keys]


def _is_encoded(root: ET.Element, text: str) -> bool:
    return ("%" in text or "+" in text) and _text(root, "EncodingType") == "url"


def _decoded(text: str) -> str:
    plain = text.replace("%2F", "/")  # Ceph encodes the slash, too: in a listing of its the only thing, mostly
    if "%" not in plain and "+" not in plain:
        return plain
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError as error:
        raise UnreadablePage("has a key that is no UTF-8") from error


def _following(root: ET.Element, last: str) -> Place | None:
    """`last` is the bucket's key of the page's last entry."""
    truncated = _text(root, "IsTruncated")
    if truncated not in ("true", "false"):
        raise UnreadablePage("does not say whether it goes on")
    if truncated == "false":
        return None
    key = _text(root, "NextKeyMarker")
    if not key:
        raise UnreadablePage("goes on and names no next key")
    # Ceph encodes keys, and not this one.
    if key != last and _is_encoded(root, key):
        key = _decoded(key)
    return Place(key, _text(root, "NextVersionIdMarker"))

"""Listings of a `Synthetic` bucket, rendered once: a page is a slice of one file, wherever it begins.

The file is mapped, not read: ten million versions are 5 GB on disk, and take the server no more than what it sends.
"""

import json
import mmap
import shutil
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

from bench.synthetic import Synthetic, render

_ENTRIES, _OFFSETS, _MADE = "entries.xml", "offsets", "made.json"
_FORMAT = 1
MOST_KEYS = 1_000
_KEY, _VERSION_ID = b"<Key>", b"<VersionId>"
_BEHIND_ALL = "\U0010ffff"


class NoSuchMarker(Exception):
    """There is no such version of that key."""


@dataclass(frozen=True, slots=True)
class Page:
    """The body of an answer, in pieces."""

    head: bytes
    entries: memoryview
    tail: bytes

    def __len__(self) -> int:
        return len(self.head) + len(self.entries) + len(self.tail)


def write(folder: Path, synthetic: Synthetic) -> None:
    """Render everything into `folder`, unless this very bucket is there already."""
    made, wanted = folder / _MADE, {**asdict(synthetic), "format": _FORMAT}
    if made.exists() and json.loads(made.read_text()) == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    offsets, end, key = array("Q", [0]), 0, None
    with (folder / _ENTRIES).open("wb") as file:
        for columns in synthetic.blocks():
            rendered = render(columns, key)
            key = columns.keys[-1]
            file.write(b"".join(rendered))
            for entry in rendered:
                end += len(entry)
                offsets.append(end)
    (folder / _OFFSETS).write_bytes(offsets.tobytes())
    made.write_text(json.dumps(wanted))


class Canned:
    """A bucket that was written to a folder."""

    def __init__(self, folder: Path) -> None:
        self._offsets = array("Q")
        self._offsets.frombytes((folder / _OFFSETS).read_bytes())
        self._entries: mmap.mmap | bytes = b""
        if self._offsets[-1]:
            with (folder / _ENTRIES).open("rb") as file:
                self._entries = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._view = memoryview(self._entries)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def page(self, bucket: str, asked: Mapping[str, str]) -> Page:
        """What S3 answers to a ListObjectVersions with these parameters. Raises NoSuchMarker."""
        prefix, most = asked.get("prefix", ""), min(int(asked.get("max-keys", MOST_KEYS)), MOST_KEYS)
        start = max(self._after(asked), bisect_left(_Keys(self), prefix))
        end = bisect_right(_Keys(self), prefix + _BEHIND_ALL, start) if prefix else len(self)
        stop = max(start, min(start + most, end))
        return Page(
            self._head(bucket, asked, most, stop if start < stop < end else None),
            self._view[self._offsets[start] : self._offsets[stop]],
            b"</ListVersionsResult>",
        )

    def _after(self, asked: Mapping[str, str]) -> int:
        """The place behind the markers: without a version id, behind all versions of the key."""
        key, version_id = asked.get("key-marker", ""), asked.get("version-id-marker", "")
        if not version_id:
            return bisect_right(_Keys(self), key) if key else 0
        first, behind = bisect_left(_Keys(self), key), bisect_right(_Keys(self), key)
        for place in range(first, behind):
            if self.version_id(place) == version_id:
                return place + 1
        raise NoSuchMarker(f"there is no version {version_id} of {key}")

    def key(self, place: int) -> str:
        return self._text(place, _KEY)

    def version_id(self, place: int) -> str:
        return self._text(place, _VERSION_ID)

    def _text(self, place: int, tag: bytes) -> str:
        start = self._entries.find(tag, self._offsets[place]) + len(tag)
        return self._entries[start : self._entries.find(b"<", start)].decode()

    def _head(self, bucket: str, asked: Mapping[str, str], most: int, stop: int | None) -> bytes:
        """`stop`: where the next page begins; None: this is the last."""
        encoded = asked.get("encoding-type") == "url"

        def name(text: str) -> str:
            return quote(text, safe="/*") if encoded else escape(text)

        further = ""
        if stop is not None:
            further = (
                f"<NextKeyMarker>{name(self.key(stop - 1))}</NextKeyMarker>"
                f"<NextVersionIdMarker>{self.version_id(stop - 1)}</NextVersionIdMarker>"
            )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{name(asked.get('prefix', ''))}</Prefix>"
            f"<KeyMarker>{name(asked.get('key-marker', ''))}</KeyMarker>"
            f"<VersionIdMarker>{escape(asked.get('version-id-marker', ''))}</VersionIdMarker>"
            f"{further}<MaxKeys>{most}</MaxKeys>"
            f"{'<EncodingType>url</EncodingType>' if encoded else ''}"
            f"<IsTruncated>{'false' if stop is None else 'true'}</IsTruncated>"
        ).encode()


class _Keys:
    """A bucket's keys as a sequence for bisect; restic's have nothing that would be encoded."""

    def __init__(self, canned: Canned) -> None:
        self._canned = canned

    def __len__(self) -> int:
        return len(self._canned)

    def __getitem__(self, place: int) -> str:
        return self._canned.key(place)

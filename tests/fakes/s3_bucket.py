"""One bucket's contents: the history of each key, in S3's order.

S3 lists keys by their UTF-8 bytes. Python compares strings by code point, which is the same order.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.fakes.s3_model import (
    NULL,
    DefaultRetention,
    ListedVersion,
    ObjectPage,
    Upload,
    Version,
    VersioningStatus,
    VersionPage,
)


@dataclass(slots=True)
class Bucket:
    """A bucket: configuration, versions, uploads in progress. It decides nothing; `FakeS3` does."""

    name: str
    region: str
    lock_enabled: bool = False
    default_retention: DefaultRetention | None = None
    versioning: VersioningStatus = VersioningStatus.OFF
    blocks_customer_keys: bool = False
    kms_key_id: str = ""
    uploads: dict[str, Upload] = field(default_factory=dict)
    _histories: dict[str, list[Version]] = field(default_factory=dict)
    """Per key, ascending by `order`: the current version is the last."""
    _places: dict[tuple[str, str], int] = field(default_factory=dict)
    """The `order` of every version there ever was: a listing continues where a deleted version was."""
    _keys: list[str] = field(default_factory=list)
    _sorted: bool = True

    # --- one key ---------------------------------------------------------------------------------------

    def current(self, key: str) -> Version | None:
        """The newest entry of `key`, which may be a delete marker."""
        history = self._histories.get(key)
        return history[-1] if history else None

    def find(self, key: str, version_id: str) -> Version | None:
        history = self._histories.get(key)
        order = self._places.get((key, version_id))
        if history is None or order is None:
            return None
        at = bisect_left(history, order, key=_order)
        return history[at] if at < len(history) and history[at].order == order else None

    def knows(self, key: str, version_id: str) -> bool:
        """Whether `version_id` was ever a version of `key`."""
        return (key, version_id) in self._places

    def insert(self, version: Version) -> None:
        """Put `version` where its order says. A null version takes the place of the null version before it."""
        if version.version_id == NULL and (old := self.find(version.key, NULL)) is not None:
            self.remove(old)
        history = self._histories.get(version.key)
        if history is None:
            history = self._histories[version.key] = []
            self._sorted = self._sorted and (not self._keys or self._keys[-1] < version.key)
            self._keys.append(version.key)
        history.insert(bisect_right(history, version.order, key=_order), version)
        self._places[version.key, version.version_id] = version.order

    def replace(self, old: Version, new: Version) -> None:
        """Put `new` (same key, id and order) in the place of `old`."""
        history = self._histories[old.key]
        history[bisect_left(history, old.order, key=_order)] = new

    def remove(self, version: Version) -> None:
        history = self._histories[version.key]
        del history[bisect_left(history, version.order, key=_order)]
        if not history:
            del self._histories[version.key]
            keys = self._ordered_keys()
            del keys[bisect_left(keys, version.key)]

    @property
    def is_empty(self) -> bool:
        return not self._histories

    # --- listings --------------------------------------------------------------------------------------

    def versions(self) -> Iterator[ListedVersion]:
        """Every entry in S3's order: keys ascend, the newest of a key first."""
        for key in list(self._ordered_keys()):
            history = self._histories[key]
            for version in reversed(history):
                yield ListedVersion(version, version is history[-1])

    def version_page(
        self, prefix: str, delimiter: str, key_marker: str, version_id_marker: str, size: int
    ) -> VersionPage:
        """The page of at most `size` entries after the markers. Common prefixes count as entries."""
        entries: list[ListedVersion] = []
        prefixes: list[str] = []
        last, last_id = "", ""
        for key, start in self._keys_after(prefix, delimiter, key_marker, version_id_marker):
            common = _common_prefix(key, prefix, delimiter)
            if common:
                if prefixes and prefixes[-1] == common:
                    continue
                if len(entries) + len(prefixes) == size:
                    return VersionPage(entries, prefixes, True, last, last_id)
                prefixes.append(common)
                last, last_id = common, ""
                continue
            history = self._histories[key]
            for at in range(start, -1, -1):
                if len(entries) + len(prefixes) == size:
                    return VersionPage(entries, prefixes, True, last, last_id)
                entries.append(ListedVersion(history[at], at == len(history) - 1))
                last, last_id = key, history[at].version_id
        return VersionPage(entries, prefixes, False, "", "")

    def object_page(self, prefix: str, delimiter: str, after: str, size: int) -> ObjectPage:
        """The page of at most `size` current objects and common prefixes after the key `after`."""
        objects: list[Version] = []
        prefixes: list[str] = []
        last = ""
        for key, newest in self._keys_after(prefix, delimiter, after, ""):
            version = self._histories[key][newest]
            if version.is_delete_marker:
                continue
            common = _common_prefix(key, prefix, delimiter)
            if common and prefixes and prefixes[-1] == common:
                continue
            if len(objects) + len(prefixes) == size:
                return ObjectPage(objects, prefixes, True, last)
            last = common or key
            if common:
                prefixes.append(common)
            else:
                objects.append(version)
        return ObjectPage(objects, prefixes, False, "")

    def _keys_after(
        self, prefix: str, delimiter: str, key_marker: str, version_id_marker: str
    ) -> Iterator[tuple[str, int]]:
        """Keys under `prefix` behind the markers, each with the index in its history to begin at, downwards."""
        keys = self._ordered_keys()
        begin = bisect_left(keys, prefix)
        if key_marker:
            begin = max(begin, bisect_right(keys, key_marker))
        if version_id_marker and (history := self._histories.get(key_marker)):
            older = bisect_left(history, self._places.get((key_marker, version_id_marker), 0), key=_order)
            if older and key_marker.startswith(prefix):
                yield key_marker, older - 1
        # A marker that is a common prefix stands for all the keys below it.
        rolled_up = key_marker if delimiter and key_marker.endswith(delimiter) else ""
        for at in range(begin, len(keys)):
            key = keys[at]
            if not key.startswith(prefix):
                return
            if rolled_up and _common_prefix(key, prefix, delimiter) == rolled_up:
                continue
            yield key, len(self._histories[key]) - 1

    def _ordered_keys(self) -> list[str]:
        if not self._sorted:
            self._keys.sort()
            self._sorted = True
        return self._keys


def _order(version: Version) -> int:
    return version.order


def _common_prefix(key: str, prefix: str, delimiter: str) -> str:
    """What S3 rolls `key` up to; empty when it is listed itself."""
    if not delimiter:
        return ""
    end = key.find(delimiter, len(prefix))
    return "" if end < 0 else key[: end + len(delimiter)]

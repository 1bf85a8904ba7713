"""A listing as the histories of those keys of which something might go.

Most keys of a repository have one version, which is current: they pass by without a history, so that ten million
of them cost little, and memory holds one key at a time.

Security rules:
- Which entry is current, and which succeeds which, is told by S3's order within the key, never by `IsLatest`.
- A listing whose keys do not ascend raises: a key that is listed in two places would have two histories, each with
  a current entry too few.
- A key with more than MOST_ENTRIES entries is a flood: only its count is true, and nothing is decided on it.
"""

from collections.abc import Iterable, Iterator

from functions.domain.consistent.fresh import MOST_ENTRIES, KeyHistory
from functions.domain.cut import NotInOrder
from functions.domain.state import Tally
from functions.domain.values import ListedVersion, ObjectKey, ObjectVersion


class Histories:
    """Iterates once over the histories in `listing` (S3's order, complete), in key order, `locks/` included."""

    def __init__(self, listing: Iterable[ListedVersion]) -> None:
        self._listing = listing
        self._versions = self._bytes = self._markers = 0

    @property
    def versions(self) -> Tally:
        """All object versions that have passed, current ones included."""
        return Tally(objects=self._versions, bytes=self._bytes)

    @property
    def markers(self) -> int:
        """All delete markers that have passed."""
        return self._markers

    def __iter__(self) -> Iterator[KeyHistory]:
        """Raises NotInOrder."""
        key: ObjectKey | None = None
        entries: list[ListedVersion] = []
        count = 0
        for entry in self._listing:
            if isinstance(entry, ObjectVersion):
                self._versions += 1
                self._bytes += entry.size
            else:
                self._markers += 1
            if entry.key == key:
                count += 1
                if count <= MOST_ENTRIES:
                    entries.append(entry)
                continue
            if key is not None:
                if entry.key < key:
                    raise NotInOrder(f"{entry.key!r} was listed after {key!r}; nothing was planned")
                if _matters(entries):
                    yield KeyHistory(key, tuple(entries), count)
            key, entries, count = entry.key, [entry], 1
        if key is not None and _matters(entries):
            yield KeyHistory(key, tuple(entries), count)


def is_flooded(history: KeyHistory) -> bool:
    return history.count > len(history.entries) or history.count > MOST_ENTRIES


def _matters(entries: list[ListedVersion]) -> bool:
    return len(entries) > 1 or not isinstance(entries[0], ObjectVersion)

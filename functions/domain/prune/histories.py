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

from functions.domain.cut import NotInOrder
from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.state import Tally
from functions.domain.values import ListedVersion, ObjectVersion


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
        listing = iter(self._listing)
        newest = next(listing, None)
        if newest is None:
            return
        # All in locals, and a list only for what lies beneath a key's newest entry: this is done ten million times.
        key, beneath, count = newest.key, list[ListedVersion](), 1
        versions, size, markers, matters = 0, 0, 1, True
        if isinstance(newest, ObjectVersion):
            versions, size, markers, matters = 1, newest.size, 0, False
        for entry in listing:
            if isinstance(entry, ObjectVersion):
                versions += 1
                size += entry.size
                marker = False
            else:
                markers += 1
                marker = True
            if entry.key > key:
                if matters:
                    self._versions, self._bytes, self._markers = versions, size, markers
                    yield KeyHistory(key, (newest, *beneath), count)
                    beneath, count = [], 1
                key, newest, matters = entry.key, entry, marker
            elif entry.key == key:
                matters = True
                count += 1
                if count <= MOST_ENTRIES:
                    beneath.append(entry)
            else:
                raise NotInOrder(f"{entry.key!r} was listed after {key!r}; nothing was planned")
        self._versions, self._bytes, self._markers = versions, size, markers
        if matters:
            yield KeyHistory(key, (newest, *beneath), count)


def is_flooded(history: KeyHistory) -> bool:
    return history.count > len(history.entries) or history.count > MOST_ENTRIES

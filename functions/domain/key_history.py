"""One key of a versioned bucket: its versions and delete markers, newest first."""

from dataclasses import dataclass

from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion

MOST_ENTRIES = 200
"""Of one key. restic writes a name once, and hides it once; a retried PUT adds one."""


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """A key outside `locks/` that is hidden, or was, or has more than one version."""

    key: ObjectKey
    entries: tuple[ListedVersion, ...]
    """Newest first; of a flood the newest ones and the oldest."""
    count: int
    """All of them."""

    @property
    def current(self) -> ObjectVersion | None:
        return self.entries[0] if isinstance(self.entries[0], ObjectVersion) else None

    @property
    def versions(self) -> tuple[ObjectVersion, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, ObjectVersion))

    @property
    def markers(self) -> tuple[DeleteMarker, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, DeleteMarker))

"""What one listing shows: the cut, what only the history of a key can tell, and what was current at past cuts.

Nearly all objects of a large repository are packs that were written once and lie there ever since. They are counted and
packed; as objects there are only those that a rule may have to name.

The listing shows what was current at past cuts, too. Versions that kept states name are never destroyed, so an old
state is still in it, and record compares with that state without reading a chunk of the ledger. Two things can spoil
that picture: a version that was destroyed after all, and one that came later and is dated earlier. So whoever uses it
compares its manifest root with the state's header; and a check, which reads the ledger's own entries, finds the first
as `gone` and the second as `backdated`.

`fold` makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from functions.domain.consistent.shown import PastCut
from functions.domain.cut import Cut
from functions.domain.key_history import KeyHistory
from functions.domain.repositories import Repository
from functions.domain.restic import FileType, file_type
from functions.domain.state import Roots, Tally
from functions.domain.values import ObjectKey, ObjectVersion, VersionId

_NONE = Tally(objects=0, bytes=0)


@dataclass(frozen=True, slots=True)
class Usual:
    """How a repository's objects are stored. Those that are stored otherwise are kept for the rules to name."""

    storage_classes: frozenset[str] = frozenset({"STANDARD"})
    multipart: bool = False
    """Uploads in parts are usual."""

    @classmethod
    def of(cls, repository: Repository) -> Self:
        return cls(frozenset(repository.storage_classes), repository.allow_multipart)


RESTICS = Usual()
"""How restic stores them, if nobody tells it otherwise."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The versions of one key that kept states name."""

    key: ObjectKey
    version_ids: frozenset[VersionId]


@dataclass(frozen=True, slots=True)
class Fresh:
    """What one listing shows. Everything is in key order where nothing else is said."""

    cut: Cut
    roots: Roots
    """Of the cut."""
    by_type: Mapping[FileType, Tally]
    """The cut's versions by restic's type of file; types that do not occur are left out."""
    few: tuple[ObjectVersion, ...]
    """The cut's versions of the types in FEW."""
    too_small: tuple[ObjectVersion, ...]
    """The cut's versions of restic's files that have fewer than SMALLEST bytes."""
    unusual_classes: tuple[ObjectVersion, ...]
    """The cut's versions that are in another storage class than usual."""
    multipart: tuple[ObjectVersion, ...]
    """Versions that were uploaded in parts, current or beneath, unless that is usual."""
    histories: tuple[KeyHistory, ...]
    gone: tuple[Pin, ...]
    """Pinned versions that were not listed."""
    backdated: tuple[ObjectVersion, ...]
    """Versions that the listing shows as current at a kept state's cut, and which that state, recorded then, does not
    name: each came later than it is dated."""
    past: Mapping[datetime, PastCut]
    """By the past cut times that were asked for."""
    flooded: tuple[tuple[ObjectKey, int], ...]
    """Keys with more than MOST_ENTRIES entries, `locks/` included, and how many each has."""
    nulls: tuple[ObjectKey, ...]
    """Keys with a version whose id is `null`, current or not."""
    snapshot_uploads: tuple[datetime, ...]
    """When each version of a snapshot file was written, in time order."""
    net_bytes: tuple[tuple[int, int], ...]
    """(days before the cut, bytes by which current packs grew on that day), ascending; 0 is the last 24 hours."""
    upload_days: frozenset[int]
    """Days before the cut on which a pack was written."""
    oldest_lock: datetime | None
    """When the oldest current lock file was written."""

    def of(self, kind: FileType) -> tuple[ObjectVersion, ...]:
        """Current versions of one of the types in FEW."""
        return tuple(version for version in self.few if file_type(version.key) is kind)

    def tally(self, kind: FileType) -> Tally:
        """Of the cut's versions of one type of file."""
        return self.by_type.get(kind, _NONE)

    def history(self, key: ObjectKey) -> KeyHistory | None:
        """Linear: for the few keys that a finding names."""
        return next((each for each in self.histories if each.key == key), None)


def is_multipart(version: ObjectVersion) -> bool:
    """Whether the ETag is that of a multipart upload: a dash and the number of parts behind the digest."""
    return "-" in version.etag

"""One version or marker that a plan names, and the batch files that hold them.

Security rules:
- An entry is planned only with the rule that lets it go.
- What is listed later under its version id has to be what was planned; an id alone is not enough.
- A batch is believed only by its digest, which the plan covers.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Self

from pydantic import Field

from functions.domain.documents import Instant, Part, UnreadableDocument
from functions.domain.prune.rules import Decision, Reason
from functions.domain.values import Digest, ListedVersion, ObjectKey, ObjectVersion, VersionId, zulu


class NotPlannable(Exception):
    """The rules do not let an entry go; it was not planned."""


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """One version or marker that may go, and why."""

    key: ObjectKey
    version_id: VersionId
    size: int | None
    """Bytes; None: a delete marker."""
    last_modified: datetime
    reason: Reason
    since: datetime
    """Since when it is noncurrent; of a current marker, its own date."""

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """Raises NotPlannable for an entry that waits."""
        entry, reason = decision.entry, decision.verdict
        if not isinstance(reason, Reason):
            raise NotPlannable(f"an entry of {entry.key!r} waits ({reason}); it was not planned")
        size = entry.size if isinstance(entry, ObjectVersion) else None
        return cls(entry.key, entry.version_id, size, entry.last_modified, reason, decision.since)

    def is_still(self, entry: ListedVersion) -> bool:
        """Whether `entry`, as listed now, is what was planned: the same id never stands for something else."""
        size = entry.size if isinstance(entry, ObjectVersion) else None
        mine = (self.key, self.version_id, self.size, self.last_modified)
        return mine == (entry.key, entry.version_id, size, entry.last_modified)


class _Line(Part):
    """One line of a batch file."""

    key: ObjectKey
    version_id: VersionId
    size: int | None = Field(ge=0)
    last_modified: Instant
    reason: Reason
    since: Instant


_zulu = lru_cache(maxsize=1 << 14)(zulu)
"""What was hidden together shares its second; writing it out anew would be a third of the work of a plan."""
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
"""ASCII, so that nothing but "\\n" can be taken for the end of a line."""


def encode_batch(entries: Iterable[PlannedEntry]) -> bytes:
    """A batch file: one line of JSON per entry. Its format is the plan's, which covers its digest."""
    lines = [
        _ENCODE(
            {
                "key": entry.key,
                "last_modified": _zulu(entry.last_modified),
                "reason": entry.reason.value,
                "since": _zulu(entry.since),
                "size": entry.size,
                "version_id": entry.version_id,
            }
        )
        for entry in entries
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def decode_batch(content: bytes) -> tuple[PlannedEntry, ...]:
    """The entries of a batch file. Raises UnreadableDocument."""
    try:
        lines = [_Line.model_validate_json(line) for line in content.splitlines()]
    except ValueError as error:
        raise UnreadableDocument(f"a stored prune batch is malformed: {error}") from error
    return tuple(
        PlannedEntry(line.key, line.version_id, line.size, line.last_modified, line.reason, line.since)
        for line in lines
    )


def batch_digest(content: bytes) -> Digest:
    """The digest of a batch file's bytes, as the plan states it."""
    return Digest(hashlib.sha256(b"rwm prune batch 1\0" + content).hexdigest())

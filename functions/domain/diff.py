"""What changed between two states, and what each change means by restic's type of file.

Source of the meanings: restic's own writes and removals per type of file (docs/design.md, restic's
layout). restic's files are written once and named by the SHA-256 of their bytes, so a second version of
one is either the same bytes uploaded again or damage.

A meaning is a hint for a person who reads a difference. It is no verdict: an attacker who holds the
password can make every change that restic makes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from functions.domain.columns import Columns
from functions.domain.delta import ascend, unlike
from functions.domain.restic import FileType, file_type
from functions.domain.values import ObjectKey, ObjectVersion


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    REPLACED = "replaced"
    """The same key, another object version."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Whether restic itself makes such a change, and what does or what else it may be."""

    expected: bool
    what: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that two states do not agree on. At least one of `before` and `after` is there."""

    key: ObjectKey
    before: ObjectVersion | None
    after: ObjectVersion | None

    @property
    def change(self) -> Change:
        if self.before is None:
            return Change.ADDED
        return Change.REMOVED if self.after is None else Change.REPLACED

    @property
    def file_type(self) -> FileType:
        return file_type(self.key)

    @property
    def same_size(self) -> bool:
        return self.before is not None and self.after is not None and self.before.size == self.after.size

    @property
    def same_etag(self) -> bool:
        """Both have an ETag, and it is the same."""
        return (
            self.before is not None
            and self.after is not None
            and self.before.etag != ""
            and self.before.etag == self.after.etag
        )

    @property
    def meaning(self) -> Meaning:
        if self.change is Change.REPLACED and self.file_type in _NAMED:
            return self._other_version()
        return _MEANINGS[self.file_type, self.change]

    def _other_version(self) -> Meaning:
        if not self.same_size:
            return Meaning(False, "damage: other bytes under a name that promises the old ones")
        if not self.same_etag:
            # Under KMS equal bytes have different ETags, so this alone does not convict.
            return Meaning(False, "other bytes, or under KMS the same ones uploaded again; read both to know")
        # An MD5 can be made to collide by who writes both versions, so "by its ETag" and no more than that.
        return Meaning(True, "the same bytes uploaded again, by size and ETag")


@dataclass(frozen=True, slots=True)
class Totals:
    """How many keys changed in one way, their bytes in either state, and how many restic would not change so."""

    objects: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    unexpected: int = 0

    def plus(self, difference: Difference) -> "Totals":
        return Totals(
            objects=self.objects + 1,
            bytes_before=self.bytes_before + (difference.before.size if difference.before else 0),
            bytes_after=self.bytes_after + (difference.after.size if difference.after else 0),
            unexpected=self.unexpected + (not difference.meaning.expected),
        )


def differences(before: Iterable[Columns], after: Iterable[Columns]) -> Iterator[Difference]:
    """Each key on which two states differ, in key order; both given in key order, and gone through side by side.

    Raises ValueError when the keys of either do not strictly ascend.
    """
    for old, new in unlike(_ascending(before), _ascending(after)):
        if old is None or new is None or (old.version_id, old.size) != (new.version_id, new.size):
            entry = old or new
            assert entry is not None  # noqa: S101 - for the type checker: one of both is there
            yield Difference(entry.key, old, new)


def totals(changes: Iterable[Difference]) -> dict[tuple[FileType, Change], Totals]:
    """`changes` added up by type of file and kind of change; what does not occur is left out."""
    added_up: dict[tuple[FileType, Change], Totals] = {}
    for difference in changes:
        kind = (difference.file_type, difference.change)
        added_up[kind] = added_up.get(kind, Totals()).plus(difference)
    return added_up


def _ascending(blocks: Iterable[Columns]) -> Iterator[Columns]:
    last: list[ObjectKey] = []
    for block in blocks:
        if not ascend(chain(last, block.keys)):
            raise ValueError(
                f"keys up to {block.keys[-1]!r} do not ascend; two states can only be compared in key order"
            )
        last = block.keys[-1:] or last
        yield block


_NAMED = frozenset({FileType.KEY, FileType.SNAPSHOT, FileType.INDEX, FileType.PACK})
"""Named by the SHA-256 of their bytes."""
_NO_RESTIC_FILE = Meaning(False, "not a file that restic makes")
_NO_PART = Meaning(False, "lock files are never part of a state")

_MEANINGS: Mapping[tuple[FileType, Change], Meaning] = {
    (FileType.CONFIG, Change.ADDED): Meaning(True, "restic init"),
    (FileType.CONFIG, Change.REMOVED): Meaning(False, "no restic command removes it"),
    (FileType.CONFIG, Change.REPLACED): Meaning(False, "only `restic migrate upgrade_repo_v2` rewrites it, and once"),
    (FileType.KEY, Change.ADDED): Meaning(True, "restic init, key add or key passwd"),
    (FileType.KEY, Change.REMOVED): Meaning(True, "restic key remove or key passwd: a password was revoked"),
    (FileType.SNAPSHOT, Change.ADDED): Meaning(True, "restic backup, tag, rewrite or copy"),
    (FileType.SNAPSHOT, Change.REMOVED): Meaning(True, "restic forget, tag or rewrite --forget"),
    (FileType.INDEX, Change.ADDED): Meaning(True, "restic backup, prune or repair index"),
    (FileType.INDEX, Change.REMOVED): Meaning(True, "restic prune or repair index"),
    (FileType.PACK, Change.ADDED): Meaning(True, "restic backup or prune"),
    (FileType.PACK, Change.REMOVED): Meaning(True, "restic prune or repair packs"),
    **dict.fromkeys(((FileType.LOCK, change) for change in Change), _NO_PART),
    **dict.fromkeys(((FileType.ALIEN, change) for change in Change), _NO_RESTIC_FILE),
}

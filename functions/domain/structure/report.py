"""What a structural check found, bounded: a repository with a million troubles has a short report too."""

from enum import StrEnum
from typing import ClassVar

from functions.domain.documents import Document, Part

SHOWN = 100
"""Troubles of one sort that a report names; the others are counted."""
_LONGEST = 300
"""Characters of a reason: a version id alone may have 1,024, and a whole report must fit into an item of DynamoDB."""
_REMEMBERED = 100_000
"""Subjects that are told apart, so that each counts once; beyond, one may count again."""


class Level(StrEnum):
    """How much is read: as `restic check` does, or as `restic check --read-data` does."""

    STRUCTURE = "structure"
    READ_DATA = "read_data"


class Trouble(Part):
    """One thing that is not as it should be."""

    subject: str
    """A key of the state, or the name of a blob."""
    why: str


class Troubles(Part):
    """Those of one sort: all counted, the first ones named."""

    count: int = 0
    shown: tuple[Trouble, ...] = ()

    def __bool__(self) -> bool:
        return self.count > 0


class Tally:
    """Counts each subject once, and keeps the first few."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._count = 0
        self._shown: list[Trouble] = []

    def note(self, subject: str, why: object) -> None:
        if subject in self._seen:
            return
        if len(self._seen) < _REMEMBERED:
            self._seen.add(subject)
        self._count += 1
        if len(self._shown) < SHOWN:
            self._shown.append(Trouble(subject=subject, why=str(why)[:_LONGEST]))

    def total(self) -> Troubles:
        return Troubles(count=self._count, shown=tuple(self._shown))


class KeyFiles(Part):
    """What became of the state's key files."""

    opened: str | None = None
    """The key file that the password opened, and whose master key opened the config."""
    wrong_password: int = 0
    """Sound ones that the password does not open: somebody else's, as far as can be told."""
    not_tried: int = 0
    """Sound ones that were not needed any more."""
    refused: Troubles = Troubles()
    """What no restic wrote: restic itself may fail on such a file before it comes to a good one."""


class ConfigFields(Part):
    """What the config says."""

    version: int
    id: str
    chunker_polynomial: str


class StructureReport(Document):
    """One check of one state."""

    KIND: ClassVar[str] = "structure report"

    level: Level
    unjudged: str | None = None
    """Why nothing could be judged; then all the rest is empty but for key files and what is damaged."""
    key_files: KeyFiles = KeyFiles()
    config: ConfigFields | None = None

    indexes: int = 0
    packs: int = 0
    """Named by an index and in the state, with the right size."""
    snapshots: int = 0
    trees: int = 0
    """Different ones that the snapshots need and that were read."""
    blobs: int = 0
    """Different data blobs that the snapshots need and that an index places in a pack of the state."""
    verified_blobs: int = 0
    """Of both kinds, copies counted, that were decrypted and hashed pack by pack: at level read_data only."""

    damaged: Troubles = Troubles()
    """Objects by key, with the first reason for each."""
    missing_packs: Troubles = Troubles()
    """Packs that an index names and the state lacks."""
    wrong_size: Troubles = Troubles()
    """Packs that are not exactly as large as the indexes say."""
    missing_trees: Troubles = Troubles()
    missing_blobs: Troubles = Troubles()
    """Needed by a snapshot, and in no pack of the state."""

    unindexed: Troubles = Troubles()
    """Packs that no index names: restic check does not mind, and prune removes them."""
    foreign: Troubles = Troubles()
    """Those of them that this repository's key did not seal: no restic that knew the password left them."""
    orphaned_bytes: int = 0
    """In packs that no index names."""
    unneeded_bytes: int = 0
    """In blobs that no snapshot needs, and in second copies: what `restic prune` would free."""

    @property
    def complete(self) -> bool:
        """Everything that the state's snapshots need is there, as far as the level reads: what restic calls no errors.

        Key files that were refused count against it, though restic would only notice the first ones.
        """
        lost = (self.damaged, self.missing_packs, self.wrong_size, self.missing_trees, self.missing_blobs)
        return self.unjudged is None and not any(lost) and not self.key_files.refused

"""How a recording that is too large for one function goes to the workflow that lists ranges of keys side by side.

Whoever hands over has the recording's lease and has chosen the cut, which S3's clock has passed. It writes the manifest
of ranges and starts the workflow under the attempt's name: started again, it is the same one.

The ranges are guessed from the newest state: a wrong guess costs time, and never a key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.columns import Columns
from functions.domain.documents import Instant, Part
from functions.domain.ports import RangesWorkflow, RecordWriter
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from functions.domain.staging import encode_manifest, manifest_file, staged_ranges
from functions.domain.state import Cause, StateHeader
from functions.domain.values import AttemptId, RepositoryName, VersionId

LONGEST_CLOSING = timedelta(minutes=15)
LONGEST_RECORDING = timedelta(minutes=100)
"""All of the workflow."""
LEASE_OF_RANGES = timedelta(hours=2)
"""Longer than the workflow can run, so that a lease which ended belongs to nobody."""


RANGES_PATIENCE = timedelta(minutes=5)
"""When whoever asked looks again."""


class TooLarge(Exception):
    """A listing has more entries than one function is to list; nothing was recorded."""


class Manifest(Part):
    key: str
    version_id: VersionId


class LargeRecording(Part):
    """What the workflow is started with."""

    repository: RepositoryName
    attempt: AttemptId
    at: Instant
    """The cut time."""
    cause: Cause
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class HandOver:
    """All that handing over may touch."""

    records: RecordWriter
    workflow: RangesWorkflow

    def begin(
        self,
        repository: Repository,
        attempt: AttemptId,
        at: datetime,
        expected: Mapping[FileType, int],
        cause: Cause,
    ) -> None:
        """Start the workflow for the cut at `at`, which has passed."""
        name = repository.repository
        file = manifest_file(name, attempt)
        version_id = self.records.put(file, encode_manifest(staged_ranges(expected, repository.ranges_above)))
        manifest = Manifest(key=file, version_id=version_id)
        large = LargeRecording(repository=name, attempt=attempt, at=at, cause=cause, manifest=manifest)
        self.workflow.start(attempt, large.model_dump_json())


def is_large(repository: Repository, newest: StateHeader | None) -> bool:
    """Whether there was more than one function is to list when the newest state was recorded."""
    return newest is not None and newest.objects + newest.noncurrent + newest.hidden > repository.ranges_above


def within(repository: Repository, blocks: Iterator[Columns]) -> Iterator[Columns]:
    """The same blocks. Raises TooLarge after as many entries as one function is to list."""
    count = 0
    for block in blocks:
        count += len(block)
        if count > repository.ranges_above:
            raise TooLarge(f"{repository.name} has more than {repository.ranges_above} versions and delete markers")
        yield block


def expected_of(newest: StateHeader | None) -> Mapping[FileType, int]:
    """How many objects of each type there were in the newest state."""
    return {kind: tally.objects for kind, tally in newest.by_type.items()} if newest is not None else {}


def guessed(repository: Repository) -> Mapping[FileType, int]:
    """What to expect of a repository of which no state tells; packs are nearly all there is."""
    return {FileType.PACK: repository.ranges_above}

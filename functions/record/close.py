"""Record a large repository from what its ranges were listed to hold. The last step of `rwm-record-ranges`.

gather: the manifest of ranges, then their parts one after another, as if they were listed now; and all that record
gathers beside its listing  ->  decide and apply: as record does.

Permissions of `rwm-close-recording`, and why: those of record, but for listing, queues and handing over; and
- s3:GetObject, s3:GetObjectVersion on `recordings/*` of the records bucket: the manifest, by version id, and the parts;
  s3:ListBucket there, so that a part that was never written reads as missing, not as denied.

Security rules:
- The parts are those of the attempt that has the recording's lease, and only list-range may write any. Every range of
  the manifest has to be there and whole.
- What S3 lists before the cut has passed is no part of it: whoever handed over waited for that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.configuration import read_bundled
from functions.domain.columns import Columns
from functions.domain.documents import Instant, Part
from functions.domain.ports import RecordReader
from functions.domain.recording import Outcome
from functions.domain.repositories import Configuration, Repository
from functions.domain.restic import FileType
from functions.domain.staging import decode_manifest, decode_part, manifest_file, part_file
from functions.domain.state import Cause
from functions.domain.values import AttemptId, Listing, RepositoryName, VersionId
from functions.environment import Environment
from functions.record.answering import logger, report, tell
from functions.record.record import RecordPorts, Wiring, record_at
from functions.storage.records import S3RecordReader


class UnknownRepository(Exception):
    """Nothing of that name is deployed; nothing was recorded."""


class CloseRequest(Part):
    """Which recording."""

    repository: RepositoryName
    attempt: Annotated[AttemptId, Field(pattern=r"^[0-9a-f]{32}$")]
    at: Instant
    """The cut time."""
    cause: Cause
    manifest: Annotated[VersionId, Field(min_length=1)]
    """The version of its file."""
    failed: bool
    """Nothing is to be recorded: a range was not listed, or closing failed."""


@dataclass(frozen=True, slots=True)
class StagedListing:
    """VersionLister over the parts that children wrote."""

    repository: RepositoryName
    attempt: AttemptId
    manifest: VersionId
    stored: RecordReader

    def blocks(self, expected: Mapping[FileType, int] | None = None) -> Iterator[Columns]:  # noqa: ARG002 - the port's
        """Raises VersionGone, UnreadableDocument."""
        file = manifest_file(self.repository, self.attempt)
        for each in decode_manifest(self.stored.get(file, self.manifest)):
            yield from decode_part(self.stored.get(part_file(self.repository, self.attempt, each.number)), each)

    def versions(self) -> Listing:
        for block in self.blocks():
            yield from block.entries()


def close_recording(request: CloseRequest, repository: Repository, ports: RecordPorts) -> Outcome | None:
    """Record the cut, or give the lease back: None. `ports.lister` shows what the ranges hold."""
    if request.failed:
        ports.ledger.abandon(request.repository, request.attempt, ports.bucket.now())
        return None
    return record_at(repository, request.at, request.attempt, request.cause, ports)


# --- the Lambda function -----------------------------------------------------------------------------------


@cache
def _wiring() -> tuple[Wiring, Configuration]:
    # Once per container; not at import, so that the step can be imported where there is no AWS.
    return Wiring.read(Environment.read()), read_bundled()


def _close(request: CloseRequest) -> Outcome | None:
    """Wire the recording that `request` names to its repository, and close it."""
    wiring, configuration = _wiring()
    repository = configuration.deployed(request.repository, UnknownRepository, "nothing was recorded")
    stored = S3RecordReader(wiring.s3, wiring.environment.records)
    listing = StagedListing(request.repository, request.attempt, request.manifest, stored)
    outcome = close_recording(request, repository, wiring.ports(repository, lister=listing))
    if outcome is not None:
        tell(repository, outcome)
    return outcome


@logger.inject_lambda_context(clear_state=True)
def handler(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """`{"repository", "attempt", "at", "cause", "manifest", "failed"}` -> what record answers a request; without
    anything where it was to give up."""
    outcome = _close(CloseRequest.model_validate(event))
    return report(outcome) if outcome is not None else {}

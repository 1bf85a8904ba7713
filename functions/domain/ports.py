"""What a step may touch: one port per permission, each naming the IAM actions it needs.

`storage` implements them over boto3, `tests/fakes` in memory. An implementation is bound to one
repository's bucket and prefix, to one target, or to one table; keys are relative to the prefix.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr

from functions.domain.bucket_policy import Statement
from functions.domain.columns import Columns
from functions.domain.content.plan import VersionName
from functions.domain.content.results import Sight
from functions.domain.content.sets import DamagedVersions, VerifiedSet
from functions.domain.findings import Acknowledgement
from functions.domain.keeping import DroppedState, Held, Hold, Restoring
from functions.domain.key_history import KeyHistory
from functions.domain.locks.report import LockReport
from functions.domain.locks.rules import Lock
from functions.domain.notices import Notice
from functions.domain.posture.facts import BucketFacts
from functions.domain.posture.host import Simulated
from functions.domain.posture.news import LastPosture
from functions.domain.prune.approval import Approval, ShelvedPlan
from functions.domain.prune.deleting import DeleteOutcome, Doomed
from functions.domain.prune.lease import Lease
from functions.domain.quarantine import Principal
from functions.domain.ranges import KeyRange
from functions.domain.restic import FileType
from functions.domain.restore.current import Current
from functions.domain.restore.drill import DrillReport
from functions.domain.state import Head, StateHeader
from functions.domain.values import (
    AttemptId,
    Digest,
    Evidence,
    Finding,
    Listing,
    ObjectKey,
    ObjectVersion,
    RepositoryName,
    StateId,
    VersionId,
    VersioningSeen,
)
from functions.domain.verdict import Judged, Verdict
from functions.domain.watch.decide import WatchReport
from functions.domain.watch.facts import PostureFinding, Prune

if TYPE_CHECKING:
    # Their modules read plans through these ports.
    from functions.domain.prune.report import PruneReport
    from functions.domain.restore.report import RestoreReport

# --- a protected repository's bucket ---------------------------------------------------------------


class BucketConfiguration(Protocol):
    """Needs s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration."""

    def now(self) -> datetime:
        """S3's clock: the `Date` of a fresh answer, whole seconds, UTC."""
        ...

    def versioning(self) -> VersioningSeen:
        """The bucket's versioning, and S3's clock, of one fresh answer."""
        ...

    def object_lock(self) -> bool:
        """Whether Object Lock is enabled, so that nobody can suspend versioning."""
        ...


class VersionLister(Protocol):
    """Needs s3:ListBucketVersions."""

    def blocks(self, expected: Mapping[FileType, int] | None = None) -> Iterator[Columns]:
        """Every version and delete marker under the prefix, in S3's order: keys ascend, newest entry first.

        A block is never empty, and the entries of a key may go over from one to the next. `expected` is how many
        objects of each type there are about, if that is known: it makes a large listing quicker, and no other.
        """
        ...

    def versions(self) -> Listing:
        """The same, each entry as an object."""
        ...


class RangeLister(Protocol):
    """Needs s3:ListBucketVersions."""

    def within(self, ranges: Sequence[KeyRange]) -> Generator[Columns]:
        """Every version and delete marker of ranges that follow one another, in S3's order."""
        ...


class PinnedReader(Protocol):
    """Needs s3:GetObjectVersion."""

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        """The bytes of exactly this version, in pieces. Raises VersionGone."""
        ...


# --- what a check reads of the configuration -------------------------------------------------------


class BucketFactsReader(Protocol):
    """Needs s3:GetBucketAcl, s3:GetBucketObjectLockConfiguration, s3:GetBucketOwnershipControls, s3:GetBucketPolicy,
    s3:GetBucketPublicAccessBlock, s3:GetBucketVersioning, s3:GetEncryptionConfiguration,
    s3:GetLifecycleConfiguration and s3:GetReplicationConfiguration."""

    def facts(self) -> tuple[BucketFacts, Mapping[str, str]]:
        """How the bucket is configured, and for each fact that is None why it could not be fetched.

        Raises BucketMissing.
        """
        ...


class RightsSimulator(Protocol):
    """Needs iam:SimulatePrincipalPolicy on the principals."""

    def simulate(
        self, principal: str, questions: Sequence[tuple[str, str]], bucket_statements: Sequence[Statement] | None
    ) -> tuple[Simulated, ...]:
        """What IAM decides for each (action, resource); the bucket's policy counts where IAM can weigh it, which it
        does for users only.

        Raises NotSimulated.
        """
        ...


class PolicyAnalyzer(Protocol):
    """Needs access-analyzer:CheckAccessNotGranted."""

    def grants(self, statements: Sequence[Statement], questions: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """Why a resource policy of `statements` could grant somebody one of the (action, resource); empty: it is
        proven to grant none.

        Raises NotAnalyzed.
        """
        ...


class PostureHistory(Protocol):
    """Needs dynamodb:Query on the operations table. Reads are strongly consistent."""

    def last(self, repository: RepositoryName) -> LastPosture | None:
        """What the newest posture kept; None: there was none yet."""
        ...


class PostureLog(Protocol):
    """Needs dynamodb:PutItem on the operations table."""

    def append(
        self,
        repository: RepositoryName,
        read_at: datetime,
        outcome: str,
        digests: Mapping[str, Digest],
        findings: Sequence[str],
    ) -> None:
        """Keep a verdict: its outcome, its facts' digests, and the marks of its findings."""
        ...


class BucketMissing(Exception):
    """The bucket of a repository does not exist; nothing was judged."""


class NotSimulated(Exception):
    """IAM told nothing of a principal's rights; the message says why."""


class NotAnalyzed(Exception):
    """IAM Access Analyzer told nothing of a policy; the message says why."""


# --- the target of a restore -----------------------------------------------------------------------


class TargetLister(Protocol):
    """Needs s3:ListBucket on the target."""

    def objects(self, first: ObjectKey | None = None, last: ObjectKey | None = None) -> Iterator[tuple[ObjectKey, int]]:
        """Each current object under the target's prefix as (key, size in bytes), in key order; with bounds, only
        those from `first` to `last`, both included.

        Raises TargetMissing, TargetDenied.
        """
        ...


class TargetReader(Protocol):
    """Needs s3:GetObject on the target."""

    def stored_sha256(self, key: ObjectKey) -> Digest | None:
        """The full-object SHA-256 that S3 computed when it stored `key`; None where it has none. No download.

        Raises TargetMissing, TargetDenied, TargetGone.
        """
        ...

    def read(self, key: ObjectKey) -> Iterator[bytes]:
        """The bytes of the current object, in pieces. Raises TargetMissing, TargetDenied, TargetGone."""
        ...

    def sha256(self, key: ObjectKey) -> Digest:
        """That of the bytes of the current object, which are read. Raises TargetMissing, TargetDenied, TargetGone."""
        ...

    def version(self, key: ObjectKey) -> VersionId:
        """The version that is current under `key`. Raises TargetMissing, TargetDenied, TargetGone."""
        ...


class TargetFacts(Protocol):
    """Needs s3:GetBucketObjectLockConfiguration on the target."""

    def lock(self) -> "TargetLock":
        """Raises TargetMissing, TargetDenied."""
        ...


@dataclass(frozen=True, slots=True)
class TargetLock:
    """Whether a bucket has Object Lock, and for how long it locks what brings no lock of its own."""

    enabled: bool
    default_days: int = 0


class VersionCopier(Protocol):
    """Needs s3:GetObjectVersion on the source and s3:PutObject on the target; for what S3 copies in parts alone,
    s3:AbortMultipartUpload there; and to lock copies, s3:PutObjectRetention there."""

    def copy(self, version: ObjectVersion) -> Digest | None:
        """Copy exactly this version to its key in the target, on the server side.

        Returns the SHA-256 that S3 computed of the bytes it wrote; None where it computes none.
        Raises VersionGone, Archived, TargetMissing, TargetDenied.
        """
        ...


class CopyRehearsal(Protocol):
    """Needs what VersionCopier needs."""

    def rehearse(self, version: ObjectVersion) -> None:
        """Ask for this copy under a condition that cannot hold, so that S3 judges who may do it, and writes nothing.

        Raises what VersionCopier raises; of a denial, the message names the action and the bucket as S3 told them.
        """
        ...


class Thawer(Protocol):
    """Needs s3:RestoreObject on the source. It costs what S3 charges for bringing bytes back, and nothing else."""

    def thaw(self, version: ObjectVersion) -> "Thaw":
        """Ask S3 to bring exactly this version back from its archive class, for long enough to copy it; asking again
        is no harm. Raises VersionGone, ThawRefused."""
        ...


class Thaw(StrEnum):
    """How far a version is on its way back from an archive class."""

    UNDER_WAY = "under way"
    BACK = "back"
    NOT_ARCHIVED = "not archived"
    """It lies in a class that is read at any time."""


class ThawRefused(Exception):
    """S3 does not bring a version back; the message says why, and what would do."""


class Archived(Exception):
    """A pinned version lies in an archive class: nobody reads or copies it before it is thawed."""


class TargetMissing(Exception):
    """The target bucket does not exist."""


class TargetDenied(Exception):
    """S3 refused an action on the target; the message names the action."""


class TargetGone(Exception):
    """An object that was listed in the target is no longer there."""


class TargetChanged(Exception):
    """An object of the target was replaced while it was read; what was read is nothing to judge by."""


# --- the records bucket ----------------------------------------------------------------------------


class HeadAnchor(Protocol):
    """Needs s3:PutObject on `heads/*` of the records bucket."""

    def anchor(self, head: Head) -> None:
        """Write the head's bytes once; anchoring the same head again changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that was written down once."""

    generation: int
    state: StateId
    """Both as its file is named."""
    content: bytes


class AnchorReader(Protocol):
    """Needs s3:ListBucket and s3:GetObject on `heads/*` of the records bucket."""

    def anchors(self, repository: RepositoryName) -> Iterator[Anchor]:
        """All there were when it was called, the lowest generation first."""
        ...


class RecordWriter(Protocol):
    """Needs s3:PutObject on the caller's part of the records bucket."""

    def put(self, name: str, content: bytes) -> VersionId:
        """Write a file and return the version that now holds exactly `content`."""
        ...


class PageWriter(Protocol):
    """Needs s3:PutObject on `pages/*` of the records bucket. Only publish-pages has one."""

    def put(self, name: str, html: str) -> None:
        """Write the page of this name, over the last one."""
        ...


class RecordReader(Protocol):
    """Needs s3:GetObject and s3:GetObjectVersion on the caller's part of the records bucket."""

    def get(self, name: str, version_id: VersionId | None = None) -> bytes:
        """The bytes of a file, of exactly `version_id` when one is given. Raises VersionGone."""
        ...


# --- the ledger ------------------------------------------------------------------------------------


class LedgerReader(Protocol):
    """Needs dynamodb:GetItem and dynamodb:Query on the ledger. Every read is strongly consistent."""

    def head(self, repository: RepositoryName) -> Head | None: ...

    def header(self, repository: RepositoryName, generation: int) -> StateHeader | None: ...

    def headers(
        self, repository: RepositoryName, *, oldest_first: bool = False, start: int | None = None
    ) -> Iterator[StateHeader]:
        """Newest first, if not asked otherwise, from generation `start` on, and read as they are taken.

        Each is checked against the id it is stored under; raises UnreadableDocument.
        """
        ...

    def chunk(self, attempt: AttemptId, number: int) -> bytes | None: ...

    def dropped(self, repository: RepositoryName) -> frozenset[StateId]:
        """The states that prunes dropped: every other one is kept. Raises UnreadableDocument."""
        ...

    def drops(self, repository: RepositoryName) -> tuple[DroppedState, ...]:
        """The same, with which prune dropped each and when; the newest state first. Raises UnreadableDocument."""
        ...


class RecordingLedger(LedgerReader, Protocol):
    """Needs dynamodb:PutItem and dynamodb:UpdateItem on the ledger as well (and ConditionCheckItem)."""

    def begin(self, repository: RepositoryName, attempt: AttemptId, now: datetime, until: datetime) -> None:
        """Take the repository's recording lease until `until` and open `attempt`.

        A lease that ended at or before `now` is taken over, and the attempt it belonged to is closed in the
        same transaction. Raises RecordingInFlight while another attempt holds it.
        """
        ...

    def reserve(self, repository: RepositoryName, attempt: AttemptId, chunks: int) -> None:
        """Say how many chunks the attempt will write, before the first, so that they can be collected.

        Raises AttemptClosed.
        """
        ...

    def put_chunk(self, attempt: AttemptId, number: int, content: bytes) -> None: ...

    def commit(self, header: StateHeader, attempt: AttemptId, parent: Head | None) -> None:
        """In one transaction: write the header (it must not exist), mark `attempt` committed (it must be open),
        release the lease (it must be the attempt's), and advance the head from `parent` to `header`.

        Raises HeadMoved when the head is no longer `parent`, AttemptClosed when the attempt was closed.
        """
        ...

    def abandon(self, repository: RepositoryName, attempt: AttemptId, now: datetime) -> None:
        """Close an open attempt and release its lease. Changes nothing when the attempt is not open."""
        ...


class ChunkCollector(Protocol):
    """Needs dynamodb:DeleteItem on the ledger for `chunk#*`, Query, and UpdateItem. Only collect_chunks has one."""

    def closed_attempts(self, repository: RepositoryName) -> Iterator[tuple[AttemptId, int]]:
        """Attempts that were closed without a commit and still have chunks, as (attempt, reserved chunks)."""
        ...

    def collect(self, repository: RepositoryName, attempt: AttemptId, chunks: int) -> None:
        """Delete chunks 0 to `chunks` - 1 of a closed attempt, then mark it collected.

        Each delete is conditional on the attempt still being closed. Raises AttemptNotClosed.
        """
        ...


class RecordingInFlight(Exception):
    """Another attempt holds the repository's recording lease."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"another recording is in flight until {until:%Y-%m-%dT%H:%M:%SZ} at the latest")
        self.until = until


class HeadMoved(Exception):
    """Another recorder advanced the head since it was read; nothing was written."""


class AttemptClosed(Exception):
    """The attempt lost its lease and was closed; nothing was written."""


class AttemptNotClosed(Exception):
    """The attempt is open or committed: its chunks must stay; nothing was deleted."""


class RangesWorkflow(Protocol):
    """Needs states:StartExecution on the workflow that lists ranges. Only record has one."""

    def start(self, execution: str, document: str) -> None:
        """Start it under that name, with that input; again with the same is no change."""
        ...


# --- secrets ---------------------------------------------------------------------------------------


class PasswordReader(Protocol):
    """Needs secretsmanager:GetSecretValue on one repository's secret, and kms:Decrypt where a key of yours seals it.
    Only check-complete has one."""

    def password(self) -> SecretStr:
        """The restic password, as the secret holds it now. Raises PasswordUnavailable."""
        ...


class PasswordUnavailable(Exception):
    """A repository's secret gave no password; nothing was read. The message names the secret, never what it holds."""


# --- operations ------------------------------------------------------------------------------------


class FindingLog(Protocol):
    """Needs dynamodb:PutItem on the operations table."""

    def append(self, finding: Finding, generation: int) -> bool:
        """Write down a finding made when the chain ended at `generation` (0: no state yet).

        Returns False, and changes nothing, when the same finding is already there for that generation.
        """
        ...


class OnceFindingLog(FindingLog, Protocol):
    """Needs dynamodb:Query on the operations table as well. Reads are strongly consistent."""

    def has(self, finding: Finding, generation: int) -> bool:
        """Whether `append` of the same would change nothing."""
        ...


class VerdictLog(Protocol):
    """Needs dynamodb:PutItem on the operations table."""

    def append(self, judged: Judged) -> None:
        """Write down a verdict with the evidence behind it: the evidence first, so that no verdict is without."""
        ...


class VerdictReader(Protocol):
    """Needs dynamodb:Query on the operations table. Reads are strongly consistent."""

    def verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        """Those of the newest state first, and of one state the newest first; read as they are taken.

        Those of restored copies are not among them.
        """
        ...

    def copy_verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        """Those of restored copies, the newest first."""
        ...

    def findings(self, verdict: Verdict) -> tuple[Finding, ...]:
        """The verdict's findings with all their evidence, in its order. Raises UnreadableDocument."""
        ...


class AcknowledgementReader(Protocol):
    """Needs dynamodb:Query on the operations table. Reads are strongly consistent."""

    def acknowledgements(self, repository: RepositoryName) -> tuple[Acknowledgement, ...]: ...


class AcknowledgementLog(Protocol):
    """Needs dynamodb:PutItem on the operations table. Only `acknowledge` has one."""

    def append(self, verdict: Verdict, finding: str, evidence: Sequence[Evidence], by: str, at: datetime) -> None:
        """Lay this evidence of `verdict`'s finding to rest; saying so again changes nothing.

        Killed in between, a part of it is acknowledged: no more than was asked.
        """
        ...


class Notifier(Protocol):
    """Needs sns:Publish on the topic of alerts."""

    def notify(self, notice: Notice) -> None:
        """Tell people. Raises NotTold."""
        ...


class NotTold(Exception):
    """A notice could not be published; nobody is known to have been told."""


class ReportLog(Protocol):
    """Needs dynamodb:PutItem on the operations table."""

    def append(self, repository: RepositoryName, execution: str, report: bytes) -> None:
        """Write down a restore's report once; a second one of the same execution changes nothing."""
        ...


# --- content: what was read, and what is remembered of it ------------------------------------------


class NotRead(Exception):
    """S3 did not give the bytes of a version to the end; the message is S3's error code, or its client's."""


class VerifiedSets(Protocol):
    """Needs dynamodb:Query on the operations table. Reads are strongly consistent."""

    def sets(self, repository: RepositoryName) -> tuple[VerifiedSet, ...]:
        """All that are remembered. Raises UnreadableDocument."""
        ...

    def damaged(self, repository: RepositoryName) -> frozenset[VersionName]:
        """Versions that were ever found damaged, changed or gone: no set speaks for them. Raises UnreadableDocument."""
        ...


class VerifiedMemory(Protocol):
    """What `content.known.Memory` tells of remembered sets. Needs dynamodb:Query on the operations table, and to read
    the ledger."""

    def proven_among(self, versions: Sequence[ObjectVersion], header: StateHeader) -> frozenset[VersionName]:
        """Those of `versions` whose bytes were read and hash to their names. `header` is of a state near to them.

        Raises UnreadableDocument.
        """
        ...


class VerifiedSetLog(VerifiedSets, Protocol):
    """Needs dynamodb:PutItem on the operations table as well. Appending the same again changes nothing."""

    def append(self, verified: VerifiedSet) -> None: ...

    def append_damaged(self, damaged: DamagedVersions) -> None: ...


class FirstSightLog(Protocol):
    """Needs dynamodb:GetItem and dynamodb:PutItem on the operations table. Reads are strongly consistent."""

    def keep(self, repository: RepositoryName, sight: Sight) -> Digest:
        """Keep the hash of this version if none is kept yet, and return the one that is: what was seen first."""
        ...


# --- a prune's plan, and what a person decides on it -----------------------------------------------


class PlanShelf(Protocol):
    """Needs dynamodb:PutItem on the operations table, partitions `plan#*`. Only plan-prune has one."""

    def put(self, shelved: ShelvedPlan) -> None:
        """Put a plan on the shelf once; the same again changes nothing."""
        ...


class PlanReader(Protocol):
    """Needs dynamodb:Query on the operations table, partitions `plan#*`. Reads are strongly consistent."""

    def find(self, repository: RepositoryName, plan: Digest) -> ShelvedPlan | None:
        """The plan of that full digest. Raises UnreadableDocument."""
        ...

    def plans(self, repository: RepositoryName) -> tuple[ShelvedPlan, ...]:
        """All of them, the newest first. Raises UnreadableDocument."""
        ...


class ApprovalReader(Protocol):
    """Needs dynamodb:Query on the operations table, partitions `approval#*`. Reads are strongly consistent."""

    def decided(self, repository: RepositoryName, plan: Digest) -> Approval | None:
        """What was decided on the plan of that full digest; None: nothing yet. Raises UnreadableDocument."""
        ...

    def approvals(self, repository: RepositoryName) -> tuple[Approval, ...]:
        """All that was ever decided, the newest first. Raises UnreadableDocument."""
        ...


class ApprovalLog(ApprovalReader, Protocol):
    """Needs dynamodb:PutItem on these partitions as well. Only `approve` has one."""

    def decide(self, approval: Approval) -> Approval:
        """Write down what is decided if nothing was yet, and return what is: what was decided first."""
        ...


class TaskTokenLog(Protocol):
    """Needs dynamodb:PutItem on the operations table, partitions `plan-token#*`. Only ask-approval has one."""

    def keep(self, repository: RepositoryName, plan: Digest, token: SecretStr) -> None:
        """Keep what wakes the workflow that waits for a decision on `plan`; a later one takes its place."""
        ...


class TaskTokenReader(Protocol):
    """Needs dynamodb:Query on the operations table, partitions `plan-token#*`. Only `approve` has one."""

    def token(self, repository: RepositoryName, plan: Digest) -> SecretStr | None:
        """What wakes the workflow that waits; None: none asked yet. Reads are strongly consistent."""
        ...


class TaskTokens(Protocol):
    """Needs states:SendTaskSuccess and states:SendTaskFailure on the prune's workflow. It wakes, and decides nothing.

    No error of these names a token.
    """

    def succeed(self, token: SecretStr, output: Mapping[str, bool]) -> None:
        """Let the task end with `output`. Raises NobodyWaits, NotWoken."""
        ...

    def fail(self, token: SecretStr, error: str, cause: str) -> None:
        """Let the task fail by the name `error`. Raises NobodyWaits, NotWoken."""
        ...


class NobodyWaits(Exception):
    """The task has ended, by an answer before or because its time was over; nobody was woken."""


class NotWoken(Exception):
    """A workflow that may wait could not be woken; the message says what to do."""


# --- deleting: what apply-prune alone may do, and what it looks at just before ----------------------


class KeyHistories(Protocol):
    """Needs s3:ListBucketVersions."""

    def of(self, keys: Sequence[ObjectKey]) -> Iterator[KeyHistory]:
        """Every entry of each of `keys` (ascending) as listed now, in key order; a key without any is left out.

        Of a flooded key the count says that it is one, and no more.
        """
        ...


class PendingUploads(Protocol):
    """Needs s3:ListBucketMultipartUploads."""

    def keys(self) -> frozenset[ObjectKey]:
        """The keys under the prefix to which an upload was begun that is neither completed nor aborted."""
        ...


class VersionDeleter(Protocol):
    """Needs s3:DeleteObjectVersion, and s3:BypassGovernanceRetention where a repository says so. Only apply-prune
    receives one."""

    def delete(self, doomed: Sequence[Doomed], *, bypass_governance: bool = False) -> DeleteOutcome:
        """Delete exactly these versions and markers, 1,000 at most, and say what S3 answered of each.

        A call that broke, or was refused as a whole, is an answer, too: of each of them. Raises ValueError for more.
        """
        ...


class PruneReportReader(Protocol):
    """Needs dynamodb:Query on the operations table. Reads are strongly consistent."""

    def reports(self, repository: RepositoryName) -> "tuple[PruneReport, ...]":
        """What prunes came to, the newest first. Raises UnreadableDocument."""
        ...


class PruneReportLog(Protocol):
    """Needs dynamodb:PutItem on the operations table."""

    def append(self, repository: RepositoryName, execution: str, report: bytes) -> None:
        """Write down the summary of a prune's report once; a second one of the same execution changes nothing."""
        ...


# --- locks: what kept states need stays under Object Lock ------------------------------------------


class LaterVersions(Protocol):
    """Needs s3:ListBucketVersions."""

    def after(self, key: ObjectKey | None) -> Listing:
        """Every version and delete marker whose key comes after `key`, in S3's order; of all keys for None."""
        ...


class RetentionReader(Protocol):
    """Needs s3:GetObjectRetention."""

    def retention(self, key: ObjectKey, version_id: VersionId) -> Lock | None:
        """The retention of exactly this version, which may have ended; None: it has none.

        Raises VersionGone, LockRefused.
        """
        ...


class RetentionSetter(Protocol):
    """Needs s3:PutObjectRetention. It never asks to bypass anything, so S3 refuses to shorten or soften a lock. Only
    extend-retention receives one of a repository's versions, and only copy-batch one of a target's."""

    def lock(self, key: ObjectKey, version_id: VersionId, until: datetime) -> None:
        """Put exactly this version under governance until `until`. Raises VersionGone, LockRefused."""
        ...


class LockRefused(Exception):
    """S3 did not tell, or did not set, the retention of a version; the message is its error code, or its client's."""


class LockReportReader(Protocol):
    """Needs dynamodb:Query on the operations table, partitions `locks#*`. Reads are strongly consistent."""

    def newest(self, repository: RepositoryName) -> LockReport | None:
        """What the last run wrote; None: there was none yet. Raises UnreadableDocument."""
        ...


class LockReports(LockReportReader, Protocol):
    """Needs dynamodb:PutItem on these partitions as well."""

    def append(self, report: LockReport) -> None:
        """Write down what a run came to, in place of the last one's."""
        ...


# --- restore drills ----------------------------------------------------------------------------------


class DrillReportReader(Protocol):
    """Needs dynamodb:Query on operations."""

    def last_restored(self, repository: RepositoryName) -> DrillReport | None:
        """The newest drill that succeeded. Raises UnreadableDocument."""
        ...

    def newest(self, repository: RepositoryName) -> DrillReport | None:
        """The newest drill, whatever it came to. Raises UnreadableDocument."""
        ...


class DrillReportLog(Protocol):
    """Needs dynamodb:PutItem on operations, partitions `drill#*`."""

    def append(self, report: DrillReport) -> None:
        """Keep it; that of an execution which has one already stays as it is."""
        ...


class RestoreReports(Protocol):
    """Needs dynamodb:Query on operations."""

    def of(self, repository: RepositoryName, execution: str) -> "RestoreReport | None":
        """What that execution of the restore workflow came to; strongly consistent. Raises UnreadableDocument."""
        ...


# --- the watch: what it looks at, and what it keeps ---------------------------------------------------


class AwsClock(Protocol):
    """Needs dynamodb:Query on operations, partitions `watch#*`."""

    def now(self) -> datetime:
        """AWS's clock: the `Date` of a fresh answer, whole seconds, UTC."""
        ...


class NewestPosture(Protocol):
    """Needs dynamodb:Query on operations. Reads are strongly consistent."""

    def findings(self, repository: RepositoryName) -> tuple[PostureFinding, ...] | None:
        """What the newest posture found; None: there was none yet. Raises UnreadableDocument."""
        ...


class PruneExecutions(Protocol):
    """Needs states:ListExecutions on the prune workflow, and states:DescribeExecution on its executions. Only the watch
    has one."""

    def recent(self) -> Mapping[RepositoryName, tuple[Prune, ...]]:
        """The newest executions that were no dry run, by repository, the newest first. Raises NotAnswered."""
        ...


class DeadLetters(Protocol):
    """Needs sqs:GetQueueUrl and sqs:GetQueueAttributes on the dead-letter queue."""

    def waiting(self) -> int:
        """How many messages are in it, about; looked at by somebody or not."""
        ...


class WatchLog(Protocol):
    """Needs dynamodb:Query and dynamodb:PutItem on operations, partitions `watch#*`. Only the watch may write them."""

    def newest(self, repository: RepositoryName) -> WatchReport | None:
        """What the last look kept; None: there was none yet. Raises UnreadableDocument."""
        ...

    def keep(self, report: WatchReport) -> None:
        """Keep it in place of the last one's."""
        ...


# --- which states are kept, and who may prune ------------------------------------------------------


class Holds(Protocol):
    """Needs dynamodb:Query on the operations table, partitions `hold#*` and `restoring#*`. Reads are strongly
    consistent."""

    def of(self, repository: RepositoryName) -> Held:
        """What stops a prune now. A restore that begins later is not in it: ask before each call that deletes."""
        ...

    def held(self, repository: RepositoryName) -> tuple[Hold, ...]:
        """The states that people hold, with who, when and why; the first hold first. Raises UnreadableDocument."""
        ...


class RestoreAnnouncer(Protocol):
    """Needs dynamodb:PutItem on the operations table, partitions `restoring#*`, and dynamodb:ConditionCheckItem on the
    ledger, partitions `dropped#*`. Only announce-restore has one."""

    def announce(self, repository: RepositoryName, generation: int, restoring: Restoring) -> None:
        """Say that a restore of a state is under way, in one transaction with the state not being dropped.

        What the same execution said before stands. Raises StateDropped.
        """
        ...


class RestoreEnder(Protocol):
    """Needs dynamodb:DeleteItem on the operations table, partitions `restoring#*`. Only end-restore has one."""

    def end(self, repository: RepositoryName, execution: str) -> None:
        """Take back what that execution announced, if it did."""
        ...


class AnnouncedRestores(Protocol):
    """Needs dynamodb:Query and dynamodb:DeleteItem on the operations table, partitions `restoring#*`. Reads are
    strongly consistent. Only lease-prune has one."""

    def under_way(self, repository: RepositoryName) -> tuple[Restoring, ...]:
        """What restores announced and nobody took back, the first one first. Raises UnreadableDocument."""
        ...

    def forget(self, repository: RepositoryName, restoring: Restoring) -> None:
        """Take an announcement away if it is still exactly as it was read; any other stays."""
        ...


class HoldLog(Holds, Protocol):
    """Needs dynamodb:PutItem and dynamodb:DeleteItem on the operations table, partitions `hold#*`, and
    dynamodb:ConditionCheckItem on the ledger as well. Only `hold` has one."""

    def hold(self, repository: RepositoryName, generation: int, hold: Hold) -> Hold:
        """Hold a state if nobody does yet, and return the hold that stands: the first.

        In one transaction with the state not being dropped. Raises StateDropped.
        """
        ...

    def release(self, repository: RepositoryName, state: StateId, by: str, at: datetime) -> Hold | None:
        """Take a hold away, keep who did, and return what it was; None: the state is not held."""
        ...


class StateDropped(Exception):
    """A prune dropped the state: it is kept no longer, and nothing was written."""


class LeaseReader(Protocol):
    """Needs dynamodb:Query on the operations table, partitions `prune-lease#*`. Reads are strongly consistent."""

    def current(self, repository: RepositoryName) -> Lease | None:
        """Who has the prune lease now; None: nobody. Whose token is not this lease's must not delete."""
        ...


class PruneLease(LeaseReader, Protocol):
    """Needs dynamodb:PutItem and dynamodb:UpdateItem on these partitions as well. Only lease-prune has one."""

    def last(self, repository: RepositoryName) -> Lease | None:
        """Who had it last, whether it is released or not."""
        ...

    def take(self, repository: RepositoryName, lease: Lease, over: Lease | None) -> None:
        """Write `lease` where exactly `over` is (None: nothing). Raises LeaseTaken: somebody else was first."""
        ...

    def release(self, repository: RepositoryName, execution: str) -> bool:
        """Whether it was `execution`'s to release; what is another's stays."""
        ...


class LeaseTaken(Exception):
    """The prune lease changed hands since it was read; nothing was written."""


class ExecutionStatus(Protocol):
    """Needs states:DescribeExecution on executions of one workflow: the prune's or the restore's. Only lease-prune has
    them."""

    def ended(self, execution: str) -> datetime | None:
        """When it ended; None: it did not yet. Raises UnknownExecution, NotAnswered."""
        ...


class UnknownExecution(Exception):
    """Step Functions knows no such execution: it ended months ago, or its workflow is gone."""


class NotAnswered(Exception):
    """Step Functions did not say what became of an execution; nothing was decided."""


class StateDropper(Protocol):
    """Needs dynamodb:PutItem and dynamodb:ConditionCheckItem on the ledger, and dynamodb:ConditionCheckItem on the
    operations table, partitions `hold#*` and `prune-lease#*`. Only drop-states has one."""

    def drop(self, head: Head, marks: Sequence[DroppedState]) -> None:
        """Mark up to MOST_AT_ONCE states of the head's repository dropped, all of them or none.

        In one transaction with the head being `head`, the lease being of the marks' execution and not released, no
        state among them being held, and none dropped yet. Raises HeadMoved, LeaseLost, StateHeld, StateDropped.
        """
        ...


MOST_AT_ONCE = 40
"""A transaction of DynamoDB has 100 actions at most; two for each state, and two for head and lease."""


class LeaseLost(Exception):
    """The prune lease is not this execution's; nothing was dropped."""


class StateHeld(Exception):
    """A person holds a state that was to be dropped; nothing was dropped."""


# --- quarantine: whether those who back up may write ------------------------------------------------


class AttachedPolicies(Protocol):
    """Needs iam:ListAttachedUserPolicies and iam:ListAttachedRolePolicies on the principals."""

    def of(self, principal: Principal) -> frozenset[str]:
        """The ARNs of the managed policies that are attached to a principal of this account; of one that does not
        exist, none. Raises NotListed."""
        ...


class NotListed(Exception):
    """IAM did not say which policies a principal has; the message says why."""


class BucketStatements(Protocol):
    """Needs s3:GetBucketPolicy."""

    def statements(self) -> Sequence[Statement]:
        """Those of the bucket's policy; none where it has no policy."""
        ...


# --- putting back: what put-back alone may do, and what it looks at just before ---------------------


class CurrentReader(Protocol):
    """Needs s3:GetObject, and s3:ListBucket, without which what is hidden reads as denied."""

    def current(self, key: ObjectKey) -> Current:
        """What is current under `key` in this moment. Raises TargetDenied."""
        ...


class VersionReturner(Protocol):
    """Needs s3:GetObjectVersion and s3:PutObject in the repositories. Only put-back has one."""

    def put(self, version: ObjectVersion) -> Current:
        """Copy exactly this version over what is current under its key, on the server side; what it wrote.

        Raises VersionGone, TargetDenied.
        """
        ...


class ObjectHider(Protocol):
    """Needs s3:DeleteObject in the repositories. Only put-back has one."""

    def hide(self, key: ObjectKey) -> None:
        """Add a delete marker: every version stays. Raises TargetDenied."""
        ...


# --- the queue of a repository ---------------------------------------------------------------------


class MessageDelay(Protocol):
    """Needs sqs:ChangeMessageVisibility on the repositories' queues."""

    def delay(self, queue_arn: str, receipt_handle: str, seconds: int) -> None:
        """Let a message that is given back be seen again after `seconds`, or the longest that SQS allows."""
        ...

"""`rwm locks`: how long what each kept state names is under Object Lock, as the last look at the locks found it.

Security rules:
- It tells what a run of the lock upkeep saw and wrote down, and when; nothing is looked up in S3 here.
- A look that did not come to its end is told as such: beyond its last key nothing is known.
"""

from cli.deployment import Deployment
from cli.exits import ExitCode, Waiting
from cli.findings import ToldFinding
from functions.domain.documents import Instant, Part
from functions.domain.locks.report import LockReport, Refused, StateLocks
from functions.domain.values import ObjectKey, RepositoryName, Severity


class Locks(Part):
    """What the last run of the lock upkeep came to, as `--json` prints it."""

    repository: RepositoryName
    begun_at: Instant
    """When the look at all versions began; a run goes on with what the one before did not come to."""
    made_at: Instant
    complete: bool
    """It came to the end: what is told is told of every version that a kept state names."""
    done_until: ObjectKey | None
    """The last key that it came to, where it is not complete."""
    object_lock: bool
    lock_days: int
    """How long a lock lasts that is set or lengthened."""
    earliest: Instant | None
    """When the first lock of a kept state ends; null: there is none."""
    states: tuple[StateLocks, ...]
    """The kept ones, the newest first."""
    more_states: int
    """Kept ones that are not named here, because there are so many."""
    looked_at: int
    """Versions that kept states name, each counted once."""
    extended: int
    were_unlocked: int
    unlocked: int
    due: int
    """Named by no state but such as the next prune drops; they get no new lock."""
    gone: int
    refused: tuple[Refused, ...]
    findings: tuple[ToldFinding, ...]

    @property
    def exit_code(self) -> ExitCode:
        severities = {each.severity for each in self.findings}
        if Severity.FAIL in severities:
            return ExitCode.FAIL
        return ExitCode.WAITING if Severity.HOLD in severities else ExitCode.DONE


def locks(deployment: Deployment, name: str) -> Locks:
    """Raises Refused, UnreadableDocument; Waiting where the locks were never looked at."""
    repository = deployment.repository(name)
    report = deployment.locks.newest(repository.repository)
    if report is None:
        when = (
            f"that is done by its lock_schedule, {repository.lock_schedule}: run this again later"
            if repository.lock_schedule
            else "it has no lock_schedule: set one in repositories.toml and deploy"
        )
        raise Waiting(f"the locks of {name} were not looked at yet, so nothing is known of them; {when}")
    return _told(report)


def _told(report: LockReport) -> Locks:
    same = set(Locks.model_fields) - {"complete", "earliest", "findings", "states", "refused"}
    return Locks(
        **report.model_dump(include=same),
        complete=report.complete,
        earliest=report.earliest,
        states=report.states,
        refused=report.refused,
        findings=tuple(map(ToldFinding.of, report.findings)),
    )

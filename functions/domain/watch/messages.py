"""What the watch tells people: a condition that nobody told yet, and one that is over. Pure.

Security rule: as in functions/domain/notices.py, a message counts and names no key, no path and no version.
"""

from collections.abc import Callable
from dataclasses import dataclass

from functions.domain.notices import EVERY_REPOSITORY, Letter, Notice, NoticeKind, finding_page, plan_commands
from functions.domain.values import RepositoryName, Severity, zulu
from functions.domain.watch.conditions import Condition
from functions.domain.watch.decide import KeptCondition, Over

NO_PRUNE_WAITS = "No prune waits for this."


@dataclass(frozen=True, slots=True)
class Words:
    """What is the same in every message of a kind."""

    meaning: str
    to_do: str
    commands: Callable[[str, Condition | KeptCondition], tuple[str, ...]]
    """Of a repository and its condition."""
    page: str


def opened(repository: RepositoryName, condition: Condition) -> Notice:
    """What begins to be wrong, and nobody told."""
    words = WORDS[condition.kind]
    finding = str(condition.details.get("finding", ""))
    return Letter(
        kind=condition.kind,
        repository=repository,
        severity=condition.severity,
        what=condition.what,
        said=[condition.said, f"So since {zulu(condition.since)}."],
        meaning=words.meaning,
        to_do=f"{condition.remedy}." if condition.remedy else words.to_do,
        commands=words.commands(repository, condition),
        page=finding_page(finding) if finding else words.page,
        details={**condition.details, "since": zulu(condition.since)},
        level=condition.level,
    ).notice()


def over(repository: RepositoryName, ended: Over) -> Notice:
    """What people were told of, and is over."""
    condition = ended.condition
    words = WORDS[condition.kind]
    return Letter(
        kind=condition.kind,
        repository=repository,
        severity=condition.severity,
        what=condition.what,
        said=[
            f"Over: {condition.what}. {ended.how}",
            f"It was so since {zulu(condition.since)}. You were told:\n  {condition.said}",
        ],
        meaning="this one is over; anything else that you were told of stands until you are told that it is over.",
        to_do="nothing, if you know why it was so. Else look into it: it may come again.",
        commands=("rwm repositories",) if repository == EVERY_REPOSITORY else (f"rwm timeline {repository}",),
        page=words.page,
        details={**condition.details, "since": zulu(condition.since)},
        level=condition.level,
        event="over",
    ).notice()


def _nothing(_repository: str, _condition: Condition | KeptCondition) -> tuple[str, ...]:
    return ()


def _check(repository: str, condition: Condition | KeptCondition) -> tuple[str, ...]:
    return (f"rwm check {repository} --level {condition.level}", f"rwm states {repository}")


def _plan(_repository: str, condition: Condition | KeptCondition) -> tuple[str, ...]:
    return plan_commands(str(condition.details["plan"]))


def _commands(*commands: str) -> Callable[[str, Condition | KeptCondition], tuple[str, ...]]:
    return lambda repository, _condition: tuple(f"rwm {command} {repository}" for command in commands)


_A_PLAN_WAITS = Words(
    meaning="without an approver nothing is deleted, and the next prune draws a new plan.",
    to_do="look at the plan, and then, as an approver, approve or reject it.",
    commands=_plan,
    page="operations.md#approve",
)

WORDS: dict[NoticeKind, Words] = {
    NoticeKind.FINDINGS: Words(
        meaning=f"a {Severity.FAIL} stops every prune, a {Severity.HOLD} lets it wait for an approver, until this is "
        "dealt with.",
        to_do="docs/findings.md says it, by the finding's name.",
        commands=_check,
        page="operations.md#a-finding-stands",
    ),
    NoticeKind.LOCKS: Words(
        meaning=f"where a lock is missing, only the bucket's policy keeps a version. {NO_PRUNE_WAITS}",
        to_do="docs/findings.md says it, by the finding's name.",
        commands=_commands("locks"),
        page="operations.md#locks",
    ),
    NoticeKind.LOCKS_LAPSE: Words(
        meaning="locks end, and nobody renews them: then only the bucket's policy keeps what kept states need. "
        f"{NO_PRUNE_WAITS}",
        to_do="see that the schedule of lock upkeep is there and enabled, and why its function does not run.",
        commands=_commands("locks"),
        page="operations.md#locks-lapse",
    ),
    NoticeKind.APPROVAL: _A_PLAN_WAITS,
    NoticeKind.APPROVAL_REMINDER: _A_PLAN_WAITS,
    NoticeKind.PRUNE: Words(
        meaning="what no kept state needs is not deleted, and goes on to cost. But for PruneHarmed, every kept state "
        "is as it was.",
        to_do="docs/operations.md has each end of a prune by its name, and what to do.",
        commands=_commands("prunes", "prune"),
        page="operations.md#how-a-prune-ends",
    ),
    NoticeKind.DRILL: Words(
        meaning=f"whether the repository can be restored was not shown. {NO_PRUNE_WAITS}",
        to_do="the drill's report says why.",
        commands=lambda repository, _condition: (f"rwm drill {repository} --list", f"rwm drill {repository}"),
        page="operations.md#restore-drills",
    ),
    NoticeKind.BACKUP_MISSED: Words(
        meaning="what changed on the host since then is in no backup. What was backed up is as safe as before. "
        f"{NO_PRUNE_WAITS}",
        to_do="see on the host why restic did not run, or did not get to its end. Is that meant, set max_backup_age.",
        commands=_commands("states", "timeline"),
        page="operations.md#a-backup-was-missed",
    ),
    NoticeKind.BACKUPS_INCOMPLETE: Words(
        meaning=f"some files of the host are in no recent backup. {NO_PRUNE_WAITS}",
        to_do="see in restic's output on the host which files it could not read, and why.",
        commands=_commands("states"),
        page="operations.md#backups-end-incomplete",
    ),
    NoticeKind.RECORDING_STOPPED: Words(
        meaning="a backup that is not recorded cannot be restored as a state, and an attack goes unseen. No prune is "
        "planned. The states that were recorded are as safe as before.",
        to_do="record by hand: it says why it cannot. Then see that the schedule is there and enabled.",
        commands=_commands("record", "states"),
        page="operations.md#recording-stopped",
    ),
    NoticeKind.DEAD_LETTERS: Words(
        meaning="a host published something that is no event, or record failed on it again and again. The schedule "
        "records every repository all the same.",
        to_do="look at them; then record the repositories that they are of, which answers them.",
        commands=lambda _repository, _condition: ("rwm dead-letters",),
        page="operations.md#dead-letters-wait",
    ),
    NoticeKind.QUARANTINE: Words(
        meaning="its hosts can write nothing, so there are no new backups.",
        to_do="when what it was for is over, end it as an administrator.",
        commands=_commands("unquarantine"),
        page="operations.md#quarantine-lasts",
    ),
    NoticeKind.UNREAD: Words(
        meaning="something may be wrong that the watch does not see. What it knew before stands until it can look "
        "again.",
        to_do="the log of the watch has the error; a document that cannot be read was changed by hand, or written by a "
        "newer version.",
        commands=_nothing,
        page="operations.md#the-watch-could-not-tell",
    ),
}

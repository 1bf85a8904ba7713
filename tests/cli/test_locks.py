"""`rwm locks`: what the last look at the locks found, and how far it came."""

from typing import Any

import pytest

from functions.domain.locks.report import LockReport, Refused, StateLocks
from functions.domain.repositories import Repository
from functions.domain.values import ObjectKey, RepositoryName, Severity, StateId
from functions.domain.verdict import seen
from functions.storage.locks import DynamoLockReports
from tests.builders import at
from tests.cli.deployed import NAMES, Deployed, document, sentence
from tests.domain.judging import finding

MISSING = seen(finding(finding_id="locks-missing", severity=Severity.HOLD, what="2 versions are without a lock"))
OFF = seen(finding(finding_id="object-lock-off", severity=Severity.NOTE))
NEWEST = StateLocks(
    state=StateId("a" * 64), generation=9, cut_time=at(0), versions=10, looked_at=10, unlocked=0, earliest=at(86_400)
)
OLDER = StateLocks(
    state=StateId("b" * 64),
    generation=8,
    cut_time=at(-60),
    versions=7,
    looked_at=5,
    unlocked=2,
    earliest=None,
    unproven=True,
)


def report(deployed: Deployed, **changes: Any) -> None:
    """The last run of the lock upkeep writes this down."""
    values: dict[str, Any] = {
        "repository": RepositoryName("alpha"),
        "begun_at": at(100),
        "made_at": at(160),
        "object_lock": True,
        "lock_days": 30,
        "states": (NEWEST,),
        "looked_at": 10,
        "extended": 4,
    }
    DynamoLockReports(deployed.aws.dynamodb, NAMES.operations).append(LockReport(**{**values, **changes}))


def test_each_kept_state_has_the_instant_its_first_lock_ends(deployed: Deployed) -> None:
    report(deployed, states=(NEWEST, OLDER), unlocked=2, more_states=3)
    result = deployed.rwm("locks", "alpha")
    assert result.exit_code == 0
    shown = [line.split() for line in result.stdout.splitlines()]
    assert shown[1] == ["aaaaaaaaaaaa", "9", "2026-11-21T12:00:00Z", "10", "0", "2026-11-22T12:00:00Z"]
    assert " ".join(shown[2]) == "bbbbbbbbbbbb 8 2026-11-21T11:59:00Z 7 2 no lock 2 not looked at, could not be proven"
    assert "and 3 older kept states\n" in result.stdout
    assert (
        "10 versions that kept states of alpha name were looked at: the first lock ends 2026-11-22T12:00:00Z; 2 are "
        "without a lock; 4 locks were set or lengthened, to 30 days\n"
        "from 2026-11-21T12:01:40Z to 2026-11-21T12:02:40Z\n"
    ) in result.stdout


def test_as_a_document(deployed: Deployed) -> None:
    report(deployed, states=(NEWEST, OLDER), gone=1, were_unlocked=3)
    found = document(deployed.rwm("locks", "alpha", "--json"))
    assert (found["repository"], found["complete"], found["earliest"]) == ("alpha", True, "2026-11-22T12:00:00Z")
    assert found["states"][0] == {
        "state": "a" * 64,
        "generation": 9,
        "cut_time": "2026-11-21T12:00:00Z",
        "versions": 10,
        "looked_at": 10,
        "unlocked": 0,
        "earliest": "2026-11-22T12:00:00Z",
        "unproven": False,
        "due": False,
    }
    assert (found["looked_at"], found["extended"], found["were_unlocked"], found["gone"]) == (10, 4, 3, 1)
    assert (found["made_at"], found["lock_days"], found["done_until"]) == ("2026-11-21T12:02:40Z", 30, None)
    assert "told" not in found


def test_a_look_that_is_not_complete_says_how_far_it_came(deployed: Deployed) -> None:
    report(deployed, done_until=ObjectKey("data/00\x1b[2J"))
    result = deployed.rwm("locks", "alpha")
    assert "not complete: begun 2026-11-21T12:01:40Z, and by 2026-11-21T12:02:40Z it had come to data/00" in (
        result.stdout
    )
    assert "\x1b" not in result.stdout
    assert document(deployed.rwm("locks", "alpha", "--json"))["complete"] is False


@pytest.mark.parametrize(("severity", "code"), [(Severity.NOTE, 0), (Severity.HOLD, 3), (Severity.FAIL, 4)])
def test_what_it_found_decides_how_it_ends(deployed: Deployed, severity: Severity, code: int) -> None:
    told = MISSING.model_copy(update={"severity": severity})
    report(deployed, findings=(told,), refused=(Refused(why="AccessDenied", versions=2),))
    result = deployed.rwm("locks", "alpha")
    assert result.exit_code == code
    assert f"{severity} locks-missing: 2 versions are without a lock\n     since " in result.stdout
    assert "     refused for 2 versions: AccessDenied\n" in result.stdout
    found = document(deployed.rwm("locks", "alpha", "--json"))
    assert [each["id"] for each in found["findings"]] == ["locks-missing"]
    assert found["refused"] == [{"why": "AccessDenied", "versions": 2}]


def test_what_the_next_prune_drops_is_told_and_its_locks_are_nobodys_fault(deployed: Deployed) -> None:
    due = OLDER.model_copy(update={"due": True, "looked_at": 7, "unproven": False, "earliest": at(60)})
    report(deployed, states=(NEWEST, due), due=2)
    result = deployed.rwm("locks", "alpha")
    assert result.exit_code == 0
    assert "bbbbbbbbbbbb 8 2026-11-21T11:59:00Z 7 2 2026-11-21T12:01:00Z the next prune drops it" in " ".join(
        result.stdout.split()
    )
    assert "the first lock ends 2026-11-22T12:00:00Z; 0 are without a lock" in result.stdout
    assert "2 are named by no state but such as the next prune drops, and get no new lock" in result.stdout
    found = document(deployed.rwm("locks", "alpha", "--json"))
    assert (found["due"], found["earliest"]) == (2, "2026-11-22T12:00:00Z")


def test_versions_that_were_gone_are_told(deployed: Deployed) -> None:
    report(deployed, gone=2)
    assert (
        "2 versions were gone when they were looked at; `rwm check` judges it" in deployed.rwm("locks", "alpha").stdout
    )


def test_without_object_lock_there_is_only_a_note(deployed: Deployed) -> None:
    report(deployed, object_lock=False, states=(), looked_at=0, extended=0, findings=(OFF,))
    result = deployed.rwm("locks", "alpha")
    assert result.exit_code == 0
    assert "no version of alpha is locked: its bucket has no Object Lock\nNOTE object-lock-off: what" in result.stdout
    assert "were looked at" not in result.stdout


def test_before_the_first_look_nothing_is_known(deployed: Deployed) -> None:
    result = deployed.rwm("locks", "alpha", "--json")
    assert result.exit_code == 3
    assert (
        "the locks of alpha were not looked at yet, so nothing is known of them; that is done by its lock_schedule, "
        "rate(1 day): run this again later"
    ) in sentence(result)
    assert document(result)["error"]["kind"] == "waiting"


def test_where_nobody_looks_it_is_said_how_to_change_that(deployed: Deployed) -> None:
    deployed.deploy(Repository(name="alpha", bucket="alpha-bucket", lock_schedule=None))
    result = deployed.rwm("locks", "alpha")
    assert result.exit_code == 3
    assert "it has no lock_schedule: set one in repositories.toml and deploy" in sentence(result)


def test_a_report_of_another_repository_is_not_shown(deployed: Deployed) -> None:
    report(deployed)
    item = deployed.aws.dynamodb.get_item(
        TableName=NAMES.operations, Key={"pk": {"S": "locks#alpha"}, "sk": {"S": "newest"}}
    )["Item"]
    deployed.change_item(NAMES.operations, "locks#beta", "newest", document=item["document"])
    result = deployed.rwm("locks", "beta")
    assert result.exit_code == 1
    assert "operations holds a lock report of alpha as that of beta; nothing was read" in sentence(result)


def test_an_unknown_repository_is_refused(deployed: Deployed) -> None:
    assert deployed.rwm("locks", "gamma").exit_code == 2

"""A notice is short, says what to do, and names no key."""

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.notices import approval_notice, notice_of
from functions.domain.prune.approval import ShelvedPlan
from functions.domain.prune.plan import Total, Waiting
from functions.domain.prune.rules import Reason, Waits
from functions.domain.restic import FileType
from functions.domain.values import Digest, RepositoryName, Severity, StateId, VersionId
from functions.domain.verdict import CheckLevel, seen
from tests.builders import NOON, pack
from tests.domain.judging import ALPHA, FAIL, HOLD, evidence, finding

ATTACK = finding(evidence(pack("secret"), "version-1"), evidence("srv/plans.txt", "version-2"), what="2 packs changed")


def test_it_says_what_was_found_since_when_and_what_to_do() -> None:
    notice = notice_of(ALPHA, CheckLevel.CONSISTENT, [seen(ATTACK), seen(HOLD)], "5" * 64)
    assert notice.subject == "RWM: FAIL alpha: pack-overwritten, growth"
    assert {**notice.attributes, "details": ""} == {
        "repository": "alpha",
        "severity": "FAIL",
        "level": "consistent",
        "kind": "findings",
        "event": "opened",
        "details": "",
    }
    assert "Something is new about repository alpha, state 555555555555." in notice.body
    assert "FAIL pack-overwritten, since 2026-11-21T12:00:00Z, 2 keys\n  2 packs changed\n  What to do:" in notice.body
    assert "HOLD growth, since 2026-11-21T12:00:00Z\n" in notice.body
    assert "What it means: no prune runs until this is dealt with" in notice.body
    assert "  rwm check alpha --level consistent\n" in notice.body


def test_without_a_fail_a_prune_waits_for_a_person() -> None:
    notice = notice_of(ALPHA, CheckLevel.CONTENT, [seen(HOLD)])
    assert notice.subject == "RWM: HOLD alpha: growth"
    assert notice.attributes["severity"] == "HOLD"
    assert "What it means: a prune waits for an approver until this is dealt with" in notice.body
    assert "Something is new about repository alpha.\n" in notice.body


def test_it_leaves_the_account_and_so_names_no_key_and_no_version() -> None:
    notice = notice_of(ALPHA, CheckLevel.CONSISTENT, [seen(ATTACK)], "5" * 64)
    told = notice.subject + notice.body + "".join(notice.attributes.values())
    for each in ATTACK.evidence:
        assert each.key not in told
        assert each.version_ids[0] not in told


def test_a_finding_that_is_there_twice_is_named_once_in_the_subject() -> None:
    assert (
        notice_of(ALPHA, CheckLevel.CONSISTENT, [seen(FAIL), seen(FAIL)]).subject == "RWM: FAIL alpha: config-missing"
    )


def test_a_subject_that_gets_too_long_counts_the_others() -> None:
    many = [seen(finding(finding_id=f"{name}-is-a-long-finding-id")) for name in "abcdef"]
    assert notice_of(ALPHA, CheckLevel.CONSISTENT, many).subject == "RWM: FAIL alpha: a-is-a-long-finding-id and 5 more"


ids = st.from_regex(r"\A[a-z]+(-[a-z]+){0,8}\Z").map(lambda text: text[:110])


@given(st.lists(st.builds(lambda name, severity: seen(finding(finding_id=name, severity=severity)), ids,
                          st.sampled_from([Severity.FAIL, Severity.HOLD])), min_size=1, max_size=12))  # fmt: skip
def test_a_subject_is_one_that_sns_takes(found: list) -> None:  # type: ignore[type-arg]
    subject = notice_of(ALPHA, CheckLevel.CONSISTENT, found).subject
    assert 1 <= len(subject) <= 100
    assert subject.isascii()
    assert subject.isprintable()
    assert subject.startswith("RWM: ")


# --- a plan that waits for an approver -------------------------------------------------------------------

DIGEST = Digest("abcdef" + "0" * 58)


def a_plan(**changes: object) -> ShelvedPlan:
    fields: dict[str, object] = {
        "repository": ALPHA,
        "plan": DIGEST,
        "file": "prunes/alpha/monday/plan.json",
        "version_id": VersionId("version-of-the-plan"),
        "execution": "monday",
        "state": StateId("5" * 64),
        "generation": 7,
        "drawn_at": NOON,
        "valid_until": NOON + timedelta(days=1),
        "outcome": "hold",
        "posture": "pass",
        "approval": "needed",
        "dry_run": False,
        "entries": 1200,
        "bytes": 5_000_000,
        "markers": 200,
        "drops": 3,
        "kept": 14,
        "totals": (
            Total(reason=Reason.HIDDEN, type=FileType.PACK, entries=1000, bytes=5_000_000),
            Total(reason=Reason.SPENT_MARKER, type=FileType.PACK, entries=200, bytes=0),
        ),
        "waiting": (Waiting(why=Waits.YOUNG, entries=17, bytes=9, first=None, last=None),),
        "flooded": 0,
        "findings": (seen(HOLD),),
    }
    return ShelvedPlan.model_validate(fields | changes)


def test_an_approver_is_told_what_goes_why_how_much_and_what_looks_odd() -> None:
    notice = approval_notice(a_plan())
    assert notice.subject == "RWM: HOLD alpha: prune plan abcdef000000 waits for an approver"
    assert {notice.attributes[each] for each in ("severity", "level", "kind")} == {"HOLD", "prune", "approval"}
    assert json.loads(notice.attributes["details"])["plan"] == DIGEST
    assert "an approver has time until 2026-11-22T12:00:00Z; without one nothing is deleted" in notice.body
    assert "would free 5,000,000 bytes: 1,200 entries, 200 of them delete markers" in notice.body
    assert "3 state(s) would be dropped and 14 kept:" in notice.body
    assert "  1,000 of pack, 5,000,000 bytes: hidden for longer than the grace\n" in notice.body
    assert "What looks odd:\n\nHOLD growth, since 2026-11-21T12:00:00Z\n  what\n  What to do:" in notice.body
    assert "What stays for now:\n  17 (young)" in notice.body
    for command in ("plan", "approve", "reject"):
        assert f"  rwm {command} {DIGEST}\n" in notice.body, "the full digest is what an approver names"


def test_a_posture_that_holds_looks_odd_and_where_nothing_does_it_says_why_it_waits() -> None:
    held = approval_notice(a_plan(findings=(), posture="hold"))
    assert "What looks odd:\n\nHOLD of the posture" in held.body
    always = approval_notice(a_plan(findings=(), outcome="pass", waiting=()))
    assert "Nothing looks odd; this repository's prunes always wait." in always.body
    assert "What stays" not in always.body
    assert always.attributes["severity"] == "NOTE"


def test_a_notice_of_a_plan_says_nothing_that_is_not_for_everybodys_eyes() -> None:
    notice = approval_notice(a_plan(findings=(seen(ATTACK),)))
    told = notice.subject + notice.body + "".join(notice.attributes.values())
    for hidden in ("version-of-the-plan", pack("secret"), "version-1", "srv/plans.txt"):
        assert hidden not in told


def test_every_reason_that_lets_something_go_is_put_into_words() -> None:
    for reason in Reason:
        total = Total(reason=reason, type=FileType.PACK, entries=1, bytes=0)
        assert "  1 of pack, 0 bytes: " in approval_notice(a_plan(totals=(total,))).body


def test_the_longest_name_of_a_repository_fits_into_a_subject() -> None:
    assert len(approval_notice(a_plan(repository=RepositoryName("r" * 32))).subject) <= 100

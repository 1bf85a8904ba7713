"""A notice is short, says what to do, and names no key."""

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.notices import notice_of
from functions.domain.values import Severity
from functions.domain.verdict import CheckLevel, seen
from tests.builders import pack
from tests.domain.judging import ALPHA, FAIL, HOLD, evidence, finding

ATTACK = finding(evidence(pack("secret"), "version-1"), evidence("srv/plans.txt", "version-2"), what="2 packs changed")


def test_it_says_what_was_found_since_when_and_what_to_do() -> None:
    notice = notice_of(ALPHA, CheckLevel.CONSISTENT, [seen(ATTACK), seen(HOLD)], "5" * 64)
    assert notice.subject == "RWM: FAIL alpha: pack-overwritten, growth"
    assert notice.attributes == {"repository": "alpha", "severity": "FAIL", "level": "consistent"}
    assert "Something is new about repository alpha, state 555555555555." in notice.body
    assert "FAIL pack-overwritten, since 2026-11-21T12:00:00Z, 2 keys\n  2 packs changed\n  What to do:" in notice.body
    assert "HOLD growth, since 2026-11-21T12:00:00Z\n" in notice.body
    assert "No prune runs until this is dealt with" in notice.body
    assert "  rwm check alpha --level consistent\n" in notice.body


def test_without_a_fail_a_prune_waits_for_a_person() -> None:
    notice = notice_of(ALPHA, CheckLevel.CONTENT, [seen(HOLD)])
    assert notice.subject == "RWM: HOLD alpha: growth"
    assert notice.attributes["severity"] == "HOLD"
    assert "A prune waits for an approver until this is dealt with" in notice.body
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

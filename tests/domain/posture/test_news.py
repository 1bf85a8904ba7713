"""A person hears of each finding of posture once, and of another one of the same id as well."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.posture.news import LastPosture, mark, news
from functions.domain.values import Finding, RepositoryName, Severity
from tests.builders import NOON

FINDING = Finding("lifecycle-expires", Severity.FAIL, RepositoryName("alpha"), NOON, "rule one", "remove it")
FINDINGS = st.builds(
    Finding,
    id=st.sampled_from(["lifecycle-expires", "object-lock-off", "drift"]),
    severity=st.sampled_from(Severity),
    repository=st.just(RepositoryName("alpha")),
    since=st.just(NOON),
    what=st.sampled_from(["one", "two", ""]),
    remedy=st.just("mend it"),
)


def after(*findings: Finding) -> LastPosture:
    return LastPosture({}, frozenset(map(mark, findings)))


def test_at_the_first_posture_everything_but_notes_is_news() -> None:
    assert news([FINDING, replace(FINDING, severity=Severity.NOTE)], None) == (FINDING,)


def test_the_same_is_no_news_and_another_of_its_id_is() -> None:
    assert news([FINDING], after(FINDING)) == ()
    other = replace(FINDING, what="rule two")
    assert news([FINDING, other], after(FINDING)) == (other,)


def test_what_was_less_severe_is_news() -> None:
    assert news([FINDING], after(replace(FINDING, severity=Severity.HOLD))) == (FINDING,)
    assert news([FINDING], after(replace(FINDING, severity=Severity.NOTE))) == (FINDING,)


def test_when_it_was_found_and_what_to_do_do_not_make_it_another() -> None:
    later = replace(FINDING, since=NOON.replace(year=NOON.year + 1), remedy="remove it now")
    assert news([later], after(FINDING)) == ()


def test_drift_is_always_news() -> None:
    drift = replace(FINDING, id="drift", severity=Severity.HOLD)
    assert news([drift], after(drift)) == (drift,)


def test_a_mark_names_the_finding() -> None:
    assert mark(FINDING).startswith("lifecycle-expires#")
    assert len(mark(FINDING)) == len("lifecycle-expires#") + 16


@given(st.lists(FINDINGS), st.lists(FINDINGS))
def test_whatever_was_not_there_before_and_is_no_note_is_told(now: list[Finding], before: list[Finding]) -> None:
    told = news(now, after(*before))
    for finding in now:
        is_new = finding not in before or finding.id == "drift"
        assert (finding in told) == (is_new and finding.severity is not Severity.NOTE)

"""Every message as people approved it: tests/notices/approved/ has one file for each kind and event.

A difference is meant to be looked at, word by word. To approve what messages say now: `.venv/bin/python -m
tests.notices`, then read `git diff tests/notices`.
"""

import json
from pathlib import Path

import pytest

from functions.domain.notices import Notice, NoticeKind
from functions.domain.watch.messages import WORDS
from tests.headings import anchors
from tests.notices.examples import examples, written

APPROVED = Path(__file__).with_name("approved")
DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = examples()
TOLD_ELSEWHERE = "another step tells it at once"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_says_what_was_approved(name: str) -> None:
    assert written(EXAMPLES[name]) == (APPROVED / f"{name}.txt").read_text(), "see the docstring of this file"


def test_nothing_is_approved_that_nobody_is_told() -> None:
    assert {path.stem for path in APPROVED.glob("*.txt")} == set(EXAMPLES)


def test_each_kind_has_an_example_of_its_begin_and_of_its_end() -> None:
    seen = {(notice.attributes["kind"], notice.attributes["event"]) for notice in EXAMPLES.values()}
    # The end of a reminder is the end of what it reminds of.
    ends = {(kind, "over") for kind in NoticeKind if kind is not NoticeKind.APPROVAL_REMINDER}
    assert seen == {*((kind, "opened") for kind in NoticeKind), *ends}


@pytest.mark.parametrize("notice", EXAMPLES.values(), ids=EXAMPLES)
def test_a_message_has_the_shape_that_is_promised(notice: Notice) -> None:
    where = "all repositories" if notice.attributes["repository"] == "*" else "alpha"
    how = "OVER" if notice.attributes["event"] == "over" else notice.attributes["severity"]
    assert notice.subject.startswith(f"RWM: {how} {where}: ")
    assert len(notice.subject) <= 100
    assert notice.subject.isascii()
    assert notice.subject.isprintable()
    body = notice.body
    order = [body.index(part) for part in ("since ", "What it means: ", "\n\nWhat to do: ", "\n\nMore: docs/")]
    assert order == sorted(order)
    assert set(notice.attributes) == {"repository", "severity", "level", "kind", "event", "details"}
    assert isinstance(json.loads(notice.attributes["details"]), dict)


@pytest.mark.parametrize("notice", EXAMPLES.values(), ids=EXAMPLES)
def test_the_page_that_a_message_names_has_that_heading(notice: Notice) -> None:
    page, _, heading = notice.body.rpartition("More: docs/")[2].strip().partition("#")
    assert heading in anchors((DOCS / page).read_text()), f"docs/{page} has no heading #{heading}"


def test_every_kind_that_the_watch_tells_has_its_words() -> None:
    assert set(WORDS) == set(NoticeKind)


def test_docs_messages_has_each_kind_and_each_approved_example_word_for_word() -> None:
    page = (DOCS / "messages.md").read_text()
    for kind in NoticeKind:
        assert f"### `{kind}`" in page
    shown = [name for name, notice in EXAMPLES.items() if notice.body in page]
    assert {EXAMPLES[name].attributes["kind"] for name in shown} == set(NoticeKind), "each with an example"


def test_no_message_names_a_key_or_a_version() -> None:
    for notice in EXAMPLES.values():
        told = notice.subject + notice.body + "".join(notice.attributes.values())
        for hidden in ("a-version", "data/", "version-of-the-plan", "prunes/alpha"):
            assert hidden not in told

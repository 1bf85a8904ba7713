"""Nothing that comes from outside becomes markup."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.page.html import element, text


class Parsed(HTMLParser):
    """What a browser sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def parsed(markup: str) -> Parsed:
    parser = Parsed()
    parser.feed(markup)
    parser.close()
    return parser


@given(st.text(), st.text())
def test_whatever_text_says_it_stays_one_text_and_one_attribute(content: str, value: str) -> None:
    seen = parsed(element("p", content, title=value).markup)
    assert seen.tags == ["p"]
    assert [name for name, _ in seen.attributes] == ["title"]


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_what_can_be_printed_is_shown_as_it_is(content: str) -> None:
    assert parsed(element("p", content).markup).words == content


def test_what_turns_the_direction_of_reading_round_is_written_out() -> None:
    assert text("a\u202eb\x1b[2J\u200b") == "a\\u202eb\\x1b[2J\\u200b"


def test_an_element_is_put_into_another_and_a_string_is_not() -> None:
    inner = element("b", "x")
    assert element("p", inner, "<b>").markup == "<p><b>x</b>&lt;b&gt;</p>"
    assert "<" not in text(str(inner).replace("Element", "")), "an element that is formatted into a text is only text"


def test_attributes_that_are_not_there_are_left_out() -> None:
    made = element("td", 1, class_=None, hidden=False, open=True, aria_label="a b", x=1.50)
    assert made.markup == '<td open aria-label="a b" x="1.5">1</td>'

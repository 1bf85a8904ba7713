"""Elements of HTML and SVG, of which nothing but text is ever taken from outside.

Security rules:
- Names of hosts, snapshots and findings are the attacker's to choose. Whatever is text, in an element or an attribute,
  is escaped where it is put in; there is no way to put in markup but as an `Element` made here.
- What could turn the reading direction round or move a cursor is written out.
- Tags and names of attributes are literals of the code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

_EMPTY = frozenset({"meta", "br", "hr", "rect", "path", "line", "col"})
"""Tags that have no content."""


@dataclass(frozen=True, slots=True)
class Element:
    """Markup. No string, so that nobody writes it into another by accident."""

    markup: str


Child = Element | str | int | None
"""None: nothing."""


def element(tag: str, *children: Child, **attributes: str | float | bool | None) -> Element:
    """`<tag>`; an attribute's `_` is a hyphen, and one at its end is left out; None and False leave it out, True is an
    attribute without a value."""
    named = "".join(_attribute(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items())
    if tag in _EMPTY:
        return Element(f"<{tag}{named}>" if tag in ("meta", "br", "hr", "col") else f"<{tag}{named}/>")
    return Element(f"<{tag}{named}>{together(children).markup}</{tag}>")


def together(children: Iterable[Child]) -> Element:
    """One after another."""
    return Element("".join(map(_content, children)))


def text(content: str) -> str:
    """Escaped, for content and quoted attributes alike, on one line or more."""
    # Printable by Unicode leaves out controls, and whatever turns the direction of reading round.
    shown = "".join(each if each.isprintable() or each == "\n" else _spelled(each) for each in content)
    return escape(shown, quote=True)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _content(child: Child) -> str:
    if child is None:
        return ""
    return child.markup if isinstance(child, Element) else text(str(child))


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{text(_spell(value))}"'


def _spell(value: str | float) -> str:
    """A coordinate needs no more than two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

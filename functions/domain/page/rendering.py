"""The page as one file of HTML: no script, no network, and nothing in it that was not escaped.

Security rules:
- A policy in the file itself forbids everything from elsewhere, and all scripts; the one style sheet is named by its
  digest.
- What is told is text (see html.py). Ids are made of numbers, never of names.
- No object's key, no host and no path: the document has none.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence

from functions.domain.page import words
from functions.domain.page.document import Health, Page
from functions.domain.page.head import HEALTH, summary
from functions.domain.page.html import Element, element, together
from functions.domain.page.look import style
from functions.domain.page.sections import sections


def render(pages: Sequence[Page]) -> str:
    """One file for one repository, or for several with an index of them."""
    one = len(pages) == 1
    title = f"{pages[0].repository}: backups" if one else "Backups of all repositories"
    body = [_index(pages)] if not one else []
    body += [_repository(page, number, one=one) for number, page in enumerate(pages)]
    made = max(page.made_at for page in pages)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · RWM"),
        Element(f"<style>{style()}</style>"),
    )
    document = element(
        "html",
        head,
        element(
            "body",
            element("a", "Skip to the contents", class_="skip", href="#contents"),
            element("main", *body, id="contents"),
            element(
                "footer",
                element("hr"),
                element(
                    "p",
                    f"Made by RWM on {words.minute(made)} UTC, which all times here are. It tells what was recorded "
                    "until then; reload nothing, make a new one: ",
                    element("code", "rwm report"),
                    ".",
                ),
            ),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{document.markup}\n"


def policy() -> str:
    """What a browser may do with the file: draw it."""
    digest = b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _index(pages: Sequence[Page]) -> Element:
    rows = [
        element(
            "tr",
            element("th", element("a", page.repository, href=f"#r{number}"), scope="row"),
            element("td", _badge(page.health)),
            element(
                "td", words.minute(page.timeline.moments[0].cut_time) if page.timeline.moments else "none", class_="t o"
            ),
            element("td", words.size(page.timeline.moments[0].bytes) if page.timeline.moments else "", class_="n"),
            element("td", words.number(page.states), class_="n o"),
            element("td", words.dollars(page.cost.total) if page.cost else "unknown", class_="n"),
        )
        for number, page in enumerate(pages)
    ]
    ill = sum(page.health in ("fail", "hold", "late", "broken") for page in pages)
    told = f"{words.plural(ill, 'needs', 'need')} a look" if ill else "nothing speaks against the newest state of any"
    return together(
        [
            element("h1", "All repositories", class_="title"),
            element("p", f"{words.plural(len(pages), 'repository', 'repositories')}; {told}.", class_="quiet"),
            element(
                "section",
                element(
                    "div",
                    element(
                        "table",
                        element("caption", "Each leads to its part of this page"),
                        element(
                            "thead",
                            element(
                                "tr",
                                element("th", "repository", scope="col"),
                                element("th", "newest state", scope="col"),
                                element("th", "cut (UTC)", class_="o", scope="col"),
                                element("th", "size", class_="n", scope="col"),
                                element("th", "states", class_="n o", scope="col"),
                                element("th", "a month", class_="n", scope="col"),
                            ),
                        ),
                        element("tbody", *rows),
                        class_="fold",
                    ),
                    class_="wide",
                ),
                class_="part",
                aria_label="Index",
            ),
        ]
    )


def _badge(health: Health) -> Element:
    word, tone = HEALTH[health]
    return element("strong", word, class_=tone)


def _repository(page: Page, number: int, *, one: bool) -> Element:
    prefix = f"r{number}"
    level = 1 if one else 2
    return element("article", summary(page, level, prefix), *sections(page, level + 1, prefix), aria_labelledby=prefix)

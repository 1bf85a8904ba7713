"""The parts of a repository's page: each says first, in words, what its chart and table show."""

from functions.domain.page.cost_part import cost
from functions.domain.page.document import Page
from functions.domain.page.html import Child, Element, element
from functions.domain.page.storage_part import growth, kept, objects
from functions.domain.page.timeline_part import timeline
from functions.domain.page.upkeep_part import drills, locks, prunes


def sections(page: Page, level: int, prefix: str) -> list[Element]:
    """All parts; ids begin with `prefix`."""
    if not page.timeline.moments:
        return []
    parts: list[tuple[str, str, list[Child]]] = [
        ("timeline", "Timeline", timeline(page, prefix)),
        ("growth", "Growth", growth(page.grown)),
        ("objects", "Objects and their sizes", objects(page)),
        ("kept", "What each kept state needs", kept(page.kept)),
        ("prune", "Prunes", prunes(page.prune, page.prunes)),
        ("cost", "Cost", cost(page)),
        ("locks", "Locks", locks(page.locks)),
        ("drills", "Drills and backups", drills(page)),
    ]
    links = [element("li", element("a", title, href=f"#{prefix}-{name}")) for name, title, _ in parts]
    made = [
        element(
            "section",
            element(f"h{level}", title, id=f"{prefix}-{name}", class_="head"),
            *content,
            class_="part",
            aria_labelledby=f"{prefix}-{name}",
        )
        for name, title, content in parts
    ]
    return [element("nav", element("ul", *links), class_="parts", aria_label=f"Parts, {page.repository}"), *made]

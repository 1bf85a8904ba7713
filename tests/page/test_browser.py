"""The page in a real browser, headless: nothing is asked of a network, nothing is complained of, everything is reached.

Screenshots are in build/page/, for people to look at. Needs Debian's `chromium` (as root: apt-get install
--no-install-recommends chromium), and is skipped, saying so, where there is none.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.domain.page.look import DARK, LIGHT
from functions.domain.page.making import page_of
from functions.domain.page.rendering import render
from tests.page.browser import Browser, program
from tests.page.world import NOW, known

pytestmark = pytest.mark.skipif(program() is None, reason="chromium is not installed; apt-get install chromium")
SHOTS = Path(__file__).parents[2] / "build" / "page"
VIEWS = {
    "light": {"width": 1280},
    "dark": {"width": 1280, "dark": True},
    "narrow": {"width": 390},
    "narrow-dark": {"width": 390, "dark": True},
    "print": {"width": 800, "dark": True, "printed": True},
}
FILES = ("good", "attacked", "large", "hostile", "bare", "all")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    several = [page_of(known(90, name=name, attack=name == "beta"), NOW, 60) for name in ("alpha", "beta", "gamma")]
    content = {
        "good": render([page_of(known(), NOW, 400)]),
        "attacked": render([page_of(known(attack=True), NOW, 400)]),
        "large": render([page_of(known(large=True), NOW, 400)]),
        "hostile": render([page_of(known(40, hostile=True), NOW, 400)]),
        "bare": render([page_of(known(3, bare=True), NOW, 400)]),
        "all": render(several),
    }
    for name, html in content.items():
        (folder / f"{name}.html").write_text(html)
    return {name: folder / f"{name}.html" for name in content}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def requests(browser: Browser) -> list[str]:
    """What was asked for beside the file itself."""
    asked = [
        event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in asked if not url.startswith("file://")]


def complaints(browser: Browser) -> list[Any]:
    methods = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    return [event for event in browser.events if event["method"] in methods]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("view", VIEWS)
def test_it_is_drawn_without_a_complaint_or_a_request_and_fits(
    browser: Browser, pages: dict[str, Path], name: str, view: str
) -> None:
    browser.show(pages[name], **VIEWS[view])  # type: ignore[arg-type]
    if name in ("good", "attacked") or view in ("light", "narrow"):
        browser.screenshot(SHOTS / f"{name}-{view}.png")
    assert complaints(browser) == []
    assert requests(browser) == []
    # Tables may scroll within their frame; the page itself does not.
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_colours_follow_what_the_reader_prefers_and_paper_is_light(
    browser: Browser, pages: dict[str, Path]
) -> None:
    def ground() -> str:
        found: str = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        return found

    def rgb(colour: str) -> str:
        return f"rgb({', '.join(str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))})"

    browser.show(pages["good"])
    assert ground() == rgb(LIGHT["ground"])
    browser.show(pages["good"], dark=True)
    assert ground() == rgb(DARK["ground"])
    browser.show(pages["good"], dark=True, printed=True)
    assert ground() == rgb(LIGHT["ground"])


def test_a_keyboard_reaches_the_contents_the_timeline_and_the_table_behind_a_state(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.show(pages["attacked"])
    reached: list[str] = []
    for _ in range(30):
        browser.press("Tab")
        href, label = (f"document.activeElement.getAttribute('{name}')" for name in ("href", "aria-label"))
        reached.append(browser.evaluate(f"{href} + ' ' + ({label} || '')"))
    assert reached[0].strip() == "#contents"
    assert [each.strip() for each in reached[1:9]] == [
        f"#r0-{part}" for part in ("timeline", "growth", "objects", "kept", "prune", "cost", "locks", "drills")
    ]
    states = [each for each in reached[9:] if each.startswith("#r0-s")]
    assert any("FAIL host-hid-objects" in each for each in states)
    # Into the table, which opens by itself.
    target = next(each for each in states if "FAIL" in each).split()[0]
    for _ in range(60):
        if browser.evaluate("document.activeElement.getAttribute('href')") == target:
            break
        browser.press("Tab")
    browser.press("Enter")
    place = f"document.querySelector('{target}').getBoundingClientRect()"
    assert browser.evaluate(f"{place}.height > 0")


def test_a_screen_reader_finds_names_for_everything_that_can_be_pressed_or_seen(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.show(pages["attacked"])
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in nodes if not node["ignored"]]
    named = {"link", "heading", "image", "table", "region", "navigation", "article", "graphics-document", "img"}
    nameless = [
        node["role"]["value"]
        for node in seen
        if node["role"]["value"] in named and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    roles = [node["role"]["value"] for node in seen]
    for role in ("main", "navigation", "table", "heading", "contentinfo"):
        assert role in roles
    titles = [node["name"]["value"] for node in seen if node["role"]["value"] == "RootWebArea"]
    assert titles == ["alpha: backups · RWM"]


def test_a_script_that_got_into_the_file_would_not_run(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    """The policy is a second wall: were the escaping ever wrong, nothing would come of it."""
    html = pages["good"].read_text()
    forged = tmp_path / "forged.html"
    script = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    forged.write_text(html.replace("<main", f"{script}<main"))
    browser.show(forged)
    assert browser.evaluate("document.title") == "alpha: backups · RWM"
    assert requests(browser) == []
    assert complaints(browser) != []

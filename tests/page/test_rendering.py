"""The page as a file: whole, small, closed to the network and to whoever names things."""

import hashlib
import re
from base64 import b64encode

import pytest

from functions.domain.page.document import Page
from functions.domain.page.gather import Known
from functions.domain.page.making import page_of
from functions.domain.page.rendering import policy, render
from functions.domain.page.storage_part import _TYPES
from functions.domain.page.upkeep_part import _REASONS, _WAITS
from functions.domain.prune.rules import Reason, Waits
from functions.domain.repositories import Repository
from functions.domain.restic import FileType
from tests.page.test_html import parsed
from tests.page.world import ATTACKED, HOSTILE, NOW, known

KB = 1000


@pytest.fixture(scope="module")
def year() -> str:
    return render([page_of(known(365, attack=True), NOW, 400)])


@pytest.fixture(scope="module")
def hostile() -> str:
    return render([page_of(known(40, hostile=True), NOW, 400)])


def test_a_year_of_daily_states_with_findings_stays_under_300_kb(year: str) -> None:
    assert year.count("<tr id=") >= ATTACKED
    assert year.count('<td class="t">') + year.count('<th scope="row" class="t">') >= 365
    assert len(year.encode()) < 300 * KB


def test_thirty_repositories_stay_under_their_limit_and_are_reached_from_the_index() -> None:
    pages = [page_of(known(365, name=f"host-{number:02d}", attack=number == 3), NOW, 60) for number in range(30)]
    html = render(pages)
    assert len(html.encode()) < 3_500 * KB, "docs/page.md tells the limit"
    for number in range(30):
        assert f'href="#r{number}"' in html
        assert html.count(f'id="r{number}"') == 1


def test_no_id_is_given_twice(year: str) -> None:
    ids = re.findall(r' id="([^"]+)"', year)
    assert sorted(set(ids)) == sorted(ids)


def test_every_link_leads_to_a_place_on_the_page(year: str) -> None:
    targets = {value for name, value in parsed(year).attributes if name == "href"}
    ids = {f"#{value}" for name, value in parsed(year).attributes if name == "id"}
    assert targets - ids == set()
    assert len(targets) > 10


def test_the_page_asks_nothing_of_any_network_and_runs_nothing(hostile: str) -> None:
    seen = parsed(hostile)
    assert not {"script", "img", "iframe", "link", "object", "embed", "form", "base", "input", "video"} & set(seen.tags)
    names = {name for name, _ in seen.attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not {"src", "srcset", "style", "action", "data", "formaction", "xlink:href"} & names
    assert all((value or "").startswith("#") for name, value in seen.attributes if name == "href")
    assert "url(" not in hostile
    assert "@import" not in hostile


def test_its_policy_forbids_everything_but_its_own_style(year: str) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", year, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy() == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    content = [value for name, value in parsed(year).attributes if value == policy()]
    assert content == [policy()]
    # It holds for what comes after it.
    assert year.index("Content-Security-Policy") < year.index("<title>") < year.index("<style>")


def test_hostile_names_are_shown_and_never_obeyed(hostile: str) -> None:
    assert "<img" not in hostile
    assert "\u202e" not in hostile
    assert "&lt;img src=x onerror=alert(1)&gt;" in hostile
    assert HOSTILE not in hostile
    benign = parsed(render([page_of(known(40), NOW, 400)]))
    assert set(parsed(hostile).tags) == set(benign.tags)


def test_the_page_names_no_host_and_no_key(hostile: str) -> None:
    assert "sender" not in Page.model_json_schema()["$defs"]["Backup"]["properties"]
    assert "data/growth" not in hostile, "the key of a finding's evidence"


def test_it_can_be_read_by_its_headings_and_its_tables(year: str) -> None:
    headings = re.findall(r"<h([1-6])[^>]*>([^<]*)<", year)
    assert [int(level) for level, _ in headings] == [1, *[2] * 8]
    assert [title for _, title in headings] == [
        *("alpha", "Timeline", "Growth", "Objects and their sizes", "What each kept state needs"),
        *("Prunes", "Cost", "Locks", "Drills and backups"),
    ]
    assert year.count("<table") == year.count("<caption>")
    assert all("scope=" in each for each in re.findall(r"<th[ >][^>]*>", year))
    for chart in re.findall(r"<svg[^>]*>", year):
        assert "aria-label=" in chart or 'aria-hidden="true"' in chart
    assert '<html lang="en">' in year


def test_a_repository_without_a_state_and_one_whose_ledger_is_broken_have_a_page_too() -> None:
    repository = Repository(name="alpha", bucket="example-alpha")
    empty = render([page_of(Known(repository), NOW, 400)])
    assert "Nothing recorded" in empty
    assert "rwm record alpha" in empty
    broken = render([page_of(Known(repository, trouble="state x does not follow"), NOW, 400)])
    assert "The ledger is damaged" in broken
    assert "state x does not follow" in broken


def test_what_is_unknown_is_said_so() -> None:
    html = render([page_of(known(3, bare=True), NOW, 400)])
    for told in (
        "How many bytes these take is unknown until a prune has listed them",
        "What each needs alone is unknown: there are too many entries",
        "what it frees is unknown",
        "The locks were not looked at yet",
        "No drill has restored this repository yet",
        "Not in it, because unknown: versions that are hidden or replaced",
    ):
        assert told in html, told


def test_every_reason_of_a_prune_has_words_on_the_page() -> None:
    assert set(_WAITS) == set(map(str, Waits))
    assert set(_REASONS) == set(map(str, Reason))
    assert set(_TYPES) == set(FileType)

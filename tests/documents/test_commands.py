"""The commands of each page, as printed, from its first line to its last."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.documents import stories
from tests.documents.pages import blocks, pages
from tests.documents.world import BUILD, World, a_world

pytestmark = pytest.mark.system

RUN = ("", "host")
PAGES = [page for page in pages() if any(block.tag in RUN for block in blocks(page))]


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Among the processes of pytest: templates are made once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with one_at_a_time(BUILD / "lock"):
        made = a_world(tmp_path)
        found = made.__enter__()
    try:
        yield found
    finally:
        made.__exit__(None, None, None)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs_as_printed(world: World, page: str) -> None:
    story = dict(stories.STORIES.get(page, stories.DEFAULT))
    for scene in story.pop("", ()):
        scene(world)
    printed = BUILD / f"{page.replace('/', '-')}.txt"
    printed.write_text("")
    for block in blocks(page):
        if block.tag not in RUN:
            continue
        for scene in story.pop(block.heading, ()):
            scene(world)
        said = world.run(block)
        with printed.open("a") as file:
            file.write(f"--- {block}\n{said}\n")
    assert not story, f"{page} has no commands under {', '.join(story)}"
    for scene in stories.ENDS.get(page, ()):
        scene(world)

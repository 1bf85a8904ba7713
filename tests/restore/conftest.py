"""A backed-up repository, and its recorded state."""

import pytest

from functions.domain.state import StateHeader
from tests.restore.world import World, a_backup


@pytest.fixture
def world() -> World:
    made = World()
    made.back_up(a_backup())
    return made


@pytest.fixture
def state(world: World) -> StateHeader:
    return world.record()

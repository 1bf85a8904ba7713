"""How the tests are shared out between workers, and how far properties are searched."""

import os
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

SYSTEM = "tests/system/"

# The same examples every time, so that a change fails by what it changed; `make long` searches for new ones.
settings.register_profile("brief", derandomize=True, deadline=None)
settings.register_profile("long", max_examples=2_000, deadline=None)
settings.load_profile("long" if os.environ.get("RWM_LONG") else "brief")


class SystemTogether(LoadScopeScheduling):  # type: ignore[misc]
    """All of tests/system in one worker, whose one deployment serves them all; every other test wherever there is
    room. It is `--dist loadgroup`, which groups nothing with pytest 9.2 (pytest-xdist issue 1386)."""

    def _split_scope(self, nodeid: str) -> str:
        return SYSTEM if nodeid.startswith(SYSTEM) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SystemTogether:
    return SystemTogether(config, log)

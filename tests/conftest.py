"""How the tests are shared out between workers."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

SYSTEM = "tests/system/"


class SystemTogether(LoadScopeScheduling):  # type: ignore[misc]
    """All of tests/system in one worker, whose one deployment serves them all; every other test wherever there is
    room. It is `--dist loadgroup`, which groups nothing with pytest 9.2 (pytest-xdist issue 1386)."""

    def _split_scope(self, nodeid: str) -> str:
        return SYSTEM if nodeid.startswith(SYSTEM) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SystemTogether:
    return SystemTogether(config, log)

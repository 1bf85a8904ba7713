"""What tests of the host share."""

from pathlib import Path

import pytest

from tests.host.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine.make(tmp_path)

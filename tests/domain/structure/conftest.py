"""One repository of each version for the session; a fresh copy for each test."""

from pathlib import Path

import pytest

from tests.domain.structure.repositories import MadeByRestic, copied, make


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[int, MadeByRestic]:
    folder = tmp_path_factory.mktemp("made by restic")
    return {version: make(folder / str(version), version) for version in (1, 2)}


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def repository(request: pytest.FixtureRequest, originals: dict[int, MadeByRestic], tmp_path: Path) -> MadeByRestic:
    """A whole repository to damage."""
    return copied(originals[request.param], tmp_path)

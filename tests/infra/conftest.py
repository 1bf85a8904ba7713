"""One synthesis of the example, and one of the largest deployment, for all tests of the templates."""

from pathlib import Path

import pytest

from infra.permissions_page import synthesize
from tests.infra.permissions import Identity, identities
from tests.infra.templates import Assembly


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The example, for a known account and region."""
    return Assembly.read(synthesize(tmp_path_factory.mktemp("shipped")))


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def who(shipped: Assembly) -> dict[str, Identity]:
    """Every role and identity of the templates, by name."""
    return identities(shipped)

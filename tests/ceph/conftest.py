"""The gateway, for the tests of this folder. The contract's rules run on it from tests/contract."""

import os
from collections.abc import Iterator

import pytest

from tests.ceph.gateway import Gateway, gateway


@pytest.fixture(scope="session")
def ceph() -> Iterator[Gateway]:
    if os.environ.get("RWM_TEST_CEPH") != "1":
        pytest.skip("RWM_TEST_CEPH=1 turns it on")
    with gateway() as running:
        yield running

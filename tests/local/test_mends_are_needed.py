"""Every mend has a test, and that test fails without it."""

import os
import subprocess
import sys

import pytest

from local.embedded import HERE, PYTHON
from tests.local import test_mends

_LIST = "from local.mends import all_mends; print(*all_mends())"


def _names() -> list[str]:
    """The mends' names, from the environment that ministack is installed in."""
    listed = subprocess.run([str(PYTHON), "-c", _LIST], cwd=HERE.parent, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def test_each_mend_has_a_test_and_each_test_names_mends_that_exist() -> None:
    named = {
        name
        for test in vars(test_mends).values()
        for marker in getattr(test, "pytestmark", [])
        if marker.name == "mends"
        for name in marker.args
    }
    assert named == set(_names())


@pytest.mark.skipif(not os.environ.get("RWM_LONG"), reason="starts one embedded AWS for each mend")
def test_the_tests_of_each_mend_fail_without_it() -> None:
    unneeded = [name for name in _names() if not _fails_without(name)]
    assert unneeded == []


def _fails_without(mend: str) -> bool:
    """Whether tests fail (pytest's exit code 1), not whether pytest found none or broke."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test_mends.__file__],
        cwd=HERE.parent,
        env=os.environ | {"RWM_WITHOUT_MEND": mend},
        capture_output=True,
        check=False,
    )
    return run.returncode == 1

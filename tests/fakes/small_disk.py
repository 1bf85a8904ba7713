"""A filesystem of one MiB: what a full disk says is the system's own word. Only root can mount it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """Mounted at `place`, which is made. Skips where it cannot be."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small filesystem")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)

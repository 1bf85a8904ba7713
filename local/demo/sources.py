"""What the hosts of the demo back up."""

import random
import shutil
from pathlib import Path


def fill(source: Path) -> None:
    """A small tree of files: some that compress, some that do not, and names that are easy to get wrong."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    content = random.Random(source.name)
    for number in range(60):
        folder = source / f"folder {number % 6}"
        folder.mkdir(exist_ok=True)
        (folder / f"noise {number}.bin").write_bytes(content.randbytes(300_000))
        (folder / f"text-{number}.txt").write_text(f"line {number}\n" * 2_000)
    (source / "empty").touch()
    (source / "ümläut + plus % percent").write_bytes(b"x" * 10)
    (source / "link").symlink_to("empty")


def change(source: Path) -> None:
    """A day of work on it."""
    content = random.Random(f"{source.name} again")
    for number in range(0, 60, 7):
        (source / f"folder {number % 6}" / f"noise {number}.bin").write_bytes(content.randbytes(300_000))
    (source / "folder 0" / "text-0.txt").unlink()
    (source / "new").write_bytes(content.randbytes(1_000_000))


def dump(source: Path, number: int, megabytes: int) -> None:
    """What a database leaves every night: a file in which nothing is as it was the night before."""
    content = random.Random(f"{source.name} dump {number}")
    (source / "database.dump").write_bytes(content.randbytes(megabytes * 1_000_000))

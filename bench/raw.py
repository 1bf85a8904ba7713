"""The raw records: one JSON line per measured run, in build/raw/bench/<part>.jsonl."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One run of one program."""

    subject: str
    """Who ran: `rwm`, or the peer's name."""
    what: Mapping[str, Any]
    """Under which circumstances: only runs with the same ones are compared."""
    command: tuple[str, ...]
    seconds: float
    """From its start to its end, the start of its process and its imports included."""
    cpu_seconds: float
    max_rss: int
    """Bytes."""
    versions: Mapping[str, str]
    load: float
    """Processes that were running or waiting in the last minute: above the number of cores, times are worth little."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """What the program reported of itself."""


def versions_here(*packages: str) -> dict[str, str]:
    """Of Python, of these packages, and what machine this is: for `Record.versions`."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


class Recorder:
    """Begins a part's records anew, and keeps each as soon as it is there."""

    def __init__(self, directory: Path, part: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = _path(directory, part)
        self._path.write_text("")

    def add(self, record: Record) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(record)) + "\n")


def read(directory: Path, part: str) -> list[Record]:
    """All records of a part; none when it never ran."""
    path = _path(directory, part)
    return list(_parsed(path.read_text().splitlines())) if path.exists() else []


def _parsed(lines: Iterable[str]) -> Iterable[Record]:
    for line in lines:
        fields = json.loads(line)
        yield Record(**{**fields, "command": tuple(fields["command"])})


def _path(directory: Path, part: str) -> Path:
    return directory / f"{part}.jsonl"

"""Repositories of many small files, made by the real restic once and kept under build/bench/."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.part import CannotMeasure
from bench.processes import measured

PASSWORD = "bench"
ENVIRONMENT = {"RESTIC_PASSWORD": PASSWORD}
VERSIONS = (1, 2)
_PER_DIRECTORY = 20
_DIRECTORIES = 100
_MADE = "made.json"


@dataclass(frozen=True, slots=True)
class Shape:
    """What is backed up: text files of 1 to 6 kB, 20 in a directory, no two alike, so that each is one blob."""

    files: int
    seed: int = 1


def restic_version() -> str:
    if shutil.which("restic") is None:
        raise CannotMeasure("There is no restic on PATH; nothing was measured. `make embedded` installs it.")
    return measured(["restic", "version"], Path.cwd(), {}).output.strip()


def repositories(root: Path, shape: Shape) -> dict[int, Path]:
    """One folder for each version of restic's format; made now unless this very shape is there already."""
    place = root / f"{shape.files}-files"
    made, wanted = place / _MADE, {"files": shape.files, "seed": shape.seed, "restic": restic_version()}
    if not made.exists() or json.loads(made.read_text()) != wanted:
        shutil.rmtree(place, ignore_errors=True)
        print(f"making repositories of {shape.files} files", flush=True)
        _write(place / "source", shape)
        for version in VERSIONS:
            _back_up(place, version)
        shutil.rmtree(place / "source")
        made.write_text(json.dumps(wanted))
    return {version: place / f"v{version}" for version in VERSIONS}


def _write(source: Path, shape: Shape) -> None:
    chance = random.Random(shape.seed)
    for number in range(shape.files):
        directory = number // _PER_DIRECTORY
        path = source / f"{directory // _DIRECTORIES:03}" / f"{directory % _DIRECTORIES:02}" / f"file {number}.txt"
        if number % _PER_DIRECTORY == 0:
            path.parent.mkdir(parents=True)
        path.write_text(chance.randbytes(chance.randrange(500, 3000)).hex())


def _back_up(place: Path, version: int) -> None:
    repository = ["restic", "--no-cache", "--repo", f"v{version}"]
    measured([*repository, "init", "--repository-version", str(version)], place, ENVIRONMENT)
    measured([*repository, "backup", "--quiet", "source"], place, ENVIRONMENT)

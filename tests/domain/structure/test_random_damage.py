"""Damage that nobody thought of: whatever befalls any file, the verdict is restic's and nothing raises.

Key files are left alone here: restic does not hash them, so that it takes some changes that we refuse.
"""

import copy
import os
import random
from typing import Any

import pytest

from functions.domain.structure.report import Level
from tests.domain.structure.repositories import MadeByRestic

SEEDS = 300 if os.environ.get("RWM_LONG") else 12


def _damage(repository: MadeByRestic, chance: random.Random) -> None:
    keys = [entry.key for entry in repository.entries() if not entry.key.startswith("keys/")]
    key, other = chance.choice(keys), chance.choice(keys)
    content = repository.path(key).read_bytes()
    at = chance.randrange(len(content) or 1)
    match chance.choice(["flip", "flip", "cut", "grow", "fill", "copy", "name", "hide"]):
        case "flip" if content:
            repository.flip(key, at)
        case "cut":
            repository.write(key, content[:at])
        case "grow":
            repository.write(key, content[:at] + chance.randbytes(5) + content[at:])
        case "fill":
            repository.write(key, content[:at] + bytes(len(content) - at))
        case "copy":
            repository.write(key, repository.path(other).read_bytes())
        case "name":
            repository.add(chance.choice(["data", "index", "snapshots"]), content[at:])
        case _:
            repository.remove(key)


def _lie(document: Any, chance: random.Random) -> None:
    """Change one thing that an index says of a blob or a pack."""
    pack = chance.choice(document["packs"])
    blob = chance.choice(pack["blobs"])
    match chance.choice(["offset", "length", "uncompressed", "kind", "blob", "pack", "twice", "less", "move"]):
        case "offset":
            blob["offset"] = max(0, blob["offset"] + chance.choice([-1, 1, 20]))
        case "length":
            blob["length"] = max(0, blob["length"] + chance.choice([-1, 1, -40, 1 << 20]))
        case "uncompressed" if "uncompressed_length" in blob:
            blob["uncompressed_length"] += chance.choice([1, 1000])
        case "uncompressed":
            blob["uncompressed_length"] = chance.choice([1, blob["length"]])
        case "kind":
            blob["type"] = {"data": "tree", "tree": "data"}[blob["type"]]
        case "blob":
            blob["id"] = chance.randbytes(32).hex()
        case "pack":
            pack["id"] = chance.randbytes(32).hex()
        case "twice":
            pack["blobs"].append(copy.deepcopy(blob))
        case "less":
            pack["blobs"].remove(blob)
        case _:
            chance.choice(document["packs"])["blobs"].append(blob)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_after_an_index_told_a_lie_the_verdict_is_restics(repository: MadeByRestic, seed: int) -> None:
    """But for one: `restic check` reads a tree although its uncompressed length is a lie, and we do not.

    `restic check --read-data` sees that lie too.
    """
    chance = random.Random(seed)
    key = chance.choice(repository.keys("index"))
    document = repository.json(key)
    _lie(document, chance)
    if chance.random() < 0.7:
        repository.remove(key)
    repository.seal("index", document)
    report = repository.check(Level.READ_DATA)
    assert report.complete is repository.restic_finds_no_errors(Level.READ_DATA), report
    if repository.check().complete is not repository.restic_finds_no_errors(Level.STRUCTURE):
        assert not report.complete
        assert "decompress" in report.damaged.shown[0].why


@pytest.mark.parametrize("seed", range(SEEDS))
def test_after_random_damage_the_verdict_is_restics(repository: MadeByRestic, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(chance.choice([1, 1, 3])):
        _damage(repository, chance)
    for level in Level:
        report = repository.check(level)
        assert report.complete is repository.restic_finds_no_errors(level), report

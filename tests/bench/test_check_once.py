"""What the bench times is the check itself: on a repository that restic made, and on a damaged one."""

import json
from pathlib import Path

import pytest

from bench import check_once
from bench.repository import ENVIRONMENT, Shape, repositories
from tests.fakes.restic import BINARY, MISSING

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return repositories(tmp_path_factory.mktemp("bench"), Shape(files=60))


def test_each_file_of_a_shape_is_a_blob_of_its_own(
    made: dict[int, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for folder in made.values():
        assert check_once.main(str(folder), "structure") == 0
        said = json.loads(capsys.readouterr().out)
        directories = 6  # three with files, the one above them, `source`, and the root
        assert (said["complete"], said["blobs"]) == (True, 60 + directories)
        assert min(said["memory_peak"], said["memory_before"]) > 10 << 20, "bytes"


def test_repositories_are_made_once(made: dict[int, Path]) -> None:
    place = made[1].parent
    before = (made[1] / "config").stat().st_mtime_ns
    assert repositories(place.parent, Shape(files=60)) == made
    assert (made[1] / "config").stat().st_mtime_ns == before
    assert not (place / "source").exists()


def test_a_check_that_finds_damage_is_no_measurement(made: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "wrong")
    assert check_once.main(str(made[2]), "structure") == 1

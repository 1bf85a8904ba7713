"""`rwm restore --to-directory` in the deployed system: by a downloader, killed, taken up again, kept from a prune."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from functions.domain.restore.request import TO_DIRECTORY
from tests.system.people import People
from tests.system.system import LEADS_ELSEWHERE, PASSWORD, System

pytestmark = pytest.mark.system

NAME = "fetched"
RWM = "from cli.main import app; app()"


def _environment(system: System) -> Mapping[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(LEADS_ELSEWHERE)}
    return {**inherited, **system.aws.environment, "AWS_PROFILE": "downloader"}


def _type(system: System, *arguments: str) -> "subprocess.Popen[str]":
    """`rwm ARGUMENTS --json` in a process of its own, which can be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", RWM, *arguments, "--json"],
        env=_environment(system),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _restore(system: System, state: str, place: Path, *more: str) -> Any:
    """The document of a restore that ended well."""
    with _type(system, "restore", NAME, state, "--to-directory", str(place), *more) as typed:
        said, told = typed.communicate(timeout=120)
    assert typed.returncode == 0, f"{said}\n{told}"
    return json.loads(said)


def _restic(place: Path, *arguments: str) -> str:
    did = subprocess.run(
        ["restic", "--no-cache", "-r", str(place), *arguments],
        env={"PATH": os.environ["PATH"], "RESTIC_PASSWORD": PASSWORD, "HOME": str(place.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert did.returncode == 0, did.stdout + did.stderr
    return did.stdout


def _files(place: Path) -> dict[str, bytes]:
    return {str(each.relative_to(place)): each.read_bytes() for each in place.rglob("*") if each.is_file()}


def test_a_state_that_maintenance_has_hidden_becomes_a_directory_and_no_prune_comes_in_between(
    system: System, tmp_path: Path
) -> None:
    people = People(system, NAME, tmp_path)
    # Two backups, then the first is forgotten: of its state a prune would delete what nobody else names.
    _, both = people.live()
    place = tmp_path / "restored"

    with _type(system, "restore", NAME, both, "--to-directory", str(place), "--limit-rate", "8K") as typed:
        people.moment(lambda: any(place.rglob("data/*/*")))
        (announced,) = people.under_way()
        typed.send_signal(signal.SIGKILL)
    assert announced.startswith(f"{TO_DIRECTORY}{NAME}-{both[:12]}-")
    assert str(place) not in announced

    # The machine is gone, and nobody has said so: prunes stay away.
    (told,) = system.rwm("restores", NAME).document["under_way"]
    assert (told["execution"], told["state"], told["status"]) == (announced, both, "running")
    kept_out = people.prune()
    assert f"restore {announced} of {NAME}, under way since" in kept_out.cause
    versions = system.versions(NAME)

    done = _restore(system, both, place)
    assert (done["outcome"], done["execution"], done["held"]) == ("restored", announced, True)
    assert (done["revoked"], done["missing"], done["failed"]) == ([], 0, 0)
    assert done["content_root"] == done["found_content_root"]
    assert system.versions(NAME) == versions

    # Byte for byte what S3 has, and whole to restic, which finds both backups.
    s3, repository = system.client("s3"), system.repository(NAME)
    pinned = {each.key: each.version_id for each in people.entries(both)}
    truth = {
        key: s3.get_object(Bucket=repository.bucket, Key=repository.key_prefix + key, VersionId=name)["Body"].read()
        for key, name in pinned.items()
    }
    assert _files(place) == truth
    _restic(place, "check", "--read-data")
    snapshots = json.loads(_restic(place, "snapshots", "--json"))
    assert len(snapshots) == 2
    for number, snapshot in enumerate(snapshots, 1):
        target = tmp_path / f"given back {number}"
        _restic(place, "restore", snapshot["id"], "--target", str(target))
        source = tmp_path / f"{NAME}-{number}"
        assert (target / str(source).lstrip("/")).read_bytes() == source.read_bytes()

    # Again: nothing is downloaded, by an execution of its own, since that of before has ended.
    again = _restore(system, both, place)
    assert (again["outcome"], again["downloaded"], again["skipped"]) == ("restored", 0, len(truth))
    assert again["execution"] != announced
    for each in system.rwm("restores", NAME).document["under_way"]:
        assert each["status"] == "ended"

    # Nobody restores any more: the next prune takes the announcements away, and goes on.
    pruned = people.prune()
    assert (pruned.error, people.under_way()) == ("", set())
    assert system.versions(NAME) < versions


def test_an_operator_is_told_which_role_may(system: System, tmp_path: Path) -> None:
    if not system.states(NAME):
        system.put(NAME, {"config": b"x"})
        system.record(NAME)
    answer = system.rwm("restore", NAME, "latest", "--to-directory", str(tmp_path / "restored"), "--with-revoked-keys")
    assert answer.exit_code == 2
    assert "may not states:StartExecution" in answer.message
    assert "The role rwm-downloader may" in answer.message


def test_a_dry_run_counts_and_tells_nobody(system: System, tmp_path: Path) -> None:
    if not system.states(NAME):
        system.put(NAME, {"config": b"x"})
        system.record(NAME)
    found = system.rwm("restore", NAME, "latest", "--to-directory", str(tmp_path / "restored"), "--dry-run")
    assert (found.exit_code, found.document["to"], found.document["there"]) == (0, "directory", 0)
    assert not (tmp_path / "restored").exists()

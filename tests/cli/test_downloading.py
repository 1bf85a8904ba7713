"""`rwm restore --to-directory`: announced, proven, resumable, and refused before the first download."""

import hashlib
import io
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from rich.console import Console

from cli.directory_hold import name_for
from cli.fetching import Progress
from cli.restore_options import Asked
from cli.views.downloading import DownloadWatcher
from cli.views.screen import Screen
from functions.domain.content.results import Sight
from functions.domain.restore.directory import DirectoryReport, partial_name
from functions.domain.restore.request import TO_DIRECTORY, RestoreRequest
from functions.domain.state import StateHeader
from functions.domain.values import Digest, ObjectKey, ObjectVersion, VersionId, zulu
from functions.storage.content import DynamoFirstSights
from functions.storage.directory import RestoredDirectory
from tests.builders import NOON, at, version
from tests.cli.conftest import ALPHA
from tests.cli.deployed import NAMES, REGION, Deployed, denied, document, sentence
from tests.fakes.faults import Call, CallLog, Moment
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server
from tests.fakes.small_disk import small_disk

READER = "FOOBARKEY"
"""moto's credentials: the fake server knows a principal by its access key."""


@dataclass
class Workflows:
    """Step Functions, with the restore workflow's first step."""

    deployed: Deployed
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    refuses: str = ""
    """Of the first step: what it says."""
    denies: str = ""
    """An operation that is denied."""

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> dict[str, str]:  # noqa: A002, N803
        self._check("StartExecution")
        if name in self.executions:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists", "Message": "it does"}}, "StartExecution")
        request = json.loads(input)
        if self.refuses:
            failed = {"status": "FAILED", "error": "RestoreRefused", "cause": self.refuses, "input": input}
            self.executions[name] = failed
        else:
            self.executions[name] = {"status": "RUNNING", "input": input}
            self.announce(request["repository"], name, request["state"])
        # The only one that a downloader may start, and ask about.
        assert stateMachineArn.endswith(":stateMachine:rwm-restore-to-directory")
        return {"executionArn": stateMachineArn.replace("stateMachine", "execution") + f":{name}"}

    def announce(self, repository: str, name: str, state: str) -> None:
        self.deployed.change_item(
            NAMES.operations,
            f"restoring#{repository}",
            name,
            format={"N": "1"},
            state={"S": state},
            at={"S": zulu(NOON)},
        )

    def describe_execution(self, executionArn: str) -> Mapping[str, Any]:  # noqa: N803
        assert ":execution:rwm-restore-to-directory:" in executionArn
        return self.executions[executionArn.rpartition(":")[2]]

    def stop_execution(self, executionArn: str, cause: str) -> None:  # noqa: N803
        self._check("StopExecution")
        name = executionArn.rpartition(":")[2]
        self.stopped.append(name)
        self.executions[name] = {**self.executions[name], "status": "ABORTED", "cause": cause}

    def _check(self, operation: str) -> None:
        if self.denies == operation:
            raise denied(operation)

    @property
    def running(self) -> list[str]:
        return [name for name, each in self.executions.items() if each["status"] == "RUNNING"]


@dataclass
class Scene:
    """A deployment, a bucket on the strict fake behind HTTP, a recorded state, and a place for a directory."""

    deployed: Deployed
    s3: FakeS3
    workflows: Workflows
    place: Path
    state: StateHeader
    contents: dict[str, bytes]
    log: CallLog
    versions: dict[str, str] = field(default_factory=dict)
    """Of each key the version that was uploaded last."""

    def restore(self, *more: str, state: str = "", place: Path | None = None) -> Any:
        arguments = ("restore", "alpha", state or self.state.id, "--to-directory", str(place or self.place))
        return self.deployed.rwm(*arguments, *more)

    def found(self, *more: str, **where: Any) -> Any:
        """The document of a restore that ended."""
        return document(self.restore("--json", *more, **where))

    @property
    def files(self) -> dict[str, bytes]:
        return {
            str(each.relative_to(self.place)): each.read_bytes() for each in self.place.rglob("*") if each.is_file()
        }

    @property
    def downloads(self) -> int:
        return self.log.count()["GetObject"]

    def record(self, contents: Mapping[str, bytes], cut: float = 0, **classes: str) -> StateHeader:
        """Upload, and record, what a repository holds; `classes`: storage classes by key, for the state alone."""
        return self.deployed.record("alpha", [self.put(key, body, classes) for key, body in contents.items()], cut)

    def put(self, key: str, body: bytes, classes: Mapping[str, str] | None = None) -> ObjectVersion:
        put = self.s3.put(ALPHA.bucket, key, body)
        self.versions[key] = put.version_id
        chosen = (classes or {}).get(key, "STANDARD")
        return version(key, version_id=put.version_id, size=len(body), storage_class=chosen)


def a_pack(content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    return f"data/{name[:2]}/{name}"


def a_repository(packs: int = 5) -> dict[str, bytes]:
    bodies = [f"pack {number}".encode() * (number + 1) for number in range(packs)]
    flat = {folder: f"in {folder}".encode() for folder in ("keys", "index", "snapshots")}
    return {
        "config": b"the config",
        **{a_pack(body): body for body in bodies},
        **{f"{folder}/{hashlib.sha256(body).hexdigest()}": body for folder, body in flat.items()},
    }


@pytest.fixture
def scene(deployed: Deployed, tmp_path: Path) -> Iterator[Scene]:
    with S3Server() as server:
        server.fake.create_bucket(ALPHA.bucket, object_lock=True)
        server.fake.access.allow(READER, ["s3:GetObjectVersion", "s3:ListBucket"], ALPHA.bucket)
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            region_name=REGION,
            config=Config(proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
        workflows = Workflows(deployed)
        deployed.aws.s3_over = cast("Any", lambda _: client)  # type: ignore[method-assign]
        deployed.aws.stepfunctions = cast("Any", workflows)
        contents = a_repository()
        log = CallLog()
        made = Scene(deployed, server.fake, workflows, tmp_path / "restored", cast("Any", None), contents, log)
        made.state = made.record(contents)
        server.fake.hook = log
        yield made
        client.close()


class TestRestored:
    def test_a_state_becomes_a_directory_of_restics_layout_proven_object_by_object(self, scene: Scene) -> None:
        result = scene.restore("--json")
        assert result.exit_code == 0, result.stderr
        found = document(result)
        assert (found["outcome"], found["proven"], found["downloaded"], found["skipped"]) == ("restored", 9, 9, 0)
        assert scene.files == scene.contents
        assert found["content_root"] == found["found_content_root"] == scene.state.content_root
        assert sorted(each.name for each in scene.place.iterdir()) == [
            "config", "data", "index", "keys", "locks", "snapshots",
        ]  # fmt: skip
        assert found["environment"] == {"RESTIC_REPOSITORY": str(scene.place)}

    def test_what_was_hidden_or_written_over_since_is_restored_by_version(self, scene: Scene) -> None:
        for key in scene.contents:
            scene.s3.put(ALPHA.bucket, key, b"encrypted by somebody else")
            scene.s3.delete(ALPHA.bucket, key)
        assert scene.found()["outcome"] == "restored"
        assert scene.files == scene.contents

    def test_people_are_told_how_to_use_it(self, scene: Scene) -> None:
        shown = scene.restore().stdout
        assert f"restored state {scene.state.id[:12]} of alpha in {scene.place}: all 9 objects are proven" in shown
        assert f"    restic -r {scene.place} check --read-data --no-lock\n" in shown

    def test_the_report_lies_beside_the_directory_and_says_the_same(self, scene: Scene) -> None:
        found = scene.found()
        assert found["report"] == f"{scene.place}.rwm-report.json"
        report = DirectoryReport.parse(Path(found["report"]).read_bytes())
        assert report.model_dump(mode="json").items() <= found.items()

    def test_a_state_without_objects_is_a_directory_without_files(self, scene: Scene) -> None:
        empty = scene.deployed.record("alpha", [], cut=60)
        assert scene.found(state=empty.id)["outcome"] == "restored"
        assert scene.files == {}

    def test_odd_keys_are_files_of_their_names(self, scene: Scene) -> None:
        odd = {key: key.encode() for key in ("a b", "a+b", "a%2Fb", "ünï/cødé", "x" * 255, "-rf", "...", "a\\b")}
        state = scene.record({**scene.contents, **odd}, cut=60)
        assert scene.found(state=state.id)["outcome"] == "restored"
        assert scene.files == {**scene.contents, **odd}

    def test_damage_that_was_there_before_is_restored_exactly_and_is_a_fail(self, scene: Scene) -> None:
        damaged = a_pack(b"what was to be written")
        state = scene.record({**scene.contents, damaged: b"something else"}, cut=60)
        result = scene.restore("--json", state=state.id)
        found = document(result)
        assert (result.exit_code, found["outcome"], found["damaged"]) == (4, "restored-damaged", 1)
        assert [(each["key"], each["kind"]) for each in found["troubles"]] == [(damaged, "damaged")]
        assert scene.files[damaged] == b"something else"
        again = scene.restore(state=state.id)
        assert again.exit_code == 4
        assert f"damaged: {damaged}" in again.stdout

    def test_other_bytes_than_a_check_of_content_saw_first_are_told_as_damage(self, scene: Scene) -> None:
        sights = DynamoFirstSights(scene.deployed.aws.dynamodb, NAMES.operations)
        version_id = VersionId(scene.versions["config"])
        digest = Digest(hashlib.sha256(b"another config").hexdigest())
        sight = Sight(key=ObjectKey("config"), version_id=version_id, written=NOON, sha256=digest)
        sights.keep(scene.state.repository, sight)
        result = scene.restore()
        assert result.exit_code == 4
        assert "damaged: config: its bytes are not those that a check of content saw first" in result.stdout
        assert scene.files == scene.contents

    def test_it_is_no_faster_than_it_may_be(self, scene: Scene) -> None:
        body = os.urandom(300_000)
        state = scene.record({a_pack(body): body}, cut=60)
        begun = time.monotonic()
        found = scene.found("--limit-rate", "200K", state=state.id)
        # 300,000 bytes at 204,800 a second, a quarter of a second's worth of them at once.
        assert time.monotonic() - begun > 1.1
        assert (found["outcome"], scene.files) == ("restored", {a_pack(body): body})


def written(path: Path) -> tuple[int, int, int]:
    """Which file it is, and when it or its bytes were changed; reading it changes nothing of that."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


class TestAgain:
    def test_a_second_run_of_a_finished_restore_downloads_nothing_but_what_no_name_proves(self, scene: Scene) -> None:
        scene.found()
        before = {path: written(path) for path in scene.place.rglob("*") if path.is_file()}
        scene.log.calls.clear()
        found = scene.found()
        assert (found["outcome"], found["downloaded"], found["skipped"], found["proven"]) == ("restored", 0, 9, 9)
        # `config`, whose name promises nothing, is compared with the pinned version: read, and not written.
        assert scene.downloads == 1
        assert {path: written(path) for path in before} == before

    def test_only_what_is_missing_is_downloaded(self, scene: Scene) -> None:
        scene.found()
        lost = sorted(scene.contents)[2:5]
        for key in lost:
            (scene.place / key).unlink()
        found = scene.found()
        assert (found["outcome"], found["downloaded"], found["skipped"]) == ("restored", 3, 6)
        assert scene.files == scene.contents

    def test_what_another_try_left_unfinished_is_removed(self, scene: Scene) -> None:
        left = scene.place / "data" / partial_name("0123456789abcdef")
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half of a pack")
        assert scene.found()["outcome"] == "restored"
        assert scene.files == scene.contents

    def test_what_fails_on_the_way_is_told_and_made_good_by_running_it_again(self, scene: Scene) -> None:
        broken = next(key for key in scene.contents if key.startswith("data/"))
        scene.s3.access.deny(READER, ["s3:GetObjectVersion"], ALPHA.bucket, broken)
        result = scene.restore("--json")
        found = document(result)
        assert (result.exit_code, found["outcome"], found["proven"], found["failed"]) == (1, "incomplete", 8, 1)
        (told,) = found["troubles"]
        assert (told["key"], told["kind"]) == (broken, "failed")
        assert "AccessDenied" in told["why"]
        assert scene.files == {key: body for key, body in scene.contents.items() if key != broken}
        scene.s3.access.denied.clear()
        again = scene.found()
        assert (again["outcome"], again["downloaded"], again["skipped"]) == ("restored", 1, 8)

    def test_a_version_that_is_gone_is_missing_and_the_others_are_restored(self, scene: Scene) -> None:
        key = next(key for key in scene.contents if key.startswith("index/"))
        scene.s3.delete_version(ALPHA.bucket, key, scene.versions[key])
        result = scene.restore()
        assert result.exit_code == 1
        assert f"missing: {key}: the version of {key} that the state pins no longer exists" in result.stdout
        assert "What is missing is gone for good: versions that the state names were deleted." in result.stdout
        assert f"  {key}: the newest state that names it is {scene.state.id[:12]}" in result.stdout
        assert "restic -r" not in result.stdout
        assert scene.files == {each: body for each, body in scene.contents.items() if each != key}


class TestFullDisk:
    def test_it_stops_says_what_is_there_and_goes_on_when_there_is_room(self, scene: Scene, tmp_path: Path) -> None:
        contents = {a_pack(body): body for body in (bytes([each]) * 60_000 for each in range(8))}
        state = scene.record(contents, cut=60)
        with small_disk(tmp_path / "disk") as disk:
            filler = disk / "filler"

            def fill(call: Call) -> None:
                if call.operation == "GetObject" and not filler.exists():
                    left = os.statvfs(disk)
                    filler.write_bytes(bytes((left.f_bavail - 50) * left.f_frsize))

            scene.place, scene.s3.hook = disk / "restored", fill
            result = scene.restore("--json", state=state.id)
            found = document(result)
            assert (result.exit_code, found["outcome"]) == (1, "incomplete")
            assert found["stopped"] == "the disk failed: No space left on device"
            assert 0 < found["proven"] == len(scene.files) < 8
            assert found["failed"] == 8 - found["proven"]
            # Exactly what is not there is named.
            assert {each["key"] for each in found["troubles"]} == set(contents) - set(scene.files)
            assert scene.files.items() <= contents.items()
            assert scene.workflows.running == []
            # Still full, it is refused before anything is downloaded.
            assert "has room for" in sentence(scene.restore(state=state.id))

            filler.unlink()
            scene.s3.hook = CallLog()
            again = scene.found(state=state.id)
            assert (again["outcome"], again["proven"]) == ("restored", 8)
            assert scene.files == contents


class TestRefused:
    """With exit code 2, before anything was downloaded."""

    def refused(self, scene: Scene, *more: str, **where: Any) -> str:
        result = scene.restore(*more, **where)
        assert result.exit_code == 2, result.stderr + result.stdout
        assert scene.downloads == 0
        assert scene.workflows.running == []
        return sentence(result)

    def test_a_directory_that_holds_something_else(self, scene: Scene) -> None:
        scene.place.mkdir()
        (scene.place / "thesis.odt").write_bytes(b"precious")
        said = self.refused(scene)
        assert "1 file(s) that are not part of this state: 'thesis.odt'; nothing was written" in said
        assert scene.files == {"thesis.odt": b"precious"}
        assert sorted(each.name for each in scene.place.iterdir()) == ["thesis.odt"]

    def test_a_directory_where_a_file_has_other_bytes(self, scene: Scene) -> None:
        scene.found()
        scene.log.calls.clear()
        key = next(key for key in scene.contents if key.startswith("keys/"))
        (scene.place / key).chmod(0o600)
        (scene.place / key).write_bytes(bytes(len(scene.contents[key])))
        (scene.place / next(each for each in scene.contents if each.startswith("index/"))).unlink()
        result = scene.restore()
        assert result.exit_code == 2
        assert f"'{key}' (other bytes)" in sentence(result)
        # It was compared with the pinned version, and so was `config`; nothing was written.
        assert scene.downloads == 2
        assert len(scene.files) == len(scene.contents) - 1

    def test_a_directory_of_another_state_of_the_repository(self, scene: Scene) -> None:
        other = scene.record({**scene.contents, "config": b"another one"}, cut=60)
        scene.found()
        scene.log.calls.clear()
        assert "that are not part of this state" in self.refused(scene, state=other.id)

    def test_a_planted_link(self, scene: Scene, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        scene.place.mkdir()
        (scene.place / "data").symlink_to(outside)
        assert "'data' (a link or a special file)" in self.refused(scene)
        assert list(outside.iterdir()) == []

    @pytest.mark.parametrize("key", ["../outside", "/etc/cron.d/x", "data/../../x", "a//b", "x" * 256, "locks"])
    def test_a_key_that_cannot_be_a_file_there(self, scene: Scene, tmp_path: Path, key: str) -> None:
        state = scene.record({**scene.contents, key: b"#!/bin/sh"}, cut=60)
        said = self.refused(scene, state=state.id)
        assert f"1 key(s) of the state cannot be files of a directory: {key!r}" in said
        assert not (tmp_path / "outside").exists()
        assert not scene.place.exists() or scene.files == {}

    def test_what_lies_in_an_archive_class(self, scene: Scene) -> None:
        key = next(key for key in scene.contents if key.startswith("data/"))
        state = scene.record(scene.contents, cut=60, **{key: "GLACIER"})
        said = self.refused(scene, state=state.id)
        assert (
            f"1 object(s) of the state are in an archive class, which cannot be read before it is thawed: {key}" in said
        )
        assert "restore to a bucket with --thaw TIER" in said

    def test_thawing(self, scene: Scene) -> None:
        said = self.refused(scene, "--thaw", "Bulk")
        assert "--thaw is not for --to-directory; nothing was restored; a directory cannot wait" in said

    @pytest.mark.parametrize("rate", ["fast", "0", "10MB"])
    def test_a_rate_that_is_none(self, scene: Scene, rate: str) -> None:
        assert f"--limit-rate: '{rate}' is no rate" in self.refused(scene, "--limit-rate", rate)

    def test_a_directory_in_a_folder_that_is_not_there(self, scene: Scene, tmp_path: Path) -> None:
        said = self.refused(scene, place=tmp_path / "not" / "there")
        assert "No such file or directory; nothing was restored; name a directory that can be made" in said

    def test_a_directory_that_another_restore_writes_to(self, scene: Scene) -> None:
        with closing(RestoredDirectory(scene.place)):
            assert "another restore writes to" in self.refused(scene)

    def test_a_disk_without_room(self, scene: Scene) -> None:
        large = version("data/xx", size=1 << 60)
        state = scene.deployed.record("alpha", [large], cut=60)
        said = self.refused(scene, state=state.id)
        assert f"{scene.place} has room for" in said
        assert "bytes, and what is missing takes 1152921504606" in said

    def test_a_state_whose_chunks_are_not_what_its_header_names(self, scene: Scene) -> None:
        scene.deployed.change_item(NAMES.ledger, "chunk#attempt-1#000000", "chunk")
        result = scene.restore()
        assert (result.exit_code, scene.downloads, scene.workflows.running) == (4, 0, [])
        assert not scene.place.exists() or scene.files == {}

    def test_credentials_that_may_not_read_versions(self, scene: Scene) -> None:
        scene.s3.access.deny(READER, ["s3:GetObjectVersion"], ALPHA.bucket)
        result = scene.restore()
        assert (result.exit_code, scene.files, scene.workflows.running) == (2, {}, [])
        assert "may not read what the state names (config: AccessDenied" in sentence(result)
        assert "The role rwm-downloader may (s3:GetObjectVersion, and kms:Decrypt" in sentence(result)


class TestHold:
    def test_it_is_announced_before_the_first_download_and_ended_after_the_last(self, scene: Scene) -> None:
        during: list[list[str]] = []

        def look(call: Call) -> None:
            if call.operation == "GetObject" and call.moment is Moment.AFTER:
                during.append(scene.workflows.running)

        scene.s3.hook = look
        found = scene.found()
        (name,) = scene.workflows.executions
        assert during
        assert all(each == [name] for each in during)
        assert scene.workflows.stopped == [name]
        assert (found["execution"], found["held"]) == (name, True)
        assert json.loads(scene.workflows.executions[name]["input"]) == {
            "repository": "alpha",
            "state": scene.state.id,
            "to": "directory",
        }
        assert scene.workflows.executions[name]["cause"] == "the download has ended: restored"

    def test_the_name_of_the_execution_tells_nothing_of_this_machine(self, scene: Scene) -> None:
        request = RestoreRequest(repository="alpha", state=scene.state.id, to="directory")
        asked = Asked(ALPHA, scene.state, request, scene.place)
        name = name_for(asked, scene.place, 7)
        assert name.startswith(f"{TO_DIRECTORY}alpha-{scene.state.id[:12]}-")
        assert name.endswith("-7")
        assert not any(part in name for part in scene.place.parts[1:] if part != "alpha")
        assert (
            len(name_for(Asked(ALPHA.model_copy(update={"name": "a" * 32}), scene.state, request), scene.place, 99))
            <= 80
        )
        assert name_for(asked, scene.place.with_name("other"), 7) != name

    def test_what_an_earlier_try_left_running_is_taken_up(self, scene: Scene) -> None:
        scene.workflows.denies = "StopExecution"
        first = scene.found()
        assert scene.workflows.running == [first["execution"]]
        scene.workflows.denies = ""
        second = scene.found()
        assert second["execution"] == first["execution"]
        assert scene.workflows.running == []
        third = scene.found()
        assert third["execution"] != first["execution"]
        assert third["execution"].endswith("-2")

    def test_what_was_asked_for_otherwise_is_not_taken_up(self, scene: Scene) -> None:
        scene.workflows.denies = "StopExecution"
        first = scene.found()
        second = scene.found("--with-revoked-keys")
        assert first["execution"] != second["execution"]

    def test_what_the_workflow_refuses_is_refused(self, scene: Scene) -> None:
        scene.workflows.refuses = "state 1 was dropped; nothing was written"
        result = scene.restore()
        assert (result.exit_code, scene.downloads) == (2, 0)
        assert "state 1 was dropped; nothing was written" in sentence(result)
        assert not scene.place.exists() or scene.files == {}

    def test_who_may_not_start_it_is_told_how_to_go_on_without(self, scene: Scene) -> None:
        scene.workflows.denies = "StartExecution"
        result = scene.restore()
        assert (result.exit_code, scene.downloads) == (2, 0)
        assert "may not states:StartExecution" in sentence(result)
        assert "The role rwm-downloader may; or pass --no-hold" in sentence(result)
        alone = scene.restore("--no-hold")
        assert alone.exit_code == 0
        assert "nothing keeps prunes away (--no-hold)" in sentence(alone)
        assert scene.workflows.executions == {}
        assert scene.found("--no-hold")["held"] is False

    def test_that_it_ended_meanwhile_is_told(self, scene: Scene) -> None:
        def stop(call: Call) -> None:
            for name in scene.workflows.running:
                scene.workflows.executions[name]["status"] = "ABORTED"

        scene.s3.hook = stop
        result = scene.restore()
        assert result.exit_code == 0
        assert "the workflow that kept prunes away ended" in result.stdout


class TestKeyFiles:
    """Those that were removed since."""

    @pytest.fixture
    def revoked(self, scene: Scene) -> str:
        key = next(key for key in scene.contents if key.startswith("keys/"))
        new = f"keys/{hashlib.sha256(b'a new key').hexdigest()}"
        both = scene.record({**scene.contents, new: b"a new key"}, cut=60)
        scene.state = both
        scene.contents[new] = b"a new key"
        scene.record({each: body for each, body in scene.contents.items() if each != key}, cut=120)
        return key

    def test_they_are_left_out_and_named(self, scene: Scene, revoked: str) -> None:
        result = scene.restore("--json")
        found = document(result)
        assert (result.exit_code, found["outcome"], found["revoked"]) == (0, "restored", [revoked])
        assert scene.files == {key: body for key, body in scene.contents.items() if key != revoked}
        assert f"  {revoked}" in scene.restore().stdout

    def test_they_come_back_for_who_says_so(self, scene: Scene, revoked: str) -> None:
        found = scene.found("--with-revoked-keys")
        assert (found["outcome"], found["revoked"]) == ("restored", [])
        assert found["content_root"] == scene.state.content_root
        assert scene.files == scene.contents

    def test_a_repository_that_nobody_could_open_is_not_restored(self, scene: Scene) -> None:
        scene.record({"config": b"the config"}, cut=60)
        result = scene.restore()
        assert (result.exit_code, scene.downloads) == (2, 0)
        assert "pass --with-revoked-keys" in sentence(result)
        assert scene.found("--with-revoked-keys")["outcome"] == "restored"


class TestDryRun:
    def test_it_counts_what_would_be_done_and_does_nothing(self, scene: Scene) -> None:
        result = scene.restore("--dry-run", "--json")
        assert result.exit_code == 0, result.stderr
        found = document(result)
        assert (found["to"], found["where"], found["objects"], found["there"]) == ("directory", str(scene.place), 9, 0)
        # `config` is read twice.
        assert found["requests"] == {"GetObject": 10}
        assert found["classes"] == [{"objects": 9, "bytes": scene.state.bytes, "storage_class": "STANDARD"}]
        assert not scene.place.exists()
        assert (scene.downloads, scene.workflows.executions) == (0, {})

    def test_what_is_there_already_is_counted_and_left_alone(self, scene: Scene) -> None:
        scene.found()
        (scene.place / "config").unlink()
        left = scene.place / partial_name("0123456789abcdef")
        left.write_bytes(b"x")
        scene.log.calls.clear()
        found = document(scene.restore("--dry-run", "--json"))
        assert (found["there"], found["requests"]) == (8, {"GetObject": 2})
        assert left.exists()
        assert scene.downloads == 0

    def test_what_would_be_refused_is_refused(self, scene: Scene) -> None:
        scene.place.mkdir()
        (scene.place / "thesis.odt").write_bytes(b"precious")
        result = scene.restore("--dry-run")
        assert result.exit_code == 2
        assert "'thesis.odt'" in sentence(result)
        large = scene.deployed.record("alpha", [version("data/xx", size=1 << 60)], cut=60)
        result = scene.restore("--dry-run", state=large.id, place=scene.place.with_name("elsewhere"))
        assert result.exit_code == 2
        assert "has room for" in sentence(result)


def test_an_old_time_of_this_machine_is_in_the_report(scene: Scene) -> None:
    found = scene.found()
    assert at(0) < DirectoryReport.parse(Path(found["report"]).read_bytes()).began_at


class TestResumed:
    def test_by_the_name_of_what_an_earlier_try_left_running(self, scene: Scene) -> None:
        scene.workflows.denies = "StopExecution"
        name = scene.found()["execution"]
        scene.workflows.denies = ""
        (scene.place / "config").unlink()
        result = scene.deployed.rwm("restore", "--resume", name, "--to-directory", str(scene.place), "--json")
        found = document(result)
        assert (result.exit_code, found["execution"], found["downloaded"], found["skipped"]) == (0, name, 1, 8)

    def test_only_the_person_knows_the_directory(self, scene: Scene) -> None:
        name = scene.found()["execution"]
        result = scene.deployed.rwm("restore", "--resume", name)
        assert result.exit_code == 2
        assert "which only you know; nothing was restored; name it again with --to-directory" in sentence(result)


class TestProgress:
    """What is told while it goes on."""

    def steps(self) -> Iterator[Progress]:
        yield Progress("downloading", 4, 4 << 20)
        yield Progress("downloading", 4, 4 << 20, 1, 1 << 20)
        yield Progress("downloading", 4, 4 << 20, 2, 2 << 20, 1)

    def screen(self, *, terminal: bool, as_json: bool = False) -> tuple[Screen, io.StringIO]:
        screen, told = Screen(as_json), io.StringIO()
        screen.err = Console(file=told, force_terminal=terminal, width=200)
        return screen, told

    def test_a_line_now_and_then_with_objects_bytes_and_time_left(self) -> None:
        screen, told = self.screen(terminal=False)
        clock = iter([100.0, 101.0, 110.0, 115.0])
        DownloadWatcher(screen, lambda: next(clock)).watch(self.steps())
        assert told.getvalue().splitlines() == [
            "downloading: 1 of 4 objects, 1.000 MiB of 4.000 MiB, 0:00:30 left",
        ]
        clock = iter([100.0, 111.0, 3700.0, 3711.0])
        screen, told = self.screen(terminal=False)
        DownloadWatcher(screen, lambda: next(clock)).watch(self.steps())
        assert told.getvalue().splitlines() == [
            "downloading: 0 of 4 objects, 0 B of 4.000 MiB",
            "downloading: 1 of 4 objects, 1.000 MiB of 4.000 MiB, 3:00:00 left",
            "downloading: 2 of 4 objects, 2.000 MiB of 4.000 MiB, 1:00:11 left, 1 failed",
        ]

    def test_nothing_with_json(self) -> None:
        screen, told = self.screen(terminal=False, as_json=True)
        clock = iter([0.0, 100.0, 200.0, 300.0])
        DownloadWatcher(screen, lambda: next(clock)).watch(self.steps())
        assert told.getvalue() == ""

    def test_a_bar_for_a_person(self) -> None:
        screen, told = self.screen(terminal=True)
        DownloadWatcher(screen).watch(self.steps())
        assert "downloading 2 of 4, 1 failed" in told.getvalue()
        assert "2.0/4.0 MiB" in told.getvalue()

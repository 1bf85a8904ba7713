"""Reading a recorded state, or a restored copy, with the restic password: pinned versions count, nothing is written."""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from functions.check.complete import CompleteRequest, check_readable, readable_repository, recorded_state
from functions.domain.checking import CheckRefused
from functions.domain.completeness import CompletenessReport
from functions.domain.repositories import Configuration
from functions.domain.restore.request import Location
from functions.domain.structure.report import Level
from functions.domain.values import ObjectKey, VersionGone, VersionId
from tests.check.complete_world import ME, FakePassword, World
from tests.domain.structure import damages
from tests.domain.structure.conftest import originals, repository  # noqa: F401 - fixtures
from tests.domain.structure.repositories import MadeByRestic, cheap_key_file, copied, make, seal
from tests.domain.structure.test_bounds import at_most, zeros
from tests.fakes.faults import CallLog
from tests.fakes.restic import BINARY, MISSING
from tests.fakes.s3_errors import AccessDenied
from tests.restore.world import CONFIGURATION, PREFIX, PROTECTED, RECORDS, TARGET

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

READS = {"GetObject", "ListObjectsV2", "ListObjects", "GetHead", "GetHeader", "QueryHeaders", "QueryDrops", "GetChunk"}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def whole(originals: dict[int, MadeByRestic], tmp_path: Path) -> MadeByRestic:  # noqa: F811
    return copied(originals[2], tmp_path)


def subjects(report: CompletenessReport) -> set[str]:
    assert report.structure is not None
    return {each.subject for each in report.structure.damaged.shown}


# --- the state's own versions ----------------------------------------------------------------------


def test_a_state_passes_although_everything_current_was_overwritten_or_hidden(
    world: World,
    repository: MadeByRestic,  # noqa: F811
) -> None:
    state = world.take(repository)
    for number, entry in enumerate(world.entries(state)):
        if number % 2:
            world.s3.put(PROTECTED, world.source.key_prefix + entry.key, os.urandom(entry.size))
        world.s3.delete(PROTECTED, world.source.key_prefix + entry.key)
    judged = world.judge(state)
    assert (judged.verdict.outcome, judged.findings) == ("pass", ())
    figures = judged.verdict.figures
    assert (figures["snapshots"], figures["missing"], figures["damaged"]) == (2, 0, 0)
    assert figures["verified_blobs"] == figures["trees"] + figures["blobs"] > 0
    assert world.notifier.notices == []


def test_a_damaged_version_that_a_state_names_fails_by_its_key_and_version_id(
    world: World,
    repository: MadeByRestic,  # noqa: F811
) -> None:
    key, blobs = repository.packs("data")[0]
    good = world.take(repository)
    repository.flip(key, blobs[0]["offset"] + 20)
    state = world.take(repository)
    judged = world.judge(state)
    (finding,) = judged.findings
    assert (finding.id, [each.key for each in finding.evidence]) == ("deep-check-failed", [key])
    assert finding.evidence[0].version_ids == world.version_ids(state)[key] != world.version_ids(good)[key]
    assert world.judge(good).verdict.outcome == "pass", "the state before it names another version"


def test_only_reading_all_data_finds_a_flipped_byte_of_a_file(world: World, whole: MadeByRestic) -> None:
    damages.DAMAGES["a data pack is flipped in its body"](whole)
    state = world.take(whole)
    assert world.judge(state, level=Level.STRUCTURE).verdict.outcome == "pass"
    assert world.judge(state).verdict.outcome == "fail"


def test_a_version_that_was_destroyed_and_a_pack_that_was_never_there_are_named(
    world: World, whole: MadeByRestic
) -> None:
    destroyed, absent = whole.packs("tree")[0][0], whole.packs("data")[0][0]
    whole.remove(absent)
    state = world.take(whole)
    (version_id,) = world.version_ids(state)[destroyed]
    world.s3.delete_version(PROTECTED, world.source.key_prefix + destroyed, version_id)
    (finding,) = world.judge(state).findings
    assert {each.key: each.version_ids for each in finding.evidence} == {destroyed: (version_id,), absent: ()}
    assert "missing packs: 1" in finding.what


def test_reading_writes_nothing_anywhere(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.restore(state.id)
    log = CallLog()
    world.watch(log)
    world.check(state)
    world.check_copy(state)
    assert log.count().keys() <= READS
    assert {call.principal for call in log.calls} <= {"", ME}


def test_each_byte_is_read_by_its_version_id(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    pinned = world.version_ids(state)

    @dataclass
    class Asked:
        keys: dict[str, set[str]] = field(default_factory=dict)

        def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
            self.keys.setdefault(key, set()).add(version_id)
            return whole.path(key).read_bytes()[offset : offset + length]

    asked = Asked()
    world.check(state, reader=asked)
    assert asked.keys == {key: set(ids) for key, ids in pinned.items()}


def test_what_the_reader_cannot_say_is_no_verdict(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.s3.access.deny(ME, ["s3:GetObjectVersion"], PROTECTED, f"{PREFIX}/data/")
    with pytest.raises(AccessDenied):
        world.check(state)


# --- bad input -------------------------------------------------------------------------------------


def found(world: World, made: MadeByRestic) -> dict[str, str]:
    """The ids and severities of what is found, in bounded time and memory and a bounded report."""
    state = world.take(made)
    with at_most(megabytes=300, seconds=20):
        report = world.check(state)
    assert len(json.dumps(report.payload)) <= 200_000
    return {finding.id: finding.severity for finding in world.conclude(state, report).findings}


def test_the_legacy_layout(world: World, whole: MadeByRestic) -> None:
    damages.renamed_to_legacy(whole)
    assert found(world, whole) == {"complete-not-judged": "HOLD"}


def test_not_a_restic_repository_at_all(world: World, whole: MadeByRestic) -> None:
    for entry in whole.entries():
        whole.remove(entry.key)
    whole.write("photos/holiday.jpg", b"not restic's")
    whole.write("README", b"neither")
    assert found(world, whole) == {"complete-not-judged": "HOLD"}


def test_an_empty_bucket(world: World) -> None:
    state = world.record()
    judged = world.judge(state)
    assert [finding.id for finding in judged.findings] == ["complete-not-judged"]
    assert "it has neither a config nor a key file" in judged.findings[0].what


def test_an_initialized_repository_without_a_backup_is_complete(world: World, tmp_path: Path) -> None:
    assert found(world, make(tmp_path / "new", 2, backups=0)) == {}


def test_two_repositories_under_one_prefix(
    world: World,
    whole: MadeByRestic,
    originals: dict[int, MadeByRestic],  # noqa: F811
) -> None:
    other = originals[1]
    for folder in ("index", "snapshots", "data"):
        shutil.copytree(other.path(folder), whole.path(folder), dirs_exist_ok=True)
    whole.add("keys", cheap_key_file(other.key, "another password"))
    assert found(world, whole) == {"deep-check-failed": "FAIL", "foreign-packs": "HOLD"}


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff" * 50, b"[" * 60_000, b'{"kdf":"scrypt","N":NaN}'])
def test_garbage_in_a_key_file(world: World, whole: MadeByRestic, content: bytes) -> None:
    key = whole.add("keys", content)
    assert found(world, whole) == {"key-file-refused": "FAIL"}
    (verdict,) = world.verdicts.verdicts(world.repository.repository)
    (finding,) = world.verdicts.findings(verdict)
    assert [each.key for each in finding.evidence] == [key]


def test_garbage_in_the_only_key_file(world: World, whole: MadeByRestic) -> None:
    whole.remove(whole.keys("keys")[0])
    whole.add("keys", b"{]")
    assert found(world, whole) == {"key-file-refused": "FAIL", "complete-not-judged": "HOLD"}


def test_a_scrypt_bomb(world: World, whole: MadeByRestic) -> None:
    whole.add("keys", cheap_key_file(whole.key, N=1 << 24))
    assert found(world, whole) == {"key-file-refused": "FAIL"}


def test_no_key_file_at_all(world: World, whole: MadeByRestic) -> None:
    whole.remove(whole.keys("keys")[0])
    assert found(world, whole) == {"deep-check-failed": "FAIL", "complete-not-judged": "HOLD"}


def test_no_config(world: World, whole: MadeByRestic) -> None:
    whole.remove("config")
    assert found(world, whole) == {"deep-check-failed": "FAIL", "complete-not-judged": "HOLD"}


def test_a_wrong_password(world: World, whole: MadeByRestic) -> None:
    world.password = FakePassword("another")
    assert found(world, whole) == {"password-opens-nothing": "HOLD"}


@pytest.mark.parametrize("folder", ["index", "snapshots"])
def test_a_bomb_of_four_gigabytes(world: World, whole: MadeByRestic, folder: str) -> None:
    whole.add(folder, seal(whole.key, b"\x02" + zeros(4)))
    assert found(world, whole) == {"deep-check-failed": "FAIL"}


def test_well_named_objects_of_somebody_without_the_password(world: World, whole: MadeByRestic) -> None:
    for size in (0, 100, 5000):
        whole.add("data", os.urandom(size))
    assert found(world, whole) == {"foreign-packs": "HOLD"}


def test_a_thousand_troubles_of_each_sort_are_counted_and_fit(world: World, whole: MadeByRestic) -> None:
    packs = [{"id": f"{n:064x}", "blobs": []} for n in range(1, 1001)]
    whole.seal("index", {"packs": packs})
    for number in range(1000):
        whole.add("snapshots", str(number).encode())
        whole.add("data", str(number).encode())
    nodes = [{"name": str(n), "type": "dir", "subtree": f"{n:064x}"} for n in range(1, 1001)]
    whole.forge(json.dumps({"nodes": nodes}).encode())
    report = world.check(world.take(whole))
    assert report.structure is not None
    read = report.structure
    counted = [
        each.count for each in (read.damaged, read.missing_packs, read.missing_trees, read.unindexed, read.foreign)
    ]
    assert counted == [1000] * 5
    assert len(json.dumps(report.payload)) <= 200_000


# --- a restored copy -------------------------------------------------------------------------------


def test_a_restored_copy_is_read_whole_and_passes(world: World, repository: MadeByRestic) -> None:  # noqa: F811
    state = world.take(repository)
    world.restore(state.id)
    report = world.check_copy(state)
    assert report.structure is not None
    assert (report.structure.complete, report.structure.level) == (True, Level.READ_DATA)
    verdict = world.conclude(state, report).verdict
    assert (verdict.outcome, verdict.target, verdict.state) == ("pass", f"{TARGET}/", state.id)
    assert list(world.verdicts.verdicts(verdict.repository)) == [], "the state itself was not judged"


def test_a_copy_that_lacks_has_more_or_has_other_sizes_is_not_read(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.restore(state.id)
    keys = [entry.key for entry in world.entries(state)]
    world.s3.delete(TARGET, keys[0])
    world.s3.put(TARGET, keys[1], b"shorter")
    world.s3.put(TARGET, "a note", b"your money or")
    log = CallLog()
    world.watch(log)
    report = world.check_copy(state)
    assert "GetObject" not in log.count()
    (finding,) = world.conclude(state, report).findings
    assert (finding.id, {each.key for each in finding.evidence}) == ("copy-differs", {keys[0], keys[1], "a note"})


def test_lock_files_that_restic_left_in_a_copy_do_not_count(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.restore(state.id)
    world.s3.put(TARGET, f"locks/{'ab' * 32}", b"a lock")
    assert world.conclude(state, world.check_copy(state)).verdict.outcome == "pass"


def test_other_bytes_of_the_same_size_in_a_copy_are_found(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.restore(state.id)
    key, _ = whole.packs("data")[0]
    world.s3.put(TARGET, key, os.urandom(whole.path(key).stat().st_size))
    report = world.check_copy(state)
    assert subjects(report) == {key}
    assert world.conclude(state, report).verdict.outcome == "fail"
    assert world.judge(state).verdict.outcome == "pass"


def test_an_object_that_vanishes_from_a_copy_while_it_is_read_is_damage(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.restore(state.id)
    gone = whole.packs("data")[0][0]

    @dataclass
    class Vanishing:
        def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
            if key == gone:
                raise VersionGone(key)
            return whole.path(key).read_bytes()[offset : offset + length]

    assert subjects(world.check_copy(state, reader=Vanishing())) == {gone}


@pytest.mark.parametrize("target", [PROTECTED, RECORDS, "somebodys-bucket"])
def test_a_bucket_that_no_restore_writes_to_holds_no_copy(target: str) -> None:
    with pytest.raises(CheckRefused, match=f"{target}.* nothing was judged"):
        check_readable(Location(bucket=target), CONFIGURATION, RECORDS)
    check_readable(Location(bucket=TARGET), CONFIGURATION, RECORDS)


def test_a_target_that_is_not_there_or_denied_is_refused(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.s3.access.deny(ME, ["s3:ListBucket"], TARGET)
    with pytest.raises(CheckRefused, match=r"S3 denies s3:ListBucket .* nothing was judged"):
        world.check_copy(state)


# --- what is refused -------------------------------------------------------------------------------


def test_a_repository_without_a_password_is_refused() -> None:
    for name, why in (
        ("beta", "needs restic_password_secret, and repository beta has none"),
        ("nobody", "there is no"),
    ):
        with pytest.raises(CheckRefused, match=f"{why}.*; nothing was judged"):
            readable_repository(CONFIGURATION, name)
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:restic"
    alpha = {"name": "alpha", "bucket": "backups", "restic_password_secret": arn}
    configuration = Configuration.model_validate({"repositories": [alpha]})
    assert readable_repository(configuration, "alpha") == (configuration.repositories[0], arn)


def test_a_state_that_the_ledger_does_not_prove_is_refused(world: World, whole: MadeByRestic) -> None:
    state = world.take(whole)
    world.ledger.chunks.clear()
    with pytest.raises(CheckRefused, match="is missing; nothing was judged"):
        recorded_state(world.ledger, world.repository, state.id)


REQUEST = {"repository": "beta", "state": "", "read_data": False, "target": None}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"state": "latest"}, "state"),
        ({"read_data": "perhaps"}, "read_data"),
        ({"target": {"bucket": "B"}}, "target.bucket"),
        ({"target": "bucket"}, "target"),
        ({"password": "x"}, "password"),
        ({"repository": ""}, "repository"),
    ],
)
def test_a_request_that_is_none_names_the_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(CheckRefused, match=f"{field}: .*nothing was judged"):
        CompleteRequest.read(REQUEST | change)


def test_a_copy_is_always_read_whole() -> None:
    copy = {"target": {"bucket": TARGET, "prefix": ""}}
    asked = [REQUEST, REQUEST | {"read_data": True}, REQUEST | copy]
    assert [CompleteRequest.read(each).level for each in asked] == [Level.STRUCTURE, Level.READ_DATA, Level.READ_DATA]

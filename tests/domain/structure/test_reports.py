"""What a report says of each trouble: its key, its sort, and what restic does not see."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from functions.domain.structure.check import check_structure
from functions.domain.structure.report import SHOWN, Level, StructureReport
from tests.domain.structure import damages
from tests.domain.structure.repositories import FolderReader, MadeByRestic, cheap_key_file, copied, make, restic


def test_a_whole_repository_is_complete_and_counted(repository: MadeByRestic) -> None:
    report = repository.check(Level.READ_DATA)
    blobs = [blob for kind in ("data", "tree") for _, blobs in repository.packs(kind) for blob in blobs]
    assert report.complete
    assert (report.snapshots, report.indexes, report.packs) == (2, 2, len(repository.keys("data")))
    assert (report.verified_blobs, report.trees + report.blobs) == (len(blobs), len(blobs))
    assert (report.orphaned_bytes, report.unneeded_bytes) == (0, 0)
    assert report.config is not None
    assert report.config.version == repository.version
    assert StructureReport.parse(report.canonical()) == report


def test_restics_own_key_file_is_opened(originals: dict[int, MadeByRestic], tmp_path: Path) -> None:
    repository = copied(originals[2], tmp_path)
    repository.remove(repository.keys("keys")[0])
    repository.add("keys", (originals[2].root.parent / "original key file").read_bytes())
    assert repository.check().complete


def test_an_empty_repository_is_complete_and_has_no_snapshots(tmp_path: Path) -> None:
    report = make(tmp_path / "empty", 2, backups=0).check(Level.READ_DATA)
    assert (report.complete, report.snapshots, report.packs) == (True, 0, 0)


def test_data_that_only_forgotten_snapshots_needed_are_unneeded(repository: MadeByRestic) -> None:
    """restic sees nothing here: only the states before tell that snapshots were dropped."""
    damages.all_snapshots_are_deleted(repository)
    report = repository.check()
    stored = sum(blob["length"] for kind in ("data", "tree") for _, blobs in repository.packs(kind) for blob in blobs)
    assert (report.complete, report.snapshots, report.unneeded_bytes) == (True, 0, stored)


def test_a_deleted_pack_is_missing_and_so_are_the_blobs_that_snapshots_need(repository: MadeByRestic) -> None:
    key, blobs = repository.packs("data")[0]
    repository.remove(key)
    report = repository.check()
    assert [trouble.subject for trouble in report.missing_packs.shown] == [key]
    assert {trouble.subject for trouble in report.missing_blobs.shown} == {blob["id"] for blob in blobs}


def test_a_deleted_tree_pack_leaves_missing_trees(repository: MadeByRestic) -> None:
    for key, _ in repository.packs("tree"):
        repository.remove(key)
    report = repository.check()
    assert (report.trees, report.missing_trees.count) == (0, 2)


def test_a_pack_of_another_size_is_named(repository: MadeByRestic) -> None:
    key, _ = repository.packs("data")[0]
    repository.write(key, repository.path(key).read_bytes() + b"x")
    assert [trouble.subject for trouble in repository.check().wrong_size.shown] == [key]


@pytest.mark.parametrize("kind", ["data", "tree"])
def test_a_flipped_pack_is_damaged_by_key(repository: MadeByRestic, kind: str) -> None:
    key, blobs = repository.packs(kind)[0]
    repository.flip(key, blobs[0]["offset"] + 17)
    (trouble,) = repository.check(Level.READ_DATA).damaged.shown
    assert trouble.subject == key
    assert blobs[0]["id"] in trouble.why


def test_the_rest_is_read_although_an_index_is_damaged(repository: MadeByRestic) -> None:
    key = repository.keys("index")[0]
    repository.flip(key, 100)
    report = repository.check()
    assert [trouble.subject for trouble in report.damaged.shown] == [key]
    assert report.indexes == 1
    assert report.unindexed.count > 0
    assert not report.foreign, "they are this repository's own"


def test_a_pack_that_an_interrupted_backup_left_is_unindexed_and_ours(repository: MadeByRestic) -> None:
    pack = repository.forge(b'{"nodes":[]}')
    for key in (repository.keys("index"), repository.keys("snapshots")):
        newest = max(key, key=lambda each: repository.path(each).stat().st_mtime_ns)
        repository.remove(newest)
    report = repository.check()
    assert [trouble.subject for trouble in report.unindexed.shown] == [pack]
    assert not report.foreign
    assert report.orphaned_bytes == repository.path(pack).stat().st_size


@pytest.mark.parametrize("size", [0, 3, 40, 5000, 100_000])
def test_a_random_object_named_like_a_pack_is_foreign(repository: MadeByRestic, size: int) -> None:
    """restic check takes it for duplicate data. Nobody who has only the bucket can seal a header."""
    key = repository.add("data", os.urandom(size))
    report = repository.check()
    assert report.complete
    assert [trouble.subject for trouble in report.foreign.shown] == [key]
    assert report.orphaned_bytes == size


def test_many_troubles_are_counted_and_some_are_named(repository: MadeByRestic) -> None:
    packs = [{"id": f"{n:064x}", "blobs": []} for n in range(1, 1001)]
    repository.seal("index", {"packs": packs})
    missing = repository.check().missing_packs
    assert (missing.count, len(missing.shown)) == (1000, SHOWN)


def test_a_second_copy_of_a_tree_is_read_where_the_first_is_damaged(repository: MadeByRestic) -> None:
    """restic does so too: `check` passes, `--read-data` does not."""
    key = repository.forge(b'{"nodes":[]}')
    repository.forge(b'{"nodes":[]}')
    repository.flip(key, 20)
    for level in Level:
        assert repository.check(level).complete is repository.restic_finds_no_errors(level)
    assert repository.check().complete


def test_a_pinned_version_that_is_gone_is_damage(repository: MadeByRestic) -> None:
    reader = FolderReader(repository.root)
    reader.gone = {repository.packs("tree")[0][0], repository.keys("snapshots")[0]}
    with ThreadPoolExecutor(2) as executor:
        report = check_structure(repository.entries(), reader, repository.password, executor, level=Level.READ_DATA)
    assert {trouble.subject for trouble in report.damaged.shown} == reader.gone


def test_a_pack_that_is_gone_is_not_asked_for_again_for_each_of_its_blobs(repository: MadeByRestic) -> None:
    reader = FolderReader(repository.root)
    reader.gone = {repository.packs("data")[0][0]}
    with ThreadPoolExecutor(1) as executor:
        check_structure(repository.entries(), reader, repository.password, executor, level=Level.READ_DATA)
    assert reader.refusals == 1


# --- key files -------------------------------------------------------------------------------------


def test_a_junk_key_file_keeps_nothing_from_being_read_and_is_refused(repository: MadeByRestic) -> None:
    """restic dies of it when it comes to it before the good one, so that the verdict is never `complete`."""
    key = damages.junk_key_file_that_sorts_first(repository)
    report = repository.check()
    assert report.key_files.opened in repository.keys("keys")
    assert [trouble.subject for trouble in report.key_files.refused.shown] == [key]
    assert (report.snapshots, report.damaged.count, report.complete) == (2, 0, False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{]",
        b"[" * 100_000,
        b'{"kdf":"scrypt"}',
        b'{"kdf":"scrypt","N":NaN}',
        b"9" * 9999,
    ],
)
def test_garbage_in_key_files_is_refused(repository: MadeByRestic, content: bytes) -> None:
    key = repository.add("keys", content)
    report = repository.check()
    assert [trouble.subject for trouble in report.key_files.refused.shown] == [key]
    assert report.key_files.opened is not None


def test_a_sound_key_file_of_somebody_else_is_only_counted(repository: MadeByRestic) -> None:
    for name in ("one", "another"):
        repository.add("keys", cheap_key_file(repository.key, name))
    key_files = repository.check().key_files
    assert key_files.wrong_password + key_files.not_tried == 2
    assert not key_files.refused


def test_a_key_file_of_another_repository_with_the_same_password_is_refused(
    originals: dict[int, MadeByRestic], tmp_path: Path
) -> None:
    repository = copied(originals[1], tmp_path)
    own, stranger = repository.keys("keys")[0], cheap_key_file(originals[2].key)
    while damages.name_of(stranger) > own[-64:]:
        stranger = cheap_key_file(originals[2].key)
    key = repository.add("keys", stranger)
    report = repository.check()
    assert (report.key_files.opened, report.key_files.refused.shown[0].subject) == (own, key)


# --- what cannot be judged -------------------------------------------------------------------------


def test_a_wrong_password_is_not_damage(repository: MadeByRestic) -> None:
    with ThreadPoolExecutor(1) as executor:
        report = check_structure(repository.entries(), FolderReader(repository.root), "wrong", executor)
    assert report.unjudged == "the password opens no key file of the state"
    assert (report.complete, report.damaged.count, report.key_files.wrong_password) == (False, 0, 1)


def test_without_a_key_file_it_is_not_the_password_that_is_wrong(repository: MadeByRestic) -> None:
    for key in repository.keys("keys"):
        repository.remove(key)
    report = repository.check()
    assert report.unjudged == "the state has no key file: no password opens it"
    assert [each.subject for each in report.damaged.shown] == ["keys/"]


def test_nothing_at_all_is_no_repository(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        report = check_structure([], FolderReader(tmp_path), "any", executor)
    assert report.unjudged == "it is no restic repository: it has neither a config nor a key file"


def test_the_legacy_layout_is_refused(repository: MadeByRestic) -> None:
    damages.renamed_to_legacy(repository)
    report = repository.check()
    assert "legacy layout" in (report.unjudged or "")


def test_a_config_that_opens_to_something_else_is_damage(repository: MadeByRestic) -> None:
    repository.write("config", repository.path(repository.keys("index")[0]).read_bytes())
    report = repository.check()
    assert report.unjudged == "the config cannot be read"
    assert [trouble.subject for trouble in report.damaged.shown] == ["config"]


def test_of_two_repositories_under_one_prefix_the_second_ones_files_are_damage(
    originals: dict[int, MadeByRestic], tmp_path: Path
) -> None:
    repository, other = copied(originals[1], tmp_path), originals[2]
    for folder in ("index", "snapshots", "data", "keys"):
        shutil.copytree(other.path(folder), repository.path(folder), dirs_exist_ok=True)
    report = repository.check()
    strange = {*other.keys("index"), *other.keys("snapshots")}
    assert strange <= {trouble.subject for trouble in report.damaged.shown}
    assert {trouble.subject for trouble in report.foreign.shown} == set(other.keys("data"))
    assert not repository.restic_finds_no_errors(Level.STRUCTURE)


def test_a_repository_that_restic_pruned_and_migrated_is_complete(
    originals: dict[int, MadeByRestic], tmp_path: Path
) -> None:
    repository = copied(originals[1], tmp_path)
    for arguments in (
        ("migrate", "upgrade_repo_v2"),
        ("forget", "latest", "--prune"),
        ("prune", "--repack-uncompressed"),
    ):
        done = restic(repository.root, *arguments)
        assert done.returncode == 0, done.stderr
    report = repository.check(Level.READ_DATA)
    assert (report.complete, report.snapshots, report.unneeded_bytes, report.orphaned_bytes) == (True, 1, 0, 0)
    assert report.config is not None
    assert report.config.version == 2

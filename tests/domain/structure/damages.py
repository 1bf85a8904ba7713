"""What can happen to a repository, by accident or on purpose, and who sees it.

A damage changes a whole repository. `restic` judges it too, unless that would cost too much.
"""

import hashlib
import json
import os
from collections.abc import Callable

from functions.domain.structure.report import Level
from tests.domain.structure.repositories import MadeByRestic, cheap_key_file

Damage = Callable[[MadeByRestic], None]
DAMAGES: dict[str, Damage] = {}
"""Those of which restic's verdict must be ours."""
COMPLETE: dict[str, set[Level]] = {}
"""The levels at which a damage is no error, for restic and so for `complete`."""


def _judged(*complete: Level) -> Callable[[Damage], Damage]:
    def judged(damage: Damage) -> Damage:
        name = damage.__name__.replace("_", " ")
        DAMAGES[name], COMPLETE[name] = damage, set(complete)
        return damage

    return judged


_errors = _judged()
_read_data = _judged(Level.STRUCTURE)
"""Only what reads all data sees it."""
_no_errors = _judged(*Level)
"""No error to restic, and not always harmless: other parts of the report, or the states before, tell."""


def _first(repository: MadeByRestic, kind: str) -> tuple[str, int]:
    """The key and size of the pack with the most blobs of a kind."""
    key = repository.packs(kind)[0][0]
    return key, repository.path(key).stat().st_size


@_no_errors
def nothing(repository: MadeByRestic) -> None:
    pass


# --- packs -----------------------------------------------------------------------------------------


@_errors
def a_data_pack_is_deleted(repository: MadeByRestic) -> None:
    repository.remove(_first(repository, "data")[0])


@_errors
def a_tree_pack_is_deleted(repository: MadeByRestic) -> None:
    repository.remove(_first(repository, "tree")[0])


@_errors
def a_data_pack_is_truncated(repository: MadeByRestic) -> None:
    key, size = _first(repository, "data")
    repository.write(key, repository.path(key).read_bytes()[: size // 2])


@_errors
def a_tree_pack_is_truncated_by_one_byte(repository: MadeByRestic) -> None:
    key, _ = _first(repository, "tree")
    repository.write(key, repository.path(key).read_bytes()[:-1])


@_errors
def a_pack_is_empty(repository: MadeByRestic) -> None:
    repository.write(_first(repository, "data")[0], b"")


@_errors
def a_pack_has_a_byte_too_many(repository: MadeByRestic) -> None:
    key, _ = _first(repository, "data")
    repository.write(key, repository.path(key).read_bytes() + b"x")


@_read_data
def a_data_pack_is_flipped_in_its_body(repository: MadeByRestic) -> None:
    repository.flip(_first(repository, "data")[0], 1000)


@_errors
def a_tree_blob_is_flipped(repository: MadeByRestic) -> None:
    key, blobs = repository.packs("tree")[0]
    repository.flip(key, blobs[0]["offset"] + 20)


@_errors
def the_mac_of_a_tree_blob_is_flipped(repository: MadeByRestic) -> None:
    key, blobs = repository.packs("tree")[0]
    repository.flip(key, blobs[-1]["offset"] + blobs[-1]["length"] - 1)


@_read_data
def a_data_pack_is_flipped_in_its_header(repository: MadeByRestic) -> None:
    repository.flip(_first(repository, "data")[0], -20)


@_read_data
def a_tree_pack_is_flipped_in_its_header(repository: MadeByRestic) -> None:
    repository.flip(_first(repository, "tree")[0], -50)


@_read_data
def the_length_of_a_header_is_flipped(repository: MadeByRestic) -> None:
    repository.flip(_first(repository, "data")[0], -4)


@_errors
def two_packs_are_swapped(repository: MadeByRestic) -> None:
    one, other = repository.packs("data")[0][0], repository.packs("data")[1][0]
    content = repository.path(one).read_bytes()
    repository.write(one, repository.path(other).read_bytes())
    repository.write(other, content)


@_read_data
def a_data_pack_is_garbage_of_the_same_size(repository: MadeByRestic) -> None:
    key, size = _first(repository, "data")
    repository.write(key, os.urandom(size))


@_errors
def a_tree_pack_is_garbage_of_the_same_size(repository: MadeByRestic) -> None:
    key, size = _first(repository, "tree")
    repository.write(key, os.urandom(size))


@_errors
def all_packs_are_deleted(repository: MadeByRestic) -> None:
    for key in repository.keys("data"):
        repository.remove(key)


@_no_errors
def a_random_object_is_named_like_a_pack(repository: MadeByRestic) -> None:
    repository.add("data", os.urandom(5000))


# --- indexes ---------------------------------------------------------------------------------------


@_errors
def an_index_is_deleted(repository: MadeByRestic) -> None:
    repository.remove(repository.keys("index")[0])


@_errors
def all_indexes_are_deleted(repository: MadeByRestic) -> None:
    for key in repository.keys("index"):
        repository.remove(key)


@_errors
def an_index_is_flipped(repository: MadeByRestic) -> None:
    repository.flip(repository.keys("index")[0], 100)


@_errors
def an_index_is_truncated(repository: MadeByRestic) -> None:
    key = repository.keys("index")[0]
    repository.write(key, repository.path(key).read_bytes()[:20])


@_no_errors
def an_index_is_there_twice(repository: MadeByRestic) -> None:
    repository.seal("index", repository.json(repository.keys("index")[0]))


@_errors
def an_index_names_a_missing_pack(repository: MadeByRestic) -> None:
    blob = {"id": "ab" * 32, "type": "data", "offset": 0, "length": 100}
    repository.seal("index", {"packs": [{"id": "cd" * 32, "blobs": [blob]}]})


@_errors
def an_index_leaves_a_blob_out(repository: MadeByRestic) -> None:
    for key in repository.keys("index"):
        document = repository.json(key)
        for pack in document["packs"]:
            if pack["blobs"][0]["type"] == "data":
                del pack["blobs"][0]
        repository.remove(key)
        repository.seal("index", document)


@_read_data
def an_index_confuses_two_offsets(repository: MadeByRestic) -> None:
    for key in repository.keys("index"):
        document = repository.json(key)
        for pack in document["packs"]:
            if pack["blobs"][0]["type"] == "data":
                one, other = pack["blobs"][:2]
                one["offset"], other["offset"] = other["offset"], one["offset"]
        repository.remove(key)
        repository.seal("index", document)


@_errors
def an_index_is_sealed_garbage(repository: MadeByRestic) -> None:
    repository.seal("index", {"packs": [{"id": "no name", "blobs": []}]})


@_no_errors
def an_index_has_unknown_fields(repository: MadeByRestic) -> None:
    document = repository.json(repository.keys("index")[0])
    document["packs"][0]["colour"] = document["colour"] = [1.5, "blue"]
    repository.seal("index", {"colour": {}, **document})


# --- snapshots and trees ---------------------------------------------------------------------------


@_errors
def a_snapshot_is_flipped(repository: MadeByRestic) -> None:
    repository.flip(repository.keys("snapshots")[0], 50)


@_errors
def a_snapshot_is_empty(repository: MadeByRestic) -> None:
    repository.write(repository.keys("snapshots")[0], b"")


@_no_errors
def a_snapshot_is_deleted(repository: MadeByRestic) -> None:
    repository.remove(repository.keys("snapshots")[0])


@_no_errors
def all_snapshots_are_deleted(repository: MadeByRestic) -> None:
    for key in repository.keys("snapshots"):
        repository.remove(key)


@_errors
def a_snapshot_names_a_tree_that_is_nowhere(repository: MadeByRestic) -> None:
    repository.seal("snapshots", {"time": "2026-11-21T12:00:00Z", "tree": "ab" * 32, "paths": ["/"]})


@_errors
def a_snapshot_has_no_tree(repository: MadeByRestic) -> None:
    repository.seal("snapshots", {"time": "2026-11-21T12:00:00Z", "paths": ["/"]})


@_no_errors
def a_tree_is_empty(repository: MadeByRestic) -> None:
    repository.forge(b'{"nodes":[]}\n')


@_no_errors
def a_tree_has_no_nodes(repository: MadeByRestic) -> None:
    repository.forge(b'{"nodes":null}\n')


@_errors
def a_tree_has_a_file_without_a_list_of_blobs(repository: MadeByRestic) -> None:
    repository.forge(json.dumps({"nodes": [{"name": "f", "type": "file"}]}).encode())


@_errors
def a_tree_has_a_directory_without_a_subtree(repository: MadeByRestic) -> None:
    repository.forge(json.dumps({"nodes": [{"name": "d", "type": "dir"}]}).encode())


@_errors
def a_tree_has_a_node_of_an_unknown_type(repository: MadeByRestic) -> None:
    repository.forge(json.dumps({"nodes": [{"name": "t", "type": "teapot"}]}).encode())


@_errors
def a_tree_has_a_node_without_a_name(repository: MadeByRestic) -> None:
    repository.forge(json.dumps({"nodes": [{"name": "", "type": "fifo"}]}).encode())


@_errors
def a_tree_has_a_file_whose_blob_is_nowhere(repository: MadeByRestic) -> None:
    repository.forge(json.dumps({"nodes": [{"name": "f", "type": "file", "content": ["ab" * 32]}]}).encode())


@_no_errors
def a_tree_has_links_devices_and_empty_files(repository: MadeByRestic) -> None:
    kinds = ("symlink", "dev", "chardev", "socket", "fifo")
    nodes = [{"name": kind, "type": kind} for kind in kinds] + [{"name": "f", "type": "file", "content": []}]
    repository.forge(json.dumps({"nodes": nodes}).encode())


@_errors
def a_tree_is_no_json(repository: MadeByRestic) -> None:
    repository.forge(b'{"nodes":[{')


# --- config and key files --------------------------------------------------------------------------


@_errors
def the_config_is_deleted(repository: MadeByRestic) -> None:
    repository.remove("config")


@_errors
def the_config_is_flipped(repository: MadeByRestic) -> None:
    repository.flip("config", 40)


@_errors
def the_key_file_is_deleted(repository: MadeByRestic) -> None:
    repository.remove(repository.keys("keys")[0])


@_no_errors
def a_second_key_file_has_another_password(repository: MadeByRestic) -> None:
    repository.add("keys", cheap_key_file(repository.key, "another password"))


@_errors
def the_only_key_file_has_another_password(repository: MadeByRestic) -> None:
    repository.remove(repository.keys("keys")[0])
    repository.add("keys", cheap_key_file(repository.key, "another password"))


@_errors
def the_only_key_file_is_no_json(repository: MadeByRestic) -> None:
    repository.remove(repository.keys("keys")[0])
    repository.add("keys", b"{]")


@_errors
def the_only_key_file_has_a_junk_kdf(repository: MadeByRestic) -> None:
    repository.remove(repository.keys("keys")[0])
    repository.add("keys", cheap_key_file(repository.key, kdf="junk"))


@_no_errors
def an_alien_file_lies_in_the_repository(repository: MadeByRestic) -> None:
    repository.write("README", b"hands off")


def junk_key_file_that_sorts_first(repository: MadeByRestic) -> str:
    """Whether restic comes to it before the good one depends on the order of its listing."""
    return repository.write("keys/" + "0" * 63 + "1", cheap_key_file(repository.key, kdf="junk"))


def renamed_to_legacy(repository: MadeByRestic) -> None:
    """The layout that restic's S3 backend once had."""
    for old, new in (("keys", "key"), ("snapshots", "snapshot")):
        repository.path(old).rename(repository.path(new))
    for key in repository.keys("data"):
        repository.path(key).rename(repository.path("data") / key[-64:])


def name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

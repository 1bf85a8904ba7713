"""What happens beside a page's commands: hosts back up, somebody attacks, somebody forgets snapshots.

A story has scenes by heading: they are played before the first command under it, those of "" before all others.
"""

import os
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.demo.sources import change, fill
from tests.documents.world import World

Scene = Callable[[World], None]


def connect(world: World) -> None:
    """The host has its key, and a folder with files."""
    connection = world.rwm("connect", "alpha", "--create-key", profile="admin")
    key = connection["key"]
    secret = {"AWS_ACCESS_KEY_ID": key["id"], "AWS_SECRET_ACCESS_KEY": key["secret"]}
    world.is_connected(connection["environment"] | secret)
    fill_the_host(world)


def fill_the_host(world: World) -> None:
    fill(world.directory / "srv" / "files")


def back_up(world: World) -> None:
    """Two nights of alpha's host, each recorded."""
    fill_the_host(world)
    world.restic("host-alpha", "alpha", "init", "--quiet")
    _back_up_alpha(world)
    change(world.directory / "srv" / "files")
    _back_up_alpha(world)


def make_targets(world: World) -> None:
    """Empty buckets to restore to, which may lock."""
    for repository in world.configuration.repositories:
        target = f"rwm-restore-{repository.name}"
        world.aws.client("s3").create_bucket(Bucket=target, ObjectLockEnabledForBucket=True)


def another_night(world: World) -> None:
    """One more, of a host that is at work already."""
    change(world.directory / "srv" / "files")
    _back_up_alpha(world)


def _back_up_alpha(world: World) -> None:
    source = world.directory / "srv" / "files"
    world.restic("host-alpha", "alpha", "backup", "--quiet", "--pack-size", "4", str(source))
    world.record("alpha")


def overwrite(world: World) -> None:
    """Somebody with the host's key writes garbage over half of the packs."""
    _overwrite(*_stolen(world))
    world.record("alpha")


def wreck(world: World) -> None:
    """The same, and hides all the rest, restic's key files too."""
    s3, bucket, keys = _stolen(world)
    for key in sorted(set(keys) - _overwrite(s3, bucket, keys)):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key="README-RANSOM.txt", Body=b"pay up")
    world.record("alpha")


def _overwrite(s3: Any, bucket: str, keys: Sequence[str]) -> set[str]:
    packs = [key for key in keys if key.startswith("data/")][::2]
    for key in packs:
        size = s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
        s3.put_object(Bucket=bucket, Key=key, Body=os.urandom(size))
    return set(packs)


def _stolen(world: World) -> tuple[Any, str, list[str]]:
    s3, bucket = world.aws.client("s3", "host-alpha"), world.repository("alpha").bucket
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return s3, bucket, [key for key in keys if not key.startswith("locks/")]


def forget(world: World) -> None:
    """Three nights of beta's host, and `restic forget --prune` with the maintenance key: half of it is not needed
    any more."""
    world.restic("host-beta", "beta", "init", "--quiet")
    _dump_and_forget(world, "beta", nights=3)
    world.record("beta")


def _dump_and_forget(world: World, seed: str, nights: int) -> None:
    source = world.directory / "srv" / "beta"
    source.mkdir(exist_ok=True)
    content = random.Random(seed)
    for _ in range(nights):
        (source / "dump").write_bytes(content.randbytes(3_000_000))
        world.restic("host-beta", "beta", "backup", "--quiet", "--pack-size", "4", str(source))
    # Recorded before, they would be in a state that is kept until there are three newer good ones.
    world.restic("maintenance-beta", "beta", "forget", "--keep-last", "1", "--prune", "--quiet")


def restore_to_the_bucket(world: World) -> None:
    make_targets(world)
    world.rwm("restore", "alpha", "last-good", "--to-bucket", "rwm-restore-alpha")


def put_back(world: World) -> None:
    """What was attacked is as it was, and what the attack left among the versions is over."""
    world.rwm("restore", "alpha", "last-good", "--in-place", "--insist", "--yes")


def a_plan_waits(world: World) -> None:
    """The schedule began a prune of beta."""
    world.rwm("prune", "beta", ends=(3,))


def another_plan(world: World) -> None:
    """Once more, and what no snapshot needs is hidden again."""
    _dump_and_forget(world, "another", nights=2)
    a_plan_waits(world)


def together(*scenes: Scene) -> Scene:
    """Of different repositories, at once."""

    def play(world: World) -> None:
        with ThreadPoolExecutor(len(scenes)) as pool:
            for ended in [pool.submit(scene, world) for scene in scenes]:
                ended.result()

    return play


def attacked(world: World) -> None:
    make_targets(world)
    back_up(world)
    overwrite(world)


def what_was_restored_is_what_was_backed_up(world: World) -> None:
    """From the new bucket, as the page restored it; from the directory; and from the repository put back in place, with
    the new password."""
    source = world.directory / "srv" / "files"
    old, new = world.environment("admin"), world.host_environment()
    directory = str(world.directory / "srv" / "repository")
    in_place = new["RESTIC_REPOSITORY"]
    folders = [world.directory / "srv" / "restored"]
    for environment, repository in ((old, directory), (new, in_place)):
        folders.append(world.directory / f"from-{len(folders)}")
        command = ["restic", "--no-cache", "-r", repository, "restore", "latest", "--no-lock", "--target"]
        subprocess.run([*command, str(folders[-1])], env=environment, check=True, capture_output=True)
    for folder in folders:
        found = subprocess.run(
            ["diff", "-r", str(source), str(folder / source.relative_to("/"))],
            check=False,
            capture_output=True,
            text=True,
        )
        assert (found.returncode, found.stdout) == (0, ""), f"{folder}: {found.stdout}"


Story = Mapping[str, tuple[Scene, ...]]

DEFAULT: Story = {"": (back_up,)}
STORIES: Mapping[str, Story] = {
    "README.md": {
        "Connect a host": (fill_the_host,),
        "After an attack": (make_targets, another_night, overwrite),
        "Get space back": (forget,),
    },
    "host/README.md": {"": (connect,)},
    "docs/connecting-a-host.md": {"": (fill_the_host,)},
    "docs/getting-started.md": {"": (fill_the_host,)},
    "docs/worst-day.md": {"": (back_up, wreck)},
    "docs/restoring.md": {"": (attacked,)},
    "docs/operations.md": {
        "": (together(back_up, forget),),
        "Approve": (a_plan_waits,),
        "When a plan looks odd": (another_plan,),
    },
    "docs/cli.md": {
        "": (together(back_up, forget), restore_to_the_bucket),
        "rwm acknowledge": (overwrite, put_back),
        "rwm plan": (a_plan_waits,),
        "rwm reject": (another_plan,),
    },
}

ENDS: Story = {"docs/worst-day.md": (what_was_restored_is_what_was_backed_up,)}
"""By page: what must be so when all of it was typed."""

"""A repository that was backed up and recorded every day for weeks, in memory, and never had a finding."""

from datetime import timedelta
from typing import Any

from functions.domain.values import ObjectKey
from tests.builders import named, pack
from tests.record.world import BUCKET, World

DAYS = 25
DAY = timedelta(days=1)
CONFIG = ObjectKey("config")
KEY = named("keys", "the owner's")


def write(world: World, key: str, text: str = "", *, size: int = 100) -> None:
    world.put(key, (text or key).encode().ljust(size, b"."))


def back_up(world: World, text: str, *, packs: int = 1) -> None:
    for number in range(packs):
        write(world, pack(f"{text} {number}"), size=1000)
    write(world, named("index", text))
    write(world, named("snapshots", text))
    world.clock.advance(60)


def lived(days: int = DAYS, **settings: Any) -> World:
    """Each morning a backup and a state; it is an hour after the last one."""
    world = World.with_settings(**settings)
    write(world, CONFIG)
    write(world, KEY)
    for day in range(days):
        if day:
            world.clock.advance(DAY - timedelta(minutes=1))
        back_up(world, f"day {day}")
        world.event()
        assert world.said() == set(), day
    world.clock.advance(timedelta(hours=1))
    return world


def current(world: World, folder: str) -> list[ObjectKey]:
    """Keys of the newest state."""
    return [ObjectKey(key) for key in world.newest() if key.startswith(folder)]


class Upload:
    """An upload in parts: it is dated by its beginning, which is now."""

    def __init__(self, world: World, key: str, text: str = "mine") -> None:
        self._world = world
        self._key = world.repository.key_prefix + key
        self._body = text.encode().ljust(100, b".")
        self._id = world.s3.create_multipart_upload(BUCKET, self._key).upload_id

    def complete(self) -> None:
        part = self._world.s3.upload_part(BUCKET, self._key, self._id, 1, self._body)
        self._world.s3.complete_multipart_upload(BUCKET, self._key, self._id, [(1, part.etag)])

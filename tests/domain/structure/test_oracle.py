"""Of one recorded state, our check and the real `restic check --read-data` say the same.

restic judges the state through a view of its pinned versions, so that both read the very same ones, whatever
became of the current objects: they may be garbage while the state is whole, and whole while it is damaged.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.domain.structure.check import check_structure
from functions.domain.structure.report import Level, StructureReport
from functions.domain.values import ObjectVersion
from tests.cuts import take_cut
from tests.domain.structure.damages import COMPLETE, DAMAGES
from tests.domain.structure.repositories import PASSWORD, MadeByRestic, restic_finds_no_errors
from tests.fakes.pinned_view import PinnedView
from tests.fakes.ports import FakeRangedReader, FakeVersionLister
from tests.fakes.restic import BINARY, MISSING
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_server import S3Server

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

BUCKET, PREFIX = "backups", "alpha/"


class Recorded:
    """A repository in a bucket, and a state of it."""

    def __init__(self, repository: MadeByRestic) -> None:
        self.s3 = FakeS3()
        self.s3.create_bucket(BUCKET, object_lock=True)
        self.upload(repository)
        self.state = self.current()

    def upload(self, repository: MadeByRestic) -> None:
        for entry in repository.entries():
            self.s3.put(BUCKET, PREFIX + entry.key, repository.path(entry.key).read_bytes())
        self.s3.clock.advance(1)

    def current(self) -> tuple[ObjectVersion, ...]:
        """What a state recorded now would pin."""
        return tuple(take_cut(FakeVersionLister(self.s3, BUCKET, PREFIX).versions(), self.s3.clock.now()).versions)

    def check(self) -> StructureReport:
        """Ours."""
        with ThreadPoolExecutor(4) as executor:
            reader = FakeRangedReader(self.s3, BUCKET, PREFIX)
            return check_structure(self.state, reader, PASSWORD, executor, level=Level.READ_DATA)

    def restic_finds_no_errors(self) -> bool:
        """restic's of the state."""
        return _restic(PinnedView(self.s3, BUCKET, PREFIX, self.state))

    def restic_finds_no_errors_in_the_bucket(self) -> bool:
        """restic's of what is current, whatever the state pins."""
        return _restic(self.s3)


def _restic(s3: FakeS3) -> bool:
    with S3Server(s3) as server:
        keys = {"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
        return restic_finds_no_errors(f"s3:{server.endpoint}/{BUCKET}/{PREFIX.rstrip('/')}", Level.READ_DATA, **keys)


# --- the state is whole, whatever is current -------------------------------------------------------


def _nothing(recorded: Recorded) -> None:
    pass


def _packs_are_overwritten_in_place(recorded: Recorded) -> None:
    for entry in recorded.state:
        if entry.key.startswith("data/"):
            recorded.s3.put(BUCKET, PREFIX + entry.key, bytes(entry.size))


def _everything_is_hidden(recorded: Recorded) -> None:
    for entry in recorded.state:
        recorded.s3.delete(BUCKET, PREFIX + entry.key)


@pytest.mark.parametrize("happens", [_nothing, _packs_are_overwritten_in_place, _everything_is_hidden])
def test_a_whole_state_is_whole_to_both_whatever_happened_since(
    repository: MadeByRestic, happens: Callable[[Recorded], None]
) -> None:
    recorded = Recorded(repository)
    happens(recorded)
    assert recorded.check().complete
    assert recorded.restic_finds_no_errors()
    assert recorded.restic_finds_no_errors_in_the_bucket() is (happens is _nothing)


# --- the state is damaged, whatever is current -----------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_a_damaged_state_both_say_the_same_though_sound_objects_lie_on_top(
    repository: MadeByRestic, originals: dict[int, MadeByRestic], damage: str
) -> None:
    DAMAGES[damage](repository)
    recorded = Recorded(repository)
    recorded.upload(originals[repository.version])
    report = recorded.check()
    assert report.complete is (Level.READ_DATA in COMPLETE[damage]), report
    assert recorded.restic_finds_no_errors() is report.complete


def test_restic_without_the_view_takes_such_a_bucket_for_whole(
    repository: MadeByRestic, originals: dict[int, MadeByRestic]
) -> None:
    DAMAGES["a data pack is garbage of the same size"](repository)
    recorded = Recorded(repository)
    recorded.upload(originals[repository.version])
    assert recorded.restic_finds_no_errors_in_the_bucket()


@pytest.mark.parametrize("folder", ["data/", "index/", "snapshots/"])
def test_a_pinned_version_that_was_destroyed_is_damage_to_both(originals: dict[int, MadeByRestic], folder: str) -> None:
    recorded = Recorded(originals[2])
    destroyed = next(entry for entry in recorded.state if entry.key.startswith(folder))
    recorded.s3.put(BUCKET, PREFIX + destroyed.key, originals[2].path(destroyed.key).read_bytes())
    recorded.s3.delete_version(BUCKET, PREFIX + destroyed.key, destroyed.version_id)
    assert [trouble.subject for trouble in recorded.check().damaged.shown] == [destroyed.key]
    assert not recorded.restic_finds_no_errors()

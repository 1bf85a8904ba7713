"""Which state a drill restores, how much of it, and where to."""

import pytest

from functions.domain.keeping import DroppedState
from functions.domain.repositories import Repository
from functions.domain.restore.drill import Chosen, DrillRefused, NoGoodState, NothingRecorded
from functions.domain.state import StateHeader
from functions.domain.values import AttemptId, Digest
from functions.domain.verdict import Judged
from functions.drill.choose import DrillRequest, choose
from tests.builders import at
from tests.domain.judging import FAIL, HOLD, header, judge
from tests.fakes.ledger import FakeLedger
from tests.fakes.operations import FakeVerdicts

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:alpha-AbCdEf"
SCRATCH = "rwm-drill-123456789012-eu-central-1"


class World:
    """alpha's ledger and verdicts."""

    def __init__(self) -> None:
        self.ledger = FakeLedger()
        self.verdicts = FakeVerdicts()
        self.repository = Repository(name="alpha", bucket="backups")
        self._newest: StateHeader | None = None

    def record(self, *, busy: bool = False) -> StateHeader:
        parent = self._newest
        found = header(parent, busy=busy, cut=3600.0 * parent.generation if parent else 0.0)
        attempt = AttemptId(f"attempt-{found.generation}")
        self.ledger.begin(found.repository, attempt, found.cut_time, found.recorded_at)
        self.ledger.commit(found, attempt, self.ledger.head(found.repository))
        self._newest = found
        return found

    def judge(self, judged: Judged) -> None:
        self.verdicts.append(judged)

    def drop(self, state: StateHeader) -> None:
        mark = DroppedState(state.id, state.generation, Digest("d" * 64), "prune-1", at(9000))
        self.ledger.marks[state.repository, state.generation] = mark

    def choose(self, *, whole: bool = False) -> Chosen:
        request = DrillRequest(repository="alpha", execution="drill-1", whole=whole)
        return choose(self.repository, request, SCRATCH, ledger=self.ledger, verdicts=self.verdicts)


@pytest.fixture
def world() -> World:
    return World()


def test_the_newest_good_state_is_drilled_beneath_a_prefix_of_this_execution_s_own(world: World) -> None:
    first = world.record()
    world.judge(judge(first))
    second = world.record()
    world.judge(judge(second))
    chosen = world.choose()
    assert (chosen.state, chosen.generation, chosen.cut_time) == (second.id, 2, second.cut_time)
    assert (chosen.objects, chosen.bytes, chosen.content_root) == (second.objects, second.bytes, second.content_root)
    assert (chosen.target.bucket, chosen.target.prefix) == (SCRATCH, "alpha/drill-1")


@pytest.mark.parametrize("found", [FAIL, HOLD])
def test_after_an_attack_the_last_good_state_is_drilled(world: World, found: object) -> None:
    good = world.record()
    world.judge(judge(good))
    world.judge(judge(world.record(), found))  # type: ignore[arg-type]
    world.record()
    world.judge(judge(world.record(busy=True)))
    assert world.choose().state == good.id


def test_a_state_that_a_prune_dropped_is_not_drilled(world: World) -> None:
    first = world.record()
    world.judge(judge(first))
    second = world.record()
    world.judge(judge(second))
    world.drop(second)
    assert world.choose().state == first.id


def test_without_a_good_state_it_says_what_speaks_against_each(world: World) -> None:
    world.judge(judge(world.record(), FAIL))
    world.record()
    with pytest.raises(NoGoodState, match=r"1 never judged, 1 with a FAIL or a HOLD; .*; nothing was restored"):
        world.choose()


def test_a_repository_without_any_state_is_too_young_to_be_drilled(world: World) -> None:
    with pytest.raises(NothingRecorded, match="alpha has no recorded state yet; nothing was restored"):
        world.choose()


def test_a_small_state_is_restored_whole_and_a_large_one_sampled(world: World) -> None:
    state = world.record()
    world.judge(judge(state))
    size = state.bytes
    for drill_bytes, whole, expected in ((size, False, None), (size - 1, False, size - 1), (0, True, None)):
        world.repository = Repository(name="alpha", bucket="backups", drill_bytes=drill_bytes)
        assert world.choose(whole=whole).sample_bytes == expected


def test_only_a_whole_copy_is_opened_and_only_where_there_is_a_password(world: World) -> None:
    state = world.record()
    world.judge(judge(state))
    assert world.choose().complete is False
    world.repository = Repository(name="alpha", bucket="backups", restic_password_secret=SECRET)
    assert world.choose().complete is True
    world.repository = Repository(name="alpha", bucket="backups", restic_password_secret=SECRET, drill_bytes=1)
    assert world.choose().complete is False
    assert world.choose(whole=True).complete is True


def test_a_malformed_request_is_refused_by_the_name_of_its_fields() -> None:
    with pytest.raises(DrillRefused, match=r"execution: .*; whole: .*; nothing was restored"):
        DrillRequest.read({"repository": "alpha", "execution": "a/b"})

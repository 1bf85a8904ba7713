"""A repository too large for one function: the same state, from what a workflow's children listed."""

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.columns import Columns
from functions.domain.cut import may_list
from functions.domain.documents import UnreadableDocument
from functions.domain.ranges import KeyRange
from functions.domain.recording import Answered, HandedOver, NotYet, Outcome, Recorded, Refused, Wish
from functions.domain.staging import decode_manifest, part_file
from functions.domain.state import Cause
from functions.domain.values import AttemptId, VersionGone
from functions.record.close import CloseRequest, StagedListing, close_recording
from functions.record.handing_over import LEASE_OF_RANGES, HandOver, LargeRecording
from functions.record.list_range import RangeRequest, list_range
from functions.record.record import record
from tests.fakes.ports import FakeRecordReader, FakeRecordWriter, FakeVersionLister
from tests.fakes.s3_model import VersioningStatus
from tests.record.world import ALPHA, BUCKET, RECORDS, World


def pack(number: int) -> str:
    name = hashlib.sha256(str(number).encode()).hexdigest()
    return f"data/{name[:2]}/{name}"


class FakeRangeLister(FakeVersionLister):
    """RangeLister."""

    def within(self, ranges: Sequence[KeyRange]) -> Generator[Columns]:
        after, last = ranges[0].after, ranges[-1].last
        for entry in self.versions():
            if (after is None or entry.key > after) and (last is None or entry.key <= last):
                yield Columns.of([entry])


@dataclass
class Large:
    """A world whose repository is handed over when it has more than `ranges_above` entries."""

    world: World
    started: dict[str, str] = field(default_factory=dict)
    """The workflow's executions, and what each was given."""

    def start(self, execution: str, document: str) -> None:
        self.started[execution] = document

    def event(self) -> Outcome:
        sent = self.world.clock.now()
        wish = Wish(cause=Cause(reason="event", sent=sent), sent=sent)
        to = HandOver(FakeRecordWriter(self.world.s3, RECORDS), self)
        attempts = (f"{number:032x}" for number in self.world.attempts)
        ports = replace(self.world.ports(), hand_over=to, new_attempt=lambda: AttemptId(next(attempts)))
        return record(self.world.repository, wish, ports)

    @property
    def given(self) -> dict[str, Any]:
        """What the last execution was given."""
        content: dict[str, Any] = json.loads(list(self.started.values())[-1])
        return content

    def list_ranges(self, but: int | None = None) -> int:
        """What the map does; returns how many ranges there are."""
        given = LargeRecording.model_validate(self.given)
        manifest = FakeRecordReader(self.world.s3, RECORDS).get(given.manifest.key, given.manifest.version_id)
        ranges = decode_manifest(manifest)
        for each in ranges:
            if each.number != but:
                request = RangeRequest(repository=ALPHA, attempt=given.attempt, range=each)
                lister = FakeRangeLister(self.world.s3, BUCKET, self.world.repository.key_prefix)
                list_range(request, self.world.repository, lister, FakeRecordWriter(self.world.s3, RECORDS))
        return len(ranges)

    def close(self, *, failed: bool = False, bucket: str = BUCKET) -> Outcome | None:
        given = {**self.given, "manifest": self.given["manifest"]["version_id"], "failed": failed}
        request = CloseRequest.model_validate(given)
        stored = FakeRecordReader(self.world.s3, RECORDS)
        listing = StagedListing(request.repository, request.attempt, request.manifest, stored)
        return close_recording(request, self.world.repository, replace(self.world.ports(bucket), lister=listing))


def filled(packs: int = 60, **settings: Any) -> Large:
    world = World.with_settings(**{"ranges_above": 40, **settings})
    for key in ("config", "keys/" + "a" * 64, "index/" + "b" * 64, "snapshots/" + "c" * 64):
        world.put(key, b"x" * 100)
    for number in range(packs):
        world.put(pack(number), b"x" * 100)
    world.clock.advance(3600)
    return Large(world)


def roots(large: Large) -> tuple[str, ...]:
    header = large.world.headers()[0]
    return header.manifest_root, header.content_root, str(header.attributes_root)


def test_what_one_function_can_list_it_records_itself() -> None:
    large = filled(packs=30)
    assert isinstance(large.event(), Recorded)
    assert not large.started


def test_a_repository_that_turns_out_to_be_large_is_recorded_from_its_ranges_as_one_function_would() -> None:
    large, alone = filled(), filled(ranges_above=1000)
    assert isinstance(large.event(), HandedOver)
    assert not large.world.headers()
    assert large.list_ranges() == 20
    assert isinstance(large.close(), Recorded)
    assert isinstance(alone.event(), Recorded)
    # Version ids differ from one world to the other.
    assert roots(large)[1] == roots(alone)[1]
    entries = FakeVersionLister(large.world.s3, BUCKET).versions()
    assert large.world.newest() == {entry.key: entry.version_id for entry in entries}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 70), st.sampled_from(["put", "hide", "wait"])), max_size=40))
def test_the_roots_are_those_that_a_single_function_gives(acts: list[tuple[int, str]]) -> None:
    large = filled()
    for number, act in acts:
        if act == "put":
            large.world.put(pack(number), b"y" * (33 + number))
        elif act == "hide":
            large.world.hide(pack(number))
        else:
            large.world.clock.advance(number)
    large.world.clock.advance(60)
    large.event()
    large.list_ranges()
    large.close()
    from_ranges = roots(large)
    large.world.clock.advance(3600)
    assert isinstance(large.world.event(), Recorded)
    assert roots(large) == from_ranges
    assert [header.kind for header in large.world.headers()] == ["same", "base"]


def test_a_repository_that_was_large_is_handed_over_at_once_with_ranges_of_its_size() -> None:
    large = filled()
    large.event()
    large.list_ranges()
    large.close()
    large.world.put(pack(99))
    large.world.clock.advance(3600)
    assert isinstance(large.event(), HandedOver)
    assert large.list_ranges() == 31
    assert isinstance(large.close(), Recorded)
    assert [header.kind for header in large.world.headers()] == ["delta", "base"]
    assert large.world.headers()[0].cause.reason == "event"


def test_while_ranges_are_listed_nobody_else_records_and_afterwards_the_event_is_answered() -> None:
    large = filled()
    sent = large.world.clock.now()
    large.event()
    assert isinstance(waits := large.event(), NotYet)
    assert not isinstance(waits, HandedOver)
    assert len(large.started) == 1
    large.list_ranges()
    large.close()
    assert isinstance(large.world.event(sent=sent), Answered)


def test_what_comes_while_ranges_are_listed_is_no_part_of_the_cut() -> None:
    large = filled()
    large.event()
    large.world.clock.advance(10)
    large.world.put(pack(1000))
    large.world.hide(pack(0))
    large.list_ranges()
    assert isinstance(large.close(), Recorded)
    assert pack(1000) not in large.world.newest()
    assert pack(0) in large.world.newest()


def test_a_range_that_nobody_listed_keeps_everything_from_being_recorded() -> None:
    large = filled()
    large.event()
    large.list_ranges(but=7)
    with pytest.raises(VersionGone, match="00007"):
        large.close()
    assert not large.world.headers()


def test_a_part_of_another_range_keeps_everything_from_being_recorded() -> None:
    large = filled()
    large.event()
    large.list_ranges()
    attempt = AttemptId(large.given["attempt"])
    other = FakeRecordReader(large.world.s3, RECORDS).get(part_file(ALPHA, attempt, 3))
    FakeRecordWriter(large.world.s3, RECORDS).put(part_file(ALPHA, attempt, 9), other)
    with pytest.raises(UnreadableDocument, match="leaves its range"):
        large.close()
    assert not large.world.headers()


def test_who_gives_up_leaves_nothing_in_the_way_of_the_next_event() -> None:
    large = filled()
    large.event()
    assert large.close(failed=True) is None
    large.world.clock.advance(1)
    assert isinstance(large.event(), HandedOver)


def test_a_workflow_that_cannot_be_started_leaves_nothing_in_the_way_of_the_next_event() -> None:
    class Down(Large):
        def start(self, execution: str, document: str) -> None:
            raise ConnectionError(execution, document)

    down = Down(filled().world)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            down.event()
    assert isinstance(Large(down.world).event(), HandedOver)


def test_closing_again_after_the_answer_was_lost_changes_nothing() -> None:
    large = filled()
    large.event()
    large.list_ranges()
    large.close()
    before = large.world.headers()
    assert isinstance(large.close(), Answered)
    assert large.world.headers() == before


def test_a_workflow_that_outlasts_its_lease_records_nothing() -> None:
    large = filled()
    large.event()
    large.list_ranges()
    large.world.clock.advance((LEASE_OF_RANGES).total_seconds() + 1)
    assert isinstance(large.event(), HandedOver)
    late = Large(large.world, dict(list(large.started.items())[:1]))
    with pytest.raises(Exception, match="nothing was recorded"):
        late.close()
    assert not large.world.headers()


def _killing(after: int) -> Callable[[Any], None]:
    left = iter(range(after))

    def hook(_call: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return hook


def test_killed_anywhere_while_closing_it_leaves_the_old_head_or_the_new_one() -> None:
    killed = 0
    for calls in range(100):
        large = filled()
        large.event()
        large.list_ranges()
        large.world.watch(_killing(calls))
        try:
            large.close()
        except KeyboardInterrupt:
            killed += 1
        else:
            assert killed > 10
            return
        large.world.watch()
        assert isinstance(large.close(), Recorded | Answered)
        assert len(large.world.headers()) == 1
        assert len(large.world.newest()) == 64
    raise AssertionError("it never came to its end")


def test_ranges_are_listed_only_when_s3_s_clock_has_passed_the_cut() -> None:
    large = filled()
    large.event()
    at = LargeRecording.model_validate(large.given).at
    assert may_list(at, large.world.clock.now())


def test_what_is_suspended_while_ranges_are_listed_is_found_and_not_recorded() -> None:
    large = filled()
    large.event()
    large.list_ranges()
    large.world.s3.create_bucket("plain")
    for status in (VersioningStatus.ENABLED, VersioningStatus.SUSPENDED):
        large.world.s3.put_versioning("plain", status)
    refused = large.close(bucket="plain")
    assert isinstance(refused, Refused)
    assert refused.finding.id == "versioning-not-enabled"
    assert not large.world.headers()
    assert large.world.notifier.subjects == ["RWM: FAIL alpha: versioning-not-enabled"]

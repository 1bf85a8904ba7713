"""Listings read at once and handed out in order: nothing lost, nothing kept without bound, no thread left behind."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from threading import Barrier, Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.columns import Columns
from functions.domain.values import ObjectKey
from functions.storage.side_by_side import AHEAD, READER, WAITING, in_order


def block(key: str) -> Columns:
    return Columns(keys=[ObjectKey(key)])


def nothing() -> None:
    return


class Listing:
    """Blocks that count themselves as they are read."""

    def __init__(self, name: int, length: int) -> None:
        self.name = name
        self.length = length
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[Columns]:
        for number in range(self.length):
            self.read = number + 1
            yield block(f"{self.name:03}/{number:06}")


def settled(count: list[Listing]) -> list[int]:
    """How much of each is read when nobody reads on."""
    before: list[int] = []
    while (now := [each.read for each in count]) != before:
        before = now
        time.sleep(0.05)
    return now


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == READER]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3 * WAITING), max_size=3 * AHEAD), st.integers(1, 5))
def test_the_blocks_of_each_listing_come_after_those_of_the_one_before(lengths: list[int], threads: int) -> None:
    listings = [Listing(name, length) for name, length in enumerate(lengths)]
    found = [each.keys[0] for each in in_order([iter(each) for each in listings], threads, nothing)]
    assert found == [f"{name:03}/{number:06}" for name, length in enumerate(lengths) for number in range(length)]


def test_as_many_are_read_at_once_as_there_are_threads() -> None:
    together = Barrier(7, timeout=10)

    def waits(name: int) -> Iterator[Columns]:
        together.wait()
        yield block(str(name))

    assert [each.keys for each in in_order([waits(name) for name in range(7)], 7, nothing)] == [
        [str(name)] for name in range(7)
    ]


def test_however_long_the_listings_are_only_a_part_of_them_is_held() -> None:
    listings = [Listing(name, 10 * WAITING) for name in range(5 * AHEAD)]
    threads = 3
    with closing(in_order([iter(each) for each in listings], threads, nothing)) as blocks:
        next(blocks)
        read = settled(listings)
        assert read[:threads] == [WAITING + 2, WAITING + 1, WAITING + 1], "one was taken, and one is in each hand"
        assert not any(read[threads:])


def test_short_listings_wait_for_the_one_before_them_and_no_more_are_begun_than_fit() -> None:
    slow, threads = Event(), 3

    def first() -> Iterator[Columns]:
        slow.wait(10)
        yield block("first")

    listings = [Listing(name, 1) for name in range(5 * AHEAD)]
    blocks = in_order([first(), *(iter(each) for each in listings)], threads, nothing)
    taken: list[str] = []
    taker = threading.Thread(target=lambda: taken.extend(each.keys[0] for each in blocks))
    taker.start()
    assert sum(settled(listings)) == threads + AHEAD - 1
    assert not taken
    slow.set()
    taker.join()
    assert taken == ["first", *(f"{name:03}/000000" for name in range(5 * AHEAD))]


def test_what_one_listing_raises_ends_all_at_once() -> None:
    stopped: list[bool] = []

    def fails() -> Iterator[Columns]:
        yield block("x")
        raise OSError("gone")

    def endless() -> Iterator[Columns]:
        while True:
            yield block("y")

    listings = [endless(), endless(), fails(), endless()]
    blocks = in_order(listings, 4, lambda: stopped.append(True))
    with pytest.raises(OSError, match="gone"):
        deque(blocks, maxlen=0)
    assert stopped == [True]


def test_whoever_stops_early_stops_all() -> None:
    listings = [Listing(name, 10**9) for name in range(8)]
    stopped: list[bool] = []
    blocks = in_order([iter(each) for each in listings], 8, lambda: stopped.append(True))
    next(blocks)
    blocks.close()
    assert stopped == [True]
    assert settled(listings) == [each.read for each in listings]


def test_nothing_is_listed_side_by_side() -> None:
    assert list(in_order([], 4, nothing)) == []

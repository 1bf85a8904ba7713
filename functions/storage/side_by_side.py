"""Listings that are read at the same time and handed out one after the other, in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from threading import Condition, Lock, Thread

from functions.domain.columns import Columns

WAITING = 16
"""Blocks of one listing that are read and not yet handed out; whoever reads it waits then."""
AHEAD = 8
"""Listings beyond the number of threads that are begun and not yet handed out: nobody idles behind a slow one."""
READER = "listing"
"""The name of the threads."""


def in_order(listings: Sequence[Iterator[Columns]], threads: int, stop: Callable[[], None]) -> Generator[Columns]:
    """The blocks of the first listing, then of the second, and so on; up to `threads` of them are read at once.

    What one raises ends all. No thread is left once this has ended, failed, or been closed: `stop` is called first, so
    that no listing goes on waiting for something.
    """
    shelf = _Shelf(listings, threads + AHEAD)
    readers = [Thread(target=shelf.fill, name=READER, daemon=True) for _ in range(min(threads, len(listings)))]
    for reader in readers:
        reader.start()
    try:
        for number in range(len(listings)):
            yield from shelf.take(number)
    finally:
        stop()
        shelf.close()
        for reader in readers:
            reader.join()


class _Shelf:
    """What is read and not yet handed out.

    Listings are begun in order, so the one that is handed out has a reader; and its blocks are taken, so that reader
    never waits for another: however long each of them is, this one goes on.
    """

    def __init__(self, listings: Sequence[Iterator[Columns]], most_begun: int) -> None:
        self._listings = listings
        self._most_begun = most_begun
        self._ready: list[deque[Columns]] = [deque() for _ in listings]
        self._complete = [False] * len(listings)
        self._begun = 0
        self._taken = 0
        """Listings that are handed out to their end."""
        self._closed = False
        self._error: BaseException | None = None
        lock = Lock()
        self._filled = Condition(lock)
        self._emptied = Condition(lock)

    def take(self, number: int) -> Iterator[Columns]:
        """The blocks of one listing as they come."""
        ready = self._ready[number]
        while True:
            with self._filled:
                self._filled.wait_for(lambda: ready or self._complete[number] or self._error)
                if self._error:
                    raise self._error
                if not ready:
                    self._taken = number + 1
                    self._emptied.notify_all()
                    return
                if len(ready) == WAITING:
                    self._emptied.notify_all()
                block = ready.popleft()
            yield block

    def close(self) -> None:
        with self._emptied:
            self._closed = True
            self._emptied.notify_all()

    def fill(self) -> None:
        """One reader's work: listing after listing, until none is left to begin."""
        try:
            while (number := self._begin()) is not None:
                for block in self._listings[number]:
                    if not self._put(number, block):
                        return
                self._end(number)
        except BaseException as error:  # noqa: BLE001 - it is raised where the blocks are taken
            with self._filled:
                self._error = self._error or error
                self._closed = True
                self._filled.notify()
                self._emptied.notify_all()

    def _begin(self) -> int | None:
        with self._emptied:
            self._emptied.wait_for(lambda: self._closed or self._begun < self._taken + self._most_begun)
            if self._closed or self._begun == len(self._listings):
                return None
            self._begun += 1
            return self._begun - 1

    def _put(self, number: int, block: Columns) -> bool:
        """False: nobody wants it any more."""
        with self._emptied:
            self._emptied.wait_for(lambda: self._closed or len(self._ready[number]) < WAITING)
            if not self._closed:
                self._ready[number].append(block)
                self._tell(number)
            return not self._closed

    def _end(self, number: int) -> None:
        with self._filled:
            self._complete[number] = True
            self._tell(number)

    def _tell(self, number: int) -> None:
        if number == self._taken:
            self._filled.notify()

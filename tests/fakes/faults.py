"""Fault injection for every fake: one hook, called before and after each operation takes effect.

`before` an operation nothing has happened yet; `after` it everything has, and only the answer is lost.
A test that crashes at every call number, on both sides, has crashed everywhere a process can die.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Moment(StrEnum):
    """On which side of its effect an operation is."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Call:
    """One operation on a fake, on one side of its effect."""

    number: int
    """Counts from 1 in the fake's life; the two sides of one operation share it."""
    moment: Moment
    operation: str
    """The API's name, such as `PutObject`."""
    resource: str
    """What it touches: `bucket/key` in S3, the item's key in a table."""
    principal: str


Hook = Callable[[Call], None]
"""Called outside the fake's lock, so it may use the fake itself, as another process would."""


class Crash(BaseException):
    """The process died here. Not an Exception, so that no retry or `except Exception` outlives it."""


def nothing(call: Call) -> None:
    """The hook of an undisturbed run."""


@dataclass(slots=True)
class CallLog:
    """A hook that remembers each call, and can pass it on to a second hook."""

    then: Hook = nothing
    calls: list[Call] = field(default_factory=list)

    def __call__(self, call: Call) -> None:
        self.calls.append(call)
        self.then(call)

    def count(self) -> Counter[str]:
        """How often each operation was begun."""
        return Counter(call.operation for call in self.calls if call.moment is Moment.BEFORE)


@dataclass(slots=True)
class FailOnce:
    """A hook that raises at the `at`-th call (from 1) that `matches`, on one side of it, and never again.

    `raising` is what it raises: `Crash` for a process that dies, or a service's error.
    """

    at: int
    moment: Moment
    raising: type[BaseException] = Crash
    operations: Iterable[str] = ()
    """Only these operations count; empty means all."""
    fired: bool = False
    _seen: int = 0

    def __call__(self, call: Call) -> None:
        if self.fired or call.moment is not self.moment:
            return
        if self.operations and call.operation not in self.operations:
            return
        self._seen += 1
        if self._seen == self.at:
            self.fired = True
            raise self.raising(f"{call.moment} {call.operation} of {call.resource}")


@dataclass(slots=True)
class KillAt:
    """A hook that kills the process at its `step`-th moment, where each operation has two: before and after.

    A dead process does nothing more: every later call raises too, so that no `finally` or `except
    BaseException` of the code under test tidies up what `kill -9` would leave. Use a fresh hook, or
    `nothing`, for the process that comes next.
    """

    step: int
    dead: bool = False
    seen: int = 0

    def __call__(self, call: Call) -> None:
        self.seen += 1
        if self.seen == self.step:
            self.dead = True
        if self.dead:
            raise Crash(f"{call.moment} {call.operation} of {call.resource}")

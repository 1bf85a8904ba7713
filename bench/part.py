"""What a part of the bench is: something to measure, figures derived from the records, and targets for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.raw import Record, Recorder

Figures = Mapping[str, Any]
"""By names that begin with the part's, such as `check.bytes_per_blob`."""


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that a figure has to keep."""

    most: float | None = None
    least: float | None = None
    if_measured: bool = False
    """It is not measured in every form of the bench, or not on every machine; missing, it misses nothing."""

    def holds(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        bounds = (("at most", self.most), ("at least", self.least))
        return " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Part:
    """One subject. `figures` sees the records alone, so that anybody can derive them again."""

    name: str
    measure: Callable[[Recorder, bool], None]
    """Records each run. The flag asks for the larger sizes."""
    figures: Callable[[Sequence[Record]], Figures]
    targets: Mapping[str, Target]
    beginnings: tuple[str, ...] = ()
    """Of its figures' names, beside its own name."""


class CannotMeasure(Exception):
    """There is nothing to compare: the message says why and what to do."""


class Skipped(Exception):
    """Something cannot be measured on this machine; the message says why. The rest of its part can."""

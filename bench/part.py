"""What a part of the bench is: something to measure, figures derived from the records, and targets for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.raw import Record, Recorder

Figures = Mapping[str, Any]
"""By names that begin with the part's, such as `check.bytes_per_blob`."""


@dataclass(frozen=True, slots=True)
class Part:
    """One subject. `figures` sees the records alone, so that anybody can derive them again."""

    name: str
    measure: Callable[[Recorder, bool], None]
    """Records each run. The flag asks for the larger sizes."""
    figures: Callable[[Sequence[Record]], Figures]
    targets: Mapping[str, float]
    """The most that a figure may be."""


class CannotMeasure(Exception):
    """There is nothing to compare: the message says why and what to do."""

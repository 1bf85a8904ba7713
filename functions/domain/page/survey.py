"""The newest state as its entries show it: sizes by restic's type of file, and storage classes."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from functions.domain.columns import Columns
from functions.domain.restic import FileType, file_type
from functions.domain.state import Tally

MIB = 1 << 20
EDGES = (16 << 10, 256 << 10, MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB)
"""Bytes at which one range of sizes ends and the next one begins: there is one range more."""


@dataclass(frozen=True, slots=True)
class TypeSizes:
    """Objects of one type."""

    type: FileType
    objects: int
    bytes: int
    by_size: tuple[int, ...]
    """How many objects there are in each range of sizes."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was counted of a state."""

    types: tuple[TypeSizes, ...]
    """In the order of FileType; types that do not occur are left out."""
    classes: tuple[tuple[str, Tally], ...]
    """By storage class as it was recorded, the one with the most bytes first."""


def survey(blocks: Iterable[Columns]) -> Survey:
    """Count all entries of a state. Raises what reading them raises."""
    by_size: dict[FileType, list[int]] = {}
    sizes: dict[FileType, int] = {}
    classes: dict[str, list[int]] = {}
    for block in blocks:
        for key, size, storage_class in zip(block.keys, block.sizes, block.classes, strict=True):
            kind = file_type(key)
            counts = by_size.setdefault(kind, [0] * (len(EDGES) + 1))
            counts[bisect_right(EDGES, size)] += 1
            sizes[kind] = sizes.get(kind, 0) + size
            counted = classes.setdefault(storage_class, [0, 0])
            counted[0] += 1
            counted[1] += size
    ordered = sorted(classes.items(), key=lambda item: (-item[1][1], item[0]))
    return Survey(
        types=tuple(
            TypeSizes(kind, sum(by_size[kind]), sizes[kind], tuple(by_size[kind]))
            for kind in FileType
            if kind in by_size
        ),
        classes=tuple((name, Tally(objects=objects, bytes=total)) for name, (objects, total) in ordered),
    )

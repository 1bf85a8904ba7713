"""Which keys are listed side by side: ranges of keys that hold about as many entries each.

restic names everything but `config` by a SHA-256, so names are spread evenly within their folder, and how many there
are says where to cut, without a look at any. A wrong guess costs time and never a key: whatever keys there are, each
lies in exactly one range.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from functions.domain.restic import FileType, file_type
from functions.domain.values import ObjectKey

SMALLEST = 8_000
"""Entries of a range, at least: eight pages. What the last of them holds beyond the range is listed for nothing."""
MOST_PACKS = 20_000_000
"""More are not believed of a first page: whoever may write can choose names that promise thousands of millions, each of
whose ranges is a request."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys after `after`, up to and with `last`."""

    after: ObjectKey | None
    """None: from the first key on."""
    last: ObjectKey | None
    """None: to the last key there is."""

    def reaches(self, key: ObjectKey) -> bool:
        """Whether it holds `key`, or keys after it."""
        return self.last is None or key <= self.last


def key_ranges(expected: Mapping[FileType, int], smallest: int = SMALLEST) -> tuple[KeyRange, ...]:
    """All keys, in ranges that ascend, for as many objects of each type, and at least `smallest` of them in each; one
    range where there are few."""
    cuts = tuple(_cuts(expected, smallest))
    return tuple(map(KeyRange, (None, *cuts), (*cuts, None)))


_FOLDERS = (
    (FileType.PACK, "data/"),
    (FileType.INDEX, "index/"),
    (FileType.KEY, "keys/"),
    (FileType.LOCK, "locks/"),
    (FileType.SNAPSHOT, "snapshots/"),
)
"""In the order in which S3 lists them."""
_DIGITS = 8
"""Of a name: enough to cut between any two of four thousand million."""


def _cuts(expected: Mapping[FileType, int], smallest: int) -> Iterator[ObjectKey]:
    """Each is the last key of its range: a place between keys, for a name has more digits."""
    total = sum(expected.get(kind, 0) for kind, _ in _FOLDERS)
    ranges = total // smallest
    before, number = 0, 1
    for kind, folder in _FOLDERS:
        count = expected.get(kind, 0)
        while number < ranges and (place := number * total // ranges) < before + count:
            digits = format(((place - before) << 4 * _DIGITS) // count, f"0{_DIGITS}x")
            yield ObjectKey(f"{folder}{digits[:2]}/{digits}" if kind is FileType.PACK else f"{folder}{digits}")
            number += 1
        before += count


def likely(expected: Mapping[FileType, int], first: Sequence[ObjectKey]) -> Mapping[FileType, int]:
    """`expected`, with more packs if the keys that are listed first go on so closely."""
    packs = [key for key in first if file_type(key) is FileType.PACK]
    if not packs:
        return expected
    share = int(packs[-1].rpartition("/")[2][:_DIGITS], 16) + 1
    found = min((len(packs) << 4 * _DIGITS) // share, MOST_PACKS)
    return {**expected, FileType.PACK: max(found, expected.get(FileType.PACK, 0))}

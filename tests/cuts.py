"""Small listings in blocks, and the cut that record takes of one."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from functions.domain.columns import Columns
from functions.domain.consistent.fold import observe
from functions.domain.cut import Cut
from functions.domain.values import ListedVersion


def in_small_blocks(listing: Iterable[ListedVersion], length: int = 3) -> Iterator[Columns]:
    """So that the entries of a key go over from one block to the next."""
    remaining = iter(listing)
    while block := list(islice(remaining, length)):
        yield Columns.of(block)


def take_cut(listing: Iterable[ListedVersion], at: datetime) -> Cut:
    """Of `listing` (S3's order, complete) at `at`. Raises NotInOrder."""
    return observe(in_small_blocks(listing), at).cut

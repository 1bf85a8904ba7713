"""What is listed of a repository: every version and delete marker, whole pages only, in S3's own order.

boto3 sorts a page into a list of versions and a list of markers, which loses the order between a PUT and a DELETE of
the same second: the one thing that says which came last. And it takes many times as long to do so as it takes to read
the page. So the page is taken as S3 sent it, before botocore parses it; requests, retries and credentials stay boto3's.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from functions.domain.columns import Columns
from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.ranges import KeyRange, key_ranges, likely
from functions.domain.restic import FileType
from functions.domain.values import ListedVersion, Listing, ObjectKey
from functions.storage.pace import Pace
from functions.storage.pages import MalformedListing, Page, Place, read_page
from functions.storage.side_by_side import in_order

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 24
"""Ranges that are listed at once: S3 takes a tenth of a second for a page, reading it a few thousandths."""


class _Pages:
    """Pages of one prefix over boto3.

    botocore itself is left an empty page: whoever else lists versions with the same client sees none.
    """

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix
        # Registered once however many listers share the client. botocore calls handlers of `*` before those of `s3`:
        # so this one comes before botocore's own, which parses each answer of S3's to see whether a 200 is an error in
        # truth. That one stays, for all operations; of a page it is left little to parse, of anything else everything.
        client.meta.events.register("before-parse.*.ListObjectVersions", _keep_page, unique_id="rwm-keep-page")

    def _page(self, place: Place | None) -> Page:
        """The entries after `place`; None: from the beginning."""
        markers = {}
        if place is not None and place.key:
            markers["KeyMarker"] = place.key
            if place.version_id:
                markers["VersionIdMarker"] = place.version_id
        # EncodingType=url: without it, a key with a control character makes the page unreadable XML.
        answer = self._client.list_object_versions(
            Bucket=self._bucket,
            Prefix=self._key_prefix,
            EncodingType="url",
            **markers,  # type: ignore[arg-type]
        )
        page = read_page(answer["RwmPage"], self._key_prefix, self._bucket)  # type: ignore[typeddict-item]
        if page.columns.keys != sorted(page.columns.keys):
            raise self._malformed("is not in key order")
        return page

    def _advanced(self, passed: set[Place | None], before: Place | None, following: Place) -> Place:
        """`following`, which joins the places that the listing has `passed`."""
        if following in passed or (before is not None and following.key < before.key):
            raise self._malformed("does not advance")
        passed.add(following)
        return following

    def _after(self, key: ObjectKey) -> Place:
        return Place(self._key_prefix + key)

    def _malformed(self, why: str) -> MalformedListing:
        return MalformedListing(f"a listing of {self._bucket} {why}; nothing was recorded")


class S3VersionLister(_Pages):
    """VersionLister, RangeLister and LaterVersions over boto3. They raise MalformedListing, and SlowedDown."""

    def __init__(
        self,
        client: "S3Client",
        bucket: str,
        key_prefix: str,
        threads: int = THREADS,
        pace: Callable[[int], Pace] = Pace,
    ) -> None:
        super().__init__(client, bucket, key_prefix)
        # More would throw their connections away after each page.
        self._threads = min(threads, getattr(client.meta.config, "max_pool_connections", threads))
        self._pace = pace

    def versions(self) -> Listing:
        with closing(self.blocks()) as blocks:
            for block in blocks:
                yield from block.entries()

    def after(self, key: ObjectKey | None) -> Listing:
        """LaterVersions."""
        if key is None:
            yield from self.versions()
            return
        for block in self._range(self._pace(1), 0, self._after(key), KeyRange(key, None)):
            yield from block.entries()

    def blocks(self, expected: Mapping[FileType, int] | None = None) -> Generator[Columns]:
        """The first page; then, if it is not the last, all other keys in ranges side by side."""
        pace = self._pace(self._threads)
        first = pace.ask(0, partial(self._page, None))
        keys = first.columns.keys
        if keys:
            yield first.columns
        if first.following is None:
            return
        at = keys[-1] if keys else None
        ranges = [each for each in key_ranges(likely(expected or {}, keys)) if at is None or each.reaches(at)]
        yield from self._side_by_side(pace, first.following, ranges, at)

    def within(self, ranges: Sequence[KeyRange]) -> Generator[Columns]:
        """RangeLister."""
        if ranges:
            yield from self._side_by_side(self._pace(self._threads), self._before(ranges[0]), ranges, None)

    def _side_by_side(
        self, pace: Pace, start: Place | None, ranges: Sequence[KeyRange], at: ObjectKey | None
    ) -> Generator[Columns]:
        """The blocks of `ranges`, which follow one another; of the first from `start` on, which is after `at`."""
        places = (start, *map(self._before, ranges[1:]))
        listings = list(map(partial(self._range, pace), range(len(ranges)), places, ranges))
        with closing(in_order(listings, self._threads, pace.stop)) as blocks:
            for block in blocks:
                if at is not None and block.keys[0] < at:
                    raise self._malformed("is not in key order")
                at = block.keys[-1]
                yield block

    def _before(self, keys: KeyRange) -> Place | None:
        return None if keys.after is None else self._after(keys.after)

    def _range(self, pace: Pace, rank: int, place: Place | None, keys: KeyRange) -> Iterator[Columns]:
        """What of `keys` is listed after `place`."""
        passed = {place}
        at = keys.after or ""
        while True:
            page = pace.ask(rank, partial(self._page, place))
            found = page.columns.keys
            if found:
                if found[0] < at:
                    raise self._malformed("is not in key order")
                at = found[-1]
                # Ceph begins with the key of the marker once more.
                start = 0 if keys.after is None else bisect_right(found, keys.after)
                stop = len(found) if keys.last is None else bisect_right(found, keys.last)
                if start < stop:
                    yield page.columns if (start, stop) == (0, len(found)) else page.columns.part(start, stop)
                if stop < len(found):
                    return
            if page.following is None:
                return
            place = self._advanced(passed, place, page.following)


@dataclass(slots=True)
class _Sought:
    """Keys whose histories are gathered from a listing, one after the other."""

    keys: Sequence[ObjectKey]
    place: int = 0
    count: int = 0
    entries: list[ListedVersion] = field(default_factory=list)

    def key(self) -> ObjectKey | None:
        """The one that is gathered, or looked for; None: there is none left."""
        return self.keys[self.place] if self.place < len(self.keys) else None

    def take(self, columns: Columns) -> Iterator[KeyHistory]:
        """The histories that end in `columns`, whose keys ascend; what they hold of other keys is passed over."""
        start = 0
        while (key := self.key()) is not None:
            start = bisect_left(columns.keys, key, start)
            stop = bisect_right(columns.keys, key, start)
            kept = min(stop, start + MOST_ENTRIES - len(self.entries))
            self.entries += columns.part(start, kept).entries()
            self.count += stop - start
            if stop == len(columns):
                return
            yield from self.end()

    def end(self) -> Iterator[KeyHistory]:
        """The history of the key at hand, if it has any; then the next one is looked for."""
        if (key := self.key()) is not None and self.count:
            yield KeyHistory(key, tuple(self.entries), self.count)
        self.place, self.count, self.entries = self.place + 1, 0, []


class S3KeyHistories(_Pages):
    """KeyHistories over boto3: reads on while the next key is on the page at hand or near it, else begins anew there.

    So it takes as many requests as pages lie between the keys, and never more than one for each key and page of a
    key's own history.
    """

    def of(self, keys: Sequence[ObjectKey]) -> Iterator[KeyHistory]:
        """Raises MalformedListing, also for `keys` that do not ascend."""
        if any(later <= earlier for earlier, later in pairwise(keys)):
            raise MalformedListing("keys were asked for that do not ascend; nothing was listed")
        sought = _Sought(keys)
        place = self._before(keys[0]) if keys else None
        passed = {place}
        skipped: ObjectKey | None = None
        while sought.key() is not None:
            page = self._page(place)
            yield from sought.take(page.columns)
            if (key := sought.key()) is None:
                return
            if page.following is None:
                yield from sought.end()
                return
            if sought.count > MOST_ENTRIES and skipped != key:
                # A flood: that it is one is all that its history tells. Ceph begins with the key again: then it is
                # read to its end after all.
                skipped, place = key, self._after(key)
            else:
                place = self._advanced(passed, place, self._further(key, page.following))

    def _further(self, key: ObjectKey, following: Place) -> Place:
        """Where the page ended, or just before `key` if that is further on."""
        ahead = self._before(key)
        return ahead if following.key < ahead.key else following

    def _before(self, key: ObjectKey) -> Place:
        """A place before `key`, with next to nothing in between."""
        return Place((self._key_prefix + key)[:-1])


def _keep_page(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    body = customized_response_dict["RwmPage"] = response_dict["body"]
    # An error, which S3 may send with status 200 too, and a page that was cut short stay botocore's to try again.
    if response_dict["status_code"] == 200 and body.rstrip().endswith(b"</ListVersionsResult>"):
        response_dict["body"] = b"<ListVersionsResult/>"

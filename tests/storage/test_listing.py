"""Reading S3's listings: every page whole, in S3's own order, or not at all; and ranges of keys side by side."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from threading import Lock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client

from functions.domain.columns import Columns
from functions.domain.ranges import SMALLEST, key_ranges
from functions.domain.restic import FileType
from functions.domain.values import DeleteMarker, ListedVersion, ObjectKey, ObjectVersion
from functions.storage.listing import S3VersionLister
from functions.storage.pace import PAUSES, Pace, SlowedDown
from functions.storage.pages import MalformedListing
from functions.storage.side_by_side import READER, WAITING
from tests.storage.canned import Answer, Bucket, Query, answering, canned, entry, one, page, truncated


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == READER]


def listed(*answers: str, key_prefix: str = "") -> list[ListedVersion]:
    with canned(*answers) as (client, _):
        return list(S3VersionLister(client, "bucket", key_prefix).versions())


def test_versions_and_markers_come_in_the_order_in_which_s3_sent_them() -> None:
    entries = listed(page(entry("a", "3"), entry("a", "2", tag="DeleteMarker"), entry("a", "1")))
    assert [(type(each), each.version_id) for each in entries] == [
        (ObjectVersion, "3"),
        (DeleteMarker, "2"),
        (ObjectVersion, "1"),
    ]


def test_keys_are_relative_to_the_prefix() -> None:
    assert [each.key for each in listed(page(entry("p/config")), key_prefix="p/")] == ["config"]


def test_paging_goes_on_in_the_middle_of_a_key() -> None:
    pages = (truncated(entry("a+b", "2"), key="a%20b", version_id="2"), page(entry("a+b", "1")))
    with canned(*pages) as (client, queries):
        entries = list(S3VersionLister(client, "bucket", "").versions())
    assert [each.version_id for each in entries] == ["2", "1"]
    assert "key-marker" not in queries[0]
    assert (queries[1]["key-marker"], queries[1]["version-id-marker"]) == (["a b"], ["2"])


def test_two_listers_may_share_a_client() -> None:
    with canned(page(entry("a"))) as (client, _):
        for _ in range(2):
            assert len(list(S3VersionLister(client, "bucket", "").versions())) == 1


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (("",), "no XML"),
        (("<html/>",), "<html>"),
        ((page(entry("q/config")),), "left its prefix"),
        ((page(entry("p/a"), tail="</ListVersionsResult>"),), "does not say whether it goes on"),
        ((truncated(entry("p/a"), key="p/a"), truncated(entry("p/b"), key="p/a")), "does not advance"),
        ((truncated(entry("p/b"), key="p/b"), truncated(entry("p/c"), key="p/a")), "does not advance"),
    ],
)
def test_a_page_that_cannot_be_read_whole_stops_the_listing(answers: tuple[str, ...], why: str) -> None:
    with pytest.raises(MalformedListing, match=f"{why}.*; nothing was recorded"):
        listed(*answers, key_prefix="p/")


def test_a_page_that_is_cut_short_is_asked_for_again_and_then_an_error() -> None:
    with canned(page(entry("a"))[:-20]) as (client, queries), pytest.raises(ClientError, match="500"):
        list(S3VersionLister(client, "bucket", "").versions())
    assert len(queries) == 2


@pytest.mark.parametrize("status", [200, 403, 500])
def test_an_error_stays_an_error_even_with_status_200(status: int) -> None:
    body = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>m</Message></Error>'
    with canned(body, status=status) as (client, _), pytest.raises(ClientError, match="InternalError"):
        list(S3VersionLister(client, "bucket", "").versions())


def test_what_botocore_says_of_other_answers_is_not_changed() -> None:
    """An error in a 200 is still one of every other operation of the same client."""
    body = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>m</Message></Error>'
    with canned(body) as (client, _):
        S3VersionLister(client, "bucket", "")
        with pytest.raises(ClientError, match="InternalError"):
            client.copy_object(Bucket="bucket", Key="k", CopySource="bucket/k")


def test_botocore_itself_does_not_parse_the_page() -> None:
    """It would take longer than all the rest, and tell of a broken entry by itself."""
    with canned(page(entry("a")).replace("<Size>", "<Sise>")) as (client, queries), pytest.raises(MalformedListing):
        list(S3VersionLister(client, "bucket", "").versions())
    assert len(queries) == 1


def test_places_that_come_again_in_a_circle_stop_the_listing() -> None:
    circle = [truncated(entry("a", version), key="a", version_id=version) for version in ("1", "2")]
    with pytest.raises(MalformedListing, match="does not advance"):
        listed(*circle * 10, page())


def test_keys_of_one_page_or_of_two_that_do_not_ascend_stop_the_listing() -> None:
    for answers in [(page(entry("b"), entry("a")),), (truncated(entry("b"), key="b"), page(entry("a")))]:
        with pytest.raises(MalformedListing, match="not in key order; nothing was recorded"):
            listed(*answers)


def test_a_server_that_begins_before_the_marker_stops_the_listing() -> None:
    with canned(page(entry("a"), entry("b"))) as (client, _):
        lister = S3VersionLister(client, "bucket", "")
        assert [each.key for each in lister.after(ObjectKey("a"))] == ["b"]
        with pytest.raises(MalformedListing, match="not in key order"):
            list(lister.after(ObjectKey("aa")))


# --- side by side ----------------------------------------------------------------------------------

PREFIX = "restic/beta/"
LARGE = {FileType.PACK: 10 * SMALLEST}
EDGES = [each.last for each in key_ranges(LARGE) if each.last]
NAMES = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(200))
PACKS = [f"data/{name[:2]}/{name}" for name in NAMES]


def history(keys: Sequence[str], versions: int = 2) -> list[tuple[str, str]]:
    return [(PREFIX + key, f"{number:03}") for key in sorted(keys) for number in range(versions, 0, -1)]


def named(blocks: Iterator[Columns]) -> list[tuple[str, str]]:
    return [
        (PREFIX + key, version) for block in blocks for key, version in zip(block.keys, block.version_ids, strict=True)
    ]


def lister(client: S3Client, threads: int = 8, pauses: list[float] | None = None) -> S3VersionLister:
    """One whose pauses take no time."""
    waited = [] if pauses is None else pauses

    def pace(most: int) -> Pace:
        return Pace(most, waited.append, lambda: 1.0)

    return S3VersionLister(client, "bucket", PREFIX, threads, pace)


keys = st.sampled_from(PACKS) | st.sampled_from(EDGES) | st.sampled_from(["config", "index/0", "z", "data/zz", "é+ %"])


def test_ranges_side_by_side_give_what_one_listing_gives() -> None:
    """Whatever keys there are, the edges of ranges among them, and however S3 takes a marker."""
    bucket = Bucket([])

    @settings(max_examples=25, deadline=None)
    @given(st.sets(keys, max_size=20), st.integers(1, 3), st.integers(1, 7), st.booleans(), st.integers(1, 8))
    def holds(found: set[str], versions: int, size: int, repeats: bool, threads: int) -> None:
        bucket.listed, bucket.page, bucket.repeats = history(list(found), versions), size, repeats
        assert named(lister(client, threads).blocks(LARGE)) == bucket.listed
        assert named(lister(client, threads).within(key_ranges(LARGE))) == bucket.listed
        assert named(lister(client, threads).within(key_ranges(LARGE)[3:5])) == [
            each for each in bucket.listed if EDGES[2] < each[0].removeprefix(PREFIX) <= EDGES[4]
        ]

    with answering(bucket) as client:
        holds()


def test_each_block_holds_entries_and_no_key_goes_over_from_one_range_to_the_next() -> None:
    with answering(Bucket(history(PACKS, 3), 10)) as client:
        blocks = list(lister(client).blocks(LARGE))
    assert all(len(block) for block in blocks)
    assert sum(map(len, blocks)) == 600


def test_a_small_repository_takes_no_request_more_than_its_pages() -> None:
    for keys, size, requests in [([], 1000, 1), (PACKS[:100], 1000, 1), (PACKS, 100, 2)]:
        bucket = Bucket(history(keys, 1), size)
        with answering(bucket) as client:
            assert named(lister(client).blocks()) == bucket.listed
            assert named(lister(client).blocks({FileType.PACK: len(keys)})) == bucket.listed
        assert len(bucket.queries) == 2 * requests


def test_a_large_repository_of_which_nothing_is_known_is_read_side_by_side_too() -> None:
    bucket = Bucket(history([f"data/00/{number:064x}" for number in range(3, 3000, 3)], 1), 100)
    with answering(bucket) as client:
        assert named(islice(lister(client).blocks(), 3)) == bucket.listed[:300]
    assert len({one(query, "key-marker") for query in bucket.queries}) > 5


def test_one_key_with_very_many_versions_is_read_in_bounded_memory() -> None:
    """A hundred pages of one key lie in one range: it waits until it is its turn, and then goes on to its end."""
    flooded = PACKS[100]
    bucket = Bucket(
        sorted(
            history([each for each in PACKS if each != flooded]) + history([flooded], 500),
            key=lambda each: (each[0], -int(each[1])),
        ),
        5,
    )
    with answering(bucket) as client, closing(lister(client).blocks(LARGE)) as blocks:
        first = next(blocks)
        before = -1
        while len(bucket.queries) != before:
            before = len(bucket.queries)
            time.sleep(0.3)
        asked = sum(one(query, "key-marker") == PREFIX + flooded for query in bucket.queries)
        assert asked <= WAITING + 1
        assert named(iter([first])) + named(blocks) == bucket.listed


class Storm:
    """Refuses what comes while more than so many requests are under way."""

    def __init__(self, bucket: Bucket, most: int, body: str = "", status: int = 503) -> None:
        self.bucket, self.most, self.status = bucket, most, status
        self.body = body or "<Error><Code>SlowDown</Code><Message>m</Message></Error>"
        self.under_way = self.refused = 0
        self.lock = Lock()

    def __call__(self, query: Query) -> Answer:
        with self.lock:
            self.under_way += 1
            refused = self.under_way > self.most
            self.refused += refused
        try:
            time.sleep(0.005)
            return (self.status, self.body) if refused else self.bucket(query)
        finally:
            with self.lock:
                self.under_way -= 1


@pytest.mark.parametrize("status", [503, 200])
def test_when_s3_asks_to_slow_down_fewer_ranges_are_listed_at_once_and_nothing_is_lost(status: int) -> None:
    storm, pauses = Storm(Bucket(history(PACKS), 10), 2, status=status), list[float]()
    with answering(storm, retries=0) as client:
        assert named(lister(client, 8, pauses).blocks(LARGE)) == storm.bucket.listed
    assert storm.refused
    assert pauses


def test_a_storm_that_does_not_end_is_given_up() -> None:
    storm, pauses = Storm(Bucket(history(PACKS)), 0), list[float]()
    with answering(storm, retries=0) as client, pytest.raises(SlowedDown, match="nothing was recorded"):
        list(lister(client, 8, pauses).blocks(LARGE))
    assert pauses == list(PAUSES)


def test_a_storm_in_the_middle_of_a_listing_is_given_up_and_leaves_nothing_behind() -> None:
    bucket = Bucket(history(PACKS), 10)

    def answer(query: Query) -> Answer:
        if one(query, "key-marker") >= PREFIX + "data/8":
            return 503, "<Error><Code>SlowDown</Code><Message>m</Message></Error>"
        return bucket(query)

    with answering(answer, retries=0) as client, pytest.raises(SlowedDown):
        list(lister(client).blocks(LARGE))


BROKEN: dict[str, Callable[[str], str]] = {
    "cut short": lambda body: body[:-200],
    "an error": lambda _: "<Error><Code>InternalError</Code><Message>m</Message></Error>",
    "another prefix": lambda body: body.replace("<Key>restic", "<Key>tarsnap"),
    "nonsense": lambda _: "<html/>",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_bad_page_in_any_range_ends_the_whole_listing(how: str) -> None:
    bucket = Bucket(history(PACKS), 10)

    def answer(query: Query) -> Answer:
        status, body = bucket(query)
        return status, BROKEN[how](body) if one(query, "key-marker") == PREFIX + EDGES[6] else body

    with answering(answer) as client, pytest.raises((MalformedListing, ClientError)):
        list(lister(client).blocks(LARGE))


def test_whoever_reads_no_further_leaves_no_thread_behind() -> None:
    with answering(Bucket(history(PACKS), 2)) as client:
        listed = lister(client).versions()
        next(listed)
        listed.close()  # type: ignore[attr-defined]
        assert len(list(islice(lister(client).blocks(LARGE), 20))) == 20


def test_the_threads_are_no_more_than_the_clients_connections() -> None:
    with answering(Bucket([])) as client:
        assert S3VersionLister(client, "bucket", PREFIX, 1000)._threads == 32

"""A listing that cannot be read whole is not recorded: no header, and nothing in the way of the next event."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from functions.domain.recording import Outcome, Recorded, Wish
from functions.domain.state import Cause
from functions.record.record import record
from functions.storage.listing import S3VersionLister
from functions.storage.pace import Pace, SlowedDown
from functions.storage.pages import MalformedListing
from tests.fakes.clock import FakeClock
from tests.record.world import BUCKET, World
from tests.storage.canned import Answer, Query, answering, entry, one, page, truncated

FIRST = truncated(entry("config"), key="config", version_id="v")
SECOND = page(
    entry("data/odd", "2", LastModified="2026-11-21T12:00:09Z"), entry("data/odd", "1"), entry("é%2B%25", "3")
)
AFTERWARDS = datetime(2026, 11, 21, 13, tzinfo=UTC)
SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>m</Message></Error>"


def recorded(world: World, client: S3Client) -> Outcome:
    def hasty(most: int) -> Pace:
        return Pace(most, lambda _: None, lambda: 0.0)

    sent = world.clock.now()
    return record(
        world.repository,
        Wish(cause=Cause(reason="event", sent=sent), sent=sent),
        replace(world.ports(), lister=S3VersionLister(client, BUCKET, "", pace=hasty)),
    )


def answers(second: str, status: int = 200) -> Callable[[Query], Answer]:
    """The first page, and `second` for any further one."""

    def answer(query: Query) -> Answer:
        return (status, second) if one(query, "key-marker") else (200, FIRST)

    return answer


BAD = {
    "cut short": (SECOND[:-40], 200, ClientError),
    "an error in a 200": (SLOW_DOWN.replace("SlowDown", "InternalError"), 200, ClientError),
    "a storm": (SLOW_DOWN, 503, SlowedDown),
    "a storm in a 200": (SLOW_DOWN, 200, SlowedDown),
    "no listing": ("<html/>", 200, MalformedListing),
    "the first page again": (FIRST, 200, MalformedListing),
    "a marker that does not advance": (truncated(entry("data/a"), key="config", version_id="v"), 200, MalformedListing),
    "keys that descend": (page(entry("data/b"), entry("data/a")), 200, MalformedListing),
    "keys before those of the first page": (page(entry("a")), 200, MalformedListing),
    "an entry without a size": (page(entry("data/a", Size=None)), 200, MalformedListing),
    "an entry without a version id": (page(entry("data/a", "")), 200, MalformedListing),
}


@pytest.mark.parametrize("how", BAD)
def test_a_listing_that_goes_wrong_leaves_no_header_and_the_next_one_is_recorded(how: str) -> None:
    world = World(clock=FakeClock(AFTERWARDS))
    body, status, error = BAD[how]
    with answering(answers(body, status), retries=0) as client, pytest.raises(error):
        recorded(world, client)
    assert world.headers() == []
    world.clock.advance(120)
    with answering(answers(SECOND)) as client:
        assert isinstance(recorded(world, client), Recorded)
    assert world.newest() == {"config": "v", "data/odd": "2", "é+%": "3"}

"""Deleting versions, listing keys' histories and pending uploads: what boto3 is asked, and what its answers come to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.key_history import MOST_ENTRIES, KeyHistory
from functions.domain.prune.deleting import Answer, Doomed, Refusal, outcome_of
from functions.domain.prune.histories import is_flooded
from functions.domain.values import ObjectKey, VersionId
from functions.storage.deleter import S3PendingUploads, S3VersionDeleter, UploadsUnlisted
from functions.storage.listing import S3KeyHistories, S3VersionLister
from functions.storage.pages import MalformedListing
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_model import Limits
from tests.fakes.s3_server import S3Server
from tests.storage.canned import canned, entry, page, truncated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, PREFIX = "protected", "restic/beta/"


@contextmanager
def strict(page: int = 1000) -> "Iterator[S3Client]":
    """boto3 against the strict fake, which keeps S3's order between versions and markers, as moto does not."""
    with S3Server(FakeS3(limits=Limits(page=page))) as server:
        server.fake.create_bucket(BUCKET, object_lock=True)
        yield boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            region_name="us-east-1",
            aws_access_key_id="owner",
            aws_secret_access_key="secret",
        )


@pytest.fixture
def s3() -> "Iterator[S3Client]":
    with strict() as client:
        yield client


def put(s3: "S3Client", key: str, times: int = 1) -> list[Doomed]:
    """Versions, the oldest first."""
    versions = [s3.put_object(Bucket=BUCKET, Key=PREFIX + key, Body=b"x")["VersionId"] for _ in range(times)]
    return [Doomed(ObjectKey(key), VersionId(version)) for version in versions]


def hide(s3: "S3Client", key: str) -> Doomed:
    return Doomed(ObjectKey(key), VersionId(s3.delete_object(Bucket=BUCKET, Key=PREFIX + key)["VersionId"]))


def there(s3: "S3Client") -> set[tuple[str, str]]:
    return {(entry.key, entry.version_id) for entry in S3VersionLister(s3, BUCKET, PREFIX).versions()}


# --- deleting --------------------------------------------------------------------------------------


def test_exactly_these_versions_and_markers_are_deleted(s3: "S3Client") -> None:
    first, second = put(s3, "a", 2)
    marker, other = hide(s3, "a"), put(s3, "b")[0]
    outcome = S3VersionDeleter(s3, BUCKET, PREFIX).delete([first, marker])
    assert (set(outcome.deleted), outcome.refused) == ({first, marker}, ())
    assert there(s3) == {second, other}


@pytest.mark.parametrize("key", ["a b+c%20d", "été/ñ", "tab\tnew\nline", "bell\x07", "cr\r", "<&>\"'", "￿"])
def test_any_key_can_be_deleted_and_costs_the_others_nothing(s3: "S3Client", key: str) -> None:
    plain, odd = put(s3, "plain")[0], put(s3, key)[0]
    outcome = S3VersionDeleter(s3, BUCKET, PREFIX).delete([plain, odd])
    assert (set(outcome.deleted), outcome.refused) == ({plain, odd}, ())
    assert there(s3) == set()


def test_an_entry_without_a_version_id_would_hide_and_is_never_sent(s3: "S3Client") -> None:
    put(s3, "a")
    before = there(s3)
    with pytest.raises(ValueError, match="nothing was deleted"):
        S3VersionDeleter(s3, BUCKET, PREFIX).delete([Doomed(ObjectKey("a"), VersionId(""))])
    assert there(s3) == before


def test_more_than_one_call_takes_are_refused(s3: "S3Client") -> None:
    many = [Doomed(ObjectKey("a"), VersionId(str(number))) for number in range(1001)]
    with pytest.raises(ValueError, match="more than one call takes"):
        S3VersionDeleter(s3, BUCKET, PREFIX).delete(many)


A, B, C = (Doomed(ObjectKey(key), VersionId(f"v-{key}")) for key in "abc")


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple["S3Client", Stubber]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("s3", region_name="us-east-1")
    with Stubber(client) as stub:
        yield client, stub


def asked(*entries: Doomed, **more: Any) -> dict[str, Any]:
    objects = [{"Key": PREFIX + key, "VersionId": version_id} for key, version_id in entries]
    return {"Bucket": BUCKET, "Delete": {"Objects": objects, "Quiet": False}, **more}


def test_errors_in_a_good_answer_are_read_key_by_key(stubbed: tuple["S3Client", Stubber]) -> None:
    client, stub = stubbed
    answer = {
        "Deleted": [{"Key": f"{PREFIX}a", "VersionId": "v-a"}],
        "Errors": [{"Key": f"{PREFIX}b", "VersionId": "v-b", "Code": "AccessDenied", "Message": "locked"}],
    }
    stub.add_response("delete_objects", answer, asked(A, B, C))
    outcome = S3VersionDeleter(client, BUCKET, PREFIX).delete([A, B, C])
    assert outcome.deleted == (A,)
    assert [(each.entry, each.code, each.answer) for each in outcome.refused] == [
        (B, "AccessDenied", Answer.WAITS),
        (C, "Unanswered", Answer.AGAIN),
    ]


def test_governance_is_bypassed_only_when_asked_for(stubbed: tuple["S3Client", Stubber]) -> None:
    client, stub = stubbed
    deleter = S3VersionDeleter(client, BUCKET, PREFIX)
    answer = {"Deleted": [{"Key": f"{PREFIX}a", "VersionId": "v-a"}]}
    stub.add_response("delete_objects", answer, asked(A))
    stub.add_response("delete_objects", answer, asked(A, BypassGovernanceRetention=True))
    deleter.delete([A])
    deleter.delete([A], bypass_governance=True)
    stub.assert_no_pending_responses()


def test_an_answer_for_another_version_is_none_for_this_one(stubbed: tuple["S3Client", Stubber]) -> None:
    client, stub = stubbed
    stub.add_response("delete_objects", {"Deleted": [{"Key": f"{PREFIX}a"}, {"Key": "a", "VersionId": "v-a"}]})
    outcome = S3VersionDeleter(client, BUCKET, PREFIX).delete([A])
    assert [each.code for each in outcome.refused] == ["Unanswered"]


@pytest.mark.parametrize(
    ("code", "answer"), [("AccessDenied", Answer.WAITS), ("SlowDown", Answer.AGAIN), ("InternalError", Answer.AGAIN)]
)
def test_a_call_that_is_refused_as_a_whole_is_an_answer_for_each(
    stubbed: tuple["S3Client", Stubber], code: str, answer: Answer
) -> None:
    client, stub = stubbed
    stub.add_client_error("delete_objects", code, "no", 403)
    outcome = S3VersionDeleter(client, BUCKET, PREFIX).delete([A, B])
    assert [(each.entry, each.answer) for each in outcome.refused] == [(A, answer), (B, answer)]


def test_a_call_that_says_nothing_of_its_entries_raises(stubbed: tuple["S3Client", Stubber]) -> None:
    client, stub = stubbed
    stub.add_client_error("delete_objects", "NoSuchBucket", "no", 404)
    with pytest.raises(ClientError):
        S3VersionDeleter(client, BUCKET, PREFIX).delete([A, B])


def test_a_connection_that_breaks_leaves_each_unanswered(
    stubbed: tuple["S3Client", Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = stubbed

    def breaks(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="")

    monkeypatch.setattr(client, "delete_objects", breaks)
    monkeypatch.setattr(client, "delete_object", breaks)
    odd = Doomed(ObjectKey("bell\x07"), VersionId("v"))
    outcome = S3VersionDeleter(client, BUCKET, PREFIX).delete([A, odd])
    assert {each.entry: (each.code, each.message) for each in outcome.refused} == {
        A: ("Unanswered", "ReadTimeoutError"),
        odd: ("Unanswered", "ReadTimeoutError"),
    }


def test_an_error_counts_before_a_success() -> None:
    outcome = outcome_of([A], [A], [Refusal(A, "AccessDenied", "locked")])
    assert (outcome.deleted, [each.entry for each in outcome.refused]) == ((), [A])


def test_who_may_not_delete_has_failed_and_does_not_wait() -> None:
    """S3 says AccessDenied of a lock and of a policy alike: a prune whose role is denied must not end as done."""
    locked = Refusal(A, "AccessDenied", "Access Denied because object protected by object lock.")
    denied = Refusal(
        A,
        "AccessDenied",
        "User: arn:aws:sts::123456789012:assumed-role/rwm-apply-prune/x is not authorized to perform:"
        " s3:DeleteObjectVersion on resource: … with an explicit deny in a resource-based policy",
    )
    assert (locked.answer, denied.answer) == (Answer.WAITS, Answer.FAILED)


def test_an_error_nobody_knows_is_a_failure() -> None:
    assert Refusal(A, "SomethingNew", "").answer is Answer.FAILED


# --- histories of keys -----------------------------------------------------------------------------


def histories(s3: "S3Client", keys: Sequence[str]) -> dict[str, list[str]]:
    found = list(S3KeyHistories(s3, BUCKET, PREFIX).of([ObjectKey(key) for key in keys]))
    assert all(history.count == len(history.entries) for history in found)
    return {history.key: [each.version_id for each in history.entries] for history in found}


def by_listing(s3: "S3Client", keys: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in S3VersionLister(s3, BUCKET, PREFIX).versions():
        if each.key in keys:
            found.setdefault(each.key, []).append(each.version_id)
    return found


def test_each_key_has_its_whole_history_and_one_without_any_is_left_out(s3: "S3Client") -> None:
    for key in ("a", "a/b", "ab", "b", "z"):
        put(s3, key, 2)
    hide(s3, "ab")
    s3.put_object(Bucket=BUCKET, Key="restic/betaab", Body=b"another repository's")
    asked_for = ["a", "aa", "ab", "z", "zz"]
    assert histories(s3, asked_for) == by_listing(s3, asked_for)
    assert list(histories(s3, asked_for)) == ["a", "ab", "z"]
    assert len(histories(s3, ["ab"])["ab"]) == 3
    assert histories(s3, []) == {}


KEYS = ["", "a", "a/", "a/b", "aa", "ab", "b", "data/00/é", "data/00/+ %", "z"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(KEYS[1:]), max_size=12), st.sets(st.sampled_from(KEYS)), st.integers(1, 4))
def test_it_finds_what_a_whole_listing_finds_however_long_a_page_is(
    written: list[str], wanted: set[str], size: int
) -> None:
    """Histories cross pages, and keys lie between them."""
    with strict(size) as s3:
        for key in written:
            put(s3, key)
        assert histories(s3, sorted(wanted)) == by_listing(s3, sorted(wanted))


def test_keys_far_apart_are_sought_from_just_before_them_and_not_listed_through() -> None:
    answers = [
        truncated(entry("p/a"), entry("p/b"), key="p/b", version_id="v"),
        page(entry("p/zz")),
    ]
    with canned(*answers) as (client, queries):
        found = list(S3KeyHistories(client, "bucket", "p/").of([ObjectKey("a"), ObjectKey("zz")]))
    assert [history.key for history in found] == ["a", "zz"]
    assert queries[0]["key-marker"] == ["p/"]
    assert queries[1]["key-marker"] == ["p/z"]
    assert "version-id-marker" not in queries[1]


def test_of_a_flood_it_says_that_it_is_one_and_reads_no_further() -> None:
    many = [entry("p/a", f"v{number}") for number in range(MOST_ENTRIES + 1)]
    answers = [truncated(*many, key="p/a", version_id=f"v{MOST_ENTRIES}"), page(entry("p/b"))]
    with canned(*answers) as (client, queries):
        flood, other = S3KeyHistories(client, "bucket", "p/").of([ObjectKey("a"), ObjectKey("b")])
    assert is_flooded(flood)
    assert (other.key, other.count) == ("b", 1)
    assert (queries[1]["key-marker"], "version-id-marker" in queries[1]) == (["p/a"], False)


def test_where_a_key_marker_begins_with_its_key_a_flood_is_read_to_its_end() -> None:
    """As Ceph does; on S3 a key marker begins after it."""
    many = [entry("p/a", f"v{number}") for number in range(MOST_ENTRIES + 1)]
    again = truncated(*many, key="p/a", version_id=f"v{MOST_ENTRIES}")
    with canned(again, again, page(entry("p/a", "last"), entry("p/b"))) as (client, queries):
        flood, other = S3KeyHistories(client, "bucket", "p/").of([ObjectKey("a"), ObjectKey("b")])
    assert is_flooded(flood)
    assert (other.key, other.count) == ("b", 1)
    assert queries[2]["version-id-marker"] == [f"v{MOST_ENTRIES}"]


@pytest.mark.parametrize(
    "answers",
    [
        [page(entry("p/b"), entry("p/a"))],
        [truncated(entry("p/a"), key="p/a", version_id="v")],
        ["<Nonsense/>"],
        [page(entry("elsewhere/a"))],
    ],
    ids=["disorder", "it does not advance", "no listing", "another prefix"],
)
def test_a_listing_that_cannot_be_trusted_raises(answers: list[str]) -> None:
    with canned(*answers) as (client, _), pytest.raises(MalformedListing):
        list(S3KeyHistories(client, "bucket", "p/").of([ObjectKey("a"), ObjectKey("zz")]))


def test_keys_that_do_not_ascend_are_refused(s3: "S3Client") -> None:
    for keys in (["b", "a"], ["a", "a"]):
        with pytest.raises(MalformedListing, match="do not ascend"):
            histories(s3, keys)


def test_a_history_has_the_order_in_which_s3_lists_it(s3: "S3Client") -> None:
    first, second = put(s3, "a", 2)
    marker = hide(s3, "a")
    (history,) = S3KeyHistories(s3, BUCKET, PREFIX).of([ObjectKey("a")])
    assert isinstance(history, KeyHistory)
    assert [each.version_id for each in history.entries] == [marker.version_id, second.version_id, first.version_id]
    assert all(isinstance(each.last_modified, datetime) for each in history.entries)


# --- pending uploads -------------------------------------------------------------------------------


def test_every_key_with_an_upload_that_is_not_completed_is_named(s3: "S3Client") -> None:
    for key in ("a", "a", "b c+d", "other"):
        s3.create_multipart_upload(Bucket=BUCKET, Key=PREFIX + key)
    s3.create_multipart_upload(Bucket=BUCKET, Key="elsewhere/a")
    found = S3PendingUploads(s3, BUCKET, PREFIX).keys()
    assert found >= {"a", "b c+d", "other"}
    assert not [key for key in found if "elsewhere" in key]


def test_uploads_are_read_page_by_page_and_keys_are_decoded(stubbed: tuple["S3Client", Stubber]) -> None:
    client, stub = stubbed
    about = {"Bucket": BUCKET, "Prefix": PREFIX, "EncodingType": "url"}
    first = {
        "EncodingType": "url",
        "Uploads": [{"Key": f"{PREFIX}a%07b", "UploadId": "1"}],
        "IsTruncated": True,
        "NextKeyMarker": f"{PREFIX}a%07b",
        "NextUploadIdMarker": "1",
    }
    last = {"EncodingType": "url", "Uploads": [{"Key": f"{PREFIX}c+d", "UploadId": "2"}], "IsTruncated": False}
    stub.add_response("list_multipart_uploads", first, about)
    markers = {"KeyMarker": f"{PREFIX}a\x07b", "UploadIdMarker": "1"}
    stub.add_response("list_multipart_uploads", last, {**about, **markers})
    assert S3PendingUploads(client, BUCKET, PREFIX).keys() >= {"a\x07b", "c d"}


def test_a_server_that_encodes_keys_and_does_not_say_so_hides_no_upload(stubbed: tuple["S3Client", Stubber]) -> None:
    """Ceph, seen: a marker whose key has a pending upload would go."""
    client, stub = stubbed
    stub.add_response("list_multipart_uploads", {"Uploads": [{"Key": f"{PREFIX}x%20y%2Bz"}], "IsTruncated": False})
    assert "x y+z" in S3PendingUploads(client, BUCKET, PREFIX).keys()  # noqa: SIM118 - no dict
    more = {"Uploads": [], "IsTruncated": True, "NextKeyMarker": f"{PREFIX}x%20y", "NextUploadIdMarker": "1"}
    stub.add_response("list_multipart_uploads", more)
    with pytest.raises(UploadsUnlisted, match="in two ways"):
        S3PendingUploads(client, BUCKET, PREFIX).keys()


def test_a_listing_of_uploads_that_does_not_advance_raises(
    stubbed: tuple["S3Client", Stubber],
) -> None:
    client, stub = stubbed
    same = {"Uploads": [], "IsTruncated": True, "NextKeyMarker": f"{PREFIX}a", "NextUploadIdMarker": "1"}
    for _ in range(2):
        stub.add_response("list_multipart_uploads", same)
    with pytest.raises(UploadsUnlisted, match="does not advance"):
        S3PendingUploads(client, BUCKET, PREFIX).keys()

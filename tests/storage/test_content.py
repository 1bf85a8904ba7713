"""What is remembered of read versions, over the fakes and over DynamoDB (moto) alike; and S3's word for a failure."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws

from functions.domain.content.plan import name_of
from functions.domain.content.results import Sight
from functions.domain.content.sets import DamagedVersions, VerifiedSet, damaged_parts
from functions.domain.documents import UnreadableDocument
from functions.domain.ports import FirstSightLog, NotRead, VerifiedSetLog
from functions.domain.values import Digest, ObjectKey, RepositoryName, StateId, VersionGone, VersionId
from functions.storage.content import DynamoFirstSights, DynamoSeenContent, DynamoVerifiedSets, S3ContentReader
from tests.builders import at, pack, version
from tests.fakes.content import FakeFirstSights, FakeVerifiedSets
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ALPHA, BETA = RepositoryName("alpha"), RepositoryName("beta")
ONE, TWO = Digest("1" * 64), Digest("2" * 64)


@pytest.fixture
def dynamodb() -> Iterator["DynamoDBClient"]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client, "operations")
        yield client


@dataclass(frozen=True, slots=True)
class Kept:
    """Both ports."""

    memory: VerifiedSetLog
    sights: FirstSightLog


@pytest.fixture(params=["fake", "dynamodb"])
def kept(request: pytest.FixtureRequest, dynamodb: "DynamoDBClient") -> Kept:
    if request.param == "fake":
        return Kept(FakeVerifiedSets(), FakeFirstSights())
    return Kept(DynamoVerifiedSets(dynamodb, "operations"), DynamoFirstSights(dynamodb, "operations"))


def a_set(generation: int = 1, repository: RepositoryName = ALPHA, execution: str = "monday") -> VerifiedSet:
    return VerifiedSet(
        repository=repository,
        state=StateId("f" * 64),
        generation=generation,
        cut_time=at(0),
        execution=execution,
        plan=ONE,
        plan_version=VersionId("v"),
        unread=(3, 4),
        but=((ObjectKey("ä\nkey"), VersionId("v'1")),),
    )


def a_sight(key: str = "config", version_id: str = "v1", sha256: Digest = ONE) -> Sight:
    return Sight(key=ObjectKey(key), version_id=VersionId(version_id), written=at(0), sha256=sha256)


def test_nothing_is_remembered_at_first(kept: Kept) -> None:
    assert kept.memory.sets(ALPHA) == ()
    assert kept.memory.damaged(ALPHA) == frozenset()


def test_sets_come_back_whole_each_once_and_of_their_repository_only(kept: Kept) -> None:
    mine = [a_set(1), a_set(12), a_set(12, execution="tuesday")]
    for one in (*mine, mine[0], a_set(1, BETA)):
        kept.memory.append(one)
    assert set(kept.memory.sets(ALPHA)) == set(mine)
    assert len(kept.memory.sets(ALPHA)) == 3
    assert kept.memory.sets(BETA) == (a_set(1, BETA),)


def test_damaged_versions_come_back_from_all_parts(kept: Kept) -> None:
    names = frozenset((ObjectKey(pack(str(number))), VersionId("v" * 100)) for number in range(3000))
    parts = list(damaged_parts(ALPHA, names))
    assert len(parts) > 1
    for part in (*parts, parts[0]):
        kept.memory.append_damaged(part)
    kept.memory.append_damaged(DamagedVersions(repository=BETA, versions=((ObjectKey("a"), VersionId("b")),)))
    assert kept.memory.damaged(ALPHA) == names


def test_a_first_sight_is_kept_once_and_is_what_every_later_one_is_told(kept: Kept) -> None:
    assert kept.sights.keep(ALPHA, a_sight()) == ONE
    assert kept.sights.keep(ALPHA, a_sight()) == ONE
    assert kept.sights.keep(ALPHA, a_sight(sha256=TWO)) == ONE
    assert kept.sights.keep(ALPHA, a_sight()) == ONE


def test_a_first_sight_is_of_one_version_of_one_repository(kept: Kept) -> None:
    kept.sights.keep(ALPHA, a_sight())
    assert kept.sights.keep(ALPHA, a_sight(version_id="v2", sha256=TWO)) == TWO
    assert kept.sights.keep(ALPHA, a_sight(key="alien", sha256=TWO)) == TWO
    assert kept.sights.keep(ALPHA, a_sight(key="", sha256=TWO)) == TWO
    assert kept.sights.keep(BETA, a_sight(sha256=TWO)) == TWO


def test_of_two_checks_that_see_a_version_at_once_the_first_to_write_is_believed(dynamodb: "DynamoDBClient") -> None:
    other = DynamoFirstSights(dynamodb, "operations")
    pending = [a_sight(sha256=TWO)]

    def between(**_: Any) -> None:
        if pending:
            assert other.keep(ALPHA, pending.pop()) == TWO

    dynamodb.meta.events.register("before-call.dynamodb.PutItem", between)
    assert DynamoFirstSights(dynamodb, "operations").keep(ALPHA, a_sight()) == TWO


def items(dynamodb: "DynamoDBClient") -> list[dict[str, Any]]:
    return [dict(item) for item in dynamodb.scan(TableName="operations")["Items"]]


def test_a_set_that_was_changed_by_hand_is_refused(dynamodb: "DynamoDBClient") -> None:
    memory = DynamoVerifiedSets(dynamodb, "operations")
    memory.append(a_set())
    (item,) = items(dynamodb)
    less = a_set().model_copy(update={"but": ()})
    dynamodb.put_item(TableName="operations", Item={**item, "document": {"B": less.canonical()}})
    with pytest.raises(UnreadableDocument, match="changed by hand; nothing was decided"):
        memory.sets(ALPHA)


def test_damaged_versions_that_were_changed_by_hand_are_refused(dynamodb: "DynamoDBClient") -> None:
    memory = DynamoVerifiedSets(dynamodb, "operations")
    memory.append_damaged(DamagedVersions(repository=ALPHA, versions=((ObjectKey("a"), VersionId("b")),)))
    (item,) = items(dynamodb)
    none = DamagedVersions(repository=ALPHA, versions=())
    dynamodb.put_item(TableName="operations", Item={**item, "document": {"B": none.canonical()}})
    with pytest.raises(UnreadableDocument, match="changed by hand"):
        memory.damaged(ALPHA)


@pytest.mark.parametrize("changed", [{"format": {"N": "2"}}, {"version_id": {"S": "other"}}])
def test_a_first_sight_of_another_format_or_version_is_refused(
    dynamodb: "DynamoDBClient", changed: dict[str, Any]
) -> None:
    sights = DynamoFirstSights(dynamodb, "operations")
    sights.keep(ALPHA, a_sight())
    (item,) = items(dynamodb)
    dynamodb.put_item(TableName="operations", Item={**item, **changed})
    with pytest.raises(UnreadableDocument, match="nothing was decided"):
        sights.keep(ALPHA, a_sight())


def test_a_first_sight_is_not_among_what_a_reader_of_verdicts_queries(dynamodb: "DynamoDBClient") -> None:
    DynamoFirstSights(dynamodb, "operations").keep(ALPHA, a_sight())
    assert [item["pk"] for item in items(dynamodb)] == [{"S": "sight#alpha"}]


# --- reading ---------------------------------------------------------------------------------------


KEY, VERSION = ObjectKey("config"), VersionId("v1")


@pytest.mark.parametrize(
    ("code", "raised"),
    [("AccessDenied", NotRead), ("InvalidObjectState", NotRead), ("NoSuchVersion", VersionGone)],
)
def test_a_refused_read_says_s3s_error_code(code: str, raised: type[Exception]) -> None:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error("get_object", code)
        with pytest.raises(raised) as caught:
            list(S3ContentReader(client, "bucket", "prefix/").read(KEY, VERSION))
    if raised is NotRead:
        assert str(caught.value) == code


def test_a_body_that_ends_early_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_response(
            "get_object",
            {"Body": StreamingBody(BytesIO(b"half"), 8)},
            {"Bucket": "bucket", "Key": "prefix/config", "VersionId": "v1"},
        )
        with pytest.raises(NotRead, match="IncompleteReadError"):
            list(S3ContentReader(client, "bucket", "prefix/").read(KEY, VERSION))


def test_names_are_of_key_and_version_id() -> None:
    assert name_of(a_sight()) == (KEY, VERSION)


def test_what_was_seen_first_is_told_of_exactly_that_version(dynamodb: "DynamoDBClient") -> None:
    one = version("config", version_id="v1")
    sight = Sight(key=one.key, version_id=one.version_id, written=at(0), sha256=ONE)
    DynamoFirstSights(dynamodb, "operations").keep(ALPHA, sight)
    seen = DynamoSeenContent(dynamodb, "operations")
    assert seen.sha256(ALPHA, one) == ONE
    assert seen.sha256(BETA, one) is None
    assert seen.sha256(ALPHA, version("config", version_id="v2")) is None
    place = {"pk": {"S": "sight#alpha"}, "sk": dynamodb.scan(TableName="operations")["Items"][0]["sk"]}
    dynamodb.update_item(
        TableName="operations",
        Key=place,
        UpdateExpression="SET version_id = :other",
        ExpressionAttributeValues={":other": {"S": "v9"}},
    )
    with pytest.raises(UnreadableDocument, match="is of another version or format"):
        seen.sha256(ALPHA, one)

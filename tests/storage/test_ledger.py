"""The ledger's guards one by one: each holds where every other one would let a bad write or a bad read pass.

tests/contract/test_ledger_ports.py shows what they do together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from functions.domain.documents import UnreadableDocument
from functions.domain.ports import AttemptClosed, HeadMoved, RecordingInFlight
from functions.domain.state import Cause, ChunkSet, Head, StateHeader, describe
from functions.domain.values import AttemptId, Digest, RepositoryName, StateId
from functions.storage.ledger import DynamoChunkCollector, DynamoRecordingLedger
from tests.builders import at, listing, pack, version
from tests.cuts import take_cut
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ALPHA, BETA = RepositoryName("alpha"), RepositoryName("beta")
ONE, TWO = AttemptId("one"), AttemptId("two")
FIRST = "state#0000000001"


@dataclass(frozen=True, slots=True)
class Table:
    """A ledger, and what a person with write access to its table could do past it."""

    client: "DynamoDBClient"
    ledger: DynamoRecordingLedger
    collector: DynamoChunkCollector

    def item(self, pk: str, sk: str) -> dict[str, Any]:
        answer = self.client.get_item(TableName="ledger", Key={"pk": {"S": pk}, "sk": {"S": sk}})
        return dict(answer["Item"])

    def put(self, item: dict[str, Any]) -> None:
        self.client.put_item(TableName="ledger", Item=item)

    def delete(self, pk: str, sk: str) -> None:
        self.client.delete_item(TableName="ledger", Key={"pk": {"S": pk}, "sk": {"S": sk}})

    def just_before_the_next_transaction(self, act: Callable[[], None]) -> None:
        """Another recorder's whole run, after this one has read and before it writes."""
        pending = [act]

        def run_once(**_: Any) -> None:
            if pending:
                pending.pop()()

        self.client.meta.events.register("before-call.dynamodb.TransactWriteItems", run_once)


@pytest.fixture
def table() -> Iterator[Table]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client, "ledger")
        ledger = DynamoRecordingLedger(client, "ledger", pause=lambda _: None)
        yield Table(client, ledger, DynamoChunkCollector(client, "ledger"))


def header(attempt: AttemptId, parent: StateHeader | None = None, *, seconds: float = 0.0) -> StateHeader:
    return describe(
        take_cut(listing(version(pack(attempt))), at(seconds)),
        repository=ALPHA,
        parent=parent,
        own_chunks=ChunkSet(attempt=attempt, count=1, digest=Digest("0" * 64)),
        recorded_at=at(seconds + 10),
        cause=Cause(reason="event"),
    )


def recorded(table: Table) -> StateHeader:
    """A first state, and a second recording that is in flight."""
    first = header(ONE)
    table.ledger.begin(ALPHA, ONE, at(0), at(60))
    table.ledger.commit(first, ONE, None)
    table.ledger.begin(ALPHA, TWO, at(100), at(160))
    return first


# --- writing ---------------------------------------------------------------------------------------


def test_a_commit_on_a_head_of_the_same_generation_and_another_state_is_refused(table: Table) -> None:
    first = recorded(table)
    exchanged = Head.of(first).model_copy(update={"state": StateId("f" * 64)})
    with pytest.raises(HeadMoved):
        table.ledger.commit(header(TWO, first, seconds=100), TWO, exchanged)
    assert table.ledger.head(ALPHA) == Head.of(first)


def test_a_commit_on_a_head_of_another_generation_is_refused_even_where_no_header_is_in_the_way(table: Table) -> None:
    first = recorded(table)
    ahead = header(TWO, first, seconds=100).model_copy(update={"generation": 9})
    with pytest.raises(HeadMoved):
        table.ledger.commit(ahead, TWO, Head.of(first).model_copy(update={"generation": 8}))
    with pytest.raises(HeadMoved):
        table.ledger.commit(ahead, TWO, None)
    assert table.ledger.head(ALPHA) == Head.of(first)
    assert list(table.ledger.headers(ALPHA)) == [first]


def test_a_header_is_never_replaced_even_where_the_head_was_taken_away(table: Table) -> None:
    first = recorded(table)
    table.delete(ALPHA, "head")
    with pytest.raises(HeadMoved):
        table.ledger.commit(header(TWO, seconds=100), TWO, None)
    assert list(table.ledger.headers(ALPHA)) == [first]


def test_an_open_attempt_whose_lease_is_anothers_cannot_commit(table: Table) -> None:
    table.ledger.begin(ALPHA, ONE, at(0), at(60))
    table.put({**table.item(ALPHA, "recording"), "attempt": {"S": TWO}})
    with pytest.raises(AttemptClosed):
        table.ledger.commit(header(ONE), ONE, None)
    assert table.ledger.head(ALPHA) is None


def test_of_two_recorders_that_both_saw_no_lease_one_gets_it(table: Table) -> None:
    table.just_before_the_next_transaction(lambda: table.ledger.begin(ALPHA, ONE, at(0), at(60)))
    with pytest.raises(RecordingInFlight) as refused:
        table.ledger.begin(ALPHA, TWO, at(0), at(90))
    assert refused.value.until == at(60)
    table.ledger.commit(header(ONE), ONE, None)


def test_of_two_recorders_that_both_saw_the_same_ended_lease_one_gets_it(table: Table) -> None:
    first = header(ONE)
    table.ledger.begin(ALPHA, ONE, at(0), at(60))
    table.ledger.commit(first, ONE, None)
    table.just_before_the_next_transaction(lambda: table.ledger.begin(ALPHA, TWO, at(100), at(160)))
    with pytest.raises(RecordingInFlight) as refused:
        table.ledger.begin(ALPHA, AttemptId("three"), at(100), at(190))
    assert refused.value.until == at(160)
    table.ledger.commit(header(TWO, first, seconds=100), TWO, Head.of(first))


# --- reading ---------------------------------------------------------------------------------------


def test_every_read_of_the_ledger_is_strongly_consistent(table: Table) -> None:
    read: list[tuple[str, object]] = []

    def see(params: dict[str, Any], model: Any, **_: Any) -> None:
        read.append((model.name, params.get("ConsistentRead")))

    for operation in ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"):
        table.client.meta.events.register(f"provide-client-params.dynamodb.{operation}", see)
    first = recorded(table)
    with pytest.raises(RecordingInFlight):
        table.ledger.begin(ALPHA, AttemptId("three"), at(101), at(160))
    table.ledger.begin(ALPHA, AttemptId("three"), at(160), at(200))
    table.ledger.reserve(ALPHA, AttemptId("three"), 1)
    table.ledger.put_chunk(AttemptId("three"), 0, b"chunk")
    table.ledger.abandon(ALPHA, AttemptId("three"), at(170))
    assert table.ledger.head(ALPHA) == Head.of(first)
    assert table.ledger.header(ALPHA, 1) == first
    assert list(table.ledger.headers(ALPHA)) == [first]
    assert table.ledger.chunk(AttemptId("three"), 0) == b"chunk"
    for attempt, reserved in list(table.collector.closed_attempts(ALPHA)):
        table.collector.collect(ALPHA, attempt, reserved)
    assert {name for name, _ in read} == {"GetItem", "Query"}
    assert [each for each in read if each[1] is not True] == []


@pytest.mark.parametrize("forged", ["content", "id", "repository", "generation"])
def test_a_header_that_was_changed_or_moved_in_the_table_is_not_read(table: Table, forged: str) -> None:
    first = recorded(table)
    item = table.item(ALPHA, FIRST)
    table.delete(ALPHA, FIRST)
    changes: dict[str, dict[str, Any]] = {
        "content": {"document": {"B": first.model_copy(update={"objects": 0}).canonical()}},
        "id": {"id": {"S": "f" * 64}},
        "repository": {"pk": {"S": BETA}},
        "generation": {"sk": {"S": "state#0000000002"}},
    }
    table.put({**item, **changes[forged]})
    repository = BETA if forged == "repository" else ALPHA
    with pytest.raises(UnreadableDocument, match="nothing was decided"):
        table.ledger.header(repository, 2 if forged == "generation" else 1)
    with pytest.raises(UnreadableDocument, match="nothing was decided"):
        list(table.ledger.headers(repository))

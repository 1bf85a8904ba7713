"""Verdicts in the operations table: appended and never changed, and believed only in their place.

What the ports promise is in tests/contract; here is what only the table can show.
"""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from functions.domain.documents import UnreadableDocument
from functions.domain.evidence import pack_evidence
from functions.domain.values import RepositoryName
from functions.domain.verdict import Judged
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictLog, DynamoVerdictReader
from tests.builders import at, pack
from tests.domain.judging import ALPHA, FAIL, evidence, finding, header, judge
from tests.tables import create_table

TABLE = "operations"
ATTACK = finding(evidence(pack("a"), "1", "2"))


class Operations:
    """The table, and somebody who can write it by hand."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(self.client, TABLE)
        self.log = DynamoVerdictLog(self.client, TABLE)
        self.reader = DynamoVerdictReader(self.client, TABLE)
        self.acknowledgements = DynamoAcknowledgements(self.client, TABLE)

    def items(self) -> list[dict[str, Any]]:
        return self.client.scan(TableName=TABLE)["Items"]

    def change(self, place: str, begins: str, /, **attributes: Any) -> None:
        (item,) = [each for each in self.items() if each["pk"]["S"] == place and each["sk"]["S"].startswith(begins)]
        self.client.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
        self.client.put_item(TableName=TABLE, Item={**item, **attributes})

    def append(self, *judged: Judged) -> None:
        for each in judged:
            self.log.append(each)


@pytest.fixture
def operations() -> Iterator[Operations]:
    with mock_aws():
        yield Operations()


def test_items_lie_where_the_module_says(operations: Operations) -> None:
    own, copy = judge(header(), ATTACK), judge(header(), target="rwm-restore-1/")
    operations.append(own, copy)
    operations.acknowledgements.append(own.verdict, ATTACK.id, ATTACK.evidence, "arn:somebody", at(99))
    digest, copied = own.verdict.digest, copy.verdict.digest
    (said,) = [item["sk"]["S"] for item in operations.items() if item["pk"]["S"] == "ack#alpha"]
    assert said.startswith("pack-overwritten#")
    assert {(item["pk"]["S"], item["sk"]["S"]) for item in operations.items()} == {
        ("ack#alpha", said),
        ("alpha", f"copy-verdict#2026-11-21T12:01:00Z#{copied[:16]}"),
        ("alpha", f"verdict#0000000001#2026-11-21T12:01:00Z#{digest[:16]}"),
        (f"evidence#{digest}", "0000"),
    }


def test_outcome_and_level_can_be_queried_beside_the_document(operations: Operations) -> None:
    operations.append(judge(header(), FAIL))
    (item,) = operations.items()
    assert (item["level"], item["outcome"]) == ({"S": "consistent"}, {"S": "fail"})


def test_a_verdict_is_never_changed(operations: Operations) -> None:
    judged = judge(header(), ATTACK)
    operations.append(judged)
    before = operations.items()
    operations.change(ALPHA, "verdict#", outcome={"S": "marked"})
    operations.append(judged)
    assert [item["outcome"]["S"] for item in operations.items() if "outcome" in item] == ["marked"]
    assert len(operations.items()) == len(before) == 2


def test_evidence_is_written_before_its_verdict(operations: Operations, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in between, there is evidence without a verdict, which says nothing; never the other way round."""
    put, places = operations.client.put_item, []

    def put_item(**request: Any) -> Any:
        places.append(request["Item"]["pk"]["S"].partition("#")[0])
        return put(**request)

    monkeypatch.setattr(operations.client, "put_item", put_item)
    operations.append(judge(header(), ATTACK))
    assert places == ["evidence", "alpha"]


@pytest.mark.parametrize(
    ("repository", "to"),
    [("alpha", {"sk": {"S": "verdict#0000000009#2026-11-21T12:01:00Z#0"}}), ("beta", {"pk": {"S": "beta"}})],
    ids=["to another generation", "to another repository"],
)
def test_a_verdict_that_was_moved_is_not_believed(operations: Operations, repository: str, to: dict[str, Any]) -> None:
    """A pass of a good state must not speak for a bad one."""
    operations.append(judge(header()))
    operations.change(ALPHA, "verdict#", **to)
    with pytest.raises(UnreadableDocument, match="where it does not belong; it was changed by hand"):
        list(operations.reader.verdicts(RepositoryName(repository)))


def test_a_verdict_on_a_copy_cannot_pass_for_one_on_the_state(operations: Operations) -> None:
    operations.append(judge(header(), target="rwm-restore-1/"))
    operations.change(ALPHA, "copy-verdict#", sk={"S": "verdict#0000000001#2026-11-21T12:01:00Z#0"})
    with pytest.raises(UnreadableDocument, match="where it does not belong"):
        list(operations.reader.verdicts(ALPHA))


def test_an_edited_verdict_is_not_believed(operations: Operations) -> None:
    judged = judge(header(), FAIL)
    operations.append(judged)
    passed = judged.verdict.model_copy(update={"findings": ()})
    operations.change(ALPHA, "verdict#", document={"B": passed.canonical()})
    with pytest.raises(UnreadableDocument, match="it was changed by hand; nothing was decided"):
        list(operations.reader.verdicts(ALPHA))


def test_edited_evidence_is_not_believed(operations: Operations) -> None:
    """Else whoever writes the table chooses what an approver lays to rest."""
    judged = judge(header(), ATTACK)
    operations.append(judged)
    (forged,) = pack_evidence([finding(evidence(pack("a"), "1", "9"))])
    operations.change(f"evidence#{judged.verdict.digest}", "0000", evidence={"B": forged})
    with pytest.raises(UnreadableDocument, match="is not that of its verdict"):
        operations.reader.findings(judged.verdict)


def test_who_acknowledged_what_when_and_of_which_verdict_is_kept(operations: Operations) -> None:
    verdict = judge(header(), ATTACK).verdict
    operations.acknowledgements.append(verdict, ATTACK.id, ATTACK.evidence, "arn:somebody", at(99))
    operations.acknowledgements.append(verdict, ATTACK.id, ATTACK.evidence, "arn:somebody-else", at(999))
    (item,) = operations.items()
    assert (item["pk"]["S"], item["sk"]["S"][:17]) == ("ack#alpha", "pack-overwritten#")
    assert {name: item[name] for name in ("verdict", "finding", "by", "at")} == {
        "verdict": {"S": verdict.digest},
        "finding": {"S": "pack-overwritten"},
        "by": {"S": "arn:somebody"},
        "at": {"S": "2026-11-21T12:01:39Z"},
    }


def test_an_acknowledgement_of_another_version_of_rwm_is_not_guessed_at(operations: Operations) -> None:
    operations.acknowledgements.append(judge(header()).verdict, ATTACK.id, ATTACK.evidence, "somebody", at(99))
    operations.change("ack#alpha", "", format={"N": "2"})
    with pytest.raises(UnreadableDocument, match="nothing was decided; use a newer version"):
        operations.acknowledgements.acknowledgements(ALPHA)


def test_a_refusal_of_dynamodb_is_no_success(operations: Operations) -> None:
    gone = DynamoVerdictLog(operations.client, "gone")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        gone.append(judge(header()))

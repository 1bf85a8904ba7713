"""Verdicts, their evidence, and acknowledgements in the operations table: appended and never changed.

| item | pk | sk | holds |
|---|---|---|---|
| verdict | repository | `verdict#<generation>#<judged at>#<digest>` | canonical bytes, level, outcome |
| verdict on a restored copy | repository | `copy-verdict#<judged at>#<digest>` | the same |
| evidence | `evidence#<verdict's digest>` | `0000` | packed evidence; as many items as it takes |
| acknowledgement | `ack#<repository>` | `<finding>#<evidence's digest>` | packed evidence that somebody laid to rest |

Acknowledgements have partitions of their own because IAM tells partitions apart: only the function that approvers
call may write them, and it may write nothing else (infra/access.py).
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.domain.documents import UnreadableDocument
from functions.domain.evidence import findings_of, pack_evidence, unpack_evidence
from functions.domain.findings import Acknowledgement
from functions.domain.values import Evidence, Finding, RepositoryName, Severity, zulu
from functions.domain.verdict import Judged, Verdict
from functions.storage import queries
from functions.storage.aws import error_code
from functions.storage.queries import Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoVerdictLog:
    """VerdictLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def append(self, judged: Judged) -> None:
        verdict = judged.verdict
        for number, part in enumerate(pack_evidence(judged.findings)):
            _append(self._client, self._table, {**_evidence_key(verdict, number), "evidence": {"B": part}})
        _append(
            self._client,
            self._table,
            {
                "pk": {"S": verdict.repository},
                "sk": {"S": _verdict_place(verdict)},
                "document": {"B": verdict.canonical()},
                "level": {"S": verdict.level},
                "outcome": {"S": verdict.outcome},
            },
        )


class DynamoVerdictReader:
    """VerdictReader over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        return self._stored(repository, "verdict#")

    def copy_verdicts(self, repository: RepositoryName) -> Iterator[Verdict]:
        return self._stored(repository, "copy-verdict#")

    def _stored(self, repository: RepositoryName, kind: str) -> Iterator[Verdict]:
        for item in queries.items(self._client, self._table, repository, kind, newest_first=True):
            verdict = Verdict.parse(bytes(item["document"]["B"]))
            if (item["pk"]["S"], item["sk"]["S"]) != (verdict.repository, _verdict_place(verdict)):
                raise UnreadableDocument(
                    f"operations holds a verdict of {verdict.repository} at {item['pk']['S']} {item['sk']['S']}, where "
                    "it does not belong; it was changed by hand; nothing was decided"
                )
            yield verdict

    def findings(self, verdict: Verdict) -> tuple[Finding, ...]:
        items = queries.items(self._client, self._table, f"evidence#{verdict.digest}")
        return findings_of(verdict, (bytes(item["evidence"]["B"]) for item in items))


class DynamoAcknowledgements:
    """AcknowledgementReader and AcknowledgementLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def acknowledgements(self, repository: RepositoryName) -> tuple[Acknowledgement, ...]:
        return tuple(
            Acknowledgement(item["finding"]["S"], each.key, frozenset(each.version_ids))
            for item in queries.items(self._client, self._table, f"ack#{repository}")
            for each in _acknowledged(item)
        )

    def append(self, verdict: Verdict, finding: str, evidence: Sequence[Evidence], by: str, at: datetime) -> None:
        bare = Finding(finding, Severity.NOTE, verdict.repository, at, "", "", tuple(evidence))
        for part in pack_evidence([bare]):
            said = hashlib.sha256(part).hexdigest()[:32]
            _append(
                self._client,
                self._table,
                {
                    "pk": {"S": f"ack#{verdict.repository}"},
                    "sk": {"S": f"{finding}#{said}"},
                    "format": {"N": "1"},
                    "verdict": {"S": verdict.digest},
                    "finding": {"S": finding},
                    "evidence": {"B": part},
                    "by": {"S": by},
                    "at": {"S": zulu(at)},
                },
            )


def _acknowledged(item: Item) -> tuple[Evidence, ...]:
    if item.get("format") != {"N": "1"}:
        raise UnreadableDocument(
            f"an acknowledgement has format {item.get('format')} and this version of RWM reads 1; nothing was "
            "decided; use a newer version"
        )
    repository = RepositoryName(item["pk"]["S"].removeprefix("ack#"))
    bare = Finding(item["finding"]["S"], Severity.NOTE, repository, _EPOCH, "", "")
    (found,) = unpack_evidence([bytes(item["evidence"]["B"])], [bare])
    return found.evidence


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


def _verdict_place(verdict: Verdict) -> str:
    when = f"{zulu(verdict.judged_at)}#{verdict.digest[:16]}"
    return f"copy-verdict#{when}" if verdict.target is not None else f"verdict#{verdict.generation:010d}#{when}"


def _evidence_key(verdict: Verdict, number: int) -> dict[str, Any]:
    return {"pk": {"S": f"evidence#{verdict.digest}"}, "sk": {"S": f"{number:04d}"}}


def _append(client: "DynamoDBClient", table: str, item: Item) -> None:
    """Put `item` unless its key is taken: the key holds a digest of it, so what is there is the same."""
    try:
        client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise

"""What is remembered of read versions, in the operations table; and reading them, with S3's own word for a failure.

| item | pk | sk | holds |
|---|---|---|---|
| verified set | repository | `verified#<generation>#<digest>` | canonical bytes |
| damaged versions | repository | `damaged#<digest>` | canonical bytes; as many items as it takes |
| first sight | `sight#<repository>` | SHA-256 of key and version id | key, version id, SHA-256 of the bytes |

First sights have a partition of their own: whoever floods a repository with alien keys must not slow down who reads
its verdicts.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.content.plan import VersionName, name_of
from functions.domain.content.results import Sight
from functions.domain.content.sets import DamagedVersions, VerifiedSet
from functions.domain.documents import UnreadableDocument
from functions.domain.ports import NotRead
from functions.domain.values import Digest, ObjectKey, ObjectVersion, RepositoryName, VersionId, zulu
from functions.storage import queries
from functions.storage.aws import error_code
from functions.storage.bucket import S3PinnedReader
from functions.storage.queries import Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


class S3ContentReader:
    """PinnedReader over boto3 that says why bytes do not come."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._reader = S3PinnedReader(client, bucket, key_prefix)

    def read(self, key: ObjectKey, version_id: VersionId) -> Iterator[bytes]:
        """Raises VersionGone, and NotRead at any piece."""
        try:
            yield from self._reader.read(key, version_id)
        except ClientError as error:
            raise NotRead(error_code(error)) from error
        except BotoCoreError as error:
            raise NotRead(type(error).__name__) from error


class DynamoVerifiedSets:
    """VerifiedSets and VerifiedSetLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def sets(self, repository: RepositoryName) -> tuple[VerifiedSet, ...]:
        found = []
        for item in queries.items(self._client, self._table, repository, "verified#"):
            one = VerifiedSet.parse(bytes(item["document"]["B"]))
            _check_place(item, one.repository, _set_place(one))
            found.append(one)
        return tuple(found)

    def damaged(self, repository: RepositoryName) -> frozenset[VersionName]:
        found: set[VersionName] = set()
        for item in queries.items(self._client, self._table, repository, "damaged#"):
            part = DamagedVersions.parse(bytes(item["document"]["B"]))
            _check_place(item, part.repository, f"damaged#{part.digest}")
            found.update(part.versions)
        return frozenset(found)

    def append(self, verified: VerifiedSet) -> None:
        self._put(verified.repository, _set_place(verified), verified.canonical())

    def append_damaged(self, damaged: DamagedVersions) -> None:
        self._put(damaged.repository, f"damaged#{damaged.digest}", damaged.canonical())

    def _put(self, repository: RepositoryName, place: str, document: bytes) -> None:
        item = {"pk": {"S": repository}, "sk": {"S": place}, "document": {"B": document}}
        _append(self._client, self._table, item)


class DynamoFirstSights:
    """FirstSightLog over boto3."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def keep(self, repository: RepositoryName, sight: Sight) -> Digest:
        if (known := self._get(repository, sight)) is not None:
            return known
        item = {
            **_sight_place(repository, name_of(sight)),
            "format": {"N": "1"},
            "key": {"S": sight.key},
            "version_id": {"S": sight.version_id},
            "written": {"S": zulu(sight.written)},
            "sha256": {"S": sight.sha256},
        }
        if _append(self._client, self._table, item):
            return sight.sha256
        # Another check kept it in between; nothing ever deletes one.
        return self._get(repository, sight) or sight.sha256

    def _get(self, repository: RepositoryName, sight: Sight) -> Digest | None:
        return _seen(self._client, self._table, repository, name_of(sight))


class DynamoSeenContent:
    """What a check of content saw first, for who reads the same versions again. Needs dynamodb:GetItem."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def sha256(self, repository: RepositoryName, version: ObjectVersion) -> Digest | None:
        """Of the bytes of a version; None: no check read it. Raises UnreadableDocument."""
        return _seen(self._client, self._table, repository, (version.key, version.version_id))


def _set_place(one: VerifiedSet) -> str:
    return f"verified#{one.generation:010d}#{one.digest[:32]}"


def _seen(client: "DynamoDBClient", table: str, repository: RepositoryName, version: VersionName) -> Digest | None:
    place = _sight_place(repository, version)
    item = client.get_item(TableName=table, Key=place, ConsistentRead=True).get("Item")
    if item is None:
        return None
    if item.get("format") != {"N": "1"} or (item["key"]["S"], item["version_id"]["S"]) != version:
        raise UnreadableDocument(
            f"a first sight of {repository} is of another version or format; nothing was decided; use a newer "
            "version of RWM"
        )
    return Digest(item["sha256"]["S"])


def _sight_place(repository: RepositoryName, version: VersionName) -> dict[str, dict[str, str]]:
    name = hashlib.sha256("\0".join(version).encode()).hexdigest()
    return {"pk": {"S": f"sight#{repository}"}, "sk": {"S": name}}


def _check_place(item: Item, repository: RepositoryName, place: str) -> None:
    if (item["pk"]["S"], item["sk"]["S"]) != (repository, place):
        raise UnreadableDocument(
            f"operations holds at {item['pk']['S']} {item['sk']['S']} what belongs at {repository} {place}; it was "
            "changed by hand; nothing was decided"
        )


def _append(client: "DynamoDBClient", table: str, item: Mapping[str, Any]) -> bool:
    """Put `item` unless its key is taken; says whether it was put."""
    try:
        client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
    except ClientError as error:
        if error_code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True

"""Deleting exactly these versions, and the uploads that could still land beneath a marker.

Security rules:
- Each request names a version id. One without would hide instead of delete, and hide what is current.
- `Quiet` is false: every entry has to be answered for, and what no answer names is not taken for deleted.
- Governance is bypassed only by the call that is told to.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.prune.deleting import (
    DENIED,
    MOST_IN_A_CALL,
    Answer,
    DeleteOutcome,
    Doomed,
    Refusal,
    outcome_of,
    unanswered,
)
from functions.domain.values import ObjectKey, VersionId
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOT_IN_XML = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""A key with one of these makes the whole request, of a thousand entries, unreadable: each is deleted by itself."""


class S3VersionDeleter:
    """VersionDeleter over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def delete(self, doomed: Sequence[Doomed], *, bypass_governance: bool = False) -> DeleteOutcome:
        if len(doomed) > MOST_IN_A_CALL:
            raise ValueError(f"{len(doomed)} entries are more than one call takes; nothing was deleted")
        if any(not entry.version_id for entry in doomed):
            raise ValueError("an entry without a version id would be hidden, not deleted; nothing was deleted")
        # The header alone is refused by a bucket without Object Lock.
        bypass: dict[str, Any] = {"BypassGovernanceRetention": True} if bypass_governance else {}
        alone = [entry for entry in doomed if _NOT_IN_XML.search(entry.key)]
        together = [entry for entry in doomed if not _NOT_IN_XML.search(entry.key)]
        outcomes = [self._delete_one(entry, bypass) for entry in alone]
        if together:
            outcomes.append(self._delete_all(together, bypass))
        return DeleteOutcome(
            tuple(entry for outcome in outcomes for entry in outcome.deleted),
            tuple(refusal for outcome in outcomes for refusal in outcome.refused),
        )

    def _delete_all(self, doomed: Sequence[Doomed], bypass: dict[str, Any]) -> DeleteOutcome:
        objects: Any = [{"Key": self._key_prefix + key, "VersionId": version_id} for key, version_id in doomed]
        try:
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": objects, "Quiet": False}, **bypass
            )
        except ClientError as error:
            return self._refused_whole(doomed, error)
        except BotoCoreError as error:
            return unanswered(doomed, type(error).__name__)
        return outcome_of(
            doomed,
            (self._entry(each) for each in answer.get("Deleted", [])),
            (
                Refusal(self._entry(each), each.get("Code", ""), each.get("Message", ""))
                for each in answer.get("Errors", [])
            ),
        )

    def _delete_one(self, entry: Doomed, bypass: dict[str, Any]) -> DeleteOutcome:
        try:
            self._client.delete_object(
                Bucket=self._bucket, Key=self._key_prefix + entry.key, VersionId=entry.version_id, **bypass
            )
        except ClientError as error:
            return self._refused_whole([entry], error)
        except BotoCoreError as error:
            return unanswered([entry], type(error).__name__)
        return DeleteOutcome((entry,), ())

    def _refused_whole(self, doomed: Sequence[Doomed], error: ClientError) -> DeleteOutcome:
        """Some servers answer a denied batch as a whole. Raises what is no answer to any entry."""
        code = error_code(error)
        message = str(error.response.get("Error", {}).get("Message", ""))
        refused = tuple(Refusal(entry, code, message) for entry in doomed)
        if refused[0].answer is Answer.FAILED and code not in DENIED and len(doomed) > 1:
            raise error
        return DeleteOutcome((), refused)

    def _entry(self, answered: Any) -> Doomed:
        key = str(answered.get("Key", ""))
        # What is not ours to begin with matches no entry that was asked for.
        inner = key[len(self._key_prefix) :] if key.startswith(self._key_prefix) else ""
        return Doomed(ObjectKey(inner), VersionId(str(answered.get("VersionId", ""))))


class S3PendingUploads:
    """PendingUploads over boto3."""

    def __init__(self, client: "S3Client", bucket: str, key_prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_prefix = key_prefix

    def keys(self) -> frozenset[ObjectKey]:
        """Raises UploadsUnlisted."""
        found: set[ObjectKey] = set()
        markers: dict[str, str] = {}
        while True:
            # EncodingType=url: without it, a key with a control character makes the page unreadable XML.
            answer = self._client.list_multipart_uploads(
                Bucket=self._bucket,
                Prefix=self._key_prefix,
                EncodingType="url",
                **markers,  # type: ignore[arg-type]
            )
            for upload in answer.get("Uploads", []):
                # Ceph encodes keys and does not say so. Naming both readings leaves a marker too many, never one less.
                for key in {upload["Key"], unquote_plus(upload["Key"])}:
                    if key.startswith(self._key_prefix):
                        found.add(ObjectKey(key[len(self._key_prefix) :]))
            if not answer.get("IsTruncated"):
                return frozenset(found)
            markers = self._following(markers, answer)

    def _following(self, before: dict[str, str], answer: Any) -> dict[str, str]:
        """The markers of the page after this one."""
        raw = answer["NextKeyMarker"]
        key = unquote_plus(raw)
        if answer.get("EncodingType") != "url" and key != raw:
            raise UploadsUnlisted(f"where uploads to {self._bucket} go on can be read in two ways; nothing was deleted")
        markers = {"KeyMarker": key, "UploadIdMarker": str(answer["NextUploadIdMarker"])}
        if markers == before:
            raise UploadsUnlisted(f"a listing of uploads to {self._bucket} does not advance; nothing was deleted")
        return markers


class UploadsUnlisted(Exception):
    """S3 answered a listing of uploads that cannot be read completely; nothing was deleted."""

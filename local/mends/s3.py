"""Mends of ministack's S3."""

import math
import re
import time
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import quote

from ministack.core import iam_actions
from ministack.services import s3

from local.mends.condition_keys import Keys, Request, resolve_condition_keys

_WRITES = frozenset({"s3:PutObject", "s3:PutObjectRetention", "s3:PutObjectLegalHold"})
_LOCK_KEYS = (
    "object-lock-mode",
    "object-lock-retain-until-date",
    "object-lock-legal-hold",
)
_PUT_KEYS = (
    "if-match",
    "if-none-match",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
)
_IMPLIED_ACTIONS = {
    "x-amz-acl": "s3:PutObjectAcl",
    "x-amz-grant-full-control": "s3:PutObjectAcl",
    "x-amz-grant-read": "s3:PutObjectAcl",
    "x-amz-grant-read-acp": "s3:PutObjectAcl",
    "x-amz-grant-write-acp": "s3:PutObjectAcl",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-retain-until-date": "s3:PutObjectRetention",
    "x-amz-tagging": "s3:PutObjectTagging",
}
_ENCODED_ELEMENTS = re.compile(rb"<(Key|Prefix|Delimiter|KeyMarker|NextKeyMarker)>([^<]*)</\1>", re.DOTALL)


def batch_deletes_of_versions_need_their_action() -> None:
    """AWS asks for s3:DeleteObjectVersion for each entry of DeleteObjects with a version id; ministack
    asks for s3:DeleteObject for the first entry.

    Without the mend a host that may only hide could destroy one version with each call.
    """
    extract = iam_actions.extract_iam_action

    def extract_iam_action(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
    ) -> Any:
        action = extract(service, method, path, headers, body, query_params)
        if action == "s3:DeleteObject" and method == "POST" and "delete" in query_params:
            bucket = path.strip("/").split("/")[0]
            entries = iam_actions._s3_batch_delete_targets(bucket, body)
            if entries and entries[0][1]:
                return "s3:DeleteObjectVersion"
        return action

    iam_actions.extract_iam_action = extract_iam_action


def s3_condition_keys_are_resolved() -> None:
    """On AWS policies can ask for a write's storage class, SSE-C, KMS key, copy source, lock mode, remaining
    retention, conditional headers, and whether it is multipart; ministack resolves none of these keys.

    The denying bucket policy refuses multipart creation, other storage classes and keys by them.
    """
    resolve_condition_keys("s3", _s3_keys)


def _s3_keys(request: Request, action: str, _resource_arn: str) -> Keys:
    if action not in _WRITES:
        return {}
    headers = s3._merge_hoisted_amz_headers(request.headers, request.params)
    keys = {f"s3:{name}": headers.get(f"x-amz-{name}") for name in _LOCK_KEYS}
    if action == "s3:PutObjectRetention" and "retention" in request.params:
        keys["s3:object-lock-mode"] = _element(request.body, "Mode")
        keys["s3:object-lock-retain-until-date"] = _element(request.body, "RetainUntilDate")
    if action == "s3:PutObjectLegalHold" and "legal-hold" in request.params:
        keys["s3:object-lock-legal-hold"] = _element(request.body, "Status")
    if until := keys["s3:object-lock-retain-until-date"]:
        keys["s3:object-lock-remaining-retention-days"] = str(_days_until(until))
    if action == "s3:PutObject":
        keys |= {f"s3:{name}": headers.get(name) for name in _PUT_KEYS}
        keys["s3:ObjectCreationOperation"] = str(_creates_object(request)).lower()
    return {name: value for name, value in keys.items() if value}


def _creates_object(request: Request) -> bool:
    """Whether the request makes an object: PutObject, CopyObject and CompleteMultipartUpload do."""
    uploads_part = "uploadId" in request.params and request.method == "PUT"
    return "uploads" not in request.params and not uploads_part


def _element(body: bytes, name: str) -> str | None:
    found = re.search(f"<{name}>([^<]+)</{name}>", body.decode("utf-8", "replace"))
    return found[1] if found else None


def _days_until(moment: str) -> int:
    until = datetime.fromisoformat(moment)
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return math.ceil((until - datetime.now(UTC)).total_seconds() / 86400)


def put_headers_need_their_actions() -> None:
    """On AWS a PUT with lock, tagging or ACL headers also needs PutObjectRetention, PutObjectLegalHold,
    PutObjectTagging or PutObjectAcl; ministack asks for PutObject alone.

    A host could otherwise lock its garbage in compliance mode, for ever and at our cost.
    """
    checks_of = iam_actions.s3_additional_checks

    def s3_additional_checks(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
    ) -> list[tuple[str, str]]:
        checks: list[tuple[str, str]] = checks_of(method, path, headers, body, query_params)
        bucket_and_key = path.strip("/")
        if (
            iam_actions._s3_action(method, path, query_params) == "PutObject"
            and "uploadId" not in query_params
            and "/" in bucket_and_key
        ):
            actions = {action for name, action in _IMPLIED_ACTIONS.items() if headers.get(name)}
            checks += [(action, f"arn:aws:s3:::{bucket_and_key}") for action in sorted(actions)]
        return checks

    iam_actions.s3_additional_checks = s3_additional_checks


def copies_are_proven_and_unlocked() -> None:
    """On AWS CopyObject with ChecksumAlgorithm computes and returns that checksum, and the copy gets the
    target's default retention; ministack ignores the algorithm and carries the source's lock along.

    A restore proves each pack by the SHA-256 that S3 computes while copying.
    """
    copy = s3._copy_object

    def copy_object(bucket: str, key: str, headers: dict[str, str]) -> Any:
        algorithm = headers.get("x-amz-checksum-algorithm", "").upper()
        wanted = {"x-amz-sdk-checksum-algorithm": algorithm} if algorithm else {}
        status, answer, body = copy(bucket, key, {**headers, **wanted})
        if status != 200:
            return status, answer, body
        record = s3._ensure_bucket(bucket)["objects"][key]
        version_id = record.get("version_id")
        for locks in (s3._object_retention, s3._object_legal_hold):
            locks.pop((bucket, key, version_id), None)
        s3._apply_object_lock_from_headers(bucket, key, headers, version_id)
        if algorithm:
            checksums = record["checksums"]
            for other in [name for name in checksums if name != algorithm]:
                del checksums[other]
            proof = f"<Checksum{algorithm}>{checksums[algorithm]}</Checksum{algorithm}>"
            whole = "<ChecksumType>FULL_OBJECT</ChecksumType></CopyObjectResult>"
            body = body.replace(b"</CopyObjectResult>", (proof + whole).encode())
        return status, answer, body

    s3._copy_object = copy_object


def versioning_stays_on_under_object_lock() -> None:
    """AWS refuses to suspend versioning on a bucket with Object Lock; ministack does it.

    It is what makes a `null` version impossible there, and it is one of the attacks of the demo.
    """
    put = s3._put_bucket_versioning

    def put_bucket_versioning(bucket: str, body: bytes) -> Any:
        if s3._bucket_object_lock.get(bucket) and _element(body, "Status") == "Suspended":
            return s3._error(
                "InvalidBucketState",
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
                409,
            )
        return put(bucket, body)

    s3._put_bucket_versioning = put_bucket_versioning


def blocked_sse_c_is_refused() -> None:
    """AWS refuses a write with a customer's key to a bucket that blocks SSE-C; ministack accepts it.

    Ransomware re-encrypts with a key that nobody else has: every bucket of RWM blocks SSE-C.
    """
    resolve = s3._resolve_sse_write_headers

    def resolve_sse_write_headers(headers: dict[str, str], bucket: str) -> Any:
        blocked = "<EncryptionType>SSE-C</EncryptionType>" in (s3._bucket_encryption.get(bucket) or "")
        if blocked and headers.get("x-amz-server-side-encryption-customer-algorithm"):
            return None, s3._error("AccessDenied", "SSE-C is blocked for this bucket.", 403)
        return resolve(headers, bucket)

    s3._resolve_sse_write_headers = resolve_sse_write_headers


def last_modified_has_whole_seconds() -> None:
    """S3's LastModified has whole seconds; ministack's has milliseconds.

    A cut depends on it: entries of one second must be ordered by their place in the listing.
    """
    s3.now_iso = lambda: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def multipart_versions_are_as_old_as_their_initiation() -> None:
    """On AWS a multipart version's LastModified and its place among the versions are those of the
    initiation, and it gets the bucket's default retention; ministack takes the completion, unlocked.

    A month-old upload completed today lands below recorded cuts: the reason why hosts may not.
    """
    complete = s3._complete_multipart_upload

    def complete_multipart_upload(
        bucket: str, key: str, body: bytes, params: dict[str, Any], headers: Any = None
    ) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(params, "uploadId"))
        answer = complete(bucket, key, body, params, headers)
        versions = s3._object_versions.get((bucket, key))
        if answer[0] == 200 and upload and versions:
            version_id = answer[1].get("x-amz-version-id")
            s3._apply_object_lock_from_headers(bucket, key, {}, version_id)
            _backdate(bucket, key, version_id, upload["created"])
        return answer

    s3._complete_multipart_upload = complete_multipart_upload


def _backdate(bucket: str, key: str, version_id: str, created: str) -> None:
    versions = s3._object_versions[bucket, key]
    for version in versions:
        if version["version_id"] == version_id:
            version["last_modified"] = created
    versions.sort(key=lambda version: version["last_modified"])
    newest = versions[-1]
    for version in versions:
        version["is_latest"] = version is newest
    objects = s3._ensure_bucket(bucket)["objects"]
    if newest.get("is_delete_marker"):
        objects.pop(key, None)
    else:
        objects[key] = s3._object_record_from_version(newest)


def version_listings_page_and_encode() -> None:
    """S3 answers `encoding-type=url` with encoded keys, and its markers always lead on; ministack ignores
    the encoding in ListObjectVersions and lists the last `null` version of a page again on the next.

    A listing is what a state is made of: a hostile key must not break it, nor a page repeat for ever.
    """
    list_versions = s3._list_object_versions

    def list_object_versions(bucket: str, params: dict[str, Any]) -> Any:
        key = s3._qp(params, "key-marker")
        if s3._qp(params, "version-id-marker") and not s3._object_versions.get((bucket, key)):
            params = {name: value for name, value in params.items() if name != "version-id-marker"}
        status, headers, body = list_versions(bucket, params)
        if status == 200 and s3._qp(params, "encoding-type") == "url":
            encoded = _ENCODED_ELEMENTS.sub(_url_encoded, body)
            told = b"<EncodingType>url</EncodingType></ListVersionsResult>"
            body = encoded.replace(b"</ListVersionsResult>", told)
        return status, headers, body

    s3._list_object_versions = list_object_versions


def _url_encoded(element: re.Match[bytes]) -> bytes:
    name, text = element[1].decode(), unescape(element[2].decode())
    return f"<{name}>{quote(text, safe='/-_.~*')}</{name}>".encode()


MENDS = (
    batch_deletes_of_versions_need_their_action,
    s3_condition_keys_are_resolved,
    put_headers_need_their_actions,
    copies_are_proven_and_unlocked,
    versioning_stays_on_under_object_lock,
    blocked_sse_c_is_refused,
    last_modified_has_whole_seconds,
    multipart_versions_are_as_old_as_their_initiation,
    version_listings_page_and_encode,
)

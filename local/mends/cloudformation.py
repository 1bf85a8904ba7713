"""Mends of ministack's CloudFormation: protections in a template that it drops without a word."""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services import dynamodb, s3
from ministack.services.cloudformation import provisioners

from local.mends.bucket_documents import bucket_documents

_HANDLERS = provisioners._RESOURCE_HANDLERS


def buckets_get_their_object_lock() -> None:
    """AWS creates a bucket with the Object Lock and default retention of its template; ministack without.

    Object Lock is the W in WORM.
    """
    _after_create_and_update("AWS::S3::Bucket", _lock_bucket)


def _lock_bucket(name: str, properties: Mapping[str, Any]) -> None:
    configuration = properties.get("ObjectLockConfiguration") or {}
    if not (_is_true(properties.get("ObjectLockEnabled")) or configuration):
        return
    default = (configuration.get("Rule") or {}).get("DefaultRetention")
    retention = default and {key: value if key == "Mode" else int(value) for key, value in default.items()}
    s3._bucket_versioning[name] = "Enabled"
    s3._bucket_object_lock[name] = {"enabled": True, "default_retention": retention}


def buckets_get_their_encryption_and_lifecycle() -> None:
    """AWS applies a template's bucket encryption (with its blocked types) and lifecycle; ministack
    drops both.

    Blocked SSE-C and the abortion of incomplete uploads are protections that posture checks read.
    """
    _after_create_and_update("AWS::S3::Bucket", _configure_bucket)


def _configure_bucket(name: str, properties: Mapping[str, Any]) -> None:
    put = {"encryption": s3._put_bucket_encryption, "lifecycle": s3._put_bucket_lifecycle}
    for subresource, document in bucket_documents(properties):
        status, _, body = put[subresource](name, document.encode())
        if status >= 400:
            raise ValueError(f"{subresource} of bucket {name}: {body.decode()}")


def tables_get_their_protections() -> None:
    """AWS applies a table's TTL, point-in-time recovery and deletion protection; ministack drops the
    first two of a Table, and all three of a GlobalTable (what CDK's TableV2 makes) or its replica.

    The ledger is the only record of what a repository was.
    """
    for resource_type in ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"):
        _after_create_and_update(resource_type, _protect_table)


def _protect_table(name: str, properties: Mapping[str, Any]) -> None:
    # RWM has one replica, and a GlobalTable keeps these two settings there.
    own = {**properties, **next(iter(properties.get("Replicas") or ()), {})}
    if ttl := properties.get("TimeToLiveSpecification"):
        enabled = {"Enabled": _is_true(ttl.get("Enabled")), "AttributeName": ttl["AttributeName"]}
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": enabled})
    if recovery := own.get("PointInTimeRecoverySpecification"):
        on = {"PointInTimeRecoveryEnabled": _is_true(recovery["PointInTimeRecoveryEnabled"])}
        dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": on})
    protected = _is_true(own.get("DeletionProtectionEnabled"))
    dynamodb._tables[name]["DeletionProtectionEnabled"] = protected


def _after_create_and_update(resource_type: str, apply: Callable[[str, Mapping[str, Any]], None]) -> None:
    handler = _HANDLERS[resource_type]
    create, update = handler["create"], handler["update"]

    def create_and_apply(logical_id: str, properties: dict[str, Any], *rest: Any) -> Any:
        made = create(logical_id, properties, *rest)
        apply(made[0], properties)
        return made

    def update_and_apply(name: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        made = update(name, old, new, *rest)
        apply(made[0], new)
        return made

    handler["create"], handler["update"] = create_and_apply, update_and_apply


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


MENDS = (
    buckets_get_their_object_lock,
    buckets_get_their_encryption_and_lifecycle,
    tables_get_their_protections,
)

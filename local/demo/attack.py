"""What somebody does who has taken the host: its keys, its password, its time, and a copy of this code."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from local.demo.evidence import DemoFailed, Evidence


@dataclass(frozen=True, slots=True)
class Prey:
    """A repository as its host sees it."""

    name: str
    bucket: str
    prefix: str
    s3: Any
    """A client with the host's own key."""
    others: Callable[[str], Any]
    """A client of another service with the same key."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What the attacker got done, by key."""

    hidden: list[str]
    overwritten: list[str]
    key_files_removed: list[str]


def keys_of(prey: Prey) -> list[str]:
    """Every key of the repository that the host can see, but for lock files."""
    pages = prey.s3.get_paginator("list_objects_v2").paginate(Bucket=prey.bucket, Prefix=prey.prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return [key for key in keys if "locks/" not in key]


def wreck(prey: Prey) -> Damage:
    """Overwrite half of the packs with garbage of the same size, then hide everything else, key files included."""
    keys = keys_of(prey)
    packs = [key for key in keys if "data/" in key]
    overwritten = packs[: (len(packs) + 1) // 2]
    for key in overwritten:
        size = prey.s3.head_object(Bucket=prey.bucket, Key=key)["ContentLength"]
        prey.s3.put_object(Bucket=prey.bucket, Key=key, Body=os.urandom(size))
    hidden = [key for key in keys if key not in overwritten]
    for key in hidden:
        prey.s3.delete_object(Bucket=prey.bucket, Key=key)
    return Damage(hidden, overwritten, [key for key in hidden if "keys/" in key])


def try_to_hide_everything(prey: Prey, evidence: Evidence) -> int:
    """The same hides where the default forbids them; returns how many were refused."""
    refused = 0
    for key in keys_of(prey):
        _must_be_denied(
            evidence,
            prey,
            "s3:DeleteObject",
            key,
            lambda key=key: prey.s3.delete_object(Bucket=prey.bucket, Key=key),  # type: ignore[misc]
        )
        refused += 1
    return refused


def try_to_destroy(prey: Prey, evidence: Evidence, versions: dict[str, str], elsewhere: dict[str, str]) -> list[str]:
    """Each call that would destroy, unprotect, re-encrypt or read what was hidden; returns the refused actions.

    `versions`: version ids of some keys, which the host itself can never learn; the attacker is given them.
    `elsewhere`: names of RWM's own things (ledger, role, queue_url, …).
    """
    denied = []
    for action, target, call in [*_on_the_bucket(prey, versions), *_elsewhere(prey, elsewhere)]:
        _must_be_denied(evidence, prey, action, target, call)
        if action not in denied:
            denied.append(action)
    return denied


def _must_be_denied(evidence: Evidence, prey: Prey, action: str, target: str, call: Callable[[], Any]) -> None:
    profile = f"host-{prey.name}"
    try:
        answer = call()
    except ClientError as error:
        evidence.denied(profile, action, target, error)
        return
    # DeleteObjects may answer 200 and refuse key by key.
    refused = [each for each in (answer or {}).get("Errors", []) if each["Code"] == "AccessDenied"]
    if not refused:
        raise DemoFailed(f"{prey.name}: the host's key was allowed to {action} on {target}")
    for each in refused:
        one = ClientError({"Error": each, "ResponseMetadata": answer["ResponseMetadata"]}, action)
        evidence.denied(profile, action, each["Key"], one)


Attempt = tuple[str, str, Callable[[], Any]]


def _on_the_bucket(prey: Prey, versions: dict[str, str]) -> Iterator[Attempt]:
    s3, bucket = prey.s3, prey.bucket
    key, version_id = next(iter(versions.items()))
    pinned = {"Bucket": bucket, "Key": key, "VersionId": version_id}
    soon = datetime.now(UTC) + timedelta(days=1)
    yield "s3:DeleteObjectVersion", key, lambda: s3.delete_object(**pinned)
    yield (
        "s3:DeleteObjectVersion",
        f"{len(versions)} keys at once",
        lambda: s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": each, "VersionId": its} for each, its in versions.items()]}
        ),
    )
    yield (
        "s3:BypassGovernanceRetention",
        key,
        lambda: s3.delete_object(**pinned, BypassGovernanceRetention=True),
    )
    yield "s3:GetObjectVersion", key, lambda: s3.get_object(**pinned)
    yield "s3:ListBucketVersions", bucket, lambda: s3.list_object_versions(Bucket=bucket)
    yield (
        "s3:PutObjectRetention",
        key,
        lambda: s3.put_object_retention(**pinned, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": soon}),
    )
    yield "s3:PutObjectLegalHold", key, lambda: s3.put_object_legal_hold(**pinned, LegalHold={"Status": "ON"})
    yield (
        "s3:PutBucketVersioning",
        bucket,
        lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
    )
    yield (
        "s3:PutBucketObjectLockConfiguration",
        bucket,
        lambda: s3.put_object_lock_configuration(
            Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
        ),
    )
    yield (
        "s3:PutLifecycleConfiguration",
        bucket,
        lambda: s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "wipe",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                    }
                ]
            },
        ),
    )
    yield "s3:PutBucketPolicy", bucket, lambda: s3.put_bucket_policy(Bucket=bucket, Policy='{"Version":"2012-10-17"}')
    yield "s3:DeleteBucketPolicy", bucket, lambda: s3.delete_bucket_policy(Bucket=bucket)
    yield "s3:DeleteBucket", bucket, lambda: s3.delete_bucket(Bucket=bucket)
    yield (
        "s3:PutEncryptionConfiguration",
        bucket,
        lambda: s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
            },
        ),
    )
    config = f"{prey.prefix}config"
    own = {"Bucket": bucket, "Key": config, "Body": b"x"}
    yield "s3:PutObject (multipart)", config, lambda: s3.create_multipart_upload(Bucket=bucket, Key=config)
    yield "s3:PutObject (storage class)", config, lambda: s3.put_object(**own, StorageClass="GLACIER")
    yield (
        "s3:PutObject (customer key)",
        config,
        lambda: s3.put_object(**own, SSECustomerAlgorithm="AES256", SSECustomerKey=os.urandom(32)),
    )
    yield (
        "s3:PutObject (foreign KMS key)",
        config,
        lambda: s3.put_object(**own, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/of-the-attacker"),
    )
    yield "s3:PutObjectTagging", config, lambda: s3.put_object(**own, Tagging="a=b")
    yield "s3:PutObjectAcl", config, lambda: s3.put_object(**own, ACL="public-read")


def _elsewhere(prey: Prey, names: dict[str, str]) -> Iterator[Attempt]:
    ledger = names["ledger"]
    yield "dynamodb:Scan", ledger, lambda: prey.others("dynamodb").scan(TableName=ledger)
    yield "dynamodb:DeleteTable", ledger, lambda: prey.others("dynamodb").delete_table(TableName=ledger)
    yield "sqs:PurgeQueue", "its queue", lambda: prey.others("sqs").purge_queue(QueueUrl=names["queue_url"])
    yield "sqs:ReceiveMessage", "its queue", lambda: prey.others("sqs").receive_message(QueueUrl=names["queue_url"])
    yield (
        "sqs:SendMessage (another repository's queue)",
        "the other queue",
        lambda: prey.others("sqs").send_message(QueueUrl=names["other_queue_url"], MessageBody="{}"),
    )
    yield (
        "sts:AssumeRole",
        names["role"],
        lambda: prey.others("sts").assume_role(RoleArn=names["role"], RoleSessionName="attacker"),
    )
    yield (
        "lambda:InvokeFunction",
        names["function"],
        lambda: prey.others("lambda").invoke(FunctionName=names["function"], Payload=b"{}"),
    )
    yield (
        "states:StartExecution",
        names["workflow"],
        lambda: prey.others("stepfunctions").start_execution(stateMachineArn=names["workflow"], input="{}"),
    )
    yield (
        "s3:ListBucket (the records bucket)",
        names["records"],
        lambda: prey.s3.list_objects_v2(Bucket=names["records"]),
    )

"""The functions of the restore, each with its exact permissions beside it.

Who announces reads no bucket, who plans writes to none but the records, and who copies can write to restore targets
alone. None can delete a version.
"""

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.access import (
    ANY_TARGET,
    DROPPED,
    RESTORES,
    append_to_operations,
    look_at_targets,
    only_partitions,
    read_files,
    read_states,
    read_versions,
    tell_gone_from_denied,
)
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens, deny


class RestoreSteps:
    """The steps of the workflow in their order, all directly beneath `scope`."""

    def __init__(self, scope: Construct, *, arns: Arns, code: lambda_.Code) -> None:
        self.announce = Step(
            scope,
            "Announce",
            step="announce-restore",
            handler="functions.restore.announce.handler",
            description="Finds the state that is to be restored, and announces its restore",
            arns=arns,
            code=code,
            permissions=_announce(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )
        self.plan = Step(
            scope,
            "Plan",
            step="plan-restore",
            handler="functions.restore.plan.handler",
            description="Plans a restore into a bucket: which object versions go where, or why it is refused",
            arns=arns,
            code=code,
            permissions=_plan(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.thaw = Step(
            scope,
            "Thaw",
            step="thaw-batch",
            handler="functions.restore.thaw.handler",
            description="Asks S3 to bring one batch of a restore plan back from its archive class",
            arns=arns,
            code=code,
            permissions=_thaw(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=512,
            environment=_threads(arns),
        )
        self.copy = Step(
            scope,
            "Copy",
            step="copy-batch",
            handler="functions.restore.copy.handler",
            description="Copies one batch of a restore plan by version id and proves each copy",
            arns=arns,
            code=code,
            permissions=_copy(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=1024,
            environment=_threads(arns),
        )
        self.verify = Step(
            scope,
            "Verify",
            step="verify-restore",
            handler="functions.restore.verify.handler",
            description="Compares a restored repository with its state and reports",
            arns=arns,
            code=code,
            permissions=_verify(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.end = Step(
            scope,
            "End",
            step="end-restore",
            handler="functions.restore.end.handler",
            description="Takes back that a restore is under way, so that prunes go on",
            arns=arns,
            code=code,
            permissions=_end(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )


def _threads(arns: Arns) -> dict[str, str]:
    return {"RWM_RESTORE_THREADS": str(arns.configuration.restore_threads)}


_RESUMABLE = "a target must be empty or hold a part of this same state, byte for byte"


def _announce(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="finds the state that is to be restored"),
        allow(
            "dynamodb:PutItem",
            on=arns.operations,
            because="announces the restore, so that no prune drops or deletes; takes nothing back",
            when=only_partitions(RESTORES),
        ),
        allow(
            "dynamodb:ConditionCheckItem",
            on=arns.ledger,
            because="no restore is announced of a state that is dropped in this very moment",
            when=only_partitions(DROPPED),
        ),
    ]


def _plan(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because="reads the state that is to be restored"),
        *look_at_targets(arns, because=_RESUMABLE),
        *read_versions(
            arns,
            arns.configuration.repositories,
            because="what a target already holds and no name proves is compared with the pinned version",
        ),
        _know_their_locks(arns),
        *_target_keys(arns, "kms:Decrypt", because="S3 decrypts what a target already holds in the caller's name"),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*"),
            because="writes plan, manifest and batches",
            wildcard="a plan is named by its digest",
        ),
    ]


def _thaw(arns: Arns) -> list[Permission]:
    return [
        *_bring_back(arns, because="asks for the very versions that the state names, before the first copy"),
        read_files(
            arns,
            "restores/*",
            because="reads its batch, by version id",
            wildcard="a plan is named by its digest",
        ),
    ]


def _bring_back(arns: Arns, *, because: str) -> list[Permission]:
    return [
        allow("s3:RestoreObject", on=some, because=because, wildcard="a state names any object of its repository")
        for some in by_tens([arns.objects(repository) for repository in arns.configuration.repositories])
    ]


def _know_their_locks(arns: Arns) -> Permission:
    return allow(
        "s3:GetBucketObjectLockConfiguration",
        on=arns.restore_targets,
        because="`--lock` needs Object Lock, and locks nothing for less than the target itself does",
        wildcard=ANY_TARGET,
    )


def _target_keys(arns: Arns, *actions: str, because: str) -> list[Permission]:
    keys = arns.configuration.restore_kms_keys
    return [allow(*actions, on=keys, because=because)] if keys else []


LONGEST_LOCK = 3650
"""Days. What a request may ask for at most (functions/domain/restore/request.py)."""


def _copy(arns: Arns) -> list[Permission]:
    repositories = arns.configuration.repositories
    protected = [f"{arns.bucket(name)}/*" for name in arns.configuration.buckets]
    targets = [f"{target}/*" for target in arns.restore_targets]
    # Not those of drills, which are to empty themselves.
    lockable = [f"{arns.bucket(target)}/*" for target in arns.configuration.restore_targets]
    return [
        *read_versions(arns, repositories, because="copies the very versions that the state names"),
        *tell_gone_from_denied(arns, repositories),
        *_bring_back(arns, because="what went into an archive class after its state was recorded, only its copy meets"),
        *look_at_targets(arns, because=_RESUMABLE),
        allow(
            "s3:AbortMultipartUpload",
            "s3:PutObject",
            on=targets,
            because="writes the copies, into restore targets only, and takes back an upload of its own that failed",
            wildcard=ANY_TARGET,
        ),
        _know_their_locks(arns),
        allow(
            "s3:GetObjectRetention",
            on=lockable,
            because="`--lock`: what is there already and locked for long enough is left alone",
            wildcard=ANY_TARGET,
        ),
        allow(
            "s3:PutObjectRetention",
            on=lockable,
            because="`--lock`: in governance mode. To shorten a lock, or to end one, takes a bypass, which it may not",
            wildcard=ANY_TARGET,
            # Both have to be in the request: a positive condition does not hold for a key that is not there.
            when={
                "StringEquals": {"s3:object-lock-mode": "GOVERNANCE"},
                "NumericLessThanEquals": {"s3:object-lock-remaining-retention-days": str(LONGEST_LOCK)},
            },
        ),
        *_target_keys(
            arns,
            "kms:Decrypt",
            "kms:GenerateDataKey",
            because="S3 encrypts what a target is given, and decrypts what is read back, in the caller's name",
        ),
        *(
            deny(
                "s3:PutObject",
                "s3:PutObjectRetention",
                on=some,
                because="a protected bucket is never a target, whatever restore_targets matches",
            )
            for some in by_tens(protected)
        ),
        read_files(
            arns,
            "restores/*",
            because="reads its batch, by version id",
            wildcard="a plan is named by its digest",
        ),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*/results/*"),
            because="writes what it copied and proved; never a plan",
            wildcard="results lie beneath their plan, by execution",
        ),
    ]


def _verify(arns: Arns) -> list[Permission]:
    return [
        allow(
            "s3:ListBucket",
            on=arns.restore_targets,
            because="compares the target with the state",
            wildcard=ANY_TARGET,
        ),
        allow(
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=arns.records("restores/*"),
            because="reads the plan by version id, and the copies' results",
            wildcard="a plan is named by its digest",
        ),
        allow(
            "s3:ListBucket",
            on=arns.bucket(arns.records_name),
            because="finds the copies' results",
            when={"StringLike": {"s3:prefix": "restores/*"}},
        ),
        allow(
            "s3:PutObject",
            on=arns.records("restores/*"),
            because="writes the report",
            wildcard="a report lies beside its plan, which is named by its digest",
        ),
        append_to_operations(arns, because="appends the report's summary"),
    ]


def _end(arns: Arns) -> list[Permission]:
    return [
        allow(
            "dynamodb:DeleteItem",
            on=arns.operations,
            because="takes back that a restore is under way, and nothing else",
            when=only_partitions(RESTORES),
        ),
    ]

"""The functions of the check, each with its exact permissions beside it.

A check looks at everything, so it must not be able to change anything: it reads, and appends what it found. Who
reads with the restic password (`check-complete`) writes nothing at all; `conclude-complete`, which never sees the
password, writes what it reported. Findings are laid to rest by `acknowledge` alone, which approvers call.
"""

import re

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.access import (
    ACKNOWLEDGEMENTS,
    TASK_TOKENS,
    all_partitions_but,
    append_to_operations,
    list_versions,
    look_at_targets,
    only_partitions,
    read_files,
    read_operations,
    read_states,
    read_versions,
    tell_gone_from_denied,
    tell_missing_from_denied,
    tell_people,
    versioning_and_clock,
)
from infra.arns import Arns
from infra.functions import Step
from infra.permission import Permission, allow, by_tens

ONE_PROCESSOR_MB = 1769
"""Lambda gives a function of this size one processor, which is all that hashing uses."""


class CheckSteps:
    """The steps of the workflow, in the order of the levels, and `acknowledge`; all directly beneath `scope`."""

    def __init__(self, scope: Construct, *, arns: Arns, code: lambda_.Code) -> None:
        self.posture = Step(
            scope,
            "Posture",
            step="check-posture",
            handler="functions.check.posture.handler",
            description="Judges how a repository's bucket is configured and what its hosts may do",
            arns=arns,
            code=code,
            permissions=_posture(arns),
            timeout=cdk.Duration.minutes(5),
            memory_mb=512,
        )
        self.consistent = Step(
            scope,
            "Consistent",
            step="check-consistent",
            handler="functions.check.consistent.handler",
            description="Judges a state and its bucket from the listing alone",
            arns=arns,
            code=code,
            permissions=_consistent(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=3008,
        )
        self.plan_content = Step(
            scope,
            "PlanContent",
            step="plan-content",
            handler="functions.check.plan_content.handler",
            description="Plans which object versions of a state are to be hashed",
            arns=arns,
            code=code,
            permissions=_plan_content(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.hash_content = Step(
            scope,
            "HashContent",
            step="hash-content",
            handler="functions.check.hash_content.handler",
            description="Reads one batch of object versions and compares their bytes with their names",
            arns=arns,
            code=code,
            permissions=_hash_content(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=ONE_PROCESSOR_MB,
        )
        self.conclude_content = Step(
            scope,
            "ConcludeContent",
            step="conclude-content",
            handler="functions.check.conclude_content.handler",
            description="Concludes from all hashes what a state's content is worth",
            arns=arns,
            code=code,
            permissions=_conclude_content(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=2048,
        )
        self.complete = Step(
            scope,
            "Complete",
            step="check-complete",
            handler="functions.check.complete.handler",
            description="Reads a state, or a restored copy of it, with the restic password; writes nothing",
            arns=arns,
            code=code,
            permissions=_complete(arns),
            timeout=cdk.Duration.minutes(15),
            memory_mb=3008,
        )
        self.conclude_complete = Step(
            scope,
            "ConcludeComplete",
            step="conclude-complete",
            handler="functions.check.conclude_complete.handler",
            description="Concludes from check-complete's report whether a state is complete",
            arns=arns,
            code=code,
            permissions=_conclude_complete(arns),
            timeout=cdk.Duration.minutes(5),
            memory_mb=2048,
        )
        self.acknowledge = Step(
            scope,
            "Acknowledge",
            step="acknowledge",
            handler="functions.check.acknowledge.handler",
            description="Lays findings to rest that an approver has dealt with",
            arns=arns,
            code=code,
            permissions=_acknowledge(arns),
            timeout=cdk.Duration.minutes(1),
            memory_mb=512,
        )


_AN_EXECUTION = "a check's files are named by its repository and its execution"
_JUDGES_BY = "reads the states that it judges by"
_VERDICT = "findings and verdicts are appended"
_SAID_BEFORE = "acknowledged is no finding, approved is the baseline, and told is no news"


def _posture(arns: Arns) -> list[Permission]:
    where = arns.surroundings
    principals = dict.fromkeys(
        principal
        for repository in arns.configuration.repositories
        for principal in (*where.hosts(repository), *where.maintenance(repository))
    )
    return [
        *(
            allow(
                "s3:GetBucketAcl",
                "s3:GetBucketObjectLockConfiguration",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketPolicy",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:GetReplicationConfiguration",
                on=some,
                because="how the bucket is configured, all of which it judges; no object and no listing",
            )
            for some in by_tens([arns.bucket(name) for name in arns.configuration.buckets])
        ),
        *(
            allow(
                "iam:ListAttachedRolePolicies",
                "iam:ListAttachedUserPolicies",
                "iam:SimulatePrincipalPolicy",
                on=some,
                because="whether a host holds a right to destroy versions or to end their protection, and whether it "
                "is in quarantine",
            )
            for some in by_tens(list(principals))
        ),
        allow(
            "access-analyzer:CheckAccessNotGranted",
            on="*",
            because="whether the bucket's policy grants such a right by itself",
            wildcard="it judges a document that it is given; there is no resource to name",
        ),
        allow("dynamodb:GetItem", on=arns.ledger, because="findings say at which state of the chain they were made"),
        read_operations(arns, because="what the last posture kept: drift is told against it"),
        append_to_operations(arns, because=_VERDICT),
        tell_people(arns),
    ]


def _consistent(arns: Arns) -> list[Permission]:
    return [
        *list_versions(arns, because="every version that a kept state names must still be there"),
        *versioning_and_clock(arns, because="S3's clock, and whether a version without an id can be replaced"),
        read_states(arns, because=_JUDGES_BY),
        read_operations(arns, because=_SAID_BEFORE),
        append_to_operations(arns, because=_VERDICT),
        tell_people(arns),
    ]


def _plan_content(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because=_JUDGES_BY),
        read_operations(arns, because="which sets of versions were verified before"),
        read_files(
            arns,
            "checks/*",
            because="what of them was not read is in the batches of the checks that verified them",
            wildcard=_AN_EXECUTION,
        ),
        tell_missing_from_denied(arns),
        allow(
            "s3:PutObject",
            on=[arns.records(f"checks/*/{file}") for file in ("plan.json", "manifest.json", "batches/*")],
            because="writes plan, manifest and batches; never a result",
            wildcard=_AN_EXECUTION,
        ),
    ]


def _hash_content(arns: Arns) -> list[Permission]:
    repositories = arns.configuration.repositories
    return [
        *read_versions(arns, repositories, because="compares the bytes of each version with its name"),
        *tell_gone_from_denied(arns, repositories),
        read_files(arns, "checks/*", because="reads its batch, by version id", wildcard=_AN_EXECUTION),
        allow(
            "s3:PutObject",
            on=arns.records("checks/*/results/*"),
            because="writes what it hashed; never a plan",
            wildcard=_AN_EXECUTION,
        ),
    ]


def _conclude_content(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because=_JUDGES_BY),
        read_files(arns, "checks/*", because="reads the plan by version id, and the results", wildcard=_AN_EXECUTION),
        tell_missing_from_denied(arns),
        allow("s3:GetBucketVersioning", on=arns.bucket(arns.records_name), because="S3's clock"),
        read_operations(arns, because=_SAID_BEFORE),
        allow(
            "dynamodb:GetItem",
            on=arns.operations,
            because="what no name proves is compared with its hash at first sight",
            when=all_partitions_but(TASK_TOKENS),
        ),
        append_to_operations(arns, because=f"{_VERDICT}, hashes at first sight, and which versions are verified"),
        tell_people(arns),
    ]


def _complete(arns: Arns) -> list[Permission]:
    """Whoever holds the password could write a repository that verifies: so this one writes nothing, anywhere."""
    readable = [each for each in arns.configuration.repositories if each.restic_password_secret]
    secrets = sorted({str(each.restic_password_secret) for each in readable})
    return [
        read_states(arns, because=_JUDGES_BY),
        *(
            # One statement each: a secret's name has up to 512 characters.
            allow(
                "secretsmanager:GetSecretValue",
                on=secret_arns(secret),
                because="a restic password that repositories.toml names, with or without the end of its ARN",
            )
            for secret in secrets
        ),
        *read_versions(arns, readable, because="reads the very versions that the state names"),
        *tell_gone_from_denied(arns, readable),
        *look_at_targets(arns, because="reads a restored copy instead, when asked for it"),
    ]


def _conclude_complete(arns: Arns) -> list[Permission]:
    return [
        read_states(arns, because=_JUDGES_BY),
        read_operations(arns, because=_SAID_BEFORE),
        append_to_operations(arns, because=_VERDICT),
        tell_people(arns),
    ]


def _acknowledge(arns: Arns) -> list[Permission]:
    return [
        read_operations(arns, because="the finding and its evidence, exactly as they were told"),
        allow(
            "dynamodb:PutItem",
            on=arns.operations,
            because="appends what an approver laid to rest; never a verdict",
            when=only_partitions(ACKNOWLEDGEMENTS),
        ),
    ]


def secret_arns(secret: str) -> list[str]:
    """The ARNs that `secret` may stand for.

    Secrets Manager puts a dash and six characters of its own behind a secret's name. A person may leave them out:
    the name finds the secret, but it is the whole ARN that is authorized.
    """
    end = re.search(r"-([A-Za-z0-9]{6})$", secret)
    if end is None:
        return [f"{secret}-??????"]
    # Six lower-case letters are a word more often than theirs: the name may end in it.
    return [secret, f"{secret}-??????"] if re.fullmatch(r"[a-z]{6}", end[1]) else [secret]

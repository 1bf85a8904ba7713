"""The deployment that a command talks to: its AWS clients, its names, and the repositories it protects.

What is deployed is read from AWS, never from a `repositories.toml` that happens to lie nearby: the file
may be newer or older than the deployment.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import NoRegionError
from pydantic import ValidationError

from cli.exits import Failed, Refused
from functions.domain.names import Names
from functions.domain.ports import AcknowledgementReader, ApprovalReader, PlanReader, RecordReader
from functions.domain.repositories import Repository
from functions.domain.restore.request import TO_DIRECTORY
from functions.domain.values import RepositoryName
from functions.storage.drills import DynamoDrillReports
from functions.storage.holds import DynamoHolds, RestoresStatus, StepFunctionsStatus
from functions.storage.ledger import DynamoLedgerReader
from functions.storage.locks import DynamoLockReports
from functions.storage.plans import DynamoApprovals, DynamoPlanShelf
from functions.storage.prunes import DynamoPruneReports
from functions.storage.records import S3RecordReader
from functions.storage.restores import DynamoAnnouncedRestores, DynamoRestoreReports
from functions.storage.verdicts import DynamoAcknowledgements, DynamoVerdictReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# A person waits: fewer retries than a function would make.
CLIENT = Config(
    retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=60, user_agent_extra="rwm"
)
LONGEST_FUNCTION = Config(
    # Lambda's longest run and a little more; a retry would only ask for a second recording.
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=5,
    read_timeout=930,
    user_agent_extra="rwm",
)


@dataclass
class Aws:
    """Clients, each made when it is first used, with the credentials, region and endpoint that boto3 finds."""

    session: boto3.Session = field(default_factory=boto3.Session)
    pause: Callable[[float], None] = time.sleep

    @property
    def region(self) -> str:
        if self.session.region_name is None:
            raise NoRegionError
        return self.session.region_name

    @property
    def profile(self) -> str:
        """How to name the credentials in use to a person."""
        name = self.session.profile_name
        return "the default profile" if name == "default" else f"profile {name}"

    @cached_property
    def account(self) -> str:
        return self.sts.get_caller_identity()["Account"]

    @property
    def partition(self) -> str:
        return self.sts.meta.partition

    @cached_property
    def sts(self) -> "STSClient":
        return self.session.client("sts", config=CLIENT)

    @cached_property
    def ssm(self) -> "SSMClient":
        return self.session.client("ssm", config=CLIENT)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        return self.session.client("dynamodb", config=CLIENT)

    @cached_property
    def s3(self) -> "S3Client":
        return self.session.client("s3", config=CLIENT)

    def s3_over(self, connections: int) -> "S3Client":
        """One more client, for who asks in so many threads."""
        return self.session.client("s3", config=CLIENT.merge(Config(max_pool_connections=connections)))

    @cached_property
    def sqs(self) -> "SQSClient":
        return self.session.client("sqs", config=CLIENT)

    @cached_property
    def iam(self) -> "IAMClient":
        return self.session.client("iam", config=CLIENT)

    @cached_property
    def stepfunctions(self) -> "SFNClient":
        return self.session.client("stepfunctions", config=CLIENT)

    @cached_property
    def lambda_(self) -> "LambdaClient":
        return self.session.client("lambda", config=LONGEST_FUNCTION)


@dataclass(frozen=True)
class Deployment:
    """One deployment of RWM in one account and region."""

    names: Names
    aws: Aws

    @classmethod
    def named(cls, prefix: str) -> "Deployment":
        return cls.with_clients(prefix, Aws())

    @classmethod
    def with_clients(cls, prefix: str, aws: Aws) -> "Deployment":
        return cls(Names(prefix), aws)

    def __str__(self) -> str:
        return f"deployment {self.names.prefix} in {self.aws.region}"

    def repositories(self) -> tuple[Repository, ...]:
        """What is deployed, by name. Raises Refused when nothing is."""
        found = []
        pages = self.aws.ssm.get_paginator("get_parameters_by_path")
        for page in pages.paginate(Path=self.names.repository_parameters):
            for parameter in page["Parameters"]:
                try:
                    found.append(Repository.model_validate_json(parameter["Value"]))
                except ValidationError as error:
                    raise Failed(
                        f"{parameter['Name']} was deployed by another version of RWM ({error.errors()[0]['msg']}); "
                        "nothing was done; use the version that is deployed, or deploy this one"
                    ) from error
        if not found:
            raise Refused(self.not_deployed())
        return tuple(sorted(found, key=lambda repository: repository.name))

    def repository(self, name: str) -> Repository:
        """The deployed repository of that name. Raises Refused, naming those there are."""
        deployed = self.repositories()
        for repository in deployed:
            if repository.name == name:
                return repository
        known = ", ".join(repository.name for repository in deployed)
        raise Refused(f"{self} has no repository {name!r}; nothing was done; it has: {known}")

    def not_deployed(self) -> str:
        return (
            f"there is no {self}; nothing was done. Deploy it with `make deploy` (README, deploying), or choose "
            "another with --deployment, AWS_PROFILE or AWS_DEFAULT_REGION"
        )

    @cached_property
    def ledger(self) -> DynamoLedgerReader:
        return DynamoLedgerReader(self.aws.dynamodb, self.names.ledger)

    @cached_property
    def verdicts(self) -> DynamoVerdictReader:
        return DynamoVerdictReader(self.aws.dynamodb, self.names.operations)

    @cached_property
    def acknowledgements(self) -> AcknowledgementReader:
        return DynamoAcknowledgements(self.aws.dynamodb, self.names.operations)

    @cached_property
    def holds(self) -> DynamoHolds:
        return DynamoHolds(self.aws.dynamodb, self.names.operations)

    @cached_property
    def plans(self) -> PlanReader:
        return DynamoPlanShelf(self.aws.dynamodb, self.names.operations)

    @cached_property
    def approvals(self) -> ApprovalReader:
        return DynamoApprovals(self.aws.dynamodb, self.names.operations)

    @cached_property
    def prunes(self) -> DynamoPruneReports:
        return DynamoPruneReports(self.aws.dynamodb, self.names.operations)

    @cached_property
    def announced_restores(self) -> DynamoAnnouncedRestores:
        return DynamoAnnouncedRestores(self.aws.dynamodb, self.names.operations)

    @cached_property
    def restore_executions(self) -> RestoresStatus:
        others, to_directory = (
            StepFunctionsStatus(self.aws.stepfunctions, self.arn("states", f"stateMachine:{workflow}"))
            for workflow in (self.names.restore_workflow, self.names.directory_workflow)
        )
        return RestoresStatus(others, to_directory)

    def restore_execution(self, name: str) -> str:
        """The ARN of a restore's execution, of whatever kind, by its name."""
        to_directory = name.startswith(TO_DIRECTORY)
        workflow = self.names.directory_workflow if to_directory else self.names.restore_workflow
        return self.arn("states", f"execution:{workflow}:{name}")

    @cached_property
    def restore_reports(self) -> DynamoRestoreReports:
        return DynamoRestoreReports(self.aws.dynamodb, self.names.operations)

    @cached_property
    def drills(self) -> DynamoDrillReports:
        return DynamoDrillReports(self.aws.dynamodb, self.names.operations)

    @cached_property
    def locks(self) -> DynamoLockReports:
        return DynamoLockReports(self.aws.dynamodb, self.names.operations)

    @property
    def records_bucket(self) -> str:
        return self.names.records_bucket(self.aws.account, self.aws.region)

    @cached_property
    def records(self) -> RecordReader:
        return S3RecordReader(self.aws.s3, self.records_bucket)

    def arn(self, service: str, resource: str, *, region: bool = True) -> str:
        where = self.aws.region if region else ""
        return f"arn:{self.aws.partition}:{service}:{where}:{self.aws.account}:{resource}"

    def restic_url(self, bucket: str, prefix: str) -> str:
        """What restic calls this place: its endpoint is in the URL, since restic reads no AWS profile for that."""
        path = f"{bucket}/{prefix}" if prefix else bucket
        return f"s3:{self.aws.s3.meta.endpoint_url.rstrip('/')}/{path}"

    def queue_url(self, repository: RepositoryName) -> str:
        return self._queue_url(self.names.queue(repository))

    @property
    def dead_letters_url(self) -> str:
        return self._queue_url(self.names.dead_letters)

    def _queue_url(self, queue: str) -> str:
        # As AWS builds it: asking for it needs a permission that the operator has no other use for.
        return f"{self.aws.sqs.meta.endpoint_url.rstrip('/')}/{self.aws.account}/{queue}"

    @property
    def own_endpoint(self) -> str | None:
        """The endpoint of an AWS that is not Amazon's, which a host must be told; None for Amazon's."""
        endpoint = self.aws.sqs.meta.endpoint_url
        host = urlsplit(endpoint).hostname or ""
        return None if host.endswith((".amazonaws.com", ".amazonaws.com.cn")) else endpoint

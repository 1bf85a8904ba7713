"""The S3 servers that the rules run on, all seen through boto3."""

import itertools
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from moto import mock_aws

from local.embedded import ADMIN, EmbeddedAws
from tests.ceph.gateway import Gateway, gateway
from tests.fakes.s3 import FakeS3
from tests.fakes.s3_access import OWNER
from tests.fakes.s3_server import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CEPH_IS_ON = os.environ.get("RWM_TEST_CEPH") == "1"
_DIRECT = Config(
    # One try: a rule is about what the server answers, not about what a client does next.
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
    proxies={},
    # No checksum of the client's own making may stand in for one that a rule is about.
    request_checksum_calculation="when_required",
)


class Backend(ABC):
    """One S3 server, with buckets to use up and principals to restrict."""

    name: str
    s3: "S3Client"
    """As the account that owns the buckets and may do everything."""

    def __init__(self, s3: "S3Client") -> None:
        self.s3 = s3
        self._numbers = itertools.count(1)

    def bucket(self, *, object_lock: bool = False, versioning: bool = True) -> str:
        """A new bucket, with versioning unless a rule is about its absence."""
        name = f"{self.name}-{os.getpid()}-{next(self._numbers)}"
        if object_lock:
            self.s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        else:
            self.s3.create_bucket(Bucket=name)
            if versioning:
                self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def pass_time(self, seconds: float) -> None:
        """Let the server's clock advance."""
        time.sleep(seconds)

    @abstractmethod
    def owner(self) -> "S3Client":
        """Another client as the owner, for who bends a client to its purposes."""

    @abstractmethod
    def limited(self, bucket: str, actions: Sequence[str]) -> "S3Client":
        """As somebody who may do exactly `actions` on `bucket` and its objects."""


class Fake(Backend):
    """The strict fake over HTTP."""

    name = "fake"

    def __init__(self, server: S3Server) -> None:
        self._server = server
        super().__init__(self.owner())

    def pass_time(self, seconds: float) -> None:
        self._server.fake.clock.advance(seconds)

    def owner(self) -> "S3Client":
        return _client(self._server.endpoint, OWNER, "any")

    def limited(self, bucket: str, actions: Sequence[str]) -> "S3Client":
        principal = f"limited-{next(self._numbers)}"
        self._server.fake.access.allow(principal, actions, bucket)
        return _client(self._server.endpoint, principal, "any")


class Moto(Backend):
    """moto, in this process."""

    name = "moto"

    def __init__(self) -> None:
        super().__init__(self.owner())

    def owner(self) -> "S3Client":
        return boto3.client("s3", region_name="us-east-1", config=_DIRECT)

    def limited(self, bucket: str, actions: Sequence[str]) -> "S3Client":
        raise NotImplementedError("moto does not ask who may; declare the rule as not shown there")


class Embedded(Backend):
    """The embedded AWS, with IAM users of its own."""

    name = "embedded"

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        super().__init__(self.owner())

    def owner(self) -> "S3Client":
        client: S3Client = self.aws.client("s3", ADMIN.name, config=_DIRECT)
        return client

    def limited(self, bucket: str, actions: Sequence[str]) -> "S3Client":
        iam, user = self.aws.client("iam"), f"limited-{next(self._numbers)}"
        iam.create_user(UserName=user)
        document = _policy([_statement("Allow", bucket, actions)])
        iam.put_user_policy(UserName=user, PolicyName="limited", PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return _client(self.aws.endpoint_url, key["AccessKeyId"], key["SecretAccessKey"])


class Ceph(Backend):
    """Ceph's RADOS Gateway, where a bucket policy says what the second user may."""

    name = "ceph"

    def __init__(self, running: Gateway) -> None:
        self._gateway = running
        super().__init__(self.owner())

    def owner(self) -> "S3Client":
        admin = self._gateway.admin
        return _client(self._gateway.endpoint, admin.access_key, admin.secret_key)

    def limited(self, bucket: str, actions: Sequence[str]) -> "S3Client":
        statement = _statement("Allow", bucket, actions) | {"Principal": {"AWS": [self._gateway.limited_principal]}}
        self.s3.put_bucket_policy(Bucket=bucket, Policy=_policy([statement]))
        limited = self._gateway.limited
        return _client(self._gateway.endpoint, limited.access_key, limited.secret_key)


@contextmanager
def running(name: str, directory: Path) -> Iterator[Backend]:
    """The backend `name`, with whatever it needs running while it is used."""
    with ExitStack() as stack:
        if name == "fake":
            yield Fake(stack.enter_context(S3Server(FakeS3())))
        elif name == "moto":
            stack.enter_context(mock_aws())
            yield Moto()
        elif name == "embedded":
            yield Embedded(stack.enter_context(EmbeddedAws.start(directory)))
        else:
            yield Ceph(stack.enter_context(gateway()))


def _client(endpoint: str, access_key: str, secret_key: str) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=_DIRECT,
    )


def _statement(effect: str, bucket: str, actions: Sequence[str]) -> dict[str, object]:
    arn = f"arn:aws:s3:::{bucket}"
    return {"Effect": effect, "Action": list(actions), "Resource": [arn, f"{arn}/*"]}


def _policy(statements: Sequence[dict[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})

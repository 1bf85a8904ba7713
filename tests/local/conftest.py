"""One embedded AWS for all tests of local/, and short ways to make people, functions and stacks in it."""

import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.embedded import ACCOUNT, REGION, EmbeddedAws

_numbers = count(1)

Statement = Mapping[str, Any]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mends(*names): fails without each of these mends of ministack")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if without := left_out():
        items[:] = [item for item in items if any(without & set(marker.args) for marker in item.iter_markers("mends"))]


def left_out() -> set[str]:
    """The mends to leave out: none, but for test_mends_are_needed.py, which runs this again and again."""
    return set(os.environ.get("RWM_WITHOUT_MEND", "").split())


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    directory = tmp_path_factory.mktemp("aws")
    with EmbeddedAws.start(directory, without_mends=sorted(left_out())) as running:
        yield running


@pytest.fixture(scope="session")
def account(aws: EmbeddedAws) -> "Account":
    return Account(aws)


def policy(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str | Sequence[str], resource: Any = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def deny(actions: str | Sequence[str], resource: Any, **more: Any) -> Statement:
    return {"Effect": "Deny", "Action": actions, "Resource": resource, **more}


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def eventually(look: Callable[[], Any], seconds: float = 15) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing in {seconds} s"
        time.sleep(0.1)
    return found


@dataclass
class Account:
    """The embedded account, as root sees it. Every name made here is new."""

    aws: EmbeddedAws

    def name(self, what: str) -> str:
        return f"{what}-{next(_numbers)}"

    def client(self, service: str) -> Any:
        return self.aws.client(service)

    def client_of(self, key: Mapping[str, str]) -> Callable[[str], Any]:
        """A way to make clients for an access key or session credentials, as AWS returns them."""
        session = boto3.Session(
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key.get("SessionToken"),
            region_name=REGION,
        )

        def client(service: str) -> Any:
            make: Any = session.client
            return make(service, endpoint_url=self.aws.endpoint_url)

        return client

    def user(self, *statements: Statement) -> Callable[[str], Any]:
        """The clients of a new IAM user with these permissions."""
        iam, name = self.client("iam"), self.name("user")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*statements))
        return self.client_of(iam.create_access_key(UserName=name)["AccessKey"])

    def role(self, *statements: Statement, trusted: Mapping[str, str] | None = None, **trust: Any) -> str:
        """The ARN of a new role with these permissions."""
        iam, name = self.client("iam"), self.name("role")
        principal = trusted or {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        trusting = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **trust}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trusting))["Role"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
        return str(role["Arn"])

    def assume(self, role_arn: str, **more: str) -> Callable[[str], Any]:
        """The clients of a session of a role, assumed by a user who may."""
        sts = self.user(allow("sts:AssumeRole"))("sts")
        session = sts.assume_role(RoleArn=role_arn, RoleSessionName="test", **more)
        return self.client_of(session["Credentials"])

    def bucket(self, *, locked: bool = False, versioned: bool = True) -> str:
        s3, name = self.client("s3"), self.name("bucket")
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked)
        if versioned and not locked:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def bucket_policy(self, bucket: str, *statements: Statement) -> None:
        self.client("s3").put_bucket_policy(
            Bucket=bucket, Policy=policy(*({"Principal": "*", **each} for each in statements))
        )

    def queue(self, **attributes: str) -> tuple[str, str]:
        """The URL and the ARN of a new queue."""
        sqs, name = self.client("sqs"), self.name("queue")
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def function(self, source: str, *statements: Statement, timeout: int = 10) -> str:
        """The name of a new Lambda function whose handler is `handler` in `source`."""
        name = self.name("function")
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="index.handler",
            Role=self.role(*statements, trusted={"Service": "lambda.amazonaws.com"}),
            Code={"ZipFile": zipped({"index.py": source})},
            Timeout=timeout,
        )
        return name

    def stack(self, resources: Mapping[str, Any], name: str | None = None) -> str:
        """Create, or with a name update, a stack of these resources; return its name."""
        cloudformation = self.client("cloudformation")
        change = cloudformation.update_stack if name else cloudformation.create_stack
        name = name or self.name("stack")
        change(
            StackName=name,
            TemplateBody=json.dumps({"Resources": resources}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        status = eventually(lambda: self._finished(name))
        assert status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), [
            event.get("ResourceStatusReason")
            for event in cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        ]
        return name

    def _finished(self, stack: str) -> str | None:
        found = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        status = str(found["StackStatus"])
        return None if status.endswith("IN_PROGRESS") else status


def zipped(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            # With a fixed date, so that the same files are the same archive.
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "aws"

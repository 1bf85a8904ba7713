"""A deployed RWM, and short ways to be each of those who meet it: host, operator, administrator, a step's role."""

import hashlib
import json
import os
import random
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from cli import recording
from cli.deployment import Aws, Deployment
from cli.main import app
from cli.states import states
from functions.domain.names import Names
from functions.domain.repositories import Configuration, Repository
from local.embedded import ACCOUNT, REGION, EmbeddedAws

PASSWORD = "a password for tests"
# SNS has a word of its own.
DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
LEADS_ELSEWHERE = ("AWS_", "RESTIC_", "RWM_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
"""How variables begin that would lead a program away from the embedded AWS."""

Clients = Callable[[str], Any]
"""Makes a client of a service, with somebody's credentials."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command of the operator ended."""

    exit_code: int
    document: Any

    @property
    def message(self) -> str:
        return str(self.document["error"]["message"])


@dataclass
class System:
    """What is deployed."""

    aws: EmbeddedAws
    configuration: Configuration
    terminals: Executor
    """Processes in which people type: `rwm` takes over stdout, so that only one thread of ours can run it."""
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _sessions: dict[str, Aws] = field(default_factory=dict)
    _users: dict[str, Clients] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> Names:
        return self.configuration.names

    @property
    def records(self) -> str:
        return self.names.records_bucket(ACCOUNT, REGION)

    @property
    def drills(self) -> str:
        """The bucket of drills."""
        return self.names.drill_bucket(ACCOUNT, REGION)

    def repository(self, name: str) -> Repository:
        found = self.configuration.find(name)
        assert found is not None, f"no repository {name} in tests/system/repositories.toml"
        return found

    def client(self, service: str, profile: str = "admin") -> Any:
        """One client for each service and profile, since making one takes a while and no two threads may."""
        with self._making:
            if (service, profile) not in self._clients:
                self._clients[service, profile] = self.aws.client(service, profile)
            return self._clients[service, profile]

    def forget_sessions(self) -> None:
        """The roles were deployed anew: who had assumed one must do so again."""
        with self._making:
            self._clients.clear()
            self._sessions.clear()

    # --- the host ---------------------------------------------------------------------------------

    def put(self, name: str, contents: Mapping[str, bytes], profile: str | None = None) -> None:
        """Write objects as the repository's host does; keys are relative to its prefix."""
        repository, s3 = self.repository(name), self.client("s3", profile or f"host-{name}")

        def put(entry: tuple[str, bytes]) -> None:
            s3.put_object(Bucket=repository.bucket, Key=repository.key_prefix + entry[0], Body=entry[1])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, contents.items()))

    def send(self, name: str, *bodies: str) -> list[str]:
        """Send messages to the repository's queue as its host does, up to ten at once; return their ids."""
        sqs, url = self.client("sqs", f"host-{name}"), self.queue_url(self.names.queue(name))
        sent: dict[int, str] = {}
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(number), "MessageBody": body}
                for number, body in enumerate(bodies[start : start + 10], start)
            ]
            answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
            assert not answer.get("Failed"), answer["Failed"]
            sent |= {int(each["Id"]): each["MessageId"] for each in answer["Successful"]}
        return [sent[number] for number in range(len(bodies))]

    def queue_url(self, queue: str) -> str:
        return f"{self.aws.endpoint_url}/{ACCOUNT}/{queue}"

    def waiting(self, name: str) -> int:
        """Messages that are in the repository's queue, in work or not."""
        attributes = self.client("sqs").get_queue_attributes(
            QueueUrl=self.queue_url(self.names.queue(name)), AttributeNames=["All"]
        )["Attributes"]
        return sum(int(attributes[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))

    def restic(self, profile: str, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the real restic on a repository with a profile's own credentials."""
        repository = self.repository(name)
        return self.restic_in(profile, f"{repository.bucket}/{repository.prefix}".rstrip("/"), *arguments)

    def restic_in(self, profile: str, place: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The same in any place: a bucket, or a bucket and a prefix."""
        url = f"s3:{self.aws.endpoint_url}/{place}"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(LEADS_ELSEWHERE)}
        return subprocess.run(
            ["restic", "--no-cache", "-r", url, *arguments],
            env={**inherited, **self.aws.environment, "AWS_PROFILE": profile, "RESTIC_PASSWORD": PASSWORD},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )

    # --- the operator -----------------------------------------------------------------------------

    def rwm(self, *arguments: str, profile: str = "operator") -> Answer:
        """Type `rwm ARGUMENTS --json`, in this process, with a profile's own credentials. In no thread: the runner
        takes over stdout."""
        aws = self._session(profile)
        result = CliRunner(env={"RWM_DEPLOYMENT": None}).invoke(
            app, [*arguments, "--json"], obj=lambda prefix: Deployment(Names(prefix), aws)
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.stdout, f"rwm {' '.join(arguments)} ended with {result.exit_code} and said: {result.stderr}"
        return Answer(result.exit_code, json.loads(result.stdout))

    def typed(self, *arguments: str, profile: str = "operator") -> Answer:
        """Type `rwm ARGUMENTS --json` at a terminal; in any thread."""
        elsewhere = (key for key in os.environ if key.startswith(LEADS_ELSEWHERE))
        environment = {**dict.fromkeys(elsewhere), **self.aws.environment, "AWS_PROFILE": profile}
        exit_code, said = self.terminals.submit(type_rwm, arguments, environment).result()
        return Answer(exit_code, json.loads(said))

    def ask_for_a_state(self, name: str) -> Answer:
        """What `rwm record` shows; in any thread."""
        answer = recording.record(self.deployment(), name)
        return Answer(int(answer.exit_code), answer.model_dump(mode="json"))

    def record(self, name: str) -> dict[str, Any]:
        """Ask until a state is recorded; its header's details."""
        for _ in range(20):
            answer = self.ask_for_a_state(name)
            if answer.document["outcome"] == "not-yet":
                time.sleep(1)
                continue
            assert answer.document["outcome"] == "recorded", f"{answer}\n{self.aws.log_tail()}"
            return self.states(name)[0]
        raise AssertionError(f"{name} was never free to be recorded: {answer}\n{self.aws.log_tail()}")

    def states(self, name: str) -> list[dict[str, Any]]:
        """What `rwm states` shows, newest first, checked to be one chain; without what changes as newer states come:
        why each is kept, and until when."""
        found = states(self.deployment(), name, 100, datetime.now(UTC))
        shown = found.model_dump(mode="json", exclude={"states": {"__all__": {"kept", "kept_until"}}})
        return list(shown["states"])

    def deployment(self, profile: str = "operator") -> Deployment:
        """What the commands work with; in any thread."""
        return Deployment(self.names, self._session(profile))

    def _session(self, profile: str) -> Aws:
        with self._making:
            if profile not in self._sessions:
                self._sessions[profile] = Aws(self.aws.session(profile))
            return self._sessions[profile]

    # --- the administrator ------------------------------------------------------------------------

    def versions(self, name: str) -> set[tuple[str, str]]:
        """Key and version id of every object version of a repository, noncurrent ones too."""
        repository = self.repository(name)
        pages = self.client("s3").get_paginator("list_object_versions")
        return {
            (entry["Key"], entry["VersionId"])
            for page in pages.paginate(Bucket=repository.bucket, Prefix=repository.key_prefix)
            for entry in page.get("Versions", [])
        }

    def keys(self, bucket: str) -> set[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {entry["Key"] for page in pages for entry in page.get("Contents", [])}

    def target(self, name: str) -> str:
        """A new, empty bucket to restore to."""
        self.client("s3").create_bucket(Bucket=f"rwm-restore-{name}")
        return f"rwm-restore-{name}"

    def items(self, table: str, repository: str) -> list[dict[str, Any]]:
        pages = (
            self.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": repository}},
            )
        )
        return [item for page in pages for item in page["Items"]]

    def log(self, function: str) -> list[dict[str, Any]]:
        """The structured lines of a function's log, in CloudWatch."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
        lines = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(line) for line in lines if line.startswith('{"level"')]

    def as_role(self, role: str) -> Clients:
        """Clients with a session of `role`. Roles of steps trust their service only, so for a moment the
        administrator lets an examiner in, too: beside the service, which may need it at that moment."""
        iam = self.client("iam")
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        trusted = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        examiner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/examiner"}}
        both = {**trusted, "Statement": [*trusted["Statement"], {**examiner, "Action": "sts:AssumeRole"}]}
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(both))
        try:
            session = self.examiner("sts").assume_role(RoleArn=arn, RoleSessionName="examiner")
        finally:
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trusted))
        return self._clients_of(session["Credentials"])

    def examiner(self, service: str) -> Any:
        """A user who may ask for any role, and nothing else."""
        return self.user("examiner", "sts:AssumeRole")(service)

    def user(self, name: str, *actions: str) -> Clients:
        """An IAM user with these permissions on everything, made when first asked for; in any thread."""
        iam = self.client("iam")
        with self._making:
            if name not in self._users:
                self._users[name] = self._make_user(iam, name, actions)
            return self._users[name]

    def _make_user(self, iam: Any, name: str, actions: Sequence[str]) -> Clients:
        iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        return self._clients_of(iam.create_access_key(UserName=name)["AccessKey"])

    @contextmanager
    def denying(self, role: str, actions: Sequence[str], *resources: str) -> Iterator[None]:
        """For a while `role` is denied something that it needs."""
        iam = self.client("iam")
        statement = {"Effect": "Deny", "Action": list(actions), "Resource": list(resources)}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=role, PolicyName="for-a-while", PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=role, PolicyName="for-a-while")

    def _clients_of(self, key: Mapping[str, str]) -> Clients:
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

    def eventually(self, what: str, look: Callable[[], Any], seconds: float = 90) -> Any:
        """What `look` finds, as soon as it finds something; `what` says what was waited for."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s; the log:\n{self.aws.log_tail()}"
            time.sleep(0.3)
        return found


def type_rwm(arguments: Sequence[str], environment: Mapping[str, str | None]) -> tuple[int, str]:
    """Run `rwm ARGUMENTS --json` in this process: its exit code and its document."""
    result = CliRunner(env=environment).invoke(app, [*arguments, "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError("".join(traceback.format_exception(result.exception)))
    assert result.stdout, f"rwm {' '.join(arguments)} ended with {result.exit_code} and said: {result.stderr}"
    return result.exit_code, result.stdout


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def repository_of(packs: int, seed: str = "") -> dict[str, bytes]:
    """Small objects named as restic names its own: by their SHA-256, but for `config`."""
    content = random.Random(f"{packs} {seed}")
    named: dict[str, bytes] = {"config": content.randbytes(155)}
    for kind, count in (("keys/", 1), ("snapshots/", 2), ("index/", 2), ("data/", packs)):
        for _ in range(count):
            body = content.randbytes(content.randrange(100, 2000))
            digest = hashlib.sha256(body).hexdigest()
            named[f"{kind}{f'{digest[:2]}/' if kind == 'data/' else ''}{digest}"] = body
    return named


def done(**annotations: str) -> str:
    """The body of a "backup done" message."""
    return json.dumps({"event": "backup done", **annotations})


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)

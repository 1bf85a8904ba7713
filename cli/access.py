"""`rwm connect` and `rwm disconnect`: what a host needs to know, and its key.

Security rules:
- A secret key is made only on request, with the administrator's own credentials, shown once, and kept nowhere.
- Keys are made and deleted only for users that RWM itself created.
- The policy of an adopted bucket is printed only from a `repositories.toml` that says what is deployed: a
  policy that exempts the wrong principals locks its owner out.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import ClientError
from pydantic import SecretStr, field_serializer

from cli.deployment import Deployment
from cli.exits import Refused
from functions.configuration import BadConfiguration, read_toml
from functions.domain.bucket_policy import Surroundings, bucket_policy
from functions.domain.documents import Part
from functions.domain.repositories import Repository
from functions.domain.values import RepositoryName
from functions.storage.aws import error_code

MOST_KEYS = 2
"""IAM's limit of access keys a user."""


class AccessKey(Part):
    user: str
    id: str
    secret: SecretStr
    """Hidden from logs and tracebacks; only the printed document has it."""

    @field_serializer("secret", when_used="json")
    def _show(self, secret: SecretStr) -> str:
        return secret.get_secret_value()


class Principal(Part):
    """Who may use the repository in this way."""

    arn: str
    created: bool
    """An IAM user that RWM created; otherwise a principal of the account's own."""
    policy: str
    """ARN of the managed policy with exactly the permissions."""
    attach: str | None
    """The command that attaches it; None where it is attached already or cannot be."""


class Connection(Part):
    repository: RepositoryName
    identity: Literal["host", "maintenance"]
    principals: tuple[Principal, ...]
    environment: dict[str, str]
    """For restic, rwm-publish and rwm-doctor; without the key."""
    key: AccessKey | None
    bucket_policy: dict[str, Any] | None
    """What an adopted bucket must have; None for a bucket that RWM created."""


class Disconnection(Part):
    repository: RepositoryName
    user: str
    deleted: tuple[str, ...]
    """Ids of the access keys that are gone."""


def connect(
    deployment: Deployment, name: str, *, maintenance: bool, create_key: bool, configuration: Path
) -> Connection:
    """Everything to paste on a host. Raises Refused; a key is made last, so that none is made in vain."""
    repository = deployment.repository(name)
    principals = _principals(deployment, repository, maintenance)
    connection = Connection(
        repository=repository.repository,
        identity="maintenance" if maintenance else "host",
        principals=principals,
        environment=_environment(deployment, repository, may_hide=maintenance or repository.host_may_hide),
        key=None,
        bucket_policy=_adopted_policy(deployment, repository, configuration) if repository.adopt else None,
    )
    if not create_key:
        return connection
    key = _create_key(deployment, _created_user(deployment, repository, maintenance, "no key was created"))
    return connection.model_copy(update={"key": key})


def keys_of(deployment: Deployment, name: str, *, maintenance: bool) -> tuple[str, list[str]]:
    """The user that RWM created for the repository, and the ids of its access keys."""
    repository = deployment.repository(name)
    user = _created_user(deployment, repository, maintenance, "no key was deleted")
    return user, _key_ids(deployment, user, "no key was deleted")


def disconnect(deployment: Deployment, name: str, user: str, keys: list[str]) -> Disconnection:
    """Delete exactly `keys`."""
    for key in keys:
        deployment.aws.iam.delete_access_key(UserName=user, AccessKeyId=key)
    return Disconnection(repository=RepositoryName(name), user=user, deleted=tuple(keys))


def _environment(deployment: Deployment, repository: Repository, *, may_hide: bool) -> dict[str, str]:
    environment = {
        "AWS_DEFAULT_REGION": deployment.aws.region,
        "RESTIC_REPOSITORY": deployment.restic_url(repository.bucket, repository.prefix),
        "RWM_QUEUE_URL": deployment.queue_url(repository.repository),
    }
    if deployment.own_endpoint:
        environment["AWS_ENDPOINT_URL"] = deployment.own_endpoint
    if may_hide:
        # So that the doctor does not take for too strong what is meant to be.
        environment["RWM_MAY_HIDE"] = "1"
    return environment


def _principals(deployment: Deployment, repository: Repository, maintenance: bool) -> tuple[Principal, ...]:
    named = _named(repository, maintenance)
    if not named:
        raise Refused(
            f'{repository.name} has no maintenance identity; nothing was done; set maintenance = "create" '
            "in repositories.toml and deploy"
        )
    own = _user_name(deployment, repository, maintenance)
    policy = deployment.arn("iam", f"policy/{own}", region=False)
    return tuple(
        Principal(arn=deployment.arn("iam", f"user/{own}", region=False), created=True, policy=policy, attach=None)
        if principal == "create"
        else Principal(arn=principal, created=False, policy=policy, attach=_attach(principal, policy))
        for principal in named
    )


def _attach(principal: str, policy: str) -> str | None:
    account, resource = principal.split(":", 5)[4:]
    if account != policy.split(":")[4]:
        return None  # a managed policy can be attached in its own account only
    kind, _, path = resource.partition("/")
    name = path.rpartition("/")[2]
    return f"aws iam attach-{kind}-policy --{kind}-name {shlex.quote(name)} --policy-arn {policy}"


def _adopted_policy(deployment: Deployment, repository: Repository, path: Path) -> dict[str, Any]:
    undone = f"nothing was done; the policy of adopted bucket {repository.bucket} exempts whom repositories.toml names"
    try:
        configuration = read_toml(path)
    except BadConfiguration as error:
        # Its last words are about synth.
        reason = "; ".join(str(error).splitlines()).removesuffix("; nothing was synthesized")
        raise Refused(f"{reason}; {undone}; run it in the checkout, or pass --configuration") from error
    if configuration.deployment != deployment.names.prefix or configuration.find(repository.name) != repository:
        raise Refused(f"{path} does not say what {deployment} has of {repository.name}; {undone}; deploy it first")
    where = Surroundings(deployment.aws.partition, deployment.aws.account, configuration)
    statements = bucket_policy(repository.bucket, configuration.buckets[repository.bucket], where)
    return {"Version": "2012-10-17", "Statement": _plain(statements)}


def _plain(statements: list[Mapping[str, Any]]) -> Any:
    return json.loads(json.dumps(statements))


def _named(repository: Repository, maintenance: bool) -> tuple[str, ...]:
    if not maintenance:
        return repository.hosts
    return (repository.maintenance,) if repository.maintenance else ()


def _user_name(deployment: Deployment, repository: Repository, maintenance: bool) -> str:
    names = deployment.names
    return names.maintenance(repository.name) if maintenance else names.host(repository.name)


def _created_user(deployment: Deployment, repository: Repository, maintenance: bool, undone: str) -> str:
    if "create" not in _named(repository, maintenance):
        whose = "maintenance identity" if maintenance else "hosts"
        named = ", ".join(_named(repository, maintenance)) or "none"
        raise Refused(
            f"the {whose} of {repository.name} ({named}) were not created by RWM; {undone}; "
            "manage their credentials where they come from"
        )
    return _user_name(deployment, repository, maintenance)


def _key_ids(deployment: Deployment, user: str, undone: str) -> list[str]:
    try:
        pages = deployment.aws.iam.get_paginator("list_access_keys").paginate(UserName=user)
        return [key["AccessKeyId"] for page in pages for key in page["AccessKeyMetadata"]]
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            raise Refused(f"there is no IAM user {user}; {undone}; deploy again with `make deploy`") from error
        raise


def _create_key(deployment: Deployment, user: str) -> AccessKey:
    undone = "no key was created"
    existing = _key_ids(deployment, user, undone)
    if len(existing) >= MOST_KEYS:
        raise Refused(
            f"{user} has {len(existing)} access keys ({', '.join(existing)}), the most IAM allows; {undone}; "
            "delete one that is not in use (`aws iam delete-access-key`), or all with `rwm disconnect`"
        )
    made = deployment.aws.iam.create_access_key(UserName=user)["AccessKey"]
    return AccessKey(user=user, id=made["AccessKeyId"], secret=SecretStr(made["SecretAccessKey"]))

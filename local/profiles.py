"""The config and credentials files that boto3, the aws cli, restic and `rwm` read."""

import os
from collections.abc import Iterable, Mapping
from configparser import RawConfigParser
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Profile:
    """A named identity: settings go to the config file, secrets to the credentials file."""

    name: str
    secrets: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


def access_key(access_key_id: str, secret: str, session_token: str | None = None) -> dict[str, str]:
    secrets = {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret}
    return secrets | ({"aws_session_token": session_token} if session_token else {})


def write_profiles(directory: Path, profiles: Iterable[Profile], *, endpoint_url: str, region: str) -> None:
    """Write `config` and `credentials` in `directory`, readable by their owner only.

    The secrets open nothing but the embedded AWS, but habits matter: mode 0600.
    """
    config, credentials = RawConfigParser(), RawConfigParser()
    for profile in profiles:
        config[f"profile {profile.name}"] = {
            "region": region,
            "endpoint_url": endpoint_url,
            **profile.settings,
        }
        if profile.secrets:
            credentials[profile.name] = dict(profile.secrets)
    for name, content in (("config", config), ("credentials", credentials)):
        partial = directory / f"{name}.partial"
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            content.write(file)
        partial.replace(directory / name)

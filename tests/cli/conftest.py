"""The deployment of most tests: alpha has the defaults, beta a prefix, a maintenance identity and a password."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from functions.domain.repositories import Repository
from tests.cli.deployed import REGION, Deployed

ALPHA = Repository(name="alpha", bucket="alpha-bucket", host_may_hide=True)
BETA = Repository(
    name="beta",
    bucket="beta-bucket",
    prefix="restic/beta",
    maintenance="create",
    check_level="complete",
    restic_password_secret="arn:aws:secretsmanager:eu-central-1:123456789012:secret:beta-AbCdEf",
)


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of this machine's AWS configuration, and no AWS."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield


@pytest.fixture
def deployed() -> Deployed:
    return Deployed(ALPHA, BETA)

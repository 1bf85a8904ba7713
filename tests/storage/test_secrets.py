"""A repository's password from Secrets Manager: read anew, and in nothing that anybody could see."""

import json
import logging
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from functions.domain.ports import PasswordUnavailable
from functions.storage.secrets import SecretsManagerPassword

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

PASSWORD = "correct horse ☃ battery"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:restic/alpha-AbCdEf"


def a_client() -> "SecretsManagerClient":
    return boto3.client(
        "secretsmanager", region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )


@pytest.fixture
def secrets() -> Iterator["SecretsManagerClient"]:
    with mock_aws():
        yield a_client()


def stored(secrets: "SecretsManagerClient", content: str) -> str:
    return secrets.create_secret(Name="restic/alpha", SecretString=content)["ARN"]


def everything_of(error: BaseException) -> str:
    """All that a log, a debugger or a report could show of an error and of those that led to it."""
    shown, pending, seen = [], [error], set()
    while pending:
        each = pending.pop()
        if id(each) not in seen:
            seen.add(id(each))
            shown += [repr(each), str(each), repr(each.args), repr(vars(each)), getattr(each, "doc", "")]
            shown += [str(getattr(each, "object", ""))]
            pending += [other for other in (each.__cause__, each.__context__) if other is not None]
    return "\n".join([*shown, *traceback.format_exception(error)])


@pytest.mark.parametrize(
    "content",
    [
        PASSWORD,
        f"{PASSWORD}\n",
        f"{PASSWORD}\r\n",
        json.dumps({"password": PASSWORD}),
        json.dumps({"username": "restic", "password": PASSWORD}, ensure_ascii=False),
    ],
)
def test_the_password_is_the_text_or_a_field_of_json(secrets: "SecretsManagerClient", content: str) -> None:
    assert SecretsManagerPassword(secrets, stored(secrets, content)).password().get_secret_value() == PASSWORD


@pytest.mark.parametrize("content", ["12345678", "null", '"quoted"', "[1]", "{curly", " spaces around ", "[" * 5000])
def test_a_password_that_looks_like_json_is_itself(secrets: "SecretsManagerClient", content: str) -> None:
    assert SecretsManagerPassword(secrets, stored(secrets, content)).password().get_secret_value() == content


def test_a_rotated_password_counts_at_once(secrets: "SecretsManagerClient") -> None:
    arn = stored(secrets, "before")
    reader = SecretsManagerPassword(secrets, arn)
    assert reader.password().get_secret_value() == "before"
    secrets.put_secret_value(SecretId=arn, SecretString="after")
    assert reader.password().get_secret_value() == "after"


def test_a_password_has_no_representation(secrets: "SecretsManagerClient") -> None:
    reader = SecretsManagerPassword(secrets, stored(secrets, PASSWORD))
    password = reader.password()
    assert PASSWORD not in f"{password} {password!r} {reader!r} {vars(reader)}"


# --- secrets without a password --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("\n", "it holds no password"),
        ('{"password": ""}', "it holds no password"),
        (json.dumps({"passphrase": PASSWORD}), 'JSON without a text "password"'),
        (json.dumps({"password": [PASSWORD]}), 'JSON without a text "password"'),
        ("{}", 'JSON without a text "password"'),
        (f'{{"password": "{PASSWORD}\\ud800"}}', "no valid text"),
    ],
)
def test_a_secret_without_a_password_is_named_and_what_it_holds_is_not(
    secrets: "SecretsManagerClient", content: str, why: str
) -> None:
    arn = stored(secrets, content)
    with pytest.raises(PasswordUnavailable) as refusal:
        SecretsManagerPassword(secrets, arn).password()
    assert arn in str(refusal.value)
    assert why in str(refusal.value)
    assert PASSWORD not in everything_of(refusal.value)


def test_a_secret_of_bytes_holds_no_password(secrets: "SecretsManagerClient") -> None:
    arn = secrets.create_secret(Name="binary", SecretBinary=PASSWORD.encode())["ARN"]
    with pytest.raises(PasswordUnavailable, match="it holds no password") as refusal:
        SecretsManagerPassword(secrets, arn).password()
    assert PASSWORD not in everything_of(refusal.value)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("ResourceNotFoundException", "does not exist"),
        ("AccessDeniedException", "access to it is denied"),
        ("DecryptionFailure", "cannot be decrypted"),
        ("InvalidRequestException", "scheduled for deletion"),
    ],
)
def test_a_secret_that_cannot_be_read_says_what_to_do(code: str, why: str) -> None:
    client = a_client()
    with Stubber(client) as answers:
        answers.add_client_error("get_secret_value", code)
        with pytest.raises(PasswordUnavailable, match=f"{ARN} gave no password: .*{why}"):
            SecretsManagerPassword(client, ARN).password()


def test_any_other_error_is_not_taken_for_something_it_is_not() -> None:
    client = a_client()
    with Stubber(client) as answers:
        answers.add_client_error("get_secret_value", "InternalServiceError", http_status_code=500)
        with pytest.raises(ClientError, match="InternalServiceError"):
            SecretsManagerPassword(client, ARN).password()


# --- logs ------------------------------------------------------------------------------------------


@pytest.fixture
def botocores_level() -> Iterator[None]:
    logger = logging.getLogger("botocore")
    level = logger.level
    logger.setLevel(logging.NOTSET)
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("botocores_level")
def test_a_function_that_logs_all_it_can_logs_no_password(
    secrets: "SecretsManagerClient", caplog: pytest.LogCaptureFixture
) -> None:
    arn = stored(secrets, json.dumps({"password": "ascii-only"}))
    caplog.set_level(logging.DEBUG)
    secrets.get_secret_value(SecretId=arn)
    assert "ascii-only" in caplog.text, "what botocore does by itself"
    caplog.clear()
    seen: Any = SecretsManagerPassword(secrets, arn).password()
    assert seen.get_secret_value() == "ascii-only"
    assert "ascii-only" not in caplog.text

"""Secrets Manager: the password of a restic repository.

Security rules:
- A password is read anew each time, so that a rotated one counts at once, and is kept by nobody here.
- It leaves as a SecretStr, which no log and no repr shows. No error carries it or a part of it, nor leads to an
  exception that does: those of JSON and of text encoding hold all that they were given.
- botocore logs whole answers at DEBUG, and how much a function logs is a setting of its deployment: here it may not.
"""

import json
import logging
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import SecretStr

from functions.domain.ports import PasswordUnavailable
from functions.storage.aws import error_code

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_FIELD = "password"
_NO_SUCH = "it does not exist; create it, or correct restic_password_secret"
_WHY = {
    "ResourceNotFoundException": _NO_SUCH,
    "AccessDeniedException": "access to it is denied; allow the check's role to read it, and to use its KMS key",
    "DecryptionFailure": "it cannot be decrypted; allow the check's role to use its KMS key",
    "InvalidRequestException": "it is scheduled for deletion; restore it, or name another as restic_password_secret",
}


class SecretsManagerPassword:
    """PasswordReader over boto3. The secret is the password itself, or JSON with a field `password`."""

    def __init__(self, client: "SecretsManagerClient", secret: str) -> None:
        """`secret` is an ARN."""
        self._client = client
        self._secret = secret
        logging.getLogger("botocore").setLevel(logging.INFO)

    def password(self) -> SecretStr:
        password = _password_in(self._read())
        if password is None:
            raise self._unavailable('it is JSON without a text "password"; put the password there')
        if not password:
            raise self._unavailable("it holds no password; store one")
        if not _is_text(password):
            raise self._unavailable("its password is no valid text; store another")
        return SecretStr(password)

    def _read(self) -> str:
        try:
            answer = self._client.get_secret_value(SecretId=self._secret)
        except ClientError as error:
            if (why := _WHY.get(error_code(error))) is None:
                raise
            raise self._unavailable(why) from error
        return answer.get("SecretString", "")

    def _unavailable(self, why: str) -> PasswordUnavailable:
        return PasswordUnavailable(f"secret {self._secret} gave no password: {why}")


def _password_in(content: str) -> str | None:
    """The password that a secret holds; None where it is JSON without one.

    A line break at the end is an editor's, as restic takes it in a password file.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return content.rstrip("\r\n")
    password = found.get(_FIELD)
    return password if isinstance(password, str) else None


def _is_text(password: str) -> bool:
    """Half a surrogate pair, which JSON can spell, has no bytes to derive a key from."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True

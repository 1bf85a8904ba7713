"""Mends of how ministack evaluates policies."""

import re
from typing import Any

from ministack import app
from ministack.core import iam_evaluator

_SESSION_ARN = re.compile(r"arn:(aws[\w-]*):sts::(\d{12}):assumed-role/([^/]+)/.+")


def loopback_counts_as_tls() -> None:
    """AWS serves TLS; ministack serves plain HTTP and says so in aws:SecureTransport.

    Every bucket and queue of RWM denies requests without TLS, so nothing at all would work. The
    server listens on the loopback interface only, where there is nobody to encrypt for.
    """
    pin = app.pin_request_origin

    def pin_request_origin(source_ip: str, _secure_transport: bool) -> None:
        pin(source_ip, True)

    app.pin_request_origin = pin_request_origin


def principal_arn_is_the_role() -> None:
    """On AWS, aws:PrincipalArn of a role's session is the role's ARN; here it is the session's.

    The denying bucket policy exempts the one role that needs an action by exactly this key, so
    without the mend the role is denied too.
    """
    resolve = iam_evaluator._resolve_condition_key

    def resolve_condition_key(key: str, context: Any) -> Any:
        if key.lower() == "aws:principalarn" and (session := _SESSION_ARN.fullmatch(context.principal_arn or "")):
            partition, account, role = session.groups()
            return f"arn:{partition}:iam::{account}:role/{role}"
        return resolve(key, context)

    iam_evaluator._resolve_condition_key = resolve_condition_key


MENDS = (loopback_counts_as_tls, principal_arn_is_the_role)

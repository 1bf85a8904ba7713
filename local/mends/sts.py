"""Mends of ministack's STS."""

import re
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import sts

_SIX_DIGITS = re.compile(r"\d{6}")


def mfa_is_remembered() -> None:
    """On AWS, AssumeRole with SerialNumber and TokenCode sets aws:MultiFactorAuthPresent to true, for
    the trust policy and for the session; ministack ignores both parameters.

    The approver's role can be assumed with MFA only. Here any six digits count as a code: the embedded
    AWS shows that MFA is asked for, not that a code is right.
    """
    with_mfa: ContextVar[bool] = ContextVar("rwm_mfa", default=False)
    tags_of, keys_of, register = (
        sts._session_tags,
        iam_evaluator._principal_keys,
        sts.register_session,
    )

    def session_tags(params: dict[str, Any], check: bool = True) -> Any:
        code = sts._p(params, "TokenCode")
        with_mfa.set(bool(sts._p(params, "SerialNumber") and _SIX_DIGITS.fullmatch(code)))
        return tags_of(params, check)

    def principal_keys(credential: Any) -> Any:
        keys = keys_of(credential)
        session = sts._sessions.get(credential.access_key_id) or {}
        if with_mfa.get() or session.get("MFA"):
            keys["aws:multifactorauthpresent"] = "true"
        return keys

    def register_session(access_key: str, session: dict[str, Any]) -> None:
        session["MFA"] = with_mfa.get()
        register(access_key, session)

    sts._session_tags = session_tags
    sts._principal_keys = iam_evaluator._principal_keys = principal_keys
    sts.register_session = register_session


MENDS = (mfa_is_remembered,)

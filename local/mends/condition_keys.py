"""A way to give ministack's policy evaluator the condition keys it leaves unresolved.

An unresolved key is dangerous in a rehearsal: a Deny that depends on it never fires, so an attack
succeeds here that AWS refuses, or an Allow never fires and a role seems to lack what it has.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_actions, iam_evaluator


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request that is being authorised."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    params: Mapping[str, Any]


Keys = Mapping[str, str | list[str]]
KeysOf = Callable[[Request, str, str], Keys]
"""From the request, the IAM action and the resource's ARN to the condition keys it carries."""

_request: ContextVar[Request | None] = ContextVar("rwm_request", default=None)
_keys_of: dict[str, KeysOf] = {}


def resolve_condition_keys(service: str, keys_of: KeysOf) -> None:
    """Have each authorisation of a request to `service` see the keys that `keys_of` finds."""
    if not _keys_of:
        _remember_each_request()
        _add_keys_to_each_check()
    _keys_of[service] = keys_of


def _remember_each_request() -> None:
    extract = iam_actions.extract_iam_action

    def extract_iam_action(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, Any],
    ) -> Any:
        _request.set(Request(method, path, headers, body or b"", query_params))
        return extract(service, method, path, headers, body, query_params)

    iam_actions.extract_iam_action = extract_iam_action


def _add_keys_to_each_check() -> None:
    enforce_as_is = iam_evaluator.enforce

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        request, keys_of = _request.get(), _keys_of.get(service)
        if request is not None and keys_of is not None:
            found = keys_of(request, iam_action, resource_arn)
            service_context = {**found, **(service_context or {})}
        return enforce_as_is(access_key_id, iam_action, service, region, resource_arn, service_context)

    iam_evaluator.enforce = enforce

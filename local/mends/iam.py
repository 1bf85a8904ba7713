"""Mends of how ministack evaluates policies."""

import json
import re
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator

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


def paths_of_parameters_and_map_runs_are_resources() -> None:
    """On AWS, ssm:GetParametersByPath is asked for on the path and states:DescribeMapRun on the map run;
    here both on `*`, which no policy of RWM allows: the operator could not run `rwm`.
    """
    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found = str(extract(service, method, path, headers, body, query, region, account))
        if found != "*" or service not in ("ssm", "states"):
            return found
        try:
            asked = json.loads(body)
        except ValueError:
            return found
        if service == "ssm" and asked.get("Path"):
            return f"arn:aws:ssm:{region}:{account}:parameter/{asked['Path'].strip('/')}"
        return str(asked.get("mapRunArn") or found)

    iam_actions.extract_resource_arn = extract_resource_arn


def denials_have_a_request_id() -> None:
    """AWS names every answer, refusals too; ministack's refusals have no request id.

    The demo writes down each refusal with the id the server gave it.
    """
    respond = iam_actions.access_denied_response

    def access_denied_response(service: str, action: str, principal: str, request_id: str, **how: Any) -> Any:
        status, headers, body = respond(service, action, principal, request_id, **how)
        return status, {**headers, "x-amz-request-id": request_id, "x-amzn-requestid": request_id}, body

    iam_actions.access_denied_response = access_denied_response


MENDS = (
    loopback_counts_as_tls,
    principal_arn_is_the_role,
    paths_of_parameters_and_map_runs_are_resources,
    denials_have_a_request_id,
)

"""Mends of how ministack evaluates policies."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

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


def simulations_are_asked_for_on_the_principal() -> None:
    """On AWS iam:SimulatePrincipalPolicy is asked for on the principal that is simulated; here on `*`, which no
    policy of RWM allows: the check could judge no host.
    """
    extract = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        found = str(extract(service, method, path, headers, body, query, region, account))
        if found != "*" or service != "iam":
            return found
        asked = {**query, **parse_qs((body or b"").decode("utf-8", "replace"))}
        return str(iam._p(asked, "PolicySourceArn") or found)

    iam_actions.extract_resource_arn = extract_resource_arn


_DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny"}


def simulations_weigh_the_resource_policy() -> None:
    """AWS's SimulatePrincipalPolicy weighs the resource policy and the context it is given, answers for each
    resource in ResourceSpecificResults, and knows who exists; ministack looks at the identity's own policies
    and the first resource only, without context, and says implicitDeny of a stranger.

    The check of posture asks it whether a host, bucket policy and all, could destroy versions.
    """
    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = _simulate_principal_policy


def _simulate_principal_policy(parameters: Mapping[str, Any]) -> Any:
    account, arn = iam.get_account_id(), str(iam._p(parameters, "PolicySourceArn"))
    kind, _, name = arn.partition(f"arn:aws:iam::{account}:")[2].partition("/")
    if name not in {"user": iam._users, "role": iam._roles}.get(kind, ()):
        return iam._error(404, "NoSuchEntity", f"The {kind or 'entity'} {name or arn} cannot be found.", ns="iam")
    gather = iam_evaluator._gather_user_policies if kind == "user" else iam_evaluator._gather_role_policies
    policies = gather(name, account)
    resource_policy = iam._p(parameters, "ResourcePolicy") or None
    resources = list(_members(parameters, "ResourceArns")) or ["*"]
    keys = {
        str(key).lower(): list(_members(parameters, f"ContextEntries.member.{number}.ContextKeyValues"))
        for number, key in enumerate(_members(parameters, "ContextEntries", ".ContextKeyName"), 1)
    }

    def decide(action: str, resource: str) -> str:
        asked = iam_evaluator.EvalContext(
            principal_arn=arn,
            principal_type=kind.capitalize(),
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=iam.get_region(),
            secure_transport=keys.get("aws:securetransport") == ["true"],
            service_context={key: values[0] if len(values) == 1 else values for key, values in keys.items()},
        )
        result = iam_evaluator.evaluate(asked, policies)
        if resource_policy:
            result = iam_evaluator.combine_resource_policy(result, asked, resource_policy, None)
        return _DECISIONS.get(result.decision, "implicitDeny")

    results = "".join(
        _simulated(action, {resource: decide(action, resource) for resource in resources})
        for action in _members(parameters, "ActionNames")
    )
    return iam._xml(
        200,
        "SimulatePrincipalPolicyResponse",
        f"<SimulatePrincipalPolicyResult><EvaluationResults>{results}</EvaluationResults>"
        "<IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult>",
        ns="iam",
    )


def _members(parameters: Mapping[str, Any], name: str, field: str = "") -> Iterator[str]:
    """A list, as AWS's query protocol numbers it."""
    for number in count(1):
        if not (value := iam._p(parameters, f"{name}.member.{number}{field}")):
            return
        yield str(value)


def _simulated(action: str, decisions: Mapping[str, str]) -> str:
    """One result: the strictest decision, and beneath it each resource's own."""
    strictest = min(decisions.values(), key=("explicitDeny", "implicitDeny", "allowed").index)
    nothing = "<MatchedStatements/><MissingContextValues/>"
    specific = "".join(
        f"<member><EvalResourceName>{escape(resource)}</EvalResourceName>"
        f"<EvalResourceDecision>{decision}</EvalResourceDecision>{nothing}</member>"
        for resource, decision in decisions.items()
    )
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>*</EvalResourceName>"
        f"<EvalDecision>{strictest}</EvalDecision>{nothing}"
        f"<ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
    )


MENDS = (
    loopback_counts_as_tls,
    principal_arn_is_the_role,
    paths_of_parameters_and_map_runs_are_resources,
    denials_have_a_request_id,
    simulations_are_asked_for_on_the_principal,
    simulations_weigh_the_resource_policy,
)

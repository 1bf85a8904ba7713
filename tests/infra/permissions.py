"""What the templates allow, with wildcards expanded to the actions that AWS has."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint

from tests.infra.templates import Assembly, Template

Statement = Mapping[str, Any]


@cache
def _actions_of_aws() -> Mapping[str, frozenset[str]]:
    """Actions by service, in lower case: IAM does not tell cases apart."""
    path = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"
    return {
        service: frozenset(f"{service}:{action.lower()}" for action in content["Actions"])
        for service, content in json.loads(path.read_text()).items()
    }


class UnknownAction(AssertionError):
    """A policy names an action that AWS does not have: it allows nothing, or forbids nothing."""


def expand(patterns: Iterable[str]) -> frozenset[str]:
    """The actions that `patterns` match. Raises UnknownAction for one that matches none."""
    found: set[str] = set()
    for pattern in patterns:
        lowered = pattern.lower()
        service = lowered.partition(":")[0]
        everything = _actions_of_aws()
        candidates = frozenset().union(*everything.values()) if service == "*" else everything.get(service, frozenset())
        matches = {action for action in candidates if fnmatchcase(action, lowered)}
        if not matches:
            raise UnknownAction(f"{pattern} is no action of AWS")
        found |= matches
    return frozenset(found)


def several(one_or_many: Any) -> list[Any]:
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


@dataclass(frozen=True)
class Identity:
    """A role, or what a host or maintenance principal gets."""

    name: str
    statements: tuple[Statement, ...]
    trust: Statement | None = None

    @property
    def allowed(self) -> frozenset[str]:
        """Whatever any statement allows, anywhere, under any condition."""
        return frozenset().union(*(_allowed_by(each) for each in self.statements))

    def resources(self, action: str) -> frozenset[str]:
        """Where `action` is allowed."""
        return frozenset(
            resource
            for each in self.statements
            if action.lower() in _allowed_by(each)
            for resource in several(each["Resource"])
        )

    def conditions(self, action: str) -> list[Any]:
        return [each.get("Condition", {}) for each in self.statements if action.lower() in _allowed_by(each)]


def _allowed_by(statement: Statement) -> frozenset[str]:
    if statement["Effect"] != "Allow":
        return frozenset()
    if "NotAction" in statement:
        return expand(["*:*"]) - expand(several(statement["NotAction"]))
    return expand(several(statement["Action"]))


def identities(assembly: Assembly) -> dict[str, Identity]:
    """By name: all roles, and all managed policies that belong to no role."""
    found: dict[str, Identity] = {}
    for template in assembly.templates:
        managed = template.of_type("AWS::IAM::ManagedPolicy")
        taken: set[str] = set()
        for role in template.of_type("AWS::IAM::Role").values():
            attached = [
                logical_id
                for logical_id, policy in managed.items()
                if policy["ManagedPolicyName"] in role.get("ManagedPolicyArns", ())
            ]
            taken.update(attached)
            documents = [
                *(policy["PolicyDocument"] for policy in role.get("Policies", ())),
                *(managed[logical_id]["PolicyDocument"] for logical_id in attached),
                *_attached_elsewhere(template, role["RoleName"]),
            ]
            found[role["RoleName"]] = Identity(
                role["RoleName"], _statements(documents), role["AssumeRolePolicyDocument"]["Statement"][0]
            )
        for logical_id, policy in managed.items():
            if logical_id not in taken:
                name = policy["ManagedPolicyName"]
                found[name] = Identity(name, _statements([policy["PolicyDocument"]]))
    return found


def _attached_elsewhere(template: Template, role: str) -> list[Any]:
    """Policies as CDK's grants would add them."""
    return [
        policy["PolicyDocument"]
        for policy in template.of_type("AWS::IAM::Policy").values()
        if role in policy.get("Roles", ())
    ]


def _statements(documents: Iterable[Any]) -> tuple[Statement, ...]:
    return tuple(statement for document in documents for statement in several(document["Statement"]))

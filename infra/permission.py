"""What a role may do, each permission with its reason.

Written by hand instead of with CDK's grants, which give more than they say: `grant_put` also gives
PutObjectRetention, `grant_delete` also DeleteObjectVersion. A wildcard without a reason of its own stops
the synthesis.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


@dataclass(frozen=True, slots=True)
class Permission:
    """One statement of an identity policy."""

    effect: Literal["Allow", "Deny"]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    because: str
    wildcard: str = ""
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        has_wildcard = any("*" in each for each in (*self.actions, *self.resources))
        if has_wildcard and self.effect == "Allow" and not self.wildcard:
            raise ValueError(
                f"{', '.join(self.actions)}: a wildcard needs a reason (wildcard=…); nothing was synthesized"
            )
        if not self.because:
            raise ValueError(f"{', '.join(self.actions)}: a permission needs a reason; nothing was synthesized")

    @property
    def statement(self) -> dict[str, Any]:
        """As IAM writes it."""
        statement: dict[str, Any] = {
            "Effect": self.effect,
            "Action": _one_or_many(self.actions),
            "Resource": _one_or_many(self.resources),
        }
        if self.conditions:
            statement["Condition"] = {key: dict(value) for key, value in self.conditions.items()}
        return statement

    @property
    def size(self) -> int:
        """In characters, as IAM counts them: without white space. Pseudo parameters count for more than they become."""
        return len(json.dumps(self.statement, separators=(",", ":")))


def allow(
    *actions: str,
    on: str | Sequence[str],
    because: str,
    wildcard: str = "",
    when: Mapping[str, Mapping[str, Any]] | None = None,
) -> Permission:
    """Allow `actions` on the ARNs `on`; `wildcard` says why an ARN cannot be spelled out."""
    return Permission("Allow", actions, _several(on), because, wildcard, when or {})


def deny(*actions: str, on: str | Sequence[str], because: str) -> Permission:
    """Deny `actions` on the ARNs `on`, whatever else the role is allowed."""
    return Permission("Deny", actions, _several(on), because)


def by_tens(arns: Sequence[str]) -> list[Sequence[str]]:
    """Portions that make statements small enough to be packed into policies."""
    return [arns[start : start + 10] for start in range(0, len(arns), 10)]


EXPLAINED = "rwm:permissions"
"""Metadata of the assembly that docs/permissions.md is made from."""


def explain(scope: IConstruct, name: str, permissions: Sequence[Permission]) -> None:
    """Keep the reasons of the permissions of `name`: for docs/permissions.md, and, those of wildcards, for cdk-nag."""
    content = [{"because": each.because, "wildcard": each.wildcard, **each.statement} for each in permissions]
    scope.node.add_metadata(EXPLAINED, {"name": name, "permissions": content})
    for permission in permissions:
        for kind, values in (("Action", permission.actions), ("Resource", permission.resources)):
            for value in values:
                if permission.effect == "Allow" and "*" in value:
                    readable = _PSEUDO_PARAMETER.sub(r"<AWS::\1>", value)
                    acknowledge(scope, f"AwsSolutions-IAM5[{kind}::{readable}]", permission.wildcard)


_PSEUDO_PARAMETER = re.compile(r"\$\{Token\[AWS\.(\w+)\.\d+\]\}")
"""As CDK writes it inside a string; cdk-nag writes `<AWS::Region>`."""


def acknowledge(scope: IConstruct, rule: str, reason: str) -> None:
    """Why cdk-nag's `rule` does not apply to `scope` and what is in it."""
    Validations.of(scope).acknowledge(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason))


def _several(one_or_many: str | Sequence[str]) -> tuple[str, ...]:
    return (one_or_many,) if isinstance(one_or_many, str) else tuple(one_or_many)


def _one_or_many(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)

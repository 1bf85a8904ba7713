"""Synthesized templates as tests read them: intrinsic functions replaced by what AWS would make of them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = {
    "AWS::AccountId": "123456789012",
    "AWS::Region": "ap-southeast-1",
    "AWS::Partition": "aws-us-gov",
    "AWS::URLSuffix": "amazonaws.com.cn",
}
"""Real values, none of which is longer anywhere."""
USUAL = {**LONGEST, "AWS::Region": "eu-central-1", "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}

Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Template:
    """One stack's template."""

    name: str
    content: Mapping[str, Any]
    pseudo_parameters: Mapping[str, str]

    @property
    def resources(self) -> Mapping[str, Resource]:
        found: Mapping[str, Resource] = self.content["Resources"]
        return found

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Properties by logical id, plain."""
        return {
            logical_id: self.plain(resource["Properties"])
            for logical_id, resource in self.resources.items()
            if resource["Type"] == resource_type
        }

    def plain(self, value: Any) -> Any:
        """`value` without intrinsic functions."""
        if isinstance(value, list):
            return [self.plain(each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self.pseudo_parameters.get(argument) or self._name(argument)
            if function == "Fn::Join":
                return argument[0].join(self.plain(argument[1]))
            if function == "Fn::GetAtt":
                return f"arn:{self.pseudo_parameters['AWS::Partition']}:{argument[0]}:{argument[1]}"
            if function == "Fn::Sub":
                return re.sub(r"\$\{([\w:]+)\}", lambda found: self.plain({"Ref": found[1]}), argument)
            assert not function.startswith("Fn::"), f"{function} is not expected here"
        return {key: self.plain(each) for key, each in value.items()}

    def _name(self, logical_id: str) -> str:
        properties = self.resources[logical_id]["Properties"] if logical_id in self.resources else {}
        names = [value for key, value in properties.items() if key.endswith("Name") and isinstance(value, str)]
        return names[0] if names else logical_id


@dataclass(frozen=True)
class Assembly:
    """What one synthesis made."""

    directory: Path
    data: Template
    flows: Template
    watch: Template

    @classmethod
    def read(cls, directory: Path, deployment: str = "rwm", values: Mapping[str, str] = USUAL) -> "Assembly":
        data, flows, watch = (
            Template(name, json.loads((directory / f"{name}.template.json").read_text()), values)
            for name in (f"{deployment}-data", f"{deployment}-flows", f"{deployment}-watch")
        )
        return cls(directory, data, flows, watch)

    @property
    def templates(self) -> tuple[Template, ...]:
        return self.data, self.flows, self.watch

    def of_type(self, resource_type: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Logical ids and plain properties, of all stacks. Logical ids of two stacks may be the same."""
        for template in self.templates:
            yield from template.of_type(resource_type).items()

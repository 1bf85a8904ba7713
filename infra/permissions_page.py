"""docs/permissions.md: what each role and identity may do, and why.

`python -m infra.permissions_page` writes it anew; a test fails when it is not what is deployed.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from functions.configuration import read_toml
from infra.deployment import compose, with_local_principals
from infra.permission import EXPLAINED

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "permissions.md"
EXAMPLE = Path(__file__).with_name("example.toml")
"""It has both the worst case and the default."""
ACCOUNT, REGION = "123456789012", "eu-central-1"
PERSON = f"arn:aws:iam::{ACCOUNT}:user/person"
"""Somebody must be named for the people's roles to be made."""

_INTRODUCTION = """# What each role may do, and why

Made from an example: alpha, whose host may hide anything, and beta, which has the defaults and a prefix in its bucket
(`python -m infra.permissions_page`; a test fails when this page differs). Nothing else is allowed to any of them; a
bucket's policy denies the worst a second time, to everybody (functions/domain/bucket_policy.py).
"""


def synthesize(outdir: Path) -> Path:
    """The example, without packing the functions, with somebody in the people's roles."""
    configuration = with_local_principals(read_toml(EXAMPLE), PERSON)
    unpacked: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
    compose(configuration, account=ACCOUNT, region=REGION, context=unpacked, outdir=str(outdir)).synth()
    return outdir


def page(assembly: Path) -> str:
    """The page, from the metadata of a synthesized assembly."""
    roles = sorted(_explained(assembly), key=lambda role: str(role["name"]))
    return "\n".join([_INTRODUCTION, *(line for role in roles for line in _role(role))])


def _explained(assembly: Path) -> Iterator[Mapping[str, Any]]:
    for file in sorted(assembly.glob("*.metadata.json")):
        for entries in json.loads(file.read_text()).values():
            yield from (entry["data"] for entry in entries if entry["type"] == EXPLAINED)


def _role(role: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {role['name']}\n"
    yield "| may | on | when | why |"
    yield "|---|---|---|---|"
    for permission in role["permissions"]:
        never = "**never** " if permission["Effect"] == "Deny" else ""
        cells = [
            never + ", ".join(_several(permission["Action"])),
            ", ".join(f"`{_short(resource)}`" for resource in _several(permission["Resource"])),
            _conditions(permission.get("Condition", {})),
            permission["because"],
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _conditions(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{operator} {key} {', '.join(_several(value))}"
        for operator, keys in conditions.items()
        for key, value in keys.items()
    )


def _short(arn: str) -> str:
    """Without what is the same everywhere."""
    service, _, rest = arn.removeprefix("arn:aws:").partition(":")
    if not rest:
        return arn
    return f"{service}:{rest.removeprefix(f'{REGION}:{ACCOUNT}:').removeprefix('::')}".replace(ACCOUNT, "<account>")


def _several(one_or_many: str | list[str]) -> list[str]:
    return [one_or_many] if isinstance(one_or_many, str) else one_or_many


def main() -> int:
    """Write the page."""
    with tempfile.TemporaryDirectory() as directory:
        PAGE.write_text(page(synthesize(Path(directory))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A cloud assembly (cdk.out) as a deployment needs it: stacks in order, with their assets.

Reads what https://docs.aws.amazon.com/cdk/v2/guide/deploy.html calls the manifest; it replaces the
`cdk` command, so that nothing but boto3 is needed locally.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Asset:
    """A file or a directory (to be zipped) and where it must be uploaded."""

    path: Path
    zipped: bool
    bucket: str
    key: str

    def content(self) -> bytes:
        return _zip(self.path) if self.zipped else self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class Stack:
    name: str
    account: str
    region: str
    template: Path
    template_asset: Asset | None
    assets: tuple[Asset, ...]
    tags: Mapping[str, str]
    is_protected: bool


def read_stacks(assembly: Path) -> list[Stack]:
    """The stacks of an assembly, each after those it depends on."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    order = TopologicalSorter(
        {name: artifact.get("dependencies", []) for name, artifact in artifacts.items()}
    ).static_order()
    return [
        _stack(assembly, name, artifacts[name])
        for name in order
        if artifacts[name]["type"] == "aws:cloudformation:stack"
    ]


def _stack(assembly: Path, name: str, artifact: Mapping[str, Any]) -> Stack:
    account, region = artifact["environment"].removeprefix("aws://").split("/")
    if account.startswith("unknown") or region.startswith("unknown"):
        # Its assets would be published where the template does not look for them.
        raise ValueError(f"stack {name} was synthesized for no account and region; nothing was deployed")
    properties = artifact["properties"]
    template = assembly / properties["templateFile"]
    assets = tuple(_assets(assembly, name, account, region))
    return Stack(
        name=properties.get("stackName", name),
        account=account,
        region=region,
        template=template,
        template_asset=next((asset for asset in assets if asset.path == template), None),
        assets=assets,
        tags=properties.get("tags", {}),
        is_protected=bool(properties.get("terminationProtection")),
    )


def _assets(assembly: Path, name: str, account: str, region: str) -> Iterator[Asset]:
    listed = assembly / f"{name}.assets.json"
    if not listed.exists():
        return
    for file in json.loads(listed.read_text())["files"].values():
        for destination in file["destinations"].values():
            yield Asset(
                path=assembly / file["source"]["path"],
                zipped=file["source"]["packaging"] == "zip",
                bucket=destination["bucketName"]
                .replace("${AWS::AccountId}", account)
                .replace("${AWS::Region}", region),
                key=destination["objectKey"],
            )


def _zip(directory: Path) -> bytes:
    packed = io.BytesIO()
    # Fast rather than small: it only crosses the loopback interface.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(directory))
    return packed.getvalue()

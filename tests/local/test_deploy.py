"""A cloud assembly is deployed in order, updated in place, and a failure says what failed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.assembly import read_stacks
from local.deploy import DeployFailed, deploy
from local.embedded import ACCOUNT, REGION
from tests.local.conftest import Account

BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"


class Assembly:
    """A cloud assembly of two stacks written by hand: `data`, and `flows` with one function."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self.directory, self.prefix = directory, prefix
        directory.mkdir()

    def write(self, answer: str, extra: Mapping[str, Any] | None = None) -> Path:
        """An assembly whose function returns `answer`, with `extra` resources in `flows`."""
        code = self.directory / "asset"
        (code / "package").mkdir(parents=True, exist_ok=True)
        (code / "package" / "index.py").write_text(f"def handler(e, c): return {answer!r}\n")
        key = f"{hashlib.sha256(answer.encode()).hexdigest()}.zip"
        role = {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": f"{self.prefix}-role",
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
            },
        }
        function = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": f"{self.prefix}-function",
                "Code": {"S3Bucket": BUCKET, "S3Key": key},
                "Handler": "package.index.handler",
                "Runtime": "python3.13",
                "Role": {"Fn::ImportValue": f"{self.prefix}-role"},
            },
        }
        exported = {
            "Role": {
                "Value": {"Fn::GetAtt": ["Role", "Arn"]},
                "Export": {"Name": f"{self.prefix}-role"},
            }
        }
        self._stack("data", {"Resources": {"Role": role}, "Outputs": exported}, {})
        asset = {
            "source": {"path": "asset", "packaging": "zip"},
            "destinations": {
                "d": {
                    "bucketName": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}",
                    "objectKey": key,
                }
            },
        }
        resources = {"Function": function, **(extra or {})}
        self._stack("flows", {"Resources": resources}, {"function": asset})
        # `flows` first: the order must come from the dependency.
        artifacts = {
            "flows": self._artifact("flows", ["data"]),
            "data": {**self._artifact("data", []), "ignored": True},
            "Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}},
        }
        manifest = {"version": "1", "artifacts": artifacts}
        (self.directory / "manifest.json").write_text(json.dumps(manifest))
        return self.directory

    def _artifact(self, name: str, dependencies: list[str]) -> dict[str, Any]:
        return {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://{ACCOUNT}/{REGION}",
            "properties": {
                "templateFile": f"{name}.template.json",
                "stackName": f"{self.prefix}-{name}",
                "terminationProtection": name == "data",
                "tags": {"rwm": "yes"},
            },
            "dependencies": dependencies,
        }

    def _stack(self, name: str, template: Mapping[str, Any], files: dict[str, Any]) -> None:
        text = json.dumps({**template, "Parameters": BOOTSTRAP})
        (self.directory / f"{name}.template.json").write_text(text)
        itself = {
            "source": {"path": f"{name}.template.json", "packaging": "file"},
            "destinations": {
                "d": {
                    "bucketName": BUCKET,
                    "objectKey": f"{hashlib.sha256(text.encode()).hexdigest()}.json",
                }
            },
        }
        listed = {"version": "1", "files": {**files, "template": itself}}
        (self.directory / f"{name}.assets.json").write_text(json.dumps(listed))


BOOTSTRAP = {
    "BootstrapVersion": {
        "Type": "AWS::SSM::Parameter::Value<String>",
        "Default": "/cdk-bootstrap/hnb659fds/version",
    }
}


@pytest.fixture
def assembly(tmp_path: Path, account: Account) -> Assembly:
    return Assembly(tmp_path / "cdk.out", account.name("deployment"))


def answer_of(account: Account, assembly: Assembly) -> str:
    invoke = account.client("lambda").invoke
    payload = invoke(FunctionName=f"{assembly.prefix}-function")["Payload"].read()
    return str(json.loads(payload))


def test_stacks_are_read_after_those_they_depend_on(assembly: Assembly) -> None:
    data, flows = read_stacks(assembly.write("one"))
    assert (data.name, data.is_protected) == (f"{assembly.prefix}-data", True)
    assert (flows.account, flows.region) == (ACCOUNT, REGION)
    assert flows.template_asset in flows.assets
    assert {asset.bucket for asset in flows.assets} == {BUCKET}


def test_a_deployment_is_created_left_alone_and_updated(account: Account, assembly: Assembly) -> None:
    outputs = deploy(account.aws, assembly.write("one"))
    assert outputs[f"{assembly.prefix}-data"]["Role"].endswith(f":role/{assembly.prefix}-role")
    assert answer_of(account, assembly) == "one"
    assert deploy(account.aws, assembly.write("one")) == outputs
    deploy(account.aws, assembly.write("two"))
    assert answer_of(account, assembly) == "two"
    (data,) = account.client("cloudformation").describe_stacks(StackName=f"{assembly.prefix}-data")["Stacks"]
    assert data["EnableTerminationProtection"] is True
    assert data["Tags"] == [{"Key": "rwm", "Value": "yes"}]


def test_a_large_template_is_deployed_from_its_asset(account: Account, assembly: Assembly) -> None:
    value = "x" * 3000
    many = {
        f"P{number}": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Name": f"/{assembly.prefix}/{number}", "Value": value},
        }
        for number in range(20)
    }
    deploy(account.aws, assembly.write("one", many))
    assert answer_of(account, assembly) == "one"


def test_a_failure_names_the_resource_and_can_be_repaired(account: Account, assembly: Assembly) -> None:
    bad = {"Bad": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 100_000}}}
    with pytest.raises(DeployFailed, match="Bad"):
        deploy(account.aws, assembly.write("one", bad))
    deploy(account.aws, assembly.write("one"))
    with pytest.raises(DeployFailed, match="Bad"):
        deploy(account.aws, assembly.write("two", bad))
    deploy(account.aws, assembly.write("three"))
    assert answer_of(account, assembly) == "three"

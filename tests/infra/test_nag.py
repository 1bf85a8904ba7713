"""cdk-nag's AwsSolutions: clean, each exception with its reason beside the construct."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks

from functions.configuration import read_toml
from infra.deployment import compose, with_local_principals
from infra.permissions_page import ACCOUNT, EXAMPLE, PERSON, REGION


def _checked(root: Path, outdir: Path) -> cdk.App:
    """A synthesis of its own: with the plugin, synth raises on findings."""
    configuration = with_local_principals(read_toml(EXAMPLE), PERSON)
    unpacked: dict[str, Any] = {"aws:cdk:bundling-stacks": []}
    app = compose(configuration, account=ACCOUNT, region=REGION, context=unpacked, outdir=str(outdir))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    return app


def test_the_stacks_are_clean(root: Path, tmp_path: Path) -> None:
    _checked(root, tmp_path).synth()


def test_a_wildcard_without_a_reason_is_found(root: Path, tmp_path: Path) -> None:
    app = _checked(root, tmp_path)
    stack = app.node.find_child("rwm-flows")
    assert isinstance(stack, cdk.Stack)
    planted = iam.PolicyStatement(actions=["s3:GetObject"], resources=["arn:aws:s3:::rwm-demo-alpha/*"])
    iam.ManagedPolicy(stack, "Planted", statements=[planted])
    with pytest.raises(RuntimeError, match=r"(?s)rwm-flows/Planted.*AwsSolutions-IAM5"):
        app.synth()

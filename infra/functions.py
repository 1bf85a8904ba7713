"""What runs in Lambda: one asset for all functions, and for each its role, its logs and its limits.

The asset holds functions/, its runtime requirements by their hashes, and repositories.json: the validated
configuration, so that a deployment is one consistent version of code and configuration.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import jsii
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from functions.configuration import BUNDLED
from functions.domain.repositories import Configuration
from infra.arns import Arns
from infra.permission import Permission, acknowledge, allow
from infra.policy import make_role

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "functions"
LARGEST_ASSET = 150 * 1024 * 1024
"""Bytes, unpacked; Lambda's limit is 250 MB."""

PYTHON = "3.13"
RUNTIME: Final = lambda_.Runtime.PYTHON_3_13

_RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
    545: logs.RetentionDays.EIGHTEEN_MONTHS,
    731: logs.RetentionDays.TWO_YEARS,
}


class BundlingFailed(Exception):
    """The functions could not be packed; nothing was synthesized."""


def bundles_for_host() -> bool:
    """Whether the functions run on this machine (an embedded AWS runs handlers with its own interpreter)."""
    return os.environ.get("RWM_BUNDLE_FOR") == "host"


def architecture() -> lambda_.Architecture:
    """Where the functions run: Graviton, which costs a fifth less, or this machine."""
    if bundles_for_host() and platform.machine() not in ("arm64", "aarch64"):
        return lambda_.Architecture.X86_64
    return lambda_.Architecture.ARM_64


@jsii.implements(cdk.ILocalBundling)
class LocalBundling:
    """Packs the asset with uv, without Docker."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def try_bundle(self, output_dir: str, options: Any = None, **_more: Any) -> bool:  # noqa: ARG002 - jsii's signature
        pack(self._configuration, Path(output_dir))
        return True


def code(configuration: Configuration) -> lambda_.Code:
    """The one asset. Bundled when synthesized, unless CDK's context says not to."""
    return lambda_.Code.from_asset(
        str(SOURCE),
        exclude=["**/__pycache__"],
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(
            # Never pulled: local bundling does all of it, or fails.
            image=cdk.DockerImage.from_registry("scratch"),
            local=LocalBundling(configuration),
        ),
    )


def pack(configuration: Configuration, output: Path) -> None:
    """Put into `output` what Lambda runs. Raises BundlingFailed."""
    _install_requirements(output)
    shutil.copytree(
        SOURCE,
        output / SOURCE.name,
        ignore=shutil.ignore_patterns("__pycache__", "requirements.*", BUNDLED.name),
    )
    (output / SOURCE.name / BUNDLED.name).write_text(configuration.model_dump_json(indent=1))
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    if size > LARGEST_ASSET:
        raise BundlingFailed(f"the functions take {size:,} bytes; at most {LARGEST_ASSET:,}; nothing was synthesized")


def _install_requirements(output: Path) -> None:
    command = installation(output, sys.executable, "-m", "uv")
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise BundlingFailed(
            f"the functions' requirements were not installed; nothing was synthesized\n{answer.stderr}"
        )
    # Neither is needed to run, and both would differ between machines.
    shutil.rmtree(output / "bin", ignore_errors=True)
    (output / ".lock").unlink(missing_ok=True)


def installation(output: Path, *uv: str) -> list[str]:
    """The command that installs the runtime requirements, for where the functions will run."""
    lambda_platform = ["--python-platform", "aarch64-manylinux2014", "--python-version", PYTHON]
    return [
        *(*uv, "pip", "install", "--quiet", "--target", str(output), "--python", sys.executable),
        *([] if bundles_for_host() else lambda_platform),
        *("--only-binary=:all:", "--require-hashes", "--requirement", str(SOURCE / "requirements.txt")),
    ]


def log_group(scope: Construct, construct_id: str, name: str, arns: Arns) -> logs.LogGroup:
    """Logs go with the stack that writes them: the ledger and the records bucket are the evidence, not they."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        retention=_RETENTION[arns.configuration.log_days],
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


def tracing() -> Permission:
    """What X-Ray's active tracing needs."""
    return allow(
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
        on="*",
        because="active tracing sends segments",
        wildcard="X-Ray has no resources to name",
    )


class Step(Construct):
    """The function of one step, with its role, which is named alike."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        step: str,
        handler: str,
        description: str,
        arns: Arns,
        code: lambda_.Code,
        permissions: Sequence[Permission],
        timeout: cdk.Duration,
        memory_mb: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment`: what this one is told beside what all are."""
        super().__init__(scope, construct_id)
        name = arns.names.function(step)
        group_name = f"/aws/lambda/{name}"
        self.role = make_role(
            self,
            arns.names.role(step),
            trust=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=description,
            permissions=[
                *permissions,
                allow(
                    "logs:CreateLogStream",
                    "logs:PutLogEvents",
                    on=f"{arns.log_group(group_name)}:*",
                    because="its own logs, and the metrics in them",
                    wildcard="Lambda names log streams",
                ),
                tracing(),
            ],
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=RUNTIME,
            architecture=architecture(),
            handler=handler,
            code=code,
            role=self.role,
            timeout=timeout,
            memory_size=memory_mb,
            tracing=lambda_.Tracing.ACTIVE,
            log_group=log_group(self, "Logs", group_name, arns),
            logging_format=lambda_.LoggingFormat.JSON,
            environment={
                "RWM_LEDGER": arns.names.ledger,
                "RWM_OPERATIONS": arns.names.operations,
                "RWM_RECORDS": arns.records_name,
                "RWM_ALERTS": arns.alerts,
                "POWERTOOLS_SERVICE_NAME": step,
                "POWERTOOLS_METRICS_NAMESPACE": "RWM",
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **(environment or {}),
            },
        )
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            f"Python {PYTHON} is what the tests run on; a newer runtime comes with a change of the pinned requirements",
        )

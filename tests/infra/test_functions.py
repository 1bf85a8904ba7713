"""The asset: what Lambda gets, and that app.py makes it without Docker and without the cdk command."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from functions.configuration import read_bundled, read_toml
from infra import functions
from infra.permissions_page import EXAMPLE
from tests.infra.templates import Assembly


@pytest.fixture(scope="module")
def packed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The assembly of `app.py` for this machine, as the embedded AWS gets it."""
    outdir = tmp_path_factory.mktemp("packed")
    account = {"CDK_DEFAULT_ACCOUNT": "000000000000", "CDK_DEFAULT_REGION": "us-east-1"}
    subprocess.run(
        [sys.executable, "app.py"],
        cwd=root,
        env=os.environ | account | {"CDK_OUTDIR": str(outdir), "RWM_BUNDLE_FOR": "host"},
        check=True,
        capture_output=True,
    )
    return outdir


@pytest.fixture(scope="module")
def asset(packed: Path) -> Path:
    (found,) = [path for path in packed.glob("asset.*") if path.is_dir()]
    return found


def test_the_asset_holds_the_functions_their_requirements_and_the_configuration(asset: Path, root: Path) -> None:
    assert read_bundled(asset / "functions" / "repositories.json") == read_toml(root / "repositories.toml")
    for package in ("boto3", "pydantic", "aws_lambda_powertools", "zstandard"):
        assert (asset / package).is_dir()


def test_the_asset_holds_nothing_that_does_not_run(asset: Path) -> None:
    for unwanted in ("aws_cdk", "typer", "moto", "infra", "tests", "bin"):
        assert not (asset / unwanted).exists()
    assert not list(asset.rglob("__pycache__"))
    assert not list(asset.glob("functions/requirements*"))


def test_the_asset_is_at_most_150_mb(asset: Path) -> None:
    assert sum(path.stat().st_size for path in asset.rglob("*") if path.is_file()) <= 150 * 1024 * 1024


def test_the_handlers_load_from_the_asset_alone(asset: Path) -> None:
    record, restore = ("record.record", "record.collect_chunks"), ("restore.plan", "restore.copy", "restore.verify")
    content = ("check.plan_content", "check.hash_content", "check.conclude_content")
    check = ("check.posture", "check.consistent", *content, "check.complete", "check.conclude_complete")
    handlers = (*record, *check, "check.acknowledge", *restore)
    program = "import " + ", ".join(f"functions.{handler}" for handler in handlers)
    environment = {"PYTHONPATH": str(asset), "POWERTOOLS_SERVICE_NAME": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    # -S leaves this environment's packages out: what is not in the asset is not there.
    ended = subprocess.run(
        [sys.executable, "-S", "-B", "-c", program],
        cwd=asset,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_templates_are_for_the_account_that_was_asked_for(packed: Path) -> None:
    artifacts = json.loads((packed / "manifest.json").read_text())["artifacts"]
    assert artifacts["rwm-flows"]["environment"] == "aws://000000000000/us-east-1"


def test_the_functions_are_for_this_machine_when_the_embedded_aws_runs_them(packed: Path) -> None:
    template = Assembly.read(packed).flows
    expected = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    architectures = [each["Architectures"] for each in template.of_type("AWS::Lambda::Function").values()]
    assert architectures == [[expected]] * len(architectures)


def test_a_real_deployment_gets_wheels_for_graviton_and_lambdas_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RWM_BUNDLE_FOR", raising=False)
    assert functions.installation(Path("out"), "uv") == [
        *("uv", "pip", "install", "--quiet", "--target", "out", "--python", sys.executable),
        *("--python-platform", "aarch64-manylinux2014", "--python-version", "3.13"),
        *("--only-binary=:all:", "--require-hashes", "--requirement", str(functions.SOURCE / "requirements.txt")),
    ]


def test_requirements_that_cannot_be_installed_stop_the_synthesis(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "SOURCE", tmp_path)
    (tmp_path / "requirements.txt").write_text("boto3\n")  # no hash
    with pytest.raises(functions.BundlingFailed, match=r"not installed; nothing was synthesized"):
        functions.pack(read_toml(EXAMPLE), tmp_path / "out")


def test_the_pinned_node_runs_cdk() -> None:
    assert Path(os.environ["JSII_NODE"]).is_file()

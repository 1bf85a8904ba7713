"""Templates are synthesized again when, and only when, something they come from changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from local import synthesis
from local.synthesis import SynthesisFailed, synthesize

APP = """
import json, os, pathlib, sys
print("synthesizing")
if "broken" in pathlib.Path(os.environ["REPOSITORIES"]).read_text():
    sys.exit("repositories: alpha: bucket: is broken")
out = pathlib.Path(os.environ["CDK_OUTDIR"])
out.mkdir()
names = ["CDK_DEFAULT_ACCOUNT", "CDK_DEFAULT_REGION", "RWM_BUNDLE_FOR", "RWM_LOCAL_PRINCIPALS"]
(out / "manifest.json").write_text(json.dumps([os.environ[name] for name in names]))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("app.py", "cdk.json", "requirements.txt", "functions/record.py", "infra/data.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(APP if name == "app.py" else "")
    (tmp_path / "repositories.toml").write_text("fine")
    monkeypatch.setattr(synthesis, "ROOT", tmp_path)
    return tmp_path


def _synthesize(project: Path, principal: str = "arn:1") -> int:
    """When the assembly that comes out was written."""
    output = synthesize(project / "repositories.toml", project / "build/cdk.out", principals=[principal, "arn:2"])
    return (output / "manifest.json").stat().st_mtime_ns


def test_the_synthesis_is_for_this_machine_and_its_people(project: Path) -> None:
    _synthesize(project)
    told = json.loads((project / "build/cdk.out/manifest.json").read_text())
    assert told == ["000000000000", "us-east-1", "host", "arn:1,arn:2"]


def test_nothing_is_synthesized_while_nothing_changed(project: Path) -> None:
    first = _synthesize(project)
    (project / "functions/__pycache__").mkdir()
    (project / "functions/__pycache__/record.pyc").write_text("compiled")
    (project / "README.md").write_text("not a source")
    assert _synthesize(project) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda project: (project / "functions/record.py").write_text("x = 1"),
        lambda project: (project / "functions/new.py").write_text(""),
        lambda project: (project / "infra/data.py").unlink(),
        lambda project: (project / "repositories.toml").write_text("finer"),
    ],
)
def test_any_change_of_a_source_is_synthesized(project: Path, change: Callable[[Path], None]) -> None:
    first = _synthesize(project)
    change(project)
    assert _synthesize(project) != first


def test_other_principals_are_synthesized(project: Path) -> None:
    first = _synthesize(project)
    assert _synthesize(project, "arn:3") != first


def test_a_failure_says_why_and_is_not_taken_for_a_result(project: Path) -> None:
    _synthesize(project)
    (project / "repositories.toml").write_text("broken")
    for _ in range(2):
        with pytest.raises(SynthesisFailed, match="alpha: bucket: is broken"):
            _synthesize(project)

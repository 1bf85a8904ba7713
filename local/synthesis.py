"""The synthesized templates of a repositories.toml, made again only when something changed."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from local.embedded import ACCOUNT, REGION

ROOT = Path(__file__).resolve().parent.parent
_SOURCES = ("app.py", "cdk.json", "requirements.txt", "functions", "infra")


class SynthesisFailed(RuntimeError):
    """app.py did not synthesize; nothing was deployed."""


def synthesize(repositories: Path, output: Path, *, principals: Sequence[str]) -> Path:
    """Synthesize into `output`, unless it holds exactly what would come out, and return it.

    `principals` are the ARNs that may assume the operator's and the approver's role, beside those
    that the file names. Raises SynthesisFailed with what app.py said.
    """
    stamp = output.with_name(f"{output.name}.digest")
    digest = _digest(repositories, principals)
    if (output / "manifest.json").exists() and _read(stamp) == digest:
        return output
    stamp.unlink(missing_ok=True)
    # Assets of earlier syntheses would pile up in it.
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "CDK_OUTDIR": str(output),
        "CDK_DEFAULT_ACCOUNT": ACCOUNT,
        "CDK_DEFAULT_REGION": REGION,
        "REPOSITORIES": str(repositories),
        "RWM_BUNDLE_FOR": "host",
        "RWM_LOCAL_PRINCIPALS": ",".join(principals),
    }
    answer = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise SynthesisFailed(f"Synthesis of {repositories} failed; nothing was deployed.\n{answer.stdout}")
    stamp.write_text(digest)
    return output


def _digest(repositories: Path, principals: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for path in [repositories, *_source_files()]:
        content = path.read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    digest.update("\0".join([sys.version, *principals]).encode())
    return digest.hexdigest()


def _source_files() -> Iterator[Path]:
    for name in _SOURCES:
        source = ROOT / name
        found = sorted(source.rglob("*")) if source.is_dir() else [source]
        yield from (
            path for path in found if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        )


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None

"""Run the mutants: `python -m tests.mutants [NAME ...]`; RWM_MUTANTS=quick runs the short form.

First every mutant is checked to fit the code, and the tests are run without any. Then each mutant gets a
tree of its own and its tests; exit code 1 when one survives. A test that breaks on the mutant's own
grammar, on collection or by running for ever has noticed nothing: only a test that failed counts.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import Mutant, StaleMutant, read_mutants

ROOT = Path(__file__).parents[2]
NEEDED = ("cli", "functions", "host", "infra", "tests", "local", "docs", "app.py", "cdk.json", "pyproject.toml")
"""What the tests import. Without local/.venv the contract suite leaves the embedded AWS off."""
AT_ONCE = 2
LONGEST = 180
"""Seconds that the tests of one mutant may take."""
CLUMSY = frozenset(
    {"AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "TypeError", "UnboundLocalError"}
)
"""A test that fails by these has met a badly written mutant, not a missing guard."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests made of one mutant."""

    mutant: Mutant
    caught_by: str
    """The test that failed; empty when the mutant survived."""
    why: str
    """How it failed, or why that counts for nothing."""
    seconds: float


def main(names: Sequence[str]) -> int:
    everything = read_mutants()
    if unknown := set(names) - {mutant.name for mutant in everything}:
        return _complain(f"there is no mutant {', '.join(sorted(unknown))}")
    quick = os.environ.get("RWM_MUTANTS") == "quick"
    chosen = [each for each in everything if (each.name in names if names else each.quick or not quick)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rwm-mutants-") as folder:
        healthy = Path(folder) / "healthy"
        _copy(ROOT, healthy)
        # All of them, also those that are not run: a mutant that fits no longer guards nothing.
        texts, stale = _mutated(everything, healthy)
        if stale:
            return _complain("\n".join(stale))
        if not _passes_unmutated(healthy, chosen):
            return _complain("the tests fail without any mutant; no mutant was tried")
        _say(f"{len(chosen)} mutants of {len(everything)}; their tests pass without them")
        with ThreadPoolExecutor(AT_ONCE) as threads:
            verdicts = list(threads.map(lambda each: _tried(each, texts[each.name], healthy), chosen))
    survivors = [each for each in verdicts if not each.caught_by]
    _say(f"{len(verdicts) - len(survivors)} caught, {len(survivors)} survived, {time.monotonic() - began:.0f} s")
    for each in survivors:
        _complain(f"{each.mutant.name} survived ({each.mutant.breaks}): {each.why}")
    return 1 if survivors else 0


def _mutated(mutants: Iterable[Mutant], tree: Path) -> tuple[dict[str, str], list[str]]:
    """By mutant, what its file becomes; and what is wrong with those that do not fit."""
    texts: dict[str, str] = {}
    stale: list[str] = []
    for mutant in mutants:
        try:
            texts[mutant.name] = mutant.applied(tree)
        except StaleMutant as error:
            stale.append(str(error))
    return texts, stale


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for name in NEEDED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns(".venv", "build"))
        else:
            shutil.copy2(source / name, target / name)


def _passes_unmutated(tree: Path, mutants: Iterable[Mutant]) -> bool:
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    done = _pytest(tree, [*tests, "-n", str(AT_ONCE)], limit=LONGEST * AT_ONCE)
    if done.returncode:
        _say(done.stdout)
    return done.returncode == 0


def _tried(mutant: Mutant, text: str, healthy: Path) -> Verdict:
    """Run the mutant's tests over a copy of the `healthy` tree in which its file holds `text`."""
    began = time.monotonic()
    tree = healthy.parent / mutant.name
    _copy(healthy, tree)
    (tree / mutant.file).write_text(text)
    report = tree / "report.xml"
    try:
        done = _pytest(tree, [*mutant.tests, f"--junit-xml={report}"], limit=LONGEST)
    except subprocess.TimeoutExpired:
        caught_by, why = "", f"its tests did not end within {LONGEST} s"
    else:
        caught_by, why = _judged(done.returncode, report)
    shutil.rmtree(tree)
    verdict = Verdict(mutant, caught_by, why, time.monotonic() - began)
    _say(_row(verdict))
    return verdict


def _judged(exit_code: int, report: Path) -> tuple[str, str]:
    """The test that noticed, and how; or no test, and why not."""
    if exit_code == 0:
        return "", "all of its tests passed"
    if exit_code != 1 or not report.exists():
        return "", f"pytest ended with {exit_code}: the tests did not run"
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - written by the pytest above
    if any(case.find("error") is not None for case in cases):
        return "", "a test broke before or after it ran, which is no failure"
    case, failure = next((case, found) for case in cases if (found := case.find("failure")) is not None)
    why = failure.get("message", "").split("\n", 1)[0]
    if why.split(":", 1)[0].rpartition(".")[2] in CLUMSY:
        return "", f"{case.get('name')} met {why}"
    module = str(case.get("classname")).removeprefix("tests.").replace(".", "/")
    return f"{module}.py::{case.get('name')}", why


def _pytest(tree: Path, arguments: Sequence[str], *, limit: float) -> subprocess.CompletedProcess[str]:
    # The same examples every time: a mutant is caught always, or by luck.
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
        check=False,
    )


def _row(verdict: Verdict) -> str:
    mutant = verdict.mutant
    caught = verdict.caught_by or "SURVIVED"
    return f"{mutant.name:<38} {verdict.seconds:5.1f} s  {mutant.breaks}\n{'':<4}{caught}"


def _say(line: str) -> None:
    sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def _complain(line: str) -> int:
    sys.stderr.write(line + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Imports point inward: the domain does no I/O, flows never import each other, boto3 lives in storage and in wiring."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "functions"
FLOWS = ("record", "check", "prune", "restore", "drill", "locks", "watch", "page")
PURE_THIRD_PARTY = {"cryptography", "pydantic", "pydantic_core", "zstandard"}
IMPURE_STANDARD = {
    "os",
    "io",
    "socket",
    "subprocess",
    "pathlib",
    "time",
    "shutil",
    "urllib",
    "http",
    "random",
    "secrets",
    "uuid",
}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if ".venv" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that `path` imports, fully named."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where things come from"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(FUNCTIONS / "domain"), ids=named)
def test_the_domain_imports_nothing_that_does_io(path: Path) -> None:
    for module in imports(path):
        top = module.split(".")[0]
        if top == "functions":
            assert module.startswith("functions.domain"), f"{module} is outside the domain"
        else:
            assert top in PURE_THIRD_PARTY or top in sys.stdlib_module_names, module
            assert top not in IMPURE_STANDARD, module


@pytest.mark.parametrize("path", modules(FUNCTIONS / "domain"), ids=named)
def test_the_domain_never_asks_what_time_it_is(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in ("now", "utcnow", "today"), f"line {node.lineno}: time comes in as an argument"


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_never_imports_another(flow: str) -> None:
    others = {f"functions.{other}" for other in FLOWS if other != flow}
    for path in modules(FUNCTIONS / flow):
        for module in imports(path):
            assert not any(module == other or module.startswith(f"{other}.") for other in others), f"{path}: {module}"


def test_every_folder_of_functions_is_the_domain_storage_or_a_flow_that_is_checked_here() -> None:
    folders = {path.name for path in FUNCTIONS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {"domain", "storage", *FLOWS}


@pytest.mark.parametrize("path", modules(FUNCTIONS / "storage"), ids=named)
def test_storage_knows_the_domain_and_no_flow(path: Path) -> None:
    for module in imports(path):
        if module.startswith("functions."):
            assert module.startswith(("functions.domain", "functions.storage")), module


@pytest.mark.parametrize("flow", FLOWS)
def test_only_a_steps_wiring_touches_storage(flow: str) -> None:
    """A step imports storage only to wire it, in functions whose names begin with _."""
    for path in modules(FUNCTIONS / flow):
        tree = ast.parse(path.read_text())
        wired = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("functions.storage")
            for alias in node.names
        } | {"boto3"}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
                assert not (used & wired), f"{path.name}: {node.name} uses {used & wired}"


DELETES = "prune/apply.py"
"""The one file of functions/ that may be handed what deletes versions of protected repositories."""


@pytest.mark.parametrize("path", modules(FUNCTIONS), ids=named)
def test_only_apply_prune_is_handed_what_deletes_versions(path: Path) -> None:
    """Promise P3, in the code: the port, its implementation, and S3's own calls that destroy."""
    inside = str(path.relative_to(FUNCTIONS))
    deleters = {"functions.domain.ports.VersionDeleter", "functions.storage.deleter.S3VersionDeleter"}
    if inside != DELETES:
        assert not deleters.intersection(imports(path)), "only apply-prune may delete versions"
    calls = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    if inside not in ("storage/deleter.py", HIDES):
        assert not calls & {"delete_object", "delete_objects"}, "only storage/deleter.py asks S3 to delete"
    if inside != "restore/put_back.py":
        assert "functions.storage.putting_back.S3ObjectHider" not in imports(path), "only put-back may hide"


HIDES = "storage/putting_back.py"


def test_what_hides_names_no_version_and_deletes_none() -> None:
    """With a version id, the same call of S3's destroys."""
    nodes = list(ast.walk(ast.parse((FUNCTIONS / HIDES).read_text())))
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    (hides,) = [call for call in calls if call.func.attr == "delete_object"]  # type: ignore[attr-defined]
    assert ([keyword.arg for keyword in hides.keywords], hides.args) == (["Bucket", "Key"], [])
    assert not [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "delete_objects"]


def test_apply_prune_is_handed_it() -> None:
    assert "functions.storage.deleter.S3VersionDeleter" in set(imports(FUNCTIONS / DELETES))


def test_what_apply_prune_is_handed_can_write_to_no_table() -> None:
    """It can neither plan, nor approve, nor hold, nor drop a state, nor take the lease."""
    stored = {module for module in imports(FUNCTIONS / DELETES) if module.startswith("functions.storage.")}
    writers = {"Shelf", "Log", "Dropper", "PruneLease", "RecordingLedger", "Collector", "Tokens", "Notifier"}
    allowed = {"functions.storage.plans.DynamoPlanShelf", "functions.storage.plans.DynamoApprovals"}
    assert not {each for each in stored - allowed if any(each.endswith(writer) for writer in writers)}

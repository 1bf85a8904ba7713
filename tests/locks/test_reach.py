"""In the code: who may set a lock, and that nobody asks to bypass one to do so."""

import ast
from pathlib import Path

import pytest

from tests.test_structure import FUNCTIONS, imports, modules, named

SETS = "locks/extend_retention.py"
"""The one file of functions/ that may be handed what sets retention of repositories."""
LOCK_COPIES = ("restore/copy.py", "restore/settling.py")
"""And those that are handed what sets it of a restore's target, for `--lock`: their role may do it there alone."""


@pytest.mark.parametrize("path", modules(FUNCTIONS), ids=named)
def test_only_extend_retention_is_handed_what_sets_retention(path: Path) -> None:
    inside = str(path.relative_to(FUNCTIONS))
    setters = {"functions.domain.ports.RetentionSetter", "functions.storage.locks.S3Retentions"}
    if inside not in (SETS, *LOCK_COPIES):
        assert not setters.intersection(imports(path)), "only lock upkeep may, and a restore of its copies"
    calls = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    if inside != "storage/locks.py":
        assert not calls & {"put_object_retention", "put_object_legal_hold"}, "only storage/locks.py asks S3 to lock"


def test_extend_retention_is_handed_it() -> None:
    assert "functions.storage.locks.S3Retentions" in set(imports(FUNCTIONS / SETS))


@pytest.mark.parametrize("path", [FUNCTIONS / SETS, FUNCTIONS / "storage" / "locks.py"], ids=named)
def test_what_sets_locks_names_no_bypass_no_compliance_and_no_legal_hold(path: Path) -> None:
    tree = ast.parse(path.read_text())
    words = {str(node.arg) for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    words |= {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not words & {"BypassGovernanceRetention", "COMPLIANCE", "LegalHold", "put_object_legal_hold"}

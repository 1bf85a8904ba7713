"""What each rule is, and on which servers it can be shown."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

BACKENDS = ("fake", "moto", "embedded", "ceph")
"""The strict fake behind HTTP; moto in process; the embedded AWS; Ceph's RADOS Gateway."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One test of the suite."""

    name: str
    not_shown: dict[str, str]
    """By backend, why it cannot be shown there."""

    @property
    def sentence(self) -> str:
        return self.name.removeprefix("test_").replace("_", " ")

    @property
    def shown(self) -> tuple[str, ...]:
        return tuple(backend for backend in BACKENDS if backend not in self.not_shown)


RULES: dict[str, Rule] = {}
"""Filled as the suite's modules are imported."""

_Test = Callable[..., Any]


def rule(**not_shown: str) -> Callable[[_Test], _Test]:
    """Declare a test as a rule of S3. `moto="lets it be shortened"` says that moto cannot show it, and why."""
    if unknown := sorted(set(not_shown) - set(BACKENDS)):
        raise ValueError(f"{unknown} are no backends: {BACKENDS}")

    def declare(test: _Test) -> _Test:
        declared = RULES[test.__name__] = Rule(test.__name__, not_shown)
        return pytest.mark.rule(declared)(test)

    return declare


def all_rules() -> list[Rule]:
    """Every rule of the suite, whichever of its modules were imported so far."""
    package = importlib.import_module("tests.contract")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("test_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return list(RULES.values())


def table(rules: Iterable[Rule]) -> str:
    """The rules as a Markdown table: where each is shown, and below it why not elsewhere."""
    lines = [f"| rule | {' | '.join(BACKENDS)} |", f"|---{'|:---:' * len(BACKENDS)}|"]
    reasons: dict[str, int] = {}
    for each in rules:
        cells = []
        for backend in BACKENDS:
            reason = each.not_shown.get(backend)
            cells.append("yes" if reason is None else f"no ({reasons.setdefault(reason, len(reasons) + 1)})")
        lines.append(f"| {each.sentence} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join([*lines, "", *notes])

"""Reading the configuration.

At synth from `repositories.toml`, where a wrong value stops everything and is named with its file,
repository, field and what is allowed; at runtime from the `repositories.json` that synth bundles with
the functions, so that a deployment is one consistent version of code and configuration.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from functions.domain.repositories import Configuration

BUNDLED = Path(__file__).parent / "repositories.json"
"""Where synth puts the validated configuration inside the functions' asset."""


class BadConfiguration(Exception):
    """repositories.toml cannot be used; nothing was synthesized."""


def read_toml(path: Path) -> Configuration:
    """Read and validate `path`. Raises BadConfiguration naming file, repository, field and what is allowed."""
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise BadConfiguration(f"{path}: there is no such file; nothing was synthesized") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{path}: not TOML: {error}; nothing was synthesized") from error
    tables = content.get("repositories")
    if isinstance(tables, Mapping):
        # [repositories.NAME] reads better than a list of tables that each repeat `name`.
        content["repositories"] = [
            {"name": name, **table} if isinstance(table, Mapping) else table for name, table in tables.items()
        ]
    try:
        return Configuration.model_validate(content)
    except ValidationError as error:
        raise BadConfiguration(_explain(path, content, error)) from error


def read_bundled(path: Path = BUNDLED) -> Configuration:
    """The configuration that synth bundled with this very code."""
    return Configuration.model_validate(json.loads(path.read_text()))


def _explain(path: Path, content: Mapping[str, Any], error: ValidationError) -> str:
    lines = []
    problems = error.errors(include_url=False)
    if len(problems) > 1:
        # pydantic also counts the repositories that are left when the wrong ones are not counted.
        problems = [each for each in problems if (each["type"], each["loc"]) != ("too_short", ("repositories",))]
    for problem in problems:
        location = list(problem["loc"])
        where = str(path)
        if location[:1] == ["repositories"] and len(location) > 1 and isinstance(location[1], int):
            tables = content["repositories"]
            table = tables[location[1]]
            name = table.get("name") if isinstance(table, Mapping) else None
            where += f": repository {name or f'number {location[1] + 1}'}"
            location = location[2:]
        field = ".".join(str(part) for part in location if not str(part).startswith("function-"))
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "there is no such field"
        given = problem.get("input")
        shown = f" (it is {given!r})" if field and isinstance(given, str | int | float | bool) else ""
        lines.append(f"{where}: {field + ': ' if field else ''}{message}{shown}")
    return "\n".join([*lines, "nothing was synthesized"])

"""Parses `aws` commands by the aws cli's own tables, in a process of its own: who imports it has another botocore.

Each line of stdin is the JSON list of a command's words after `aws`; its answer is one line, a JSON string of what is
wrong with it, or null.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import awscli.clidriver  # type: ignore[import-untyped]

_TRANSPORT = ("--profile", "--region", "--endpoint-url", "--output", "--query")
"""Options that the aws cli has for every operation; each takes a value."""


def wrong_with(level: Any, arguments: Sequence[str]) -> str | None:
    """`level`: the aws cli, whose tables are made of botocore's models of the services."""
    said, left = f"aws {shlex.join(arguments)}", list(arguments)
    while left and left[0] in _TRANSPORT:
        del left[:2]
    if left == ["--version"]:
        return None
    while left and not left[0].startswith("-"):
        table = _below(level)
        if not table:
            break
        if left[0] not in table:
            return f"{said}: there is no {left[0]}"
        level = table[left.pop(0)]
    options = {word.partition("=")[0] for word in left if word.startswith("--")}
    known = {f"--{name}" for name in level.arg_table} | set(_TRANSPORT)
    if not options <= known:
        return f"{said}: there is no {', '.join(sorted(options - known))}"
    required = {f"--{name}" for name, each in level.arg_table.items() if getattr(each, "required", False)}
    missing = {name for name in required if name.startswith("--")} - options - _positional(level)
    return f"{said}: it needs {', '.join(sorted(missing))}" if missing else None


def _below(level: Any) -> Any:
    """Services and operations are listed by one name, the aws cli's own commands by another."""
    if hasattr(level, "subcommand_table"):
        return level.subcommand_table
    return level._get_command_table() if hasattr(level, "_get_command_table") else {}


def _positional(level: Any) -> set[str]:
    return {f"--{name}" for name, each in level.arg_table.items() if getattr(each, "positional_arg", False)}


if __name__ == "__main__":
    driver = awscli.clidriver.create_clidriver()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(wrong_with(driver, json.loads(line))) + "\n")
        sys.stdout.flush()

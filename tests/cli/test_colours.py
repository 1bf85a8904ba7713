"""Colours are for people at a terminal: never for a program, never for a file, unless somebody insists."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cli.views.screen import Screen

ROOT = Path(__file__).parents[2]
RED = b"\x1b[1;31m"
ESCAPE = b"\x1b"


def run(*arguments: str, terminal: bool, **environment: str) -> tuple[bytes, bytes]:
    """stdout and stderr of an `rwm` that refuses, which it does in red; both on a terminal, or in pipes."""
    asked: list[str] = [sys.executable, "-c", "from cli.main import app; app()", *arguments]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "NO_COLOR", "FORCE_"))}
    everything = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": "/nowhere/config",
        **environment,
    }
    if not terminal:
        done = subprocess.run(asked, env=everything, capture_output=True, timeout=60, check=False)
        return done.stdout, done.stderr
    ends = [pty.openpty(), pty.openpty()]
    process = subprocess.Popen(
        asked, env=everything, stdin=subprocess.DEVNULL, stdout=ends[0][1], stderr=ends[1][1], close_fds=True
    )
    for _, inner in ends:
        os.close(inner)
    said = [_all_of(outer) for outer, _ in ends]
    process.wait(timeout=60)
    return said[0], said[1]


def _all_of(end: int) -> bytes:
    said = b""
    try:
        while part := os.read(end, 65536):
            said += part
    except OSError:
        # So a terminal ends whose other side is closed.
        pass
    os.close(end)
    return said


def test_a_person_at_a_terminal_sees_colours() -> None:
    _, said = run("states", "alpha", terminal=True)
    assert RED + b"refused: " in said


def test_a_pipe_gets_none() -> None:
    out, said = run("states", "alpha", terminal=False)
    assert b"refused: " in said
    assert ESCAPE not in out + said


def test_no_color_is_honoured_on_a_terminal() -> None:
    _, said = run("states", "alpha", terminal=True, NO_COLOR="1")
    assert b"refused: " in said
    assert b"31m" not in said


def test_force_color_is_honoured_in_a_pipe() -> None:
    _, said = run("states", "alpha", terminal=False, FORCE_COLOR="1")
    assert RED in said


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}], ids=["plain", "forced"])
def test_a_document_never_has_colours(environment: dict[str, str]) -> None:
    out, said = run("states", "alpha", "--json", terminal=True, **environment)
    assert b'"refused"' in out
    assert ESCAPE not in out + said


def test_force_color_makes_nothing_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that moves would fill a log file with lines."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert Screen(as_json=False).interactive is False

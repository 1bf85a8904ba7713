"""Tab: bash, zsh and fish are asked for real; a shell is told names and words, and never an error."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.completing import PATIENCE
from tests.cli.conftest import ALPHA, BETA

ROOT = Path(__file__).parents[2]
HOSTILE = "$(touch /tmp/gotcha)"


class _Parameters(BaseHTTPRequestHandler):
    """SSM with two repositories, and one whose name no deployment of ours would have."""

    hangs = threading.Event()

    def do_POST(self) -> None:
        if self.hangs.is_set():
            time.sleep(20)
            return
        values = [each.model_dump_json() for each in (ALPHA, BETA)]
        body = json.dumps({"Parameters": [{"Name": "any", "Value": value} for value in values]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def parameters(handler: type[BaseHTTPRequestHandler] = _Parameters) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell that has a command `rwm`, and credentials, of no AWS."""
    program = tmp_path / "rwm"
    runs = "from cli.main import app; app(prog_name='rwm')"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{runs}" "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": "/nowhere/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Nobody listens there.
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }


TAB = """
source <(_RWM_COMPLETE=source_bash rwm)
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_rwm_completion rwm
printf '%s\\n' "${COMPREPLY[@]}"
"""


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here: tests/install-programs")
    return found


def told_by(name: str, environment: dict[str, str], *arguments: str) -> str:
    """What a shell prints, which has nothing to complain of."""
    told = subprocess.run(
        [program(name), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stderr == ""
    return told.stdout


def tab(environment: dict[str, str], *words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    return told_by("bash", environment, "--norc", "-c", TAB, "bash", *words).split()


def asked(environment: dict[str, str], **variables: str) -> str:
    """What `rwm` tells a shell that asks in its own way."""
    told = subprocess.run(
        ["rwm"], env={**environment, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
    assert told.stderr == ""
    return told.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("rwm", "quar"), ["quarantine"]),
        (("rwm", "ledger", ""), ["verify"]),
        (("rwm", "dead-letters", "--re"), ["--replay"]),
        (("rwm", "state", "alpha", "l"), ["latest", "last-good"]),
        (("rwm", "restore", "alpha", "last"), ["last-good"]),
        (("rwm", "check", "alpha", "--level", "co"), ["consistent", "content", "complete"]),
        (("rwm", "restore", "alpha", "latest", "--thaw", "B"), ["Bulk"]),
        (("rwm", "acknowledge", "alpha", "pack-over"), ["pack-overwritten"]),
    ],
    ids=" ".join,
)
def test_bash_completes_commands_options_and_words(
    shell: dict[str, str], words: Sequence[str], offered: Sequence[str]
) -> None:
    assert tab(shell, *words) == offered


@pytest.mark.parametrize("command", ["states", "plans", "dead-letters", "restore"])
def test_bash_completes_the_deployed_repositories(shell: dict[str, str], command: str) -> None:
    with parameters() as endpoint:
        there = {**shell, "AWS_ENDPOINT_URL": endpoint}
        assert tab(there, "rwm", command, "") == ["alpha", "beta"]
        assert tab(there, "rwm", command, "b") == ["beta"]


def test_a_name_that_no_deployment_of_ours_has_is_never_told(shell: dict[str, str]) -> None:
    """zsh evaluates what it is told."""

    class Hostile(_Parameters):
        def do_POST(self) -> None:
            value = json.loads(ALPHA.model_dump_json()) | {"name": HOSTILE}
            body = json.dumps({"Parameters": [{"Name": "any", "Value": json.dumps(value)}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with parameters(Hostile) as endpoint:
        assert tab({**shell, "AWS_ENDPOINT_URL": endpoint}, "rwm", "states", "") == []


def test_without_credentials_network_or_region_nothing_is_offered_and_nothing_said(shell: dict[str, str]) -> None:
    without = {key: value for key, value in shell.items() if not key.startswith("AWS_ACCESS")}
    for environment in (shell, without, {**shell, "AWS_PROFILE": "nobody"}, {**shell, "AWS_DEFAULT_REGION": ""}):
        assert tab(environment, "rwm", "states", "") == []


def test_who_presses_tab_does_not_wait_for_an_aws_that_does_not_answer(
    shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hangs(_Parameters):
        hangs = threading.Event()

    Hangs.hangs.set()
    with parameters(Hangs) as endpoint:
        begun = time.monotonic()
        told = asked(
            {**shell, "AWS_ENDPOINT_URL": endpoint},
            _RWM_COMPLETE="complete_bash",
            COMP_WORDS="rwm states ",
            COMP_CWORD="2",
        )
        assert told.strip() == ""
        # Starting Python takes its time, too; the server would take 20 s.
        assert time.monotonic() - begun < PATIENCE + 8


WORDS = pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rwm quar", ["quarantine"]),
        ("rwm dead-letters --re", ["--replay"]),
        ("rwm state alpha la", ["last-good", "latest"]),
        ("rwm restore alpha latest --thaw B", ["Bulk"]),
    ],
)


@WORDS
def test_fish_completes_them_too(shell: dict[str, str], line: str, offered: Sequence[str]) -> None:
    script = f"env _RWM_COMPLETE=source_fish rwm | source; complete -C '{line}'"
    told = told_by("fish", shell, "--no-config", "-c", script)
    assert [each.split("\t")[0] for each in told.splitlines()] == offered


@WORDS
def test_zsh_completes_them_too(shell: dict[str, str], line: str, offered: Sequence[str]) -> None:
    """It completes on a terminal only."""
    zsh = program("zsh")
    ours, its = pty.openpty()
    with subprocess.Popen(
        [zsh, "-f", "-i"], env={**shell, "TERM": "dumb"}, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as running:
        os.close(its)
        try:
            os.write(
                ours,
                b"PROMPT='' LISTMAX=1000; autoload -Uz compinit; compinit -D -u; "
                b"source <(env _RWM_COMPLETE=source_zsh rwm); print rea''dy\n",
            )
            _until(ours, lambda said: b"ready" in said)
            os.write(ours, line.encode() + b"\t")
            _until(ours, lambda said: all(each.encode() in said for each in offered))
        finally:
            running.kill()
            os.close(ours)


def _until(terminal: int, done: Callable[[bytes], bool]) -> None:
    """Reads from a terminal until what it said is what was waited for."""
    said, deadline = b"", time.monotonic() + 60
    while not done(said):
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 1 << 16)


@pytest.mark.parametrize(
    ("name", "begins"),
    [("bash", "_rwm_completion()"), ("zsh", "#compdef rwm"), ("fish", "complete --command rwm")],
)
def test_each_shell_has_its_script(shell: dict[str, str], name: str, begins: str) -> None:
    assert asked(shell, _RWM_COMPLETE=f"source_{name}").strip().startswith(begins)


def test_bash_is_told_by_show_completion_what_it_needs(shell: dict[str, str]) -> None:
    # The shell is the parent; `; true` keeps bash from taking its place.
    shown = told_by("bash", shell, "--norc", "-c", "rwm --show-completion; true")
    assert "complete -o default -F _rwm_completion rwm" in shown

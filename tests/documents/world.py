"""The embedded AWS of one page, with everything deployed, and the people and machines that a reader has around him."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.configuration import read_toml
from functions.domain.repositories import Configuration, Repository
from local.credentials import PRINCIPALS, issue_profiles
from local.deploy import deploy
from local.embedded import EmbeddedAws
from local.synthesis import ROOT, synthesize
from tests.documents.pages import Block, Command
from tests.system.system import LEADS_ELSEWHERE, PASSWORD

HERE = Path(__file__).parent
BUILD = ROOT / "build" / "documents"
_ENDS_WITHIN_SECONDS = 240
_NOT_IN_THE_CHECKOUT = frozenset({"build", "cdk.out", ".git"})

# What no page can print before it happens, and what its reader replaces. Nothing else of a command is changed.
_PLAN = re.compile(r"(?<=\brwm plan )3f9a12bc\b|(?<=\brwm approve )3f9a12bc\b|(?<=\brwm reject )3f9a12bc\b")
_S3 = re.compile(r"s3:https://s3\.eu-central-1\.amazonaws\.com\b")
_FOLDERS = re.compile(r"(?<![\w./])/(?:srv|root|etc/rwm\.env|etc/restic-password|usr/local/bin)\b")

_THE_NEWEST_PLAN = """#!/bin/sh
# What somebody copies who has just been shown a plan.
AWS_PROFILE=operator rwm plans --limit 1 --json |
  {python} -c 'import json, sys; print(json.load(sys.stdin)["plans"][0]["plan"][:8])'
"""
_PASTE = """#!/bin/sh
# The editor in which somebody pastes what `rwm connect` printed.
cat {pasted} > "$1"
"""
_AWS = """#!/bin/sh
# Version 1 of the aws cli minds no variable and no profile for the address of SQS (host/rwm-publish says it, too).
exec {aws} --endpoint-url {endpoint} "$@"
"""


class NotAsPrinted(AssertionError):
    """A command did not end, or did not print, as its page says."""


@dataclass
class World:
    """What a page's commands meet."""

    aws: EmbeddedAws
    configuration: Configuration
    directory: Path
    """With `checkout`, where a person types, `host`, where root does, `bin` and the folders of the host."""
    host: dict[str, str] = field(default_factory=dict)
    """What `rwm connect` printed for the host's environment."""

    def repository(self, name: str) -> Repository:
        return next(each for each in self.configuration.repositories if each.name == name)

    # --- what the page prints ---------------------------------------------------------------------

    def run(self, block: Block) -> str:
        """Type a block; what it printed. Where it published, the next one is typed when the state is there. Raises
        NotAsPrinted."""
        script = "".join(map(checked, block.commands))
        folder, environment = (
            (self.directory / "host", self.host_environment())
            if block.tag == "host"
            else (self.directory / "checkout", self.environment("rwm-operator"))
        )
        publishes = block.tag == "host" and "rwm-publish " in block.text
        before = len(self.states("alpha")) if publishes else 0
        ended = self._type(self.with_stand_ins(script), folder, environment)
        if ended.returncode != 0:
            raise NotAsPrinted(f"{block}:\n{block.text}{ended.stdout}\n{self.aws.log_tail()}")
        self._paste(ended.stdout)
        # Whoever is asked ends that line, and a terminal shows it.
        printed = ended.stdout.replace("[y/N]: ", "[y/N]: y\n")
        compare(block, printed)
        if publishes:
            self.eventually("the state of the event", lambda: len(self.states("alpha")) > before)
        return printed

    def with_stand_ins(self, script: str) -> str:
        script = _PLAN.sub("$(the-newest-plan)", script)
        script = _S3.sub(f"s3:{self.aws.endpoint_url}", script)
        return _FOLDERS.sub(lambda match: f"{self.directory}{match[0]}", script)

    def _paste(self, printed: str) -> None:
        """The host gets what `rwm connect REPO --create-key` printed for its environment."""
        exports = re.findall(r"^\s*export (\w+)=(.+)$", self.with_stand_ins(printed), re.MULTILINE)
        found = {name: shlex.split(value)[0] for name, value in exports}
        if {"AWS_SECRET_ACCESS_KEY", "RWM_QUEUE_URL"} <= found.keys():
            self.is_connected(found)

    def is_connected(self, environment: Mapping[str, str]) -> None:
        """The host's owner has what `rwm connect` printed."""
        self.host = dict(environment)
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.host.items()]
        (self.directory / "pasted").write_text("".join(lines))

    def _type(self, script: str, folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """Whoever is asked says yes."""
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
            try:
                return subprocess.run(
                    ["sh", "-c", script],
                    cwd=folder,
                    env=environment,
                    stdin=yes.stdout,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                    timeout=_ENDS_WITHIN_SECONDS,
                )
            finally:
                yes.send_signal(signal.SIGKILL)

    # --- who types ---------------------------------------------------------------------------------

    def environment(self, profile: str) -> dict[str, str]:
        """Of a person with this profile."""
        return {
            **_inherited(),
            **self.aws.environment,
            "AWS_PROFILE": profile,
            "HOME": str(self.directory / "home"),
            "PATH": f"{self.directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "120",
            "RESTIC_PASSWORD": PASSWORD,
        }

    def host_environment(self) -> dict[str, str]:
        """Of root on the backup host: no profile, and nothing but what was pasted, and the password of restic."""
        return {
            **_inherited(),
            # Once it has the file, it knows what the file says, when it is read.
            **({} if (self.directory / "etc/rwm.env").exists() else self.host),
            "HOME": str(self.directory / "root"),
            "PATH": f"{self.directory / 'usr/local/bin'}{os.pathsep}{self.directory / 'bin'}{os.pathsep}"
            f"{os.environ['PATH']}",
            "RESTIC_PASSWORD_FILE": str(self.directory / "etc/restic-password"),
            "EDITOR": str(self.directory / "bin" / "paste"),
        }

    # --- what the story tells ----------------------------------------------------------------------

    def rwm(self, *arguments: str, profile: str = "operator", ends: tuple[int, ...] = (0,)) -> Any:
        """The document of a command that the story needs and no page prints."""
        ended = subprocess.run(
            [str(ROOT / ".venv/bin/rwm"), *arguments, "--json"],
            env=self.environment(profile),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ENDS_WITHIN_SECONDS,
        )
        assert ended.returncode in ends, f"rwm {arguments}: {ended.stdout}{ended.stderr}\n{self.aws.log_tail()}"
        return json.loads(ended.stdout)

    def restic(self, profile: str, name: str, *arguments: str) -> str:
        """The real restic, with a key of the repository's host or of its maintenance."""
        repository = self.repository(name)
        place = f"{repository.bucket}/{repository.prefix}".rstrip("/")
        ended = subprocess.run(
            ["restic", "--no-cache", "-r", f"s3:{self.aws.endpoint_url}/{place}", *arguments],
            env=self.environment(profile),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ENDS_WITHIN_SECONDS,
        )
        assert ended.returncode == 0, f"restic {arguments}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def record(self, name: str) -> dict[str, Any]:
        """The newest state, recorded now."""
        for _ in range(60):
            answer = self.rwm("record", name, ends=(0, 3))
            if answer["outcome"] != "not-yet":
                break
            time.sleep(0.5)
        return self.states(name)[0]

    def states(self, name: str) -> list[dict[str, Any]]:
        """Newest first."""
        return list(self.rwm("states", name, "--limit", "100")["states"])

    def eventually(self, what: str, look: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{self.aws.log_tail()}"
            time.sleep(0.5)


@contextmanager
def a_world(directory: Path) -> Iterator[World]:
    """Everything deployed, and nothing backed up yet. Gone again at the end."""
    repositories = HERE / "repositories.toml"
    configuration = read_toml(repositories)
    assembly = synthesize(repositories, BUILD / "cdk.out", principals=PRINCIPALS)
    with ExitStack() as stack:
        aws = stack.enter_context(EmbeddedAws.start(directory / "aws"))
        deploy(aws, assembly)
        issue_profiles(aws, configuration.names)
        for repository in configuration.repositories:
            if repository.restic_password_secret:
                secret = repository.restic_password_secret.rpartition(":")[2]
                aws.client("secretsmanager").create_secret(Name=secret, SecretString=PASSWORD)
        world = World(aws, configuration, directory)
        _furnish(world)
        yield world


def _furnish(world: World) -> None:
    """A checkout whose `build` is the page's own, a host, and its folders."""
    directory = world.directory
    for name in ("bin", "home", "root", "srv", "etc", "usr/local/bin", "checkout/build"):
        (directory / name).mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name not in _NOT_IN_THE_CHECKOUT:
            (directory / "checkout" / path.name).symlink_to(path)
    (directory / "checkout" / "build" / "aws").symlink_to(world.aws.directory)
    shutil.copytree(ROOT / "host", directory / "host")
    for script in ("rwm-publish", "rwm-doctor"):
        shutil.copy(ROOT / "host" / script, directory / "usr/local/bin")
    (directory / "etc/restic-password").write_text(PASSWORD)
    (directory / "bin" / "rwm").symlink_to(ROOT / ".venv/bin/rwm")
    aws = directory / "bin" / "aws"
    aws.write_text(_AWS.format(aws=ROOT / ".venv/bin/aws", endpoint=world.aws.endpoint_url))
    paste = directory / "bin" / "paste"
    paste.write_text(_PASTE.format(pasted=directory / "pasted"))
    plan = directory / "bin" / "the-newest-plan"
    plan.write_text(_THE_NEWEST_PLAN.format(python=ROOT / ".venv/bin/python"))
    for program in (aws, paste, plan):
        program.chmod(0o755)


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(LEADS_ELSEWHERE)}


def checked(command: Command) -> str:
    """It, and then the end of all if it did not end as it should."""
    return (
        f"{command.text}\nended=$?\n"
        f'[ "$ended" = {command.exit_code} ] || {{ printf %s\\\\n {shlex.quote(command.text)} '
        f'"ended with $ended, and the page says {command.exit_code}"; exit 1; }}\n'
    )


def compare(block: Block, printed: str) -> None:
    """Each line that the page shows is printed, in its order; `…` stands for anything, and spaces for spaces. Raises
    NotAsPrinted."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for shown in block.shown:
        wanted = ".*".join(re.escape(part) for part in re.split(" *… *", " ".join(shown.split())))
        if wanted and not any(re.fullmatch(wanted, line) for line in lines):
            raise NotAsPrinted(f"{block}: the page shows {shown!r}, and this is what was printed:\n{printed}")

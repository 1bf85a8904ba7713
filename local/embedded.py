"""The embedded AWS as a process: start it, stop it, talk to it.

It listens on a free port of the loopback interface, keeps everything in memory, and leaves nothing
behind: the server and the handlers it runs share one process group, which is killed as a whole.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from local.profiles import Profile, access_key, write_profiles

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv" / "bin" / "python"
"""The interpreter that serves, and that runs the handlers."""

ACCOUNT = "000000000000"
REGION = "us-east-1"
ADMIN = Profile("admin", access_key("test", "test"))
"""Root, who may do everything that is possible at all."""

_HEALTHY_WITHIN_SECONDS = 30
_GONE_WITHIN_SECONDS = 10
_TAIL_LINES = 30
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotStarted(RuntimeError):
    """The embedded AWS did not come up; no process of it is left."""


@dataclass
class EmbeddedAws:
    """A running embedded AWS. `directory` holds its pid file, log, temporary files and profiles."""

    directory: Path
    port: int
    pid: int
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _lifeline: int | None = field(default=None, repr=False)

    @classmethod
    def start(cls, directory: Path, *, detached: bool = False, without_mends: Sequence[str] = ()) -> Self:
        """Start one and wait until it is healthy.

        It dies with this process, however this process ends, unless `detached`.
        Raises NotStarted with the end of its log.
        """
        if not PYTHON.exists():
            raise NotStarted(f"{PYTHON} is missing: `make local` and `make demo` install it.")
        temporary = directory / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        port = _free_port()
        command = [str(PYTHON), "-P", str(HERE / "serve.py")]
        if without_mends:
            command += ["--without", *without_mends]
        lifeline: int | None = None
        inherited: tuple[int, ...] = ()
        if not detached:
            read_end, lifeline = os.pipe()
            command += ["--lifeline", str(read_end)]
            inherited = (read_end,)
        with (directory / "server.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=temporary,
                env=_environment(port, temporary),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=inherited,
                start_new_session=True,
            )
        for descriptor in inherited:
            os.close(descriptor)
        aws = cls(directory, port, process.pid, process, lifeline)
        try:
            aws._write_pid_file()
            aws._wait_until_healthy()
            aws.write_profiles([])
        except BaseException:
            aws.stop()
            raise
        return aws

    @classmethod
    def running(cls, directory: Path) -> Self | None:
        """The one that was started in `directory`, perhaps by another process, if it still runs."""
        try:
            noted = json.loads((directory / "pid.json").read_text())
        except FileNotFoundError:
            return None
        # After a reboot the pid may be somebody else's: the same start time tells the same process.
        if _started_at(noted["pid"]) != noted["started_at"]:
            return None
        return cls(directory, noted["port"], noted["pid"])

    def stop(self) -> None:
        """Kill the server and its handlers, and remove what only they needed. The log stays."""
        # Nothing is persisted, so there is nothing that a gentler end would save.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(_GONE_WITHIN_SECONDS)
        deadline = time.monotonic() + _GONE_WITHIN_SECONDS
        while any(_living_members(self.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        shutil.rmtree(self.directory / "tmp", ignore_errors=True)
        for name in ("pid.json", "config", "credentials"):
            (self.directory / name).unlink(missing_ok=True)

    def processes(self) -> list[int]:
        """The server and the handlers it runs, as far as they live."""
        return list(_living_members(self.pid))

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What another program needs in its environment, beside AWS_PROFILE, to use the profiles."""
        return {
            "AWS_CONFIG_FILE": str(self.directory / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "credentials"),
            # The profiles name it too, but version 1 of the aws cli minds that for all services but SQS: there it must
            # be passed as --endpoint-url, which the host's publisher does when it finds this variable.
            "AWS_ENDPOINT_URL_SQS": self.endpoint_url,
        }

    def write_profiles(self, profiles: Sequence[Profile]) -> None:
        """Replace the profiles; `admin` is always there."""
        write_profiles(self.directory, [ADMIN, *profiles], endpoint_url=self.endpoint_url, region=REGION)

    def session(self, profile: str = ADMIN.name) -> boto3.Session:
        """A session with a profile's credentials; its clients find the endpoint by themselves."""
        core = botocore.session.Session()
        core.set_config_variable("config_file", str(self.directory / "config"))
        core.set_config_variable("credentials_file", str(self.directory / "credentials"))
        # No proxy of the environment leads to the loopback interface.
        core.set_default_client_config(Config(proxies={}))
        return boto3.Session(botocore_session=core, profile_name=profile)

    def client(self, service: str, profile: str = ADMIN.name, **options: Any) -> Any:
        # boto3's stubs know one overload for each service's name; here it is a variable.
        make: Any = self.session(profile).client
        return make(service, **options)

    def is_healthy(self) -> bool:
        try:
            with _DIRECT.open(f"{self.endpoint_url}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def log_tail(self) -> str:
        lines = (self.directory / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def _write_pid_file(self) -> None:
        noted = {"pid": self.pid, "port": self.port, "started_at": _started_at(self.pid)}
        (self.directory / "pid.json").write_text(json.dumps(noted) + "\n")

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _HEALTHY_WITHIN_SECONDS
        while not self.is_healthy():
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else f"did not answer in {_HEALTHY_WITHIN_SECONDS} s"
                raise NotStarted(
                    f"The embedded AWS {what}; nothing is deployed. Its log "
                    f"({self.directory / 'server.log'}) ends with:\n{self.log_tail()}"
                )
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _environment(port: int, temporary: Path) -> dict[str, str]:
    """The server's environment, made anew: handlers inherit it, and must not see the caller's AWS
    profile, proxies, certificates or Python path."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "LAMBDA_EXECUTOR": "local",
        # With Docker at hand it would remove containers that it takes for its own.
        "DOCKER_HOST": f"unix://{temporary}/no-docker.sock",
        # Both would open a fixed port.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class _ProcessStatus:
    state: str
    group: int
    started_at: str


def _status(pid: int) -> _ProcessStatus | None:
    """From /proc where there is one (a small Debian has no ps), else from ps. None: no such process."""
    if Path("/proc/self/stat").exists():
        try:
            # The command, in parentheses, may hold spaces and parentheses itself.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return _ProcessStatus(fields[0], int(fields[2]), fields[19])
    answer = subprocess.run(
        ["ps", "-o", "stat=,pgid=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    words = answer.stdout.split(maxsplit=2)
    return _ProcessStatus(words[0], int(words[1]), words[2].strip()) if words else None


def _started_at(pid: int) -> str | None:
    status = _status(pid)
    # A zombie runs no more, it only waits for its parent to notice.
    return status.started_at if status and not status.state.startswith("Z") else None


def _living_members(group: int) -> Iterator[int]:
    if Path("/proc/self/stat").exists():
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    else:
        pids = [group]
    for pid in pids:
        status = _status(pid)
        if status and status.group == group and not status.state.startswith("Z"):
            yield pid

"""What the demo saw, written down as it happens; the figures are derived from these records and nothing else.

`build/raw/demo/commands.jsonl`: one line per program run (what, exit code, seconds, end of its output).
`build/raw/demo/denials.jsonl`: one line per call that S3 or IAM refused (error code, request id).
`build/raw/demo/answers.jsonl`: what `rwm --json` and the APIs answered, as it came.
`build/raw/demo/versions.json`: what it ran on.
"""

import json
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

_WRITING = threading.Lock()
"""A long line is written in several pieces."""


class DemoFailed(Exception):
    """Something the demo promises was not so."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The raw records under `directory`."""

    directory: Path

    @classmethod
    def afresh(cls, directory: Path) -> "Evidence":
        """An empty directory to write records into."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        return cls(directory)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step of the story."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._append("steps.jsonl", {"step": name, "seconds": round(time.monotonic() - started, 2)})

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        expect: Sequence[int] = (0,),
        cwd: Path | None = None,
    ) -> str:
        """Run a program and return what it printed. Raises DemoFailed when its exit code is not expected."""
        started = time.monotonic()
        done = subprocess.run(
            command,
            env={**_inherited(), **environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        self._append(
            "commands.jsonl",
            {
                "command": list(command),
                "profile": environment.get("AWS_PROFILE"),
                "exit_code": done.returncode,
                "seconds": round(time.monotonic() - started, 3),
                "output": done.stdout[-2000:],
                "errors": done.stderr[-2000:],
            },
        )
        if done.returncode not in expect:
            raise DemoFailed(
                f"`{' '.join(command)}` ended with {done.returncode}, expected {' or '.join(map(str, expect))}:\n"
                f"{done.stdout[-1500:]}{done.stderr[-1500:]}"
            )
        return done.stdout

    def denied(self, profile: str, action: str, target: str, error: ClientError) -> str:
        """Write down a refusal in the server's own words; returns its code. Raises DemoFailed when it is none."""
        code = str(error.response["Error"]["Code"])
        answered = error.response["ResponseMetadata"]
        self._append(
            "denials.jsonl",
            {
                "profile": profile,
                "action": action,
                "target": target,
                "code": code,
                "status": answered.get("HTTPStatusCode"),
                "request_id": answered.get("RequestId"),
            },
        )
        if code not in ("AccessDenied", "AccessDeniedException", "403"):
            raise DemoFailed(f"{profile}: {action} on {target} was not denied but ended with {code}: {error}")
        return code

    def answer(self, question: str, answer: Any) -> None:
        """Write down what was answered, as it came."""
        self._append("answers.jsonl", {"question": question, "answer": answer})

    def versions(self, emulator: Path) -> None:
        """Write down what this runs on."""
        restic = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.strip()
        served = subprocess.run(
            [str(emulator), "-c", "from importlib.metadata import version; print(version('ministack'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        content = {
            "restic": restic,
            "ministack": served,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            **{name: version(name) for name in ("boto3", "aws-cdk-lib", "awscli")},
        }
        (self.directory / "versions.json").write_text(json.dumps(content, indent=2) + "\n")

    def read(self, name: str) -> list[dict[str, Any]]:
        """The records of one file, in order."""
        path = self.directory / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def answers(self, question: str) -> list[Any]:
        return [record["answer"] for record in self.read("answers") if record["question"] == question]

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        with _WRITING, (self.directory / name).open("a") as file:
            file.write(json.dumps(record, default=str) + "\n")


def _inherited() -> dict[str, str]:
    """The caller's environment without what would lead elsewhere than to the embedded AWS."""
    leads_elsewhere = ("AWS_", "RESTIC_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    return {name: value for name, value in os.environ.items() if not name.startswith(leads_elsewhere)}

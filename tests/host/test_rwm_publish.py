"""The publisher, run by a POSIX shell with an `aws` that only writes down what it is asked."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.domain.events import BackupDone, BadEvent, read_event
from functions.domain.values import RepositoryName

SCRIPT = Path(__file__).parents[2] / "host" / "rwm-publish"
QUEUE = "https://sqs.eu-central-1.amazonaws.com/111122223333/rwm-alpha"
SNAPSHOT = "0123456789abcdef" * 4

FAKE_AWS = """#!/bin/sh
printf '%s\\n' "$@" >"$SENT"
echo message-1
exit "${AWS_ENDS_WITH:-0}"
"""


@dataclass
class Host:
    """A machine with a shell, and an aws cli of ours."""

    directory: Path

    @property
    def sent(self) -> list[str] | None:
        """The arguments of the one call of `aws`; None if there was none."""
        file = self.directory / "sent"
        return file.read_text().splitlines() if file.exists() else None

    @property
    def body(self) -> str:
        assert self.sent is not None
        return self.sent[self.sent.index("--message-body") + 1]

    def publish(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {"RWM_QUEUE_URL": QUEUE, **environment}
        return subprocess.run(
            [shutil.which("dash") or "sh", str(SCRIPT), *arguments],
            env={"PATH": f"{self.directory}:/usr/bin:/bin", "SENT": str(self.directory / "sent"), **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    aws = tmp_path / "aws"
    aws.write_text(FAKE_AWS)
    aws.chmod(0o755)
    return Host(tmp_path)


def test_publish_sends_backup_done_to_the_queue(host: Host) -> None:
    ended = host.publish()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert host.sent == [
        "sqs", "send-message", "--queue-url", QUEUE, "--message-body", '{"event":"backup done"}',
        "--query", "MessageId", "--output", "text",
    ]  # fmt: skip
    assert "message-1" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), BackupDone()),
        (("--snapshot", SNAPSHOT), BackupDone(snapshot=SNAPSHOT)),
        (("--snapshot", SNAPSHOT[:8], "--incomplete"), BackupDone(snapshot=SNAPSHOT[:8], outcome="incomplete")),
        (("--repository", "alpha"), BackupDone(repository="alpha")),
        (("--restic-exit", "0"), BackupDone(outcome="complete")),
        (("--restic-exit", "3"), BackupDone(outcome="incomplete")),
    ],
)
def test_what_publish_sends_is_what_record_reads(host: Host, arguments: tuple[str, ...], expected: BackupDone) -> None:
    host.publish(*arguments)
    assert read_event(host.body, RepositoryName("alpha")) == expected


def test_the_repository_of_the_environment_guards_against_the_wrong_queue(host: Host) -> None:
    host.publish(RWM_REPOSITORY="beta")
    assert json.loads(host.body)["repository"] == "beta"
    with pytest.raises(BadEvent):
        read_event(host.body, RepositoryName("alpha"))


@pytest.mark.parametrize("code", [0, 3])
def test_publish_ends_with_the_exit_code_of_a_restic_that_saved_a_snapshot(host: Host, code: int) -> None:
    assert host.publish("--restic-exit", str(code)).returncode == code
    assert host.sent is not None


@pytest.mark.parametrize("code", [1, 2, 10, 11, 12, 130, 255])
def test_publish_sends_nothing_after_a_failed_backup_and_ends_with_its_exit_code(host: Host, code: int) -> None:
    ended = host.publish("--restic-exit", str(code))
    assert ended.returncode == code
    assert host.sent is None
    assert "nothing was published" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--snapshot", '"},"repository":"beta'),
        ("--snapshot", "0123456"),
        ("--snapshot", SNAPSHOT + "0"),
        ("--snapshot", SNAPSHOT.upper()),
        ("--snapshot", "12345678\n"),
        ("--snapshot", ""),
        ("--snapshot",),
        ("--repository", 'a","outcome":"complete'),
        ("--repository", "--help"),
        ("--repository", "é"),
        ("--repository", "a" * 33),
        ("--restic-exit", ""),
        ("--restic-exit", "256"),
        ("--restic-exit", "00"),
        ("--restic-exit", "-1"),
        ("--restic-exit", "one"),
        ("--restic-exit", "0", "--incomplete"),
        ("--unknown",),
        ("stray",),
    ],
)
def test_publish_refuses_wrong_arguments_and_sends_nothing(host: Host, arguments: tuple[str, ...]) -> None:
    ended = host.publish(*arguments)
    assert ended.returncode == 64
    assert host.sent is None
    assert ended.stderr.endswith("nothing was published\n")


@pytest.mark.parametrize("url", ["", "rwm-alpha", "--debug", "file:///etc/passwd"])
def test_publish_refuses_what_is_no_queue_url(host: Host, url: str) -> None:
    ended = host.publish(RWM_QUEUE_URL=url)
    assert ended.returncode == 64
    assert host.sent is None
    assert "rwm connect" in ended.stderr


def test_publish_says_so_when_the_aws_cli_cannot_send(host: Host) -> None:
    ended = host.publish("--restic-exit", "0", AWS_ENDS_WITH="254")
    assert ended.returncode == 69
    assert "nothing was published" in ended.stderr


def test_publish_says_so_when_there_is_no_aws_cli(host: Host) -> None:
    (host.directory / "aws").unlink()
    ended = host.publish(PATH=str(host.directory))
    assert ended.returncode == 69
    assert "aws cli is not installed" in ended.stderr


def test_publish_helps_without_a_queue(host: Host) -> None:
    ended = host.publish("--help", RWM_QUEUE_URL="")
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: rwm-publish")


def test_publish_can_be_executed_and_names_the_shell_that_every_host_has() -> None:
    assert SCRIPT.read_text().startswith("#!/bin/sh\n")
    assert os.access(SCRIPT, os.X_OK)

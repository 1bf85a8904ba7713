"""A wrong repositories.toml: the message says where and what is allowed, and nothing is synthesized."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import app

GOOD = '[repositories.main]\nbucket = "main-backups"\n'

WRONG = {
    "an unknown field": (GOOD + "rentention = 3\n", ["repository main: rentention", "there is no such field"]),
    "a bucket name": ('[repositories.main]\nbucket = "Main"\n', ["main: bucket", "3 to 63 of a-z", "'Main'"]),
    "no bucket": ("[repositories.main]\nadopt = true\n", ["main: bucket", "required"]),
    "a repository name": ('[repositories."Main_1"]\nbucket = "main"\n', ["Main_1: name", "1 to 32 of a-z"]),
    "a reserved name": ('[repositories.dead-letters]\nbucket = "main"\n', ["dead-letters: name", "none of"]),
    "a prefix with a wildcard": (GOOD + 'prefix = "a/*"\n', ["main: prefix", "letters, digits"]),
    "a duration": (GOOD + 'grace_days = "a month"\n', ["main: grace_days", 'one of s, m, h, d, like "30d"']),
    "a short time": (GOOD + 'max_state_age = "1h"\n', ["main", "max_state_age is 1h", "unsafe_short_times"]),
    "a lock beyond grace": (GOOD + 'grace_days = "7d"\nlock_days = 14\n', ["main", "lock_days is 14", "grace_days"]),
    "a host": (GOOD + 'hosts = ["me"]\n', ["main: hosts.0", '"create", or the ARN of an IAM user or role']),
    "a schedule": (GOOD + 'record_schedule = "daily"\n', ["main: record_schedule", "rate(1 day)"]),
    "an approval mode": (GOOD + 'approval = "maybe"\n', ["main: approval", "'hold', 'always' or 'never'"]),
    "maintenance by the host": (
        GOOD + 'hosts = ["arn:aws:iam::123456789012:role/r"]\nmaintenance = "arn:aws:iam::123456789012:role/r"\n',
        ["main", "the key that may hide must stay off the host"],
    ),
    "overlapping repositories": (GOOD + '[repositories.other]\nbucket = "main-backups"\n', ["overlap", "main-backups"]),
    "no repository": ("repositories = []\n", ["repositories", "at least 1"]),
    "log days": ("log_days = 10\n" + GOOD, ["log_days", "Input should be 1, 3, 5, 7"]),
    "a restore target": ('restore_targets = ["*"]\n' + GOOD, ["restore_targets.0", "a single * in it"]),
    "no TOML": ("[repositories.main\n", ["not TOML", "line 1"]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_is_named_and_nothing_is_synthesized(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = WRONG[wrong]
    file = tmp_path / "mine.toml"
    file.write_text(text)
    monkeypatch.setenv("REPOSITORIES", str(file))
    monkeypatch.setenv("CDK_OUTDIR", str(tmp_path / "cdk.out"))
    assert app.main() == 2
    output = capsys.readouterr()
    for words in (str(file), *said, "nothing was synthesized"):
        assert words in output.err
    assert output.out == ""
    assert not (tmp_path / "cdk.out").exists()


def _run(environment: dict[str, str], root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=root,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_itself_ends_with_two_and_without_a_traceback(root: Path, tmp_path: Path) -> None:
    outdir = tmp_path / "cdk.out"
    ended = _run({"REPOSITORIES": str(tmp_path / "absent.toml"), "CDK_OUTDIR": str(outdir)}, root)
    assert ended.returncode == 2
    assert ended.stderr == f"{tmp_path / 'absent.toml'}: there is no such file; nothing was synthesized\n"
    assert not outdir.exists()


def test_a_wrong_local_principal_is_refused(root: Path, tmp_path: Path) -> None:
    outdir = tmp_path / "cdk.out"
    ended = _run({"RWM_LOCAL_PRINCIPALS": "me", "CDK_OUTDIR": str(outdir)}, root)
    assert ended.returncode == 2
    assert ended.stderr.startswith("RWM_LOCAL_PRINCIPALS: ")
    assert "nothing was synthesized" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not outdir.exists()

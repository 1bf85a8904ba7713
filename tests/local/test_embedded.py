"""The embedded AWS starts, can be found again, and leaves nothing behind however it ends."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from local.embedded import HERE, EmbeddedAws, NotStarted, _living_members
from tests.local.conftest import Account, eventually

SLEEPER = "import time\ndef handler(event, context):\n    print('ASLEEP')\n    time.sleep(60)\n"

PARENT = """
import sys, time
from pathlib import Path
from local.embedded import EmbeddedAws
aws = EmbeddedAws.start(Path(sys.argv[1]), detached=len(sys.argv) > 2)
print(aws.pid, flush=True)
time.sleep(60)
"""


def _members(group: int) -> list[int]:
    return list(_living_members(group))


def _start_in_another_process(directory: Path, *more: str) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(directory), *more],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def test_stop_kills_the_handlers_too_and_removes_what_they_used(directory: Path) -> None:
    with EmbeddedAws.start(directory) as aws:
        account = Account(aws)
        function = account.function(SLEEPER, timeout=60)
        call = account.client("lambda").invoke
        threading.Thread(target=lambda: call(FunctionName=function, InvocationType="Event"), daemon=True).start()
        assert len(eventually(lambda: len(_members(aws.pid)) > 1 and _members(aws.pid))) > 1
    assert _members(aws.pid) == []
    assert [path.name for path in directory.iterdir()] == ["server.log"]


def test_it_dies_with_the_process_that_started_it(directory: Path) -> None:
    parent, pid = _start_in_another_process(directory)
    assert _members(pid)
    parent.kill()
    parent.communicate()
    eventually(lambda: not _members(pid))


def test_a_detached_one_outlives_its_parent_and_is_stopped_by_another(directory: Path) -> None:
    parent, pid = _start_in_another_process(directory, "detached")
    parent.kill()
    parent.communicate()
    time.sleep(0.2)
    found = EmbeddedAws.running(directory)
    assert found is not None
    assert (found.pid, found.is_healthy()) == (pid, True)
    assert found.client("s3").list_buckets()["Buckets"] == []
    found.stop()
    assert _members(pid) == []
    assert EmbeddedAws.running(directory) is None


def test_a_process_that_took_over_the_pid_is_not_mistaken_for_it(directory: Path) -> None:
    directory.mkdir()
    (directory / "pid.json").write_text(f'{{"pid": {os.getpid()}, "port": 1, "started_at": "0"}}')
    assert EmbeddedAws.running(directory) is None


def test_when_it_cannot_start_the_end_of_its_log_is_shown(directory: Path) -> None:
    with pytest.raises(NotStarted, match="no such mend: nonsense"):
        EmbeddedAws.start(directory, without_mends=["nonsense"])
    assert EmbeddedAws.running(directory) is None


def test_profiles_are_for_their_owner_only(aws: EmbeddedAws) -> None:
    for name in ("config", "credentials"):
        assert stat.S_IMODE((aws.directory / name).stat().st_mode) == 0o600
    assert aws.session().region_name == "us-east-1"


def test_a_handler_sees_nothing_of_the_shell_that_started_it(account: Account) -> None:
    function = account.function("import os\ndef handler(event, context): return dict(os.environ)\n")
    answer = account.client("lambda").invoke(FunctionName=function)["Payload"].read().decode()
    assert "PYTHONPATH" not in answer
    assert "PYTEST" not in answer
    assert str(HERE.parent / "functions") not in answer


def test_a_handler_acts_as_its_role_and_no_other(account: Account) -> None:
    source = (
        "import botocore.session\n"
        "def handler(event, context):\n"
        "    client = botocore.session.get_session().create_client\n"
        "    who = client('sts').get_caller_identity()['Arn']\n"
        "    try:\n"
        "        client('s3').list_buckets()\n"
        "    except Exception as error:\n"
        "        return who + ' ' + str(error)\n"
    )
    function = account.function(source)
    answer = account.client("lambda").invoke(FunctionName=function)["Payload"].read().decode()
    assert ":assumed-role/role-" in answer
    assert "AccessDenied" in answer

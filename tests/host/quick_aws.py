"""The real aws cli without its half second of start: a process that has imported it forks for each call.

The doctor calls it thirty times a run, and is run against many keys. `aws`, put on the PATH, hands its arguments,
environment and standard streams over a socket; a copy of the process takes them for its own and runs the command.
"""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

_CALLER = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(asked)
    sys.exit(server.recv(1)[0])
"""


@contextmanager
def quick_aws(directory: Path) -> Iterator[Path]:
    """A folder for the PATH with `aws` in it, for as long as the context lasts."""
    address, folder = directory / "aws.socket", directory / "bin"
    folder.mkdir()
    caller = folder / "aws"
    caller.write_text(_CALLER.format(python=sys.executable, address=str(address)))
    caller.chmod(caller.stat().st_mode | stat.S_IXUSR)
    with subprocess.Popen([sys.executable, __file__, str(address)], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield folder
        finally:
            server.kill()


def _serve(address: str) -> None:
    main = import_module("awscli.clidriver").main
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            caller, _ = listening.accept()
            with caller:
                if os.fork() == 0:
                    # Its own parent waits for it and answers: the one that listens need not.
                    _answer(caller, main)


def _answer(caller: socket.socket, main: Callable[[], int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, *_ = socket.recv_fds(caller, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(length, "big"):
        asked += caller.recv(1 << 16)
    arguments, environment, directory = json.loads(asked)
    child = os.fork()
    if child == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        # Set when it was imported: where its own data are.
        own = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}
        os.environ.clear()
        os.environ.update(environment | own)
        os.chdir(directory)
        sys.argv = ["aws", *arguments]
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w")))
        code = 255
        try:
            code = main()
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    caller.sendall(bytes([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF]))
    os._exit(0)


if __name__ == "__main__":
    # Nobody asks how those ended that answer.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _serve(sys.argv[1])

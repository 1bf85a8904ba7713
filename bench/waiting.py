"""Processes that say when they are ready, are then given work a line at a time, and answer each line with one."""

import os
import queue
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bench.part import CannotMeasure
from bench.processes import KIBIBYTES


class Waiting:
    """Some alike; leaving the context ends them. Raises CannotMeasure when one fails."""

    def __init__(self, command: Sequence[str], count: int, directory: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._processes = [_start(command, directory, environment) for _ in range(count)]
        self.cpu_seconds = 0.0
        """Of all of them from their start to their end; known after the context."""
        self.max_rss = 0
        """Bytes, of the largest."""

    def __enter__(self) -> Self:
        try:
            for process in self._processes:
                self._read(process)
        except CannotMeasure:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        if error is None and any(process.returncode for process in self._processes):
            raise CannotMeasure(f"{' '.join(self._command)} failed; it was not measured")

    def answers(self, lines: Iterable[str]) -> list[str]:
        """Each line goes to one that is free, in order; what they say of them, in no order."""
        left: queue.SimpleQueue[str] = queue.SimpleQueue()
        for line in lines:
            left.put(line)

        def work(process: "subprocess.Popen[str]") -> list[str]:
            said: list[str] = []
            while True:
                try:
                    line = left.get_nowait()
                except queue.Empty:
                    return said
                _pipe(process.stdin).write(f"{line}\n")
                _pipe(process.stdin).flush()
                said.append(self._read(process))

        with ThreadPoolExecutor(len(self._processes)) as threads:
            return [each for said in threads.map(work, self._processes) for each in said]

    def _read(self, process: "subprocess.Popen[str]") -> str:
        line = _pipe(process.stdout).readline()
        if not line:
            raise CannotMeasure(f"{' '.join(self._command)} ended before its time; it was not measured")
        return line.rstrip("\n")

    def _end(self) -> None:
        for process in self._processes:
            with suppress(BrokenPipeError):
                _pipe(process.stdin).close()
            _, status, usage = os.wait4(process.pid, 0)
            _pipe(process.stdout).close()
            process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds += usage.ru_utime + usage.ru_stime
            self.max_rss = max(self.max_rss, usage.ru_maxrss * KIBIBYTES)


def _start(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, cwd=directory, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise CannotMeasure("a process has no pipes")
    return pipe

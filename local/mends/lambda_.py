"""Mends of ministack's Lambda."""

import hashlib
import itertools
import json
import re
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import cloudwatch, lambda_svc

_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)


def errors_keep_their_type() -> None:
    """On AWS errorType is the name of the exception's class; ministack says Runtime.HandlerError.

    The workflows retry and catch by that name: without the mend a refusal would look like a fault.
    """
    execute = lambda_svc._execute_function_warm

    def execute_function_warm(func: Any, event: Any, request_id: str) -> Any:
        result = execute(func, event, request_id)
        body = result.get("body")
        if (
            result.get("error")
            and isinstance(body, dict)
            and body.get("errorType") == "Runtime.HandlerError"
            and (raised := _exception_name(result.get("log") or ""))
        ):
            body["errorType"] = raised
        return result

    lambda_svc._execute_function_warm = execute_function_warm


def _exception_name(log: str) -> str | None:
    """The class named by the first line after the last traceback's frames, which are indented."""
    _, traceback, last = log.rpartition(_TRACEBACK)
    found = _EXCEPTION.search(last) if traceback else None
    return found[1].rpartition(".")[2] if found else None


def emf_logs_become_metrics() -> None:
    """On AWS a log line in the embedded metric format becomes metrics; in ministack it stays a line.

    The alarms and the functions' own metrics (Powertools) have no other way to CloudWatch.
    """
    emit = lambda_svc._emit_lambda_logs

    def emit_lambda_logs(func: Any, request_id: str, text: str, *rest: Any, **more: Any) -> Any:
        lines = [json.loads(line) for line in (text or "").splitlines() if _is_emf(line)]
        for line in lines:
            for directive in line["_aws"]["CloudWatchMetrics"]:
                _store_metrics(directive, line)
        if lines:
            cloudwatch._evaluate_all_alarms()
        return emit(func, request_id, text, *rest, **more)

    lambda_svc._emit_lambda_logs = emit_lambda_logs


def _is_emf(line: str) -> bool:
    return line.startswith("{") and '"_aws"' in line and line.rstrip().endswith("}")


def _store_metrics(directive: dict[str, Any], line: dict[str, Any]) -> None:
    for names, metric in itertools.product(directive["Dimensions"], directive["Metrics"]):
        dimensions = {name: str(line[name]) for name in names}
        for value in _values(line[metric["Name"]]):
            cloudwatch._store_datum(
                directive["Namespace"],
                metric["Name"],
                dimensions,
                time.time(),
                metric.get("Unit", "None"),
                value,
                None,
                None,
                None,
            )


def _values(value: Any) -> Iterator[float]:
    yield from value if isinstance(value, list) else [value]


def handlers_share_their_unpacked_asset() -> None:
    """AWS unpacks a function's asset before it is needed; ministack unpacks and compiles it anew for each
    of its worker processes, and starts another one after every error.

    With RWM's asset that is most of a second each, and a Distributed Map starts dozens at once on a
    machine of two cores. The files are shared, as in /var/task, and their compiled forms with them.
    """
    # Only that module's name for zipfile is replaced.
    lambda_runtime.zipfile = SimpleNamespace(ZipFile=_SharingZipFile, BadZipFile=zipfile.BadZipFile)


class _SharingZipFile(zipfile.ZipFile):
    """Unpacks each archive once, and from then on only links to that directory."""

    _unpacking = threading.Lock()

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        target = Path(path)
        if target.name != "code" or self.filename is None:
            super().extractall(path, members, pwd)
            return
        with Path(self.filename).open("rb") as archive:
            digest = hashlib.file_digest(archive, "sha256").hexdigest()
        shared = Path(tempfile.gettempdir()) / "assets" / digest
        with self._unpacking:
            if not shared.exists():
                partial = shared.with_suffix(".partial")
                super().extractall(partial, members, pwd)
                partial.rename(shared)
        target.rmdir()
        target.symlink_to(shared, target_is_directory=True)


MENDS = (errors_keep_their_type, emf_logs_become_metrics, handlers_share_their_unpacked_asset)

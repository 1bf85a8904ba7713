"""`python -m bench.restoring_child`: a child of the restore's Distributed Map, as Lambda keeps it warm.

Calls the copy step's own handler with each event that it is given, a line of JSON, and says what the handler answered.
"""

import json
import os
import sys
from types import SimpleNamespace
from typing import Any, TextIO

CONTEXT: Any = SimpleNamespace(
    function_name="rwm-copy-batch",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:rwm-copy-batch",
    aws_request_id="bench",
)


def _answers() -> TextIO:
    """Where this process answers. Logs and metrics, which a function prints, go nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def main() -> int:
    answers = _answers()
    from functions.restore.copy import handler

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(handler(json.loads(line), CONTEXT)), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

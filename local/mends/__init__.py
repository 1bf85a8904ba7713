"""What ministack 1.5.33 does otherwise than AWS, mended where RWM relies on it.

One module for each service. A mend is a function without arguments that replaces one or more of
ministack's private functions, once, before the server starts. Its docstring says what AWS does, what
ministack does, and why RWM relies on the difference. Each has a test in tests/local/test_mends.py
that fails without it (`RWM_LONG=1` proves that too).

Private functions change without notice, so the version is asserted. To move to another one, read
each replaced function again and run the tests with each mend left out: some may not be needed.
"""

from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version

MINISTACK_VERSION = "1.5.33"

Mend = Callable[[], None]


class WrongMinistack(RuntimeError):
    """The installed ministack is not the one the mends were written for."""


def all_mends() -> Mapping[str, Mend]:
    """Every mend by name, in the order in which they are applied."""
    from local.mends import (
        cloudformation,
        dynamodb,
        iam,
        lambda_,
        s3,
        scheduler,
        sqs,
        stepfunctions,
        sts,
    )

    services = (iam, sts, s3, sqs, dynamodb, lambda_, stepfunctions, scheduler, cloudformation)
    return {mend.__name__: mend for service in services for mend in service.MENDS}


def apply_mends(without: Collection[str] = ()) -> list[str]:
    """Apply every mend but those named, and return the names of the applied ones.

    Raises WrongMinistack when another version of ministack is installed; nothing was mended then.
    """
    installed = version("ministack")
    if installed != MINISTACK_VERSION:
        raise WrongMinistack(
            f"ministack {installed} is installed, the mends are for {MINISTACK_VERSION}; nothing was "
            "started. Install local/requirements.txt into local/.venv."
        )
    mends = all_mends()
    if unknown := set(without) - set(mends):
        raise ValueError(f"no such mend: {', '.join(sorted(unknown))}; there are: {', '.join(mends)}")
    applied = [name for name in mends if name not in without]
    for name in applied:
        mends[name]()
    return applied

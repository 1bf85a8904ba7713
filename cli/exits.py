"""How `rwm` ends: its exit codes, and the errors that carry one.

Every error is a sentence that says what did not happen and what to do next.
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    DONE = 0
    """Done and clean."""
    FAILED = 1
    REFUSED = 2
    """Nothing was written."""
    WAITING = 3
    """A HOLD, an approval, or work that is not finished yet."""
    FAIL = 4
    """Something is damaged, or a check says FAIL."""


class Stop(Exception):
    """The command ends here; its message is for the person who typed it."""

    code: ClassVar[ExitCode]


class Failed(Stop):
    """It was tried and did not work."""

    code = ExitCode.FAILED


class Refused(Stop):
    """Nothing was written."""

    code = ExitCode.REFUSED


class Waiting(Stop):
    """It is not finished; something else has to happen first."""

    code = ExitCode.WAITING


class Damaged(Stop):
    """What was asked for is not what it should be."""

    code = ExitCode.FAIL

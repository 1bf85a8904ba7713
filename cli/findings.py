"""A finding as a plan and a report of locks tell it: without its keys, which `rwm check` has."""

from typing import Self

from functions.domain.documents import Instant, Part
from functions.domain.values import Severity
from functions.domain.verdict import SeenFinding


class ToldFinding(Part):
    id: str
    severity: Severity
    since: Instant
    what: str
    remedy: str
    keys: int
    """How many keys it speaks of."""

    @classmethod
    def of(cls, finding: SeenFinding) -> Self:
        return cls.model_validate(finding.model_dump(include=set(cls.model_fields)))

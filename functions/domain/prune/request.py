"""What every step of a prune is asked by the workflow."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError

from functions.domain.documents import Part, wrong_fields
from functions.domain.prune.validity import PruneRefused
from functions.domain.verdict import BY_RECORD


def _not_record(execution: str) -> str:
    """Verdicts are known by the execution that gave them, and record's own must not pass for a prune's check."""
    if execution == BY_RECORD:
        raise ValueError("a prune cannot have this name")
    return execution


class PruneRequest(Part):
    """Which repository, and in which execution."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$"), AfterValidator(_not_record)]

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises PruneRefused naming each wrong field, and quoting none."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = wrong_fields(error)
        raise PruneRefused(f"the request is malformed ({wrong}); nothing was planned and nothing was deleted")

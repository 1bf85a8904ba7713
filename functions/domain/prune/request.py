"""What every step of a prune is asked by the workflow."""

from typing import Annotated, Self

from pydantic import Field, ValidationError

from functions.domain.documents import Part, wrong_fields
from functions.domain.prune.validity import PruneRefused


class PruneRequest(Part):
    """Which repository, and in which execution."""

    repository: Annotated[str, Field(min_length=1, max_length=64)]
    execution: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+=@!-]{0,79}$")]

    @classmethod
    def read(cls, event: object) -> Self:
        """Raises PruneRefused naming each wrong field, and quoting none."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = wrong_fields(error)
        raise PruneRefused(f"the request is malformed ({wrong}); nothing was planned and nothing was deleted")

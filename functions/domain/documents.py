"""What RWM writes down and later trusts: canonical bytes, named by their digest, with a `format`.

Every stored header, head and plan is a `Document`. Its canonical bytes are JSON with sorted keys and no
white space, so the same values always have the same digest.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from functions.domain.values import Digest, from_zulu, whole_second, zulu


class UnreadableDocument(Exception):
    """Stored bytes that are not what they should be: nothing that depends on them may be decided."""


def _instant(value: Any) -> datetime:
    return whole_second(value) if isinstance(value, datetime) else from_zulu(str(value))


Instant = Annotated[datetime, BeforeValidator(_instant), PlainSerializer(zulu)]
"""S3's clock in whole seconds, written as `2026-11-21T23:25:47Z`."""


def wrong_fields(error: ValidationError) -> str:
    """Each field of a request that is wrong, and why; quotes none of their values."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'the request'}: {each['msg']}" for each in error.errors(include_url=False)
    )


class Part(BaseModel):
    """Part of a document: frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(Part):
    """A whole stored document, named by the digest of its canonical bytes."""

    KIND: ClassVar[str]
    """Feeds the digest first, so that no header can ever pass for a plan."""
    FORMATS: ClassVar[Mapping[int, frozenset[str]]] = {1: frozenset()}
    """By each format that is read: the fields that it does not have, which are None then."""

    @property
    def format(self) -> int:
        """The first of FORMATS that has a place for all that is there: what was written in one stays in it."""
        return next(
            form for form, without in self.FORMATS.items() if all(getattr(self, field) is None for field in without)
        )

    def canonical(self) -> bytes:
        """The bytes that are stored and that the digest covers."""
        form = self.format
        content = {"format": form, **self.model_dump(mode="json", exclude=set(self.FORMATS[form]))}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def digest(self) -> Digest:
        return Digest(hashlib.sha256(f"rwm {self.KIND} {self.format}\0".encode() + self.canonical()).hexdigest())

    @classmethod
    def parse(cls, stored: bytes) -> Self:
        """Read canonical bytes back.

        Raises UnreadableDocument for other JSON, an unknown format, or bytes that are not canonical: their
        digest would not be the one that named them.
        """
        try:
            content = json.loads(stored)
        except ValueError as error:
            raise UnreadableDocument(f"a stored {cls.KIND} is not JSON: {error}") from error
        found = content.pop("format", None) if isinstance(content, dict) else None
        # A bool is an int, and a list is no key of a dictionary.
        if type(found) is not int or found not in cls.FORMATS:
            raise UnreadableDocument(
                f"a stored {cls.KIND} has format {found!r} and this version of RWM reads "
                f"{' and '.join(map(str, cls.FORMATS))}; nothing was decided; use a newer version"
            )
        try:
            document = cls.model_validate(content)
        except ValidationError as error:
            raise UnreadableDocument(f"a stored {cls.KIND} is malformed: {error}") from error
        if document.canonical() != stored:
            raise UnreadableDocument(f"a stored {cls.KIND} is not in canonical form")
        return document

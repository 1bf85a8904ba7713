"""Asking again where a connection broke while bytes came: botocore's own retries end when the answer begins."""

import time
from collections.abc import Callable

from botocore.exceptions import HTTPClientError, IncompleteReadError

from functions.domain.structure.reading import RangedReader
from functions.domain.values import ObjectKey, VersionId

_PAUSES = (1.0, 4.0)
"""Seconds. Among the hundred thousand reads of one check a connection breaks now and then, and means nothing."""


class PatientReader:
    """RangedReader over another one."""

    def __init__(self, reader: RangedReader, pause: Callable[[float], None] = time.sleep) -> None:
        self._reader = reader
        self._pause = pause

    def read_range(self, key: ObjectKey, version_id: VersionId, offset: int, length: int) -> bytes:
        """Raises botocore's error when the connection breaks a third time, and all that the reader raises."""
        for seconds in _PAUSES:
            try:
                return self._reader.read_range(key, version_id, offset, length)
            except (HTTPClientError, IncompleteReadError):
                self._pause(seconds)
        return self._reader.read_range(key, version_id, offset, length)

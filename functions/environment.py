"""What every function is told by its environment."""

import os
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

RESTORE_THREADS = 16
"""A copy is all waiting: 16 at a time in each of many children is as much as a prefix of S3 likes."""


class Environment(BaseModel):
    """Names of tables, bucket and topic, set by infra. A missing one stops the function at its first call, by name."""

    model_config = ConfigDict(frozen=True)

    ledger: str = Field(alias="RWM_LEDGER", min_length=1)
    operations: str = Field(alias="RWM_OPERATIONS", min_length=1)
    records: str = Field(alias="RWM_RECORDS", min_length=1)
    alerts: str = Field(alias="RWM_ALERTS", min_length=1)
    """ARN of the SNS topic."""
    restore_threads: int = Field(alias="RWM_RESTORE_THREADS", default=RESTORE_THREADS, ge=1, le=64)
    """Objects that one child of a restore copies at once."""

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        return cls.model_validate({name: variables[name] for name in variables if name.startswith("RWM_")})

"""`rwm cost`: what a repository costs in a month, and what a restore of it would. Estimates, by list prices.

It reads the two tables, as the page does, and tells the same: functions/domain/cost.py.
"""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cli.deployment import Deployment
from cli.exits import Damaged, Refused, Waiting
from cli.reporting import ports_of
from functions.domain.cost import (
    PRICES,
    Estimate,
    PackSaving,
    Prices,
    Usage,
    estimate,
    saving,
    usage_of,
)
from functions.domain.documents import Instant, Part, wrong_fields
from functions.domain.pack_size import TARGETS, PackAdvice, advise
from functions.domain.page.gather import gather
from functions.domain.page.making import noncurrent_bytes
from functions.domain.values import RepositoryName

UNDONE = "nothing was estimated"


class Cost(Part):
    """All of it, as `--json` prints it."""

    repository: RepositoryName
    made_at: Instant
    month: float
    """US dollars, without what is unknown."""
    to_bucket: float
    """A restore of all of the newest state into a bucket, and the copy for a month."""
    to_directory: float
    """The same to a directory outside AWS."""
    estimate: Estimate
    usage: Usage
    """What it was computed from."""
    packs: PackAdvice
    savings: tuple[PackSaving, ...]
    """Of larger packs than there are."""


def cost(deployment: Deployment, name: str, prices: Prices, now: datetime) -> Cost:
    """Raises Refused, Damaged, UnreadableDocument; Waiting where nothing is recorded yet."""
    deployed = deployment.repositories()
    repository = deployment.repository(name)
    known = gather(repository, ports_of(deployment), needs=False)
    if known.trouble:
        raise Damaged(f"{known.trouble}; {UNDONE}")
    if not known.chain:
        raise Waiting(f"{name} has no recorded state yet; publish an event or run `rwm record {name}`")
    if known.survey is None:
        raise Damaged(f"{known.unread}; {UNDONE}")
    headers = [header for header, _ in known.chain]
    usage = usage_of(repository, headers, known.survey, noncurrent_bytes(known), now, len(deployed))
    found = estimate(usage, prices)
    advice = advise(usage.packs, usage.pack_bytes)
    larger = [target for target in TARGETS if target << 20 > advice.average]
    return Cost(
        repository=repository.repository,
        made_at=now,
        month=round(found.total, 4),
        to_bucket=round(found.restoring("bucket"), 4),
        to_directory=round(found.restoring("directory"), 4),
        estimate=found,
        usage=usage,
        packs=advice,
        savings=tuple(saving(usage, target, prices) for target in larger) if advice.verdict != "few" else (),
    )


def read_prices(file: Path | None) -> Prices:
    """The table, with what a TOML file says instead of it. Raises Refused."""
    if file is None:
        return PRICES
    try:
        theirs = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(f"{file} cannot be read ({error}); {UNDONE}") from error
    try:
        return Prices.model_validate(_over(PRICES.model_dump(mode="python"), theirs))
    except ValidationError as error:
        raise Refused(f"{file}: {wrong_fields(error)}; {UNDONE}; docs/cost.md names the prices") from error


def _over(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """`ours`, with what `theirs` has in its place, table by table."""
    made = dict(ours)
    for name, value in theirs.items():
        known = made.get(name)
        made[name] = _over(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return made

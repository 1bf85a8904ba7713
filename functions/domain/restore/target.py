"""What keeps a restore from beginning: objects that S3 cannot copy, and a target that holds anything else."""

from collections.abc import Iterable, Sequence

from functions.domain.restore.request import Location, RestoreRefused
from functions.domain.values import ObjectKey, ObjectVersion

LARGEST_COPY = 5 << 30
"""S3 copies no more in one call."""
LONGEST_KEY = 1024
"""Bytes of a key, as S3 bounds it."""
ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Bytes in these must be thawed before they can be copied."""


_EXAMPLES = 5


def check_copyable(versions: Sequence[ObjectVersion], target: Location) -> None:
    """Raises RestoreRefused where S3 could not copy an object of the state to its key in the target."""
    _refuse_if_any(
        [f"{each.key} ({each.size} bytes)" for each in versions if each.size > LARGEST_COPY],
        "over 5 GiB, which S3 does not copy in one call",
        "copy them by hand with their version ids",
    )
    _refuse_if_any(
        [f"{each.key} ({each.storage_class})" for each in versions if each.storage_class in ARCHIVE_CLASSES],
        "in an archive class, which cannot be copied before it is thawed",
        "restore these versions with S3's RestoreObject first",
    )
    _refuse_if_any(
        [repr(each.key) for each in versions if not _fits(target.key_prefix + each.key)],
        f"without a possible key under {target}: a key has 1 to {LONGEST_KEY} bytes",
        "choose another prefix",
    )


def _fits(key: str) -> bool:
    return 1 <= len(key.encode()) <= LONGEST_KEY


def _refuse_if_any(found: Sequence[str], what: str, remedy: str) -> None:
    if found:
        raise RestoreRefused(
            f"{len(found)} object(s) of the state are {what}: {_some(found)}; nothing was written; {remedy}"
        )


def _some(found: Sequence[str]) -> str:
    more = f" and {len(found) - _EXAMPLES} more" if len(found) > _EXAMPLES else ""
    return ", ".join(found[:_EXAMPLES]) + more


def already_there(
    versions: Sequence[ObjectVersion], listed: Iterable[tuple[ObjectKey, int]], target: Location
) -> tuple[ObjectVersion, ...]:
    """The state's objects that the target seems to hold already, by key and size: their bytes are yet to be seen.

    Raises RestoreRefused when the target holds any other key, or another size under one of these.
    """
    by_key = {version.key: version for version in versions}
    there: list[ObjectVersion] = []
    strange: list[str] = []
    for key, size in listed:
        version = by_key.get(key)
        if version is None:
            strange.append(repr(key))
        elif version.size != size:
            strange.append(f"{key!r} ({size} bytes, in the state {version.size})")
        else:
            there.append(version)
    refuse_strangers(strange, target)
    return tuple(there)


def refuse_strangers(strange: Sequence[str], target: Location) -> None:
    """Raises RestoreRefused if there is any: the target holds what this state does not."""
    if strange:
        raise RestoreRefused(
            f"{target} holds {len(strange)} object(s) that are not part of this state: {_some(strange)}; "
            "nothing was written; name an empty target, or the one where a restore of this state was begun"
        )

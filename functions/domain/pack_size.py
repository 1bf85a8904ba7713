"""What size of restic's packs suits a repository.

restic puts its blobs into packs of about 16 MiB; `--pack-size` (or RESTIC_PACK_SIZE) sets another target, of 4 to
128 MiB. Its documentation advises larger packs for very large repositories, "in the TiB range", and names the price:
room for temporary files on the host, of the pack size for each connection and one more.
(https://restic.readthedocs.io/en/stable/047_tuning_backup_parameters.html)

The rule here: no more than MOST_PACKS packs, which at 16 MiB are 1.5 TiB. Where there are more, the smallest target
that needs no more, or the largest there is. Where packs are on average less than a quarter of what restic aims at,
which many small backups make them, the default target and a repack. RWM asks S3 about each version again and again, so
that what it costs to look after a repository goes with the number of its packs, not with its bytes.
"""

from typing import Literal

from functions.domain.documents import Part

MIB = 1 << 20
DEFAULT = 16
"""MiB that restic aims at unless it is told otherwise."""
TARGETS = (32, 64, 128)
"""MiB that are worth a change; 128 is the most that restic takes."""
MOST_PACKS = 100_000
FEW = 1_000
"""Of so few packs the average says nothing."""
CONNECTIONS = 5
"""That restic has to S3 unless it is told otherwise."""


class PackAdvice(Part):
    """What there is, and what would be better."""

    packs: int
    average: int
    """Bytes."""
    verdict: Literal["few", "good", "larger", "small"]
    """`few`: nothing can be said; `larger`: a larger target is worth it; `small`: packs are much smaller than what
    restic aims at by default, which a repack mends."""
    target: int | None
    """MiB for `--pack-size`; None: as it is."""
    packs_then: int | None
    """About how many there were, if all were of that size."""
    room: int | None
    """Bytes that restic then needs for temporary files on the host."""


def advise(packs: int, total: int) -> PackAdvice:
    """`packs` of `total` bytes."""
    average = total // packs if packs else 0
    if packs < FEW:
        return PackAdvice(packs=packs, average=average, verdict="few", target=None, packs_then=None, room=None)
    if packs > MOST_PACKS and total > MOST_PACKS * DEFAULT * MIB:
        target = next((each for each in TARGETS if total <= MOST_PACKS * each * MIB), TARGETS[-1])
        # What is nearly of that size would only be rewritten.
        if average * 4 < target * MIB * 3:
            return _change(packs, average, total, "larger", target)
    if average * 4 < DEFAULT * MIB:
        return _change(packs, average, total, "small", DEFAULT)
    return PackAdvice(packs=packs, average=average, verdict="good", target=None, packs_then=None, room=None)


def _change(packs: int, average: int, total: int, verdict: Literal["larger", "small"], target: int) -> PackAdvice:
    return PackAdvice(
        packs=packs,
        average=average,
        verdict=verdict,
        target=target,
        packs_then=min(packs, -(-total // (target * MIB))),
        room=target * MIB * (CONNECTIONS + 1),
    )

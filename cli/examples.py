"""What to type: the examples that each command's `--help` ends with. A test types them all."""

from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[str]] = {
    "connect": (
        "rwm connect alpha",
        "rwm connect alpha --create-key",
        "rwm connect alpha --maintenance --create-key",
    ),
    "disconnect": ("rwm disconnect alpha", "rwm disconnect alpha --maintenance --yes"),
    "repositories": ("rwm repositories", "rwm repositories --json"),
    "record": ("rwm record alpha",),
    "states": ("rwm states alpha", "rwm states alpha --limit 100 --json"),
    "state": ("rwm state alpha latest", "rwm state alpha 3cf3a635", "rwm state alpha 2026-11-21T23:25Z"),
    "diff": ("rwm diff alpha last-good latest", "rwm diff alpha 2026-11-20 2026-11-21 --all"),
    "timeline": ("rwm timeline alpha", "rwm timeline alpha --limit 365"),
    "hold": ('rwm hold alpha last-good --why "the police wants it"',),
    "release": ("rwm release alpha 3cf3a635",),
    "locks": ("rwm locks alpha",),
    "ledger": ("rwm ledger verify alpha",),
    "ledger verify": ("rwm ledger verify alpha",),
    "check": (
        "rwm check alpha",
        "rwm check alpha last-good --level content",
        "rwm check alpha --level posture",
        "rwm check alpha 3cf3a635 --level complete --in-bucket rwm-restore-1",
    ),
    "acknowledge": ("rwm acknowledge alpha pack-overwritten", "rwm acknowledge alpha pack-overwritten --all"),
    "prune": ("rwm prune alpha --dry-run", "rwm prune alpha", "rwm prune alpha --wait"),
    "prunes": ("rwm prunes alpha",),
    "plans": ("rwm plans", "rwm plans alpha --limit 50"),
    "plan": ("rwm plan 4b1f09aa", "rwm plan 4b1f09aa --entries"),
    "approve": ("rwm approve 4b1f09aa",),
    "reject": ("rwm reject 4b1f09aa",),
    "restore": (
        "rwm restore alpha last-good --to-bucket rwm-restore-1",
        "rwm restore alpha latest --to-directory /mnt/alpha --limit-rate 20M",
        "rwm restore alpha 2026-11-20 --to-bucket rwm-restore-1 --dry-run",
        "rwm restore alpha last-good --in-place",
    ),
    "restores": ("rwm restores alpha",),
    "drill": ("rwm drill alpha", "rwm drill alpha --list"),
    "quarantine": ("rwm quarantine alpha",),
    "unquarantine": ("rwm unquarantine alpha",),
    "dead-letters": (
        "rwm dead-letters",
        "rwm dead-letters alpha --replay",
        "rwm dead-letters --discard --limit 1000",
    ),
    "why": ("rwm why alpha 9b1d6f0a", "rwm why alpha config", "rwm why alpha keys/9b1d6f0a --json"),
    "version": ("rwm version",),
    "report": ("rwm report alpha --html alpha.html", "rwm report --all --html all.html"),
    "cost": ("rwm cost alpha", "rwm cost alpha --prices prices.toml"),
}
"""By the command's name; without one, `--help` has none."""


def epilog(name: str) -> str | None:
    """The end of the help of a command."""
    lines = EXAMPLES.get(name)
    return "\n".join(("Examples:", *(f"  {line}" for line in lines))) if lines else None

"""All rules of this level. None reads anything but its case, so `record` can run them on every event.

A case costs one listing; what each finding means to a person is in docs/findings.md.
"""

from collections.abc import Callable, Iterable

from functions.domain.consistent import amounts, attributes, history, layout
from functions.domain.consistent.case import Case
from functions.domain.findings import FindingId
from functions.domain.values import Finding, Severity

Rule = Callable[[Case], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    layout.empty_repository,
    layout.not_a_restic_repository,
    layout.legacy_layout,
    layout.several_repositories,
    layout.config_missing,
    layout.malformed_name,
    layout.alien_key,
    layout.impossible_size,
    attributes.null_version,
    attributes.flooded_key,
    attributes.multipart_etag,
    attributes.storage_class_changed,
    attributes.busy_too_long,
    attributes.stale_lock,
    history.pack_overwritten,
    history.config_changed,
    history.host_hid_objects,
    history.key_file_removed,
    history.key_file_added,
    history.snapshot_removed_too_young,
    history.pinned_version_gone,
    history.backdated_version,
    amounts.snapshots_dropped,
    amounts.data_dropped,
    amounts.old_data_dropped,
    amounts.growth,
    amounts.no_new_snapshot,
)

NEED_THE_LEDGER = frozenset({FindingId.PINNED_VERSION_GONE, FindingId.BACKDATED_VERSION, FindingId.STATE_DAMAGED})
"""Made only by who reads the entries of kept states: a check, and not record."""

_ORDER = {Severity.FAIL: 0, Severity.HOLD: 1, Severity.NOTE: 2}


def judge(case: Case) -> tuple[Finding, ...]:
    """Everything that this level finds, the worst first."""
    found = [finding for rule in RULES for finding in rule(case)]
    return tuple(sorted(found, key=lambda finding: (_ORDER[finding.severity], finding.id)))

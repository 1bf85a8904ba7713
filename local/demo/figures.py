"""build/demo.json, derived from the raw records and nothing else."""

import json
from pathlib import Path
from typing import Any

from local.demo.evidence import DemoFailed, Evidence


def write_figures(evidence: Evidence, path: Path, seconds: float) -> dict[str, Any]:
    """Derive the figures from the records on disk, check that they are what is promised, and write them."""
    denials = evidence.read("denials")
    restores = evidence.answers("rwm restore")
    first = restores[0]
    diffs = [record for record in evidence.read("commands") if record["command"][0] == "diff"]
    listed = evidence.answers("rwm states")
    checks = evidence.answers("rwm check")
    before, attacked, copy = (answer for answer in checks if answer["repository"] == "alpha")
    (beta,) = (answer for answer in checks if answer["repository"] == "beta")
    figures: dict[str, Any] = {
        "seconds": {record["step"]: record["seconds"] for record in evidence.read("steps")},
        "total_seconds": round(seconds, 1),
        "states": {
            name: max(len(answer["states"]) for answer in listed if answer["repository"] == name)
            for name in sorted({answer["repository"] for answer in listed})
        },
        "host_denied": sorted({record["action"] for record in denials}),
        "denials": len(denials),
        "hides_refused": evidence.answers("refused hides")[0],
        "damage": evidence.answers("damage")[0],
        "checked_before": before["claim"],
        "alerts": evidence.answers("alerts")[0],
        "findings": sorted({finding["id"] for finding in attacked["findings"]}),
        "findings_of_beta": sorted({finding["id"] for finding in beta["findings"]}),
        "restored_objects": first["objects"],
        "restored_bytes": first["bytes"],
        "proven_objects": first["proven"],
        "copied_again": restores[1]["copied"],
        "checked_copy": copy["claim"],
        "restored_identical": bool(diffs) and all(record["exit_code"] == 0 for record in diffs),
        "versions": json.loads((evidence.directory / "versions.json").read_text()),
    }
    _check(figures, denials)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def _check(figures: dict[str, Any], denials: list[dict[str, Any]]) -> None:
    nameless = [record for record in denials if not record["request_id"]]
    promises = {
        "every denial has the server's request id": not nameless,
        "some object was restored": figures["restored_objects"] > 0,
        "every restored object is proven": figures["proven_objects"] == figures["restored_objects"],
        "a second restore copies nothing": figures["copied_again"] == 0,
        "the restored source is identical": figures["restored_identical"],
        "alpha was complete before the attack": figures["checked_before"] == "complete",
        "the restored copy is complete": figures["checked_copy"] == "complete",
        "the attack is named": {"pack-overwritten", "key-file-removed"} <= set(figures["findings"]),
        "one message was sent": len(figures["alerts"]) == 1,
        "beta has no finding": not figures["findings_of_beta"],
        "every hide on beta was refused": figures["hides_refused"] > 0,
        "the attack on alpha did damage": figures["damage"]["hidden"] > 0 and figures["damage"]["overwritten"] > 0,
    }
    broken = [promise for promise, kept in promises.items() if not kept]
    if broken:
        raise DemoFailed(f"not so: {'; '.join(broken)}")

"""build/demo.json, derived from the raw records and nothing else."""

import json
from pathlib import Path
from typing import Any

from local.demo.evidence import DemoFailed, Evidence

DIFFS = 2
"""Of alpha's last good state, and of beta's oldest kept one."""
MEGABYTES = 2_000_000
REPORTED = {
    "dropped_states": "dropped_states",
    "pruned_versions": "versions",
    "pruned_markers": "markers",
    "reclaimed_bytes": "bytes",
    "kept_states": "kept_states",
    "kept_states_whole": "kept_states_whole",
}
"""What the prune's report calls what was counted here."""


def write_figures(evidence: Evidence, path: Path, seconds: float) -> dict[str, Any]:
    """Derive the figures from the records on disk, check that they are what is promised, and write them."""
    denials = evidence.read("denials")
    # Neither what was refused nor the dry run has an outcome.
    restores = [answer for answer in evidence.answers("rwm restore") if "outcome" in answer]
    of_alpha = [answer for answer in restores if answer["repository"] == "alpha"]
    first = of_alpha[0]
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
        "host_denied": sorted({record["action"] for record in denials if record["profile"].startswith("host-")}),
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
        "copied_again": of_alpha[1]["copied"],
        "checked_copy": copy["claim"],
        "restored_identical": len(diffs) == DIFFS and all(record["exit_code"] == 0 for record in diffs),
        **_of_the_prune(evidence, denials),
        "versions": json.loads((evidence.directory / "versions.json").read_text()),
    }
    _check(figures, denials, evidence.answers("rwm prunes")[-1]["prunes"][0])
    path.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def _of_the_prune(evidence: Evidence, denials: list[dict[str, Any]]) -> dict[str, Any]:
    """From what S3 listed before and after, and from restoring; not from what the prune says of itself."""
    before, after = evidence.answers("listing")
    left = {tuple(which) for *which, _ in after["versions"]}
    gone = [(key, size) for key, version_id, size in before["versions"] if (key, version_id) not in left]
    states = [answer for answer in evidence.answers("rwm states") if answer["repository"] == "beta"][-1]["states"]
    kept = {state["id"]: state["objects"] for state in states if state["dropped"] is None}
    restores = [answer for answer in evidence.answers("rwm restore") if answer.get("repository") == "beta"]
    whole = {
        each["state"]
        for each in restores
        if each["outcome"] == "restored" and each["proven"] == each["objects"] == kept.get(each["state"])
    }
    (operator,) = (record for record in denials if record["profile"] == "operator")
    return {
        "prune_held_for": sorted({finding["id"] for finding in evidence.answers("rwm plan")[-1]["findings"]}),
        "prune_decided": evidence.answers("rwm approve")[-1]["outcome"],
        "operator_denied": {operator["action"]: operator["code"]},
        "dropped_states": len(states) - len(kept),
        "pruned_versions": len(gone),
        "pruned_packs": sum("/data/" in key for key, _ in gone),
        "pruned_markers": len(before["markers"]) - len(after["markers"]),
        "reclaimed_bytes": sum(size for _, size in gone),
        "kept_states": len(kept),
        "kept_states_whole": len(whole),
    }


def _check(figures: dict[str, Any], denials: list[dict[str, Any]], reported: dict[str, Any]) -> None:
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
        "a person approved the prune": bool(figures["prune_held_for"]) and figures["prune_decided"] == "approved",
        "megabytes of packs are gone": figures["pruned_packs"] > 0 and figures["reclaimed_bytes"] > MEGABYTES,
        "every kept state is whole": 0 < figures["kept_states_whole"] == figures["kept_states"],
        "the prune's report agrees": all(figures[name] == reported[its] for name, its in REPORTED.items()),
    }
    broken = [promise for promise, kept in promises.items() if not kept]
    if broken:
        raise DemoFailed(f"not so: {'; '.join(broken)}")

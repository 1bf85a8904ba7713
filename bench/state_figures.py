"""The figures of states, from their records."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.raw import Record

SIZE, PEERS_SIZE = 1_000_000, 200_000
"""Objects; peers get fewer, since they take so long."""
_DONE = {"encode": "encode", "decode": "decode", "diff": "diff", "read": "read", "objects": "read_objects"}
"""What is measured, and what its figure is called."""


def figures(records: Sequence[Record]) -> Mapping[str, Any]:
    """`state.*`; what was not measured is left out. CPU seconds are of the work alone, for a million objects."""
    found: dict[str, Any] = {}
    for record in records:
        if record.subject == "written" and record.what["objects"] == SIZE:
            found |= _written(record.said)
    found |= _taken(records)
    if records:
        found["state.load"] = max(record.load for record in records)
        found["state.versions"] = dict(records[0].versions)
    return found


def _written(said: Mapping[str, Any]) -> Mapping[str, Any]:
    recorded, others = said["recorded"], said["others"]
    base, delta, same = (recorded[kind] for kind in ("base", "delta", "same"))
    units: Mapping[str, int] = delta["write_units"]
    return {
        "state.bytes_per_entry": round(base["chunk_bytes"] / base["objects"], 2),
        "state.bytes_per_entry_json_gzip": round(others["json_gzip_bytes"] / delta["objects"], 2),
        "state.wru_1000_into_1m": sum(units.values()),
        "state.wru_of_chunks": units["Put chunk"],
        "state.wru_json_gzip": others["json_gzip_write_units"],
        "state.wru_item_per_object": others["item_per_object_write_units"],
        "state.wru_unchanged": sum(same["write_units"].values()),
        "state.wru_base_1m": sum(base["write_units"].values()),
        "state.rru_1000_into_1m": sum(delta["read_units"].values()),
        "state.added": others["added"],
    }


def _taken(records: Sequence[Record]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for done, name in _DONE.items():
        ours, of_few, theirs = (
            _per_million(records, subject, size, done)
            for subject, size in (("rwm", SIZE), ("rwm", PEERS_SIZE), ("json_gzip", PEERS_SIZE))
        )
        if ours is not None:
            found[f"state.{name}_1m_cpu_s"] = round(ours, 2)
        if of_few is not None and theirs is not None:
            found[f"state.{name}_ratio_json_gzip"] = round(theirs / of_few, 2)
    whole = [each for each in records if each.subject == "rwm" and each.what["objects"] == SIZE]
    if whole:
        found["state.samples"] = len(whole)
    return found


def _per_million(records: Sequence[Record], subject: str, size: int, done: str) -> float | None:
    seconds = [
        record.said["taken"][done] / record.said["objects"] * 1e6
        for record in records
        if record.subject == subject and record.what["objects"] == size and done in record.said["taken"]
    ]
    return median(seconds) if seconds else None

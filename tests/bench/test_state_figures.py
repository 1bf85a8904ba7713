"""The figures of states and of recording follow from their records, and so do the units that DynamoDB charges for."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bench.figures import misses
from bench.raw import Record
from bench.recording import RECORDING
from bench.recording_figures import figures as recording_figures
from bench.state import STATE
from bench.state_figures import PEERS_SIZE, SIZE
from bench.state_figures import figures as state_figures
from bench.wru import Counted, item_bytes, write_units
from tests.tables import create_table


def run(subject: str, what: dict[str, Any], said: dict[str, Any], cpu: float = 1.0, rss: int = 0) -> Record:
    return Record(
        subject=subject,
        what=what,
        command=(subject,),
        seconds=cpu,
        cpu_seconds=cpu,
        max_rss=rss,
        versions={"python": "3.13"},
        load=0.5,
        said=said,
    )


def states(bytes_per_entry: float = 76, units: int = 75, read: float = 1.0) -> list[Record]:
    recorded = {
        "base": {
            "objects": SIZE - 1_000,
            "chunk_bytes": bytes_per_entry * (SIZE - 1_000),
            "write_units": {"Put chunk": 74_000},
        },
        "delta": {
            "objects": SIZE,
            "write_units": {"Put chunk": units, "Put head": 16},
            "read_units": {"Query": 6},
        },
        "same": {"write_units": {"Put head": 16}},
    }
    others = {
        "json_gzip_bytes": 104 * SIZE,
        "json_gzip_write_units": 99_000,
        "item_per_object_write_units": 1_000,
        "added": 1_000,
    }
    written = {"recorded": recorded, "others": others}
    found = [run("written", {"objects": SIZE}, written)]
    for factor in (0.5, 1, 3):
        whole = {"objects": SIZE, "taken": {"read": read * factor, "encode": 0.5 * factor}}
        few = {"objects": PEERS_SIZE, "taken": {"encode": 0.1 * factor}}
        theirs = {"objects": PEERS_SIZE, "taken": {"encode": 2.4 * factor}}
        found += [run("rwm", {"objects": SIZE}, whole), run("rwm", {"objects": PEERS_SIZE}, few)]
        found += [run("json_gzip", {"objects": PEERS_SIZE}, theirs)]
    return found


def test_a_state_is_counted_by_entry_and_timed_for_a_million() -> None:
    found = state_figures(states())
    assert (found["state.bytes_per_entry"], found["state.bytes_per_entry_json_gzip"]) == (76, 104)
    assert (found["state.wru_1000_into_1m"], found["state.wru_item_per_object"]) == (91, 1_000)
    assert (found["state.wru_unchanged"], found["state.wru_base_1m"]) == (16, 74_000)
    assert (found["state.read_1m_cpu_s"], found["state.encode_1m_cpu_s"]) == (1.0, 0.5)
    assert found["state.encode_ratio_json_gzip"] == 24.0
    assert found["state.samples"] == 3


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, []),
        ({"bytes_per_entry": 80.1}, ["state.bytes_per_entry: 80.1"]),
        ({"units": 105}, ["state.wru_1000_into_1m: 121"]),
        ({"read": 2.1}, ["state.read_1m_cpu_s: 2.1"]),
    ],
)
def test_a_states_target_is_missed_beyond_it(changed: dict[str, Any], missed: list[str]) -> None:
    found = misses(state_figures(states(**changed)), STATE.targets)
    assert [line.removeprefix("MISSED ").split(";")[0] for line in found] == missed
    assert len(misses({}, STATE.targets)) == 3


def recordings(cpu: float = 150, peak: int = 2_000_000_000, before: float = 1.0) -> list[Record]:
    def said(cpu: float) -> dict[str, Any]:
        each = {"cpu_seconds": cpu, "chunk_bytes": 76_000, "requests": {"ListObjectVersions": 10}}
        return {"recordings": [each]}

    large, small = {"versions": 10_000_000}, {"versions": 100}
    found = [run("rwm", large, said(cpu - 1), cpu * each, round(peak * each)) for each in (0.5, 1)]
    for factor in (0.9, 1, 2):
        found += [run("rwm", small, said(0.02 * factor), factor, 80_000_000)]
        found += [run("before", small, said(0.02 * before * factor), before * factor, 80_000_000)]
    return found


def test_of_large_recordings_the_worst_counts_and_of_small_ones_medians_beside_before() -> None:
    found = recording_figures(recordings(before=1.1))
    assert (found["record_10m.cpu_s"], found["record_10m.peak_mb"]) == (150, 2_000)
    assert found["record_10m.bytes_per_version"] == 192.0
    assert (found["record_100.cpu_ratio_before"], found["record_100.call_ratio_before"]) == (1.1, 1.1)
    assert (found["record_100.cpu_s"], found["record_100.call_ms"], found["record_100.samples"]) == (1, 20, 3)
    assert {name.split(".")[0] for name in found} <= {RECORDING.name, *RECORDING.beginnings}


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, []),
        ({"cpu": 201}, ["record_10m.cpu_s"]),
        ({"peak": 2_600_000_000}, ["record_10m.bytes_per_version"]),
        ({"before": 0.9}, ["record_100.cpu_ratio_before", "record_100.call_ratio_before"]),
    ],
)
def test_a_recordings_target_is_missed_beyond_it_and_not_when_it_was_not_measured(
    changed: dict[str, Any], missed: list[str]
) -> None:
    found = misses(recording_figures(recordings(**changed)), RECORDING.targets)
    assert [line.removeprefix("MISSED ").split(":")[0] for line in found] == missed
    assert misses({}, RECORDING.targets) == []


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"pk": {"S": "abc"}, "sk": {"S": "ü"}}, 9),
        ({"n": {"N": "12345"}}, 1 + 4),
        ({"n": {"N": "1000"}}, 1 + 2),
        ({"b": {"B": b"\0" * 300}}, 301),
        ({"f": {"BOOL": True}, "l": {"L": [{"S": "a"}]}, "m": {"M": {"k": {"S": "v"}}}}, 2 + 6 + 7),
        ({"s": {"SS": ["ab", "c"]}}, 4),
    ],
)
def test_an_item_is_as_large_as_its_names_and_values(item: dict[str, Any], size: int) -> None:
    assert item_bytes(item) == size


def test_a_write_takes_a_unit_for_each_kilobyte_begun() -> None:
    assert [write_units([size]) for size in (1, 1024, 1025, 102_400)] == [1, 1, 2, 100]


def test_units_are_counted_from_requests_twice_in_a_transaction_and_by_four_kilobytes_when_read() -> None:
    with mock_aws():
        client, plain = (
            boto3.client("dynamodb", "us-east-1", aws_access_key_id="k", aws_secret_access_key="s") for _ in range(2)
        )
        create_table(plain, "t")
        counts = Counted(client, plain)
        chunk: Any = {"pk": {"S": "chunk#1#0"}, "sk": {"S": "chunk"}}
        head: Any = {"pk": {"S": "alpha"}, "sk": {"S": "head"}}
        client.put_item(TableName="t", Item={**chunk, "content": {"B": b"x" * 5_000}})
        client.transact_write_items(TransactItems=[{"Put": {"TableName": "t", "Item": head}}])
        client.update_item(
            TableName="t", Key=chunk, UpdateExpression="SET a = :a", ExpressionAttributeValues={":a": {"S": "b"}}
        )
        assert counts.write == {"Put chunk": 5, "Put head": 2, "Update chunk": 5}
        client.get_item(TableName="t", Key=chunk, ConsistentRead=True)
        client.get_item(TableName="t", Key={**head, "sk": {"S": "absent"}}, ConsistentRead=True)
        assert counts.read == {"GetItem": 2 + 1}
        with pytest.raises(NotImplementedError, match="Scan is not counted"):
            client.scan(TableName="t")


def test_peers_are_as_short_as_was_promised() -> None:
    peers = list((Path(__file__).parents[2] / "bench" / "peers").glob("*.py"))
    assert len(peers) > 4
    assert max(len(path.read_text().splitlines()) for path in peers) <= 30

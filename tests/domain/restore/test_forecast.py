"""What a dry run says: counts of everything, names of a few, and few enough bytes for a workflow's state."""

import json
from itertools import pairwise

from functions.domain.columns import in_runs
from functions.domain.restore.forecast import NAMED_KEY_FILES, Forecast, foresee
from functions.domain.restore.plan import Choice, Wishes, draw_plan, planned_batches
from functions.domain.restore.request import Location
from functions.domain.restore.target import LARGEST_COPY, LARGEST_READ_BACK, Survey, part_size
from functions.domain.values import ObjectVersion
from tests.builders import named, pack, version
from tests.domain.restore.states import a_header

HERE = Location(bucket="rwm-restore-here", prefix="below")
STATE_BYTES = 256 << 10
"""What a workflow's state holds."""


def foreseen(entries: list[ObjectVersion], choice: Choice | None = None, *, there: int = 0) -> Forecast:
    entries = sorted(entries, key=lambda each: each.key)
    assert all(one.key != other.key for one, other in pairwise(entries))
    chosen, survey = choice or Choice(), Survey(HERE.key_prefix)
    blocks = [chosen.of(block) for block in in_runs(entries)]
    for block in blocks:
        survey.add(block)
    header = a_header(entries)
    plan = draw_plan(
        header,
        Location(bucket="protected"),
        HERE,
        batches=[batch for batch, _ in planned_batches(blocks)],
        survey=survey,
        choice=chosen,
        wishes=Wishes(thaw="Bulk"),
    )
    return foresee(header, plan, survey=survey, choice=chosen, there=there, compared=there)


def test_a_forecast_counts_objects_classes_and_requests() -> None:
    packs = [version(pack(f"{each}"), size=10) for each in range(1200)]
    told = foreseen([*packs, version("config", size=5, storage_class="GLACIER")], there=200)
    assert (told.objects, told.bytes, told.there, told.where) == (1201, 12_005, 200, "rwm-restore-here/below/")
    assert [(each.storage_class, each.objects, each.bytes) for each in told.classes] == [
        ("GLACIER", 1, 5),
        ("STANDARD", 1200, 12_000),
    ]
    assert (told.archived.objects, told.archived.bytes, told.thaw) == (1, 5, "Bulk")
    assert told.requests == {
        "ListObjectsV2": 1 + 3 + 2,
        "HeadObject": 400,
        "CopyObject": 1001,
        "GetObject": 1 + 3 * 3,
        "PutObject": 2 * 3 + 3,
        "RestoreObject": 1,
    }


def test_what_is_copied_in_parts_is_counted_by_parts() -> None:
    size = LARGEST_COPY * 3
    told = foreseen([version(pack("large"), size=size), version("config")])
    assert told.requests["UploadPartCopy"] == -(-size // part_size(size))
    assert told.requests["CreateMultipartUpload"] == told.requests["CompleteMultipartUpload"] == 1
    assert told.requests["CopyObject"] == 1
    assert told.unproven == 0


def test_what_cannot_be_proven_is_named_with_the_reason() -> None:
    told = foreseen([version(f"{each}", size=LARGEST_READ_BACK) for each in range(7)])
    assert (told.unproven, len(told.unproven_first)) == (7, 5)
    assert "too large to be read back" in told.unproven_first[0].why


def test_the_longest_forecast_fits_a_workflow_s_state() -> None:
    odd = [version("\x01" * 1000 + f"{each:08}", size=LARGEST_READ_BACK) for each in range(20)]
    keys = [version(named("keys", f"{each}")) for each in range(NAMED_KEY_FILES + 50)]
    told = foreseen([*odd, *keys], Choice(keys_of_today=frozenset(), with_revoked_keys=True))
    assert (told.revoked, len(told.revoked_first), told.with_revoked_keys) == (150, NAMED_KEY_FILES, True)
    assert len(json.dumps(told.model_dump(mode="json"))) < STATE_BYTES // 2


def test_of_nothing_there_is_a_forecast_too() -> None:
    told = foreseen([])
    assert (told.objects, told.classes) == (0, ())

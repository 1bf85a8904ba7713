"""What an owner of a target is told to allow is what the steps are given here: nothing is missing, and nothing more."""

from collections import defaultdict
from collections.abc import Mapping

import pytest

from functions.domain.names import Names
from functions.domain.restore.owner import LOOKS, bucket_statements
from functions.domain.restore.request import Location
from tests.infra.permissions import Identity, expand

TARGETS = {"arn:aws:s3:::rwm-restore-*", "arn:aws:s3:::rwm-restore-*/*"}
THEIRS = Location(bucket="theirs")


@pytest.mark.parametrize("step", LOOKS)
def test_an_owner_is_told_of_each_permission_that_a_step_has_on_targets(who: Mapping[str, Identity], step: str) -> None:
    told: defaultdict[str, set[str]] = defaultdict(set)
    for statement in bucket_statements(THEIRS, Names(), partition="aws", account="123456789012", lock=True):
        for role in statement["Principal"]["AWS"]:
            told[role.rpartition("/")[2]] |= expand(statement["Action"])
    role = who[f"rwm-{step}"]
    assert told[role.name] == {action for action in role.allowed if role.resources(action) & TARGETS}


def test_no_step_of_a_restore_touches_targets_that_no_owner_is_told_of(who: Mapping[str, Identity]) -> None:
    touching = {name for name, each in who.items() if any(each.resources(action) & TARGETS for action in each.allowed)}
    # Whoever checks a copy is given a look at it by its owner, too, and restores without it.
    assert touching - {"rwm-check-complete"} == {f"rwm-{step}" for step in LOOKS}

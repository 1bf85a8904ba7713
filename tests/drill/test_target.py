"""The bucket of drills is for drills, and drills are for it."""

import pytest
from pydantic import ValidationError

from functions.check.complete import check_readable
from functions.domain.checking import CheckRefused
from functions.domain.names import Names
from functions.domain.repositories import Configuration
from functions.domain.restore.request import Location, RestoreRefused, RestoreRequest, check_target

RECORDS = Names().records_bucket("123456789012", "eu-central-1")
SCRATCH = Location(bucket=Names().drill_bucket("123456789012", "eu-central-1"), prefix="alpha/drill-1")
ELSEWHERE = Location(bucket="rwm-restore-1")
CONFIGURATION = Configuration.model_validate({"repositories": [{"name": "alpha", "bucket": "backups"}]})
GENEROUS = CONFIGURATION.model_copy(update={"restore_targets": ("*",)})


def test_a_person_s_restore_is_refused_where_it_would_be_deleted_after_a_day() -> None:
    for configuration in (CONFIGURATION, GENEROUS):
        with pytest.raises(
            RestoreRefused, match=r"is for drills: .* deleted after a day; nothing was written; name another"
        ):
            check_target(SCRATCH, configuration, RECORDS)


@pytest.mark.parametrize("bucket", ["rwm-restore-1", "backups", RECORDS])
def test_a_drill_writes_nowhere_else(bucket: str) -> None:
    with pytest.raises(RestoreRefused, match="a drill restores to rwm-drill-123456789012-eu-central-1, not to"):
        check_target(Location(bucket=bucket), GENEROUS, RECORDS, drill=True)


def test_a_drill_may_write_there_and_a_person_elsewhere() -> None:
    check_target(SCRATCH, CONFIGURATION, RECORDS, drill=True)
    check_target(ELSEWHERE, CONFIGURATION, RECORDS)


def test_a_copy_can_be_read_in_both_and_nowhere_else() -> None:
    for target in (SCRATCH, ELSEWHERE):
        check_readable(target, CONFIGURATION, RECORDS)
    for bucket in ("backups", RECORDS, "of-another-team"):
        with pytest.raises(CheckRefused, match="holds no restored copy"):
            check_readable(Location(bucket=bucket), CONFIGURATION, RECORDS)


def test_the_bucket_of_another_deployment_s_drills_is_not_ours() -> None:
    theirs = Location(bucket=Names("other").drill_bucket("123456789012", "eu-central-1"))
    with pytest.raises(RestoreRefused):
        check_target(theirs, CONFIGURATION, RECORDS, drill=True)


def test_only_a_restore_to_a_bucket_is_a_drill() -> None:
    asked = {"repository": "alpha", "state": "latest", "to": "directory", "drill": True}
    with pytest.raises(ValidationError, match="a drill restores to a bucket"):
        RestoreRequest.model_validate(asked)

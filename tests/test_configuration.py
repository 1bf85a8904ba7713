"""repositories.toml: two lines suffice, and a wrong value is named with its file, repository, field and remedy."""

from datetime import timedelta
from pathlib import Path

import pytest

from functions.configuration import BadConfiguration, read_bundled, read_toml
from functions.domain.repositories import MOST_IN_A_BUCKET, MOST_REPOSITORIES, Configuration

SHIPPED = Path(__file__).parents[1] / "repositories.toml"


def read(tmp_path: Path, text: str) -> Configuration:
    path = tmp_path / "repositories.toml"
    path.write_text(text)
    return read_toml(path)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(BadConfiguration) as error:
        read(tmp_path, text)
    message = str(error.value)
    assert message.startswith(str(tmp_path / "repositories.toml"))
    assert "nothing was synthesized" in message
    return message


def test_two_lines_suffice(tmp_path: Path) -> None:
    (alpha,) = read(tmp_path, '[repositories.alpha]\nbucket = "backups-of-alpha"').repositories
    assert (alpha.name, alpha.prefix, alpha.hosts, alpha.host_may_hide) == ("alpha", "", ("create",), False)
    assert alpha.grace_days == timedelta(days=30)


def test_the_shipped_example_has_two_repositories_and_survives_being_bundled(tmp_path: Path) -> None:
    shipped = read_toml(SHIPPED)
    assert [each.name for each in shipped.repositories] == ["alpha", "beta"]
    bundled = tmp_path / "repositories.json"
    bundled.write_text(shipped.model_dump_json())
    assert read_bundled(bundled) == shipped


@pytest.mark.parametrize(
    ("line", "field", "allowed"),
    [
        ('bucket = "No_Bucket"', "bucket", "3 to 63 of a-z"),
        ('prefix = "/slash"', "prefix", "single / between"),
        ('prefix = "a*"', "prefix", "letters, digits"),
        (f'prefix = "{"a" * 65}"', "prefix", "at most 64"),
        ('hosts = ["web1"]', "hosts.0", 'the ARN of an IAM user or role: "arn:aws:iam::123456789012:role/backup"'),
        ("hosts = []", "hosts", "at least 1 item"),
        ('grace_days = "30"', "grace_days", "a number and one of s, m, h, d"),
        ("grace_days = 30", "grace_days", "a number and one of s, m, h, d"),
        ('grace_days = "12h"\nlock_days = 1', "", "below 1d it needs unsafe_short_times = true"),
        ('max_state_age = "0s"', "max_state_age", "longer than nothing"),
        ('max_backup_age = "12h"', "", "max_backup_age is 12h; below 1d it needs unsafe_short_times = true"),
        ('max_backup_age = "soon"', "max_backup_age", "a number and one of s, m, h, d"),
        ('retention.keep_within = "10d"', "", "must be at least grace_days, which is 30d"),
        ('min_interval = "25h"', "", "min_interval is 25h; it must be at most 1d"),
        ("lock_days = 31", "", "must not exceed grace_days, which is 30d"),
        ("lock_days = 0", "lock_days", "greater than or equal to 1"),
        ('lock_schedule = "daily"', "lock_schedule", "rate(1 day)"),
        ('lock_schedule = "rate(7 days)"', "", "it must come more often than every 7d, half of lock_days"),
        ('lock_days = 2\nlock_schedule = "rate(1 day)"', "", "more often than every 1d, half of lock_days"),
        ('lock_days = 1\nlock_schedule = "rate(720 minutes)"', "", "more often than every 12h, half of lock_days"),
        ('record_schedule = "daily"', "record_schedule", "rate(1 day)"),
        ('approval = "maybe"', "approval", "'hold', 'always' or 'never'"),
        ('check_level = "deep"', "check_level", "'complete'"),
        ('storage_classes = ["COLD"]', "storage_classes.0", "'STANDARD'"),
        ('kms_key = "alias/x"', "kms_key", "arn:aws:kms:eu-central-1:123456789012:key/"),
        ('restic_password_secret = "x"', "restic_password_secret", "arn:aws:secretsmanager:"),
        ("thresholds.data_lost = 2.0", "thresholds.data_lost", "less than or equal to 1"),
        ("retention.days = -1", "retention.days", "greater than or equal to 0"),
        ('bukket = "x"', "bukket", "there is no such field"),
        (
            'hosts = ["arn:aws:iam::123456789012:role/r"]\nmaintenance = "arn:aws:iam::123456789012:role/r"',
            "",
            "the key that may hide must stay off the host",
        ),
    ],
)
def test_a_wrong_value_names_the_repository_the_field_and_what_is_allowed(
    tmp_path: Path, line: str, field: str, allowed: str
) -> None:
    bucket = "" if line.startswith("bucket") else 'bucket = "backups"\n'
    message = refused(tmp_path, f"[repositories.alpha]\n{bucket}{line}\n")
    assert f": repository alpha: {field}" in message
    assert allowed in message


def test_one_wrong_value_is_one_line(tmp_path: Path) -> None:
    message = refused(tmp_path, '[repositories.alpha]\nbucket = "x"')
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize("name", ["Alpha", "-alpha", "a" * 33, "dead-letters"])
def test_a_wrong_name_is_named(tmp_path: Path, name: str) -> None:
    assert f"repository {name}: name: 1 to 32 of a-z" in refused(tmp_path, f'[repositories.{name}]\nbucket = "backups"')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[repositories", "not TOML"),
        ("", "repositories: Field required"),
        ("[repositories]", "repositories: Tuple should have at least 1 item"),
        ('repositories = "alpha"', "repositories: "),
        ("repositories = [1]", "repository number 1"),
        ("[repositories.alpha]", "repository alpha: bucket: Field required"),
        ('operators = ["me"]\n[repositories.alpha]\nbucket = "backups"', "operators.0: the ARN of an IAM user or role"),
        (
            'restore_kms_keys = ["alias/theirs"]\n[repositories.alpha]\nbucket = "backups"',
            'an ARN like "arn:aws:kms:eu-central-1:',
        ),
        ('restore_parallel_batches = 0\n[repositories.alpha]\nbucket = "backups"', "restore_parallel_batches: "),
        ('restore_parallel_batches = 1001\n[repositories.alpha]\nbucket = "backups"', "restore_parallel_batches: "),
        ('restore_threads = 0\n[repositories.alpha]\nbucket = "backups"', "restore_threads: "),
        ('restore_threads = 65\n[repositories.alpha]\nbucket = "backups"', "restore_threads: "),
        ('restore_targets = ["*"]\n[repositories.alpha]\nbucket = "backups"', "restore_targets.0: "),
        ('restore_targets = ["back*"]\n[repositories.alpha]\nbucket = "backups"', "back*, which covers backups"),
        ('restore_targets = ["rwm-*"]\n[repositories.alpha]\nbucket = "backups"', "rwm-*, which covers rwm-records-…"),
        (
            'restore_targets = ["rwm-records-1-us"]\n[repositories.alpha]\nbucket = "backups"',
            "covers rwm-records-…: no restore may write there",
        ),
        (
            'restore_targets = ["rwm-dr*"]\n[repositories.alpha]\nbucket = "backups"',
            "rwm-dr*, which covers rwm-drill-…: no restore may write there",
        ),
        (
            '[repositories.alpha]\nbucket = "backups"\ndrill_schedule = "rate(35 days)"',
            "drill_schedule is rate(35 days); it must come more often than every 35d, which is max_drill_age",
        ),
        (
            '[repositories.alpha]\nbucket = "backups"\ndrill_bytes = -1',
            "drill_bytes: Input should be greater than or equal to 0",
        ),
        ('log_days = 2\n[repositories.alpha]\nbucket = "backups"', "log_days: "),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, why: str) -> None:
    assert why in refused(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="there is no such file; nothing was synthesized"):
        read_toml(tmp_path / "absent.toml")


def test_more_repositories_than_a_deployment_holds_are_refused(tmp_path: Path) -> None:
    text = "\n".join(f'[repositories.r{n}]\nbucket = "backups-{n}"' for n in range(MOST_REPOSITORIES + 1))
    assert f"at most {MOST_REPOSITORIES} items" in refused(tmp_path, text)


def test_more_repositories_than_a_bucket_policy_holds_are_refused(tmp_path: Path) -> None:
    text = "\n".join(f'[repositories.r{n}]\nbucket = "backups"\nprefix = "p{n}"' for n in range(MOST_IN_A_BUCKET + 1))
    assert f"more than {MOST_IN_A_BUCKET} repositories" in refused(tmp_path, text)


@pytest.mark.parametrize(("one", "other"), [("", "a"), ("a", "a/b"), ("a", "a")])
def test_repositories_that_overlap_in_a_bucket_are_refused(tmp_path: Path, one: str, other: str) -> None:
    text = (
        f'[repositories.one]\nbucket = "backups"\nprefix = "{one}"\n'
        f'[repositories.other]\nbucket = "backups"\nprefix = "{other}"\n'
    )
    assert "overlap in bucket backups" in refused(tmp_path, text)


def test_prefixes_that_merely_begin_alike_do_not_overlap(tmp_path: Path) -> None:
    text = '[repositories.a]\nbucket = "backups"\nprefix = "web"\n[repositories.b]\nbucket = "backups"\nprefix = "web2"'
    assert len(read(tmp_path, text).repositories) == 2


def test_repositories_that_share_a_bucket_agree_on_its_properties(tmp_path: Path) -> None:
    text = (
        '[repositories.a]\nbucket = "backups"\nprefix = "a"\nlock_days = 3\n'
        '[repositories.b]\nbucket = "backups"\nprefix = "b"\n'
    )
    assert "must agree on lock_days" in refused(tmp_path, text)


def test_short_times_are_accepted_where_the_repository_says_so(tmp_path: Path) -> None:
    text = (
        '[repositories.alpha]\nbucket = "backups"\nunsafe_short_times = true\nlock_days = 1\n'
        'grace_days = "20s"\nretention.keep_within = "20s"'
    )
    (alpha,) = read(tmp_path, text).repositories
    assert alpha.grace_days == timedelta(seconds=20)


def test_locks_are_looked_after_daily_unless_they_last_too_short_for_it(tmp_path: Path) -> None:
    def schedule(lines: str) -> str | None:
        path = tmp_path / "repositories.toml"
        path.write_text(f'[repositories.alpha]\nbucket = "backups"\n{lines}')
        return read_toml(path).repositories[0].lock_schedule

    assert schedule("") == schedule("lock_days = 3") == "rate(1 day)"
    assert schedule("lock_days = 2") == schedule("lock_days = 1") == "rate(6 hours)"
    assert schedule('lock_days = 1\nlock_schedule = "rate(1 hour)"') == "rate(1 hour)"
    assert schedule('lock_days = 1\nlock_schedule = "cron(0 0/6 * * ? *)"') == "cron(0 0/6 * * ? *)"
    assert schedule('lock_schedule = "never"') is None


@pytest.mark.parametrize(
    "schedule", ["rate(7 days)", "cron(0 3 ? * MON *)", "cron(0 3 1,8,15 * ? *)", "cron(0 3 * * ? 2026)"]
)
def test_locks_that_would_end_before_upkeep_comes_are_refused(tmp_path: Path, schedule: str) -> None:
    said = refused(tmp_path, f'[repositories.alpha]\nbucket = "backups"\nlock_schedule = "{schedule}"')
    assert f"lock_schedule is {schedule}; it must come more often than every 7d, half of lock_days" in said


@pytest.mark.parametrize("schedule", ["rate(35 days)", "cron(0 3 1 1/3 ? *)", "cron(0 3 1 * ? 2026)"])
def test_drills_that_would_always_be_overdue_are_refused(tmp_path: Path, schedule: str) -> None:
    said = refused(tmp_path, f'[repositories.alpha]\nbucket = "backups"\ndrill_schedule = "{schedule}"')
    assert f"drill_schedule is {schedule}; it must come more often than every 35d, which is max_drill_age" in said
    monthly = '[repositories.alpha]\nbucket = "backups"\ndrill_schedule = "cron(0 3 1 * ? *)"'
    assert read(tmp_path, monthly).repositories[0].drill_schedule == "cron(0 3 1 * ? *)"


def test_a_cron_expression_that_aws_would_refuse_is_refused_before_it_is_deployed(tmp_path: Path) -> None:
    said = refused(tmp_path, '[repositories.alpha]\nbucket = "backups"\nprune_schedule = "cron(0 3 * * * *)"')
    assert 'exactly one of day of month and day of week is "?"' in said


def test_a_schedule_that_is_turned_off_stays_so_in_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "repositories.toml"
    path.write_text('[repositories.alpha]\nbucket = "backups"\nlock_schedule = "never"\nprune_schedule = "never"\n')
    with path.open("a") as more:
        more.write('max_backup_age = "never"\n')
    bundle = tmp_path / "repositories.json"
    bundle.write_text(read_toml(path).model_dump_json())
    (repository,) = read_bundled(bundle).repositories
    assert (repository.lock_schedule, repository.prune_schedule, repository.max_backup_age) == (None, None, None)


@pytest.mark.parametrize("schedule", ["rate(13 hours)", "cron(0 3 * * ? *)", "hourly"])
def test_the_watch_looks_at_least_twice_a_day(tmp_path: Path, schedule: str) -> None:
    """The alarm that tells of its silence goes by it."""
    text = f'watch_schedule = "{schedule}"\n[repositories.alpha]\nbucket = "backups"\n'
    assert "rate(1" in refused(tmp_path, text)
    for often in ("rate(30 minutes)", "cron(0/30 * * * ? *)"):
        assert read(tmp_path, text.replace(schedule, often)).watch_interval == timedelta(minutes=30)

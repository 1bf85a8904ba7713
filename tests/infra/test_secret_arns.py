"""Which ARNs a secret of repositories.toml may stand for: six characters at its end are Secrets Manager's own."""

import pytest

from infra.check_steps import secret_arns

START = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"


@pytest.mark.parametrize("name", ["open-AbCdEf", "open-a1cdef", "a/restic-ABCDEF"])
def test_a_whole_arn_stands_for_itself(name: str) -> None:
    assert secret_arns(START + name) == [START + name]


@pytest.mark.parametrize("name", ["open", "restic-password", "restic/alpha", "open-AbCdE"])
def test_a_name_stands_for_itself_with_six_characters_behind_it(name: str) -> None:
    assert secret_arns(START + name) == [f"{START}{name}-??????"]


def test_a_name_that_ends_like_a_whole_arn_stands_for_both() -> None:
    assert secret_arns(f"{START}of-restic") == [f"{START}of-restic", f"{START}of-restic-??????"]

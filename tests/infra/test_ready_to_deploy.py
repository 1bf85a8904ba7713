"""What `make deploy` refuses before anything reaches AWS."""

from pathlib import Path

import pytest

from infra.ready_to_deploy import main

TWO_LINES = '[repositories.alpha]\nbucket = "backups"\n'


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> int:
    path = tmp_path / "repositories.toml"
    path.write_text(text)
    monkeypatch.setenv("REPOSITORIES", str(path))
    return main()


def test_a_good_file_may_be_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(tmp_path, monkeypatch, TWO_LINES) == 0


def test_times_that_are_fit_for_tests_only_are_not_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(tmp_path, monkeypatch, TWO_LINES + "unsafe_short_times = true\n") == 2
    assert "unsafe_short_times is set for alpha" in capsys.readouterr().err


def test_a_wrong_file_is_not_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(tmp_path, monkeypatch, "nonsense") == 2
    assert "nothing was synthesized" in capsys.readouterr().err

"""build/demo.json says what the raw records show, and is not written when they show less than what is promised."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.demo.evidence import DemoFailed, Evidence
from local.demo.figures import write_figures

PACK, SNAPSHOT, KEPT = ("restic/beta/data/aa/aa11", "v1"), ("restic/beta/snapshots/bb22", "v2"), ("restic/beta/c", "v3")
MARKER = ["restic/beta/data/aa/aa11", "m1"]

Answers = list[tuple[str, Any]]


def a_state(number: int, dropped: bool = False) -> dict[str, Any]:
    return {"id": f"state-{number}", "objects": 10, "dropped": {"prune": "a"} if dropped else None}


def a_restore(repository: str, state: str, **more: Any) -> dict[str, Any]:
    same = {"objects": 10, "proven": 10, "bytes": 100, "copied": 10, "outcome": "restored"}
    return {"repository": repository, "state": state, **same, **more}


def a_check(repository: str, *findings: str, claim: str = "complete") -> dict[str, Any]:
    return {"repository": repository, "claim": claim, "findings": [{"id": each} for each in findings]}


def a_listing(*versions: tuple[tuple[str, str], int], markers: list[list[str]]) -> dict[str, Any]:
    return {"versions": [[*which, size] for which, size in versions], "markers": markers}


def what_happened() -> Answers:
    """What a good run answers, as far as the figures need it."""
    states = [a_state(4), a_state(3), a_state(2), a_state(1, dropped=True)]
    reported = {"versions": 2, "markers": 1, "bytes": 7_000_500, "kept_states": 3, "kept_states_whole": 3}
    return [
        ("rwm states", {"repository": "alpha", "states": [a_state(1)]}),
        ("rwm states", {"repository": "beta", "states": [a_state(2), a_state(1)]}),
        ("rwm check", a_check("alpha")),
        ("rwm check", a_check("alpha", "pack-overwritten", "key-file-removed")),
        ("rwm check", a_check("beta")),
        ("rwm check", a_check("alpha")),
        ("refused hides", 5),
        ("damage", {"hidden": 3, "overwritten": 2, "key_files_removed": 1}),
        ("alerts", ["RWM: FAIL alpha"]),
        ("rwm restore", a_restore("alpha", "state-1")),
        ("rwm restore", {"repository": "alpha", "state": "state-1", "objects": 14, "requests": {"CopyObject": 14}}),
        ("rwm restore", a_restore("alpha", "state-1", copied=0)),
        ("rwm restore", {"error": {"exit_code": 2, "message": "refused"}}),
        ("rwm plan", {"findings": [{"id": "prune-frees-much"}]}),
        ("rwm approve", {"error": {"exit_code": 2, "message": "refused"}}),
        ("rwm approve", {"outcome": "approved"}),
        ("listing", a_listing((PACK, 7_000_000), (SNAPSHOT, 500), (KEPT, 90), markers=[MARKER])),
        ("rwm prunes", {"prunes": [{**reported, "dropped_states": 1}]}),
        ("listing", a_listing((KEPT, 90), markers=[])),
        ("rwm states", {"repository": "beta", "states": states}),
        *(("rwm restore", a_restore("beta", f"state-{number}")) for number in (2, 3, 4)),
    ]


def raw(directory: Path, answers: Answers) -> Evidence:
    evidence = Evidence.afresh(directory)
    (directory / "versions.json").write_text("{}")
    for question, answer in answers:
        evidence.answer(question, answer)
    for _ in range(2):
        evidence.run(["diff", "-r", str(directory), str(directory)], {})
    denial: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403, "RequestId": "r"}}
    evidence.denied("host-beta", "s3:DeleteObjectVersion", "a key", ClientError(denial, "DeleteObject"))
    evidence.denied("operator", "lambda:InvokeFunction", "rwm-approve", ClientError(denial, "Invoke"))
    return evidence


def test_what_a_prune_reclaimed_is_counted_in_the_listings(tmp_path: Path) -> None:
    figures = write_figures(raw(tmp_path / "raw", what_happened()), tmp_path / "demo.json", 1.0)
    assert json.loads((tmp_path / "demo.json").read_text()) == figures
    assert (figures["pruned_versions"], figures["pruned_packs"], figures["pruned_markers"]) == (2, 1, 1)
    assert figures["reclaimed_bytes"] == 7_000_500
    assert (figures["kept_states"], figures["kept_states_whole"], figures["dropped_states"]) == (3, 3, 1)
    assert figures["host_denied"] == ["s3:DeleteObjectVersion"]
    assert figures["operator_denied"] == {"lambda:InvokeFunction": "AccessDenied"}


def _changed(question: str, change: Callable[[Any], Any], last: bool = True) -> Answers:
    """What a good run answers, but for one answer to `question`."""
    answers = what_happened()
    numbers = [number for number, (asked, _) in enumerate(answers) if asked == question]
    number = numbers[-1] if last else numbers[0]
    answers[number] = (question, change(answers[number][1]))
    return answers


def _reported(**otherwise: int) -> Answers:
    return _changed("rwm prunes", lambda it: {"prunes": [{**it["prunes"][0], **otherwise}]})


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (_changed("rwm restore", lambda it: {**it, "proven": 9}), "every kept state is whole"),
        (what_happened()[:-1], "every kept state is whole"),
        (_reported(bytes=1), "the prune's report agrees"),
        (_reported(versions=3), "the prune's report agrees"),
        (_reported(kept_states_whole=2), "the prune's report agrees"),
        (_changed("listing", lambda it: {**it, "versions": [[*PACK, 7_000_000]]}), "megabytes of packs are gone"),
        (_changed("rwm approve", lambda it: {"outcome": "rejected"}), "a person approved the prune"),
        (_changed("rwm plan", lambda it: {"findings": []}), "a person approved the prune"),
        (_changed("rwm restore", lambda it: {**it, "proven": 9}, last=False), "every restored object is proven"),
    ],
)
def test_less_than_what_is_promised_is_no_figure(tmp_path: Path, answers: Answers, told: str) -> None:
    evidence = raw(tmp_path / "raw", answers)
    with pytest.raises(DemoFailed, match=told):
        write_figures(evidence, tmp_path / "demo.json", 1.0)
    assert not (tmp_path / "demo.json").exists()

"""Beta's own story: its maintenance forgets old snapshots, and the space they took comes back.

That needs a person, because it is much; it costs no state that is kept, which is shown by restoring each of them; and
what it reclaimed is counted in listings of the bucket, not taken from anybody's report.
"""

import json
import re
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.demo.evidence import DemoFailed
from local.demo.inbox import Inbox, Letter
from local.demo.sources import dump
from local.demo.stage import DIRECTORY, Stage

NAME = "beta"
MEGABYTES = (7, 3, 3, 1, 1)
"""Of each night's dump: the first is more than a fifth of all, which no prune frees without asking."""
KEPT_SNAPSHOTS = 2
ASKED_WITHIN_SECONDS = PRUNED_WITHIN_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Listing:
    """All that S3 lists of the repository, noncurrent versions and delete markers too."""

    versions: dict[tuple[str, str], int]
    """Size by key and version id."""
    markers: set[tuple[str, str]]

    @property
    def bytes(self) -> int:
        return sum(self.versions.values())


def back_up_a_night(stage: Stage, source: Path, night: int) -> None:
    """The database's dump is all new; the one of the night before is in older snapshots only."""
    dump(source, night, MEGABYTES[night])
    stage.back_up(NAME, source)


def forget(stage: Stage, source: Path) -> None:
    """Maintenance's `restic forget --prune`, with a key that is not on the host; keeps a copy of what was backed up."""
    keep = ("forget", "--quiet", "--keep-last", str(KEPT_SNAPSHOTS), "--prune")
    stage.restic(f"maintenance-{NAME}", stage.url_of(NAME), *keep)
    as_it_was = _as_it_was(source)
    shutil.rmtree(as_it_was, ignore_errors=True)
    shutil.copytree(source, as_it_was, symlinks=True)


def back_up_and_prune(stage: Stage, source: Path) -> None:
    """One more night, then `rwm prune`, which ends when it sees that a person is asked."""
    back_up_a_night(stage, source, 4)
    # An approver may be faster: then it goes on to the end.
    stage.rwm("prune", NAME, expect=(3, 0))


def decide_and_prove(stage: Stage, prune: Future[None], inbox: Inbox, source: Path) -> None:
    """Approve what `prune` waits for, and show what is gone, and that what is kept is whole."""
    story = stage.story
    story.chapter(f"Prune: the space of what {NAME} forgot comes back, if a person agrees")
    letter = _await_letter(stage, inbox, prune)
    digest = _digest(letter)
    story.good(f"approvers have one message: [bold]{letter.subject}[/bold]")
    with ThreadPoolExecutor() as pool:
        refused = pool.submit(_be_refused_as_operator, stage, digest)
        plan = stage.rwm("plan", digest)
    if plan["status"] != "waiting" or not plan["findings"]:
        raise DemoFailed(f"the plan is {plan['status']}, and waits for nobody: {json.dumps(plan)[:1000]}")
    for finding in plan["findings"]:
        story.bad(f"{finding['severity']} {finding['id']}: {finding['what']}")
    story.good(f"the operator, who started it, may not approve it: {refused.result()}")
    before = _listed(stage, "before the prune")
    with stage.evidence.step("prune, once approved"):
        decided = stage.rwm("approve", digest, "--yes", profile="approver")
        if (decided["outcome"], decided["woken"]) != ("approved", True):
            raise DemoFailed(f"the approval is not what let the prune go on: {json.dumps(decided)}")
        story.good("an approver approves exactly this plan, with MFA")
        report = _await_report(stage, digest)
    _show_reclaimed(stage, report, before, _listed(stage, "after the prune"))
    _restore_each_kept_state(stage, source)
    # It may still look for the prune's end, and has an end of its own to be told of.
    prune.result()


def _await_letter(stage: Stage, inbox: Inbox, prune: Future[None]) -> Letter:
    deadline = time.monotonic() + ASKED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        letters = inbox.take()
        stage.evidence.answer("letters", [letter.subject for letter in letters])
        if len(letters) == 1 and "waits for an approver" in letters[0].subject:
            return letters[0]
        if letters:
            raise DemoFailed(f"not approvers, or not only they, were told: {[each.subject for each in letters]}")
        if prune.done() and prune.exception() is not None:
            prune.result()
    raise DemoFailed(f"nobody was asked within {ASKED_WITHIN_SECONDS} s; the log ends with:\n{stage.aws.log_tail()}")


def _digest(letter: Letter) -> str:
    """What an approver has to name, as the message says it."""
    found = re.search(r"^Plan ([0-9a-f]{64})$", letter.body, re.MULTILINE)
    if found is None:
        raise DemoFailed(f"the message names no plan: {letter.body}")
    return found[1]


def _be_refused_as_operator(stage: Stage, plan: str) -> str:
    """By the command, then by a call of the function itself; returns the server's code."""
    stage.rwm("approve", plan, "--yes", expect=(2,))
    request = {"repository": NAME, "plan": plan, "decision": "approve", "by": "the operator"}
    function = stage.configuration.names.function("approve")
    try:
        stage.aws.client("lambda", "operator").invoke(FunctionName=function, Payload=json.dumps(request))
    except ClientError as error:
        return stage.evidence.denied("operator", "lambda:InvokeFunction", function, error)
    raise DemoFailed("the operator was allowed to call the function that approves")


def _await_report(stage: Stage, plan: str) -> Any:
    deadline = time.monotonic() + PRUNED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        for report in stage.rwm("prunes", NAME)["prunes"]:
            if report["plan"] == plan:
                return report
        time.sleep(0.5)
    raise DemoFailed(f"not pruned within {PRUNED_WITHIN_SECONDS} s; the log ends with:\n{stage.aws.log_tail()}")


def _listed(stage: Stage, when: str) -> Listing:
    """By AWS's API, which knows nothing of RWM."""
    repository = stage.repository(NAME)
    pages = stage.aws.client("s3").get_paginator("list_object_versions")
    versions: dict[tuple[str, str], int] = {}
    markers: set[tuple[str, str]] = set()
    for page in pages.paginate(Bucket=repository.bucket, Prefix=repository.key_prefix):
        versions |= {(each["Key"], each["VersionId"]): each["Size"] for each in page.get("Versions", [])}
        markers |= {(each["Key"], each["VersionId"]) for each in page.get("DeleteMarkers", [])}
    entries = [[*which, size] for which, size in versions.items()]
    stage.evidence.answer("listing", {"when": when, "versions": entries, "markers": sorted(map(list, markers))})
    return Listing(versions, markers)


def _show_reclaimed(stage: Stage, report: Any, before: Listing, after: Listing) -> None:
    story = stage.story
    if report["outcome"] != "done" or report["kept_states_whole"] != report["kept_states"]:
        raise DemoFailed(f"the prune ended as {report['outcome']}: {json.dumps(report)[:2000]}")
    gone = before.versions.keys() - after.versions.keys()
    packs = sum("/data/" in key for key, _ in gone)
    told = (report["versions"], report["bytes"], report["markers"])
    listed = (len(gone), before.bytes - after.bytes, len(before.markers - after.markers))
    if told != listed or not packs:
        raise DemoFailed(f"the report says that {told} are gone, and S3's listings say {listed}, {packs} packs")
    story.good(
        f"{report['dropped_states']} state is dropped; {len(gone)} versions that no kept state names are gone for "
        f"good, {packs} of them packs, and {len(before.markers - after.markers)} delete markers"
    )
    story.good(
        f"S3 lists {_mebibytes(before.bytes)} before and {_mebibytes(after.bytes)} after: "
        f"[bold]{_mebibytes(before.bytes - after.bytes)} reclaimed[/bold], as the report says"
    )


def _restore_each_kept_state(stage: Stage, source: Path) -> None:
    story, evidence = stage.story, stage.evidence
    kept = [each for each in stage.states(NAME) if each["dropped"] is None]
    targets = {each["id"]: f"rwm-restore-{NAME}-{each['generation']}" for each in kept}
    for bucket in targets.values():
        stage.aws.client("s3").create_bucket(Bucket=bucket)
    with evidence.step("restore every kept state"), ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda each: _restored(stage, each, targets[each["id"]]), kept))
    story.good(
        f"each of {len(kept)} kept states restores to a bucket of its own: "
        f"{sum(report['proven'] for report in reports)} objects, all proven by their SHA-256"
    )
    oldest = min(kept, key=lambda each: each["generation"])
    url = stage.url(targets[oldest["id"]])
    restored = DIRECTORY / "restored" / NAME
    with evidence.step("restic on the oldest kept state"):
        stage.restic("admin", url, "check", "--read-data", "--no-lock", "--quiet")
        stage.restic("admin", url, "restore", "latest", "--no-lock", "--quiet", "--target", str(restored))
    evidence.run(["diff", "-r", str(_as_it_was(source)), str(restored / source.relative_to("/"))], {})
    story.good("`restic check --read-data` of the oldest, and `diff -r` of what it restores, find nothing wrong")


def _restored(stage: Stage, state: Any, bucket: str) -> Any:
    report = stage.rwm("restore", NAME, state["id"], "--to-bucket", bucket)
    if report["outcome"] != "restored" or report["proven"] != state["objects"]:
        raise DemoFailed(f"a kept state restores as {report['outcome']}: {json.dumps(report)[:1000]}")
    return report


def _as_it_was(source: Path) -> Path:
    return source.with_name(f"{source.name} as it was")


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"

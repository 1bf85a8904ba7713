"""`make demo`: back up, record, attack, restore, prune; every part real, on one machine, in two minutes.

The story: two repositories. Alpha's host may hide objects (the worst case), beta's may not (the default).
Somebody takes both hosts. Meanwhile beta's maintenance forgets old snapshots, and in the end a prune gives their space
back. Everything said on the screen was checked; what is not so ends the demo with an error. The figures are in
build/demo.json, the records they are derived from in build/raw/demo/.
"""

import json
import secrets
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from functions.configuration import read_toml
from local.credentials import PRINCIPALS, issue_profiles
from local.demo import prune
from local.demo.attack import Damage, Prey, keys_of, try_to_destroy, try_to_hide_everything, wreck
from local.demo.evidence import DemoFailed, Evidence
from local.demo.figures import write_figures
from local.demo.inbox import Inbox
from local.demo.sources import change, fill
from local.demo.stage import DIRECTORY, Stage
from local.demo.story import Story
from local.deploy import deploy
from local.embedded import ACCOUNT, PYTHON, REGION, EmbeddedAws, NotStarted
from local.synthesis import ROOT, SynthesisFailed, synthesize

RAW = ROOT / "build" / "raw" / "demo"
REPOSITORIES = Path(__file__).with_name("repositories.toml")
TARGET = "rwm-restore-alpha"
SECRET = "rwm-demo-restic-password"


def main() -> int:
    story = Story()
    try:
        with _stage(story) as stage:
            _play(stage)
    except (DemoFailed, NotStarted, SynthesisFailed) as failure:
        story.bad("the demo failed: this is not what RWM promises")
        print(failure, file=sys.stderr)
        return 1
    figures = write_figures(Evidence(RAW), ROOT / "build" / "demo.json", story.seconds)
    story.chapter("Done")
    story.line(
        f"{len(figures['host_denied'])} kinds of calls were denied to the hosts' keys; "
        f"{figures['proven_objects']} of {figures['restored_objects']} restored objects are proven."
    )
    story.line(
        f"A prune that a person approved reclaimed {figures['reclaimed_bytes']:,} bytes; "
        f"{figures['kept_states_whole']} of {figures['kept_states']} kept states are whole."
    )
    story.line("Figures: build/demo.json; the records they come from: build/raw/demo/.")
    return 0


@contextmanager
def _stage(story: Story) -> Iterator[Stage]:
    """An embedded AWS with everything deployed, gone again at the end however the play ends."""
    shutil.rmtree(DIRECTORY / "cache", ignore_errors=True)
    shutil.rmtree(DIRECTORY / "restored", ignore_errors=True)
    evidence = Evidence.afresh(RAW)
    evidence.versions(PYTHON)
    story.chapter("Deploy")
    configuration = read_toml(REPOSITORIES)
    with evidence.step("synthesize"):
        assembly = synthesize(REPOSITORIES, DIRECTORY / "cdk.out", principals=PRINCIPALS)
    names = configuration.names
    story.good(f"app.py synthesized {names.data_stack}, {names.flows_stack} and {names.watch_stack}")
    with evidence.step("start"):
        aws = EmbeddedAws.start(DIRECTORY / "aws")
    try:
        with evidence.step("deploy"):
            deploy(aws, assembly)
            profiles = issue_profiles(aws, configuration.names)
        story.good(f"both stacks are deployed at {aws.endpoint_url}; keys for {', '.join(profiles)}")
        password = secrets.token_urlsafe(24)
        aws.client("secretsmanager").create_secret(Name=SECRET, SecretString=password)
        yield Stage(aws, configuration, evidence, story, password)
    finally:
        aws.stop()
    if left := aws.processes():
        raise DemoFailed(f"processes {left} were left behind")


def _play(stage: Stage) -> None:
    sources = {name: DIRECTORY / "source" / name for name in ("alpha", "beta")}
    _back_up_twice(stage, sources)
    before = {name: stage.states(name)[0] for name in sources}
    _check_before(stage, before)
    inbox = Inbox.open(stage.aws, stage.configuration.names)
    damage = _attack(stage)
    after = _record_the_damage(stage, before, damage, sources["beta"])
    _check_after(stage, damage, inbox)
    beside = ThreadPoolExecutor(1)
    try:
        # Most of it is waiting: for quiet, and for a person.
        pruned = beside.submit(prune.back_up_and_prune, stage, sources["beta"])
        _restore(stage, before["alpha"], sources["alpha"])
        _nothing_was_lost(stage, before["alpha"], after)
        prune.decide_and_prove(stage, pruned, inbox, sources["beta"])
    finally:
        # Where it fails, the prune would wait for a day.
        beside.shutdown(wait=False)


def _back_up_twice(stage: Stage, sources: Mapping[str, Path]) -> None:
    stage.story.chapter("Back up: two hosts, and an event after their backups, twice")
    with stage.evidence.step("init"):
        _both(sources, lambda name: stage.restic(f"host-{name}", stage.url_of(name), "init", "--quiet"))
    _back_up_and_record(stage, sources, _first_nights, 1)
    _back_up_and_record(stage, sources, _next_nights, 2)
    stage.story.good(
        "beta: between the two, maintenance ran `restic forget --prune`, with a key that is not the host's"
    )


def _back_up_and_record(
    stage: Stage, sources: Mapping[str, Path], back_up: Callable[[Stage, str, Path], None], number: int
) -> None:
    with stage.evidence.step(f"backup {number}"):
        _both(sources, lambda name: back_up(stage, name, sources[name]))
    with stage.evidence.step(f"record {number}"):
        _both(sources, stage.publish)
        states = _both(sources, lambda name: stage.await_state(name, number))
    for name, state in states.items():
        stage.story.good(
            f"{name}: state [bold]{state['id'][:12]}[/bold] of {state['cut_time']}: {state['objects']} objects, "
            f"{state['bytes'] / 2**20:.1f} MiB"
        )


def _first_nights(stage: Stage, name: str, source: Path) -> None:
    fill(source)
    stage.back_up(name, source)
    if name == prune.NAME:
        prune.back_up_a_night(stage, source, 0)


def _next_nights(stage: Stage, name: str, source: Path) -> None:
    if name != prune.NAME:
        change(source)
        stage.back_up(name, source)
        return
    prune.back_up_a_night(stage, source, 1)
    prune.back_up_a_night(stage, source, 2)
    prune.forget(stage, source)


def _check_before(stage: Stage, states: Mapping[str, dict[str, Any]]) -> None:
    story = stage.story
    story.chapter("Check: is all of it whole, and does nobody hold a right to destroy it?")
    with stage.evidence.step("check before the attack"):
        verdict = stage.rwm("check", "alpha", states["alpha"]["id"], "--level", "complete", "--read-data")
    if (verdict["outcome"], verdict["claim"]) != ("pass", "complete"):
        raise DemoFailed(f"alpha is not complete before the attack: {json.dumps(verdict['findings'])[:1000]}")
    content, complete = (_level(verdict, level)["figures"] for level in ("content", "complete"))
    story.good(
        f"alpha: configuration, {content['verified']} objects by their SHA-256, then with the restic password "
        f"{complete['snapshots']} snapshots, {complete['trees']} trees and {complete['verified_blobs']} blobs: complete"
    )


def _level(verdict: dict[str, Any], level: str) -> dict[str, Any]:
    return next(each for each in verdict["levels"] if each["level"] == level)


def _attack(stage: Stage) -> Damage:
    story, evidence = stage.story, stage.evidence
    story.chapter("Attack: both hosts are taken, with their keys and the password")
    alpha, beta = stage.prey("alpha"), stage.prey("beta")
    with evidence.step("attack"):
        for prey, other in ((alpha, "beta"), (beta, "alpha")):
            denied = try_to_destroy(prey, evidence, _versions(stage, prey), _elsewhere(stage, prey.name, other))
            story.good(f"{prey.name}: {len(denied)} kinds of calls that destroy, unprotect or spy: all refused")
        story.line(textwrap.fill(", ".join(denied), 100, subsequent_indent=" " * 9))
        refused = try_to_hide_everything(beta, evidence)
        story.good(f"beta: {refused} objects were to be hidden; {refused} refusals")
        damage = wreck(alpha)
    evidence.answer("damage", {name: len(getattr(damage, name)) for name in damage.__dataclass_fields__})
    evidence.answer("refused hides", refused)
    story.bad(
        f"alpha, where the host may hide: {len(damage.overwritten)} packs overwritten with garbage, "
        f"{len(damage.hidden)} objects hidden, {len(damage.key_files_removed)} of them key files"
    )
    if keys_of(alpha) != damage.overwritten:
        raise DemoFailed("the attack on alpha left more than the garbage")
    stage.restic("host-alpha", stage.url_of("alpha"), "snapshots", "--no-lock", expect=(1, 10, 11, 12))
    story.bad("alpha: restic finds no repository any more")
    stage.restic("host-beta", stage.url_of("beta"), "check", "--quiet")
    story.good("beta: `restic check` finds nothing wrong")
    return damage


def _record_the_damage(
    stage: Stage, before: Mapping[str, dict[str, Any]], damage: Damage, source_of_beta: Path
) -> dict[str, Any]:
    story = stage.story
    story.chapter("Record: the next event shows the damage")
    with stage.evidence.step("record the damage"):
        stage.publish("alpha")
        prune.back_up_a_night(stage, source_of_beta, 3)
        after = stage.await_state("alpha", before["alpha"]["generation"] + 1)
    difference = stage.rwm("diff", "alpha", before["alpha"]["id"], after["id"])
    changes = {
        kind: [c["key"] for c in difference["changes"] if c["change"] == kind] for kind in ("removed", "replaced")
    }
    if sorted(changes["removed"]) != sorted(damage.hidden) or sorted(changes["replaced"]) != sorted(damage.overwritten):
        raise DemoFailed(f"`rwm diff` does not show what was done: {json.dumps(difference['totals'])}")
    story.good(
        f"state [bold]{after['id'][:12]}[/bold]: {after['objects']} objects; `rwm diff` names all "
        f"{len(changes['removed'])} that were hidden and all {len(changes['replaced'])} that were overwritten"
    )
    return after


def _check_after(stage: Stage, damage: Damage, inbox: Inbox) -> None:
    story = stage.story
    story.chapter("Check: the findings name what was done")
    told = [letter.subject for letter in inbox.take()]
    stage.evidence.answer("alerts", told)
    if [subject.split(":")[1].strip() for subject in told] != ["FAIL alpha"]:
        raise DemoFailed(f"the operator was told {told}, and should have been told once, of alpha")
    story.bad(f"the operator has one message: [bold]{told[0]}[/bold]")
    with stage.evidence.step("check after the attack"), ThreadPoolExecutor() as pool:
        of_beta = pool.submit(stage.rwm, "check", "beta", "--level", "consistent")
        verdict = stage.rwm("check", "alpha", "--level", "consistent", expect=(4,))
    prefix = stage.repository("alpha").key_prefix
    named = {finding["id"]: {prefix + each["key"] for each in finding["evidence"]} for finding in verdict["findings"]}
    done = {"pack-overwritten": set(damage.overwritten), "key-file-removed": set(damage.key_files_removed)}
    if any(named.get(finding) != keys for finding, keys in done.items()):
        raise DemoFailed(f"the findings do not name what was done: {json.dumps(verdict['findings'])[:2000]}")
    ids = list(dict.fromkeys(f"{each['severity']} {each['id']}" for each in verdict["findings"]))
    story.bad(textwrap.fill(f"alpha: {', '.join(ids)}", 100, subsequent_indent=" " * 9))
    if of_beta.result()["findings"]:
        raise DemoFailed("beta has findings, and nothing happened to it")
    story.good("beta: nothing to say")
    if inbox.take():
        raise DemoFailed("the operator was told the same thing twice")
    story.good("nobody is told the same thing twice")


def _restore(stage: Stage, state: dict[str, Any], source: Path) -> None:
    story, evidence = stage.story, stage.evidence
    story.chapter("Restore: the last good state, to a new bucket")
    stage.aws.client("s3").create_bucket(Bucket=TARGET)
    asked = ("restore", "alpha", "last-good", "--to-bucket", TARGET)
    refused = stage.rwm(*asked, expect=(2,))
    story.good(f"refused at first: {refused['error']['message'].partition(';')[0]}")
    foreseen = stage.rwm(*asked, "--with-revoked-keys", "--dry-run")
    story.good(f"`--dry-run`: {foreseen['objects']} objects, {sum(foreseen['requests'].values())} requests")
    with evidence.step("restore"):
        report = stage.rwm(*asked, "--with-revoked-keys")
    if report["state"] != state["id"]:
        raise DemoFailed(f"the last good state is {report['state']}, and the one before the attack is {state['id']}")
    if report["outcome"] != "restored" or report["proven"] != state["objects"]:
        raise DemoFailed(f"the restore ended as {report['outcome']}: {json.dumps(report)[:1000]}")
    story.good(f"{report['copied']} objects copied on the server's side, {report['proven']} proven by their SHA-256")
    with evidence.step("check the copy"):
        copy = stage.rwm("check", "alpha", "last-good", "--in-bucket", TARGET)
    if (copy["outcome"], copy["claim"]) != ("pass", "complete"):
        raise DemoFailed(f"the restored repository is not complete: {json.dumps(copy)[:1000]}")
    blobs = _level(copy, "complete")["figures"]["verified_blobs"]
    story.good(f"`rwm check` of the new bucket, with the restic password: {blobs} blobs, complete")
    url = stage.url(TARGET)
    with evidence.step("restic check --read-data"):
        stage.restic("admin", url, "check", "--read-data", "--no-lock", "--quiet")
    story.good("`restic check --read-data` on the new bucket finds nothing wrong")
    restored = DIRECTORY / "restored" / "alpha"
    with evidence.step("restic restore"):
        stage.restic("admin", url, "restore", "latest", "--no-lock", "--quiet", "--target", str(restored))
    # diff ends with 1 when anything differs.
    evidence.run(["diff", "-r", str(source), str(restored / source.relative_to("/"))], {})
    story.good("`restic restore` gives back the source: `diff -r` finds no difference")


def _nothing_was_lost(stage: Stage, before: dict[str, Any], after: dict[str, Any]) -> None:
    again = stage.rwm("restore", "alpha", before["id"], "--to-bucket", TARGET, "--with-revoked-keys")
    if (again["copied"], again["skipped"]) != (0, before["objects"]):
        raise DemoFailed(f"a second restore of the same state copied {again['copied']} objects")
    stage.story.good("the same restore again copies nothing: everything is there and proven")
    refused = stage.rwm("restore", "alpha", after["id"], "--to-bucket", TARGET, expect=(2,))
    stage.story.good(f"another state into that bucket is refused: {refused['error']['message'][:90]}…")


def _both(names: Mapping[str, object], do: Callable[[str], Any]) -> dict[str, Any]:
    """What `do` returns for each, at once."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(do, names), strict=True))


def _versions(stage: Stage, prey: Prey) -> dict[str, str]:
    """Version ids of some packs, which the host cannot learn: the attacker is given them by an administrator."""
    answer = stage.aws.client("s3").list_object_versions(Bucket=prey.bucket, Prefix=f"{prey.prefix}data/", MaxKeys=3)
    return {entry["Key"]: entry["VersionId"] for entry in answer["Versions"]}


def _elsewhere(stage: Stage, name: str, other: str) -> dict[str, str]:
    names = stage.configuration.names
    return {
        "ledger": names.ledger,
        "records": names.records_bucket(ACCOUNT, REGION),
        "queue_url": stage.queue_url(name),
        "other_queue_url": stage.queue_url(other),
        "role": f"arn:aws:iam::{ACCOUNT}:role/{names.role('copy-batch')}",
        "function": names.function("record"),
        "workflow": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{names.restore_workflow}",
    }


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: back up, record, attack, restore; every part real, on one machine, in about a minute.

The story: two repositories. Alpha's host may hide objects (the worst case), beta's may not (the default).
Somebody takes both hosts. Everything said on the screen was checked; what is not so ends the demo with an
error. The figures are in build/demo.json, the records they are derived from in build/raw/demo/.
"""

import json
import os
import random
import secrets
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions.configuration import read_toml
from functions.domain.repositories import Configuration, Repository
from local.credentials import PRINCIPALS, issue_profiles
from local.demo.attack import Damage, Prey, keys_of, try_to_destroy, try_to_hide_everything, wreck
from local.demo.evidence import DemoFailed, Evidence
from local.demo.figures import write_figures
from local.demo.story import Story
from local.deploy import deploy
from local.embedded import ACCOUNT, PYTHON, REGION, EmbeddedAws, NotStarted
from local.synthesis import ROOT, SynthesisFailed, synthesize

DIRECTORY = ROOT / "build" / "demo"
RAW = ROOT / "build" / "raw" / "demo"
REPOSITORIES = Path(__file__).with_name("repositories.toml")
TARGET = "rwm-restore-alpha"
SECRET = "rwm-demo-restic-password"
RECORDED_WITHIN_SECONDS = 45


@dataclass(frozen=True, slots=True)
class Stage:
    """What every scene needs."""

    aws: EmbeddedAws
    configuration: Configuration
    evidence: Evidence
    story: Story
    password: str

    def repository(self, name: str) -> Repository:
        return next(each for each in self.configuration.repositories if each.name == name)

    def url(self, bucket: str, prefix: str = "") -> str:
        return f"s3:{self.aws.endpoint_url}/{bucket}/{prefix}".rstrip("/")

    def queue_url(self, name: str) -> str:
        return f"{self.aws.endpoint_url}/{ACCOUNT}/{self.configuration.names.queue(name)}"

    def restic(self, profile: str, url: str, *arguments: str, expect: tuple[int, ...] = (0,)) -> str:
        """Run the real restic with a profile's own credentials."""
        environment = {
            **self.aws.environment,
            "AWS_PROFILE": profile,
            "RESTIC_PASSWORD": self.password,
            "RESTIC_CACHE_DIR": str(DIRECTORY / "cache"),
        }
        return self.evidence.run(["restic", "-r", url, *arguments], environment, expect=expect)

    def rwm(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> Any:
        """Run the operator's command with the operator's role."""
        environment = {**self.aws.environment, "AWS_PROFILE": "operator"}
        printed = self.evidence.run(
            [str(ROOT / ".venv" / "bin" / "rwm"), *arguments, "--json"], environment, expect=expect
        )
        answer = json.loads(printed)
        self.evidence.answer(f"rwm {arguments[0]}", answer)
        return answer

    def publish(self, name: str) -> None:
        """What a host runs after `restic backup`."""
        environment = {
            **self.aws.environment,
            "AWS_PROFILE": f"host-{name}",
            "RWM_QUEUE_URL": self.queue_url(name),
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        self.evidence.run(["sh", str(ROOT / "host" / "rwm-publish"), "--restic-exit", "0"], environment)

    def states(self, name: str) -> list[dict[str, Any]]:
        return list(self.rwm("states", name)["states"])

    def await_state(self, name: str, generation: int) -> dict[str, Any]:
        """The newest state, once there are `generation` of them."""
        deadline = time.monotonic() + RECORDED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            states = self.states(name)
            if states and states[0]["generation"] >= generation:
                return states[0]
            time.sleep(0.5)
        raise DemoFailed(
            f"no state {generation} of {name} within {RECORDED_WITHIN_SECONDS} s; the log ends with:\n"
            f"{self.aws.log_tail()}"
        )

    def prey(self, name: str) -> Prey:
        repository = self.repository(name)
        profile = f"host-{name}"
        return Prey(
            name,
            repository.bucket,
            repository.key_prefix,
            self.aws.client("s3", profile),
            lambda service: self.aws.client(service, profile),
        )


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
    story.good(f"app.py synthesized {configuration.names.data_stack} and {configuration.names.flows_stack}")
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
    told = _listen(stage)
    damage = _attack(stage)
    after = _record_the_damage(stage, before, damage)
    _check_after(stage, damage, told)
    _restore(stage, before["alpha"], sources["alpha"])
    _nothing_was_lost(stage, before["alpha"], after)


def _back_up_twice(stage: Stage, sources: Mapping[str, Path]) -> None:
    story, evidence = stage.story, stage.evidence
    story.chapter("Back up: two hosts, two backups each, and an event after each")
    urls = {name: _url(stage, name) for name in sources}
    with evidence.step("init"):
        _both(sources, lambda name: stage.restic(f"host-{name}", urls[name], "init", "--quiet"))
    for number, touch in enumerate((_fill, _change), start=1):
        with evidence.step(f"backup {number}"):
            for source in sources.values():
                touch(source)
            _both(
                sources,
                lambda name: stage.restic(
                    f"host-{name}", urls[name], "backup", "--quiet", "--pack-size", "4", str(sources[name])
                ),
            )
        with evidence.step(f"record {number}"):
            for name in sources:
                stage.publish(name)
            states = {name: stage.await_state(name, number) for name in sources}
        for name, state in states.items():
            story.good(
                f"{name}: state [bold]{state['id'][:12]}[/bold] of {state['cut_time']}: {state['objects']} objects, "
                f"{state['bytes'] / 2**20:.1f} MiB"
            )


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


def _listen(stage: Stage) -> str:
    """Subscribe a queue to the alerts, as a person subscribes with an address; returns the queue's URL."""
    names, sqs = stage.configuration.names, stage.aws.client("sqs")
    url = str(sqs.create_queue(QueueName="inbox-of-the-operator")["QueueUrl"])
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{names.alerts}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    stage.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    return url


def _inbox(stage: Stage, url: str) -> list[str]:
    """Subjects of what came."""
    sqs = stage.aws.client("sqs")
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
    return [str(json.loads(message["Body"])["Subject"]) for message in answer.get("Messages", [])]


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
    stage.restic("host-alpha", _url(stage, "alpha"), "snapshots", "--no-lock", expect=(1, 10, 11, 12))
    story.bad("alpha: restic finds no repository any more")
    stage.restic("host-beta", _url(stage, "beta"), "check", "--quiet")
    story.good("beta: `restic check` finds nothing wrong")
    return damage


def _record_the_damage(stage: Stage, before: Mapping[str, dict[str, Any]], damage: Damage) -> dict[str, Any]:
    story = stage.story
    story.chapter("Record: the next event shows the damage")
    with stage.evidence.step("record the damage"):
        stage.publish("alpha")
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


def _check_after(stage: Stage, damage: Damage, inbox: str) -> None:
    story = stage.story
    story.chapter("Check: the findings name what was done")
    told = _inbox(stage, inbox)
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
    if _inbox(stage, inbox):
        raise DemoFailed("the operator was told the same thing twice")
    story.good("nobody is told the same thing twice")


def _restore(stage: Stage, state: dict[str, Any], source: Path) -> None:
    story, evidence = stage.story, stage.evidence
    story.chapter("Restore: the last good state, to a new bucket")
    stage.aws.client("s3").create_bucket(Bucket=TARGET)
    with evidence.step("restore"):
        report = stage.rwm("restore", "alpha", "last-good", "--to-bucket", TARGET)
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
    restored = DIRECTORY / "restored"
    with evidence.step("restic restore"):
        stage.restic("admin", url, "restore", "latest", "--no-lock", "--quiet", "--target", str(restored))
    # diff ends with 1 when anything differs.
    evidence.run(["diff", "-r", str(source), str(restored / source.relative_to("/"))], {})
    story.good("`restic restore` gives back the source: `diff -r` finds no difference")


def _nothing_was_lost(stage: Stage, before: dict[str, Any], after: dict[str, Any]) -> None:
    again = stage.rwm("restore", "alpha", before["id"], "--to-bucket", TARGET)
    if (again["copied"], again["skipped"]) != (0, before["objects"]):
        raise DemoFailed(f"a second restore of the same state copied {again['copied']} objects")
    stage.story.good("the same restore again copies nothing: everything is there and proven")
    refused = stage.rwm("restore", "alpha", after["id"], "--to-bucket", TARGET, expect=(2,))
    stage.story.good(f"another state into that bucket is refused: {refused['error']['message'][:90]}…")


def _url(stage: Stage, name: str) -> str:
    repository = stage.repository(name)
    return stage.url(repository.bucket, repository.prefix)


def _both(names: Mapping[str, object], do: Callable[[str], object]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(do, names))


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


def _fill(source: Path) -> None:
    """A small tree of files: some that compress, some that do not, and names that are easy to get wrong."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    content = random.Random(source.name)
    for number in range(60):
        folder = source / f"folder {number % 6}"
        folder.mkdir(exist_ok=True)
        (folder / f"noise {number}.bin").write_bytes(content.randbytes(300_000))
        (folder / f"text-{number}.txt").write_text(f"line {number}\n" * 2_000)
    (source / "empty").touch()
    (source / "ümläut + plus % percent").write_bytes(b"x" * 10)
    (source / "link").symlink_to("empty")


def _change(source: Path) -> None:
    content = random.Random(f"{source.name} again")
    for number in range(0, 60, 7):
        (source / f"folder {number % 6}" / f"noise {number}.bin").write_bytes(content.randbytes(300_000))
    (source / "folder 0" / "text-0.txt").unlink()
    (source / "new").write_bytes(content.randbytes(1_000_000))


if __name__ == "__main__":
    sys.exit(main())

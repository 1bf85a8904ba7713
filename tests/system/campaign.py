"""A patient attacker against the prune of real repositories, attack by attack: each a scene in a thread of its own.

The same attacks as tests/prune/test_campaign.py over the fakes. There a day is a day; here it is the few seconds of
grace and retention that tests/system/repositories.toml gives each repository.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from botocore.exceptions import ClientError

from cli import workflow
from cli.plans import PlanDetails
from functions.domain.values import StateId
from tests.system.people import Ended, Kept, People
from tests.system.system import System, done, instant

Versions = set[tuple[str, str]]
Scene = Callable[[System, Path], "Campaign"]


@dataclass(frozen=True, slots=True)
class Campaign:
    """What became of one attack."""

    good: tuple[StateId, ...]
    """The states that it is meant to destroy."""
    prunes: tuple[Ended, ...]
    kept: Kept
    plans: tuple[PlanDetails, ...] = ()
    """Those that an approver was asked for."""
    seen: dict[str, Any] = field(default_factory=dict)
    """What else the tests look at."""


# --- months of patience ---------------------------------------------------------------------------


def poison_then_wait(system: System, sources: Path) -> Campaign:
    """The host writes garbage over every pack, and waits until grace and retention are over."""
    people = People(system, "poisoned", sources)
    good = people.two_backups()
    s3 = people.client("host")
    for key in people.current("data/"):
        size = s3.head_object(Bucket=people.bucket, Key=key)["ContentLength"]
        s3.put_object(Bucket=people.bucket, Key=key, Body=bytes(size))
    prunes = []
    for _ in range(3):
        people.wait()
        prunes.append(people.prune())
    return Campaign(good, tuple(prunes), people.look(sound=good))


EROSION_DAYS = 6
EROSION_PACKS = 20


def erode_slowly(system: System, sources: Path) -> Campaign:
    """A twentieth of the data is hidden each day, by the host itself. It is pruned early, when nobody can notice yet,
    and late: then somebody who stole the task token wakes the prune, and nobody has approved it."""
    people = People(system, "eroded", sources)
    people.restic("host", "init")
    for _ in range(EROSION_PACKS):
        people.back_up(20_000)
    good = people.state()
    s3 = people.client("host")
    packs = [key for key in people.current("data/") if _size(s3, people, key) > 20_000]
    early: list[Ended] = []
    for day, key in enumerate(packs[:EROSION_DAYS]):
        s3.delete_object(Bucket=people.bucket, Key=key)
        people.state()
        if day == 1:
            early.append(people.prune())
    # An honest backup: its lock file is something to prune.
    people.back_up(20_000)
    people.wait()
    late = people.begin()
    plan = people.asked(late)
    operations = system.items(system.names.operations, "plan-token#eroded")
    (token,) = (item["token"]["S"] for item in operations if item["sk"]["S"] == plan.plan)
    system.client("stepfunctions").send_task_success(taskToken=token, output='{"approved": true}')
    return Campaign((good,), (*early, people.ended(late)), people.look(sound=[good]), (plan,), {"packs": len(packs)})


def _size(s3: Any, people: People, key: str) -> int:
    return int(s3.head_object(Bucket=people.bucket, Key=key)["ContentLength"])


EVENTS = 500
BURSTS = 10


def flood_with_events(system: System, sources: Path) -> Campaign:
    """The host forgets, uploads and cries "done", five hundred times within what is a day there, so that states come
    in masses. Then time passes."""
    people = People(system, "flooded", sources)
    _, good = people.two_backups()
    people.forget_but_the_newest("host")
    for burst in range(BURSTS):
        system.put("flooded", dict([_pack(f"flood {burst}")]))
        system.send("flooded", *[done()] * (EVENTS // BURSTS))
        time.sleep(1)
    people.wait()
    system.eventually("all events of flooded answered", lambda: not system.waiting("flooded"), 200)
    newest_first = system.states("flooded")
    flood = [instant(state["cut_time"]) for state in newest_first if state["cause"]["reason"] == "event"]
    before = next(instant(state["cut_time"]) for state in newest_first if state["id"] == good)
    seen = {"took": flood[0] - before, "states": len(flood), "waiting": system.waiting("flooded")}
    return Campaign((good,), (people.prune(),), people.look(sound=[good]), seen=seen)


def hide_and_be_silent(system: System, sources: Path) -> Campaign:
    """The host forgets all but the newest backup, and says nothing any more, for longer than everything is kept and
    than it ever paused. Others record."""
    people = People(system, "silenced", sources)
    good = people.two_backups()
    people.forget_but_the_newest("host")
    third = people.state()
    earlier, newest = people.snapshot_uploads()
    longest = max(2 * (newest - earlier), system.repository("silenced").max_state_age)
    silence = newest + longest + timedelta(seconds=2) - datetime.now(UTC)
    time.sleep(max(0.0, silence.total_seconds()))
    silent, prunes = [], []
    for _ in range(2):
        silent.append(people.state())
        prunes.append(people.prune())
        people.wait()
    silent.append(people.state())
    return Campaign((*good, third), tuple(prunes), people.look(sound=good), seen={"silent": silent})


def replace_everything(system: System, sources: Path) -> Campaign:
    """The host forgets every snapshot and backs up something else: all that it leaves is valid."""
    people = People(system, "replaced", sources)
    good = people.two_backups()
    people.back_up(1_000)
    people.forget_but_the_newest("host")
    prunes = []
    for _ in range(4):
        people.wait()
        prunes.append(people.prune())
    return Campaign(good, tuple(prunes), people.look(sound=[*good, people.state()]))


# --- just in time ---------------------------------------------------------------------------------


def attack_between_plan_and_apply(system: System, sources: Path) -> Campaign:
    """Twice while an approver is asked: somebody brings a planned version back, and a state names it; and the host
    writes over what is planned, and hides what is not."""
    people = People(system, "raced", sources)
    people.live()
    first = people.begin()
    plans = [people.asked(first)]
    key, (marker, version) = min(people.hidden("data/").items())
    glass = system.user("break-glass", "s3:*")("s3")
    glass.delete_object(Bucket=people.bucket, Key=key, VersionId=marker, BypassGovernanceRetention=True)
    named = people.state()
    people.decide(plans[0])
    prunes = [people.ended(first)]

    host = people.client("host")
    host.delete_object(Bucket=people.bucket, Key=key)
    people.wait()
    second = people.begin()
    plans.append(people.asked(second))
    seen = {"named": named, "version": (key, version), "before": system.versions("raced")}
    bodies = {each: _read(system, people, each, beneath) for each, (_, beneath) in people.hidden().items()}
    again = {
        each: host.put_object(Bucket=people.bucket, Key=each, Body=body)["VersionId"] for each, body in bodies.items()
    }
    seen["again"] = set(again.items())
    victims = people.current("data/")[:2]
    for each in victims:
        host.delete_object(Bucket=people.bucket, Key=each)
    people.decide(plans[1])
    prunes.append(people.ended(second))
    seen["after"] = system.versions("raced")
    for each, body in {each: _read_newest(system, people, each) for each in victims}.items():
        host.put_object(Bucket=people.bucket, Key=each, Body=body)
    last = people.state()
    return Campaign((named,), tuple(prunes), people.look(sound=[last]), tuple(plans), seen)


def flicker_while_it_is_applied(system: System, sources: Path) -> Campaign:
    """From the approval to the end, the host hides what kept states name and uploads it again, uploads what is planned
    and hides it again; and somebody takes markers away, and hides again."""
    people = People(system, "flickering", sources)
    people.live()
    execution = people.begin()
    plan = people.asked(execution)
    before = system.versions("flickering")
    named, planned = people.current("data/"), sorted(people.hidden("data/")) + sorted(people.hidden("index/"))
    s3, glass = people.client("host"), system.user("break-glass", "s3:*")("s3")
    bodies = {each: _read_newest(system, people, each) for each in (*named, *planned)}

    def hide(key: str) -> str:
        return str(s3.delete_object(Bucket=people.bucket, Key=key)["VersionId"])

    def upload(key: str) -> None:
        s3.put_object(Bucket=people.bucket, Key=key, Body=bodies[key])

    def hide_and_upload() -> None:
        hide(named[0])
        upload(named[0])

    def upload_and_hide() -> None:
        upload(planned[0])
        hide(planned[0])

    def unhide_and_hide() -> None:
        marker = hide(planned[-1])
        glass.delete_object(Bucket=people.bucket, Key=planned[-1], VersionId=marker, BypassGovernanceRetention=True)

    with _again_and_again(people, execution, hide_and_upload, upload_and_hide, unhide_and_hide) as times:
        people.decide(plan)
        ended = people.ended(execution)
    seen = {"times": times, "before": before, "after": system.versions("flickering")}
    state = people.state()
    return Campaign((state,), (ended,), people.look(sound=[state]), (plan,), seen)


@contextmanager
def _again_and_again(people: People, execution: str, *acts: Callable[[], None]) -> Iterator[dict[str, int]]:
    """Do each of `acts` in turns, in another thread; how often while that execution had the lease."""
    times = {act.__name__: 0 for act in acts}
    enough = Event()

    def act() -> None:
        while not enough.is_set():
            for each in acts:
                during = people.has_the_lease(execution)
                each()
                times[each.__name__] += during and people.has_the_lease(execution)
                enough.wait(0.02)

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        try:
            yield times
        finally:
            enough.set()
            acting.result()


JUNK = 300
ATTEMPTS = 4


def prune_twice_at_once(system: System, sources: Path) -> Campaign:
    """Two prunes are begun and approved together, until both want the lease at once; then there is a third."""
    people = People(system, "rivals", sources)
    people.live()
    for attempt in range(ATTEMPTS):
        before = system.versions("rivals")
        with ThreadPoolExecutor(2) as pool:
            executions = list(pool.map(lambda _: people.begin(), range(2)))
            plans = list(pool.map(people.asked, executions))
            list(pool.map(people.decide, plans))
            prunes = list(pool.map(people.ended, executions))
        if any(prune.status != "SUCCEEDED" for prune in prunes):
            break
        # One came when the other was over already, and found nothing left to delete.
        _upload_and_hide(people, attempt, "maintenance")
        people.wait()
    gone = before - system.versions("rivals")
    # Its lock file is something to prune.
    people.back_up()
    people.wait()
    after = people.begin()
    plans.append(people.asked(after))
    people.decide(plans[2])
    prunes.append(people.ended(after))
    state = people.state()
    return Campaign((state,), tuple(prunes), people.look(sound=[state]), tuple(plans), {"gone": gone})


def restore_while_it_is_applied(system: System, sources: Path) -> Campaign:
    """A restore begins as soon as the first batch of a prune is through. Then the whole workflow restores, and once
    more: that one is stopped in its middle by an administrator, which leaves what it announced to the next prune.

    Of the restore that has to last for as long as the scene needs it, only the first and the last step are called, as
    the workflow calls them: a whole one is over within seconds, and a batch of a prune, too.
    """
    people = People(system, "interrupted", sources)
    good = people.two_backups()
    targets = [system.target(f"interrupted-by-{attempt}") for attempt in range(ATTEMPTS)]
    # A function's first call takes longer than the moment lasts.
    _end_by_hand(people, _announce_by_hand(people, good[0], targets[0], "restore-of-before"))
    for attempt, target in enumerate(targets):
        _upload_and_hide(people, attempt)
        people.wait()
        execution = people.begin()
        plan = people.asked(execution)
        people.decide(plan)
        people.moment(partial(people.results, execution))
        # Of the state of this same prune, which no prune so far can have dropped.
        incident = _announce_by_hand(people, plan.state, target, f"restore-of-an-incident-{attempt}")
        ended = people.ended(execution)
        if ended.error == "PruneIncomplete":
            break
        # It was too fast this time: it had begun with its last batch.
        _end_by_hand(people, incident)
    announced = [people.under_way()]
    seen = {"before": system.versions("interrupted"), "markers": people.markers(), "announced": announced}
    during = people.begin()
    plans = [plan, people.asked(during)]
    people.decide(plans[1])
    prunes = [ended, people.ended(during)]
    seen["restored"] = people.restore(plan.state, "interrupted-during")
    seen["during"] = system.versions("interrupted")
    announced.append(people.under_way())
    _end_by_hand(people, incident)
    seen["aborted"] = _begin_a_restore_and_stop_it(people, plans[1].state)
    announced.append(people.under_way())
    after = people.begin()
    plans.append(people.asked(after))
    people.decide(plans[2])
    prunes.append(people.ended(after))
    announced.append(people.under_way())
    state = people.state()
    return Campaign((state,), tuple(prunes), people.look(sound=[*good, state]), tuple(plans), seen)


def _announce_by_hand(people: People, state: StateId, target: str, execution: str) -> str:
    where = {"bucket": target, "prefix": ""}
    asked = {"repository": people.name, "state": state, "target": where, "execution": execution}
    _call(people.system, "announce-restore", asked)
    return execution


def _end_by_hand(people: People, execution: str) -> None:
    _call(people.system, "end-restore", {"repository": people.name, "execution": execution})


def _call(system: System, step: str, asked: dict[str, Any]) -> None:
    function = system.names.function(step)
    answer = system.client("lambda").invoke(FunctionName=function, Payload=json.dumps(asked))
    assert "FunctionError" not in answer, answer["Payload"].read()


def _begin_a_restore_and_stop_it(people: People, state: StateId) -> str:
    """Its execution's name."""
    system, deployment = people.system, people.system.deployment()

    def announced_or_over(execution: str) -> bool:
        return bool(people.under_way()) or workflow.describe(deployment, execution)["status"] != "RUNNING"

    for attempt in range(ATTEMPTS):
        target = system.target(f"interrupted-stopped-{attempt}")
        execution = people.begin_restore(state, target).execution
        people.moment(partial(announced_or_over, execution))
        with suppress(ClientError):
            system.client("stepfunctions").stop_execution(executionArn=execution)
        if workflow.describe(deployment, execution)["status"] == "ABORTED":
            return workflow.name_of(execution)
    raise AssertionError(f"each of {ATTEMPTS} restores was over before it could be stopped")


def _upload_and_hide(people: People, attempt: int, who: str = "host") -> None:
    """Packs that no state ever names."""
    junk = dict(_pack(f"{attempt} {number}") for number in range(JUNK))
    people.system.put(people.name, junk)
    keys = [{"Key": people.prefix + key} for key in junk]
    people.client(who).delete_objects(Bucket=people.bucket, Delete={"Objects": keys})


def _pack(seed: str) -> tuple[str, bytes]:
    """Well named, and nothing else."""
    body = random.Random(seed).randbytes(500)
    digest = hashlib.sha256(body).hexdigest()
    return f"data/{digest[:2]}/{digest}", body


def _read(system: System, people: People, key: str, version: str) -> bytes:
    found = system.client("s3").get_object(Bucket=people.bucket, Key=key, VersionId=version)
    return bytes(found["Body"].read())


def _read_newest(system: System, people: People, key: str) -> bytes:
    """The newest version of a key, hidden or not."""
    listed = system.client("s3").list_object_versions(Bucket=people.bucket, Prefix=key)
    return _read(system, people, key, listed["Versions"][0]["VersionId"])


SCENES: dict[str, Scene] = {
    "poison then wait": poison_then_wait,
    "slow erosion": erode_slowly,
    "five hundred events": flood_with_events,
    "silence": hide_and_be_silent,
    "something valid instead": replace_everything,
    "between plan and apply": attack_between_plan_and_apply,
    "hide and un-hide": flicker_while_it_is_applied,
    "two prunes at once": prune_twice_at_once,
    "a restore during apply": restore_while_it_is_applied,
}

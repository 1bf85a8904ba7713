"""What can happen to a deployment, written once: the acts of hosts, attackers, people, time and workflows.

Each act is a method of `Life` and takes three numbers, which choose among what is possible then. So a life is a list
of (act, number, number, number): hypothesis chooses and shortens it, a seeded random generator chooses it faster.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from functions.check.acknowledge import AcknowledgePorts, AcknowledgeRefused, acknowledge
from functions.check.acknowledge import Asked as Acknowledging
from functions.domain.prune.entries import batch_digest
from functions.domain.prune.plan import Phase, PrunePlan, batch_file, plan_file
from functions.domain.recording import Wish
from functions.domain.repositories import Configuration, Repository
from functions.domain.state import Cause
from functions.domain.values import Digest, RepositoryName, StateId, VersionId
from functions.prune.apply import ApplyRequest
from functions.prune.approve import Asked as Deciding
from functions.prune.approve import DecisionRefused, approve
from functions.prune.hold import Asked as Holding
from functions.prune.hold import HoldRefused, hold, release
from functions.record.answering import RecordFunction
from tests.builders import named, pack
from tests.fakes.ports import FakeMessageDelay
from tests.fakes.s3 import Integrity
from tests.fakes.s3_errors import AccessDenied, InternalError, S3Error, SlowDown
from tests.fakes.s3_model import LockMode, Retention, Upload, Version
from tests.promises.running import STOPS, Prune, Refusals, Restore, run_apply
from tests.promises.truth import FLOOD, Plan, Truth
from tests.promises.world import (
    ALPHA,
    BETA,
    GRACE,
    HOST,
    MAINTENANCE,
    PROTECTED,
    RECORDS,
    TROUBLED,
    Settings,
    Trouble,
    World,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SPANS = (
    timedelta(seconds=5),
    MINUTE,
    10 * MINUTE,
    40 * MINUTE,
    6 * HOUR,
    DAY,
    DAY,
    DAY,
    2 * DAY,
    2 * DAY,
    3 * DAY,
    5 * DAY,
    9 * DAY,
    40 * DAY,
)
SHA256 = Integrity(algorithm="SHA256")
APPROVER = "arn:aws:sts::123456789012:assumed-role/rwm-approver/anna"
MOST_FLOODS = 2
"""Keys of a life that are flooded."""
MOST_PRUNES = 8
"""Until nothing is left that nobody needs."""
MOMENTS = 48
"""At one of so many moments of a step its trouble strikes; each call of the step has two."""

FEW_MOMENTS = 4
"""Of the operations at which a stage is vulnerable."""
VULNERABLE: dict[str, frozenset[str]] = {
    "record": frozenset({"ListObjectVersions", "Commit"}),
    "drop": frozenset({"Drop"}),
    "versions": frozenset({"DeleteObjects"}),
    "markers": frozenset({"DeleteObjects"}),
}
"""Between looking and acting."""

# Each act as often as it should come; the first is what hypothesis shortens to.
WEIGHTS: dict[str, int] = {
    "wait": 12,
    "back_up": 10,
    "good_days": 4,
    "record": 8,
    "advance": 50,
    "start_prune": 6,
    "decide": 9,
    "forget": 5,
    "restore": 1,
    "advance_restore": 8,
    "mend": 3,
    "acknowledge": 4,
    "hold": 1,
    "release": 2,
    "messages": 1,
    "flood_of_events": 1,
    "hide": 2,
    "overwrite": 1,
    "unhide": 3,
    "upload_again": 2,
    "begin_upload": 2,
    "complete_upload": 2,
    "change_key_files": 1,
    "write_alien": 2,
    "plant_lock": 2,
    "retain": 2,
    "wipe": 1,
    "flood_key": 1,
    "run_late": 3,
    "forge": 5,
    "abort": 2,
}
ACTS: tuple[str, ...] = tuple(act for act, weight in WEIGHTS.items() for _ in range(weight))
ATTACKS = frozenset(
    {"hide", "overwrite", "change_key_files", "write_alien", "retain", "wipe", "flood_key", "begin_upload"}
)
"""Without these, what happens is what an honest deployment sees."""
MEANWHILE = (
    "hide",
    "unhide",
    "upload_again",
    "overwrite",
    "begin_upload",
    "complete_upload",
    "hold",
    "release",
    "begin_restore",
    "record",
    "attack_and_record",
    "lose_lease",
    "wait_a_little",
)
MEANWHILE_OF: dict[str, tuple[str, ...]] = {
    "drop": ("attack_and_record", "attack_and_record", "hold", "begin_restore", "lose_lease"),
    "versions": ("hold", "release", "begin_restore", "lose_lease", *MEANWHILE),
    "markers": ("hold", "unhide", "begin_restore", "lose_lease", *MEANWHILE),
}
"""What would do most harm."""
Step = tuple[str, int, int, int]


RETENTIONS: tuple[dict[str, Any], ...] = (
    {"keep_within": "2d", "days": 0, "weeks": 0, "months": 0, "years": 0},
    {"keep_within": "2d", "days": 1, "weeks": 0, "months": 0, "years": 0},
    {"keep_within": "3d", "days": 2, "weeks": 1, "months": 1, "years": 0},
)
LEAST_DELETED = {"versions": 10, "markers": 8, "states": 1, "restores": 0.5}
"""Per life, on average: where nothing is ever deleted, every promise holds."""


def settings_of(seed: int, approval: Any, odd: int, retention: int) -> Settings:
    """One of the ways to set a repository up."""
    return Settings(
        seed=seed,
        approval=approval,
        bypass=odd % 8 == 1,
        adopt=odd % 8 == 2,
        host_may_hide=odd % 4 != 3,
        retention=RETENTIONS[retention % len(RETENTIONS)],
        strict=odd >= 24,
    )


class Refusing(dict[str, Callable[[], S3Error | None]]):
    """What S3 says of single keys of a batch, by chance: nothing, trouble that passes, or no."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        # So that it counts as something.
        self[""] = lambda: None
        self._seed = seed
        self._asked: Counter[str] = Counter()
        self.passes = seed % 3 > 0
        """All of it passes after a few tries."""

    def get(self, key: str, default: Any = None) -> Any:
        self._asked[key] += 1
        chosen = crc32(f"{self._seed} {key}".encode()) % 6
        if self.passes:
            return lambda: SlowDown() if self._asked[key] <= chosen - 2 else None
        answers: dict[int, S3Error | None] = {0: AccessDenied("denied by a policy"), 1: InternalError()}
        return lambda: answers.get(chosen)


@dataclass(slots=True)
class Honest:
    """What the owner of a repository wants to be there."""

    live: dict[str, bytes] = field(default_factory=dict)
    """By key; also what an attacker hid meanwhile."""
    backups: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    """Snapshot, index and packs of each that is not forgotten."""
    sent: list[datetime] = field(default_factory=list)
    """When the events were sent."""
    count: int = 0


def body(text: str) -> bytes:
    return text.encode().ljust(40, b".")


class Life:
    """A deployment from its first backup on. Each step is judged by `Truth`, which raises PromiseBroken."""

    def __init__(self, settings: Settings, *, attacked: bool = True) -> None:
        self.world = World(settings)
        self.truth = Truth(self.world)
        self.attacked = attacked
        self.honest = {name: Honest() for name in self.world.repositories}
        self.prunes: list[Prune] = []
        self.restores: list[Restore] = []
        self.late: list[ApplyRequest] = []
        """What children were once given."""
        self.uploads: list[tuple[str, Upload]] = []
        self.steps = 0
        self.numbered = 0
        self.floods = 0
        self.log: list[str] = []
        for name in self.world.repositories:
            self._init(name)

    # --- one step --------------------------------------------------------------------------------------

    def step(self, act: str, a: int, b: int, c: int) -> None:
        self.steps += 1
        a, b, c = _spread(a), _spread(b), _spread(c)
        if act in ATTACKS and not self.attacked:
            act = "wait"
        self.log.append(act)
        getattr(self, act)(a, b, c)
        self.truth.look()
        if self.steps % 50 == 0:
            self.truth.look_at_everything()

    def _repository(self, number: int) -> Repository:
        return self.world.repositories[BETA if number % 7 == 0 else ALPHA]

    def _number(self) -> int:
        self.numbered += 1
        return self.numbered

    def _trouble(self, number: int, stage: str = "") -> Trouble:
        """None at all, or one at any moment, or at one at which the `stage` is most vulnerable."""
        kind, rest = number % 16, number // 16
        vulnerable = VULNERABLE.get(stage, frozenset()) if rest % 4 else frozenset[str]()
        at = 1 + rest // 4 % (FEW_MOMENTS if vulnerable else MOMENTS)
        if kind < 7:
            return Trouble()
        if kind < 9:
            return Trouble("kill", at, during=vulnerable)
        if kind < 11:
            return Trouble("error", at, during=vulnerable)
        return Trouble("meanwhile", at, lambda: self._meanwhile(rest // 16, stage), vulnerable)

    def _meanwhile(self, number: int, stage: str) -> None:
        """Somebody acts in the middle of a step."""
        acts = MEANWHILE_OF.get(stage, MEANWHILE)
        act = acts[number % len(acts)]
        if act in ATTACKS and not self.attacked:
            act = "wait_a_little"
        self.log.append(f"meanwhile {act}")
        with self.world.in_trouble(Trouble()):
            getattr(self, act)(number + 1, number // 5, 0)
        self.truth.learn()
        self.truth.tick += 1
        self.truth.meanwhile = self.truth.tick

    # --- time ------------------------------------------------------------------------------------------

    def wait(self, a: int, b: int, _: int) -> None:
        """Seconds to months; while a prune runs, mostly less than it is good for."""
        busy = any(prune.stage != "over" for prune in self.prunes) and b % 10
        self.world.clock.advance(SPANS[a % (5 if busy else len(SPANS))])

    def wait_a_little(self, a: int, _: int, __: int) -> None:
        self.world.clock.advance(a % 40)

    # --- an honest host and its maintenance ------------------------------------------------------------

    def _put(self, name: RepositoryName, key: str, content: bytes, by: str = "") -> None:
        self.world.clock.advance(1)
        full = self.world.repositories[name].key_prefix + key
        self.world.s3.put(PROTECTED, full, content, integrity=SHA256, by=by or f"{HOST}-{name}")

    def _delete(self, name: RepositoryName, key: str, by: str = "") -> None:
        full = self.world.repositories[name].key_prefix + key
        self.world.s3.delete(PROTECTED, full, by=by or f"{HOST}-{name}")

    def _init(self, name: RepositoryName) -> None:
        honest = self.honest[name]
        for key, content in (("config", "the config"), (named("keys", _padded("the key")), "the key")):
            honest.live[key] = body(content)
            self._put(name, key, body(content))
        for _ in range(3):
            self._back_up(name, 2)
            self.world.clock.advance(DAY)
            self._record(name, "schedule")
        self.truth.look()

    def back_up(self, a: int, b: int, c: int) -> None:
        """A backup, which may be killed in the middle, and its event."""
        self._back_up(self._repository(a).repository, 1 + b % 3, killed=c % 8 == 7)

    def good_days(self, a: int, b: int, c: int) -> None:
        """A while in which all is in order, so that states before it may go; but not while a prune runs."""
        if any(prune.stage != "over" for prune in self.prunes):
            return self.back_up(a, b, c)
        name = self._repository(a).repository
        for _ in range(3 + b % 2):
            self._mend(name)
            self._back_up(name, 1)
            self.world.clock.advance(HOUR)
            self._record(name, "schedule")
            self._acknowledge(name)
            self.world.clock.advance(GRACE)
        return None

    def _back_up(self, name: RepositoryName, packs: int, *, killed: bool = False) -> None:
        honest = self.honest[name]
        honest.count += 1
        text = f"{name} {honest.count}"
        lock = named("locks", _padded(text))
        self._put(name, lock, body(text))
        contents = [f"{text} pack {number}" for number in range(packs)]
        for content in contents:
            self._put(name, pack(_padded(content)), body(content))
        if killed:
            # Packs that no index names: the next `restic prune` hides them.
            return
        index, snapshot = f"{text} index", f"{text} snapshot"
        self._put(name, named("index", _padded(index)), body(index))
        self._put(name, named("snapshots", _padded(snapshot)), body(snapshot))
        self._delete(name, lock)
        keys = tuple(pack(_padded(content)) for content in contents)
        honest.backups.append((named("snapshots", _padded(snapshot)), named("index", _padded(index)), keys))
        honest.live |= {key: body(content) for key, content in zip(keys, contents, strict=True)}
        honest.live |= {honest.backups[-1][0]: body(snapshot), honest.backups[-1][1]: body(index)}
        honest.sent.append(self.world.clock.now())

    def forget(self, a: int, b: int, _: int) -> None:
        """`restic forget --prune` by maintenance: old snapshots go, then what they alone used, and strays."""
        name = self._repository(a).repository
        honest = self.honest[name]
        self.world.clock.advance(HOUR)
        self._forget(name, max(1, len(honest.backups) // (2 + b % 3)))

    def _forget(self, name: RepositoryName, keep: int) -> None:
        honest = self.honest[name]
        gone = honest.backups[:-keep]
        honest.backups = honest.backups[-keep:]
        for snapshot, _, _ in gone:
            self._hide_if_current(name, snapshot)
        for _, index, packs in gone:
            for key in (index, *packs):
                self._hide_if_current(name, key)
        for key in [key for backup in gone for key in (backup[0], backup[1], *backup[2])]:
            honest.live.pop(key, None)
        for key in self._current(name):
            if key.startswith(("data/", "locks/")) and key not in honest.live:
                self._delete(name, key, MAINTENANCE)

    def _hide_if_current(self, name: RepositoryName, key: str) -> None:
        if key in self._current(name):
            self.world.clock.advance(1)
            self._delete(name, key, MAINTENANCE)

    def _current(self, name: RepositoryName) -> dict[str, Version]:
        prefix = self.world.repositories[name].key_prefix
        return {
            key.removeprefix(prefix): history[-1]
            for key, history in sorted(self.truth.entries.items())
            if key.startswith(prefix) and not history[-1].is_delete_marker
        }

    def _hidden(self, name: RepositoryName) -> list[str]:
        prefix = self.world.repositories[name].key_prefix
        return [
            key.removeprefix(prefix)
            for key, history in sorted(self.truth.entries.items())
            if key.startswith(prefix) and history[-1].is_delete_marker
        ]

    def mend(self, a: int, _: int, __: int) -> None:
        """Maintenance brings the repository back to what its owner wants: true bytes on top, strangers hidden."""
        self._mend(self._repository(a).repository)

    def _mend(self, name: RepositoryName) -> None:
        live = self.honest[name].live
        current = self._current(name)
        for key, content in live.items():
            if key not in current or current[key].body != content:
                self._put(name, key, content, MAINTENANCE)
        for key in current:
            if key not in live:
                self._delete(name, key, MAINTENANCE)

    # --- an attacker with the host's rights ------------------------------------------------------------

    def _pick(self, options: Sequence[str], number: int) -> str | None:
        return options[number % len(options)] if options else None

    def hide(self, a: int, b: int, _: int) -> None:
        name = self._repository(a).repository
        for number in range(1 + b % 3):
            key = self._pick([*self._current(name)], a // 7 + number * 5)
            if key is not None:
                with suppress(AccessDenied):
                    self._delete(name, key)

    def wipe(self, a: int, b: int, __: int) -> None:
        """Everything is hidden, and sometimes a valid new repository takes its place."""
        name = self._repository(a).repository
        if b % 4:
            return self.hide(a, b, 0)
        for key in self._current(name):
            with suppress(AccessDenied):
                self._delete(name, key)
        if b % 8 == 0:
            self._put(name, "config", body(f"another config {self._number()}"))
        return None

    def overwrite(self, a: int, b: int, _: int) -> None:
        name = self._repository(a).repository
        if (key := self._pick([*self._current(name)], a // 7)) is not None:
            self._put(name, key, body(f"poison {self._number()}") if b % 3 else b"")

    def unhide(self, a: int, b: int, _: int) -> None:
        """The same bytes again; taking the marker away is beyond his rights."""
        name = self._repository(a).repository
        if (key := self._pick(self._hidden(name), a // 7)) is None:
            return
        full = self.world.repositories[name].key_prefix + key
        marker = self.truth.entries[full][-1]
        if b % 4 == 0:
            with suppress(AccessDenied):
                self.world.s3.delete_version(PROTECTED, full, marker.version_id, by=f"{HOST}-{name}")
                self.truth.say("a host took a delete marker away")
        self._put(name, key, self.truth.first_body[full])

    def upload_again(self, a: int, _: int, __: int) -> None:
        name = self._repository(a).repository
        current = self._current(name)
        if (key := self._pick([*current], a // 7)) is not None:
            self._put(name, key, current[key].body)

    def begin_upload(self, a: int, b: int, _: int) -> None:
        """In parts: what it becomes is dated and placed by now, however late it is completed."""
        name = self._repository(a).repository
        keys = self._hidden(name) if b % 2 else [*self._current(name)]
        if (key := self._pick(keys, a // 7)) is not None:
            full = self.world.repositories[name].key_prefix + key
            upload = self.world.s3.create_multipart_upload(PROTECTED, full, by=f"{HOST}-{name}")
            self.uploads.append((f"{HOST}-{name}", upload))

    def complete_upload(self, a: int, b: int, _: int) -> None:
        if not self.uploads:
            return
        who, upload = self.uploads.pop(a % len(self.uploads))
        s3 = self.world.s3
        if b % 4 == 0:
            s3.abort_multipart_upload(PROTECTED, upload.key, upload.upload_id, by=who)
            return
        content = self.truth.first_body.get(upload.key, b"") if b % 2 else body(f"late {self._number()}")
        part = s3.upload_part(PROTECTED, upload.key, upload.upload_id, 1, content, by=who)
        s3.complete_multipart_upload(PROTECTED, upload.key, upload.upload_id, [(1, part.etag)], by=who)

    def change_key_files(self, a: int, b: int, _: int) -> None:
        name = self._repository(a).repository
        if b % 2:
            text = f"a stranger's key {self._number()}"
            self._put(name, named("keys", _padded(text)), body(text))
        elif (key := self._pick([key for key in self._current(name) if key.startswith("keys/")], b // 2)) is not None:
            with suppress(AccessDenied):
                self._delete(name, key)

    def write_alien(self, a: int, b: int, _: int) -> None:
        """Names that restic does not give, and files beyond its prefix."""
        name, number = self._repository(a).repository, self._number()
        names = (f"data/zz/{number}", f"notes {number}.txt", f"snapshots/{number}", f"data/ünïcode/{number}\n")
        self._put(name, names[b % len(names)], body(f"alien {number}"))

    def plant_lock(self, a: int, b: int, _: int) -> None:
        """restic's kind: it makes states busy for half an hour, and lies about for ever."""
        name = self._repository(a).repository
        text = f"lock {self._number()}"
        if b % 3:
            self._put(name, named("locks", _padded(text)), body(text))
        elif (key := self._pick([key for key in self._current(name) if key.startswith("locks/")], b // 3)) is not None:
            self._delete(name, key)

    def retain(self, a: int, b: int, _: int) -> None:
        """S3's kind: denied to a host, unless the bucket is somebody else's to configure."""
        name = self._repository(a).repository
        prefix = self.world.repositories[name].key_prefix
        hidden = [
            (key, history[0].version_id)
            for key, history in sorted(self.truth.entries.items())
            if key.startswith(prefix) and len(history) > 1 and not history[0].is_delete_marker
        ]
        until, by = self.world.clock.now() + (3 + b % 5) * DAY, f"{HOST}-{name}"
        for key, version_id in hidden[a % 5 :: 5]:
            with suppress(S3Error):
                if b % 3 == 0:
                    self.world.s3.put_legal_hold(PROTECTED, key, b % 4 > 0, version_id, by=by)
                else:
                    mode = LockMode.COMPLIANCE if b % 2 else LockMode.GOVERNANCE
                    self.world.s3.put_retention(PROTECTED, key, Retention(mode, until), version_id, by=by)
                if not self.world.settings.adopt:
                    self.truth.say("a host set a retention")

    def flood_key(self, a: int, b: int, _: int) -> None:
        """So many versions of one key that nothing is planned for it."""
        name = self._repository(a).repository
        key = self._pick([*self._current(name)], a // 7)
        if key is None or b % 6 or self.floods == MOST_FLOODS:
            return
        self.floods += 1
        content = self._current(name)[key].body
        for _ in range(FLOOD + 1):
            full = self.world.repositories[name].key_prefix + key
            self.world.s3.put(PROTECTED, full, content, integrity=SHA256, by=f"{HOST}-{name}")

    def attack_and_record(self, a: int, b: int, _: int) -> None:
        """The next state has a FAIL."""
        name = self._repository(a + 1).repository
        packs = [key for key in self._current(name) if key.startswith("data/")]
        if self.attacked and (key := self._pick(packs, b)) is not None:
            self._put(name, key, b"")
        self.world.clock.advance(MINUTE)
        self._record(name, "event")

    # --- events and recordings -------------------------------------------------------------------------

    def record(self, a: int, b: int, c: int) -> None:
        """The host's last event, an old one again, or the schedule; in any order, and as often as you like."""
        name = self._repository(a).repository
        if b % 3:
            self.world.clock.advance(MINUTE + timedelta(seconds=30))
        self._record(name, ("event", "again", "schedule", "operator")[b % 4], self._trouble(c, "record"), a)

    def _record(self, name: RepositoryName, reason: str, trouble: Trouble | None = None, number: int = 0) -> None:
        sent = self.honest[name].sent
        known: Any = reason if reason in ("schedule", "operator") else "event"
        wish = Wish(Cause(reason=known))
        if known == "event":
            when = sent[number % len(sent)] if reason == "again" and sent else self.world.clock.now()
            wish = Wish(Cause(reason="event", sent=when), sent=when, deliveries=1 + number % 3)
        trouble = trouble or Trouble()
        try:
            with self.world.in_trouble(trouble):
                self.world.record(self.world.repositories[name], wish)
        except TROUBLED:
            if not trouble.struck:
                raise
        self.truth.learn()

    def messages(self, a: int, b: int, _: int) -> None:
        """A batch of one queue: forged, malformed, doubled and out of order."""
        name = self._repository(a).repository
        other = BETA if name == ALPHA else ALPHA
        bodies = (
            json.dumps({"event": "backup done"}),
            json.dumps({"event": "backup done", "repository": other}),
            json.dumps({"event": "backup done", "repository": name, "snapshot": "0" * 64}),
            "{" * (b % 5_000),
            json.dumps({"specversion": "1.0", "type": "dev.rwm.backup.done", "source": "me", "id": "1", "data": {}}),
        )
        before = len(self.truth.chain[other])
        sent = [*self.honest[name].sent, self.world.clock.now()]
        records = [
            _message(bodies[(b + each) % len(bodies)], name, sent[(a // 7 - each) % len(sent)], each)
            for each in range(1 + b % 3)
        ]
        configuration = Configuration(repositories=tuple(self.world.repositories.values()))
        function = RecordFunction(configuration, self.world.record, FakeMessageDelay())
        function.on_messages({"Records": [*records, *records[: b % 2]]}, None)  # type: ignore[arg-type]
        self.truth.learn()
        if len(self.truth.chain[other]) != before:
            self.truth.say("a message recorded a repository that is not its queue's")

    def flood_of_events(self, a: int, b: int, _: int) -> None:
        name = self._repository(a).repository
        for _ in range(2 + b % 5):
            self.world.clock.advance(MINUTE + timedelta(seconds=1))
            self._record(name, "event")

    # --- people ----------------------------------------------------------------------------------------

    def acknowledge(self, a: int, b: int, _: int) -> None:
        """An approver lays to rest what the last verdict has, or one finding of it."""
        self._acknowledge(self._repository(a).repository, None if b % 3 else b // 3)

    def _acknowledge(self, name: RepositoryName, only: int | None = None) -> None:
        verdict = next(iter(self.world.verdicts.of(name)), None)
        if verdict is None or not verdict.findings:
            return
        found = verdict.findings if only is None else verdict.findings[only % len(verdict.findings) :][:1]
        for finding in found:
            asked = Acknowledging(repository=name, finding=finding.id, verdict=verdict.digest, by=APPROVER)
            ports = AcknowledgePorts(self.world.verdicts, self.world.acknowledgements)
            with suppress(AcknowledgeRefused):
                acknowledge(name, asked, ports, self.truth.now)

    def decide(self, a: int, b: int, c: int) -> None:
        """On a plan that waits, or on any other of the last ones; in time or late, once or again."""
        waiting = [prune.plan for prune in self.prunes if prune.stage in ("ask", "wait") and prune.plan is not None]
        plans = waiting if waiting and b % 8 else [*self.truth.plans.values()][-4:]
        if not plans:
            return
        plan = plans[a % len(plans)]
        before = self.truth.decided(plan)
        late = not plan.drawn_at <= self.truth.now < plan.drawn_at + DAY
        trouble = self._trouble(c)
        asked = Deciding(
            repository=plan.repository, plan=plan.digest, decision="reject" if b % 16 == 5 else "approve", by=APPROVER
        )
        try:
            with self.world.in_trouble(trouble):
                approve(plan.repository, asked, self.world.approve_ports())
        except DecisionRefused:
            pass
        except TROUBLED:
            if not trouble.struck:
                raise
        after = self.truth.decided(plan)
        if (before and after != before) or (late and not before and after):
            self.truth.say(f"a plan that was {before or 'late'} became {after}")

    def hold(self, a: int, b: int, _: int) -> None:
        name = self._repository(a).repository
        chain = self.truth.chain[name]
        state = chain[b % len(chain)]
        asked = Holding(repository=name, state=state.id, action="hold", why="evidence", by=APPROVER)
        dropped = state.id in self.truth.dropped
        try:
            hold(name, asked, self.world.hold_ports(), self.truth.now)
        except HoldRefused:
            if not dropped:
                self.truth.say("a kept state could not be held")
        else:
            if dropped:
                self.truth.say("a dropped state was held")

    def release(self, a: int, b: int, _: int) -> None:
        held = sorted(self.world.holds.holds)
        if held:
            name, state = held[(a + b) % len(held)]
            asked = Holding(repository=name, state=state, action="release", by=APPROVER)
            release(name, asked, self.world.hold_ports(), self.truth.now)

    # --- prunes ----------------------------------------------------------------------------------------

    def start_prune(self, a: int, b: int, c: int) -> None:
        """Two at once, at most; of one repository, too."""
        self.prunes = [prune for prune in self.prunes if prune.stage != "over"]
        if len(self.prunes) == 2:
            self.prunes[a % 2].advance(Trouble())
            return
        if c % 4:
            # An operator puts things in order first.
            name = self._repository(a).repository
            self._mend(name)
            self.world.clock.advance(HOUR)
            self._record(name, "operator")
            self._acknowledge(name)
        self.prunes.append(
            Prune(
                self.world,
                self.truth,
                self._repository(a),
                f"prune-{self._number()}",
                posture="hold" if b % 16 == 3 else "fail" if b % 16 == 4 else "pass",
                dry_run=b % 16 == 5,
                careless=b % 4 == 2,
            )
        )

    def advance(self, a: int, b: int, c: int) -> None:
        """The next step of a prune, one that can be run and does not wait for a person, if there is one."""
        active = [prune for prune in self.prunes if prune.stage != "over"]
        ended = self.world.tasks.ended
        able = [prune for prune in active if prune.stage != "wait" or prune.task in ended or prune.careless]
        if not able:
            return self.decide(a, b, c) if active and b % 4 else self.start_prune(a, b, c)
        prune = able[a % len(able)]
        applies = prune.stage in ("versions", "markers")
        if applies:
            self.late = [*self.late, *prune.left][-12:]
        refusals = Refusing(b) if applies and b % 6 == 5 else None
        if applies and prune.left and b % 12 == 1:
            self._run(prune.left[0].model_copy(update={"token": "a guess"}), Trouble(), {})
        elif applies and b % 24 == 2:
            self.lose_lease(0, 0, 0)
        elif applies and b % 24 == 3:
            self.begin_restore(1, 0, 0)
        elif applies and b % 6 == 4:
            self.forge(a, 1 + c // 4 * 4, c)
        trouble = self._trouble(c, prune.stage)
        if prune.stage == "drop" and b % 4 < 3:
            trouble = Trouble("meanwhile", 1, lambda: self._meanwhile(0, "drop"), VULNERABLE["drop"])
        elif applies and b % 6 == 0:
            # A hold, after the first call of a batch.
            stage = prune.stage
            trouble = Trouble(
                "meanwhile", 2, lambda: self._meanwhile(len(MEANWHILE_OF[stage]) * c, stage), VULNERABLE[stage]
            )
        self.log[-1] = f"advance {prune.execution} {prune.stage}"
        said = prune.advance(trouble, refusals, a // 2)
        self.log[-1] += f" -> {said}"
        self.truth.learn()
        return None

    def abort(self, a: int, b: int, _: int) -> None:
        """An execution is stopped, and its lease stays behind; or its lease goes, and it does not know."""
        active = [prune for prune in self.prunes if prune.stage not in ("over", "record", "check")]
        if not active:
            return
        if b % 4 == 0:
            active[a % len(active)].abort()
        elif b % 4 == 1:
            self.lose_lease(a, b, 0)

    def lose_lease(self, a: int, _: int, __: int) -> None:
        """The workflow's last step but one runs too early."""
        holders = [prune for prune in self.prunes if prune.stage in ("drop", "versions", "markers")]
        if holders:
            prune = holders[a % len(holders)]
            self.world.lease.release(prune.repository.repository, prune.execution)

    def run_late(self, a: int, b: int, c: int) -> None:
        """A child of long ago, or given out twice, or whose prune has ended, or that guesses a token, runs now."""
        given = [request for prune in self.prunes for request in prune.left] if b % 2 else self.late
        if not given:
            return
        request = given[a % len(given)]
        if b % 5 == 1:
            request = request.model_copy(update={"token": "a guess"})
        self._run(request, self._trouble(c, request.phase), Refusing(b) if b % 6 == 5 else {})

    def _run(self, request: ApplyRequest, trouble: Trouble, refusals: Refusals) -> None:
        repository = self.world.repositories[RepositoryName(request.repository)]
        try:
            with self.world.in_trouble(trouble):
                run_apply(self.world, self.truth, repository, request, refusals)
        except STOPS as stopped:
            self.log[-1] += f" -> {stopped}"
        except TROUBLED:
            if not trouble.struck and not refusals:
                raise
        self.truth.learn()

    def forge(self, a: int, b: int, _: int) -> None:
        """Somebody has the planner's role: he swaps what was approved, or has his own plan approved without a look."""
        ready = [prune for prune in self.prunes if prune.stage in ("versions", "markers", "drop") and prune.plan]
        if not ready:
            return
        prune = ready[a % len(ready)]
        children = prune.children(Phase.MARKERS if b % 4 == 3 else Phase.VERSIONS)
        if not children:
            return
        request, plan = children[a // 2 % len(children)], prune.plan
        assert plan is not None
        wanted = self._wanted(plan, request.phase, b)
        forged = b"".join(self._line(plan.repository, *entry) for entry in wanted)
        name, number, s3 = plan.repository, request.batch.number, self.world.s3
        files = batch_file(name, plan.execution, number), plan_file(name, plan.execution)
        with self.world.undisturbed():
            true = s3.get(RECORDS, files[0]).body, s3.get(RECORDS, files[1], plan.version_id).body
            document = json.loads(true[1])
            document["batches"][number]["digest"] = batch_digest(forged)
            lie = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            batch_version, plan_version = (
                VersionId(s3.put(RECORDS, file, content, integrity=SHA256).version_id)
                for file, content in zip(files, (forged, lie), strict=True)
            )
        swapped = request.batch.model_copy(update={"version_id": batch_version})
        both = swapped.model_copy(update={"digest": batch_digest(forged)})
        if b % 4:
            other = self._have_approved(plan, lie, plan_version, number, wanted)
            requests = [{}, {"plan": other}]
        else:
            requests = [{}]
        for changes in requests:
            given = {"plan_version": plan_version, "batch": both, **changes}
            self._run(request.model_copy(update=given), Trouble(), {})
        self._run(request.model_copy(update={"batch": swapped}), Trouble(), {})
        with self.world.undisturbed():
            for file, content in zip(files, true, strict=True):
                s3.put(RECORDS, file, content, integrity=SHA256)

    def _wanted(self, plan: Plan, phase: Phase, number: int) -> list[tuple[str, str]]:
        """What he would like to see deleted: what only the approval, or only one rule, speaks against, and the rest."""
        prefix = self.world.repositories[plan.repository].key_prefix
        found = {
            (key, entry.version_id): len([*self.truth.rules_against(key, entry.version_id)])
            for key, history in sorted(self.truth.entries.items())
            for entry in history
            if key.startswith(prefix) and entry.is_delete_marker == (phase is Phase.MARKERS)
        }
        planned = plan.entries(phase)
        free = [entry for entry, against in found.items() if not against and entry not in planned]
        guarded = [entry for entry, against in found.items() if against == 1]
        wanted = {*self._some(free, number), *self._some(guarded, number), *self._some([*found], number)[:1]}
        return sorted(wanted)

    @staticmethod
    def _some(entries: Sequence[tuple[str, str]], number: int) -> Sequence[tuple[str, str]]:
        first = number // 4 % max(1, len(entries))
        return entries[first : first + 5]

    def _have_approved(
        self, plan: Plan, content: bytes, version_id: VersionId, number: int, entries: Sequence[tuple[str, str]]
    ) -> Digest:
        """The forged plan is on the shelf, and an approver looks away."""
        digest = PrunePlan.parse(content).digest
        shelved = self.world.shelf.find(plan.repository, plan.digest)
        assert shelved is not None
        self.world.shelf.put(shelved.model_copy(update={"plan": digest, "version_id": version_id}))
        batches = {**plan.batches, number: (plan.batches[number][0], tuple(entries))}
        self.truth.plans[digest] = replace(plan, digest=digest, version_id=version_id, batches=batches)
        asked = Deciding(repository=plan.repository, plan=digest, decision="approve", by=APPROVER)
        with suppress(DecisionRefused):
            approve(plan.repository, asked, self.world.approve_ports())
        return digest

    def _line(self, name: RepositoryName, key: str, version_id: str) -> bytes:
        found = self.truth.bucket.find(key, version_id)
        assert found is not None
        at = f"{found.last_modified:%Y-%m-%dT%H:%M:%SZ}"
        line = {
            "key": key.removeprefix(self.world.repositories[name].key_prefix),
            "last_modified": at,
            "reason": "spent-marker" if found.is_delete_marker else "hidden",
            "since": at,
            "size": None if found.is_delete_marker else found.size,
            "version_id": version_id,
        }
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"

    # --- restores --------------------------------------------------------------------------------------

    def begin_restore(self, a: int, b: int, _: int) -> None:
        """A restore announces itself, and has its plan."""
        self.restore(a, b, 0)
        for restore in self.restores:
            if restore.stage == "plan":
                restore.advance(Trouble())

    def restore(self, a: int, b: int, _: int) -> None:
        self.restores = [restore for restore in self.restores if restore.stage != "over"]
        repository = self._repository(a)
        chain = self.truth.chain[repository.repository]
        kept = self.truth.kept(repository.repository)
        if len(self.restores) < 2:
            state = chain[a // 7 % len(chain)] if b % 5 == 4 else kept[b % len(kept)]
            execution = f"restore-{self._number()}"
            self.restores.append(Restore(self.world, self.truth, repository, StateId(state.id), execution))

    def advance_restore(self, a: int, _: int, c: int) -> None:
        active = [restore for restore in self.restores if restore.stage != "over"]
        if active:
            restore = active[a % len(active)]
            restore.advance(self._trouble(c))
            self.truth.learn()
            if restore.stage != "over" and a % 3:
                restore.advance(Trouble())
            elif restore.stage != "over" and c % 8 == 7:
                restore.abort()

    # --- the end ---------------------------------------------------------------------------------------

    def settle(self) -> None:
        """The attacker is gone, nothing fails any more, and people do their work: what nobody needs has to go."""
        for restore in self.restores:
            while restore.stage != "over":
                restore.advance(Trouble())
        for prune in self.prunes:
            if prune.stage != "over":
                prune.abort()
        for who, upload in self.uploads:
            self.world.s3.abort_multipart_upload(PROTECTED, upload.key, upload.upload_id, by=who)
        self.uploads = []
        for name in self.world.repositories:
            self._settle(name)
        self.truth.look_at_everything()

    def _settle(self, name: RepositoryName) -> None:
        repository = self.world.repositories[name]
        # Longer than a killed recording's lease, and than what a stopped prune may still do.
        self.world.clock.advance(2 * HOUR)
        for _ in range(5):
            self._back_up(name, 1)
            self._mend(name)
            self._forget(name, 3)
            self.world.clock.advance(HOUR)
            self._record(name, "schedule")
            self._acknowledge(name)
            self.world.clock.advance(GRACE + DAY)
        self._forget(name, 3)
        self.world.clock.advance(GRACE + HOUR)
        for _ in range(MOST_PRUNES):
            # One after the other: what lies beneath an upload in parts waits until that is gone.
            self._back_up(name, 1)
            self.world.clock.advance(HOUR)
            # What was laid to rest before may have to be once more, when the version is gone that it was told by.
            self._record(name, "schedule")
            self._acknowledge(name)
            self._prune(repository)
            if not self.truth.could_go(name):
                break
        self.truth.look()
        if left := self.truth.could_go(name):
            self.truth.say(f"{len(left)} entries that nobody needs are still there: {sorted(left)[:3]}")
        if states := self.truth.droppable(name):
            self.truth.say(f"{len(states)} states that nothing keeps are still kept")
        for state in (self.truth.kept(name)[0], self.truth.kept(name)[-1]):
            restore = Restore(self.world, self.truth, repository, state.id, f"restore-{self._number()}")
            while restore.stage != "over":
                restore.advance(Trouble())
        self.truth.look()

    def _prune(self, repository: Repository) -> None:
        prune = Prune(self.world, self.truth, repository, f"prune-{self._number()}")
        for _ in range(400):
            prune.advance(Trouble())
            self.truth.learn()
            self.truth.complain()
            if prune.stage == "wait" and prune.plan is not None and self.truth.decided(prune.plan) is None:
                asked = Deciding(
                    repository=prune.repository.name, plan=prune.plan.digest, decision="approve", by=APPROVER
                )
                approve(repository.repository, asked, self.world.approve_ports())
            if prune.stage == "over":
                break
        if prune.ended not in ("done", "nothing-to-do"):
            self.truth.say(f"with everything in order a prune of {repository.name} ended: {prune.ended or prune.stage}")


def _spread(number: int) -> int:
    """One to one. hypothesis likes small numbers and round ones, which would always choose the same."""
    number = (number ^ number >> 7) * 0x9E37 & 0xFFFF
    return (number ^ number >> 9) * 0x6D2B & 0xFFFF


def _padded(text: str) -> str:
    return body(text).decode()


def _message(content: str, name: RepositoryName, sent: datetime, number: int) -> dict[str, Any]:
    milliseconds = str(int(sent.timestamp() * 1000))
    return {
        "messageId": f"message-{number}",
        "receiptHandle": f"receipt-{number}",
        "body": content,
        "attributes": {
            "ApproximateReceiveCount": str(1 + number),
            "SentTimestamp": milliseconds,
            "SenderId": "AIDAEXAMPLE",
            "ApproximateFirstReceiveTimestamp": milliseconds,
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:rwm-{name}",
        "awsRegion": "eu-central-1",
    }

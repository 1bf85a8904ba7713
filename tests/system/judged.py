"""Two repositories of the real restic as checks meet them: one is opened with its password, one is attacked.

Each is a scene in a thread of its own. People type the real `rwm`; what it said is looked at afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.system.subscription import Subscription
from tests.system.system import PASSWORD, Answer, System, done

Item = dict[str, Any]

LEVELS = ("posture", "consistent", "content", "complete")


@dataclass(frozen=True, slots=True)
class Opened:
    """What `rwm check` said of a sound repository, again and again."""

    objects: int
    first: Answer
    """As deep as repositories.toml says, of a state recorded for it; everything after it is of that same state."""
    levels: Mapping[str, Answer]
    again: Answer
    """Content, after it was read once."""
    scrubbed: Answer
    """Content, `--all`."""
    read_data: Answer
    wrong_password: Answer
    right_password: Answer


def look_inside(system: System) -> Opened:
    """Back up to `opened`, and check it at every level; then with a wrong password and with the right one again."""
    secret = _password(system, "opened")
    _restic(system, "opened", "init")
    _restic(system, "opened", "backup", "--quiet", __file__)
    first = system.typed("check", "opened")
    state = str(first.document["state"])
    levels = {
        level: system.typed("check", "opened", *([] if level == "posture" else [state]), "--level", level)
        for level in LEVELS
    }
    content = ("check", "opened", state, "--level", "content")
    again, scrubbed = system.typed(*content), system.typed(*content, "--all")
    read_data = system.typed("check", "opened", state, "--read-data")
    secrets = system.client("secretsmanager")
    secrets.put_secret_value(SecretId=secret, SecretString="not the password")
    wrong = system.typed("check", "opened", state)
    secrets.put_secret_value(SecretId=secret, SecretString=PASSWORD)
    right = system.typed("check", "opened", state)
    return Opened(
        objects=system.states("opened")[0]["objects"],
        first=first,
        levels=levels,
        again=again,
        scrubbed=scrubbed,
        read_data=read_data,
        wrong_password=wrong,
        right_password=right,
    )


@dataclass(frozen=True, slots=True)
class Damage:
    """What somebody did who holds the key of the host."""

    pack: str
    garbage: str
    """Version id of what lies over the pack now."""
    key_file: str
    marker: str
    """Version id of the delete marker on the only key file."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """An attack from its first event to its end, and the same attack again. In the order of what happened."""

    before: dict[str, Any]
    """The state before it."""
    sound: Answer
    damage: Damage
    states: list[dict[str, Any]]
    """After the attack's event and another one, newest first."""
    told_at_once: list[Item]
    told_again: list[Item]
    found: Answer
    shown: Answer
    restored: Answer
    copy: Answer
    too_early: Answer
    """The approver, while the damage was there."""
    mended: Answer
    """The check after it was mended, before anybody acknowledged."""
    by_the_operator: Answer
    acknowledged: Answer
    twice: Answer
    over: Answer
    shown_when_over: Answer
    second_damage: Damage
    told_of_the_second: list[Item]
    found_again: Answer
    older: Answer
    """The state before it all, checked at the very end."""
    operations: list[dict[str, Item]]
    """All that the operations table had of it, by key, at several instants."""


def attack_and_mend(system: System) -> Attacked:
    """Somebody damages `attacked` with its host's key; people find it, mend it, and lay it to rest; he comes again."""
    notices = Notices(system, "attacked")
    _password(system, "attacked")
    _restic(system, "attacked", "init")
    _restic(system, "attacked", "backup", "--quiet", __file__)
    before = _by_event(system)
    sound = system.typed("check", "attacked", before["id"])
    operations = [_operations(system)]

    contents = _contents(system)
    damage = _damage(system, contents)
    _by_event(system)
    told_at_once = notices.told()
    _by_event(system)
    told_again, states = notices.told(), system.states("attacked")
    operations.append(_operations(system))

    found = system.typed("check", "attacked")
    shown = system.typed("states", "attacked")
    target = system.target("attacked")
    restored = system.typed("restore", "attacked", "last-good", "--to-bucket", target, "--with-revoked-keys")
    copy = system.typed("check", "attacked", "last-good", "--in-bucket", target)
    operations.append(_operations(system))

    acknowledge = ("acknowledge", "attacked", "pack-overwritten", "--yes")
    too_early = system.typed(*acknowledge, profile="approver")
    # What restic's operator has elsewhere, he puts back.
    system.put("attacked", {key: contents[key] for key in (damage.pack, damage.key_file)})
    mended = system.typed("check", "attacked")
    by_the_operator = system.typed(*acknowledge)
    acknowledged = system.typed(*acknowledge, profile="approver")
    twice = system.typed(*acknowledge, profile="approver")
    over = system.typed("check", "attacked", str(mended.document["state"]))
    shown_when_over = system.typed("states", "attacked")
    operations.append(_operations(system))

    notices.told()
    second_damage = _damage(system, contents)
    attacked_again = _by_event(system)
    told_of_the_second = notices.told()
    found_again = system.typed("check", "attacked", attacked_again["id"])
    older = system.typed("check", "attacked", before["id"])
    operations.append(_operations(system))
    return Attacked(
        before=before,
        sound=sound,
        damage=damage,
        states=states,
        told_at_once=told_at_once,
        told_again=told_again,
        found=found,
        shown=shown,
        restored=restored,
        copy=copy,
        too_early=too_early,
        mended=mended,
        by_the_operator=by_the_operator,
        acknowledged=acknowledged,
        twice=twice,
        over=over,
        shown_when_over=shown_when_over,
        second_damage=second_damage,
        told_of_the_second=told_of_the_second,
        found_again=found_again,
        older=older,
        operations=operations,
    )


class Notices:
    """Somebody who subscribed to what is told of a repository."""

    def __init__(self, system: System, name: str) -> None:
        self._subscription = Subscription(system, name, "told-of")

    def told(self) -> list[Item]:
        """What was told since the last time; a state is recorded after it was told of."""
        return self._subscription.arrived()


def _password(system: System, name: str) -> str:
    """Store it where repositories.toml says, and return its name: the ARN ends with six characters more."""
    secret = str(system.repository(name).restic_password_secret).rpartition(":")[2]
    system.client("secretsmanager").create_secret(Name=secret, SecretString=PASSWORD)
    return secret


def _restic(system: System, name: str, *arguments: str) -> None:
    did = system.restic(f"host-{name}", name, *arguments)
    assert did.returncode == 0, did.stderr


def _by_event(system: System) -> dict[str, Any]:
    """The state that answers an event of `attacked`'s host."""
    known = len(system.states("attacked"))
    system.send("attacked", done())
    states = system.eventually("the next state of attacked", lambda: system.states("attacked")[: -known or None])
    return dict(states[0])


def _contents(system: System) -> dict[str, bytes]:
    """The current objects of `attacked`, as its host reads them."""
    s3, bucket = system.client("s3", "host-attacked"), system.repository("attacked").bucket
    kept = (key for key in system.keys(bucket) if not key.startswith("locks/"))
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in kept}


def _damage(system: System, contents: Mapping[str, bytes]) -> Damage:
    """Garbage of the same size over a pack, and a marker on the key file: all with the host's own key."""
    s3, bucket = system.client("s3", "host-attacked"), system.repository("attacked").bucket
    pack = min(key for key in contents if key.startswith("data/"))
    (key_file,) = (key for key in contents if key.startswith("keys/"))
    garbage = s3.put_object(Bucket=bucket, Key=pack, Body=bytes(len(contents[pack])))["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key=key_file)["VersionId"]
    return Damage(pack=pack, garbage=garbage, key_file=key_file, marker=marker)


def _operations(system: System) -> dict[str, Item]:
    """Everything about `attacked`, and all evidence, by the keys of the items."""
    pages = system.client("dynamodb").get_paginator("scan").paginate(TableName=system.names.operations)
    items = (item for page in pages for item in page["Items"])
    about = ("attacked", "ack#attacked", "sight#attacked")
    return {
        f"{item['pk']['S']} {item['sk']['S']}": item
        for item in items
        if item["pk"]["S"] in about or item["pk"]["S"].startswith("evidence#")
    }

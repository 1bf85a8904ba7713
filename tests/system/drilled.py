"""A repository of the real restic that is drilled: sound, after an attack, and with a pack of other bytes."""

from dataclasses import dataclass
from typing import Any

from tests.system.judged import Item, Notices
from tests.system.system import PASSWORD, Answer, System, done

NAME = "drilled"


@dataclass(frozen=True, slots=True)
class Drilled:
    """What `rwm drill` said, in the order of what happened."""

    too_early: Answer
    good: dict[str, Any]
    """The state of the first backup."""
    sampled: Answer
    """As its schedule does: the state is larger than `drill_bytes`."""
    sound: Answer
    """With `--all`, as those below."""
    copied: set[str]
    """Keys in the bucket of drills afterwards."""
    told_of_success: list[Item]
    restored_by_hand: Answer
    """Somebody's own restore into the bucket of drills."""
    attacked: dict[str, Any]
    """The state after the host hid a pack and the snapshot."""
    after_the_attack: Answer
    story: Answer
    """`rwm timeline`."""
    damaged: dict[str, Any]
    """A state that a listing finds nothing wrong with."""
    of_the_damage: Answer
    told_of_the_damage: list[Item]
    listed: Answer
    restores: Answer


def drill_again_and_again(system: System) -> Drilled:
    """Drill it before its first backup, after it, after an attack, and with a pack of other bytes."""
    notices = Notices(system, NAME)
    secret = str(system.repository(NAME).restic_password_secret).rpartition(":")[2]
    system.client("secretsmanager").create_secret(Name=secret, SecretString=PASSWORD)
    too_early = system.typed("drill", NAME)
    for arguments in (["init"], ["backup", "--quiet", __file__]):
        did = system.restic(f"host-{NAME}", NAME, *arguments)
        assert did.returncode == 0, did.stderr
    good = _by_event(system)
    notices.told()
    sampled, sound = system.typed("drill", NAME), system.typed("drill", NAME, "--all")
    copied, told_of_success = system.keys(system.drills), notices.told()
    restored_by_hand = system.typed("restore", NAME, good["id"], "--to-bucket", system.drills)

    s3, bucket = system.client("s3", f"host-{NAME}"), system.repository(NAME).bucket
    hidden = [key for key in sorted(system.keys(bucket)) if key.startswith(("data/", "snapshots/"))]
    bodies = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in hidden}
    markers = {key: s3.delete_object(Bucket=bucket, Key=key)["VersionId"] for key in hidden}
    attacked = _by_event(system)
    after_the_attack, story = system.typed("drill", NAME, "--all"), system.typed("timeline", NAME)

    # An administrator takes the markers away, and it is as it was; then something comes that is not what it is called.
    breaker = system.user("break-glass", "s3:*")("s3")
    for key, marker in markers.items():
        breaker.delete_object(Bucket=bucket, Key=key, VersionId=marker)
    name = "ab" * 32
    system.put(NAME, {f"data/{name[:2]}/{name}": bodies[hidden[0]]})
    damaged = _by_event(system)
    notices.told()
    of_the_damage = system.typed("drill", NAME, "--all")
    return Drilled(
        too_early=too_early,
        good=good,
        sampled=sampled,
        sound=sound,
        copied=copied,
        told_of_success=told_of_success,
        restored_by_hand=restored_by_hand,
        attacked=attacked,
        after_the_attack=after_the_attack,
        story=story,
        damaged=damaged,
        of_the_damage=of_the_damage,
        told_of_the_damage=notices.told(),
        listed=system.typed("drill", NAME, "--list"),
        restores=system.typed("restores", NAME),
    )


def _by_event(system: System) -> dict[str, Any]:
    """The state that answers an event of the host."""
    known = len(system.states(NAME))
    system.send(NAME, done())
    states = system.eventually(f"the next state of {NAME}", lambda: system.states(NAME)[: -known or None])
    return dict(states[0])

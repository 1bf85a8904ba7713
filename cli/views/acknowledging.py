"""How `rwm acknowledge` looks: what would be laid to rest, before anybody is asked, and what was."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.acknowledging import Acknowledgement
from cli.views.screen import Screen, when

SHOWN_KEYS = 20


def propose(screen: Screen, proposed: Acknowledgement, everything: bool) -> None:
    screen.say(f"{proposed.severity} {proposed.finding} of {proposed.repository}: {proposed.what}")
    screen.say(
        f"as verdict {proposed.verdict[:12]} ({proposed.level}, {when(proposed.judged_at)}) on state "
        f"{proposed.state[:12]} has it, since {when(proposed.since)}:"
    )
    shown = proposed.evidence if everything else proposed.evidence[:SHOWN_KEYS]
    for each in shown:
        screen.say(f"  {each.key}  {len(each.version_ids)} version ids, since {when(each.since)}")
    if len(shown) < len(proposed.evidence):
        screen.say(f"  and {len(proposed.evidence) - len(shown)} more keys: --all")
    if proposed.left:
        screen.say(f"{proposed.left} keys are wrong now; they have to be mended, and are not laid to rest")
    if proposed.more:
        screen.say(f"{proposed.more} keys beyond these are not named, and not laid to rest: the next check names them")


def question(proposed: Acknowledgement) -> str:
    return (
        f"Lay {proposed.versions} versions of {proposed.keys} keys to rest? They block no longer; the same again, with "
        "other versions, does."
    )


def show(done: Acknowledgement) -> Iterator[RenderableType]:
    if done.outcome == "already":
        yield Text(f"all of it was acknowledged before; nothing was changed. `rwm check {done.repository}` judges anew")
        return
    yield Text(
        f"acknowledged {done.finding}: {done.versions} versions of {done.keys} keys. `rwm check {done.repository}` "
        "judges anew without them"
    )
    yield Text("It is kept with the name you called it by; CloudTrail has the proof of who you are.", style="dim")
    if done.left:
        yield Text(f"{done.left} keys are wrong now and stay in the finding until they are mended", style="yellow")

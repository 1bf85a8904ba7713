"""How `rwm dead-letters` looks."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from cli.dead_letters import DeadLetter, DeadLetters, Replay
from cli.views.screen import printable, size, when


def show(found: DeadLetters) -> Iterator[RenderableType]:
    yield from show_replays(found)
    if not found.messages:
        yield Text(f"no message lies in {found.queue}")
        return
    for message in found.messages:
        yield from _message(message)
    if found.more:
        yield Text("there may be more: --limit", style="yellow")


def show_done(done: DeadLetters) -> Iterator[RenderableType]:
    """What came of the messages, which were shown before."""
    yield from show_replays(done)
    for word in ("replayed", "discarded"):
        if count := sum(message.became == word for message in done.messages):
            yield Text(f"{word} and deleted: {_messages(count)}")
    left = [message for message in done.messages if message.became == "left"]
    if any(message.refused is None for message in left):
        yield Text("what no state answers yet stays; run it again later", style="yellow")
    if refused := sum(message.refused is not None for message in left):
        yield Text(f"{_messages(refused)} that nobody can ever answer: --discard", style="yellow")


def show_replays(found: DeadLetters) -> Iterator[RenderableType]:
    for replay in found.replays:
        yield _replay(replay)


def question(found: DeadLetters, *, replay: bool, discard: bool) -> str:
    """What is asked before anything is recorded or deleted."""
    asked = []
    if replay:
        names = sorted({each.repository for each in found.to_replay if each.repository and each.answered_by is None})
        first = f"Record {', '.join(names)} now, and delete" if names else "Delete"
        asked.append(f"{first} those of {_messages(len(found.to_replay))} that a state answers?")
    if discard:
        asked.append(f"Delete {_messages(len(found.to_discard))} that nobody can ever answer?")
    return " ".join(asked)


def _message(message: DeadLetter) -> Iterator[RenderableType]:
    whose = message.repository or f"? ({message.queue or 'through no queue'})"
    yield Text.assemble(
        (printable(f"{when(message.sent)} {whose}"), "bold"),
        printable(f"  sent by {message.sender or '?'}, {size(message.bytes)}, message {message.id}"),
    )
    if message.refused is not None:
        yield Text.assemble("     ", ("nobody can answer it: ", "yellow"), printable(message.refused))
    elif message.answered_by is not None:
        yield Text(f"     an event; state {message.answered_by[:12]} answers it")
    else:
        yield Text("     an event that no state answers yet: recording failed on it time and again")
    more = "…" if message.bytes > len(message.body.encode()) else ""
    yield Text(printable(f"     {message.body}") + more, style="dim")


def _replay(replay: Replay) -> Text:
    match replay.outcome:
        case "recorded" | "answered":
            return Text(f"{replay.repository}: {replay.outcome} by state {(replay.state or '')[:12]}")
        case "not-yet":
            until = f"; again after {when(replay.until)}" if replay.until else ""
            return Text(printable(f"{replay.repository}: not yet: {replay.message}{until}"), style="yellow")
        case _:
            return Text(printable(f"{replay.repository}: {replay.outcome}: {replay.message}"), style="bold red")


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"

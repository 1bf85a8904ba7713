"""What `--json` prints: the document of each command, and its JSON Schema under docs/json/.

    python -m cli.documents

writes the schemas anew, and refuses where a program that reads the documents of today would break. A test fails when
they are not those of the models.
"""

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from cli.access import Connection, Disconnection
from cli.acknowledging import Acknowledgement
from cli.checking import Check
from cli.costing import Cost
from cli.dead_letters import DeadLetters
from cli.deciding import Decided
from cli.downloading import Download
from cli.drilling import Drill, Drills
from cli.holding import Holding
from cli.ledger import VerifiedLedger
from cli.locks import Locks
from cli.plans import PlanDetails, Plans, PlanWithEntries
from cli.pruning import Prune, Prunes
from cli.quarantine import QuarantineStanding
from cli.recording import Recording
from cli.repositories import Repositories
from cli.restores import Restores
from cli.restoring import Restore
from cli.states import StateDetails, StateDiff, States
from cli.version import About
from cli.why import ObjectStory
from functions.domain.documents import Part
from functions.domain.page.document import Page, Pages
from functions.domain.restore.forecast import Forecast
from functions.domain.timeline import Timeline

SCHEMAS = Path(__file__).parents[1] / "docs" / "json"
Schema = Mapping[str, Any]


class Error(Part):
    exit_code: int
    kind: Literal["failed", "refused", "waiting", "fail"]
    message: str
    """What did not happen, and what to do next; for people, and not the same for ever."""


class Stopped(Part):
    """What any command prints instead where it ends early."""

    error: Error


DOCUMENTS: Mapping[str, Sequence[type[BaseModel]]] = {
    "acknowledge": (Acknowledgement,),
    "approve": (Decided,),
    "check": (Check,),
    "connect": (Connection,),
    "cost": (Cost,),
    "dead-letters": (DeadLetters,),
    "diff": (StateDiff,),
    "disconnect": (Disconnection,),
    "drill": (Drill, Drills),
    "hold": (Holding,),
    "ledger verify": (VerifiedLedger,),
    "locks": (Locks,),
    "plan": (PlanDetails, PlanWithEntries),
    "plans": (Plans,),
    "prune": (Prune,),
    "prunes": (Prunes,),
    "quarantine": (QuarantineStanding,),
    "record": (Recording,),
    "reject": (Decided,),
    "release": (Holding,),
    "report": (Page, Pages),
    "repositories": (Repositories,),
    "restore": (Restore, Download, Forecast),
    "restores": (Restores,),
    "state": (StateDetails,),
    "states": (States,),
    "timeline": (Timeline,),
    "unquarantine": (QuarantineStanding,),
    "version": (About,),
    "why": (ObjectStory,),
}
"""By the command's full name; of several, which one it is depends on what was asked."""


def documents() -> dict[str, type[BaseModel]]:
    """Every document by its name."""
    every: chain[type[BaseModel]] = chain((Stopped,), *DOCUMENTS.values())
    return {each.__name__: each for each in every}


def schema(document: type[BaseModel]) -> dict[str, Any]:
    """Its JSON Schema, open to fields that are yet to come."""
    found = document.model_json_schema(mode="serialization", schema_generator=_Described)
    opened: dict[str, Any] = _opened(found)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **opened}


def file_of(name: str) -> Path:
    return SCHEMAS / f"{name}.schema.json"


class _Described(GenerateJsonSchema):
    """Each field with the words that stand beneath it in its model."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        for name, words in _docstrings(schema["cls"]):
            if name in made.get("properties", {}):
                made["properties"][name]["description"] = " ".join(words.split())
        return made


def _docstrings(model: type[Any]) -> Iterator[tuple[str, str]]:
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            described: Any = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
            for field, below in pairwise(described.body):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(below, ast.Expr)
                    and isinstance(below.value, ast.Constant)
                ):
                    yield field.target.id, str(below.value.value)


def _opened(part: Any) -> Any:
    if isinstance(part, dict):
        kept = {key: value for key, value in part.items() if (key, value) != ("additionalProperties", False)}
        if kept.get("type") == "object" and "properties" in kept:
            # What has a default is printed, too.
            kept["required"] = sorted(kept["properties"])
        return {key: _opened(value) for key, value in kept.items()}
    return [_opened(each) for each in part] if isinstance(part, list) else part


# --- what a program that reads them may rely on ------------------------------------------------------------


def breaks(old: Schema, new: Schema) -> list[str]:
    """Where a program that was written for `old` would stumble over a document of `new`: a field that is gone, or may
    be missing; a value of another type, or null where it never was; a word that is not said any more.

    New fields, and new words, break nothing.
    """
    return list(_breaks(old, new, _Roots(old, new), "", frozenset()))


class _Roots:
    """Where the references of both lead."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self.old, self.new = old, new

    @staticmethod
    def alternatives(schema: Schema, root: Schema) -> list[Schema]:
        """What a value can be, without references."""
        if "$ref" in schema:
            target = root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
            return _Roots.alternatives(target, root)
        several = schema.get("anyOf") or schema.get("oneOf")
        if several:
            return [found for each in several for found in _Roots.alternatives(each, root)]
        return [schema]


def _breaks(old: Schema, new: Schema, roots: _Roots, at: str, within: frozenset[int]) -> Iterator[str]:
    if id(old) in within:
        return
    were, are = roots.alternatives(old, roots.old), roots.alternatives(new, roots.new)
    yield from _words(were, are, at)
    for now in are:
        like = [each for each in were if _can_be(each.get("type"), now.get("type"))]
        if not like:
            yield f"{at or 'the document'} may be {now.get('type')}, and was {_kinds(were)}"
            continue
        before = next((each for each in like if each.get("title") == now.get("title")), like[0])
        yield from _fields(before, now, roots, at, within | {id(old)})
        for key in ("items", "additionalProperties"):
            if isinstance(before.get(key), dict) and isinstance(now.get(key), dict):
                yield from _breaks(before[key], now[key], roots, f"{at}[]", within | {id(old)})


def _can_be(was: str | None, now: str | None) -> bool:
    return was in (now, None) or (was, now) == ("number", "integer")


def _fields(old: Schema, new: Schema, roots: _Roots, at: str, within: frozenset[int]) -> Iterator[str]:
    now = new.get("properties", {})
    for name, was in old.get("properties", {}).items():
        field = f"{at}.{name}" if at else name
        if name not in now:
            yield f"{field} is gone"
            continue
        if name in old.get("required", ()) and name not in new.get("required", ()):
            yield f"{field} may be missing, and was always there"
        yield from _breaks(was, now[name], roots, field, within)


def _words(old: Sequence[Schema], new: Sequence[Schema], at: str) -> Iterator[str]:
    if not any(_said(each) for each in new):
        return
    said, says = ({str(word) for each in schemas for word in _said(each)} for schemas in (old, new))
    if gone := said - says:
        yield f"{at} never says {', '.join(sorted(gone))} any more"


def _said(schema: Schema) -> Sequence[Any]:
    return schema.get("enum") or ([schema["const"]] if "const" in schema else [])


def _kinds(schemas: Sequence[Schema]) -> str:
    return " or ".join(sorted({str(each.get("type")) for each in schemas}))


def main(arguments: Sequence[str]) -> int:
    """Write all schemas; `--break` writes also what breaks programs."""
    SCHEMAS.mkdir(exist_ok=True)
    broken = []
    for name, document in documents().items():
        new, file = schema(document), file_of(name)
        if file.exists():
            broken += [f"{name}: {each}" for each in breaks(json.loads(file.read_text()), new)]
    if broken and "--break" not in arguments:
        lines = "\n".join(broken)
        sys.stderr.write(f"programs that read the documents would break; nothing was written:\n{lines}\n")
        return 1
    for name, document in documents().items():
        file_of(name).write_text(json.dumps(schema(document), indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What DynamoDB charges for, counted from the requests that a client makes and the items they write and read.

By DynamoDB's own rule (its guide: "Item sizes and capacity unit consumption"): a write takes a unit for each KB of the
larger item, begun ones included, twice that within a transaction; a strongly consistent read one for each 4 KB. An
item's size is that of its names and its values.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]
_WRITTEN, _READ = 1_024, 4_096


def item_bytes(item: Item) -> int:
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def write_units(sizes: Iterable[int]) -> int:
    """Of items of so many bytes, each written once and in no transaction."""
    return sum(-(-max(size, 1) // _WRITTEN) for size in sizes)


def _value_bytes(value: Item) -> int:
    ((kind, held),) = value.items()
    return _BYTES[kind](held)


_BYTES: Mapping[str, Callable[[Any], int]] = {
    "S": lambda text: len(text.encode()),
    "B": lambda content: len(bytes(content)),
    "N": lambda digits: len(digits.lstrip("-").strip("0")) // 2 + 2,
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "SS": lambda texts: sum(len(each.encode()) for each in texts),
    "L": lambda values: 3 + sum(1 + _value_bytes(each) for each in values),
    "M": lambda values: 3 + len(values) + item_bytes(values),
}


@dataclass
class Counted:
    """Watches the client that counts; `plain` is another one of the same tables, which nobody counts."""

    client: "DynamoDBClient"
    plain: "DynamoDBClient"
    write: Counter[str] = field(default_factory=Counter)
    """Write units by operation and by what the item is, as its key begins."""
    read: Counter[str] = field(default_factory=Counter)
    """Read units by operation."""
    requests: Counter[str] = field(default_factory=Counter)
    _pending: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        events = self.client.meta.events
        # Before: a put says all of its item. After: an update's item is there, whole.
        events.register("before-parameter-build.dynamodb", self._asked)
        events.register("after-call.dynamodb", self._answered)

    def clear(self) -> None:
        for counter in (self.write, self.read, self.requests):
            counter.clear()

    def _asked(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.requests[model.name] += 1
        self._pending.params = params

    def _answered(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        params = self._pending.params
        match model.name:
            case "PutItem":
                self._wrote("Put", params["Item"])
            case "UpdateItem":
                self._wrote("Update", self._item(params))
            case "TransactWriteItems":
                for action in params["TransactItems"]:
                    ((kind, what),) = action.items()
                    self._wrote(kind, what["Item"] if kind == "Put" else self._item(what), 2)
            case "GetItem":
                self._read(model.name, item_bytes(parsed.get("Item", {})))
            case "Query":
                self._read(model.name, sum(map(item_bytes, parsed["Items"])))
            case name:
                raise NotImplementedError(f"{name} is not counted")

    def _item(self, what: Item) -> Item:
        return self.plain.get_item(TableName=what["TableName"], Key=what["Key"], ConsistentRead=True).get("Item", {})

    def _wrote(self, kind: str, item: Item, times: int = 1) -> None:
        place = ""
        if item:
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            place = (pk if "#" in pk else sk).partition("#")[0]
        self.write[f"{kind} {place}"] += times * write_units([item_bytes(item)])

    def _read(self, name: str, size: int) -> None:
        self.read[name] += max(1, -(-size // _READ))

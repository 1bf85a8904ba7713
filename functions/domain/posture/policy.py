"""Whether a bucket's policy denies at least what ours does, compared in meaning and not in text.

Somebody may spell our policy differently, split a statement, or deny more; a policy is weaker only where a
request that ours denies would get through. Every statement of ours is taken apart into pairs of one action
and one resource; each pair must be covered by a single Deny whose principals and conditions hold whenever
ours do.

Rules, each erring towards "weaker":
- `*` and `?` are the only wildcards; actions and condition keys do not tell cases apart, resources do.
- A condition that we do not know to follow from ours makes a Deny narrower.
- A Deny that names principals is one with a condition on `aws:PrincipalArn`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from functions.domain.bucket_policy import Statement

Condition = tuple[str, str, frozenset[str]]
"""Operator and key in lower case, values."""

_PRINCIPAL = "aws:principalarn"
_SYNONYMS = {"arnequals": "arnlike", "arnnotequals": "arnnotlike"}
"""IAM: both of a pair behave identically."""


def not_covered(ours: Iterable[Statement], theirs: Iterable[Statement]) -> Iterator[tuple[str, str]]:
    """Each Deny of `ours` that `theirs` does not enforce, as (Sid, what gets through), in our order."""
    denials = [statement for statement in theirs if statement.get("Effect") == "Deny"]
    for wanted in ours:
        if wanted["Effect"] != "Deny":
            continue
        gaps = set(_gaps(wanted, denials))
        if gaps:
            yield wanted["Sid"], ", ".join(sorted(gaps))


def public_allows(theirs: Iterable[Statement]) -> Iterator[str]:
    """Each Allow for everybody under no condition, by its Sid or position."""
    for number, statement in enumerate(theirs, 1):
        if statement.get("Effect") == "Allow" and _is_for_everybody(statement) and not statement.get("Condition"):
            yield str(statement.get("Sid") or f"statement {number}")


def denied(statements: Iterable[Statement], principal: str, action: str, resource: str) -> bool:
    """Whether a Deny covers every request of `principal` for `action` on `resource`, whatever else it says."""
    wish: Statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:PrincipalArn": principal}},
    }
    denials = [statement for statement in statements if statement.get("Effect") == "Deny"]
    return not list(_gaps(wish, denials))


def allowed(statements: Iterable[Statement], principal: str, action: str, resource: str) -> bool:
    """Whether an Allow speaks of `action` on `resource` under whatever condition, for `principal` if it names any."""
    return any(
        statement.get("Effect") == "Allow"
        and _names_principal(statement, principal)
        and _speaks_of_action(statement, action)
        and _touches_resource(statement, resource)
        for statement in statements
    )


def several(one_or_many: Any) -> list[str]:
    """IAM writes one value as itself, several as a list."""
    return [str(each) for each in one_or_many] if isinstance(one_or_many, list | tuple) else [str(one_or_many)]


def _gaps(wanted: Statement, denials: Sequence[Statement]) -> Iterator[str]:
    conditions = _conditions(wanted)
    able = [each for each in denials if _follows(_conditions(each), conditions)]
    for action in several(wanted["Action"]) if "Action" in wanted else [None]:
        for resource in several(wanted["Resource"]) if "Resource" in wanted else [None]:
            if not any(
                _covers_action(each, action, wanted) and _covers_resource(each, resource, wanted) for each in able
            ):
                yield action or f"all but {', '.join(several(wanted['NotAction']))}"


def _covers_action(statement: Statement, action: str | None, wanted: Statement) -> bool:
    if action is None:
        spared = [each.lower() for each in several(wanted["NotAction"])]
        if "NotAction" in statement:
            return all(_any_matches(spared, each.lower()) for each in several(statement["NotAction"]))
        return _any_matches((each.lower() for each in several(statement.get("Action", ()))), "s3:*")
    if "NotAction" in statement:
        return not any(_overlap(each.lower(), action.lower()) for each in several(statement["NotAction"]))
    return _any_matches((each.lower() for each in several(statement.get("Action", ()))), action.lower())


def _covers_resource(statement: Statement, resource: str | None, wanted: Statement) -> bool:
    if resource is None:
        spared = several(wanted["NotResource"])
        if "NotResource" in statement:
            return all(_any_matches(spared, each) for each in several(statement["NotResource"]))
        # A bucket's policy is about its bucket: its name before the first slash covers all objects.
        bucket = spared[0].partition("/")[0]
        return _any_matches(several(statement.get("Resource", ())), f"{bucket}/*")
    if "NotResource" in statement:
        return not any(_overlap(each, resource) for each in several(statement["NotResource"]))
    return _any_matches(several(statement.get("Resource", ())), resource)


def _speaks_of_action(statement: Statement, action: str) -> bool:
    if "NotAction" in statement:
        return not _any_matches((each.lower() for each in several(statement["NotAction"])), action.lower())
    return _any_matches((each.lower() for each in several(statement.get("Action", ()))), action.lower())


def _touches_resource(statement: Statement, resource: str) -> bool:
    if "NotResource" in statement:
        return not _any_matches(several(statement["NotResource"]), resource)
    return any(_overlap(each, resource) for each in several(statement.get("Resource", "*")))


def _names_principal(statement: Statement, principal: str) -> bool:
    return _is_for_everybody(statement) or _any_matches(_principals(statement) or (), principal)


def _is_for_everybody(statement: Statement) -> bool:
    """An Allow with NotPrincipal is for all of the world but a few."""
    return "NotPrincipal" in statement or _principals(statement) is None


def _principals(statement: Statement) -> frozenset[str] | None:
    """The principals that a statement names; None: everybody."""
    if "NotPrincipal" in statement:
        return frozenset()
    principal = statement.get("Principal", "*")
    if isinstance(principal, Mapping):
        named = frozenset(
            value for kind, values in principal.items() for value in (several(values) if kind == "AWS" else [kind])
        )
    else:
        named = frozenset(several(principal))
    return None if "*" in named else named


def _conditions(statement: Statement) -> list[Condition]:
    found: list[Condition] = []
    for operator, tests in statement.get("Condition", {}).items():
        lowered = operator.lower()
        for key, values in tests.items():
            found.append(
                (_SYNONYMS.get(lowered, lowered), key.lower(), frozenset(_spelled(each) for each in _raw(values)))
            )
    if (named := _principals(statement)) is not None:
        found.append(("arnlike", _PRINCIPAL, named))
    return found


def _raw(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or str(value).lower() in ("true", "false") else str(value)


def _follows(theirs: Iterable[Condition], ours: Sequence[Condition]) -> bool:
    """Whether `theirs` hold for every request for which all of `ours` hold."""
    return all(any(_weaker(their, our) for our in ours) for their in theirs)


def _weaker(their: Condition, our: Condition) -> bool:
    (operator, key, values), (our_operator, our_key, our_values) = their, our
    if key == our_key and (operator, our_operator) == ("arnnotlike", "arnlike"):
        # Everybody but those it spares, and it spares none of ours.
        return not any(_overlap(value, our_value) for value in values for our_value in our_values)
    if (operator, key) != (our_operator, our_key):
        return False
    if operator in ("numericlessthan", "numericlessthanequals"):
        return max(map(_number, values)) >= max(map(_number, our_values))
    if operator in ("arnnotlike", "stringnotequals", "stringnotlike"):
        # Spares no more than ours do.
        return all(_any_matches(our_values, value) for value in values)
    if operator in ("arnlike", "stringlike"):
        return all(_any_matches(values, value) for value in our_values)
    return values >= our_values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("-inf")


def _any_matches(patterns: Iterable[str], text: str) -> bool:
    """Whether a pattern covers `text`, in which a wildcard stands for whatever it could be."""
    return any(_pattern(each).fullmatch(text) for each in patterns)


def _overlap(one: str, other: str) -> bool:
    """Whether something may match both; exact where one of them has no wildcard, else by what precedes it."""
    if "*" not in other and "?" not in other:
        return _any_matches([one], other)
    if "*" not in one and "?" not in one:
        return _any_matches([other], one)
    left, right = re.split(r"[*?]", one)[0], re.split(r"[*?]", other)[0]
    return left.startswith(right) or right.startswith(left)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)

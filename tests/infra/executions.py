"""Runs a workflow's definition in memory, with answers for its steps: which states it enters, and how it ends.

Only what the workflows use: JSONata's Pass, Choice, Wait, Task, Map and Fail, Assign, Output and Catch; no retries.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

Answers = Mapping[str, Callable[[Any], Any]]
"""By state: what its function answers to its payload; raising StepFailed is an error of that name."""


class StepFailed(Exception):
    """What Lambda says of a function that raised, or, with `cause`, what Step Functions says of anything else."""

    def __init__(self, error: str, message: str = "", *, cause: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.cause = json.dumps({"errorType": error, "errorMessage": message}) if cause is None else cause


@dataclass
class Execution:
    """How far it came, and how it ended."""

    definition: Mapping[str, Any]
    answers: Answers
    name: str = "execution-1"
    entered: list[str] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)
    """By state: what its function was last asked."""
    output: Any = None
    error: str = ""
    cause: str = ""

    def run(self, content: Any) -> "Execution":
        self._variables: dict[str, Any] = {}
        name, state_input = self.definition["StartAt"], content
        while name:
            self.entered.append(name)
            name, state_input = self._state(name, self.definition["States"][name], state_input)
        self.output = None if self.error else state_input
        return self

    def _state(self, name: str, state: Mapping[str, Any], given: Any) -> tuple[str, Any]:
        match state["Type"]:
            case "Fail":
                self.error, self.cause = (self._filled(state[each], {"input": given}) for each in ("Error", "Cause"))
                return "", given
            case "Choice":
                chosen = (
                    each["Next"]
                    for each in state["Choices"]
                    if self._filled(each["Condition"], {"input": given}) is True
                )
                return next(chosen, state["Default"]), given
            case "Pass":
                return self._leave(state, {"input": given}, given)
            case "Wait":
                self.asked[name] = self._filled(state["Timestamp"], {"input": given})
                return self._leave(state, {"input": given}, given)
            case _:
                return self._work(name, state, given)

    def _work(self, name: str, state: Mapping[str, Any], given: Any) -> tuple[str, Any]:
        try:
            if state["Type"] == "Map":
                selected = self._filled(state["ItemSelector"], {"input": given})
                answer = self._answer(name, selected | self._filled(state["ItemReader"], {"input": given}))
                result: Any = {"Payload": answer}
            else:
                arguments = self._filled(state["Arguments"], {"input": given})
                nested = "startExecution" in state["Resource"]
                answer = self._answer(name, arguments["Input"] if nested else arguments["Payload"])
                result = {"Output": answer} if nested else {"Payload": answer}
        except StepFailed as failure:
            for catch in state["Catch"]:
                if {failure.error, "States.ALL"} & set(catch["ErrorEquals"]):
                    told = {"input": given, "errorOutput": {"Error": failure.error, "Cause": failure.cause}}
                    return self._leave(catch, told, told["errorOutput"])
            raise
        return self._leave(state, {"input": given, "result": result}, answer)

    def _answer(self, name: str, payload: Any) -> Any:
        # As between AWS's services: only what JSON can hold.
        self.asked[name] = json.loads(json.dumps(payload))
        return json.loads(json.dumps(self.answers[name](payload)))

    def _leave(self, state: Mapping[str, Any], states: Mapping[str, Any], otherwise: Any) -> tuple[str, Any]:
        output = self._filled(state["Output"], states) if "Output" in state else otherwise
        assigned = self._filled(state.get("Assign", {}), states)
        self._variables.update(assigned)
        return state.get("Next", ""), output

    def _filled(self, template: Any, states: Mapping[str, Any]) -> Any:
        if isinstance(template, dict):
            return {key: self._filled(each, states) for key, each in template.items()}
        if isinstance(template, str) and template.startswith("{%"):
            return self._evaluated(template.removeprefix("{%").removesuffix("%}"), states)
        return template

    def _evaluated(self, expression: str, states: Mapping[str, Any]) -> Any:
        context = {
            "Execution": {"Name": self.name, "StartTime": "2026-11-21T12:00:00.123Z"},
            "Map": {"Item": {"Value": "batch-1"}},
            "State": {"EnteredTime": "2026-11-21T13:00:00.456Z"},
            "Task": {"Token": "task-token"},
        }
        compiled = Jsonata(expression)
        compiled.register_lambda("parse", json.loads)
        frame = compiled.create_frame()
        for name, value in {**self._variables, "states": {**states, "context": context}}.items():
            # A bare None is JSONata's undefined.
            frame.bind(name, Utils.NULL_VALUE if value is None else value)
        found = compiled.evaluate(None, frame)
        return None if found is Utils.NULL_VALUE else found

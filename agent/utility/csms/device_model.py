"""The variables that this station shows its CSMS: the device model of 2.x, and 1.6's keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from agent.ocpp import Payload
from agent.ocpp.timestamps import format_utc

CHUNK: Final = 20
"""Variables in one NotifyReport."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable.

    Attributes:
        component, name: Standardised names of 2.x (part 2, appendix 3).
        key: Configuration key of 1.6; empty where it has none.
        kind: DataEnumType.
        read: Returns the value as text.
        write: Takes a new value and returns whether it is one; None for read-only.
    """

    component: str
    name: str
    kind: str
    read: Callable[[], str]
    key: str = ""
    write: Callable[[str], bool] | None = None
    unit: str = ""
    instance: str = ""

    def matches(self, component: Payload, variable: Payload) -> bool:
        """Whether a request means this one."""
        return (
            self.component.lower() == str(component["name"]).lower()
            and self.name.lower() == str(variable["name"]).lower()
            and str(variable.get("instance", self.instance)) == self.instance
            and "evse" not in component
        )


class DeviceModel:
    """Variables by name; answers for both families of versions."""

    def __init__(self, variables: Iterable[Variable]) -> None:
        self._variables = tuple(variables)

    def get_variables(self, payload: Payload) -> Payload:
        """Answer GetVariables."""
        return {"getVariableResult": [self._get(each) for each in payload["getVariableData"]]}

    def set_variables(self, payload: Payload) -> Payload:
        """Answer SetVariables."""
        return {"setVariableResult": [self._set(each) for each in payload["setVariableData"]]}

    def reports(self, request_id: int, now_utc_s: float, names: set[str] | None) -> list[Payload]:
        """Return the NotifyReport messages; `names` are components, None for all."""
        found = [_report(v) for v in self._variables if names is None or v.component in names]
        chunks = [found[start : start + CHUNK] for start in range(0, len(found), CHUNK)]
        return [
            {
                "requestId": request_id,
                "generatedAt": format_utc(now_utc_s),
                "seqNo": number,
                "tbc": number < len(chunks) - 1,
                "reportData": chunk,
            }
            for number, chunk in enumerate(chunks)
        ]

    def get_configuration(self, payload: Payload) -> Payload:
        """Answer GetConfiguration (1.6)."""
        known = {v.key: v for v in self._variables if v.key}
        wanted = payload.get("key") or list(known)
        rows = [
            {"key": key, "readonly": known[key].write is None, "value": known[key].read()[:500]}
            for key in wanted
            if key in known
        ]
        unknown = [key for key in wanted if key not in known]
        return {"configurationKey": rows, "unknownKey": unknown}

    def change_configuration(self, payload: Payload) -> Payload:
        """Answer ChangeConfiguration (1.6)."""
        known = {v.key: v for v in self._variables if v.key}
        variable = known.get(payload["key"])
        if variable is None:
            return {"status": "NotSupported"}
        done = variable.write is not None and variable.write(payload["value"])
        return {"status": "Accepted" if done else "Rejected"}

    def _find(self, wish: Payload) -> Variable | str:
        component, variable = wish["component"], wish["variable"]
        for each in self._variables:
            if each.matches(component, variable):
                return each
        names = {each.component.lower() for each in self._variables}
        known = str(component["name"]).lower() in names
        return "UnknownVariable" if known else "UnknownComponent"

    def _get(self, wish: Payload) -> Payload:
        found = self._find(wish)
        answer: Payload = {"component": wish["component"], "variable": wish["variable"]}
        if isinstance(found, str):
            return {**answer, "attributeStatus": found}
        if wish.get("attributeType", "Actual") != "Actual":
            return {**answer, "attributeStatus": "NotSupportedAttributeType"}
        return {**answer, "attributeStatus": "Accepted", "attributeValue": found.read()}

    def _set(self, wish: Payload) -> Payload:
        found = self._find(wish)
        answer: Payload = {"component": wish["component"], "variable": wish["variable"]}
        if isinstance(found, str):
            return {**answer, "attributeStatus": found}
        if wish.get("attributeType", "Actual") != "Actual":
            return {**answer, "attributeStatus": "NotSupportedAttributeType"}
        done = found.write is not None and found.write(wish["attributeValue"])
        return {**answer, "attributeStatus": "Accepted" if done else "Rejected"}


def _report(variable: Variable) -> Payload:
    name: Payload = {"name": variable.name}
    if variable.instance:
        name["instance"] = variable.instance
    characteristics: Payload = {"dataType": variable.kind, "supportsMonitoring": False}
    if variable.unit:
        characteristics["unit"] = variable.unit
    mutability = "ReadOnly" if variable.write is None else "ReadWrite"
    return {
        "component": {"name": variable.component},
        "variable": name,
        "variableAttribute": [{"value": variable.read(), "mutability": mutability}],
        "variableCharacteristics": characteristics,
    }

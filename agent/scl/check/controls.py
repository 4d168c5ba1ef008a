"""Controllable objects have what their ctlModel needs (IEC 61850-7-2 Ed. 2.1, 20)."""

from __future__ import annotations

from typing import Final

from agent.iec61850 import BasicType
from agent.scl.check.context import Context, ln_path
from agent.scl.live import DataAttribute, DataObject
from agent.scl.values import initial

_SERVICES: Final = {
    1: ("Oper",),
    2: ("SBO", "Oper", "Cancel"),
    3: ("Oper",),
    4: ("SBOw", "Oper", "Cancel"),
}
_ATTRIBUTES: Final = {2: ("sboTimeout",), 3: ("operTimeout",), 4: ("sboTimeout", "operTimeout")}


def control_models(context: Context) -> None:
    """The value of ctlModel agrees with the service attributes of the type."""
    for ied, device, node in context.nodes():
        for do in node.objects:
            attribute = do.child("ctlModel")
            if isinstance(attribute, DataAttribute):
                path = f"{ln_path(ied, device, node)}/{do.name}"
                _object(context, do, attribute, node.line, path)


def _object(
    context: Context, do: DataObject, ctl_model: DataAttribute, line: int, path: str
) -> None:
    value = initial(ctl_model)
    has_oper = do.child("Oper") is not None
    if value is None:
        if has_oper and not ctl_model.values:
            what = "ctlModel has no value: clients cannot know how to operate it"
            context.warning("control.no-model", line, path, what, "set ctlModel")
        return
    if not isinstance(value, int) or value not in (0, *_SERVICES):
        if ctl_model.b_type is BasicType.ENUM:
            what = f"ctlModel {value!r} is none of 0 to 4"
            context.error("control.bad-model", ctl_model.line, path, what)
        return
    names = [child.name for child in do.children]
    missing = [name for name in _SERVICES.get(value, ()) if name not in names]
    if missing:
        what = f"ctlModel is {value}, but the type lacks {', '.join(missing)}"
        hint = "add the service attributes or change ctlModel"
        context.error("control.model-mismatch", ctl_model.line, path, what, hint)
    lacking = [name for name in _ATTRIBUTES.get(value, ()) if name not in names]
    if lacking:
        what = f"ctlModel is {value}, but the type lacks {', '.join(lacking)}"
        context.info("control.no-timeout", ctl_model.line, path, what)

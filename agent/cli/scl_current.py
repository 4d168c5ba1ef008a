"""What clients have set in the running IED, for its IID."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from agent.iec61850 import FC, ObjectReference, Timestamp
from agent.ied.port import Native
from agent.ied.state import IedState
from agent.ied.store import Store
from agent.scl import IedModel, expand
from agent.scl.export import GatewayDescription, gateway_scl
from agent.scl.live import DataAttribute

_SETTABLE: Final = frozenset({FC.SP, FC.CF, FC.SE, FC.SG})
_EPOCH: Final = datetime(1970, 1, 1)


def with_stored_values(gateway: GatewayDescription, store: Store) -> GatewayDescription:
    """The gateway with the set points and setting groups that its clients have stored.

    Values of objects that the description does not have (another mapping, an older file) are
    left out.
    """
    model = expand(gateway_scl(gateway, communication=False), gateway.ied_name)
    values = dict(gateway.values)
    groups = {number: dict(own) for number, own in gateway.group_values.items()}
    active = dict(gateway.active_groups)
    for (reference, group), value in store.items():
        device = model.device(reference.ld)
        if device is None:
            continue
        if reference == IedState.group_key(reference.ld):
            active[device.inst] = int(value) if isinstance(value, int) else 1
        elif _has(model, reference, group):
            kept = groups.setdefault(group, {}) if group else values
            kept[_path(device.inst, reference)] = _text(value)
    return replace(gateway, values=values, group_values=groups, active_groups=active)


def _has(model: IedModel, reference: ObjectReference, group: int) -> bool:
    if reference.fc not in _SETTABLE:
        return False
    leaf = model.find(reference.with_fc(FC.SE) if group else reference)
    return isinstance(leaf, DataAttribute) and not leaf.children


def _path(inst: str, reference: ObjectReference) -> str:
    return f"{inst}/{reference.ln}.{'.'.join(reference.path)}"


def _text(value: Native) -> str:
    """A value as the text of a Val (IEC 61850-6 Ed. 2.1, table 46)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Timestamp):
        moment = _EPOCH + timedelta(microseconds=round(value.t_utc_s * 1e6))
        return moment.isoformat(timespec="milliseconds")
    if isinstance(value, bytes):
        return value.hex()
    return f"{value:.7g}" if isinstance(value, float) else str(value)

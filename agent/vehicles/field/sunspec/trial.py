"""A SunSpec device tried: what it lacks to be an inverter of this gateway, or a meter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.vehicles.field.sunspec.model import Device, Model
from agent.vehicles.field.trial import Remark

NEEDED: Final = {
    701: ("W", "Hz"),
    702: ("WMaxRtg",),
    704: ("WSetEna", "WSet", "WSetRvrtTms", "WSetEnaRvrt"),
}
"""Without these points of a model it cannot be ordered, or not be believed."""
MEANING: Final = {
    701: "measurements: without it the device is neither inverter nor meter",
    702: "ratings: what the device does not state cannot be ordered",
    704: "orders: without it the device only measures",
}

STATES: Final = (
    (702, "WMax", 0.0, "is 0 W: nothing can be ordered", "set the largest power at the device"),
    (715, "LocRemCtl", 1.0, "is 1 (local): orders are refused", "give it to remote control"),
)
"""Values that make a device useless as an inverter: model, point, value, what it means, hint."""


def remarks_of(device: Device) -> Iterator[Remark]:
    """Yield what the device lacks, model by model."""
    for number, names in NEEDED.items():
        model = device.models.get(number)
        if model is None:
            yield Remark(f"model {number}", "", None, "holding", "is missing", MEANING[number])
            continue
        for name in names:
            if not model.has(name):
                yield _lacking(model, name)
    for number, name, value, what, hint in STATES:
        model = device.models.get(number)
        if model is not None and model.first.get(name) == value:
            register = model.address + model.points[name].offset
            yield Remark(f"model {number}", name, register, "holding", what, hint)


def _lacking(model: Model, name: str) -> Remark:
    point = model.points.get(name)
    register = None if point is None else model.address + point.offset
    what = "is not implemented"
    if point is None:
        what = "lies beyond the length of the model in this device"
    elif point.scale and point.scale not in model.powers:
        what = f"has no scale factor: {point.scale} is not between -10 and 10"
    hint = MEANING[model.model_id]
    return Remark(f"model {model.model_id}", name, register, "holding", what, hint)

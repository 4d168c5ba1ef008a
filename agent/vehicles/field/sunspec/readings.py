"""Readings out of the monitoring models: 701 AC, 713 storage, 714 DC, 715 control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from agent.vehicles.field.dialogue import Dialogue
from agent.vehicles.field.readings import Phases, Readings
from agent.vehicles.field.sunspec.model import Device

FAST: Final = (
    "St", "InvSt", "ConnSt", "Alrm", "W", "Var", "A", "LNV", "Hz", "TotWhInj", "TotWhAbs",
    "WL1", "WL2", "WL3", "AL1", "AL2", "AL3", "VL1", "VL2", "VL3",
)  # fmt: skip
SLOW: Final = (713, 714, 715)
"""Models that need not be read at every poll."""
IDLE: Final = frozenset({0, 5, 6})
"""InvSt: OFF, SHUTTING_DOWN, FAULT. `FAULT`: the last of them."""
FAULT: Final = 6
GRAVE: Final = frozenset({
    "GROUND_FAULT", "DC_OVER_VOLT", "DC_DISCONNECT", "CABINET_OPEN", "MANUAL_SHUTDOWN",
    "OVER_TEMP", "HW_TEST_FAILURE", "BLOWN_STRING_FUSE", "MEMORY_LOSS", "INPUT_OVER_VOLTAGE",
    "BLOWN_FUSE", "ARC_DETECTION", "TEST_FAILED",
})  # fmt: skip
"""Alarms of the equipment; those about the grid are its ride-through and no fault of it."""

Values = Mapping[str, float | str | None]


def poll(
    device: Device, before: Mapping[str, float | None], models: Sequence[int] = SLOW
) -> Dialogue[tuple[Readings, dict[str, float | None]]]:
    """Read model 701 and those of `models` that the device has.

    Args:
        device: As it was discovered.
        before: What the slow models said last; returned anew for the next call.
        models: Which slow models to read now.
    """
    ac = yield from device.models[701].read(FAST)
    slow = dict(before)
    for number in models:
        if number in device.models:
            slow |= yield from _slow(device, number)
    return _readings(device, ac, slow), slow


def _slow(device: Device, number: int) -> Dialogue[dict[str, float | None]]:
    model = device.models[number]
    if number == 713:
        names: tuple[str, ...] = ("SoC", "SoH", "WHRtg")
    elif number == 715:
        names = ("LocRemCtl",)
    else:
        names = tuple(n for n in model.points if n == "PrtAlrms" or n.endswith("].DCAlrm"))
    found = yield from model.read(names)
    return {name: value for name, value in found.items() if not isinstance(value, str)}


def _readings(device: Device, ac: Values, slow: Mapping[str, float | None]) -> Readings:
    faults = _names(device, 701, "Alrm", _number(ac, "Alrm"))
    for name, value in slow.items():
        if name.endswith("DCAlrm"):
            faults |= _names(device, 714, name, value)
    state = _number(ac, "InvSt")
    if state == FAULT and not faults:
        faults = {"FAULT"}
    phases: Phases = (_number(ac, "VL1"), _number(ac, "VL2"), _number(ac, "VL3"))
    if phases[0] is None:
        phases = (_number(ac, "LNV"), phases[1], phases[2])
    connection = _number(ac, "ConnSt")
    return Readings(
        f_hz=_number(ac, "Hz"),
        p_w=_number(ac, "W"),
        q_var=_number(ac, "Var"),
        p_phase_w=(_number(ac, "WL1"), _number(ac, "WL2"), _number(ac, "WL3")),
        v_phase_v=phases,
        i_phase_a=(_number(ac, "AL1"), _number(ac, "AL2"), _number(ac, "AL3")),
        energy_export_wh=_number(ac, "TotWhInj"),
        energy_import_wh=_number(ac, "TotWhAbs"),
        ground_fault="GROUND_FAULT" in faults,
        soc_pct=slow.get("SoC"),
        soh_pct=slow.get("SoH"),
        capacity_wh=slow.get("WHRtg"),
        connected=connection != 0,
        running=state not in IDLE and _number(ac, "St") != 0,
        local=slow.get("LocRemCtl") == 1,
        faults=tuple(sorted(name.lower().replace("_", " ") for name in faults)),
    )


def _names(device: Device, number: int, point: str, value: float | None) -> set[str]:
    if not value:
        return set()
    symbols = device.models[number].points[point].symbols
    return {name for bit, name in symbols.items() if int(value) >> bit & 1} & GRAVE


def _number(values: Values, name: str) -> float | None:
    value = values.get(name)
    return value if isinstance(value, float) else None

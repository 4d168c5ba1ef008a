"""What an inverter does by itself: droop (711), volt-var (705), fixed power factor, enter service.

Each is written only where the inverter does something else, and read back. Curves are adopted:
the first of a model is the one in force and cannot be written; another is filled and then asked
for by its number (`AdptCrvReq`, `AdptCtlReq`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.errors import RefusedError
from agent.vehicles.field.dialogue import DeviceError, Dialogue, Pause
from agent.vehicles.field.sunspec import Device, Model

LEAST_POWER_FACTOR: Final = 0.90
ADOPT_TRIES: Final = 40
ADOPT_PAUSE_S: Final = 0.1
COMPLETED: Final = 1
FAILED: Final = 2
VAR_MAX_PCT: Final = 1
OVER_EXCITED: Final = 0
UNDER_EXCITED: Final = 1


@dataclass(frozen=True, slots=True)
class Droop:
    """Frequency droop (IEEE 1547-2018, 6.5.2.7): deadbands in Hz, droops in per unit."""

    db_of_hz: float
    db_uf_hz: float
    k_of: float
    k_uf: float
    response_s: float


@dataclass(frozen=True, slots=True)
class Functions:
    """What is configured; None and empty leave the inverter as it is.

    Attributes:
        volt_var: Points (V in % of nominal, var in % of its largest), rising in V.
        power_factor: 0.90 to 1; positive injects vars (over-excited), negative absorbs them.
        limit_pct: Largest export in % of its rating.
        enter_service: Whether it may be connected to the grid.
    """

    droop: Droop | None = None
    volt_var: tuple[tuple[float, float], ...] = ()
    volt_var_response_s: float = 5.0
    power_factor: float | None = None
    limit_pct: float | None = None
    enter_service: bool | None = None

    def __post_init__(self) -> None:
        factor = self.power_factor
        if factor is not None and not LEAST_POWER_FACTOR <= abs(factor) <= 1.0:
            raise RefusedError(f"a power factor of {factor:g} is outside 0.90 lag to 0.90 lead")


def apply(device: Device, functions: Functions) -> Dialogue[None]:
    """Bring the inverter to what is configured.

    Raises:
        RefusedError: It has no such function, or somebody at it has taken remote control away.
        DeviceError: It did not keep what was written.
    """
    yield from _not_local(device, functions)
    if functions.droop is not None:
        yield from _droop(_model(device, 711, "frequency droop"), functions.droop)
    if functions.volt_var:
        yield from _volt_var(_model(device, 705, "volt-var"), functions)
    if functions.power_factor is not None:
        yield from _power_factor(device.models[704], functions.power_factor)
    if functions.limit_pct is not None:
        wanted = {"WMaxLimPct": functions.limit_pct, "WMaxLimPctEna": 1.0}
        yield from device.models[704].keep(wanted)
    if functions.enter_service is not None:
        service = _model(device, 703, "enter service")
        yield from service.keep({"ES": float(functions.enter_service)})


def _not_local(device: Device, functions: Functions) -> Dialogue[None]:
    heart = device.models.get(715)
    if functions == Functions() or heart is None or not heart.has("LocRemCtl"):
        return
    state = yield from heart.read(("LocRemCtl",))
    if state["LocRemCtl"] == 1:
        raise RefusedError("the inverter is under local control (LocRemCtl)")


def _droop(model: Model, droop: Droop) -> Dialogue[None]:
    wanted = {
        "DbOf": droop.db_of_hz,
        "DbUf": droop.db_uf_hz,
        "KOf": droop.k_of,
        "KUf": droop.k_uf,
        "RspTms": droop.response_s,
    }
    yield from _adopt(model, "Ctl", "AdptCtlReq", "AdptCtlRslt", wanted)


def _volt_var(model: Model, functions: Functions) -> Dialogue[None]:
    points = functions.volt_var
    room = sum(name.startswith("Crv[0].Pt[") and name.endswith(".V") for name in model.points)
    if len(points) > room:
        raise RefusedError(f"{len(points)} volt-var points; the inverter has room for {room}")
    wanted: dict[str, float] = {
        "ActPt": len(points),
        "DeptRef": VAR_MAX_PCT,
        "RspTms": functions.volt_var_response_s,
    }
    for at, (volts, vars_) in enumerate(points):
        wanted |= {f"Pt[{at}].V": volts, f"Pt[{at}].Var": vars_}
    yield from _adopt(model, "Crv", "AdptCrvReq", "AdptCrvRslt", wanted)


def _adopt(
    model: Model, group: str, request: str, result: str, wanted: Mapping[str, float]
) -> Dialogue[None]:
    """Fill a free curve, ask for it, wait until it is in force, enable the function."""
    if (yield from _differs(model, f"{group}[0]", wanted)):
        number = yield from _writable(model, group)
        values = {f"{group}[{number}].{name}": value for name, value in wanted.items()}
        yield from model.keep(values)
        yield from model.send({request: number + 1})
        for _ in range(ADOPT_TRIES):
            state = (yield from model.read((result,)))[result]
            if state == FAILED:
                raise DeviceError(f"model {model.model_id} did not adopt curve {number + 1}")
            if state == COMPLETED:
                break
            yield Pause(ADOPT_PAUSE_S)
        if (yield from _differs(model, f"{group}[0]", wanted)):
            raise DeviceError(f"model {model.model_id} adopted another curve than it was told")
    yield from model.keep({"Ena": 1.0})


def _writable(model: Model, group: str) -> Dialogue[int]:
    names = [name for name in model.points if name.startswith(f"{group}[") and "ReadOnly" in name]
    states = yield from model.read(names)
    for name in names:
        number = int(name.removeprefix(f"{group}[").partition("]")[0])
        if number > 0 and states[name] == 0:
            return number
    raise RefusedError(f"model {model.model_id} of the inverter has no curve that can be written")


def _power_factor(model: Model, factor: float) -> Dialogue[None]:
    sides = [side for side in ("PFWInj", "PFWAbs") if model.has(f"{side}Ena", f"{side}.PF")]
    if not sides:
        raise RefusedError("the inverter has no fixed power factor")
    excitation = OVER_EXCITED if factor > 0 else UNDER_EXCITED
    for side in sides:
        wanted = {f"{side}.PF": abs(factor), f"{side}.Ext": excitation, f"{side}Ena": 1.0}
        yield from model.keep(wanted)


def _differs(model: Model, prefix: str, wanted: Mapping[str, float]) -> Dialogue[bool]:
    names = {f"{prefix}.{name}": value for name, value in wanted.items()}
    lacking = [name for name in names if name not in model.points]
    if lacking:
        raise RefusedError(f"model {model.model_id} of the inverter has no {', '.join(lacking)}")
    kept = yield from model.read(tuple(names))
    return any(not model.same(name, kept[name], value) for name, value in names.items())


def _model(device: Device, number: int, function: str) -> Model:
    model = device.models.get(number)
    if model is None:
        raise RefusedError(f"the inverter has no {function} (SunSpec model {number})")
    return model

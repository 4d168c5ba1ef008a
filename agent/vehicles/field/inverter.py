"""Orders to a SunSpec inverter, with read-back and a watchdog that needs no gateway.

An order is `WSet` with `WSetEna` (model 704). The reversion timer beside it is set once to
`REVERSION_S`: unless the order is written again in time, the inverter itself goes to `WSetRvrt`,
which is 0 W. So whatever ends the gateway ends the power within that time. `ControllerHb` (715)
counts up once a second for inverters that watch it.

Sources: SunSpec DER Information Model 1.1, 3.9 to 3.13; IEEE 1547-2018 for the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from agent.vehicles.field.dialogue import DeviceError, DeviceRefusedError, Dialogue
from agent.vehicles.field.functions import Functions, apply
from agent.vehicles.field.limits import Limits, check_order
from agent.vehicles.field.readings import Readings
from agent.vehicles.field.sunspec import Device, Model
from agent.vehicles.field.sunspec.readings import SLOW, poll

REVERSION_S: Final = 5
"""Reversion time of every order, in seconds; SunSpec counts whole seconds."""
SLOW_S: Final = 2.0
"""How often storage, DC side and control state are read."""
RENEWED_S: Final = 3
"""A renewed timer that shows less than this was not renewed."""
ORDER: Final = ("WSetEna", "WSetMod", "WSet", "WSetPct", "WSetRvrtTms", "WSetRvrtRem")
ENABLED: Final = 1
WATTS: Final = 1
VARS: Final = 4
LOCAL: Final = 1


@dataclass(slots=True)
class SunSpecInverter:
    """The dialogues of one inverter.

    Attributes:
        device: As it was discovered; it must have models 701 and 704.
        limits: Of the device and the site together.
        functions: What it is to do by itself.
    """

    device: Device
    limits: Limits
    functions: Functions = field(default_factory=Functions)
    poll_s: float = 0.25
    _beat: int = 0
    _slow: dict[str, float | None] = field(default_factory=dict)
    _with_vars: bool = False

    def __post_init__(self) -> None:
        missing = [str(number) for number in (701, 704) if number not in self.device.models]
        if missing:
            raise DeviceError(f"the device has no SunSpec model {' and '.join(missing)}")

    @property
    def cannot(self) -> tuple[str, ...]:
        """What it cannot do, as `EvseStatus.cannot` says it."""
        control = self._control
        lacks = []
        ordered = control.has("WSetEna", "WSet") or control.has("WSetEna", "WSetPct")
        watched = control.has("WSetRvrtTms", "WSetEnaRvrt")
        if not (ordered and watched):
            lacks.append("orders")
        if not (control.has("VarSetEna", "VarSetMod", "VarSet") and self._may_set_vars):
            lacks.append("reactive power")
        return tuple(lacks)

    @property
    def identity(self) -> tuple[str, str]:
        """Vendor and model."""
        return self.device.identity("Mn"), self.device.identity("Md")

    @property
    def periods_s(self) -> tuple[float, ...]:
        """How often measurements, and what changes slowly, are due."""
        return self.poll_s, SLOW_S

    def prepare(self) -> Dialogue[float | None]:
        """Set the reversion timer and the functions; return the order that is still carried out.

        Raises:
            DeviceError: The inverter does not keep its reversion settings or a function.
            RefusedError: Somebody at the inverter has taken remote control away, or it cannot
                have a function that is configured.
        """
        before = yield from self._control.read(ORDER)
        if "orders" not in self.cannot:
            yield from self._set_reversion()
        yield from apply(self.device, self.functions)
        running = before["WSetEna"] == ENABLED and bool(before["WSetRvrtRem"])
        return self._ordered_w(before) if running else None

    def poll(self, groups: Sequence[int] = (0,)) -> Dialogue[Readings]:
        """Read measurements and the order in force; with group 1 also what changes slowly."""
        models = SLOW if 1 in groups else ()
        readings, self._slow = yield from poll(self.device, self._slow, models)
        order = yield from self._control.read(ORDER)
        in_force = order["WSetEna"] == ENABLED
        remaining = order["WSetRvrtRem"]
        return replace(
            readings,
            setpoint_w=self._ordered_w(order) if in_force else None,
            remaining_s=remaining if isinstance(remaining, float) else None,
        )

    def order(self, p_w: float, q_var: float = 0.0) -> Dialogue[None]:
        """Order power and read back what the inverter kept.

        Raises:
            RefusedError: It cannot be ordered, or the value lies outside its limits.
            DeviceRefusedError: It answered with an exception, or kept another value.
        """
        check_order(p_w, q_var, self.limits, self.cannot)
        yield from self._write(p_w, q_var)
        kept = yield from self._control.read(ORDER)
        kept_w = self._ordered_w(kept)
        if kept["WSetEna"] != ENABLED or kept_w is None or abs(kept_w - p_w) > self._step_w:
            raise DeviceRefusedError(f"{p_w:g} W was ordered, {kept_w} W was kept", 3)
        remaining = kept["WSetRvrtRem"]
        if isinstance(remaining, float) and remaining < RENEWED_S:
            raise DeviceError(f"the reversion timer stands at {remaining:g} s after an order")

    def keep_alive(self, p_w: float | None, q_var: float = 0.0) -> Dialogue[None]:
        """Count the heartbeat up and write the order in force again, which restarts its timer."""
        heart = self.device.models.get(715)
        if heart is not None and heart.has("ControllerHb"):
            self._beat = self._beat % 0xFFFF_FFFE + 1
            yield from heart.send({"ControllerHb": self._beat})
        if p_w is not None:
            yield from self._write(p_w, q_var)

    def stop(self) -> Dialogue[None]:
        """Order no power."""
        yield from self._write(0.0, 0.0)

    @property
    def _control(self) -> Model:
        return self.device.models[704]

    @property
    def _may_set_vars(self) -> bool:
        """A function that governs reactive power by itself excludes orders of it."""
        return not self.functions.volt_var and self.functions.power_factor is None

    @property
    def _step_w(self) -> float:
        """Half a step of what its registers can say."""
        control = self._control
        if control.has("WSet"):
            return 0.51 * 10.0 ** control.powers.get(control.points["WSet"].scale, 0)
        return 0.51e-2 * self._w_max * 10.0 ** control.powers[control.points["WSetPct"].scale]

    @property
    def _w_max(self) -> float:
        capacity = self.device.models.get(702)
        for name in ("WMax", "WMaxRtg"):
            value = capacity.first.get(name) if capacity else None
            if isinstance(value, float) and value > 0:
                return value
        return max(self.limits.charge_max_w, self.limits.discharge_max_w)

    def _set_reversion(self) -> Dialogue[None]:
        control = self._control
        wanted: dict[str, float] = {"WSetEnaRvrt": ENABLED, "WSetRvrtTms": REVERSION_S}
        for name in ("WSetRvrt", "WSetPctRvrt"):
            if control.has(name):
                wanted[name] = 0
        if "reactive power" not in self.cannot and control.has("VarSetRvrtTms", "VarSetEnaRvrt"):
            wanted |= {"VarSetEnaRvrt": ENABLED, "VarSetRvrtTms": REVERSION_S}
            wanted |= {"VarSetRvrt": 0} if control.has("VarSetRvrt") else {}
        yield from control.keep(wanted)

    def _write(self, p_w: float, q_var: float) -> Dialogue[None]:
        control = self._control
        values: dict[str, float] = {"WSetEna": ENABLED}
        if control.has("WSet"):
            values |= {"WSetMod": WATTS, "WSet": p_w}
        else:
            values |= {"WSetMod": 0, "WSetPct": 100.0 * p_w / self._w_max}
        if "reactive power" not in self.cannot and (q_var or self._with_vars):
            values |= {"VarSetEna": ENABLED, "VarSetMod": VARS, "VarSet": q_var}
            self._with_vars = True
        yield from control.send(values)

    def _ordered_w(self, values: dict[str, float | str | None]) -> float | None:
        name = "WSet" if values["WSetMod"] == WATTS else "WSetPct"
        value = values[name]
        if not isinstance(value, float):
            return None
        return value if name == "WSet" else value * self._w_max / 100.0


def limits_of(device: Device, charge_max_w: float, discharge_max_w: float) -> Limits:
    """Return the limits that the device states (model 702), within those of the site."""
    capacity = device.models.get(702)

    def stated(*names: str) -> float | None:
        for name in names:
            value = capacity.first.get(name) if capacity else None
            if isinstance(value, float):
                return value
        return None

    total = stated("WMax", "WMaxRtg")
    charge = stated("WChaRteMax", "WChaRteMaxRtg")
    discharge = stated("WDisChaRteMax", "WDisChaRteMaxRtg")
    return Limits(
        min(charge_max_w, charge if charge is not None else 0.0),
        min(limit for limit in (discharge_max_w, discharge, total) if limit is not None),
        stated("VarMaxInj", "VarMaxInjRtg") or 0.0,
        stated("VarMaxAbs", "VarMaxAbsRtg") or 0.0,
    )

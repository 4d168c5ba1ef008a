"""A bidirectional inverter with an EV behind it, as a SunSpec Modbus/TCP device.

It does what the models promise: orders of 704 with their reversion timers, the controller's
heartbeat of 715, curves that are adopted, alarms. Its registers are served by pymodbus.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.vehicles.simulated.sunspec_map import RegisterMap

HEARTBEAT_S: Final = 5.0
"""A controller that was heard once and then not for so long is gone."""
TIMERS: Final = {"WSet": ("WSetEna", "WSetRvrt"), "VarSet": ("VarSetEna", "VarSetRvrt")}
_WRITES: Final = (5, 6, 15, 16, 22, 23)


@dataclass(slots=True)
class SimulatedInverter:
    """State and physics of one inverter.

    Attributes:
        rated_w: Of charging and discharging.
        ramp_w_s: How fast its power moves.
        soc_pct, capacity_wh: Of the EV's battery.
        frozen: It answers, but its measurements do not move (a device that lies).
        grid_hz: Frequency that it measures.
        clock: Monotonic seconds; tests may give their own.
    """

    rated_w: float = 11_000.0
    ramp_w_s: float = 22_000.0
    soc_pct: float = 60.0
    capacity_wh: float = 60_000.0
    grid_hz: float = 50.0
    noise_w: float = 0.0
    frozen: bool = False
    serial: str = "SIM-1"
    clock: Callable[[], float] = time.monotonic
    p_w: float = 0.0
    q_var: float = 0.0
    export_wh: float = 0.0
    import_wh: float = 0.0
    map: RegisterMap = field(init=False)
    _stepped_s: float = field(init=False)
    _started: dict[str, float] = field(default_factory=dict)
    _heart_s: float = math.inf

    def __post_init__(self) -> None:
        self.map = RegisterMap(_models(self))
        self._stepped_s = self.clock()

    def device(self, unit: int = 1) -> SimDevice:
        """Return it as a device that pymodbus serves."""
        data = SimData(self.map.base, values=list(self.map.registers), datatype=DataType.REGISTERS)
        return SimDevice(id=unit, simdata=[data], action=self.act)

    async def act(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,  # noqa: ARG002 - pymodbus calls it so
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Serve one request: pymodbus calls it before it reads or writes the registers."""
        if start_address > self.map.base or address < self.map.base:
            return None
        if function_code in _WRITES and set_values is not None:
            if not self.map.writable(address, len(set_values)):
                return ExcCodes.ILLEGAL_ADDRESS
            at = address - self.map.base
            self.map.registers[at : at + len(set_values)] = [int(value) for value in set_values]
            self._written(self.map.written(address, len(set_values)))
        self.step()
        at = self.map.base - start_address
        current_registers[at : at + len(self.map.registers)] = self.map.registers
        return None

    def step(self) -> None:
        """Move to now: timers, power, energy, measurements."""
        now_s = self.clock()
        dt_s, self._stepped_s = max(0.0, now_s - self._stepped_s), now_s
        self._revert(now_s)
        target_w = self._target_w()
        reach_w = self.ramp_w_s * dt_s
        self.p_w = min(max(target_w, self.p_w - reach_w), self.p_w + reach_w)
        self.q_var = self._target_var()
        moved_wh = self.p_w * dt_s / 3600.0
        self.export_wh += max(0.0, moved_wh)
        self.import_wh += max(0.0, -moved_wh)
        self.soc_pct = min(100.0, max(0.0, self.soc_pct - 100.0 * moved_wh / self.capacity_wh))
        if not self.frozen:
            self._measure()

    def alarm(self, bits: int) -> None:
        """Set the alarm bits of model 701 (bit 0: ground fault)."""
        self.map.put(701, "Alrm", bits)

    def _target_w(self) -> float:
        m = self.map
        if m.get(703, "ES") != 1 or m.get(704, "WSetEna") != 1 or m.get(701, "Alrm"):
            return 0.0
        wanted_w = m.get(704, "WSet")
        if m.get(704, "WSetMod") == 0:
            wanted_w = m.get(704, "WSetPct") * self.rated_w / 100.0
        if (wanted_w > 0 and self.soc_pct <= 5.0) or (wanted_w < 0 and self.soc_pct >= 100.0):
            return 0.0
        limit_w = self.rated_w
        if m.get(704, "WMaxLimPctEna") == 1:
            limit_w *= m.get(704, "WMaxLimPct") / 100.0
        return min(max(wanted_w, -self.rated_w), limit_w)

    def _target_var(self) -> float:
        m = self.map
        if m.get(704, "PFWInjEna") == 1 and self.p_w:
            factor = m.get(704, "PFWInj.PF")
            sign = 1.0 if m.get(704, "PFWInj.Ext") == 0 else -1.0
            return sign * abs(self.p_w) * math.tan(math.acos(min(1.0, factor)))
        if m.get(704, "VarSetEna") == 1:
            most = 0.44 * self.rated_w
            return min(max(m.get(704, "VarSet"), -most), most)
        return 0.0

    def _written(self, points: set[tuple[int, str]]) -> None:
        now_s = self.clock()
        names = {name for number, name in points if number == 704}
        for value, (enable, _) in TIMERS.items():
            if {value, enable, f"{value}Pct"} & names and self.map.get(704, enable) == 1:
                self._started[value] = now_s
        if (715, "ControllerHb") in points:
            self._heart_s = now_s
        for number, group, request, result in (
            (711, "Ctl", "AdptCtlReq", "AdptCtlRslt"),
            (705, "Crv", "AdptCrvReq", "AdptCrvRslt"),
        ):
            if (number, request) in points:
                self._adopt(number, group, int(self.map.get(number, request)) - 1, result)

    def _adopt(self, number: int, group: str, index: int, result: str) -> None:
        prefix = f"{group}[{index}]."
        names = [name for name in self.map.models[number].points if name.startswith(prefix)]
        if index < 1 or not names:
            self.map.put(number, result, 2)
            return
        for name in names:
            value = self.map.get(number, name)
            if not name.endswith("ReadOnly") and math.isfinite(value):
                self.map.put(number, f"{group}[0].{name.removeprefix(prefix)}", value)
        self.map.put(number, result, 1)

    def _revert(self, now_s: float) -> None:
        """End orders whose timer ran out, or whose controller's heart stands still."""
        silent = now_s - self._heart_s > HEARTBEAT_S
        if silent:
            self._heart_s = math.inf
        for value, (enable, target) in TIMERS.items():
            period_s = self.map.get(704, f"{value}RvrtTms")
            started_s = self._started.get(value)
            if started_s is None or not period_s > 0:
                continue
            left_s = started_s + period_s - now_s
            if left_s > 0 and not silent:
                self.map.put(704, f"{value}RvrtRem", math.ceil(left_s))
                continue
            del self._started[value]
            self.map.put(704, f"{value}RvrtRem", 0)
            self.map.put(704, enable, self.map.get(704, f"{value}EnaRvrt"))
            self.map.put(704, value, self.map.get(704, target))

    def _measure(self) -> None:
        p_w = self.p_w + (random.gauss(0.0, self.noise_w) if self.noise_w else 0.0)
        volts = 230.0
        va = math.hypot(p_w, self.q_var)
        phase_w, phase_a = p_w / 3.0, va / 3.0 / volts
        values: dict[str, float] = {
            "W": p_w, "VA": va, "Var": self.q_var, "A": 3 * phase_a, "LNV": volts,
            "LLV": volts * math.sqrt(3), "Hz": self.grid_hz, "TotWhInj": round(self.export_wh),
            "TotWhAbs": round(self.import_wh), "PF": 1.0 if not va else p_w / va,
        }  # fmt: skip
        for phase in (1, 2, 3):
            values |= {f"WL{phase}": phase_w, f"AL{phase}": phase_a, f"VL{phase}": volts}
        for name, value in values.items():
            self.map.put(701, name, value)
        self.map.put(701, "InvSt", 3 if not self.map.get(701, "Alrm") else 6)
        self.map.put(713, "SoC", self.soc_pct)
        self.map.put(713, "WHAvail", self.capacity_wh * self.soc_pct / 100.0)
        self.map.put(715, "DERHb", int(self.clock()) & 0x7FFF_FFFF)


def _models(sim: SimulatedInverter) -> dict[int, dict[str, float | str]]:
    rated_w, rated_var = sim.rated_w, 0.44 * sim.rated_w
    droop = {"DbOf": 0.036, "DbUf": 0.036, "KOf": 0.05, "KUf": 0.05, "RspTms": 5.0, "PMin": 0}
    curve = {"ActPt": 4, "DeptRef": 1, "Pri": 0, "VRef": 100, "VRefAutoEna": 0, "RspTms": 5}
    points = ((92.0, 44.0), (98.0, 0.0), (102.0, 0.0), (108.0, -44.0))
    curves: dict[str, float] = {}
    for number in (0, 1):
        curves |= {f"Crv[{number}].{name}": value for name, value in curve.items()}
        for at, (volts, var) in enumerate(points):
            curves |= {f"Crv[{number}].Pt[{at}].V": volts, f"Crv[{number}].Pt[{at}].Var": var}
    controls = {f"Ctl[{n}].{name}": value for n in (0, 1) for name, value in droop.items()}
    return {
        1: {"Mn": "V2G", "Md": "Simulated inverter", "Vr": "1", "SN": sim.serial, "DA": 1},
        701: {
            "ACType": 2, "St": 1, "InvSt": 3, "ConnSt": 1, "Alrm": 0, "DERMode": 1,
            **dict.fromkeys(("W", "VA", "Var", "PF", "A", "TotWhInj", "TotWhAbs"), 0),
            **{f"{name}L{phase}": 0 for name in ("W", "A", "V") for phase in (1, 2, 3)},
            "LNV": 230, "LLV": 398, "Hz": 50, "A_SF": -2, "V_SF": -1, "Hz_SF": -3, "W_SF": 0,
            "PF_SF": -3, "VA_SF": 0, "Var_SF": 0, "TotWh_SF": 0, "TotVarh_SF": 0, "Tmp_SF": 0,
        },
        702: {
            "WMaxRtg": rated_w, "WMax": rated_w, "VAMaxRtg": rated_w, "VAMax": rated_w,
            "VarMaxInjRtg": rated_var, "VarMaxAbsRtg": rated_var, "VarMaxInj": rated_var,
            "VarMaxAbs": rated_var, "WChaRteMaxRtg": rated_w, "WDisChaRteMaxRtg": rated_w,
            "WChaRteMax": rated_w, "WDisChaRteMax": rated_w, "VNom": 230, "CtrlModes": 0x3FF,
            "W_SF": 0, "PF_SF": -2, "VA_SF": 0, "Var_SF": 0, "V_SF": 0, "A_SF": 0, "S_SF": 0,
        },
        703: {"ES": 1, "ESVHi": 110, "ESVLo": 90, "ESHzHi": 50.1, "ESHzLo": 49.5,
              "V_SF": 0, "Hz_SF": -2},
        704: {
            "PFWInjEna": 0, "PFWAbsEna": 0, "WMaxLimPctEna": 0, "WMaxLimPct": 100,
            "WSetEna": 0, "WSetMod": 1, "WSet": 0, "WSetRvrt": 0, "WSetPct": 0, "WSetPctRvrt": 0,
            "WSetEnaRvrt": 0, "WSetRvrtTms": 0, "WSetRvrtRem": 0,
            "VarSetEna": 0, "VarSetMod": 4, "VarSetPri": 0, "VarSet": 0, "VarSetRvrt": 0,
            "VarSetEnaRvrt": 0, "VarSetRvrtTms": 0, "VarSetRvrtRem": 0, "AntiIslEna": 1,
            "PF_SF": -3, "WMaxLimPct_SF": -1, "WSet_SF": 0, "WSetPct_SF": -1, "VarSet_SF": 0,
            "VarSetPct_SF": -1, "PFWInj.PF": 1.0, "PFWInj.Ext": 0, "PFWAbs.PF": 1.0,
            "PFWAbs.Ext": 0,
        },
        705: {"Ena": 0, "AdptCrvReq": 0, "AdptCrvRslt": 1, "NPt": 4, "NCrv": 2, "V_SF": -1,
              "DeptRef_SF": -1, "RspTms_SF": 0, **curves, "Crv[0].ReadOnly": 1,
              "Crv[1].ReadOnly": 0},
        711: {"Ena": 0, "AdptCtlReq": 0, "AdptCtlRslt": 1, "NCtl": 2, "Db_SF": -3, "K_SF": -4,
              "RspTms_SF": -1, **controls, "Ctl[0].ReadOnly": 1, "Ctl[1].ReadOnly": 0},
        713: {"WHRtg": sim.capacity_wh, "WHAvail": 0, "SoC": sim.soc_pct, "SoH": 97, "Sta": 0,
              "WH_SF": 1, "Pct_SF": -1},
        714: {"PrtAlrms": 0, "NPrt": 1, "DCA_SF": -1, "DCV_SF": -1, "DCW_SF": 0, "DCWH_SF": 0,
              "Tmp_SF": 0, "Prt[0].PrtTyp": 2, "Prt[0].ID": 1, "Prt[0].DCSta": 1,
              "Prt[0].DCAlrm": 0},
        715: {"LocRemCtl": 0, "DERHb": 0, "ControllerHb": 0, "AlarmReset": 0, "OpCtl": 1},
    }  # fmt: skip

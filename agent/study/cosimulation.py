"""The same fleet in a full network: ANDES (extra `andes`) beside our single area.

ANDES integrates machines, governors and the network; before each of its steps the fleet sees the
frequency of the centre of inertia and its power is taken off the loads. Measured facts: `TDS.init`
before the first step, `TDS.callpert` for the exchange, and `float(t)`, because ANDES changes its
array in place.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from agent.errors import UnavailableError
from agent.study.grid import Floats
from agent.study.simulate import Fleet
from agent.study.systems import System

MVA: Final = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What ANDES says; arrays of shape (n,).

    Attributes:
        t_s: Its steps. `deviation_pu`: frequency of the centre of inertia, less one.
        fleet_pu: Power of the fleet, pu of ANDES' base.
        cpu_s: CPU time of the time-domain simulation alone.
    """

    t_s: Floats
    deviation_pu: Floats
    fleet_pu: Floats
    cpu_s: float


def cosimulate(
    case: str,
    trip: str,
    fleet: Fleet | None,
    *,
    at_s: float,
    duration_s: float,
    dt_s: float = 0.02,
    constant_power: bool = True,
) -> Course:
    """Trip a machine of a shipped ANDES case, with or without a fleet.

    Args:
        case: `ieee14/ieee14_full.xlsx`, or another case of ANDES with GENROU machines.
        trip: Name of the machine; empty for none (a load of 0.1 % is added instead).
        fleet: A fleet of one system, started; its powers are in pu of 100 MVA.
        at_s: When.
        duration_s: Simulated time.
        dt_s: Step of ANDES and of the fleet.
        constant_power: Loads keep their power; else their impedance, as ANDES does by itself.

    Raises:
        UnavailableError: ANDES is not installed, or its integration does not converge.
    """
    andes = _andes()
    system = andes.load(andes.get_case(case), setup=False, no_output=True, default_config=True)
    for name in ("Toggle", "Fault", "Alter"):
        model = getattr(system, name)
        model.u.v = [0] * model.n
    if trip:
        system.add("Toggle", {"model": "GENROU", "dev": trip, "t": at_s})
    system.setup()
    tripped = list(system.GENROU.idx.v).index(trip) if trip else -1
    rows = [row for row in range(system.GENROU.n) if row != tripped]
    step_pu = 0.0 if trip else 1e-3
    return _run(system, system.GENROU, rows, fleet, at_s, step_pu, duration_s, dt_s, constant_power)


def single_area(system: System, loss_pu: float, duration_s: float, dt_s: float = 1 / 60) -> Course:
    """Return what ANDES says of one machine with a TGOV1 governor that loses `loss_pu`.

    The governor is the system's first; its sections must be (0, T1) and (T2, T3).
    """
    andes = _andes()
    area = andes.System(no_output=True, default_config=True)
    governor = system.governor[0]
    (_, t1), (t2, t3) = governor.chain
    sn = system.base_mw
    area.config.mva = sn
    area.config.freq = system.nominal_hz
    for idx in (1, 2):
        area.add("Bus", {"idx": idx, "name": str(idx), "Vn": 110.0})
    area.add("Line", {"idx": "L", "bus1": 1, "bus2": 2, "r": 0.0, "x": 0.02, "Sn": sn,
                      "Vn1": 110.0, "Vn2": 110.0})  # fmt: skip
    area.add("Slack", {"idx": "S", "bus": 1, "Vn": 110.0, "Sn": sn, "v0": 1.0, "a0": 0.0})
    area.add("PQ", {"idx": "Q", "bus": 2, "Vn": 110.0, "p0": 0.5, "q0": 0.0})
    area.add("GENCLS", {"idx": "G", "bus": 1, "gen": "S", "Sn": sn, "Vn": 110.0,
                        "M": 2 * system.inertia_s, "D": system.damping_pu, "xd1": 0.2})  # fmt: skip
    area.add("TGOV1", {"idx": "T", "syn": "G", "R": governor.droop / governor.share, "T1": t1,
                       "T2": t2, "T3": t3, "VMAX": 2.0, "VMIN": 0.0, "Dt": 0.0})  # fmt: skip
    area.setup()
    return _run(area, area.GENCLS, [0], None, 0.0, loss_pu, duration_s, dt_s, True)


def _run(
    system: Any,
    machines: Any,
    rows: list[int],
    fleet: Fleet | None,
    at_s: float,
    step_pu: float,
    duration_s: float,
    dt_s: float,
    constant_power: bool,
) -> Course:
    kept = 1.0 if constant_power else 0.0
    for letter in "pq":
        for name, value in ((f"{letter}2p" if letter == "p" else "q2q", kept),
                            (f"{letter}2i", 0.0), (f"{letter}2z", 1.0 - kept)):  # fmt: skip
            setattr(system.PQ.config, name, value)
    system.PFlow.run()
    config = system.TDS.config
    config.no_tqdm, config.criteria, config.fixt, config.shrinkt = 1, 0, 1, 1
    config.tf, config.tstep = duration_s, dt_s
    system.TDS.init()
    exchange = _Exchange(system, machines, rows, fleet, at_s, step_pu, dt_s)
    system.TDS.callpert = exchange
    begin = time.process_time()
    system.TDS.run()
    cpu_s = time.process_time() - begin
    if float(system.dae.t) < duration_s - 2 * dt_s:
        raise UnavailableError(f"ANDES stopped at {float(system.dae.t):.2f} s: no convergence")
    course = np.array(exchange.course)
    return Course(course[:, 0], course[:, 1], course[:, 2], cpu_s)


class _Exchange:
    """Called by ANDES before each step: frequency out, power in."""

    def __init__(
        self,
        system: Any,
        machines: Any,
        rows: list[int],
        fleet: Fleet | None,
        at_s: float,
        step_pu: float,
        dt_s: float,
    ) -> None:
        self._system, self._machines, self._rows = system, machines, rows
        self._fleet, self._dt_s = fleet, dt_s
        self._at_s, self._step_pu = at_s, step_pu
        self._inertia = np.array(machines.M.v)[rows]
        self._load = np.array(system.PQ.Ppf.v, dtype=np.float64)
        self._step = 0
        self._power_pu = 0.0
        self.course: list[tuple[float, float, float]] = []

    def __call__(self, t: Any, _system: Any) -> None:
        """Exchange at time `t`."""
        now_s = float(t)
        omega = np.array(self._machines.omega.v)[self._rows]
        deviation = float(omega @ self._inertia / self._inertia.sum()) - 1.0
        while self._fleet is not None and self._step * self._dt_s <= now_s + 1e-9:
            nominal_hz = self._fleet.members.p.nominal_hz
            f_hz = np.array([nominal_hz * (1.0 + deviation)])
            power = self._fleet.advance(self._step, f_hz, now_s)
            self._power_pu = float(power[0])
            self._step += 1
        added = self._step_pu if now_s >= self._at_s - 1e-9 else 0.0
        share = self._load / self._load.sum()
        self._system.PQ.Ppf.v[:] = self._load + share * (added - self._power_pu)
        self.course.append((now_s, deviation, self._power_pu))


def _andes() -> Any:
    try:
        import andes
    except ImportError as error:
        raise UnavailableError("co-simulation needs the extra v2g-agent[andes]") from error
    andes.config_logger(40)
    return andes

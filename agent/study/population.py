"""Who takes part: vehicles drawn from a fleet's distributions, with the agent's own limits.

The columns become an `agent.control.fleet.Fleet`; `agent.control.ranges.limits` (and through it
every rule of `agent.control.battery`) says how far each may move, `rank` who is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from agent.control.fleet import OWN_START, REPORTED, Fleet, Own
from agent.control.hearing import charged, stored_wh
from agent.control.parameters import Parameters
from agent.control.ranges import Ranges, limits, rank
from agent.study.distributions import draw
from agent.study.grid import Floats
from agent.study.spec import FleetSpec

Singles = NDArray[np.float32]
Ints = NDArray[np.int32]
CHUNK = 1 << 16
_ROW = {name: at for at, name in enumerate(REPORTED)}


@dataclass(slots=True, eq=False)
class Population:
    """Vehicles that are plugged in, of all systems of a batch one after the other.

    Arrays of shape (n,). Powers in W (magnitudes), energies in Wh.

    Attributes:
        system: Which system of the batch it belongs to.
        delay_s: From the instant that a frequency describes to the begin of its effect.
        period_s: How often it is told. `phase`: when in that period, 0 to 1.
        ramp_s: From nothing to nameplate.
        own_w: What it does by itself: negative while it charges.
        used_wh, given_wh: Accounts of the agent.
    """

    system: Ints
    delay_s: Singles
    period_s: Singles
    phase: Singles
    ramp_s: Singles
    discharge_w: Singles
    charge_w: Singles
    own_w: Singles
    capacity_wh: Singles
    soc_pct: Singles
    step_w: Singles
    used_wh: Singles = field(init=False)
    given_wh: Singles = field(init=False)
    _rooms: tuple[Singles, Singles, Singles] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.used_wh = np.zeros(len(self), np.float32)
        self.given_wh = np.zeros(len(self), np.float32)

    def __len__(self) -> int:
        return len(self.system)

    def chunks(self) -> Iterator[slice]:
        """Slices that keep the memory of the agent's columns small."""
        for start in range(0, len(self), CHUNK):
            yield slice(start, min(start + CHUNK, len(self)))

    def fleet(self, part: slice | NDArray[np.intp]) -> Fleet:
        """Return vehicles as the agent sees them; their names are left out."""
        count = len(self.system[part])
        reported = np.full((len(REPORTED), count), np.nan)
        for name in ("charge_min_w", "discharge_min_w", "local", "modes"):
            reported[_ROW[name]] = 0.0
        reported[[_ROW["online"], _ROW["plugged"]]] = 1.0
        reported[_ROW["charge_max_w"]] = self.charge_w[part]
        reported[_ROW["discharge_max_w"]] = self.discharge_w[part]
        reported[_ROW["base_w"]] = self.own_w[part]
        reported[_ROW["step_w"]] = self.step_w[part]
        reported[_ROW["soc_pct"]] = self.soc_pct[part]
        reported[_ROW["capacity_wh"]] = self.capacity_wh[part]
        reported[_ROW["latency_s"]] = self.delay_s[part]
        columns = {name: np.full(count, start) for name, start in OWN_START.items()}
        columns["active"] = np.ones(count)
        columns["used_wh"] = self.used_wh[part].astype(np.float64)
        columns["given_wh"] = self.given_wh[part].astype(np.float64)
        return Fleet(reported=reported, own=Own(**columns))

    def ranges(self, part: slice | NDArray[np.intp], p: Parameters) -> Ranges:
        """Return what vehicles may do now, by the agent's rules."""
        return limits(self.fleet(part), p, 0.0)

    def room_w(self, p: Parameters) -> Singles:
        """Return how far each moves upwards for a share of one, shape (n,)."""
        return self.rooms(p)[0]

    def rooms(self, p: Parameters) -> tuple[Singles, Singles, Singles]:
        """Return room upwards, room downwards and base of each, W; kept until energy moves."""
        if self._rooms is None:
            up, down, base = (np.empty(len(self), np.float32) for _ in range(3))
            for part in self.chunks():
                ranges = self.ranges(part, p)
                up[part], down[part] = ranges.room_w(up=True), ranges.room_w(up=False)
                base[part] = ranges.base_w
            self._rooms = (up, down, base)
        return self._rooms

    def ranks(self, part: slice | NDArray[np.intp], p: Parameters) -> Floats:
        """Return the agent's order of asking, lowest first."""
        return rank(self.fleet(part), p)

    def spend(self, export_wh: Singles, dt_s: float, p: Parameters) -> None:
        """Take the energy that each exported in the last `dt_s` from its battery."""
        self._rooms = None
        for part in self.chunks():
            export = export_wh[part].astype(np.float64)
            own = charged(self.fleet(part), export, dt_s, p).own
            self.used_wh[part], self.given_wh[part] = own.used_wh, own.given_wh
            drop_pct = 100.0 * stored_wh(export, p) / self.capacity_wh[part]
            self.soc_pct[part] = np.clip(self.soc_pct[part] - drop_pct, 0.0, 100.0)

    def ordered(self, order: NDArray[np.intp]) -> Population:
        """Return the vehicles in another order, or some of them."""
        taken = {f.name: getattr(self, f.name)[order] for f in fields(self) if f.init}
        chosen = Population(**taken)
        chosen.used_wh, chosen.given_wh = self.used_wh[order], self.given_wh[order]
        if self._rooms is not None:
            up, down, base = self._rooms
            chosen._rooms = (up[order], down[order], base[order])
        return chosen


def populate(
    spec: FleetSpec, p: Parameters, hour: float, rng: np.random.Generator, system: int = 0
) -> Population:
    """Draw the vehicles of a fleet that are plugged in at an hour of the day.

    The same generator gives the same vehicles, whatever else is computed beside it.
    """
    plugged = spec.plugged(hour)
    present = int(rng.binomial(spec.count, plugged)) if plugged < 1.0 else spec.count

    def column(name: str) -> Singles:
        return draw(getattr(spec, name), present, rng).astype(np.float32)

    discharge_w, charge_w = column("discharge_w"), column("charge_w")
    charging = rng.random(present) < spec.charging_share
    delay_s = column("delay_s") + np.float32(p.measurement_delay_s)
    return Population(
        system=np.full(present, system, np.int32),
        delay_s=np.maximum(delay_s, 0.0),
        period_s=column("period_s"),
        phase=rng.random(present, dtype=np.float32),
        ramp_s=column("ramp_s"),
        discharge_w=discharge_w,
        charge_w=charge_w,
        own_w=np.where(charging, -charge_w, np.float32(0.0)),
        capacity_wh=np.maximum(column("capacity_wh"), 1.0),
        soc_pct=np.clip(column("soc_pct"), 0.0, 100.0),
        step_w=np.full(present, spec.step_w, np.float32),
    )


def joined(parts: Sequence[Population]) -> Population:
    """Return the vehicles of several systems as one population."""
    if len(parts) == 1:
        return parts[0]
    names = [f.name for f in fields(Population) if f.init]
    return Population(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})

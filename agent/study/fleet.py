"""The power of up to a million vehicles in time, with the work of only those that are told now.

Vehicles are sorted by the instant at which an order takes effect, so that a step touches one
slice. Frequency is the same for all vehicles of a system: the droop is evaluated once a step, and
the delay is a look-up in its history. A ramp is two entries: a slope now, and its end later; the
sum of slopes moves the power of the system.

Steps: at step k the frequency of k is known, orders of this step change the slopes, and the power
runs in a straight line to step k + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.control.dispatch import share as dispatched
from agent.control.parameters import Parameters
from agent.control.ranges import Ranges, snapped
from agent.study.grid import Floats
from agent.study.population import Ints, Population, Singles

REFRESH_S: Final = 60.0
"""How often SoC and limits follow the energy given."""


class Group:
    """Vehicles that are told with one period.

    Args:
        people: The vehicles; they are sorted by phase.
        p: Parameters of their fleet.
        answers: Which of them take part in the answer, shape (n,).
        systems: B. `steps`: of the whole run. `dt_s`: one step.
        central: One gateway a system shares a target out; else each is told its own share.
    """

    def __init__(
        self,
        people: Population,
        p: Parameters,
        answers: NDArray[np.bool_],
        *,
        systems: int,
        steps: int,
        dt_s: float,
        central: bool,
    ) -> None:
        self._p, self._dt_s, self._systems = p, dt_s, systems
        self._period = max(round(float(people.period_s[0]) / dt_s), 1)
        delay = np.rint(people.delay_s / dt_s).astype(np.int32)
        phase = (people.phase * self._period).astype(np.int32)
        if central:
            phase = delay % self._period
        order = np.argsort(phase, kind="stable")
        self._people = people.ordered(order)
        self._answers, delay = answers[order], delay[order]
        self._bounds = np.searchsorted(phase[order], np.arange(self._period + 1)).tolist()
        self._delay = delay
        self._front = int(delay.max(initial=0)) + 1
        self._row = steps + self._front + 1
        self._history = np.zeros(systems * self._row, np.float32)
        self._at = self._people.system * np.int32(self._row) + np.int32(self._front) - delay
        self._up, self._down, self._base = self._limits()
        longest = float(self._people.ramp_s.max(initial=0.0))
        self._width = max(int(np.ceil(2.0 * longest / dt_s)), 1) + 1
        self._rate = self._ramp_rate()
        self._done_in_time = self._width - 1 <= self._period
        self._target = self._base.copy()
        self._slope = np.zeros(0 if self._done_in_time else len(people), np.float32)
        self._end = np.zeros(0 if self._done_in_time else len(people), np.int32)
        self._energy = np.zeros(len(people), np.float32)  # W · periods
        self._throughput_wh = np.zeros(len(people))
        self._ends = np.zeros((systems, steps + self._width + 1))
        self._slopes = np.zeros(systems)
        self._signs = [False, False]
        self._spent_at = 0
        self._gateways = (
            [_Gateway(self._people, self._answers, b, p) for b in range(systems)] if central else []
        )
        self._orders: dict[int, Singles] = {}
        self.power_w: Floats = np.bincount(self._people.system, self._base, systems).astype(float)

    @property
    def people(self) -> Population:
        """The vehicles, sorted by phase."""
        return self._people

    @property
    def up_w(self) -> Singles:
        """How far each moves for a share of one."""
        return self._up

    @property
    def soc_pct(self) -> Singles:
        """State of charge of each, as of the last refresh."""
        return self._people.soc_pct

    @property
    def throughput_wh(self) -> Floats:
        """Energy that has passed each battery since the begin, both ways, shape (n,)."""
        return self._throughput_wh

    def advance(self, k: int, share: Floats) -> Floats:
        """Take the shares of step `k`; return each system's power at step k + 1, W, shape (B,)."""
        self._history[self._front + k :: self._row] = share
        self._signs[0] |= bool((share > 0.0).any())
        self._signs[1] |= bool((share < 0.0).any())
        if self._gateways and k % self._period == 0:
            self._decide(k, share)
        self._slopes -= self._ends[:, k]
        phase = k % self._period
        part = slice(self._bounds[phase], self._bounds[phase + 1])
        if part.start < part.stop:
            self._tell(k, part)
        if (k - self._spent_at) * self._dt_s >= REFRESH_S:
            self.settle(k)
            self._up, self._down, self._base = self._limits()
        self.power_w = self.power_w + self._slopes
        return self.power_w

    def settle(self, k: int) -> None:
        """Book the energy up to step `k` and renew the SoC."""
        hours = self._period * self._dt_s / 3600.0
        export_wh = self._energy * np.float32(hours)
        self._throughput_wh += np.abs(export_wh)
        self._people.spend(export_wh, (k - self._spent_at) * self._dt_s, self._p)
        self._energy[:] = 0.0
        self._spent_at = k

    def _tell(self, k: int, part: slice) -> None:
        """Give the vehicles of a slice their new targets, and book the ramps to them."""
        target = self._asked(k, part)
        if self._done_in_time:
            now = self._target[part]
        else:
            left = np.maximum(self._end[part] - np.int32(k), 0)
            now = self._target[part] - self._slope[part] * left
            running = self._sums(part, left, self._slope[part])
            running[:, 0] = 0.0
            self._slopes -= running.sum(axis=1)
            self._ends[:, k : k + self._width] -= running
        self._energy[part] += now
        change = target - now
        self._target[part] = target
        if self._width == 2:
            slope, count = change, np.ones(len(change), np.int32)
        else:
            steps = np.ceil(np.abs(change) * self._rate[part])
            np.minimum(np.maximum(steps, 1.0, out=steps), self._width - 1, out=steps)
            slope, count = change / steps, steps.astype(np.int32)
        if not self._done_in_time:
            self._slope[part] = slope
            self._end[part] = count + np.int32(k)
        ending = self._sums(part, count, slope)
        self._slopes += ending.sum(axis=1)
        self._ends[:, k : k + self._width] += ending

    def _sums(self, part: slice, count: Ints, values: Singles) -> Floats:
        """Return `values` summed by system and by steps from now, shape (B, width)."""
        if self._systems > 1:
            count = self._people.system[part] * np.int32(self._width) + count
        size = self._systems * self._width
        sums: Floats = np.bincount(count, values, size).astype(np.float64, copy=False)
        return sums.reshape(self._systems, self._width)

    def _asked(self, k: int, part: slice) -> Singles:
        """Return the power that the vehicles of a slice are told, shape of the slice."""
        if self._gateways:
            return self._ordered(k, part)
        share = self._history[self._at[part] + np.int32(k)]
        if not self._signs[1]:
            move: Singles = share * self._up[part]
        elif not self._signs[0]:
            move = share * self._down[part]
        else:
            move = share * np.where(share > 0.0, self._up[part], self._down[part])
        asked: Singles = self._base[part] + move
        if not self._people.step_w[0]:
            return asked
        return snapped(asked.astype(np.float64), self._ranges(part)).astype(np.float32)

    def _decide(self, k: int, share: Floats) -> None:
        """Let the gateways share their targets out; orders take effect after each one's delay."""
        number = k // self._period
        orders = np.zeros(len(self._people), np.float32)
        for gateway, of in zip(self._gateways, share.tolist(), strict=True):
            orders[gateway.rows] = gateway.order(of)
        self._orders[number] = orders
        self._orders.pop(number - self._front // self._period - 2, None)

    def _ordered(self, k: int, part: slice) -> Singles:
        number = (np.int32(k) - self._delay[part]) // np.int32(self._period)
        result = self._base[part].copy()
        for value in np.unique(number).tolist():
            if value in self._orders:
                chosen = number == value
                result[chosen] = self._orders[value][part][chosen]
        return result

    def _ranges(self, part: slice) -> Ranges:
        return self._people.ranges(part, self._p)

    def _limits(self) -> tuple[Singles, Singles, Singles]:
        """Return room up, room down and base of each vehicle, by the agent's rules."""
        up, down, base = self._people.rooms(self._p)
        nothing = np.float32(0.0)
        return np.where(self._answers, up, nothing), np.where(self._answers, down, nothing), base

    def _ramp_rate(self) -> Singles:
        """Return steps by W: how long a change takes."""
        people = self._people
        nameplate_w = np.maximum(np.maximum(people.discharge_w, people.charge_w), 1.0)
        rate: Singles = (people.ramp_s / (nameplate_w * self._dt_s)).astype(np.float32)
        return rate


class _Gateway:
    """One gateway: the agent's dispatch among the vehicles of one system."""

    def __init__(
        self, people: Population, answers: NDArray[np.bool_], system: int, p: Parameters
    ) -> None:
        self.rows = np.flatnonzero(people.system == system)
        self._p = p
        ranges = people.ranges(self.rows, p)
        able = answers[self.rows] & ranges.answers
        self._free = able
        self._ranges = ranges
        self._up_w = float(np.where(able, ranges.room_w(up=True), 0.0).sum())
        self._down_w = float(np.where(able, ranges.room_w(up=False), 0.0).sum())
        self._now_w = ranges.base_w
        self._tolerance_w = max(p.min_change_w, p.tolerance_share * ranges.rated_w)
        ranks = people.ranks(self.rows, p)
        self._rank: Callable[[], Floats] = lambda: ranks

    def order(self, share: float) -> Floats:
        """Return the power of each vehicle for a share of the fleet's power, shape (n,)."""
        room_w = self._up_w if share > 0.0 else self._down_w
        target_w = float(self._ranges.base_w.sum()) + share * room_w
        power_w = dispatched(
            self._ranges, self._now_w, target_w, self._tolerance_w, self._free, self._rank
        )
        self._now_w = snapped(power_w, self._ranges)
        return self._now_w

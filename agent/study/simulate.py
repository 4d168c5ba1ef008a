"""Fleets and areas in a closed loop, many systems side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.control.parameters import Parameters
from agent.control.response import OLRT_TO_TIME_CONSTANT, Droop
from agent.control.stability import Limit, limit_slope
from agent.study.fleet import Group
from agent.study.grid import Floats, discretise, model_of
from agent.study.population import Population
from agent.study.response import Responses, droop_of
from agent.study.spec import FleetSpec
from agent.study.systems import System

MOST_PERIODS: Final = 12
"""A fleet's update periods are gathered into this many groups."""
STEPS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """One fleet in all systems of a batch.

    Attributes:
        spec, p: The fleet, and the agent's parameters for it.
        people: Its vehicles, of all systems one after the other.
        pu_per_w: What a watt of a simulated vehicle is in pu of its system, shape (B,).
    """

    spec: FleetSpec
    p: Parameters
    people: Population
    pu_per_w: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B systems, each with one disturbance and its part of every fleet.

    Attributes:
        systems: Areas after their trips. `loss_pu`: power that goes at `at_s`, shape (B,).
    """

    systems: tuple[System, ...]
    loss_pu: Floats
    members: tuple[Members, ...]
    at_s: float
    duration_s: float
    dt_s: float

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return math.ceil(self.duration_s / self.dt_s)


@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """What happened; arrays of shape (B, steps + 1).

    Attributes:
        t_s: From the begin of the run, shape (steps + 1,).
        f_hz: Frequency. `fleet_pu`: power of all fleets, pu of each system's base.
        fleets: The vehicles at the end, in the order of `Batch.members`.
    """

    t_s: Floats
    f_hz: Floats
    fleet_pu: Floats
    fleets: tuple[Fleet, ...]


class Fleet:
    """One fleet in all systems: the answer to frequency, and the vehicles that give it.

    Args:
        members: Who. `droops`: the droop of each system. `answers`: who takes part, shape (n,).
    """

    def __init__(
        self,
        members: Members,
        droops: Sequence[Droop],
        answers: NDArray[np.bool_],
        steps: int,
        dt_s: float,
    ) -> None:
        self.members = members
        self.droops = tuple(droops)
        self._responses = Responses(members.p, droops, dt_s)
        people, systems = members.people, len(members.pu_per_w)
        central = members.spec.dispatch == "central"
        periods_s = _gathered(people.period_s, dt_s)
        if central:
            periods_s = np.full(len(people), np.float32(members.spec.min_interval_s))
        self.groups: list[Group] = []
        for period_s in np.unique(periods_s):
            of = np.flatnonzero(periods_s == period_s)
            some = people if len(of) == len(people) else people.ordered(of)
            some.period_s = periods_s[of]
            self.groups.append(
                Group(some, members.p, answers[of], systems=systems, steps=steps, dt_s=dt_s,
                      central=central)
            )  # fmt: skip
        self.power_w = np.zeros(systems)
        for group in self.groups:
            self.power_w = self.power_w + group.power_w
        self.start_w = self.power_w

    def advance(self, k: int, f_hz: Floats, now_s: float) -> Floats:
        """Return the power of each system at step k + 1 in pu, above what it was at the begin."""
        share = self._responses.advance(f_hz, now_s)
        self.power_w = np.zeros(len(share))
        for group in self.groups:
            self.power_w = self.power_w + group.advance(k, share)
        change: Floats = (self.power_w - self.start_w) * self.members.pu_per_w
        return change

    def settle(self, k: int) -> None:
        """Book all energy up to step `k`."""
        for group in self.groups:
            group.settle(k)


Progress = Callable[[int], None]


def simulate(batch: Batch, progress: Progress | None = None) -> Traces:
    """Return what happens; the fleets' power counts as a change of what they did before."""
    models = [model_of(system) for system in batch.systems]
    exact = discretise(models, batch.dt_s)
    steps, systems = batch.steps, len(models)
    nominal_hz = batch.systems[0].nominal_hz
    fleets = tuple(started(batch, members) for members in batch.members)
    first = round(batch.at_s / batch.dt_s)
    nothing = np.zeros(systems)
    x = np.zeros((systems, exact.a.shape[1]))
    f_hz = np.full((systems, steps + 1), nominal_hz, dtype=np.float64)
    fleet_pu = np.zeros((systems, steps + 1))
    power = nothing
    for k in range(steps):
        after = nothing
        for fleet in fleets:
            after = after + fleet.advance(k, f_hz[:, k], k * batch.dt_s)
        x = exact.advance(x, power, after, -batch.loss_pu if k >= first else nothing)
        power = after
        f_hz[:, k + 1] = nominal_hz * (1.0 + x[:, 0])
        fleet_pu[:, k + 1] = power
        if progress is not None and k % STEPS_AT_ONCE == 0:
            progress(k)
    for fleet in fleets:
        fleet.settle(steps)
    t_s = np.arange(steps + 1, dtype=np.float64) * batch.dt_s
    return Traces(t_s, f_hz, fleet_pu, fleets)


def started(batch: Batch, members: Members) -> Fleet:
    """Return a fleet before its first step, its droop limited as the agent would limit it."""
    droop = droop_of(members.p)
    people = members.people
    droops, answers = [droop] * len(batch.systems), np.ones(len(people), dtype=np.bool_)
    if members.spec.stability_limit and len(people):
        droops, answers = _limited(batch, members, droop)
    return Fleet(members, droops, answers, batch.steps, batch.dt_s)


def area_parameters(members: Members, system: System, pu_per_w: float) -> Parameters:
    """Return the fleet's parameters with the area that its stability limit must know.

    The steady half of an update period is part of the delay that an agent measures.
    """
    return replace(
        members.p,
        inertia_s=system.inertia_s,
        area_power_w=1.0 / max(pu_per_w, 1e-30),
        stability_factor=members.spec.stability_factor,
        measurement_delay_s=0.0,
    )


def _limited(batch: Batch, members: Members, droop: Droop) -> tuple[list[Droop], NDArray[np.bool_]]:
    people = members.people
    up_w = people.room_w(members.p)
    bounds = np.searchsorted(people.system, np.arange(len(batch.systems) + 1)).tolist()
    delays_s = people.delay_s + 0.5 * people.period_s
    answers = np.ones(len(people), dtype=np.bool_)
    droops = []
    for number, system in enumerate(batch.systems):
        of = slice(bounds[number], bounds[number + 1])
        if of.start == of.stop:
            droops.append(droop)
            continue
        rated_w = max(float(up_w[of].sum()), 1.0)
        p = area_parameters(members, system, float(members.pu_per_w[number]))
        limit = limit_slope(
            Limit(),
            delays_s[of].astype(np.float64),
            up_w[of].astype(np.float64),
            wanted_share_per_hz=droop.slope,
            lag_s=droop.olrt_s * OLRT_TO_TIME_CONSTANT,
            p=p,
        )
        answers[of] = delays_s[of] <= limit.cut_s
        droops.append(droop.flattened(limit.slope_w_per_hz / rated_w))
    return droops, answers


def _gathered(periods_s: NDArray[np.float32], dt_s: float) -> NDArray[np.float32]:
    """Return the periods as multiples of the step, few different ones."""
    steps = np.maximum(np.rint(periods_s / dt_s), 1.0)
    if np.unique(steps).size > MOST_PERIODS:
        edges = np.unique(np.quantile(steps, np.linspace(0.0, 1.0, MOST_PERIODS + 1)))
        at = np.clip(np.searchsorted(edges, steps, side="right") - 1, 0, len(edges) - 2)
        steps = np.rint(0.5 * (edges[at] + edges[at + 1]))
    gathered: NDArray[np.float32] = (steps * dt_s).astype(np.float32)
    return gathered


def loop_of(fleet: Fleet, number: int, dt_s: float) -> tuple[float, Floats, Floats, Floats, float]:
    """Return K, delays, weights, periods and lag of one system's fleet, for its certificate.

    K in pu of power by pu of frequency, at the steepest part of the droop in force; delays hold
    the straight line by which a step of the simulation takes effect (half a step).
    """
    parts = []
    for group in fleet.groups:
        of = group.people.system == number
        parts.append((group.people.delay_s[of], group.up_w[of], group.people.period_s[of]))
    delays, weights, periods = (
        np.concatenate(c).astype(np.float64) for c in zip(*parts, strict=True)
    )
    droop = fleet.droops[number]
    slope_w_per_hz = droop.slope * float(weights.sum())
    gain = slope_w_per_hz * fleet.members.p.nominal_hz * float(fleet.members.pu_per_w[number])
    used = weights > 0.0
    lag_s = droop.olrt_s * OLRT_TO_TIME_CONSTANT
    return gain, delays[used] + 0.5 * dt_s, weights[used], periods[used], lag_s

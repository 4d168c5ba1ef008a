"""From a study to the cases that are computed: sweeps, random contingencies, with and without."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from agent.control.parameters import Parameters
from agent.study.distributions import draw
from agent.study.population import Population, joined, populate
from agent.study.simulate import Batch, Members
from agent.study.spec import FleetSpec, Study


@dataclass(frozen=True, slots=True)
class Case:
    """One contingency; None keeps the study's own figure.

    Attributes:
        number: In the study; seeds the vehicles of a random contingency.
        redraw: Other vehicles than those of the base case.
        share: Power of all fleets together, by the system's base. `delay_s`: their mean delay.
    """

    number: int = 0
    redraw: bool = False
    share: float | None = None
    delay_s: float | None = None
    inertia_s: float | None = None
    damping_pu: float | None = None
    loss_pu: float | None = None
    hour: float | None = None


def sweep_cases(study: Study) -> list[Case]:
    """Return every combination of the sweep."""
    axes = study.sweep
    if axes is None:
        return []
    product = itertools.product(
        axes.share or (None,), axes.delay_s or (None,), axes.inertia_s or (None,)
    )
    return [
        Case(number, share=share, delay_s=delay_s, inertia_s=inertia_s)
        for number, (share, delay_s, inertia_s) in enumerate(product)
    ]


def random_cases(study: Study) -> list[Case]:
    """Return the random contingencies; each has a generator of its own, seeded by its number."""
    plan = study.monte_carlo
    if plan is None:
        return []
    names = ("loss_pu", "inertia_s", "damping_pu", "share", "delay_s", "hour")
    cases = []
    for number in range(plan.samples):
        rng = np.random.default_rng([study.study.seed, 1, number])
        values = {
            name: float(draw(quantity, 1, rng)[0])
            for name in names
            if (quantity := getattr(plan, name)) is not None
        }
        cases.append(Case(number, redraw=True, **values))
    return cases


def without(cases: Sequence[Case]) -> list[Case]:
    """Return the same contingencies without V2G."""
    return [replace(case, share=0.0) for case in cases]


def batch_of(study: Study, cases: Sequence[Case]) -> Batch:
    """Return the cases as one batch; the same case gives the same numbers in any batch."""
    system = study.system
    systems = []
    for case in cases:
        changes = {
            name: value
            for name in ("inertia_s", "damping_pu")
            if (value := getattr(case, name)) is not None
        }
        systems.append(msgspec.structs.replace(system, **changes))
    loss = [study.loss_pu if case.loss_pu is None else case.loss_pu for case in cases]
    total = sum(spec.share or 0.0 for spec in study.fleet)
    return Batch(
        systems=tuple(systems),
        loss_pu=np.array(loss),
        members=tuple(
            _members(study, spec, at, cases, total) for at, spec in enumerate(study.fleet)
        ),
        at_s=study.contingency.at_s,
        duration_s=study.study.duration_s,
        dt_s=study.study.dt_s,
    )


def _members(
    study: Study, spec: FleetSpec, at: int, cases: Sequence[Case], total: float
) -> Members:
    system = study.system
    p = spec.parameters(system.nominal_hz)
    drawn: dict[tuple[int, float], Population] = {}
    parts, scale = [], np.zeros(len(cases))
    for row, case in enumerate(cases):
        share = spec.share
        if case.share is not None:
            share = case.share * ((spec.share or 0.0) / total if total > 0.0 else 0.0)
        if share == 0.0:
            continue
        hour = study.study.hour if case.hour is None else case.hour
        key = (case.number if case.redraw else -1, hour)
        if key not in drawn:
            rng = np.random.default_rng([study.study.seed, 2, at, key[0] + 1])
            drawn[key] = populate(spec, p, hour, rng)
        people = _in_system(drawn[key], row, case.delay_s, system.network_s)
        parts.append(people)
        scale[row] = _pu_per_w(people, p, spec, share, system.base_mw)
    people = joined(parts) if parts else _nobody(spec, p)
    return Members(spec, p, people, scale)


def _pu_per_w(
    people: Population, p: Parameters, spec: FleetSpec, share: float | None, base_mw: float
) -> float:
    """Return what a simulated watt stands for; `share` counts every vehicle, plugged in or not."""
    if share is None or not len(people):
        return 1.0 / (base_mw * 1e6)
    rated_w = float(people.room_w(p).sum(dtype=np.float64)) * spec.count / len(people)
    return share / rated_w if rated_w > 0.0 else 0.0


def _in_system(people: Population, row: int, delay_s: float | None, network_s: float) -> Population:
    """Return the vehicles in a row of the batch, their delays stretched to another mean.

    The network's own delay comes on top of it.
    """
    copy = people.ordered(np.arange(len(people)))
    copy.system[:] = row
    if delay_s is not None and len(copy):
        copy.delay_s *= np.float32(delay_s / max(float(copy.delay_s.mean()), 1e-9))
    copy.delay_s += np.float32(network_s)
    return copy


def _nobody(spec: FleetSpec, p: Parameters) -> Population:
    empty = msgspec.structs.replace(spec, count=1, available=0.0)
    return populate(empty, p, 0.0, np.random.default_rng(0))

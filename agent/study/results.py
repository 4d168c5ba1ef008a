"""Answers of cases, with what else a case says: its margin, its wear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.study.answers import Answers, answers_of
from agent.study.cases import Case, batch_of
from agent.study.fleet import Group
from agent.study.grid import Floats, model_of
from agent.study.margin import Margin, fleet_loop, inertia_margin_s, margin_of
from agent.study.simulate import Batch, Traces, loop_of, simulate
from agent.study.spec import Study
from agent.study.wear import schmalstieg_loss, xu_loss


def solve(study: Study, cases: Sequence[Case]) -> Answers:
    """Return the answers of cases, arrays of shape (len(cases),), with the cases' own figures."""
    batch = batch_of(study, cases)
    traces = simulate(batch)
    answers = answers_of(batch, traces)
    answers["share"] = _shares(batch)
    answers["delay_s"] = _delays(batch)
    answers["inertia_s"] = np.array([system.inertia_s for system in batch.systems])
    answers["loss_pu"] = batch.loss_pu
    answers |= wear_of(traces, len(cases))
    return answers


def certificate(batch: Batch, traces: Traces, number: int = 0) -> tuple[Margin, float, float]:
    """Return the margin of a system's loop, its K, and τ* of inertia and damping alone.

    Several fleets act together: their loops add up.
    """
    model = model_of(batch.systems[number])
    loops, total = [], 0.0
    for fleet in traces.fleets:
        gain, delays, weights, periods, lag_s = loop_of(fleet, number, batch.dt_s)
        if gain > 0.0 and weights.size:
            loops.append(fleet_loop(model, gain, delays, weights, periods, lag_s))
            total += gain
    system = batch.systems[number]
    alone = inertia_margin_s(system.inertia_s, system.damping_pu, total)
    if not loops:
        return Margin(True, np.inf, np.inf, np.nan, np.nan), 0.0, np.inf
    first, *others = loops
    margin = margin_of(lambda omega: sum((loop(omega) for loop in others), first(omega)))
    return margin, total, alone


def wear_of(traces: Traces, systems: int) -> Answers:
    """Return mean wear of the vehicles of each system, shares of a battery's life, in 1e-6."""
    groups = [group for fleet in traces.fleets for group in fleet.groups]
    lost, xu, number = np.zeros(systems), np.zeros(systems), np.zeros(systems)
    for group in groups:
        of = group.people.system
        lost += np.bincount(of, _schmalstieg(group), systems)
        xu += np.bincount(of, xu_loss(group.throughput_wh / group.people.capacity_wh), systems)
        number += np.bincount(of, minlength=systems)
    each = np.maximum(number, 1.0) / 1e6
    return {"wear_schmalstieg_ppm": lost / each, "wear_xu_ppm": xu / each}


def _schmalstieg(group: Group) -> Floats:
    people = group.people
    return schmalstieg_loss(
        group.throughput_wh,
        people.capacity_wh.astype(np.float64),
        people.soc_pct.astype(np.float64),
    )


def _shares(batch: Batch) -> Floats:
    """Return the power that the fleets can add, pu of each system's base."""
    shares = np.zeros(len(batch.systems))
    for m in batch.members:
        shares += np.bincount(m.people.system, m.people.room_w(m.p), len(shares)) * m.pu_per_w
    return shares


def _delays(batch: Batch) -> Floats:
    """Return the mean delay of the vehicles of each system; NaN where there is none."""
    count, total = np.zeros(len(batch.systems)), np.zeros(len(batch.systems))
    for m in batch.members:
        count += np.bincount(m.people.system, minlength=len(count))
        total += np.bincount(m.people.system, m.people.delay_s, len(count))
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)

"""Frequency response of an area, exact in time.

    2H · dΔω/dt = Σ Pm + u − D·Δω,   Pm = −gain · chain(s) · Δω

Everything in per unit of the system's base; u is the power that fleet and disturbance add. The
model is linear, so its discretisation by the matrix exponential is exact: for a power that is a
straight line between two instants (the fleet's ramps) and for one that steps (the disturbance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from agent.study.systems import System

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """State space of one area; state 0 is Δω.

    Attributes:
        a: Shape (n, n). `power`: effect of power u, shape (n,).
        reference: Effect of the governors' common load reference, shape (n,).
    """

    a: Floats
    power: Floats
    reference: Floats

    def response(self, omega: Floats) -> Complex:
        """Return Δω/u at the angular frequencies, shape as `omega`."""
        return self._transfer(omega, self.power)

    def reference_response(self, omega: Floats) -> Complex:
        """Return Δω by load reference, shape as `omega`."""
        return self._transfer(omega, self.reference)

    def _transfer(self, omega: Floats, b: Floats) -> Complex:
        matrices = 1j * omega[:, None, None] * np.eye(len(self.a)) - self.a
        column = np.broadcast_to(b[:, None].astype(np.complex128), (len(omega), len(b), 1))
        solved = np.linalg.solve(matrices, column)
        return solved[:, 0, 0].astype(np.complex128)


@dataclass(frozen=True, slots=True, eq=False)
class Discrete:
    """Models of B areas, exact over one step; arrays of shape (B, n, n) and (B, n).

    Attributes:
        a: State after a step. `begin`, `end`: effect of a power that runs in a straight line
            from its value at the begin to that at the end of the step.
    """

    a: Floats
    begin: Floats
    end: Floats

    def advance(self, x: Floats, begin: Floats, end: Floats, held: Floats) -> Floats:
        """Return the states, shape (B, n), after one step.

        Args:
            x: States now.
            begin: Power of the fleets at the begin of the step, shape (B,).
            end: At its end.
            held: Disturbance, constant over the step, shape (B,).
        """
        moved = np.matmul(self.a, x[:, :, None])[:, :, 0]
        forced = self.begin * (begin + held)[:, None] + self.end * (end + held)[:, None]
        result: Floats = moved + forced
        return result


def model_of(system: System) -> Model:
    """Return the state space of a system."""
    chains = [governor.chain for governor in system.governor]
    count = 1 + sum(len(chain) for chain in chains)
    a, power, reference = np.zeros((count, count)), np.zeros(count), np.zeros(count)
    swing = 1.0 / (2.0 * system.inertia_s)
    a[0, 0] = -system.damping_pu * swing
    power[0] = swing
    at = 1
    for governor, chain in zip(system.governor, chains, strict=True):
        signal = np.zeros(count)  # output of the section before, as a row over the states
        signal[0] = -governor.gain
        direct = governor.gain * governor.droop  # and over the load reference
        for lead, lag in chain:
            # (1 + a s)/(1 + b s) = a/b + (1 − a/b)/(1 + b s)
            a[at] += signal / lag
            a[at, at] -= 1.0 / lag
            reference[at] = direct / lag
            through = lead / lag
            signal, direct = through * signal, through * direct
            signal[at] += 1.0 - through
            at += 1
        a[0] += signal * swing
        reference[0] += direct * swing
    return Model(a, power, reference)


def discretise(models: Sequence[Model], dt_s: float) -> Discrete:
    """Return the exact step of `dt_s` for areas of equal order (others are padded with zeros)."""
    count = max(len(model.a) for model in models)
    big = np.zeros((len(models), count + 2, count + 2))
    for block, model in zip(big, models, strict=True):
        n = len(model.a)
        block[:n, :n] = model.a * dt_s
        block[:n, count] = model.power * dt_s
        block[count, count + 1] = 1.0
    exact = expm(big)
    slope = exact[:, :count, count + 1]
    return Discrete(exact[:, :count, :count], exact[:, :count, count] - slope, slope)


def step_response(model: Model, times_s: Floats, power_pu: float) -> Floats:
    """Return Δω in pu after a step of power at time 0, exact at every instant, shape (t,).

    By the eigenvalues of the model; nothing is integrated.
    """
    values, vectors = np.linalg.eig(model.a)
    weights = np.linalg.solve(vectors, model.power.astype(np.complex128)) * vectors[0] * power_pu
    small = np.abs(values) < 1e-12
    rates = np.where(small, 1.0, values)
    grown = np.expm1(np.multiply.outer(times_s, values)) / rates
    grown = np.where(small, times_s[:, None], grown)
    result: Floats = (grown @ weights).real
    return result

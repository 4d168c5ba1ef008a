r"""Sequences, frequency and power from phasors.

A phasor here is the peak phasor p of v(t) = Re(2 p_0 e^{jωt}): a filter for the positive rotation
sees half of a real cosine. RMS values are |2 p_0| / √2.
"""

from __future__ import annotations

import cmath
import math
from typing import Final

import numpy as np

from agent.estimation.arrays import ComplexArray, FloatArray

TURN: Final = cmath.exp(2j * cmath.pi / 3)
"""Fortescue's operator a."""

POSITIVE: Final = np.array([1, TURN, TURN**2], dtype=np.complex128) / 3
"""Row of Fortescue's matrix; its conjugate is the negative sequence's."""

ZERO: Final = np.full(3, 1 / 3, dtype=np.complex128)

TO_RMS: Final = math.sqrt(2.0)
"""From p_0 of a real signal to the RMS phasor: 2 / √2."""


def positive_sequence(phases: ComplexArray) -> ComplexArray:
    """(a + α b + α² c)/3 of functionals with the phases on the first axis."""
    return _combine(POSITIVE, phases)


def negative_sequence(phases: ComplexArray) -> ComplexArray:
    """(a + α² b + α c)/3."""
    return _combine(POSITIVE.conj(), phases)


def zero_sequence(phases: ComplexArray) -> ComplexArray:
    """(a + b + c)/3."""
    return _combine(ZERO, phases)


def _combine(row: ComplexArray, phases: ComplexArray) -> ComplexArray:
    combined: ComplexArray = row @ phases.reshape(len(row), -1)
    return combined.reshape(phases.shape[1:])


def frequency_and_rocof(
    coefficients: ComplexArray, centre_hz: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """F = f̂ + Im(p1/p0)/2π and ROCOF Im(p2/p0 - (p1/p0)²)/2π.

    Args:
        coefficients: (streams, 3): p0, p1, p2 of the positive sequence.
        centre_hz: f̂ of each stream.

    Returns:
        Frequency and ROCOF; f̂ and 0 where there is no voltage.
    """
    phasor = coefficients[:, 0]
    safe = np.where(phasor == 0, 1.0, phasor)
    slope, bend = coefficients[:, 1] / safe, coefficients[:, 2] / safe
    return (
        centre_hz + slope.imag / (2 * np.pi),
        (bend - slope**2).imag / (2 * np.pi),
    )


def reactive_power(voltages: ComplexArray, currents: ComplexArray) -> FloatArray:
    """Σ Im(V I*) of RMS phasors, phases on the first axis; positive when current lags."""
    power: FloatArray = (voltages * currents.conj()).imag.sum(axis=0)
    return power

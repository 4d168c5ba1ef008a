r"""Sequences, frequency and power from phasors.

A phasor here is the peak phasor p of v(t) = Re(2 p_0 e^{jωt}): a filter for the positive rotation
sees half of a real cosine. RMS values are |2 p_0| / √2.
"""

from __future__ import annotations

import cmath
import math
from typing import Final

import numpy as np

from agent.estimation.arrays import ComplexArray, FloatArray, every

TURN: Final = cmath.exp(2j * cmath.pi / 3)
"""Fortescue's operator a."""

FORTESCUE: Final = (
    np.array([[1, TURN, TURN**2], [1, TURN**2, TURN], [1, 1, 1]], dtype=np.complex128) / 3
)
"""Rows: positive, negative and zero sequence."""

TO_RMS: Final = math.sqrt(2.0)
"""From p_0 of a real signal to the RMS phasor: 2 / √2."""


def sequences(phases: ComplexArray) -> ComplexArray:
    """Positive, negative and zero sequence of functionals with the phases on the first axis."""
    combined: ComplexArray = FORTESCUE @ phases.reshape(len(FORTESCUE), -1)
    return combined.reshape(phases.shape)


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
    safe = _never_zero(coefficients[:, 0])
    slope, bend = coefficients[:, 1] / safe, coefficients[:, 2] / safe
    return (
        centre_hz + slope.imag / (2 * np.pi),
        (bend - slope**2).imag / (2 * np.pi),
    )


def frequency(coefficients: ComplexArray, centre_hz: FloatArray) -> FloatArray:
    """As `frequency_and_rocof`, where nobody asks for the ROCOF."""
    slope = coefficients[:, 1] / _never_zero(coefficients[:, 0])
    f_hz: FloatArray = centre_hz + slope.imag / (2 * np.pi)
    return f_hz


def _never_zero(phasor: ComplexArray) -> ComplexArray:
    return phasor if every(phasor) else np.where(phasor == 0, 1.0, phasor)


def reactive_power(voltages: ComplexArray, currents: ComplexArray) -> FloatArray:
    """Σ Im(V I*) of RMS phasors, phases on the first axis; positive when current lags."""
    power: FloatArray = (voltages * currents.conj()).imag.sum(axis=0)
    return power

"""Voltages, currents, power and distortion of one report, from phasors and the newest cycle."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray
from agent.estimation.phasors import TO_RMS, reactive_power

PHASES: Final = 3


class Quantities:
    """As in ``Estimates``; what no message carries is worked out when it is asked for.

    Args:
        sequences: p_0 of the three sequences over three cycles, (3, streams).
        phasors: p_0 of each channel, (channels, streams).
        fundamental: Two numbers whose squares sum to the mean square of each voltage's
            fundamental over one cycle, (phases, streams, 2).
        samples: The newest cycle, (channels, streams, n); read at once.
        weights: One-cycle weights, (n,) where all streams share them, else (streams, n).
    """

    def __init__(
        self,
        sequences: ComplexArray,
        phasors: ComplexArray,
        fundamental: NDArray[np.float32],
        samples: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> None:
        self._sequences_v: FloatArray = TO_RMS * np.abs(sequences)
        channels = len(samples)
        self._with_current = channels > PHASES
        # Squares of every channel, then products of voltage and current, averaged in one go.
        products = np.empty(
            (channels + PHASES * self._with_current, *samples.shape[1:]), dtype=np.float32
        )
        np.multiply(samples, samples, out=products[:channels])
        if self._with_current:
            np.multiply(samples[:PHASES], samples[PHASES:], out=products[channels:])
        means = cycle_means(products, weights)
        self._mean_square = means[:channels]
        self._rms = np.sqrt(self._mean_square)
        self._fundamental = fundamental
        self.v1_v: FloatArray = self._sequences_v[0]
        self.v_rms_v: FloatArray = self._rms[:PHASES].T
        if not self._with_current:
            self.p_w = self.q_var = np.full(phasors.shape[1], np.nan)
        else:
            self.p_w = means[channels:].sum(axis=0)
            self.q_var = TO_RMS**2 * reactive_power(phasors[:PHASES], phasors[PHASES:])

    @property
    def v2_v(self) -> FloatArray:
        """Negative-sequence voltage, RMS."""
        negative: FloatArray = self._sequences_v[1]
        return negative

    @property
    def v0_v(self) -> FloatArray:
        """Zero-sequence voltage, RMS."""
        zero: FloatArray = self._sequences_v[2]
        return zero

    @property
    def i_rms_a(self) -> FloatArray:
        """RMS of the phase currents, (streams, 3)."""
        if not self._with_current:
            return np.full(self.v_rms_v.shape, np.nan)
        return self._rms[PHASES:].T

    @property
    def thd(self) -> FloatArray:
        """Total distortion √(V² - V₁²)/V₁: everything in the cycle but its fundamental."""
        fundamental = (self._fundamental.astype(np.float64) ** 2).sum(axis=-1)
        residual = np.maximum(self._mean_square[:PHASES] - fundamental, 0.0)
        reference = np.where(fundamental > 0, fundamental, np.inf)
        ratio: FloatArray = np.sqrt(residual / reference)
        return ratio.T

    @property
    def pf(self) -> FloatArray:
        """PF = P / Σ V I (IEEE 1459-2010, arithmetic)."""
        if not self._with_current:
            return self.p_w
        apparent = (self._rms[:PHASES] * self._rms[PHASES:]).sum(axis=0)
        factor: FloatArray = self.p_w / np.where(apparent > 0, apparent, np.inf)
        return factor


def cycle_means(products: NDArray[np.float32], weights: NDArray[np.float32]) -> FloatArray:
    """Mean over one cycle, (channels, streams), of values (channels, streams, n)."""
    means: FloatArray
    if weights.ndim == 1:
        means = (products.reshape(-1, len(weights)) @ weights).reshape(products.shape[:2])
    else:
        means = np.einsum("csn,sn->cs", products, weights)
    return means.astype(np.float64)

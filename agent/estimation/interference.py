r"""The model of everything in the signal that is not the fundamental, as a covariance.

The positive-sequence signal is v(t) = p(t) e^{j2πf̂t} + x(t), the fundamental of power 1. The
interference x is a sum of independent parts, each with its power spread evenly over a band of
half width w around a frequency f_c, so that

.. math:: r(t) = E[x(s+t) x^*(s)] = \sum p \, e^{j2πf_c t} \, \mathrm{sinc}(2 w t)

(sinc(x) = sin(πx)/πx). A filter designed against r suppresses each part as strongly as its power
deserves, over the whole band in which it may lie.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from agent.estimation.arrays import ComplexArray, FloatArray

HIGHEST_HARMONIC: Final = 50
HARMONIC_POWER: Final = 1.0
"""Of each harmonic, the negative sequence and DC alike."""

OUT_OF_BAND_POWER: Final = 0.1

BIN_HZ: Final = 0.1
"""Spacing of the bank's centre frequencies."""

HARMONIC_SPREAD_HZ: Final = 0.6 * BIN_HZ
"""Half width at order 1: half a bin between centres, and room for a moving frequency."""

LEAST_SPREAD_HZ: Final = 0.02


class Interference:
    """Covariance of the interference at fixed lags, for any centre frequency.

    Only the rotations depend on the centre frequency; the sinc envelopes are kept.
    """

    def __init__(self, lags_s: FloatArray, nominal_hz: float, *, out_of_band: bool) -> None:
        self._lags_s = lags_s
        self._orders = np.arange(2, HIGHEST_HARMONIC + 1)[:, np.newaxis]
        self._harmonics = HARMONIC_POWER * band(HARMONIC_SPREAD_HZ * self._orders, lags_s)
        self._negative_sequence = HARMONIC_POWER * band(HARMONIC_SPREAD_HZ, lags_s)
        self._direct = HARMONIC_POWER * band(LEAST_SPREAD_HZ, lags_s)
        self._out_of_band = (
            out_of_band_envelope(lags_s, nominal_hz) if out_of_band else np.zeros_like(lags_s)
        )

    def at(self, centre_hz: float) -> ComplexArray:
        """r(t) at each lag for the fundamental at ``centre_hz``.

        Harmonics of both sequences have equal power: ±m together are 2 cos(2πm f̂ t).
        """
        angle = 2 * np.pi * centre_hz * self._lags_s
        harmonics = (2 * np.cos(self._orders * angle) * self._harmonics).sum(axis=0)
        covariance: ComplexArray = (
            np.exp(1j * angle) * self._out_of_band
            + np.exp(-1j * angle) * self._negative_sequence
            + self._direct
            + harmonics
        )
        return covariance


def band(half_width_hz: float | FloatArray, lags_s: FloatArray) -> FloatArray:
    """sinc(2wt): covariance of unit power spread over a band of half width w around zero."""
    envelope: FloatArray = np.sinc(2 * half_width_hz * lags_s)
    return envelope


def out_of_band_envelope(lags_s: FloatArray, nominal_hz: float) -> FloatArray:
    """Interharmonics 22 to 55 Hz from the fundamental, on both sides (26.4 to 66 at 60 Hz).

    IEC/IEEE 60255-118-1:2018 (out-of-band interference) puts them between 10 Hz and 2 f0 and at
    least Fs/2 from nominal, while the fundamental is up to Fs/20 off: for Fs = f0 they are 0.45
    to 1.05 f0 from it.
    """
    near_hz, far_hz = 0.44 * nominal_hz, 1.1 * nominal_hz
    middle_hz, half_width_hz = (near_hz + far_hz) / 2, (far_hz - near_hz) / 2
    both_sides: FloatArray = 2 * np.cos(2 * np.pi * middle_hz * lags_s)
    return OUT_OF_BAND_POWER * both_sides * band(half_width_hz, lags_s)

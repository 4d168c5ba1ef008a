r"""Best linear unbiased estimator of the Taylor-Fourier coefficients of one window.

Over a window of N samples the fundamental is a slowly turning phasor,

.. math:: v_n = \sum_k p_k \frac{u_n^k}{k!} e^{j2πf̂u_n} + x_n, \qquad u_n = t_n - τ,

with u counted from the estimation instant τ and x of covariance R = Toeplitz(r). With columns
T_k = u^k e^{j2πf̂u}, the linear estimate of p_d that is exact for every p and has the least
variance under R is g_d · v, where

.. math:: g_d = \overline{R^{-1} T (T^H R^{-1} T)^{-1} d!\, e_d} .

R is Hermitian and Toeplitz, so reversing both its axes conjugates it. A vector that reversal
conjugates is described by N real numbers, R maps such vectors onto such vectors, and every T_k
of a centred window is one of them up to a factor j^k. ``real_toeplitz`` is R on those N real
numbers: the same solution at a quarter of the arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from agent.estimation.arrays import ComplexArray, FloatArray
from agent.estimation.interference import Interference

ORDER: Final = 2
"""Taylor order: phasor, its first derivative (frequency) and its second (ROCOF)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Geometry of a window.

    Attributes:
        samples: Number N of samples, odd.
        spacing_s: From one sample to the next.
        averaged: Raw samples that were averaged into each one.
        instant_s: Estimation instant τ, from the window's centre.
    """

    samples: int
    spacing_s: float
    averaged: int = 1
    instant_s: float = 0.0

    @property
    def times_s(self) -> FloatArray:
        """t_n from the window's centre."""
        return (np.arange(self.samples) - (self.samples - 1) / 2) * self.spacing_s

    @property
    def raw_offsets_s(self) -> FloatArray:
        """Where the averaged raw samples lie around their mean instant."""
        raw_spacing_s = self.spacing_s / self.averaged
        return (np.arange(self.averaged) - (self.averaged - 1) / 2) * raw_spacing_s

    @property
    def half_s(self) -> float:
        """Half the window's length: the unit of time that keeps powers of t near 1."""
        return self.samples * self.spacing_s / 2


class Designer:
    """Designs one kind of filter for any centre frequency.

    Args:
        window: Its geometry.
        nominal_hz: 50 or 60: scales the out-of-band interference.
        noise: Power of the white noise in each sample, relative to the fundamental.
        orders: For each derivative d, the Taylor order of the model that g_d is exact for.
        out_of_band: Whether interharmonics are part of the interference.
    """

    def __init__(
        self,
        window: Window,
        nominal_hz: float,
        noise: float,
        orders: tuple[int, ...],
        *,
        out_of_band: bool = False,
    ) -> None:
        self._window = window
        self._noise = noise
        self._orders = orders
        raw_lags = np.arange(1 - window.averaged, window.samples * window.averaged)
        self._interference = Interference(
            raw_lags * window.spacing_s / window.averaged, nominal_hz, out_of_band=out_of_band
        )

    def filters(self, centre_hz: float) -> ComplexArray:
        """Rows g_d of shape (len(orders), N), to be multiplied with samples oldest first."""
        window = self._window
        basis = to_real_form(taylor_basis(window, centre_hz))
        lags = averaged_lags(self._interference.at(centre_hz), window.averaged)
        lags[0] += self._noise
        weighted = np.linalg.solve(real_toeplitz(lags), basis)
        gram = basis.T @ weighted
        rows = from_real_form(weighted).conj()

        filters = np.empty((len(self._orders), window.samples), dtype=np.complex128)
        for derivative, order in enumerate(self._orders):
            used = slice(0, order + 1)
            target = derivative_target(window, derivative, order)
            filters[derivative] = rows[:, used] @ np.linalg.solve(gram[used, used], target)
        # The basis counts its phase from the centre, p_d is to count it from the instant.
        turned: ComplexArray = filters * np.exp(2j * np.pi * centre_hz * window.instant_s)
        return turned


def taylor_basis(window: Window, centre_hz: float) -> ComplexArray:
    """Columns j^k (t/h)^k e^{j2πf̂t} for k = 0..2: what the sampler makes of each Taylor term."""
    times_s = window.times_s[:, np.newaxis, np.newaxis] + window.raw_offsets_s[:, np.newaxis]
    terms = (1j * times_s / window.half_s) ** np.arange(ORDER + 1)
    columns: ComplexArray = (terms * np.exp(2j * np.pi * centre_hz * times_s)).mean(axis=1)
    return columns


def derivative_target(window: Window, derivative: int, order: int) -> ComplexArray:
    """The weights L with p_d = L · a, where the signal is Σ a_k j^k (t/h)^k e^{j2πf̂t}.

    d-th derivative of (t/h)^k at τ: k!/(k-d)! (τ/h)^{k-d} / h^d.
    """
    instant = window.instant_s / window.half_s
    weights = [
        1j**k * math.perm(k, derivative) * instant ** max(k - derivative, 0)
        for k in range(order + 1)
    ]
    return np.array(weights, dtype=np.complex128) / window.half_s**derivative


def averaged_lags(raw: ComplexArray, averaged: int) -> ComplexArray:
    """Covariance between averages of M neighbours: r'(l) = Σ_k (M-|k|)/M² r(lM + k).

    ``raw`` starts at lag 1 - M.
    """
    neighbours = np.arange(1 - averaged, averaged)
    weights = (averaged - np.abs(neighbours)) / averaged**2
    return np.convolve(raw, weights, mode="valid")[::averaged]


def real_toeplitz(lags: ComplexArray) -> FloatArray:
    """The Hermitian Toeplitz matrix R[n, k] = r(n-k) acting on real forms.

    With R cut into halves around its centre row and J the reversal, a vector [a; c; J ā] goes to
    the half (R11 + R13 J) Re a + j (R11 - R13 J) Im a + R12 c.
    """
    half = len(lags) // 2
    two_sided = np.concatenate([lags[:0:-1].conj(), lags])
    # Row n of the sliding view holds r(n-2h) .. r(n): R reversed left to right.
    reversed_rows = sliding_window_view(two_sided, len(lags))[:half]
    right_reversed = reversed_rows[:, :half]
    left = reversed_rows[:, :half:-1]
    middle = reversed_rows[:, half] * math.sqrt(2)
    plus, minus = left + right_reversed, left - right_reversed
    return np.block(
        [
            [plus.real, middle.real[:, np.newaxis], -minus.imag],
            [middle.real[np.newaxis], lags[:1].real[np.newaxis], middle.imag[np.newaxis]],
            [plus.imag, middle.imag[:, np.newaxis], minus.real],
        ]
    )


def to_real_form(vectors: ComplexArray) -> FloatArray:
    """N real numbers for each column that reversal conjugates: √2 Re a, c, √2 Im a."""
    half = len(vectors) // 2
    upper = vectors[:half] * math.sqrt(2)
    return np.concatenate([upper.real, vectors[half : half + 1].real, upper.imag])


def from_real_form(real: FloatArray) -> ComplexArray:
    """The columns that ``to_real_form`` describes."""
    half = len(real) // 2
    upper = (real[:half] + 1j * real[half + 1 :]) / math.sqrt(2)
    return np.concatenate([upper, real[half : half + 1], upper[::-1].conj()])

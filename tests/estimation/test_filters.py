"""The mathematics: the design against a direct solution, and the responses that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.estimation import Settings
from agent.estimation.bank import cycle_weights, filter_bank, fundamental_pair, main_window
from agent.estimation.blue import (
    Designer,
    Window,
    averaged_lags,
    from_real_form,
    real_toeplitz,
    taylor_basis,
    to_real_form,
)
from agent.estimation.interference import Interference

ORDERS = (2, 2, 2)


def toeplitz(lags: np.ndarray) -> np.ndarray:
    n = np.arange(len(lags))
    difference = n[:, np.newaxis] - n
    return np.where(difference >= 0, lags[np.abs(difference)], lags[np.abs(difference)].conj())


def direct_design(window: Window, f0: int, centre_hz: float, noise: float) -> np.ndarray:
    """conj[R⁻¹T (TᴴR⁻¹T)⁻¹ d! e_d] written out, on raw samples and complex numbers."""
    raw = (window.times_s[:, np.newaxis] + window.raw_offsets_s).ravel()
    u = raw - window.instant_s
    interference = Interference((raw[:, np.newaxis] - raw).ravel(), f0, out_of_band=True)
    shape = (window.samples, window.averaged)
    covariance = interference.at(centre_hz).reshape(shape * 2).mean(axis=(1, 3))
    covariance = covariance + noise * np.eye(window.samples)
    scaled = u / window.half_s
    columns = np.stack([scaled**k * np.exp(2j * np.pi * centre_hz * u) for k in range(3)], axis=1)
    taylor = columns.reshape(*shape, 3).mean(axis=1)
    weighted = np.linalg.solve(covariance, taylor)
    factors = np.diag([1, 1 / window.half_s, 2 / window.half_s**2])
    return (weighted @ np.linalg.solve(taylor.conj().T @ weighted, factors)).conj().T


@pytest.mark.parametrize("averaged", [1, 3])
@pytest.mark.parametrize("instant_s", [0.0, 0.004])
def test_design_equals_the_direct_solution(averaged: int, instant_s: float) -> None:
    window = Window(121, 1 / 2400, averaged, instant_s)
    designer = Designer(window, 50, 1e-3, ORDERS, out_of_band=True)
    expected = direct_design(window, 50, 49.3, 1e-3)
    found = designer.filters(49.3)
    # averages centre on the mean instant: the phase reference is the same
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert np.abs(found - expected).max(axis=1) == pytest.approx(0, abs=1e-6 * scale.max())


@given(st.integers(3, 30), st.integers(0, 2**31))
def test_real_form_is_the_same_matrix(half: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 2 * half + 1
    lags = rng.normal(size=size) + 1j * rng.normal(size=size)
    lags[0] = lags[0].real
    upper = rng.normal(size=(half, 2)) + 1j * rng.normal(size=(half, 2))
    vectors = np.concatenate([upper, rng.normal(size=(1, 2)), upper[::-1].conj()])
    assert from_real_form(to_real_form(vectors)) == pytest.approx(vectors)
    product = from_real_form(real_toeplitz(lags) @ to_real_form(vectors))
    assert product == pytest.approx(toeplitz(lags) @ vectors)


def test_averaging_turns_the_covariance_into_that_of_the_averages() -> None:
    lags = np.arange(-2, 15) * 1e-3
    raw = np.exp(2j * np.pi * 40 * lags)
    expected = raw[2:][::3] * (1 + 2 * np.cos(2 * np.pi * 40 * 1e-3)) ** 2 / 9
    assert averaged_lags(raw, 3) == pytest.approx(expected)


@pytest.mark.parametrize("filter_name", ["default", "low-latency"])
@pytest.mark.parametrize("offset_hz", [-0.05, 0.0, 0.05])
def test_a_taylor_signal_is_estimated_exactly(filter_name: str, offset_hz: float) -> None:
    settings = Settings(nominal_hz=50, samples_per_second=4800, filter=filter_name)
    window = main_window(settings)
    filters = Designer(window, 50, settings.preset.noise, ORDERS, out_of_band=True).filters(50.0)
    basis = taylor_basis(window, 50.0)
    coefficients = np.array([1.0 + 0.2j, 3.0 + offset_hz, -0.5j])
    instant = window.instant_s / window.half_s
    polynomial = coefficients * np.array([1, 1j, -1])
    expected = [
        np.polyval(np.polyder(polynomial[::-1], d), instant) / window.half_s**d for d in range(3)
    ]
    turn = np.exp(2j * np.pi * 50.0 * window.instant_s)
    scale = [1, 1 / window.half_s, 1 / window.half_s**2]
    assert filters @ basis @ coefficients / scale == pytest.approx(
        np.array(expected) * turn / scale, abs=1e-6
    )


def test_bins_reach_beyond_class_m() -> None:
    bank = filter_bank(50, 4000, "default")
    bins = bank.nearest(np.array([44.0, 45.0, 50.0, 50.04, 55.0, 99.0, np.nan]))
    assert bank.centre_hz(bins) == pytest.approx([44.4, 45.0, 50.0, 50.0, 55.0, 55.6, 50.0])


@pytest.mark.parametrize("centre_hz", [45.0, 49.7, 50.0, 54.3])
def test_mean_square_over_one_actual_cycle(centre_hz: float) -> None:
    settings = Settings(nominal_hz=50, samples_per_second=4000)
    weights = cycle_weights(settings, centre_hz)
    assert weights.sum() == pytest.approx(1.0)
    t_s = np.arange(len(weights)) / 4000
    sine = 325.0 * np.cos(2 * np.pi * centre_hz * t_s + 0.3)
    assert weights @ sine**2 == pytest.approx(325.0**2 / 2, rel=1e-3)
    pair = fundamental_pair(weights, centre_hz / 4000)
    assert ((sine @ pair) ** 2).sum() == pytest.approx(weights @ sine**2, rel=1e-9)

"""The areas, against closed forms and against small-step integration."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.study.grid import discretise, model_of, step_response
from agent.study.systems import find_system, systems

AM = {"R": 0.05, "H": 4.0, "Km": 0.95, "FH": 0.3, "TR": 8.0, "D": 1.0}


def anderson_mirheydar(t: np.ndarray, loss: float) -> np.ndarray:
    """Δω(t) of the paper's equations, typed from them and not from our state space."""
    R, H, Km, FH, TR, D = AM.values()
    wn = math.sqrt((D * R + Km) / (2 * H * R * TR))
    zeta = (2 * H * R + (D * R + Km * FH) * TR) / (2 * (D * R + Km)) * wn
    wr = wn * math.sqrt(1 - zeta**2)
    alpha = math.sqrt((1 - 2 * TR * zeta * wn + TR**2 * wn**2) / (1 - zeta**2))
    phi1 = math.atan2(wr * TR, 1 - zeta * wn * TR)
    phi2 = math.atan2(math.sqrt(1 - zeta**2), -zeta)
    wave = alpha * np.exp(-zeta * wn * t) * np.sin(wr * t + phi1 - phi2)
    return -R * loss / (D * R + Km) * (1 + wave)


def trace(name: str, loss: float, dt_s: float, steps: int) -> np.ndarray:
    exact = discretise([model_of(find_system(name))], dt_s)
    x, nothing = np.zeros((1, exact.a.shape[1])), np.zeros(1)
    course = [0.0]
    for _ in range(steps):
        x = exact.advance(x, nothing, nothing, np.array([-loss]))
        course.append(float(x[0, 0]))
    return np.array(course)


def test_the_trace_is_that_of_anderson_and_mirheydar_within_1e_4_hz():
    t = np.arange(1501) * 0.02
    error = 60.0 * np.abs(trace("anderson-mirheydar", 0.2, 0.02, 1500) - anderson_mirheydar(t, 0.2))
    assert error.max() < 1e-4


def test_nadir_and_its_time_are_the_published_ones():
    t = np.arange(0.0, 10.0, 1e-4)
    f = 60.0 * (1.0 + step_response(model_of(find_system("anderson-mirheydar")), t, -0.2))
    assert f.min() == pytest.approx(58.7002, abs=1e-4)
    assert t[f.argmin()] == pytest.approx(2.3688, abs=1e-3)


def test_damping_ratio_is_the_published_one():
    values = np.linalg.eigvals(model_of(find_system("anderson-mirheydar")).a)
    assert max(-values.real / np.abs(values)) == pytest.approx(0.861, abs=1e-3)


@pytest.mark.parametrize("name", sorted(systems()))
def test_any_step_length_gives_the_same_trace(name):
    system = find_system(name)
    loss = system.loss_mw / system.base_mw
    coarse, fine = trace(name, loss, 0.1, 100), trace(name, loss, 0.01, 1000)[::10]
    np.testing.assert_allclose(coarse, fine, atol=1e-10)
    model = model_of(system)
    np.testing.assert_allclose(coarse, step_response(model, np.arange(101) * 0.1, -loss), atol=1e-9)


@pytest.mark.parametrize("name", sorted(systems()))
def test_first_slope_and_settled_value_follow_from_inertia_and_stiffness(name):
    system = find_system(name)
    loss = system.loss_mw / system.base_mw
    model = model_of(system)
    slope = step_response(model, np.array([1e-5]), -loss)[0] / 1e-5
    assert slope == pytest.approx(-loss / (2 * system.inertia_s), rel=1e-3)
    stiffness = system.damping_pu + sum(g.gain for g in system.governor)
    settled = step_response(model, np.array([1e4]), -loss)[0]
    assert settled == pytest.approx(-loss / stiffness, rel=1e-3)


def test_a_power_that_ramps_is_exact():
    model = model_of(find_system("gb"))
    exact = discretise([model], 0.25)
    x = np.zeros((1, exact.a.shape[1]))
    for k in range(8):
        x = exact.advance(x, np.array([0.01 * k]), np.array([0.01 * (k + 1)]), np.zeros(1))
    t = np.linspace(0.0, 2.0, 4001)  # the convolution with the step response
    ramped = np.trapezoid(step_response(model, 2.0 - t, 0.04), t)
    assert x[0, 0] == pytest.approx(ramped, rel=1e-6)


def test_a_trip_takes_inertia_governor_and_power():
    whole = find_system("ieee14")
    left = whole.without("GENROU_2")
    assert left.inertia_s == pytest.approx(whole.inertia_s - 6.5)
    assert len(left.governor) == len(whole.governor) - 1
    assert left.loss_mw == 40.0


def test_every_system_names_its_source():
    assert all(s.source and s.edition and s.verified for s in systems().values())

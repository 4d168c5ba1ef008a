"""IEC/IEEE 60255-118-1:2018, clause 6, and the figures promised beyond it, on 9-2LE counts."""

from __future__ import annotations

import pytest

from agent.estimation import Settings
from tests.estimation import figures, suite

RATES = ((50, 4000), (50, 4800), (50, 14400), (60, 4800), (60, 5760), (60, 14400))
QUICK = {
    (50, 4800, "default"),
    (50, 4000, "low-latency"),
    (60, 4800, "default"),
    (60, 5760, "low-latency"),
}


def combinations() -> list[object]:
    """Every rate with both filters; four of the twelve in every run, the others in the soak."""
    return [
        pytest.param(
            Settings(
                nominal_hz=f0, samples_per_second=rate, reports_per_second=f0, filter=filter_name
            ),
            id=f"{f0}Hz-{rate}-{filter_name}",
            marks=() if (f0, rate, filter_name) in QUICK else pytest.mark.soak,
        )
        for f0, rate in RATES
        for filter_name in ("default", "low-latency")
    ]


@pytest.mark.parametrize("settings", combinations())
def test_every_frequency_and_rocof_limit_holds(settings: Settings) -> None:
    for case in suite.cases(settings.nominal_hz):
        errors = suite.errors(settings, case)
        if case.class_m is not None:
            assert errors.within(case.class_m), (case.name, "M", errors)
        if case.class_p is not None and settings.filter == "low-latency":
            assert errors.within(case.class_p), (case.name, "P", errors)
        if case.name.startswith("out of band"):
            assert errors.fe_hz <= 5e-3
        if case.name.startswith("harmonics"):
            assert errors.fe_hz <= 0.1e-3


@pytest.mark.parametrize("settings", combinations())
def test_steps_settle_in_time(settings: Settings) -> None:
    f0 = settings.nominal_hz
    classes = "PM" if settings.filter == "low-latency" else "M"
    for performance_class in classes:
        rfe_limit = 0.4 if performance_class == "P" else 0.1
        for case in suite.STEPS:
            response = suite.step_response(settings, case, rfe_limit)
            assert response.frequency_s <= suite.frequency_response_limit_s(f0, performance_class)
            assert response.rocof_s <= suite.rocof_response_limit_s(f0, performance_class)


@pytest.mark.parametrize("settings", combinations())
def test_reporting_latency(settings: Settings) -> None:
    """7/Fs in class M, 2/Fs in class P, with 0.4 ms left for the work."""
    delay_s = settings.delay_samples / settings.samples_per_second
    periods = 2 if settings.filter == "low-latency" else 7
    assert delay_s <= periods / settings.reports_per_second - 0.4e-3


@pytest.mark.parametrize("name", [n for n, (_, limit) in figures.FIGURES.items() if limit])
@pytest.mark.parametrize("f0", [50, 60])
def test_figures_of_the_default_filter(name: str, f0: int) -> None:
    figure, limit_hz = figures.FIGURES[name]
    settings = Settings(nominal_hz=f0, samples_per_second=80 * f0, reports_per_second=f0)
    assert limit_hz is not None
    assert figure(settings) <= limit_hz


def test_exact_samples_and_9_2le_counts_give_the_same_frequency() -> None:
    """10 mV a count costs less than 0.05 mHz at 230 V."""
    settings = Settings(nominal_hz=50, samples_per_second=4800)
    case = suite.cases(50)[0]
    counted = suite.errors(settings, case)
    exact = suite.errors(settings, case, transport=lambda samples: samples)
    assert exact.fe_hz < counted.fe_hz < exact.fe_hz + 0.05e-3

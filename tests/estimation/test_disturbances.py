"""No disturbance is a change of frequency: 1e5 random ones in the soak, a sample in every run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agent.estimation import Settings
from tests.estimation.disturbances import LIMIT_HZ, draw, excursions

BATCH = 500
SAMPLED = 120
SAMPLE = (
    (50, 4000, 50, "default"),
    (60, 4800, 60, "low-latency"),
    (50, 4800, 100, "default"),
)


def assert_contained(settings: Settings, seed: int, streams: int = BATCH) -> float:
    """No stream leaves the bounds; how far the farthest went, Hz."""
    batch = draw(streams, settings.nominal_hz, seed)
    distance_hz = excursions(settings, batch)
    outside = np.nonzero(distance_hz > LIMIT_HZ)[0]
    assert not outside.size, [(seed, int(i), batch.kind[i], batch.f_hz[i]) for i in outside]
    return float(distance_hz.max())


@pytest.mark.parametrize(("f0", "rate", "reports", "filter_name"), SAMPLE)
def test_a_sample_of_disturbances_stays_in_bounds(
    f0: int, rate: int, reports: int, filter_name: str
) -> None:
    settings = Settings(
        nominal_hz=f0, samples_per_second=rate, reports_per_second=reports, filter=filter_name
    )
    assert_contained(settings, seed=1, streams=SAMPLED)


@pytest.mark.soak
@pytest.mark.parametrize("filter_name", ["default", "low-latency"])
@pytest.mark.parametrize(("f0", "rate"), [(50, 4000), (60, 4800)])
def test_a_hundred_thousand_disturbances_stay_in_bounds(
    f0: int, rate: int, filter_name: str, record_property: Callable[[str, object], None]
) -> None:
    """25,000 in each of four settings; about ten minutes each."""
    settings = Settings(
        nominal_hz=f0, samples_per_second=rate, reports_per_second=f0, filter=filter_name
    )
    farthest_hz = max(assert_contained(settings, seed) for seed in range(100, 150))
    record_property(f"{f0} Hz, {filter_name}: disturbances", 50 * BATCH)
    record_property(f"{f0} Hz, {filter_name}: farthest report, Hz", round(farthest_hz, 4))

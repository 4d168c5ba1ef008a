"""What may be chosen about an estimator, and the lengths that follow from the choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from agent.errors import ConfigurationError, Finding

FilterName = Literal["default", "low-latency"]

ENGINE_RATE_MIN_HZ: Final = 4000
"""Samples are averaged in groups while the rate stays at or above this."""


@dataclass(frozen=True, slots=True)
class FilterPreset:
    """One estimation window.

    Attributes:
        cycles: Length in nominal cycles.
        delay_cycles: From the estimation instant to the newest sample, in nominal cycles.
        noise: White-noise power that the design assumes, relative to the fundamental.
    """

    cycles: float
    delay_cycles: float
    noise: float


PRESETS: Final[dict[FilterName, FilterPreset]] = {
    "default": FilterPreset(cycles=5.5, delay_cycles=2.75, noise=1e-2),
    "low-latency": FilterPreset(cycles=6.5, delay_cycles=1.95, noise=2e-4),
}
"""At 50 Hz F5.5 reports 55 ms after the instant; A6.5 looks off its centre: 39 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one estimator; all its streams share them.

    Attributes:
        nominal_hz: 50 or 60.
        samples_per_second: Rate of the samples that are pushed, 3,200 to 16,000.
        reports_per_second: 10 to 120; reports fall on UTC multiples of its inverse.
        filter: ``default`` (5.5 cycles) or ``low-latency`` (6.5 cycles, reported earlier).
        v_nominal_v: Nominal phase-to-earth voltage, RMS.
        gate: Hold the frequency through phase and amplitude steps.
        rocof_window_s: Averaging time of ``rocof_trip_hz_s``, 0.1 to 0.5 s.
        free_clock_ppm: Error bound of a merging unit's clock while smpSynch is 0.
        local_clock_ppm: Error bound while smpSynch names a local clock.

    Raises:
        ConfigurationError: With one finding for each setting out of range.
    """

    nominal_hz: int
    samples_per_second: int
    reports_per_second: int = 50
    filter: FilterName = "default"
    v_nominal_v: float = 230.0
    gate: bool = True
    rocof_window_s: float = 0.5
    free_clock_ppm: float = 100.0
    local_clock_ppm: float = 1.0

    def __post_init__(self) -> None:
        findings = tuple(
            Finding(f"estimation.{name}", f"{getattr(self, name)!r} is out of range", hint)
            for name, good, hint in (
                ("nominal_hz", self.nominal_hz in (50, 60), "50 or 60"),
                (
                    "samples_per_second",
                    3200 <= self.samples_per_second <= 16000,
                    "3200 to 16000",
                ),
                ("reports_per_second", 10 <= self.reports_per_second <= 120, "10 to 120"),
                ("filter", self.filter in PRESETS, " or ".join(PRESETS)),
                ("v_nominal_v", 0 < self.v_nominal_v < math.inf, "above 0 V"),
                ("rocof_window_s", 0.1 <= self.rocof_window_s <= 0.5, "0.1 to 0.5 s"),
                ("free_clock_ppm", 0 <= self.free_clock_ppm <= 1000, "0 to 1000"),
                ("local_clock_ppm", 0 <= self.local_clock_ppm <= 1000, "0 to 1000"),
            )
            if not good
        )
        if findings:
            raise ConfigurationError(findings)

    @property
    def preset(self) -> FilterPreset:
        """The main window."""
        return PRESETS[self.filter]

    @property
    def decimation(self) -> int:
        """Samples averaged into one before filtering: 1 below 8 kHz, 3 at 14,400 Hz.

        The largest divisor of the rate that leaves at least ``ENGINE_RATE_MIN_HZ``.
        """
        rate = self.samples_per_second
        largest = max(1, rate // ENGINE_RATE_MIN_HZ)
        return max(d for d in range(1, largest + 1) if rate % d == 0)

    @property
    def engine_rate_hz(self) -> float:
        """Samples a second inside the estimator."""
        return self.samples_per_second / self.decimation

    @property
    def samples_per_cycle(self) -> float:
        """Engine samples in one nominal cycle; need not be whole."""
        return self.engine_rate_hz / self.nominal_hz

    @property
    def window_samples(self) -> int:
        """Engine samples in the main window; odd."""
        return odd_length(self.preset.cycles * self.samples_per_cycle)

    @property
    def delay_samples(self) -> int:
        """Pushed samples from the estimation instant to the newest one that it needs.

        A report for UTC instant t is complete when the sample ``delay_samples`` after the one
        taken at t has been pushed. Where samples are averaged in groups, groups that start on a
        UTC second end on that sample: begin pushing at an smpCnt divisible by ``decimation``.
        """
        groups = self.preset.delay_cycles * self.samples_per_cycle
        return round(groups) * self.decimation + (self.decimation - 1)

    def newest_sample(self, report: int) -> int:
        """The newest sample that a report needs.

        Args:
            report: Number of the report in its UTC second, 0 for the one on the second.

        Returns:
            smpCnt of that sample, counted from the same second without wrapping.
        """
        instant = (2 * report * self.samples_per_second + self.reports_per_second) // (
            2 * self.reports_per_second
        )
        return instant + self.delay_samples


def odd_length(samples: float) -> int:
    """The odd whole number nearest above ``samples`` rounded: a window with a centre sample."""
    return round(samples) | 1

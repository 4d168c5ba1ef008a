"""Which frequency is published: the main window's, the bridge's, or the one before a step."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import FloatArray, Mask, some
from agent.estimation.bank import FilterBank
from agent.estimation.gate import EventGate, Phase, step_measures
from agent.estimation.interference import BIN_HZ
from agent.estimation.phasors import TO_RMS
from agent.estimation.reading import Reading
from agent.estimation.settings import Settings

LOW_VOLTAGE_PU: Final = 0.15

RECENTRE_HZ: Final = 0.8 * BIN_HZ
"""Distance from a filter's centre at which the next bin takes over: half a bin and hysteresis."""

RECENTRE_ATTEMPTS: Final = 3
"""Far from its centre a filter is biased: from 50 to 45 Hz takes a second look."""

STEP_IN_SIGHT_CYCLES: Final = 3.5
"""How far back the step measures look: the first sample is a step too."""

HELD_TICKS: Final = 3
"""A held frequency is this old, so that no part of the step is in it."""


@dataclass(frozen=True, slots=True)
class Track:
    """One look at all streams.

    Attributes:
        reading: The filters' outputs.
        warm_up: Whether the window still contains the time before the first sample.
        phase: Where each stream stands after its last step.
        low_voltage: Streams below ``LOW_VOLTAGE_PU``.
        f_hz: The frequency to publish.
        rocof_hz_s: The ROCOF to publish.
        disagreement_hz: Between bridge and main window, referred to the same instant.
    """

    reading: Reading
    warm_up: bool
    phase: Phase
    low_voltage: Mask
    f_hz: FloatArray
    rocof_hz_s: FloatArray
    disagreement_hz: FloatArray


class FrequencyTracker:
    """Follows the frequency of each stream through bins and events."""

    def __init__(
        self, settings: Settings, bank: FilterBank, streams: int, ticks_per_second: float
    ) -> None:
        self._bank = bank
        self._gated = settings.gate
        self._low_voltage = LOW_VOLTAGE_PU * settings.v_nominal_v / TO_RMS
        self._warm_at = settings.window_samples + round(settings.samples_per_cycle)
        self._bridge_lead_s = (
            settings.delay_samples / settings.samples_per_second
            - bank.bridge_delay / settings.engine_rate_hz
        )
        self._bins = np.full(streams, bank.nominal_bin, dtype=np.intp)
        self._quiet_at = round(STEP_IN_SIGHT_CYCLES * settings.samples_per_cycle)
        self._gate = EventGate(
            streams,
            settings.samples_per_cycle,
            settings.window_samples,
            2 * bank.bridge_delay + 1,
            settings.engine_rate_hz,
            ticks_per_second,
        )
        nominal = np.full(streams, float(settings.nominal_hz))
        still = np.zeros(streams)
        self._past: deque[tuple[FloatArray, FloatArray]]
        self._past = deque([(nominal, still)] * HELD_TICKS, HELD_TICKS)
        """Frequency and ROCOF of the last ticks, the oldest first."""
        self._f_held, self._rocof_held = nominal, still

    def look(self, window: NDArray[np.float32], newest: int) -> Track:
        """Estimate every stream.

        Args:
            window: The main window, (channels, streams, N).
            newest: Engine samples received so far.
        """
        reading = Reading(self._bank, window, self._bins)
        low_voltage = np.abs(reading.cycles[:, 0]) < self._low_voltage
        f_bridge = self._bridge_hz(reading, reading.rocof_main)
        apart_hz = f_bridge - reading.f_main
        phase = self._advance_events(reading, apart_hz, low_voltage, newest)
        recentred = self._recentre(reading, phase)
        f_hz, rocof = reading.f_main, reading.rocof_main
        if not phase.calm:
            f_old, rocof_old = self._past[0]
            self._f_held = np.where(phase.began, f_old, self._f_held)
            self._rocof_held = np.where(phase.began, rocof_old, self._rocof_held)
            rocof = np.where(phase.hold | phase.bridge, self._rocof_held, rocof)
        if recentred or not phase.calm:
            f_bridge = self._bridge_hz(reading, rocof)
            apart_hz = f_bridge - reading.f_main
        if not phase.calm:
            f_hz = np.where(phase.bridge, f_bridge, f_hz)
            f_hz = np.where(phase.hold, self._f_held, f_hz)
        self._past.append((f_hz, rocof))
        return Track(
            reading=reading,
            warm_up=newest < self._warm_at,
            phase=phase,
            low_voltage=low_voltage,
            f_hz=f_hz,
            rocof_hz_s=rocof,
            disagreement_hz=np.abs(apart_hz),
        )

    def _bridge_hz(self, reading: Reading, rocof_hz_s: FloatArray) -> FloatArray:
        """The bridge's frequency at the instant reported; it looks at a later one."""
        return reading.f_bridge - rocof_hz_s * self._bridge_lead_s

    def _advance_events(
        self, reading: Reading, disagreement_hz: FloatArray, low_voltage: Mask, newest: int
    ) -> Phase:
        if not self._gated:
            return self._gate.quiet
        measures = step_measures(reading.cycles, reading.cycles_negative, disagreement_hz)
        if newest >= self._warm_at:
            return self._gate.advance(newest, measures, low_voltage)
        if newest > self._quiet_at:
            self._gate.learn(measures)
        return self._gate.quiet

    def _recentre(self, reading: Reading, phase: Phase) -> bool:
        """Change bins where the frequency has left its own, never while a step is in sight.

        A hold that is overdue may be one: seen through a filter of the wrong bin, the negative
        sequence beats with the positive one and looks like steps.

        Returns:
            Whether anything was read anew.
        """
        for attempt in range(RECENTRE_ATTEMPTS):
            f_hz = reading.f_main
            if not phase.calm:
                f_hz = np.where(phase.bridge | phase.overdue, reading.f_bridge, f_hz)
            away = np.abs(f_hz - reading.centre_hz) > RECENTRE_HZ
            if not some(away):
                return attempt > 0
            (streams,) = np.nonzero(away & (phase.overdue | ~phase.hold))
            if not len(streams):
                return attempt > 0
            reading.recentre(streams, self._bank.nearest(f_hz[streams]))
        return True

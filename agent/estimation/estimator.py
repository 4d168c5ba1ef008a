"""The streaming estimator: samples of many merging units in, one report for all of them out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agent.estimation.arrays import ComplexArray, every, some
from agent.estimation.bank import SPAN_HZ, filter_bank
from agent.estimation.estimates import Estimates, Quality
from agent.estimation.gaps import Prediction
from agent.estimation.intake import Intake
from agent.estimation.quality import LARGEST_GAP, Conditions, flags, quality, uncertainty_hz
from agent.estimation.quantities import Quantities
from agent.estimation.reading import Reading
from agent.estimation.rocof import RocofAverage
from agent.estimation.settings import Settings
from agent.estimation.tracker import FrequencyTracker, Track

LONGEST_TICK_CYCLES: Final = 1.25
"""The step detector sees three cycles; looking this often, it meets every step twice."""
_HELD, _INVALID = np.uint8(Quality.HELD), np.uint8(Quality.INVALID)
"""Comparing an array with a member of an enumeration takes ten times as long."""


class Estimator:
    """Frequency, ROCOF and phasors of streams that are sampled together.

    Push samples up to the newest one that a report needs (``Settings.newest_sample``), then ask
    for the report. Where reports are further apart than a cycle the estimator looks in between,
    so that no step goes by unseen.

    Args:
        settings: Shared by all streams.
        n_streams: Number of streams.
        with_current: Whether three currents follow the three voltages.
    """

    def __init__(self, settings: Settings, n_streams: int = 1, with_current: bool = False) -> None:
        self._settings = settings
        self._delay_samples = settings.delay_samples
        self._rate_hz = settings.engine_rate_hz
        self._bank = filter_bank(settings.nominal_hz, settings.samples_per_second, settings.filter)
        self._channels, self._streams = 6 if with_current else 3, n_streams
        self._intake = Intake(settings, self._channels, n_streams)

        hop = settings.samples_per_second / settings.reports_per_second
        cycle = settings.samples_per_second / settings.nominal_hz
        self._longest_tick = int(LONGEST_TICK_CYCLES * cycle)
        ticks_per_second = settings.reports_per_second * -(-hop // self._longest_tick)
        self._tracker = FrequencyTracker(settings, self._bank, n_streams, ticks_per_second)
        self._rocof_average = RocofAverage(n_streams, settings.rocof_window_s, ticks_per_second)

        self._published_hz = np.full(n_streams, float(settings.nominal_hz))
        self._measured_at = np.zeros(n_streams, dtype=np.int64)
        self._since_look = 0
        self._nothing = Conditions.nothing(n_streams)
        self._all = np.ones(n_streams, dtype=bool)
        self._estimates = self._look()

    @property
    def delay_samples(self) -> int:
        """Pushed samples from the estimation instant to the newest one."""
        return self._delay_samples

    def push(self, samples: ArrayLike, smp_synch: ArrayLike | None = None) -> None:
        """Add samples; any number at a time.

        Args:
            samples: (streams, channels, n): voltages to earth of phases A, B, C in V, then with
                current the phase currents in A. NaN for a missing sample.
            smp_synch: smpSynch of each stream (0 none, 2 global, other values a local clock) as
                of these samples; synchronised to a global clock where not given.
        """
        block = np.asarray(samples, dtype=np.float32).transpose(1, 0, 2)
        if smp_synch is not None:
            self._intake.note_clock(np.asarray(smp_synch))
        start = 0
        while start < block.shape[-1]:
            room = self._longest_tick - self._since_look
            if room == 0:
                self._estimates = self._look()
                continue
            piece = block[..., start : start + room]
            self._intake.take(piece)
            self._since_look += piece.shape[-1]
            start += piece.shape[-1]

    def report(self) -> Estimates:
        """The estimates at ``delay_samples`` before the newest sample."""
        if self._since_look:
            self._estimates = self._look()
        return self._estimates

    def _look(self) -> Estimates:
        self._since_look = 0
        intake = self._intake
        track = self._tracker.look(intake.window, intake.count)
        conditions = self._conditions(track)
        codes = quality(conditions)
        measured = self._all if conditions.calm else codes != _INVALID
        if conditions.calm:
            self._measured_at.fill(intake.count)
            self._published_hz, rocof_hz_s = track.f_hz, track.rocof_hz_s
        else:
            self._measured_at = np.where(codes < _HELD, intake.count, self._measured_at)
            usable = measured & np.isfinite(track.f_hz)
            self._published_hz = np.where(usable, track.f_hz, self._published_hz)
            rocof_hz_s = np.where(measured, track.rocof_hz_s, 0.0)
        phasors = track.reading.phasors
        self._renew_prediction(phasors, conditions)

        instant_sample = intake.raw_count - 1 - self._delay_samples
        quantities = Quantities(
            track.reading.sequences,
            phasors,
            track.reading.fundamental_pair,
            intake.newest(self._bank.cycle_weights.shape[-1]),
            self._cycle_weights(track.reading),
        )
        return Estimates(
            instant_sample=instant_sample,
            f_hz=self._published_hz,
            rocof_hz_s=rocof_hz_s,
            rocof_trip_hz_s=self._rocof_average.average(
                instant_sample / self._settings.samples_per_second,
                self._published_hz,
                measured,
            ),
            v1_phase_rad=track.reading.phase_rad,
            uncertainty_hz=uncertainty_hz(
                conditions, track.disagreement_hz, self._published_hz, self._settings
            ),
            quality=codes,
            flags=flags(conditions),
            quantities=quantities,
        )

    def _cycle_weights(self, reading: Reading) -> NDArray[np.float32]:
        chosen = reading.bins if reading.common is None else reading.common
        weights: NDArray[np.float32] = self._bank.cycle_weights[chosen]
        return weights

    def _conditions(self, track: Track) -> Conditions:
        intake, phase = self._intake, track.phase
        # False for a frequency that is no number, too.
        in_span = np.abs(track.f_hz - self._settings.nominal_hz) <= SPAN_HZ
        usual = phase.calm and intake.calm and not track.warm_up and every(in_span)
        if usual and not some(track.low_voltage):
            return self._nothing
        gaps = intake.missing_shares()
        return Conditions(
            warm_up=np.full(self._streams, track.warm_up),
            hold=phase.hold,
            bridge=phase.bridge,
            overdue=phase.overdue,
            low_voltage=track.low_voltage,
            out_of_span=~in_span,
            clock_free=intake.clock_free,
            clock_local=intake.clock_local,
            voltage_gap=gaps[0],
            current_gap=gaps[1],
            held_s=np.where(phase.hold, intake.count - self._measured_at, 0) / self._rate_hz,
        )

    def _renew_prediction(self, phasors: ComplexArray, conditions: Conditions) -> None:
        """Missing samples of the next block continue the newest whole measurement.

        What was estimated from mostly predicted samples would feed on itself, report after
        report, until it overflows: without a phasor the last period is repeated, which stays
        within what was measured.
        """
        if not conditions.calm:
            phasors = np.where(conditions.voltage_gap > LARGEST_GAP, 0.0, phasors)
        instant = self._intake.count - 1 - self._bank.bridge_delay
        self._intake.prediction = Prediction(phasors, self._published_hz, instant)

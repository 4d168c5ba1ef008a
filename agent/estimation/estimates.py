"""What a report says: arrays over the streams, each with its unit in its name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import FloatArray
from agent.estimation.quantities import Quantities


class Quality(IntEnum):
    """How far a frequency may be trusted; the worst reason wins."""

    GOOD = 0
    QUESTIONABLE = 1
    """Measured now, with a larger uncertainty than usual; the flags say why."""
    HELD = 2
    """The last frequency before a disturbance that the window still contains."""
    INVALID = 3
    """No measurement: the value is the last one published, or nominal before the first."""

    @property
    def word(self) -> str:
        """The word used in messages, logs and the page."""
        return self.name.lower()


class Flag(IntFlag):
    """Why a report is not plainly good; several may be set."""

    WARM_UP = 1 << 0
    """The window is not full yet."""
    EVENT = 1 << 1
    """A phase or amplitude step is in the window."""
    BRIDGE = 1 << 2
    """The short window measures until the step has left the main one."""
    LOW_VOLTAGE = 1 << 3
    """Positive-sequence voltage below 15 % of nominal."""
    GAP_FILLED = 1 << 4
    """The window contains samples that were missing and have been predicted."""
    GAP_TOO_LONG = 1 << 5
    """More than a quarter of the window is missing."""
    CLOCK_FREE = 1 << 6
    """smpSynch was 0 within the window: the sample clock bounds the accuracy."""
    PHASE_INVALID = 1 << 7
    """smpSynch did not name a global clock: the phase has no UTC reference."""
    OUT_OF_SPAN = 1 << 8
    """The frequency lies beyond the filters' span."""
    CURRENT_GAP = 1 << 9
    """Current samples are missing: power is not measured."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """One report of every stream; arrays have shape (streams,) or (streams, 3 phases).

    ``f_hz``, ``rocof_hz_s`` and ``v1_phase_rad`` are values at the estimation instant.
    Voltages, currents and powers are taken over the newest one to three cycles, because
    protection of the vehicles wants them fresh. Power follows the sign of the pushed current.

    Attributes:
        instant_sample: Index of the estimation instant, counting pushed samples from 0.
        f_hz: Frequency.
        rocof_hz_s: Its rate of change.
        rocof_trip_hz_s: Rate of change averaged over ``Settings.rocof_window_s``; NaN while
            that time contains no continuous frequency.
        v1_phase_rad: Phase of the positive-sequence cosine at the instant, ±π.
        uncertainty_hz: Bound of the frequency's error at a coverage of about 95 %.
        quality: ``Quality`` codes.
        flags: ``Flag`` bits.
        quantities: Voltages, currents, powers and distortion; each is a property here too.
    """

    instant_sample: int
    f_hz: FloatArray
    rocof_hz_s: FloatArray
    rocof_trip_hz_s: FloatArray
    v1_phase_rad: FloatArray
    uncertainty_hz: FloatArray
    quality: NDArray[np.uint8]
    flags: NDArray[np.uint16]
    quantities: Quantities

    @property
    def v1_v(self) -> FloatArray:
        """Positive-sequence voltage, RMS."""
        return self.quantities.v1_v

    @property
    def v2_v(self) -> FloatArray:
        """Negative-sequence voltage, RMS."""
        return self.quantities.v2_v

    @property
    def v0_v(self) -> FloatArray:
        """Zero-sequence voltage, RMS."""
        return self.quantities.v0_v

    @property
    def v_rms_v(self) -> FloatArray:
        """True RMS voltage of each phase over the last cycle."""
        return self.quantities.v_rms_v

    @property
    def i_rms_a(self) -> FloatArray:
        """True RMS current of each phase; NaN without current."""
        return self.quantities.i_rms_a

    @property
    def thd(self) -> FloatArray:
        """Total distortion of each phase voltage relative to its fundamental, DC included."""
        return self.quantities.thd

    @property
    def p_w(self) -> FloatArray:
        """Three-phase active power over the last cycle; NaN without current."""
        return self.quantities.p_w

    @property
    def q_var(self) -> FloatArray:
        """Three-phase fundamental reactive power."""
        return self.quantities.q_var

    @property
    def pf(self) -> FloatArray:
        """Active power over the sum of the phases' apparent powers."""
        return self.quantities.pf

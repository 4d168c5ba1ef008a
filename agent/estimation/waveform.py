r"""Three-phase test signals with known frequency: for simulated merging units and for the suite.

.. math:: v_φ(t) = \sqrt2 V (1 + k_x \cos ω_m t) \cos(2π∫f + k_a \cos(ω_m t - π) - φ\tfrac{2π}{3})

with ramps, steps and added tones; the modulation is written as in IEC/IEEE 60255-118-1:2018, 6.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import FloatArray

PHASE_SHIFT_RAD: Final = 2 * np.pi / 3 * np.arange(3)[:, np.newaxis]

LE_VOLTS_PER_COUNT: Final = 0.01
LE_AMPERES_PER_COUNT: Final = 0.001
"""Scale factors of IEC 61850-9-2LE (UCA implementation guideline, R2-1)."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A component added to the fundamental.

    Attributes:
        ratio: Amplitude over the fundamental's.
        f_hz: Frequency.
        order: Phase shift between phases, in units of the fundamental's: the harmonic's order,
            1 for a positive, -1 for a negative and 0 for a zero-sequence component.
        phase_rad: Phase of phase A at t = 0.
    """

    ratio: float
    f_hz: float
    order: int = 1
    phase_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """A sudden change that lasts: each phase's amplitude is multiplied, its angle is advanced."""

    at_s: float
    amplitude: tuple[float, float, float] = (1.0, 1.0, 1.0)
    phase_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Modulation:
    """Sinusoidal modulation of amplitude (k_x) and phase (k_a)."""

    f_hz: float
    amplitude: float = 0.0
    phase_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """A frequency that changes at a constant rate for a while, then stays."""

    start_s: float
    rate_hz_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Waveform:
    """One three-phase voltage.

    Attributes:
        v_rms_v: Phase-to-earth voltage of the fundamental.
        f_hz: Frequency before any ramp.
        phase_rad: Phase of phase A at t = 0.
        modulation: Of the fundamental.
        ramp: Of its frequency.
        steps: Of amplitude and phase.
        tones: Added components, which no step changes.
    """

    v_rms_v: float = 230.0
    f_hz: float = 50.0
    phase_rad: float = 0.0
    modulation: Modulation = Modulation(1.0)
    ramp: Ramp = Ramp(0.0, 0.0, 0.0)
    steps: tuple[Step, ...] = ()
    tones: tuple[Tone, ...] = ()

    def voltages(self, t_s: FloatArray) -> FloatArray:
        """Samples of the three phases, (3, len(t_s)), in V."""
        peak = np.sqrt(2) * self.v_rms_v
        modulation = self.modulation
        envelope = 1 + modulation.amplitude * np.cos(2 * np.pi * modulation.f_hz * t_s)
        amplitude, advance = self._stepped(t_s)
        total = amplitude * envelope * np.cos(self.angle_rad(t_s) - PHASE_SHIFT_RAD + advance)
        for tone in self.tones:
            angle = 2 * np.pi * tone.f_hz * t_s + tone.phase_rad
            total += tone.ratio * np.cos(angle - tone.order * PHASE_SHIFT_RAD)
        samples: FloatArray = peak * total
        return samples

    def angle_rad(self, t_s: FloatArray) -> FloatArray:
        """Angle of phase A's fundamental without steps."""
        modulation, ramp = self.modulation, self.ramp
        inside_s = np.clip(t_s - ramp.start_s, 0.0, ramp.duration_s)
        after_s = np.maximum(t_s - ramp.start_s - ramp.duration_s, 0.0)
        # ∫∫ of the rate: half a square inside the ramp, then straight on.
        turned = ramp.rate_hz_s * (inside_s**2 / 2 + ramp.duration_s * after_s)
        swing = modulation.phase_rad * np.cos(2 * np.pi * modulation.f_hz * t_s - np.pi)
        angle: FloatArray = 2 * np.pi * (self.f_hz * t_s + turned) + self.phase_rad + swing
        return angle

    def true_f_hz(self, t_s: FloatArray) -> FloatArray:
        """Frequency: the derivative of ``angle_rad`` over 2π."""
        modulation, ramp = self.modulation, self.ramp
        ramped = ramp.rate_hz_s * np.clip(t_s - ramp.start_s, 0.0, ramp.duration_s)
        swing = np.sin(2 * np.pi * modulation.f_hz * t_s - np.pi)
        f_hz: FloatArray = self.f_hz + ramped - modulation.phase_rad * modulation.f_hz * swing
        return f_hz

    def true_rocof_hz_s(self, t_s: FloatArray) -> FloatArray:
        """ROCOF: the derivative of ``true_f_hz``."""
        modulation, ramp = self.modulation, self.ramp
        ramping = (t_s >= ramp.start_s) & (t_s < ramp.start_s + ramp.duration_s)
        swing = np.cos(2 * np.pi * modulation.f_hz * t_s - np.pi)
        depth = 2 * np.pi * modulation.phase_rad * modulation.f_hz**2
        rocof: FloatArray = np.where(ramping, ramp.rate_hz_s, 0.0) - depth * swing
        return rocof

    def _stepped(self, t_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        amplitude, advance = np.ones((3, len(t_s))), np.zeros((3, len(t_s)))
        for step in self.steps:
            after = t_s >= step.at_s
            amplitude *= np.where(after, np.array(step.amplitude)[:, np.newaxis], 1.0)
            advance += np.where(after, np.array(step.phase_rad)[:, np.newaxis], 0.0)
        return amplitude, advance


def to_counts(values: FloatArray, per_count: float = LE_VOLTS_PER_COUNT) -> NDArray[np.int32]:
    """The INT32 that a merging unit sends: rounded to the scale factor, limited to the range."""
    limits = np.iinfo(np.int32)
    counts: NDArray[np.int32] = np.clip(np.rint(values / per_count), limits.min, limits.max).astype(
        np.int32
    )
    return counts

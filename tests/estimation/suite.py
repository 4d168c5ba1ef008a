"""The frequency and ROCOF tests of IEC/IEEE 60255-118-1:2018, clause 6, as data.

Each case is a set of waveforms that are played side by side, the part of the time that is
judged, and the limits of both classes. FE is in Hz, RFE in Hz/s; ``None`` means the class has no
such limit. ``REPORTS`` stands for the reporting rate Fs, here always the nominal frequency.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.estimation import Settings
from agent.estimation.waveform import Modulation, Ramp, Step, Tone, Waveform
from tests.estimation.playback import Recording, Transport, play, quantised

SETTLE_S = 1.0
JUDGED_S = 0.6
STEP_AT_S = 1.0
STEP_SUBDIVISION = 10
"""Equivalent-time sampling: the step moves through a report period in tenths (6.4.5)."""


@dataclass(frozen=True)
class Limits:
    """Largest frequency error in Hz and ROCOF error in Hz/s."""

    fe_hz: float
    rfe_hz_s: float | None


@dataclass(frozen=True)
class Case:
    """One row of the standard's tables."""

    name: str
    waveforms: tuple[Waveform, ...]
    class_p: Limits | None
    class_m: Limits | None
    judged_s: tuple[float, float] = (SETTLE_S, SETTLE_S + JUDGED_S)


@dataclass(frozen=True)
class Errors:
    """Largest errors of one case, over every report of every waveform that is judged."""

    fe_hz: float
    rfe_hz_s: float

    def within(self, limits: Limits) -> bool:
        return self.fe_hz <= limits.fe_hz and (
            limits.rfe_hz_s is None or self.rfe_hz_s <= limits.rfe_hz_s
        )


def steady_cases(f0: int) -> Iterator[Case]:
    """6.4.2, table 2: steady state at off-nominal frequencies, harmonics, out of band."""
    offsets = np.linspace(-5, 5, 21)
    yield Case(
        "frequency ±5 Hz (class P: ±2 Hz)",
        tuple(Waveform(f_hz=f0 + offset, phase_rad=offset) for offset in offsets),
        Limits(5e-3, 0.4),
        Limits(5e-3, 0.1),
    )
    yield Case(
        "harmonics 2 to 50, 10 % (class P: 1 %)",
        tuple(harmonics(f0, 0.1)),
        Limits(5e-3, 0.4),
        Limits(25e-3, None),
        judged_s=(0.5, 0.8),
    )
    yield Case("out of band 10 %", tuple(out_of_band(f0)), None, Limits(10e-3, None))


def harmonics(f0: int, ratio: float) -> Iterator[Waveform]:
    """Each order alone, as a balanced system has it and as pure positive sequence."""
    for order in range(2, 51):
        for sequence in {order, 1}:
            yield Waveform(f_hz=f0, tones=(Tone(ratio, order * f0, sequence),))


def out_of_band(f0: int) -> Iterator[Waveform]:
    """Interharmonics from 10 Hz to 2 f0, Fs/2 and more from f0; fundamental within ±Fs/20."""
    near_hz = f0 / 2
    below = np.append(np.arange(10, f0 - near_hz, 5.0), f0 - near_hz)
    above = np.append(np.arange(2 * f0, f0 + near_hz, -5.0), f0 + near_hz)
    for offset in (-f0 / 20, 0.0, f0 / 20):
        for f_hz in (*below, *above):
            yield Waveform(f_hz=f0 + offset, tones=(Tone(0.1, float(f_hz)),))


def dynamic_cases(f0: int) -> Iterator[Case]:
    """6.4.3, table 3 (modulation) and 6.4.4, table 4 (ramp)."""
    for kind, amplitude, phase in (
        ("amplitude", 0.1, 0.0),
        ("phase", 0.0, 0.1),
        ("amplitude and phase", 0.1, 0.1),
    ):
        for reach, limit_p, limit_m in (
            (2.0, Limits(60e-3, 2.26), None),
            (5.0, None, Limits(300e-3, 14.1)),
        ):
            rates = np.arange(0.1, reach, 0.7)
            yield Case(
                f"{kind} modulation 0.1 up to {reach:.0f} Hz",
                tuple(
                    Waveform(f_hz=f0, modulation=Modulation(float(rate), amplitude, phase))
                    for rate in np.append(rates, reach)
                ),
                limit_p,
                limit_m,
                judged_s=(SETTLE_S, SETTLE_S + 1.5),
            )
    for reach, limit_p, limit_m, excluded in (
        (2, Limits(10e-3, 0.4), None, 2 / f0),
        (5, None, Limits(10e-3, 0.2), 7 / f0),
    ):
        yield Case(
            f"ramp ±1 Hz/s over ±{reach} Hz",
            tuple(
                Waveform(f_hz=f0 - sign * reach, ramp=Ramp(SETTLE_S, sign, 2 * reach))
                for sign in (1.0, -1.0)
            ),
            limit_p,
            limit_m,
            judged_s=(SETTLE_S + excluded, SETTLE_S + 2 * reach - excluded),
        )


def cases(f0: int) -> list[Case]:
    """Every case that is judged by its largest errors."""
    return [*steady_cases(f0), *dynamic_cases(f0)]


def errors(settings: Settings, case: Case, transport: Transport = quantised) -> Errors:
    """Play one case and measure it."""
    delay_s = settings.delay_samples / settings.samples_per_second
    recording = play(settings, case.waveforms, case.judged_s[1] + delay_s, transport)
    return largest_errors(recording.between(*case.judged_s), case.waveforms)


def largest_errors(recording: Recording, waveforms: Sequence[Waveform]) -> Errors:
    f_hz = np.stack([w.true_f_hz(recording.instant_s) for w in waveforms], axis=1)
    rocof = np.stack([w.true_rocof_hz_s(recording.instant_s) for w in waveforms], axis=1)
    return Errors(
        float(np.abs(recording.f_hz - f_hz).max()),
        float(np.abs(recording.rocof_hz_s - rocof).max()),
    )


@dataclass(frozen=True)
class StepCase:
    """6.4.5, table 5: a step of amplitude or phase, in equivalent time."""

    name: str
    step: Step


STEPS = tuple(
    StepCase(f"{kind} step {sign * size:+g} {unit}", Step(STEP_AT_S, **{field: (value,) * 3}))
    for kind, size, unit, field in (
        ("amplitude", 10, "%", "amplitude"),
        ("phase", 10, "°", "phase_rad"),
    )
    for sign in (1, -1)
    for value in ((1 + sign * 0.1) if kind == "amplitude" else sign * np.pi / 18,)
)


@dataclass(frozen=True)
class StepResponse:
    """Times in s for which FE and RFE exceed the steady limits around a step."""

    frequency_s: float
    rocof_s: float


def frequency_response_limit_s(f0: int, performance_class: str) -> float:
    return 4.5 / f0 if performance_class == "P" else 14 / f0


def rocof_response_limit_s(f0: int, performance_class: str) -> float:
    return 6 / f0 if performance_class == "P" else 14 / f0


def step_response(
    settings: Settings,
    case: StepCase,
    rfe_limit_hz_s: float,
    transport: Transport = quantised,
) -> StepResponse:
    """Play a step at ten instants within one report period and interleave the errors."""
    f0, period_s = settings.nominal_hz, 1 / settings.reports_per_second
    moments_s = STEP_AT_S + period_s * np.arange(STEP_SUBDIVISION) / STEP_SUBDIVISION
    waveforms = [
        Waveform(f_hz=f0, steps=(Step(float(moment), case.step.amplitude, case.step.phase_rad),))
        for moment in moments_s
    ]
    recording = play(settings, waveforms, STEP_AT_S + 0.6, transport)
    since_step_s = recording.instant_s[:, np.newaxis] - moments_s
    judged = np.abs(since_step_s) < 0.6
    return StepResponse(
        exceeded_s(since_step_s, judged & (np.abs(recording.f_hz - f0) > 5e-3)),
        exceeded_s(since_step_s, judged & (np.abs(recording.rocof_hz_s) > rfe_limit_hz_s)),
    )


def exceeded_s(since_step_s: np.ndarray, exceeding: np.ndarray) -> float:
    """From the first report outside the limit to the last one; 0 where none is."""
    moments = since_step_s[exceeding]
    return float(moments.max() - moments.min()) if moments.size else 0.0

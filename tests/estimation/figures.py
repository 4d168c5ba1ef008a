"""Figures beyond the standard's tests; each returns the largest frequency error in Hz."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agent.estimation import Settings
from agent.estimation.waveform import Tone, Waveform
from tests.estimation.playback import Array, Transport, exact, play, quantised
from tests.estimation.suite import largest_errors

QUIET_S = 0.6


def with_noise(snr_db: float, seed: int = 1) -> Transport:
    """White noise on every phase, ``snr_db`` below the fundamental's power."""

    def transport(samples: Array) -> Array:
        rng = np.random.default_rng(seed)
        rms = np.sqrt(np.mean(samples[0, 0] ** 2))
        noise = rng.standard_normal(samples.shape)
        return samples + rms * 10 ** (-snr_db / 20) * noise

    return transport


def with_gap(start: int, count: int) -> Transport:
    """``count`` samples missing from every stream."""

    def transport(samples: Array) -> Array:
        damaged = quantised(samples)
        damaged[..., start : start + count] = np.nan
        return damaged

    return transport


def with_loss(share: float, seed: int = 2) -> Transport:
    """Random samples missing."""

    def transport(samples: Array) -> Array:
        damaged = quantised(samples)
        streams, _, count = samples.shape
        lost = np.random.default_rng(seed).random((streams, 1, count)) < share
        return np.where(lost, np.nan, damaged)

    return transport


def noise_60_db(settings: Settings) -> float:
    """60 dB noise: 20 streams for 3 s, some 2,400 reports."""
    waveforms = [
        Waveform(f_hz=settings.nominal_hz + offset) for offset in np.linspace(-0.5, 0.5, 20)
    ]
    recording = play(settings, waveforms, 3.0, with_noise(60.0))
    return largest_errors(recording.between(QUIET_S, 3.0), waveforms).fe_hz


def gap_20_ms(settings: Settings) -> float:
    """20 ms of samples missing once, from distorted voltages off nominal."""
    f0, rate = settings.nominal_hz, settings.samples_per_second
    waveforms = [
        Waveform(
            f_hz=f0 + offset,
            phase_rad=phase,
            tones=(Tone(0.05, 5 * (f0 + offset), -1), Tone(0.03, 7 * (f0 + offset), 1)),
        )
        for offset in (-1.0, -0.3, 0.0, 0.2, 0.7)
        for phase in (0.0, 1.0, 2.0, 3.0)
    ]
    recording = play(settings, waveforms, 2.0, with_gap(rate, round(0.02 * rate)))
    return largest_errors(recording.between(QUIET_S, 2.0), waveforms).fe_hz


def loss_1_percent(settings: Settings) -> float:
    """1 % of all samples missing at random."""
    waveforms = [Waveform(f_hz=settings.nominal_hz + offset) for offset in (-0.4, 0.0, 0.1, 0.3)]
    recording = play(settings, waveforms, 3.0, with_loss(0.01))
    return largest_errors(recording.between(QUIET_S, 3.0), waveforms).fe_hz


def tone_error(ratio: float, ratios_of_nominal: tuple[float, ...]) -> Callable[[Settings], float]:
    """Interharmonics of ``ratio`` at multiples of the nominal frequency."""

    def figure(settings: Settings) -> float:
        f0 = settings.nominal_hz
        waveforms = [
            Waveform(f_hz=f0 + 0.13, tones=(Tone(ratio, multiple * f0),))
            for multiple in ratios_of_nominal
        ]
        recording = play(settings, waveforms, 1.6, exact)
        return largest_errors(recording.between(1.0, 1.6), waveforms).fe_hz

    return figure


def distorted_off_nominal(settings: Settings) -> float:
    """10 % total distortion, orders 3 to 13, up to 1.5 Hz off nominal."""
    waveforms = []
    for offset in np.linspace(-1.5, 1.5, 13):
        f_hz = settings.nominal_hz + float(offset)
        tones = tuple(
            Tone(0.041, order * f_hz, order, 0.7 * order) for order in (3, 5, 7, 9, 11, 13)
        )
        waveforms.append(Waveform(f_hz=f_hz, tones=tones))
    recording = play(settings, waveforms, 1.2)
    return largest_errors(recording.between(QUIET_S, 1.2), waveforms).fe_hz


FIGURES: dict[str, tuple[Callable[[Settings], float], float | None]] = {
    "60 dB noise": (noise_60_db, 1e-3),
    "20 ms gap, 5 % and 3 % harmonics": (gap_20_ms, 1e-3),
    "1 % of samples lost at random": (loss_1_percent, None),
    "10 % distortion off nominal": (distorted_off_nominal, 0.1e-3),
    "0.5 % interharmonic at 0.6 f0": (tone_error(0.005, (0.6,)), None),
    "1 % ripple control at 3.7 and 4.3 f0": (tone_error(0.01, (3.67, 4.33)), None),
}
"""Name → measurement and, where one is promised for the 5.5-cycle filter, its limit in Hz."""

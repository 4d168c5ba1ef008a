"""Random disturbances that are not frequency: sags, jumps, interruptions, unbalance, harmonics.

Every stream keeps one true frequency within ±0.4 Hz of nominal. Drawn for each stream: the kind
of disturbance, its instant and duration, residual voltage and phase jump of each phase, the
load's unbalance, harmonics and noise. Phase jumps are the voltage's own: a generator that speeds
up is not among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.estimation import Settings
from tests.estimation.playback import Array, play_block

DURATION_S = 2.0
QUIET_S = 0.4
"""Before the first disturbance: the estimator has left its warm-up."""

LIMIT_HZ = 0.5
KINDS = ("sag", "jump", "interruption", "reclosure", "repeated", "swell")


@dataclass(frozen=True)
class Disturbance:
    """Streams side by side; state k of a stream holds from ``at_s[:, k]`` on."""

    kind: np.ndarray
    f_hz: Array
    at_s: Array  # (streams, states)
    amplitude: Array  # (streams, states, 3)
    angle_rad: Array  # (streams, states, 3)
    harmonic: Array  # (streams, 4): amplitude of orders 3, 5, 7, 11
    harmonic_rad: Array
    noise: Array  # (streams,)
    seed: int

    def voltages(self, t_s: Array, v_rms_v: float = 230.0) -> Array:
        """Samples of all streams, (streams, 3, len(t_s))."""
        state = (t_s[np.newaxis, np.newaxis] >= self.at_s[:, :, np.newaxis]).sum(axis=1) - 1
        stream = np.arange(len(self.f_hz))[:, np.newaxis]
        amplitude = self.amplitude[stream, state].transpose(0, 2, 1)
        jump = self.angle_rad[stream, state].transpose(0, 2, 1)
        base = 2 * np.pi * self.f_hz[:, np.newaxis, np.newaxis] * t_s + jump
        base = base - 2 * np.pi / 3 * np.arange(3)[:, np.newaxis]
        total = np.cos(base)
        for index, order in enumerate((3, 5, 7, 11)):
            shift = self.harmonic_rad[:, index, np.newaxis, np.newaxis]
            ratio = self.harmonic[:, index, np.newaxis, np.newaxis]
            total += ratio * np.cos(order * base + shift)
        rng = np.random.default_rng((self.seed, int(t_s[0] * 1e6)))
        noise = rng.standard_normal(total.shape, dtype=np.float32)
        total = amplitude * total + self.noise[:, np.newaxis, np.newaxis] * noise
        return np.sqrt(2) * v_rms_v * total


def draw(streams: int, nominal_hz: int, seed: int) -> Disturbance:
    """Draw the disturbances of a batch."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(KINDS, streams)
    states = 8
    at_s = np.full((streams, states), np.inf)
    at_s[:, 0] = -np.inf
    unbalance = 1 + rng.normal(0, 0.02, (streams, 3))
    amplitude = np.repeat(unbalance[:, np.newaxis], states, axis=1)
    angle = np.zeros((streams, states, 3))
    for stream in range(streams):
        _draw_states(rng, kind[stream], at_s[stream], amplitude[stream], angle[stream])
    distortion = rng.uniform(0, 0.08, (streams, 4)) * rng.integers(0, 2, (streams, 4))
    return Disturbance(
        kind=kind,
        f_hz=nominal_hz + rng.uniform(-0.4, 0.4, streams),
        at_s=at_s,
        amplitude=amplitude,
        angle_rad=angle,
        harmonic=distortion,
        harmonic_rad=rng.uniform(0, 2 * np.pi, (streams, 4)),
        noise=10 ** rng.uniform(-4, -2.5, streams),
        seed=seed,
    )


def _draw_states(
    rng: np.random.Generator, kind: str, at_s: Array, amplitude: Array, angle: Array
) -> None:
    start_s = QUIET_S + rng.uniform(0, 0.1)
    duration_s = 10 ** rng.uniform(-2, 0)
    phases = rng.choice([1, 2, 3])
    hit = rng.permutation(3) < phases
    jump = rng.uniform(-np.pi / 3, np.pi / 3)
    spread = rng.uniform(-np.pi / 9, np.pi / 9, 3)
    residual = np.where(hit, rng.uniform(0, 0.95, 3), 1.0)
    after = rng.uniform(-np.pi / 12, np.pi / 12) * rng.integers(0, 2)

    def state(index: int, moment_s: float, factor: Array | float, turn: Array | float) -> None:
        at_s[index] = moment_s
        amplitude[index:] = amplitude[0] * factor
        angle[index:] = turn

    if kind == "sag":
        state(1, start_s, residual, np.where(hit, jump + spread, 0))
        state(2, start_s + duration_s, 1.0, after)
    elif kind == "jump":
        state(1, start_s, 1.0, jump)
    elif kind == "swell":
        state(1, start_s, np.where(hit, rng.uniform(1.05, 1.8), 1.0), np.where(hit, spread, 0))
        state(2, start_s + duration_s, 1.0, after)
    elif kind == "interruption":
        state(1, start_s, rng.uniform(0, 0.02, 3), rng.uniform(-np.pi, np.pi))
        state(2, start_s + duration_s, 1.0, rng.uniform(-np.pi, np.pi))
    elif kind == "reclosure":
        pause_s = 10 ** rng.uniform(-1.5, -0.3)
        state(1, start_s, residual, np.where(hit, jump + spread, 0))
        state(2, start_s + duration_s / 4, 1.0, after)
        state(3, start_s + duration_s / 4 + pause_s, residual, np.where(hit, jump + spread, 0))
        state(4, start_s + duration_s / 2 + pause_s, 1.0, after)
    else:
        moment_s = start_s
        for index in range(1, 8):
            state(index, moment_s, rng.uniform(0.5, 1.1, 3), rng.uniform(-0.6, 0.6))
            moment_s += 10 ** rng.uniform(-2, -0.7)


def excursions(settings: Settings, batch: Disturbance) -> Array:
    """Largest distance of any report from nominal, for each stream; whatever its quality."""
    recording = play_block(settings, batch.voltages, len(batch.f_hz), DURATION_S)
    return np.abs(recording.f_hz - settings.nominal_hz).max(axis=0)

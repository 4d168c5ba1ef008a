r"""Prediction of missing samples.

A sample is the fundamental plus a residual of harmonics, and the residual repeats with the actual
period T of the fundamental:

.. math:: v(t) ≈ s(t) + [v(t-T) - s(t-T)], \qquad s(t) = \mathrm{Re}(X e^{jω(t-t_X)})

Unlike holding the last value or repeating the last cycle this keeps the frequency: a 20 ms gap
costs less than 1 mHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray

SHORTEST_PERIOD: Final = 3.0
"""Samples."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The fundamental that missing samples are predicted from.

    Attributes:
        phasor: Half the peak phasors X, (channels, streams).
        f_hz: Frequency, (streams,).
        instant: Engine sample index t_X of the phasors.
    """

    phasor: ComplexArray
    f_hz: FloatArray
    instant: int


def fill(
    history: NDArray[np.float32],
    block: NDArray[np.float32],
    prediction: Prediction,
    first: int,
    rate_hz: float,
) -> NDArray[np.float32]:
    """Replace what is not finite in ``block``.

    Args:
        history: Samples before the block, at least 1.3 cycles, (channels, streams, h).
        block: (channels, streams, n).
        prediction: The fundamental.
        first: Engine sample index of the block's first sample.
        rate_hz: Engine samples a second.

    Returns:
        A filled copy.
    """
    channels, _, before = history.shape
    samples = np.concatenate([history, block], axis=-1)
    length = samples.shape[-1]
    flat = samples.reshape(channels, -1)
    gap = ~np.isfinite(block)
    missing = np.asarray(gap.any(axis=0))
    # Out of the filters' span a frequency is no measurement: look back no further than there is.
    period = np.clip(rate_hz / prediction.f_hz, SHORTEST_PERIOD, before - 2)
    whole = np.floor(period).astype(np.intp)
    part = period - whole
    # v(t-T) lies between two samples: near whole samples ago, far one more. What the
    # fundamental of all three adds up to is one phasor.
    turn = 2j * np.pi / period
    rest = 1 - (1 - part) * np.exp(-turn * whole) - part * np.exp(-turn * (whole + 1))
    phasor = 2 * prediction.phasor * rest
    # A stretch shorter than every period only reads samples that are already filled.
    stretch = int(period.min()) - 1
    for start in range(0, block.shape[-1], stretch):
        stream, offset = np.nonzero(missing[:, start : start + stretch])
        if not len(offset):
            continue
        offset += start
        place = stream * length + before + offset
        near = place - whole[stream]
        rotation = np.exp(turn[stream] * (first + offset - prediction.instant))
        share = part[stream]
        predicted = phasor.real.take(stream, axis=1) * rotation.real
        predicted -= phasor.imag.take(stream, axis=1) * rotation.imag
        predicted += (1 - share) * flat.take(near, axis=1)
        predicted += share * flat.take(near - 1, axis=1)
        absent = gap.reshape(channels, -1).take(stream * block.shape[-1] + offset, axis=1)
        flat[:, place] = np.where(absent, predicted, flat.take(place, axis=1))
    return samples[:, :, before:]

r"""Prediction of missing samples.

A sample is the fundamental plus a residual of harmonics, and the residual repeats with the actual
period T of the fundamental:

.. math:: v(t) ≈ s(t) + [v(t-T) - s(t-T)], \qquad s(t) = \mathrm{Re}(X e^{jω(t-t_X)})

Unlike holding the last value or repeating the last cycle this keeps the frequency: a 20 ms gap
costs less than 1 mHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray


@dataclass(frozen=True, slots=True)
class Prediction:
    """The fundamental that missing samples are predicted from.

    Attributes:
        phasor: Peak phasors X, (channels, streams).
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
    before = history.shape[-1]
    samples = np.concatenate([history, block], axis=-1)
    gap = ~np.isfinite(block)
    period = rate_hz / prediction.f_hz
    # A stretch shorter than every period only reads samples that are already filled.
    stretch = int(period.min()) - 1
    for start in range(0, block.shape[-1], stretch):
        channel, stream, offset = np.nonzero(gap[:, :, start : start + stretch])
        if not len(offset):
            continue
        index = before + start + offset
        whole = np.floor(period[stream]).astype(np.intp)
        part = period[stream] - whole

        def fundamental(
            at: NDArray[np.intp],
            channel: NDArray[np.intp] = channel,
            stream: NDArray[np.intp] = stream,
        ) -> FloatArray:
            elapsed = first - before + at - prediction.instant
            angle = 2 * np.pi * elapsed / period[stream]
            value: FloatArray = (prediction.phasor[channel, stream] * np.exp(1j * angle)).real
            return value

        near, far = index - whole, index - whole - 1
        residual = (1 - part) * (samples[channel, stream, near] - fundamental(near)) + part * (
            samples[channel, stream, far] - fundamental(far)
        )
        samples[channel, stream, index] = fundamental(index) + residual
    return samples[:, :, before:]

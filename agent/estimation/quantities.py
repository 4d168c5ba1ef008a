"""Voltages, currents, power and distortion of one report, from phasors and the newest cycle."""

from __future__ import annotations

from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import ComplexArray, FloatArray
from agent.estimation.phasors import (
    TO_RMS,
    negative_sequence,
    positive_sequence,
    reactive_power,
    zero_sequence,
)

PHASES: Final = 3


class Quantities(TypedDict):
    """As in ``Estimates``."""

    v1_v: FloatArray
    v2_v: FloatArray
    v0_v: FloatArray
    v_rms_v: FloatArray
    i_rms_a: FloatArray
    thd: FloatArray
    p_w: FloatArray
    q_var: FloatArray
    pf: FloatArray


def measure(
    phasors: ComplexArray,
    fundamental: FloatArray,
    samples: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> Quantities:
    """All quantities of one report.

    Args:
        phasors: p_0 of each channel over three cycles, (channels, streams).
        fundamental: Mean square of each channel's fundamental over one cycle.
        samples: The newest cycle, (channels, streams, n).
        weights: One-cycle weights of each stream, (streams, n).
    """
    rms_phasors = phasors * TO_RMS
    voltages = rms_phasors[:PHASES]
    with np.errstate(over="ignore"):
        mean_square = np.einsum("csn,sn->cs", samples * samples, weights).astype(np.float64)
    rms = np.sqrt(mean_square)
    unmeasured = np.full(voltages.shape[1], np.nan)
    has_current = len(phasors) > PHASES
    active, reactive, factor = (
        power(rms_phasors, rms, samples, weights) if has_current else (unmeasured,) * 3
    )
    return Quantities(
        v1_v=np.abs(positive_sequence(voltages)),
        v2_v=np.abs(negative_sequence(voltages)),
        v0_v=np.abs(zero_sequence(voltages)),
        v_rms_v=rms[:PHASES].T,
        i_rms_a=rms[PHASES:].T if has_current else np.stack([unmeasured] * PHASES, axis=1),
        thd=distortion(mean_square[:PHASES], fundamental[:PHASES]).T,
        p_w=active,
        q_var=reactive,
        pf=factor,
    )


def distortion(mean_square: FloatArray, fundamental: FloatArray) -> FloatArray:
    """Total distortion √(V² - V₁²)/V₁: everything in the cycle but its fundamental."""
    residual = np.maximum(mean_square - fundamental, 0.0)
    ratio: FloatArray = np.sqrt(residual / np.where(fundamental > 0, fundamental, np.inf))
    return ratio


def power(
    rms_phasors: ComplexArray,
    rms: FloatArray,
    samples: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P = Σ mean(v i), Q of the fundamental, and PF = P / Σ V I (IEEE 1459-2010, arithmetic)."""
    products = samples[:PHASES] * samples[PHASES:]
    active = np.einsum("csn,sn->s", products, weights).astype(np.float64)
    apparent = (rms[:PHASES] * rms[PHASES:]).sum(axis=0)
    factor = active / np.where(apparent > 0, apparent, np.inf)
    return active, reactive_power(rms_phasors[:PHASES], rms_phasors[PHASES:]), factor

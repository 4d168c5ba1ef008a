"""Quality, flags and uncertainty of a report from the conditions of its streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent.estimation.arrays import FloatArray, Mask
from agent.estimation.estimates import Flag, Quality
from agent.estimation.settings import Settings

LARGEST_GAP: Final = 0.25
"""Share of missing samples above which a window measures nothing."""

GOOD_GAP: Final = 0.10
"""Share of missing samples that a good measurement may contain: half a cycle and a little."""

FILTER_HZ: Final = 0.5e-3
"""Expanded uncertainty of the main window at a 66 dB noise floor."""

DISAGREEMENT: Final = 0.02
"""Share of the difference between bridge and main window that counts as uncertainty."""

GAP_HZ: Final = 10e-3
"""For a window that is wholly predicted, in proportion to the missing share."""

BRIDGE_HZ: Final = 20e-3
HELD_DRIFT_HZ_S: Final = 1.0
"""Rate at which the true frequency may leave a held one."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known about each stream besides its filter outputs; all of shape (streams,)."""

    warm_up: Mask
    hold: Mask
    bridge: Mask
    overdue: Mask
    low_voltage: Mask
    out_of_span: Mask
    clock_free: Mask
    clock_local: Mask
    voltage_gap: FloatArray
    """Share of predicted samples in the main window."""
    current_gap: FloatArray
    held_s: FloatArray
    """Since the frequency was last measured."""
    calm: bool = False
    """No mask is set, no share missing and nothing held, for any stream."""

    @classmethod
    def nothing(cls, streams: int) -> Conditions:
        """All is calm."""
        no, none = np.zeros(streams, dtype=bool), np.zeros(streams)
        return cls(no, no, no, no, no, no, no, no, none, none, none, calm=True)


_BITS: Final = np.array(
    [
        Flag.WARM_UP, Flag.EVENT, Flag.BRIDGE, Flag.LOW_VOLTAGE, Flag.GAP_FILLED,
        Flag.GAP_TOO_LONG, Flag.CLOCK_FREE, Flag.PHASE_INVALID, Flag.OUT_OF_SPAN, Flag.CURRENT_GAP,
    ],
    dtype=np.uint16,
)  # fmt: skip
_GOOD, _QUESTIONABLE, _HELD, _INVALID = (np.uint8(code) for code in Quality)


def flags(conditions: Conditions) -> NDArray[np.uint16]:
    """``Flag`` bits of each stream, in the order of `_BITS`."""
    if conditions.calm:
        return np.zeros(len(conditions.hold), dtype=np.uint16)
    masks = (
        conditions.warm_up,
        conditions.hold | conditions.bridge,
        conditions.bridge,
        conditions.low_voltage,
        conditions.voltage_gap > 0,
        conditions.voltage_gap > LARGEST_GAP,
        conditions.clock_free,
        conditions.clock_free | conditions.clock_local,
        conditions.out_of_span,
        conditions.current_gap > 0,
    )
    return _BITS @ np.array(masks, dtype=np.uint16)


def quality(conditions: Conditions) -> NDArray[np.uint8]:
    """The worst ``Quality`` that any condition asks for."""
    if conditions.calm:
        return np.zeros(len(conditions.hold), dtype=np.uint8)
    invalid = conditions.warm_up | conditions.overdue | (conditions.voltage_gap > LARGEST_GAP)
    questionable = (
        conditions.bridge
        | conditions.out_of_span
        | conditions.clock_free
        | (conditions.voltage_gap > GOOD_GAP)
    )
    code = np.where(questionable, _QUESTIONABLE, _GOOD)
    code = np.where(conditions.hold, _HELD, code)
    return np.where(invalid, _INVALID, code)


def uncertainty_hz(
    conditions: Conditions, disagreement_hz: FloatArray, f_hz: FloatArray, settings: Settings
) -> FloatArray:
    """Root sum of squares of the independent parts (GUM, JCGM 100:2008, 5.1).

    Args:
        conditions: Of each stream.
        disagreement_hz: Between bridge and main window, referred to the same instant.
        f_hz: Frequency that is published.
        settings: What clocks are worth.
    """
    total: FloatArray
    own = FILTER_HZ**2 + (DISAGREEMENT * disagreement_hz) ** 2
    if conditions.calm:
        total = np.sqrt(own)
        return total
    clock_ppm = np.where(
        conditions.clock_free,
        settings.free_clock_ppm,
        settings.local_clock_ppm * conditions.clock_local,
    )
    squares = (
        own
        + (GAP_HZ * conditions.voltage_gap) ** 2
        + (BRIDGE_HZ * conditions.bridge) ** 2
        + (HELD_DRIFT_HZ_S * conditions.held_s) ** 2
        + (1e-6 * clock_ppm * f_hz) ** 2
    )
    total = np.sqrt(squares)
    return total

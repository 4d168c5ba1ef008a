"""The event gate by itself: what begins an event, tick by tick."""

from __future__ import annotations

import numpy as np

from agent.estimation.gate import EventGate

CYCLE = 80
STEPS = range(15, 240, 15)
"""Ticks at which the amplitude steps: four a second."""


def measures(tick: int) -> np.ndarray:
    """A step now and then, and the disagreement that a steady interharmonic beats with."""
    step = 1.0 if tick in STEPS else 0.0
    return np.array([[0.0], [step], [0.0], [0.105 * abs(np.sin(0.22 * tick))]])


def test_the_disagreement_of_a_steady_interharmonic_is_learnt_beside_repeated_steps() -> None:
    gate = EventGate(1, CYCLE, 440, 241, 4800, 60)
    for tick in range(8):
        gate.learn(measures(tick))
    no_low_voltage = np.zeros(1, dtype=bool)
    began = [
        tick
        for tick in range(240)
        if gate.advance((tick + 1) * CYCLE, measures(tick), no_low_voltage).began[0]
    ]
    assert began == list(STEPS)

"""What missing samples are predicted from."""

from __future__ import annotations

import numpy as np
import pytest

from agent.estimation import gaps
from agent.estimation.gaps import Prediction


@pytest.mark.parametrize("f_hz", [1e-3, 4.0, 39.0, 5000.0, 1e9])
def test_a_gap_at_a_frequency_out_of_span_reads_neither_beyond_the_history_nor_other_streams(
    f_hz: float,
) -> None:
    history = np.ones((3, 2, 94), dtype=np.float32) * np.array([[1.0], [1000.0]], np.float32)
    block = np.full((3, 2, 100), np.nan, dtype=np.float32)
    nothing = Prediction(np.zeros((3, 2), complex), np.array([f_hz, 50.0]), instant=0)
    filled = gaps.fill(history, block, nothing, first=94, rate_hz=4000.0)
    assert filled[:, 0] == pytest.approx(1.0)
    assert filled[:, 1] == pytest.approx(1000.0)

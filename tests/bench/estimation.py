"""Estimation: CPU seconds of the estimator alone, samples already decoded, one BLAS thread.

``us_per_stream_report_N``: CPU time of ``push`` and ``report`` for N synchronous streams of 4,000
samples/s at 100 reports/s, three voltages each, divided by streams and reports.
``design_ms_per_bin``: one bin of the default filter at 4,800 samples/s.
``rebin_ms``: the slowest report of 100 streams while the frequency crosses bins at 1 Hz/s.
"""

from __future__ import annotations

import time

import numpy as np

from agent.estimation import Estimator, Settings, design_all
from agent.estimation.bank import BinDesigner
from agent.estimation.waveform import Ramp, Waveform

SETTINGS = Settings(nominal_hz=50, samples_per_second=4000, reports_per_second=100)
HOP = 40
SECONDS = 2


def costs_s(streams: int, waveform: Waveform) -> np.ndarray:
    """CPU seconds of each report, the window being full."""
    samples = waveform.voltages(np.arange(SECONDS * 4000) / 4000).astype(np.float32)
    estimator = Estimator(SETTINGS, streams)
    costs = []
    for start in range(0, samples.shape[-1], HOP):
        block = np.repeat(samples[np.newaxis, :, start : start + HOP], streams, axis=0)
        before = time.process_time()
        estimator.push(block)
        estimator.report()
        costs.append(time.process_time() - before)
    return np.array(costs[20:])


def run() -> dict[str, float]:
    """Measure; see the module's docstring."""
    design_all(SETTINGS)
    figures = {}
    for streams in (1, 100, 1000):
        cost_s = float(np.median(costs_s(streams, Waveform(f_hz=50.02))))
        figures[f"estimation.us_per_stream_report_{streams}"] = 1e6 * cost_s / streams
    ramp = Waveform(f_hz=49.5, ramp=Ramp(0.2, 1.0, 1.5))
    figures["estimation.rebin_ms"] = 1e3 * float(costs_s(100, ramp).max())
    designer = BinDesigner(Settings(nominal_hz=50, samples_per_second=4800))
    before = time.process_time()
    for centre_hz in (49.7, 49.8, 50.1):
        designer.matrix(centre_hz)
    figures["estimation.design_ms_per_bin"] = 1e3 * (time.process_time() - before) / 3
    return figures

"""Samples in, frequency, ROCOF and phasors out: numpy only, no I/O, no clock.

Read in this order: ``settings`` (what may be chosen), ``interference`` and ``blue`` (the
mathematics of one filter), ``bank`` (all filters of one setting), ``estimator`` (the stream).
"""

from agent.estimation.bank import design_all
from agent.estimation.estimates import Estimates, Flag, Quality
from agent.estimation.estimator import Estimator
from agent.estimation.settings import Settings

__all__ = ["Estimates", "Estimator", "Flag", "Quality", "Settings", "design_all"]

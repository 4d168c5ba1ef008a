"""Confidence intervals of what random contingencies show."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom, norm

from agent.study.grid import Floats

Interval = tuple[float, float, float]
"""Estimate, lower and upper bound."""


def probability(hits: int, samples: int, confidence: float) -> Interval:
    """Return a share with its Wilson interval (Wilson 1927)."""
    z = float(norm.ppf(0.5 + confidence / 2.0))
    share = hits / samples
    middle = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    half = math.sqrt(share * (1 - share) / samples + z * z / (4 * samples**2))
    half *= z / (1 + z * z / samples)
    return share, max(middle - half, 0.0), min(middle + half, 1.0)


def quantile(values: Floats, q: float, confidence: float) -> Interval:
    """Return a quantile with its distribution-free interval by order statistics."""
    ordered, samples = np.sort(values), len(values)
    tail = (1.0 - confidence) / 2.0
    low = max(int(binom.ppf(tail, samples, q)) - 1, 0)
    high = min(int(binom.ppf(1.0 - tail, samples, q)), samples - 1)
    return float(np.quantile(ordered, q)), float(ordered[low]), float(ordered[high])


def mean(values: Floats, confidence: float) -> Interval:
    """Return a mean with its normal interval."""
    z = float(norm.ppf(0.5 + confidence / 2.0))
    middle = float(np.mean(values))
    half = z * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return middle, middle - half, middle + half

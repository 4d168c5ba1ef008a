"""Names of the array types that the estimation room passes around, and questions to masks."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
ComplexArray: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Mask: TypeAlias = NDArray[np.bool_]
"""One truth for each stream."""


def some(mask: NDArray[Any]) -> bool:
    """Whether any is true: ``mask.any()`` at a quarter of the time for a short array."""
    return bool(np.count_nonzero(mask))


def every(mask: NDArray[Any]) -> bool:
    """Whether all are true, likewise."""
    return int(np.count_nonzero(mask)) == mask.size


def alike(values: NDArray[Any]) -> bool:
    """Whether all are equal to the first, of which there must be one."""
    return every(values == values[0])

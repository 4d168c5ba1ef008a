"""Names of the array types that the estimation room passes around."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
ComplexArray: TypeAlias = NDArray[np.complexfloating[Any, Any]]
Mask: TypeAlias = NDArray[np.bool_]
"""One truth for each stream."""

"""v2g-agent: parked electric vehicles that answer grid frequency like a turbine's governor."""

import os

__version__ = "0.1.0"

# Our matrices are small: a second BLAS thread only spins, and costs others their core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

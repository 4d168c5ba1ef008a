"""The process bus: Ethernet frames in, frequency reports and interlocks out.

Read in this order: ``frames`` (many captured frames as arrays), ``capture`` (where they come
from: interface, file, virtual bus), ``sv`` (frames to samples), ``tracks`` and ``groups``
(samples to continuous streams on the UTC grid), ``pipeline`` (all of it, frames to
``Measurement``), ``goose`` (subscriptions), ``worker`` (the process).
"""

import os

# One core belongs to this process; a second BLAS thread only fights with its neighbours.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

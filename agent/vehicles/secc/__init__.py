"""ISO 15118: the charge controller's side of one EVSE interface (SECC).

The messages' state machines come from the `iso15118` package; everything around them is ours:
discovery, TLS, framing, timeouts, the codec, the limits and what is reported. The package is
imported here once, behind a fence, so that no module below can meet it unfenced.
"""

from agent.vehicles.secc.fence import import_package

import_package()

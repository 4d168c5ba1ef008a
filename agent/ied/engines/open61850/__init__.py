"""The default engine: the MMS server of the open61850 package, with its faults worked around."""

from agent.ied.engines.open61850.engine import Open61850Engine

__all__ = ["Open61850Engine"]

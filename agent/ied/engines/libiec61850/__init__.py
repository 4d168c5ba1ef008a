"""The second engine: libiec61850 (GPL-3.0, an optional extra), called through ctypes."""

from agent.ied.engines.libiec61850.engine import Libiec61850Engine

__all__ = ["Libiec61850Engine"]

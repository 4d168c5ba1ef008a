"""v2g-agent: parked electric vehicles that answer grid frequency like a turbine's governor."""

__version__ = "0.1.0"

"""SunSpec: a device that describes itself as a chain of models.

`layout` turns the published definitions into registers, `discovery` walks a device's chain.
"""

from agent.vehicles.field.sunspec.discovery import discover
from agent.vehicles.field.sunspec.layout import Point
from agent.vehicles.field.sunspec.model import Device, Model

__all__ = ["Device", "Model", "Point", "discover"]

"""Mapping files: object references of the SCL ↔ fields of the messages, checked at start."""

from agent.mapping.bind import bind
from agent.mapping.binding import BoundControl, BoundModel, BoundSetting, BoundValue
from agent.mapping.fields import Context, Reading, Scope
from agent.mapping.load import default_folder, load_mapping
from agent.mapping.model import ControlRow, DeviceMap, Mapping, SettingRow, ValueRow

__all__ = [
    "BoundControl",
    "BoundModel",
    "BoundSetting",
    "BoundValue",
    "Context",
    "ControlRow",
    "DeviceMap",
    "Mapping",
    "Reading",
    "Scope",
    "SettingRow",
    "ValueRow",
    "bind",
    "default_folder",
    "load_mapping",
]

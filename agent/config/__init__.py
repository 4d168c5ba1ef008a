"""`agent.toml` and `power-profile.conf` → frozen settings."""

from agent.config.bus import Bus, Fleet
from agent.config.firewall import Firewall
from agent.config.hmi import History, Hmi
from agent.config.loader import DEFAULT_PATH, load_settings, read_settings, section_types
from agent.config.profile import PowerProfile, parse_profile, read_profile
from agent.config.sections import Section
from agent.config.settings import (
    Control,
    Gateway,
    Grid,
    Ied,
    ProcessBus,
    Scl,
    Settings,
)
from agent.config.stations import StationListener, Stations
from agent.config.utility import Dispatch, Ocpi, Utility

__all__ = [
    "DEFAULT_PATH",
    "Bus",
    "Control",
    "Dispatch",
    "Firewall",
    "Fleet",
    "Gateway",
    "Grid",
    "History",
    "Hmi",
    "Ied",
    "Ocpi",
    "PowerProfile",
    "ProcessBus",
    "Scl",
    "Section",
    "Settings",
    "StationListener",
    "Stations",
    "Utility",
    "load_settings",
    "parse_profile",
    "read_profile",
    "read_settings",
    "section_types",
]

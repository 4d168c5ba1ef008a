"""The profile of the gateway's IED: package data, decoded once."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

PROFILE: Final = "gateway.json"


class ObjectProfile(msgspec.Struct, frozen=True):
    """A data object of the profile.

    Attributes:
        ctl: ctlModel of a controllable object, 0 to 4.
        val: Values of attributes; ``{ld}`` and the like are filled in for each EVSE.
    """

    ctl: int = 0
    val: dict[str, str] = {}


Nodes = dict[str, dict[str, ObjectProfile]]


class Profile(msgspec.Struct, frozen=True):
    """Logical nodes of the station device, of every EVSE, and of one kind of EVSE.

    Attributes:
        units: SI unit by name of the data object.
        optional: Optional attributes to include, by CDC.
        values: What an enumerated value starts with, by enumeration; else its first text.
    """

    units: dict[str, str]
    optional: dict[str, tuple[str, ...]]
    values: dict[str, str]
    station: Nodes = msgspec.field(name="LD0")
    evse: Nodes = msgspec.field(name="EVSE")
    evse_ac: Nodes = msgspec.field(name="EVSE.ac")
    evse_dc: Nodes = msgspec.field(name="EVSE.dc")


@lru_cache(maxsize=1)
def gateway_profile() -> Profile:
    """The profile of the package."""
    data = files("agent.scl").joinpath("data", PROFILE).read_bytes()
    return msgspec.json.decode(data, type=Profile)

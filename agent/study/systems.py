"""Named systems: `data/systems.toml` → checked values, each with its source."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from importlib import resources

import msgspec

from agent.control.presets import Sourced
from agent.errors import ConfigurationError, Finding
from agent.study.governors import Governor


class Unit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that can trip.

    Attributes:
        name: Its name in the source. `p_mw`: power that is lost.
        inertia_s: Its part of the system's H, on the system's base.
        damping_pu: Its part of D. `governor`: index of its governor, -1 for none.
    """

    name: str
    p_mw: float
    inertia_s: float
    damping_pu: float = 0.0
    governor: int = -1


class System(Sourced, frozen=True, kw_only=True):
    """Frequency response of one area; fields as `data/systems.toml` explains them."""

    title: str
    nominal_hz: float
    base_mw: float
    inertia_s: float
    damping_pu: float
    loss_mw: float
    network_s: float = 0.0
    governor: tuple[Governor, ...] = ()
    unit: tuple[Unit, ...] = ()

    def without(self, name: str) -> System:
        """Return the system after the trip of a unit; `loss_mw` is what it gave.

        Raises:
            ConfigurationError: There is no such unit.
        """
        units = {unit.name: unit for unit in self.unit}
        if name not in units:
            raise ConfigurationError((_unknown(name, sorted(units), "contingency.trip"),))
        lost = units[name]
        return msgspec.structs.replace(
            self,
            inertia_s=self.inertia_s - lost.inertia_s,
            damping_pu=self.damping_pu - lost.damping_pu,
            loss_mw=lost.p_mw,
            governor=tuple(g for at, g in enumerate(self.governor) if at != lost.governor),
        )


@cache
def systems() -> dict[str, System]:
    """Return every shipped system by name."""
    data = resources.files("agent.study").joinpath("data", "systems.toml")
    return msgspec.convert(tomllib.loads(data.read_text("utf-8")), dict[str, System], strict=False)


def find_system(name: str) -> System:
    """Return a shipped system.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if name not in systems():
        raise ConfigurationError((_unknown(name, sorted(systems()), "grid.system"),))
    return systems()[name]


def _unknown(name: str, known: list[str], key: str) -> Finding:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
    return Finding(key, f"unknown name {name!r}", hint)

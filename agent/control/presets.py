"""Grid codes as data: `data/*.toml` → frozen, checked values, each with its source."""

from __future__ import annotations

import difflib
import math
import tomllib
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeVar

import msgspec

from agent.control.curves import Curve, droop_curve
from agent.errors import ConfigurationError, Finding

Verified = Literal["source", "secondary", "unverified"]
Points = tuple[tuple[float, float], ...]


class Sourced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every shipped figure says of itself.

    Attributes:
        source, edition: The document and the clause.
        verified: `source` read in it, `secondary` cross-checked elsewhere, `unverified`.
        doubtful: Figures of an otherwise verified entry that are not verified.
    """

    source: str
    edition: str
    verified: Verified
    doubtful: str = ""


class FastReserve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step of full power below a trigger (FFR).

    Attributes:
        trigger_hz: Activation at or below it.
        support_s: Full power for this long. `recovery_s`: ramp back to nothing.
        rest_s: No second activation earlier than this after the recovery.
    """

    trigger_hz: float
    support_s: float
    recovery_s: float
    rest_s: float


class Preset(Sourced, frozen=True, kw_only=True):
    """One service or code: how power answers frequency."""

    title: str
    nominal_hz: float
    under: Points = ()
    over: Points = ()
    db_uf_hz: float | None = None
    db_of_hz: float | None = None
    k_uf: float | None = None
    k_of: float | None = None
    olrt_s: float = 0.0
    initiate_s: float = 0.0
    full_s: float = 0.0
    fast: FastReserve | None = None

    @property
    def under_curve(self) -> Curve:
        """Share of rated power by Hz below nominal."""
        return _curve(self.under, self.db_uf_hz, self.k_uf, self.nominal_hz)

    @property
    def over_curve(self) -> Curve:
        """Share of rated power by Hz above nominal."""
        return _curve(self.over, self.db_of_hz, self.k_of, self.nominal_hz)


class RideThroughCode(Sourced, frozen=True, kw_only=True):
    """Trip and ride-through settings; `data/ride_through.toml` explains the fields."""

    nominal_hz: float
    voltage: tuple[tuple[str, float, float], ...]
    frequency: tuple[tuple[str, float, float], ...]
    cease_v: tuple[float, float]
    cease_s: float
    restore_s: float
    rocof_hz_s: float
    return_v: tuple[float, float]
    return_f_hz: tuple[float, float]
    return_delay_s: float
    return_ramp_s: float


class VoltageFunction(Sourced, frozen=True, kw_only=True):
    """Share of rated power by voltage in pu."""

    title: str
    points: Points
    olrt_s: float

    @property
    def curve(self) -> Curve:
        """The points as a curve."""
        return Curve(self.points)


EntryT = TypeVar("EntryT", Preset, RideThroughCode)


@cache
def presets() -> dict[str, Preset]:
    """Return every frequency service by name."""
    return msgspec.convert(_read("presets.toml"), dict[str, Preset], strict=False)


@cache
def ride_through_codes() -> dict[str, RideThroughCode]:
    """Return every set of trip settings by name."""
    return msgspec.convert(_read("ride_through.toml"), dict[str, RideThroughCode], strict=False)


@cache
def voltage_functions() -> dict[str, VoltageFunction]:
    """Return `volt-var` and `volt-watt`."""
    return msgspec.convert(_read("voltage.toml"), dict[str, VoltageFunction], strict=False)


def find_preset(name: str, nominal_hz: float) -> Preset:
    """Return a frequency service; empty: `FCR-CE` at 50 Hz, `IEEE1547-III` at 60 Hz.

    Raises:
        ConfigurationError: Unknown name, or one of the other nominal frequency.
    """
    default = "FCR-CE" if nominal_hz == 50 else "IEEE1547-III"
    return _find(presets(), name or default, nominal_hz, "control.preset")


def find_ride_through(name: str, nominal_hz: float) -> RideThroughCode:
    """Return trip settings; empty: `EN50549` at 50 Hz, `IEEE1547-III` at 60 Hz.

    Raises:
        ConfigurationError: Unknown name, or one of the other nominal frequency.
    """
    default = "EN50549" if nominal_hz == 50 else "IEEE1547-III"
    return _find(ride_through_codes(), name or default, nominal_hz, "control.ride_through")


def _find(entries: dict[str, EntryT], name: str, nominal_hz: float, key: str) -> EntryT:
    fitting = sorted(known for known, e in entries.items() if e.nominal_hz == nominal_hz)
    entry = entries.get(name)
    if entry is not None and entry.nominal_hz == nominal_hz:
        return entry
    what = f"unknown name {name!r}"
    if entry is not None:
        what = f"{name} is for {entry.nominal_hz:g} Hz, the grid has {nominal_hz:g} Hz"
    near = difflib.get_close_matches(name, fitting, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(fitting)}"
    raise ConfigurationError((Finding(key, what, hint),))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("agent.control").joinpath("data", name).read_text("utf-8"))


def _curve(points: Points, deadband_hz: float | None, k: float | None, nominal_hz: float) -> Curve:
    if deadband_hz is not None and k is not None and math.isfinite(k):
        return droop_curve(deadband_hz, k, nominal_hz)
    return Curve(points)

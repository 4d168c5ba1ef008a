"""Grid-code presets, read from `data/presets.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from agent.control.curves import Curve, droop_curve
from agent.errors import ConfigurationError, Finding


@dataclass(frozen=True, slots=True)
class Preset:
    """One grid code's frequency response.

    Attributes:
        name: As the settings spell it.
        title, source, edition, verified: Where every figure comes from.
        nominal_hz: 50 or 60.
        under, over: Share of rated power by |deviation| in Hz, below and above nominal.
        olrt_s: Open-loop response time (IEEE 1547-2018, 3.1: to 90 % of the change).
        full_s: Latest time of full activation that the code allows; 0 where it names none.
    """

    name: str
    title: str
    source: str
    edition: str
    verified: str
    nominal_hz: float
    under: Curve
    over: Curve
    olrt_s: float = 0.0
    full_s: float = 0.0


@cache
def presets() -> dict[str, Preset]:
    """Return every preset by name."""
    text = resources.files("agent.control").joinpath("data/presets.toml").read_text("utf-8")
    return {name: _preset(name, table) for name, table in tomllib.loads(text).items()}


def default_preset(nominal_hz: float) -> str:
    """Return the name of the preset where the settings name none."""
    return "FCR-CE" if nominal_hz == 50 else "IEEE1547-III"


def find_preset(name: str, nominal_hz: float) -> Preset:
    """Return a preset.

    Raises:
        ConfigurationError: Unknown name, or a preset of the other nominal frequency.
    """
    known = presets()
    if name not in known:
        fitting = sorted(key for key, item in known.items() if item.nominal_hz == nominal_hz)
        raise ConfigurationError(
            (Finding("control.preset", f"unknown preset {name!r}", f"known: {', '.join(fitting)}"),)
        )
    if known[name].nominal_hz != nominal_hz:
        raise ConfigurationError(
            (
                Finding(
                    "control.preset",
                    f"{name} is for {known[name].nominal_hz:g} Hz, the grid has {nominal_hz:g} Hz",
                ),
            )
        )
    return known[name]


def _preset(name: str, table: dict[str, Any]) -> Preset:
    nominal_hz = float(table["nominal_hz"])
    return Preset(
        name=name,
        title=table["title"],
        source=table["source"],
        edition=table["edition"],
        verified=table["verified"],
        nominal_hz=nominal_hz,
        under=_side(table, "under", "uf", nominal_hz),
        over=_side(table, "over", "of", nominal_hz),
        olrt_s=table.get("olrt_s", 0.0),
        full_s=table.get("full_s", 0.0),
    )


def _side(table: dict[str, Any], key: str, suffix: str, nominal_hz: float) -> Curve:
    if key in table:
        return Curve(tuple((float(x), float(y)) for x, y in table[key]))
    return droop_curve(table[f"db_{suffix}_hz"], table[f"k_{suffix}"], nominal_hz)

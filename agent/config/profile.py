"""`power-profile.conf`: the envelope that the site's electrician fixed.

Plain `NAME=value` lines, `#` comments. Only these names exist; a wrong one stops the start,
because a limit that is silently ignored is worse than no start.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from agent.errors import ConfigurationError, Finding

KILO: Final = 1000.0


@dataclass(frozen=True, slots=True)
class PowerProfile:
    """Limits in watts and percent; magnitudes are positive.

    Attributes:
        max_discharge_w, max_charge_w: Of each EVSE (cable and contactor).
        site_discharge_w, site_charge_w: Of all EVSEs together, at the point of connection.
        min_soc_pct, max_soc_pct: Window that no vehicle leaves because of us.
        min_soh_pct: Below this state of health a vehicle is never discharged.
        max_depth_of_discharge_pct: No vehicle is discharged deeper than this from full.
        max_cycles_per_day: Full equivalent cycles a day that grid services may use.
        max_energy_per_day_wh: Energy a day that one vehicle gives to the grid.
        departure_margin_s: A vehicle has the energy it needs this long before it departs.
    """

    max_discharge_w: float = 11_000.0
    max_charge_w: float = 11_000.0
    site_discharge_w: float = math.inf
    site_charge_w: float = math.inf
    min_soc_pct: float = 20.0
    max_soc_pct: float = 95.0
    min_soh_pct: float = 0.0
    max_depth_of_discharge_pct: float = 100.0
    max_cycles_per_day: float = 2.0
    max_energy_per_day_wh: float = math.inf
    departure_margin_s: float = 900.0


# name in the file: (field, factor, lowest, highest in the file's unit)
_NAMES: Final[dict[str, tuple[str, float, float, float]]] = {
    "MAX_V2G_DISCHARGE_KW": ("max_discharge_w", KILO, 0.0, 1000.0),
    "MAX_CHARGE_KW": ("max_charge_w", KILO, 0.0, 1000.0),
    "MAX_SITE_DISCHARGE_KW": ("site_discharge_w", KILO, 0.0, 1e6),
    "MAX_SITE_CHARGE_KW": ("site_charge_w", KILO, 0.0, 1e6),
    "MIN_SOC_PCT": ("min_soc_pct", 1.0, 0.0, 100.0),
    "MAX_SOC_PCT": ("max_soc_pct", 1.0, 0.0, 100.0),
    "MIN_SOH_PCT": ("min_soh_pct", 1.0, 0.0, 100.0),
    "MAX_DEPTH_OF_DISCHARGE_PCT": ("max_depth_of_discharge_pct", 1.0, 0.0, 100.0),
    "MAX_CYCLES_PER_DAY": ("max_cycles_per_day", 1.0, 0.0, 20.0),
    "MAX_ENERGY_PER_DAY_KWH": ("max_energy_per_day_wh", KILO, 0.0, 1000.0),
    "DEPARTURE_MARGIN_MIN": ("departure_margin_s", 60.0, 0.0, 600.0),
}
assert {row[0] for row in _NAMES.values()} == {f.name for f in fields(PowerProfile)}  # noqa: S101


def read_profile(path: Path) -> PowerProfile:
    """Read the file.

    Raises:
        ConfigurationError: With one finding a wrong line, each with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), f"cannot be read: {error}"),)) from error
    return parse_profile(text, str(path))


def parse_profile(text: str, name: str) -> PowerProfile:
    """Parse the file's text; `name` is what messages call it. Raises as `read_profile`."""
    values: dict[str, float] = {}
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), start=1):
        body = line.split("#", 1)[0].strip()
        if body:
            _read_line(body, f"{name}:{number}", values, findings)
    if values.get("min_soc_pct", 20.0) >= values.get("max_soc_pct", 95.0):
        findings.append(Finding(name, "MIN_SOC_PCT must be below MAX_SOC_PCT"))
    if findings:
        raise ConfigurationError(tuple(findings))
    return PowerProfile(**values)


def _read_line(body: str, where: str, values: dict[str, float], findings: list[Finding]) -> None:
    name, equals, raw = (part.strip() for part in body.partition("="))
    if not equals:
        findings.append(Finding(where, f"expected NAME=value, got {body!r}"))
        return
    if name not in _NAMES:
        near = difflib.get_close_matches(name, _NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_NAMES)}"
        findings.append(Finding(where, f"unknown name {name}", hint))
        return
    field_name, factor, low, high = _NAMES[name]
    if field_name in values:
        findings.append(Finding(where, f"{name} is given twice"))
        return
    try:
        value = float(raw.strip("\"'"))
    except ValueError:
        findings.append(Finding(where, f"{name}: {raw!r} is not a number"))
        return
    if not low <= value <= high:  # also refuses NaN
        findings.append(Finding(where, f"{name}: {raw} is outside {low:g} to {high:g}"))
        return
    values[field_name] = value * factor

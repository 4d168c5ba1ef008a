"""Recorded events: COMTRADE, Parquet and CSV → frequency and power in time.

Telemetry (`v2g-ctl history --parquet`) has the columns `t_utc_s`, `f_hz`, `p_w`, `ordered_w`,
`target_w`; the table of single EVSEs is long: `t_utc_s`, `evse_id`, `p_w`, `ordered_w`, `soc_pct`.
Positive power exports.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from agent.comtrade import Record, read_comtrade
from agent.errors import ConfigurationError, Finding
from agent.study.columns import numbers, read_table
from agent.study.grid import Floats

COMTRADE_ENDINGS: Final = (".cfg", ".dat")
_UNITS: Final = {"w": 1.0, "kw": 1e3, "mw": 1e6}
_FREQUENCY: Final = ("f", "freq", "frequency", "f_hz")
_POWER: Final = ("p", "p_w", "power", "w", "totw", "p3p")
LONGEST_GAP_S: Final = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One event; arrays of shape (n,), rising times, no gaps (NaN is interpolated).

    Attributes:
        t_s: From the first sample, s. `begin_utc_s`: UTC of that sample.
        f_hz: Frequency. `p_w`: delivered power; `ordered_w`: what was ordered, or None.
        nominal_hz: 50 or 60.
    """

    t_s: Floats
    f_hz: Floats
    p_w: Floats
    ordered_w: Floats | None
    begin_utc_s: float
    nominal_hz: float

    @property
    def step_s(self) -> float:
        """Median time between samples."""
        return float(np.median(np.diff(self.t_s)))


@dataclass(frozen=True, slots=True, eq=False)
class EvseTrace:
    """One EVSE in an event: its own times, shape (n,)."""

    evse_id: str
    t_s: Floats
    p_w: Floats
    ordered_w: Floats


def read_event(path: Path, nominal_hz: float | None = None) -> Event:
    """Return the event in a file.

    Raises:
        ConfigurationError: Not readable, or without frequency and power.
    """
    if path.suffix.lower() in COMTRADE_ENDINGS:
        return _from_record(path, read_comtrade(path), nominal_hz)
    table = read_table(path)
    _need(table, ("t_utc_s", "f_hz", "p_w"), path)
    t_s, f_hz, p_w = (numbers(table, name) for name in ("t_utc_s", "f_hz", "p_w"))
    ordered = numbers(table, "ordered_w") if "ordered_w" in table.column_names else None
    return _event(path, t_s, f_hz, p_w, ordered, nominal_hz)


def read_evses(path: Path, begin_utc_s: float) -> list[EvseTrace]:
    """Return the single EVSEs of a long table, by name.

    Raises:
        ConfigurationError: Not readable, or without the columns.
    """
    table = read_table(path)
    _need(table, ("t_utc_s", "evse_id", "p_w", "ordered_w"), path)
    names = np.asarray(table.column("evse_id").to_pylist(), dtype=np.str_)
    t_s = numbers(table, "t_utc_s") - begin_utc_s
    p_w, ordered_w = numbers(table, "p_w"), numbers(table, "ordered_w")
    traces = []
    for name in np.unique(names).tolist():
        of = np.flatnonzero((names == name) & np.isfinite(t_s) & np.isfinite(p_w))
        of = of[np.argsort(t_s[of], kind="stable")]
        if len(of) > 3:
            traces.append(EvseTrace(name, t_s[of], p_w[of], np.nan_to_num(ordered_w[of])))
    return traces


def _from_record(path: Path, record: Record, nominal_hz: float | None) -> Event:
    """Return the event of a COMTRADE record: its channels f and P, or P from voltages, currents."""
    named = {channel.name.strip().lower(): row for row, channel in enumerate(record.channels)}
    values = record.values.astype(np.float64)
    f_row = next((named[name] for name in _FREQUENCY if name in named), None)
    if f_row is None:
        raise ConfigurationError((Finding(str(path), "has no channel f in Hz"),))
    p_row = next((named[name] for name in _POWER if name in named), None)
    if p_row is not None:
        unit = record.channels[p_row].unit.strip().lower()
        p_w = values[p_row] * _UNITS.get(unit, 1.0)
    else:
        p_w = _instantaneous(path, record, named, values)
    t_s = record.begin_utc_s + np.arange(values.shape[1]) / record.rate_hz
    return _event(path, t_s, values[f_row], p_w, None, nominal_hz or float(record.nominal_hz))


def _instantaneous(path: Path, record: Record, named: dict[str, int], values: Floats) -> Floats:
    """Return three-phase power as the mean of v·i over one nominal cycle."""
    rows = [(named.get(f"v{phase}"), named.get(f"i{phase}")) for phase in "abc"]
    pairs = [(v, i) for v, i in rows if v is not None and i is not None]
    if not pairs:
        hint = "channels P, or VA…VC with IA…IC"
        raise ConfigurationError((Finding(str(path), "has no power", hint),))
    power_w = np.sum([values[v] * values[i] for v, i in pairs], axis=0)
    width = max(round(record.rate_hz / record.nominal_hz), 1)
    result: Floats = np.convolve(np.nan_to_num(power_w), np.full(width, 1.0 / width), "same")
    return result


def _event(
    path: Path, t_s: Floats, f_hz: Floats, p_w: Floats, ordered: Floats | None,
    nominal_hz: float | None,
) -> Event:  # fmt: skip
    order = np.argsort(t_s, kind="stable")
    order = order[np.isfinite(t_s[order])]
    order = order[np.concatenate([[True], np.diff(t_s[order]) > 0.0])] if len(order) else order
    t_s = t_s[order]
    if len(t_s) < 20 or np.isnan(f_hz[order]).all() or np.isnan(p_w[order]).all():
        raise ConfigurationError((Finding(str(path), "holds fewer than 20 usable samples"),))
    f_hz, p_w = _filled(t_s, f_hz[order]), _filled(t_s, p_w[order])
    if nominal_hz is None:
        nominal_hz = 60.0 if float(np.median(f_hz)) > 55.0 else 50.0
    return Event(
        t_s=t_s - t_s[0],
        f_hz=f_hz,
        p_w=p_w,
        ordered_w=None if ordered is None else _filled(t_s, ordered[order]),
        begin_utc_s=float(t_s[0]),
        nominal_hz=nominal_hz,
    )


def _filled(t_s: Floats, values: Floats) -> Floats:
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    return np.interp(t_s, t_s[known], values[known])


def _need(table: pa.Table, names: tuple[str, ...], path: Path) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        known = ", ".join(table.column_names)
        what = f"no column {', '.join(missing)}"
        raise ConfigurationError((Finding(str(path), what, f"it has: {known}"),))

"""A study as a table, its values replaced by path: `study(**{"fleet.count": 5})`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.study.columns import write_table
from agent.study.profile import required_share
from agent.study.response import droop_of
from agent.study.spec import Study, study_from

LINEAR = {"preset": "FCR-N", "stability_limit": False, "ramp_s": 0.0, "measurement_delay_s": 0.0}
"""A droop without deadband: full power at ±0.1 Hz."""


def table(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "study": {"name": "test", "duration_s": 20.0, "chunk": 4},
        "grid": {"system": "gb"},
        "fleet": {"name": "ev", "count": 30, "share": 0.1, "preset": "GB-DC"},
    }
    for path, value in changes.items():
        section, _, key = path.partition(".")
        if key:
            made.setdefault(section, {})[key] = value
        else:
            made[section] = value
    made["fleet"] = made["fleet"] if isinstance(made["fleet"], list) else [made["fleet"]]
    return made


def study(**changes: Any) -> Study:
    return study_from(table(**changes), Path(), "test.toml")


def recorded(
    folder: Path, *, delay_s: float = 0.6, noise_w: float = 0.0, step_s: float = 0.1, seed: int = 1
) -> tuple[Path, np.ndarray, np.ndarray]:
    """Write a synthetic event of GB-DC; return file, required share and clean power."""
    rng = np.random.default_rng(seed)
    t = np.arange(0.0, 180.0, step_s)
    dip = np.clip((t - 70.0) / 5.0, 0.0, 1.0) * np.exp(-np.clip(t - 80.0, 0.0, None) / 60.0)
    f = 50.0 - 0.35 * dip + 0.015 * np.sin(t / 2.3)
    p = study().fleet[0].parameters(50.0)
    share = required_share(t, f, p)
    clean = -3000.0 + 22_000.0 * np.interp(t - delay_s, t, share)
    path = folder / "event.parquet"
    noisy = clean + rng.normal(0.0, noise_w, len(t))
    write_table(path, {"t_utc_s": 1.7e9 + t, "f_hz": f, "p_w": noisy, "ordered_w": clean})
    return path, share, clean


@pytest.fixture
def make_study():
    return study


__all__ = ["LINEAR", "droop_of", "recorded", "study", "table"]

"""The `[control]` table as far as the control gives it its meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import load_settings
from agent.errors import ConfigurationError


def load(tmp_path: Path, table: str):
    (tmp_path / "profile.conf").write_text("")
    path = tmp_path / "agent.toml"
    path.write_text(f'[gateway]\npower_profile = "profile.conf"\n[control]\n{table}\n')
    return load_settings(path).control


def test_curves_are_read(tmp_path):
    control = load(tmp_path, "curve_uf = [[0.01, 0.0], [0.2, 1.0]]\nlocal_frequency = true")
    assert control.curve_uf == ((0.01, 0.0), (0.2, 1.0))
    assert control.local_frequency


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("curve_uf = [[0.2, 1.0]]", "curve_uf"),
        ("curve_of = [[0.2, 0.0], [0.1, 1.0]]", "curve_of"),
        ("curve_of = [[0.1, 0.0], [0.2, 1.0], [0.3, 0.5]]", "curve_of"),
        ("curve_of = [[0.1, 0.0], [0.2, 1.5]]", "curve_of"),
        ("curve_of = [[0.1, 0.5], [0.2, 1.0]]", "curve_of"),
        ("charge_curve = [[80.0, 1.0], [80.0, 0.2]]", "charge_curve"),
        ("power_factor = 0.5", "power_factor"),
        ("[[control.schedule]]\nstart_s = 10\nend_s = 5\nvalue_w = 1.0", "schedule"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_key(tmp_path, table, key):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, table)
    assert any(f"control.{key}" in finding.where for finding in caught.value.findings)

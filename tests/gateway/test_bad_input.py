"""What a wrong input says at the start, and the exit code it ends with."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.embedded import SAMPLE_SCD, SiteOptions, free_port, write_configuration
from tests.gateway.conftest import REPOSITORY


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that would start, on a virtual bus."""
    options = SiteOptions(tmp_path, ocpp_port=free_port(), mms_port=free_port())
    return write_configuration(options, f"virtual:{tmp_path / 'bus.sock'}")


def change(config: Path, old: str, new: str) -> None:
    text = config.read_text()
    assert re.search(old, text)
    config.write_text(re.sub(old, new, text, count=1))


def start(config: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.daemon", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=REPOSITORY,
        check=False,
    )
    return done.returncode, done.stderr


def test_an_unknown_ied_name_lists_the_names_that_exist(config):
    change(config, r'ied = "V2G1"', 'ied = "V2G9"')
    code, said = start(config)
    assert code == 78
    assert "V2G9" in said
    assert "V2G1" in said.replace("V2G19", "")


def test_a_broken_scl_file_is_named_with_its_line(config, tmp_path):
    broken = tmp_path / "broken.scd"
    lines = SAMPLE_SCD.read_text().splitlines()
    lines[40] = lines[40].replace(">", "", 1)
    broken.write_text("\n".join(lines))
    change(config, r'file = ".*"', f'file = "{broken}"')
    code, said = start(config)
    assert code == 78
    assert re.search(r"broken\.scd:4\d", said), said


def test_a_missing_scl_file_is_named(config):
    change(config, r'file = ".*"', 'file = "/nowhere/plant.scd"')
    code, said = start(config)
    assert code == 78
    assert "/nowhere/plant.scd" in said


def test_an_interface_that_does_not_exist_is_named_with_those_that_do(config):
    change(config, r'interface = ".*"', 'interface = "nosuch0"')
    code, said = start(config)
    assert code == 69
    assert "nosuch0" in said
    assert "lo" in said


@pytest.mark.parametrize("section", ["stations", "ied"])
def test_a_port_in_use_is_named(config, section):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        change(config, rf'(\[{section}\]\nhost = ".*"\nport = )\d+', rf"\g<1>{port}")
        code, said = start(config)
    assert code == 69
    assert str(port) in said


def test_a_wrong_toml_key_is_named_with_file_and_key(config):
    change(config, r"\[ied\]", "[ied]\nprot = 1")
    code, said = start(config)
    assert code == 78
    assert f"{config}: ied.prot: unknown key (did you mean port?)" in said


def test_a_wrong_line_of_the_power_profile_is_named_with_its_number(config):
    profile = config.parent / "power-profile.conf"
    profile.write_text("MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE_KW=eleven\n")
    code, said = start(config)
    assert code == 78
    assert f"{profile}:2" in said

"""agent.toml and power-profile.conf: every error at once, with file and key or line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load_settings, parse_profile, section_types
from agent.errors import EX_CONFIG, ConfigurationError

PROFILE = "MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE_KW=22\n"


def write(folder: Path, toml: str, profile: str = PROFILE) -> Path:
    (folder / "power-profile.conf").write_text(profile)
    path = folder / "agent.toml"
    path.write_text('[gateway]\npower_profile = "power-profile.conf"\n' + toml)
    return path


def findings(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    assert caught.value.exit_code == EX_CONFIG
    return [str(finding) for finding in caught.value.findings]


def test_defaults_hold_for_what_the_file_leaves_out(tmp_path):
    settings = load_settings(write(tmp_path, ""))
    assert settings.grid.nominal_hz == 50
    assert settings.power.max_discharge_w == 11_000
    assert settings.power.max_charge_w == 22_000


def test_relative_paths_start_at_the_files_folder(tmp_path):
    settings = load_settings(write(tmp_path, '[scl]\nfile = "plant.scd"\n'))
    assert settings.scl.file == tmp_path / "plant.scd"


def test_every_error_is_reported_at_once_with_file_and_key(tmp_path):
    path = write(
        tmp_path,
        '[stations]\nprt = 1\nport = 99999\n[process_bus]\nfilter = "none"\n[grdi]\nx = 1\n',
        "MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE=3\nMAX_CHARGE_KW=nan\nnonsense\n",
    )
    text = "\n".join(findings(path))
    for expected in (
        "agent.toml: stations.prt: unknown key (did you mean port?)",
        "agent.toml: stations.port: expected int <= 65535",
        "agent.toml: process_bus.filter: 'none' is not allowed",
        "agent.toml: grdi: unknown table (did you mean [grid]?)",
        "power-profile.conf:2: unknown name MAX_CHARGE (did you mean MAX_CHARGE_KW?)",
        "power-profile.conf:3: MAX_CHARGE_KW: nan is outside 0 to 1000",
        "power-profile.conf:4: expected NAME=value",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("[grid]\nnominal_hz = 55\n", "grid.nominal_hz"),
        ("[grid]\nnominal_hz = '50'\n", "grid.nominal_hz"),
        ("[control]\nk_uf = 0\n", "control.k_uf"),
        ("[control]\nhold_s = 0.3\n", "control.hold_s"),
        ("[scl]\nied = ''\n", "scl.ied"),
        ("stations = 3\n", "must be a table"),
    ],
)
def test_a_value_out_of_its_range_or_type_is_named(tmp_path, toml, expected):
    if toml.startswith("stations"):
        path = tmp_path / "agent.toml"
        path.write_text(toml)
    else:
        path = write(tmp_path, toml)
    assert any(expected in finding for finding in findings(path))


def test_a_file_that_is_not_toml_says_where(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text("[grid]\nnominal_hz = = 50\n")
    assert "line 2" in findings(path)[0]


def test_a_missing_file_is_named(tmp_path):
    assert "absent.toml" in findings(tmp_path / "absent.toml")[0]


def test_a_missing_power_profile_stops_the_start(tmp_path):
    path = write(tmp_path, "")
    (tmp_path / "power-profile.conf").unlink()
    assert "power-profile.conf: cannot be read" in findings(path)[0]


def test_profile_takes_comments_blanks_quotes_and_spaces():
    profile = parse_profile('# site\n\n MAX_V2G_DISCHARGE_KW = "7.4"  # cable\n', "p")
    assert profile.max_discharge_w == 7400


@pytest.mark.parametrize(
    "line", ["MAX_CHARGE_KW=-1", "MAX_CHARGE_KW=inf", "MAX_CHARGE_KW=", "MIN_SOC_PCT=101"]
)
def test_profile_refuses_what_is_no_limit(line):
    with pytest.raises(ConfigurationError, match="p:1"):
        parse_profile(line, "p")


def test_profile_refuses_a_name_given_twice():
    with pytest.raises(ConfigurationError, match="p:2: MAX_CHARGE_KW is given twice"):
        parse_profile("MAX_CHARGE_KW=1\nMAX_CHARGE_KW=2", "p")


def test_profile_refuses_an_empty_soc_window():
    with pytest.raises(ConfigurationError, match="MIN_SOC_PCT must be below"):
        parse_profile("MIN_SOC_PCT=95\nMAX_SOC_PCT=20", "p")


@given(st.text(max_size=200))
def test_no_profile_text_raises_anything_but_a_configuration_error(text):
    try:
        parse_profile(text, "p")
    except ConfigurationError as error:
        assert all(finding.where.startswith("p") for finding in error.findings)


def test_every_section_can_be_made_from_its_defaults():
    for name, kind in section_types().items():
        assert kind() is not None, name


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (
            '[ocpi]\nenabled = true\ntokens = "t"\nurl = "https://g.example"\n',
            "agent.toml: utility.api_port: is missing (OCPI is served there)",
        ),
        (
            '[dispatch]\npublic_key = "signer.pub"\nissuer = "tso.example"\n',
            "agent.toml: utility.api_port: is missing (signed dispatch arrives there",
        ),
    ],
)
def test_what_one_table_asks_of_another_is_checked(tmp_path, toml, expected):
    (found,) = findings(write(tmp_path, toml))
    assert expected in found
    ready = toml + "[utility]\napi_port = 8443\n"
    assert load_settings(write(tmp_path, ready)).utility.enabled

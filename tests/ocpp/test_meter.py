"""Sampled values in the words of three versions become one number with one sign."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ocpp.meter import read_meter_values
from agent.ocpp.timestamps import format_utc, parse_utc


def values(*samples):
    return [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": list(samples)}]


def sample(measurand, value, **more):
    return {"measurand": measurand, "value": value, **more}


def test_export_is_positive_and_import_negative():
    exported, imported = "Power.Active.Export", "Power.Active.Import"
    assert read_meter_values(values(sample(exported, 500.0))).p_w == 500.0
    assert read_meter_values(values(sample(imported, 500.0))).p_w == -500.0
    both = values(sample(imported, 0.0), sample(exported, 700.0))
    assert read_meter_values(both).p_w == 700.0
    assert read_meter_values(values(sample(imported, -300.0))).p_w == 300.0


def test_units_and_multipliers_become_watts():
    kilowatts = sample("Power.Active.Import", "7.2", unit="kW")
    assert read_meter_values(values(kilowatts)).p_w == pytest.approx(-7200.0)
    scaled = sample("Power.Active.Export", 7.2, unitOfMeasure={"unit": "W", "multiplier": 3})
    assert read_meter_values(values(scaled)).p_w == pytest.approx(7200.0)
    both = sample("Power.Active.Export", 1.0, unitOfMeasure={"unit": "kW", "multiplier": 1})
    assert read_meter_values(values(both)).p_w == pytest.approx(10_000.0)


def test_phases_add_up_unless_a_total_is_given():
    phases = [sample("Power.Active.Import", 100.0, phase=f"L{n}") for n in (1, 2, 3)]
    assert read_meter_values(values(*phases)).p_w == -300.0
    assert read_meter_values(values(*phases, sample("Power.Active.Import", 310.0))).p_w == -310.0
    voltages = [sample("Voltage", 230.0 + n, phase=f"L{n}-N") for n in (1, 2, 3)]
    assert read_meter_values(values(*voltages)).voltage_v == (231.0, 232.0, 233.0)


def test_a_missing_measurand_is_the_import_register():
    assert read_meter_values(values({"value": "1500"})).import_wh == 1500.0


@pytest.mark.parametrize(
    "value", ["NaN", "inf", "-Infinity", "1e999", "", "abc", None, [], 1e12, True and "x"]
)
def test_values_that_are_no_measurement_are_counted(value):
    reading = read_meter_values(values(sample("Power.Active.Import", value)))
    assert reading.p_w is None
    assert reading.rejected == 1


def test_soc_comes_in_two_names():
    assert read_meter_values(values(sample("SoC", 55))).soc_pct == 55.0
    assert read_meter_values(values(sample("Display.PresentSOC", 56))).soc_pct == 56.0


@given(st.floats(0.0, 4e9))
def test_times_survive_to_the_millisecond(t_utc_s):
    assert parse_utc(format_utc(t_utc_s)) == pytest.approx(t_utc_s, abs=1.1e-3)


@pytest.mark.parametrize("text", [None, "", "yesterday", 5, "2026-13-01T00:00:00Z", "x" * 99])
def test_what_is_no_time_is_none(text):
    assert parse_utc(text) is None


def test_a_time_without_zone_is_utc():
    assert parse_utc("2026-01-01T00:00:00") == parse_utc("2026-01-01T01:00:00+01:00")

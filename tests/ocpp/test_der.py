"""The DER register: priority, defaults, schedules, superseding and announcements (block R)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ocpp import CallError, Version, schemas
from agent.ocpp.der import DerType, field_of, read_control
from agent.ocpp.der_register import CHUNK, DerRegister, StartStop
from agent.ocpp.timestamps import format_utc

T0 = 1_767_225_600.0
SETTINGS = {
    "freqDroop": {
        "overFreq": 50.2, "underFreq": 49.8, "overDroop": 5.0, "underDroop": 5.0, "responseTime": 1,
    },
    "fixedVar": {"setpoint": 20.0, "unit": "PctMaxVar"},
    "fixedPFInject": {"displacement": 0.95, "excitation": True},
    "fixedPFAbsorb": {"displacement": 0.95, "excitation": True},
    "enterService": {"highVoltage": 253.0, "lowVoltage": 207.0, "highFreq": 50.1, "lowFreq": 49.9},
    "gradient": {"gradient": 1.0, "softGradient": 10.0},
    "limitMaxDischarge": {"pctMaxDischargePower": 50.0},
    "curve": {"yUnit": "PctMaxVar", "curveData": [{"x": 90, "y": 44}, {"x": 110, "y": -44}]},
}  # fmt: skip


def request(control_id, control_type=DerType.FREQ_DROOP, priority=0, start_s=None, duration_s=60.0):
    field = field_of(control_type)
    setting = {"priority": priority, **SETTINGS[field]}
    if start_s is not None:
        setting |= {"startTime": format_utc(T0 + start_s), "duration": duration_s}
    return {
        "isDefault": start_s is None,
        "controlId": control_id,
        "controlType": control_type.value,
        field: setting,
    }


def control(*arguments, **options):
    return read_control(request(*arguments, **options))


@pytest.mark.parametrize("control_type", list(DerType))
def test_every_control_type_fits_the_schema_and_comes_back_whole(control_type):
    payload = request("c", control_type)
    schemas.check_request(Version.V21, "SetDERControl", payload)
    assert read_control(payload).request() == payload


def test_a_setting_of_another_type_is_refused():
    wrong = request("c") | {"controlType": "VoltVar"}
    with pytest.raises(CallError, match="curve"):
        read_control(wrong)
    with pytest.raises(CallError):
        read_control(request("c") | {"curve": SETTINGS["curve"]})


def test_defaults_have_no_schedule_and_others_must_have_one():
    scheduled_default = request("c", start_s=0.0) | {"isDefault": True}
    with pytest.raises(CallError, match="default"):
        read_control(scheduled_default)
    with pytest.raises(CallError, match="startTime"):
        read_control(request("c") | {"isDefault": False})
    with pytest.raises(CallError, match="only be a default"):
        read_control(request("c", DerType.ENTER_SERVICE, start_s=0.0))


def test_the_lower_priority_number_wins_and_a_tie_goes_to_the_newer():
    register = DerRegister()
    register.set(control("low", priority=5))
    outcome = register.set(control("high", priority=1))
    assert outcome.superseded_ids == ("low",)
    assert register.effective(DerType.FREQ_DROOP, T0).control_id == "high"
    assert register.set(control("lower", priority=3)).superseded_ids == ()
    assert register.effective(DerType.FREQ_DROOP, T0).control_id == "high"
    assert register.set(control("same", priority=1)).superseded_ids == ("high",)
    assert register.effective(DerType.FREQ_DROOP, T0).control_id == "same"


def test_control_types_do_not_compete():
    register = DerRegister()
    register.set(control("a", DerType.FREQ_DROOP, priority=5))
    assert register.set(control("b", DerType.VOLT_VAR, priority=0)).superseded_ids == ()


def test_an_active_scheduled_control_overrides_the_default():
    register = DerRegister()
    register.set(control("default", priority=0))
    register.set(control("planned", priority=9, start_s=10.0, duration_s=20.0))
    in_force = [register.effective(DerType.FREQ_DROOP, T0 + t).control_id for t in (9, 10, 29, 30)]
    assert in_force == ["default", "planned", "planned", "default"]


def test_replacing_an_active_control_waits_for_its_start_and_is_announced():
    register = DerRegister()
    register.set(control("first", priority=1, start_s=0.0, duration_s=100.0))
    assert register.advance(T0) == [StartStop("first", started=True)]
    outcome = register.set(control("second", priority=0, start_s=50.0, duration_s=10.0))
    assert outcome.superseded_ids == ("first",)
    assert register.advance(T0 + 49.0) == []
    assert register.advance(T0 + 50.0) == [StartStop("second", True, ("first",))]
    assert register.advance(T0 + 60.0) == [StartStop("first", True, ("second",))]
    assert register.advance(T0 + 100.0) == [StartStop("first", started=False)]
    assert len(register) == 0


def test_clearing_names_one_a_type_or_all():
    register = DerRegister()
    register.set(control("a"))
    register.set(control("b", DerType.VOLT_VAR))
    register.set(control("c", DerType.VOLT_VAR, start_s=0.0))
    assert register.clear(True, control_id="nobody") == "NotFound"
    assert register.clear(True, DerType.VOLT_VAR) == "Accepted"
    assert [each.control_id for each in register] == ["a", "c"]
    assert register.clear(False) == "Accepted"
    assert register.clear(True, control_id="a") == "Accepted"
    assert len(register) == 0


def test_reports_come_in_chunks_and_rebuild_the_register():
    register = DerRegister()
    types = list(DerType)
    for number, control_type in enumerate(types):
        register.set(control(f"id{number}", control_type, priority=number % 3))
    register.set(control("planned", start_s=5.0))
    reports = register.reports(7, register.find())
    assert [report["tbc"] for report in reports] == [True] * (len(reports) - 1) + [False]
    assert len(reports) == -(-(len(types) + 1) // CHUNK)
    mirror = DerRegister()
    for report in reports:
        schemas.check_request(Version.V21, "ReportDERControl", report)
        mirror.load(report)
    assert {each.control_id: each for each in mirror} == {
        each.control_id: each for each in register
    }


def test_one_alarm_level_a_control_type():
    register = DerRegister()
    register.alarm(DerType.LF_MUST_TRIP, "UnderFrequency", ended=False)
    register.alarm(DerType.LF_MUST_TRIP, "LocalEmergency", ended=False)
    assert register.alarms == {DerType.LF_MUST_TRIP: "LocalEmergency"}
    register.alarm(DerType.LF_MUST_TRIP, None, ended=True)
    assert register.alarms == {}


def test_what_the_equipment_lacks_is_not_supported():
    register = DerRegister(supported=frozenset({DerType.FREQ_DROOP}))
    assert register.set(control("a", DerType.VOLT_VAR)).status == "NotSupported"
    assert register.set(control("b")).status == "Accepted"
    assert register.set(control("b", DerType.VOLT_VAR)).status == "NotSupported"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 50)), max_size=12))
def test_exactly_the_best_control_is_not_superseded_at_any_instant(rows):
    register = DerRegister()
    for number, (name, priority, start_s) in enumerate(rows):
        register.set(
            control(f"{name}", priority=priority, start_s=float(start_s), duration_s=10.0 + number)
        )
    for t in range(0, 80, 5):
        best = register.effective(DerType.FREQ_DROOP, T0 + t)
        active = [each for each in register if each.start_utc_s <= T0 + t < each.end_utc_s]
        assert (best is None) == (not active)
        if best is not None:
            assert best.priority == min(each.priority for each in active)

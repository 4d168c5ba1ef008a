"""Orders as charging profiles: signs, the dead-man, what each version and mode can say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import RefusedError
from agent.ocpp import Version, schemas
from agent.ocpp.profiles import Order, order_request
from agent.ocpp.v2x import (
    OperationMode,
    V2xPeriod,
    droop_curve,
    mode_request,
    period_payload,
    schedule_update,
)

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
powers = st.floats(-1e6, 1e6)


def order(p_w, transaction_id="7", **options):
    return Order(1, p_w, 30, transaction_id, **options)


def test_golden_v2x_discharge():
    assert order_request(Version.V21, order(5000.0, v2x=True), NOW) == {
        "evseId": 1,
        "chargingProfile": {
            "id": 61851,
            "stackLevel": 8,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Dynamic",
            "transactionId": "7",
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "W",
                    "duration": 30,
                    "chargingSchedulePeriod": [
                        {
                            "startPeriod": 0,
                            "operationMode": "CentralSetpoint",
                            "setpoint": -5000.0,
                        }
                    ],
                }
            ],
        },
    }


def test_golden_1_6_limit_in_amperes():
    request = order_request(Version.V16, order(-6900.0, unit="A"), NOW)
    assert request["csChargingProfiles"]["transactionId"] == 7
    schedule = request["csChargingProfiles"]["chargingSchedule"]
    assert schedule == {
        "startSchedule": "2026-01-01T00:00:00.000Z",
        "duration": 30,
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}],
    }


@pytest.mark.parametrize("version", list(Version))
@given(p_w=powers, seconds=st.integers(1, 3600))
def test_every_order_fits_its_schema_and_is_never_discharge_unless_v2x(version, p_w, seconds):
    limit = Order(1, min(p_w, 0.0), seconds, "7")
    request = order_request(version, limit, NOW)
    schemas.check_request(version, "SetChargingProfile", request)
    text = repr(request)
    assert "setpoint" not in text
    assert "-" not in text.replace("2026-01-01", "")
    if p_w > 0.0:
        with pytest.raises(RefusedError):
            order_request(version, Order(1, p_w, seconds, "7"), NOW)


@given(p_w=powers, q_var=powers)
def test_a_v2x_setpoint_has_the_opposite_sign(p_w, q_var):
    request = order_request(Version.V21, order(p_w, v2x=True, q_var=q_var), NOW)
    schemas.check_request(Version.V21, "SetChargingProfile", request)
    [period] = request["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert period["setpoint"] == pytest.approx(-p_w, abs=0.0501)
    assert math.copysign(1.0, period["setpoint"]) == (
        1.0 if period["setpoint"] == 0 else -math.copysign(1.0, p_w)
    )


@given(p_w=powers, q_var=powers)
def test_a_v2x_setpoint_is_what_the_operation_mode_says(p_w, q_var):
    given_order = order(p_w, v2x=True, q_var=q_var)
    mode = OperationMode.CENTRAL_SETPOINT
    period = V2xPeriod(mode, setpoint_w=p_w, reactive_var=q_var or None)
    assert order_request(Version.V21, given_order, NOW) == mode_request(
        given_order.evse,
        given_order.profile_id,
        given_order.stack_level,
        given_order.transaction_id,
        period,
        given_order.duration_s,
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("version", list(Version))
def test_numbers_that_are_not_finite_never_leave(version, bad):
    for wrong in (order(bad), order(0.0, v2x=True, q_var=bad)):
        with pytest.raises(RefusedError):
            order_request(version, wrong, NOW)
    with pytest.raises(RefusedError):
        period_payload(V2xPeriod(OperationMode.CENTRAL_SETPOINT, setpoint_w=bad))


@pytest.mark.parametrize(
    ("mode", "fields", "allowed"),
    [
        (OperationMode.IDLE, {}, True),
        (OperationMode.IDLE, {"setpoint_w": 1.0}, False),
        (OperationMode.CHARGING_ONLY, {"limit_w": 1.0}, True),
        (OperationMode.CHARGING_ONLY, {}, False),
        (OperationMode.CHARGING_ONLY, {"limit_w": 1.0, "discharge_limit_w": 1.0}, False),
        (OperationMode.CENTRAL_SETPOINT, {}, False),
        (OperationMode.CENTRAL_SETPOINT, {"setpoint_w": 1.0, "reactive_var": 1.0}, True),
        (OperationMode.CENTRAL_FREQUENCY, {"setpoint_w": 1.0, "limit_w": 1.0}, True),
        (OperationMode.CENTRAL_FREQUENCY, {"setpoint_w": 1.0, "reactive_var": 1.0}, False),
        (OperationMode.EXTERNAL_SETPOINT, {"limit_w": 1.0, "discharge_limit_w": 1.0}, True),
        (OperationMode.EXTERNAL_SETPOINT, {"setpoint_w": 1.0}, False),
        (OperationMode.EXTERNAL_LIMITS, {}, True),
        (OperationMode.EXTERNAL_LIMITS, {"limit_w": 1.0}, False),
        (OperationMode.LOCAL_FREQUENCY, {}, False),
        (OperationMode.LOCAL_FREQUENCY, {"freq_watt": ((49.8, 1.0), (50.2, -1.0))}, True),
        (
            OperationMode.LOCAL_FREQUENCY,
            {
                "freq_watt": ((49.8, 1.0), (50.2, -1.0)),
                "signal_watt": ((-1, -1.0), (1, 1.0)),
                "baseline_w": 1.0,
            },
            True,
        ),
        (OperationMode.LOCAL_LOAD_BALANCING, {}, True),
    ],
)
def test_each_mode_permits_its_own_fields(mode, fields, allowed):
    """Table "Limits and setpoints per operation mode" of 2.1 part 2, block Q."""
    period = V2xPeriod(mode, **fields)
    if not allowed:
        with pytest.raises(RefusedError):
            period_payload(period)
        return
    request = mode_request(1, 2, 3, "tx", period, 60, NOW)
    schemas.check_request(Version.V21, "SetChargingProfile", request)


def test_limits_are_magnitudes_and_the_discharge_limit_is_negative_on_the_wire():
    period = V2xPeriod(
        OperationMode.CENTRAL_SETPOINT, setpoint_w=500.0, limit_w=1000.0, discharge_limit_w=2000.0
    )
    payload = period_payload(period)
    assert (payload["setpoint"], payload["limit"], payload["dischargeLimit"]) == (-500, 1000, -2000)
    with pytest.raises(RefusedError, match="magnitude"):
        period_payload(V2xPeriod(OperationMode.CHARGING_ONLY, limit_w=-1.0))


def test_a_setpoint_by_phase_uses_the_names_of_the_phases():
    payload = period_payload(
        V2xPeriod(OperationMode.CENTRAL_SETPOINT, setpoint_w=(300.0, 200.0, -100.0))
    )
    assert {key: value for key, value in payload.items() if key.startswith("setpoint")} == {
        "setpoint": -300.0,
        "setpoint_L2": -200.0,
        "setpoint_L3": 100.0,
    }


def test_a_droop_curve_discharges_at_low_frequency():
    curve = droop_curve(50.0, 0.02, 0.05, 11_000.0)
    payload = period_payload(V2xPeriod(OperationMode.LOCAL_FREQUENCY, freq_watt=curve))
    points = payload["v2xFreqWattCurve"]
    assert [point["power"] for point in points] == [-11000.0, 0.0, 0.0, 11000.0]
    assert [point["frequency"] for point in points] == pytest.approx([47.48, 49.98, 50.02, 52.52])


@pytest.mark.parametrize(
    "curve", [((50.0, 0.0),), ((50.0, 1.0), (50.0, 2.0)), ((51.0, 1.0), (50.0, 2.0))]
)
def test_a_curve_must_be_a_function(curve):
    with pytest.raises(RefusedError):
        period_payload(V2xPeriod(OperationMode.LOCAL_FREQUENCY, freq_watt=curve))


def test_a_schedule_update_carries_values_only():
    update = schedule_update(V2xPeriod(OperationMode.CENTRAL_SETPOINT, setpoint_w=(1.0, 2.0, 3.0)))
    assert update == {"setpoint": -1.0, "setpoint_L2": -2.0, "setpoint_L3": -3.0}
    payload = {"chargingProfileId": 1, "scheduleUpdate": update}
    schemas.check_request(Version.V21, "UpdateDynamicSchedule", payload)

"""The schemas of three versions, and the error codes that the specification gives."""

import pytest

from agent.ocpp import CallError, ErrorCode, Version, schemas

BOOT = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}


def code_of(version, action, payload):
    with pytest.raises(CallError) as caught:
        schemas.check_request(version, action, payload)
    return caught.value.spelled(version)


def test_valid_requests_pass():
    schemas.check_request(Version.V21, "BootNotification", BOOT)
    schemas.check_request(Version.V201, "BootNotification", BOOT)
    schemas.check_request(
        Version.V16, "BootNotification", {"chargePointVendor": "v", "chargePointModel": "m"}
    )


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({}, "OccurrenceConstraintViolation"),
        ({**BOOT, "reason": 1}, "TypeConstraintViolation"),
        ({**BOOT, "reason": "Boredom"}, "PropertyConstraintViolation"),
        ({**BOOT, "colour": "red"}, "FormatViolation"),
        (
            {"reason": "PowerUp", "chargingStation": {"model": "m" * 21, "vendorName": "v"}},
            "PropertyConstraintViolation",
        ),
    ],
)
def test_violations_have_the_codes_of_2x(payload, code):
    assert code_of(Version.V21, "BootNotification", payload) == code


def test_1_6_spells_its_codes_its_own_way():
    assert code_of(Version.V16, "BootNotification", {}) == "OccurenceConstraintViolation"
    heartbeat = code_of(Version.V16, "Heartbeat", {"a": 1})
    assert heartbeat == "FormationViolation"


@pytest.mark.parametrize("action", ["NoSuchAction", "", "../Heartbeat", "Heartbeat\x00", "A" * 99])
@pytest.mark.parametrize("version", list(Version))
def test_unknown_actions_are_not_implemented(version, action):
    assert code_of(version, action, {}) == ErrorCode.NOT_IMPLEMENTED.value


def test_names_with_underscores_and_capitals_survive():
    """`setpoint_L2`, `fixedPFInject`: the names that a converting library breaks."""
    period = {
        "startPeriod": 0,
        "operationMode": "CentralSetpoint",
        "setpoint": -3000.0,
        "setpoint_L2": -2000.0,
        "setpoint_L3": -1000.0,
        "dischargeLimit_L2": -3000.0,
    }
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Dynamic",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
        ],
    }
    payload = {"evseId": 1, "chargingProfile": profile}
    schemas.check_request(Version.V21, "SetChargingProfile", payload)
    control = {
        "isDefault": True,
        "controlId": "c",
        "controlType": "FixedPFInject",
        "fixedPFInject": {"priority": 0, "displacement": 0.95, "excitation": True},
    }
    schemas.check_request(Version.V21, "SetDERControl", control)


def test_validation_changes_no_payload():
    payload = {
        "connectorId": 1,
        "meterValue": [{"timestamp": "x", "sampledValue": [{"value": "1"}]}],
    }
    before = repr(payload)
    schemas.check_request(Version.V16, "MeterValues", payload)
    assert repr(payload) == before


def test_decimal_fractions_of_1_6_limits_pass():
    """7.3 is no multiple of 0.1 in binary floating point, and still a good limit."""
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7.3}],
    }
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    payload = {"connectorId": 1, "csChargingProfiles": profile}
    schemas.check_request(Version.V16, "SetChargingProfile", payload)


def test_send_actions_are_those_without_a_response():
    assert schemas.is_unconfirmed(Version.V21, "NotifyPeriodicEventStream")
    assert not schemas.is_unconfirmed(Version.V21, "TransactionEvent")
    assert not schemas.is_unconfirmed(Version.V201, "NotifyPeriodicEventStream")


@pytest.mark.parametrize("version", list(Version))
def test_every_schema_compiles_and_accepts_or_refuses_an_empty_object(version):
    for name in schemas.names(version):
        action = name.removesuffix("Request").removesuffix("Response")
        check = schemas.check_response if name.endswith("Response") else schemas.check_request
        try:
            check(version, action, {})
        except CallError as error:
            assert error.code is ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, name

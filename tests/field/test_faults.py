"""Red lights and safety stops: several devices at one EVSE, a control that comes back."""

import pytest

from agent.config.field import FieldDevice
from agent.errors import AlarmCode
from agent.messages import Alarm, ControlRequest, RequestKind
from agent.vehicles.field.faults import RENEW_S, FaultPanel, faults
from agent.vehicles.field.readings import Readings


@pytest.fixture
def said():
    return []


@pytest.fixture
def panel(said):
    return FaultPanel(said.append, "field")


def test_a_light_stays_red_until_no_device_sees_a_fault(panel, said):
    panel.evse_fault("inverter1", "inverter1", "ground fault", 1.0)
    panel.evse_fault("inverter1", "analyser1", "", 1.1)
    panel.evse_fault("inverter1", "inverter1", "ground fault", 1.2)
    assert [(a.active, a.text) for a in said] == [(True, "ground fault; EVSE LED red")]
    panel.evse_fault("inverter1", "analyser1", "DC injection", 2.0)
    panel.evse_fault("inverter1", "inverter1", "", 2.1)
    assert said[-1].text == "DC injection; EVSE LED red" and said[-1].active
    panel.evse_fault("inverter1", "analyser1", "", 3.0)
    assert not said[-1].active
    assert said[-1].since_utc_s == 1.0


def test_a_stop_is_renewed_while_the_fault_stands_and_withdrawn_once(panel, said):
    panel.stop("CS1/1", "ground fault", 0.0, 1000.0)
    panel.stop("CS1/1", "ground fault", RENEW_S - 1.0, 1001.0)
    assert len(said) == 1
    panel.stop("CS1/1", "ground fault", RENEW_S + 1.0, 1021.0)
    assert [r.kind for r in said] == [RequestKind.STOP] * 2
    assert said[0].lease_s > RENEW_S
    for now_s in (30.0, 31.0):
        panel.stop("CS1/1", "", now_s, 1030.0)
    assert [r.kind for r in said[2:]] == [RequestKind.WITHDRAW]
    assert said[2].setting == said[0].request_id


def test_a_control_that_comes_back_hears_alarms_and_stops_again(panel, said):
    panel.set(AlarmCode.STATION_LOST, "pq1", "not reached", "look", 5.0)
    panel.stop("CS1/1", "ground fault", 0.0, 1000.0)
    said.clear()
    panel.restate()
    panel.stop("CS1/1", "ground fault", 1.0, 1001.0)
    assert [type(message) for message in said] == [Alarm, ControlRequest]


@pytest.mark.parametrize(
    ("readings", "text"),
    [
        (Readings(), ""),
        (Readings(ground_fault=True), "ground fault"),
        (Readings(ground_fault=True, faults=("ground fault",)), "ground fault"),
        (Readings(dc_injection_a=0.05), ""),
        (Readings(dc_injection_a=-0.09), "DC injection of -0.09 A (limit 0.08 A)"),
        (Readings(dc_injection=True), "DC injection"),
        (Readings(faults=("over temp",), ground_fault=True), "over temp, ground fault"),
    ],
)
def test_what_makes_the_light_red(readings, text):
    device = FieldDevice(name="d", role="analyser", host="h", dc_injection_limit_a=0.08)
    assert faults(device, readings) == text

"""The worst energy that a spoofed stream can extract, as `docs/security.md` states it."""

import msgspec
import pytest

from agent.control import Inputs, Now, initial_state, parameters_from, step
from agent.messages import EvseStatus, Measurement, Validity

UTC = 1_700_000_000.0
RATED_W = 11_000.0
TICK_S = 0.02
SPOOFED_S = 15.0
EVSE = EvseStatus(
    evse_id="CS1/1",
    protocol="ocpp2.1",
    online=True,
    plugged=True,
    t_utc_s=UTC,
    published_s=0.0,
    p_w=0.0,
    charge_max_w=RATED_W,
    discharge_max_w=RATED_W,
    soc_pct=60.0,
    capacity_wh=60_000.0,
)


def report(source: str, f_hz: float, now_s: float) -> Measurement:
    return Measurement(
        source, UTC + now_s, f_hz, 0.0, 230.0, Validity.GOOD, now_s, now_s, v_phase_v=(230.0,) * 3
    )


def energy_j(spoofed: tuple[str, ...], honest: tuple[str, ...], f_hz: float) -> tuple[float, float]:
    """Energy exported in `SPOOFED_S`, and the last power; the EVSE obeys at once."""
    parameters = parameters_from(nominal_hz=50)
    state, power_w, energy = initial_state(parameters), 0.0, 0.0
    status = EVSE
    for tick in range(int((SPOOFED_S + 5) / TICK_S)):
        now_s = 100 + tick * TICK_S
        lying = tick * TICK_S >= 5
        measurements = tuple(report(n, f_hz if lying else 50.0, now_s) for n in spoofed)
        measurements += tuple(report(n, 50.0, now_s) for n in honest)
        state, out = step(
            state,
            Inputs(measurements=measurements, evses=(status,)),
            Now(now_s, UTC + now_s),
        )
        for setpoint in out.setpoints:
            power_w = setpoint.p_w
        status = msgspec.structs.replace(
            status, p_w=power_w, setpoint_w=power_w, published_s=now_s, t_utc_s=UTC + now_s
        )
        energy += max(power_w, 0.0) * TICK_S if lying else 0.0
    return energy, power_w


@pytest.mark.parametrize("f_hz", [49.7, 48.0])
def test_one_of_three_sources_extracts_nothing(f_hz):
    energy, power_w = energy_j(("MU01",), ("MU02", "meter"), f_hz)
    assert energy == 0.0
    assert power_w == 0.0


@pytest.mark.parametrize("f_hz", [49.9, 48.0])
def test_one_of_two_sources_extracts_at_most_a_second_and_a_half_of_rated_power(f_hz):
    energy, power_w = energy_j(("MU01",), ("MU02",), f_hz)
    assert 0 < energy <= 1.5 * RATED_W
    assert power_w == 0.0


def test_the_only_source_extracts_rated_power_while_it_lasts_and_no_more():
    energy, power_w = energy_j(("MU01",), (), 48.0)
    assert power_w == RATED_W
    assert energy <= RATED_W * (SPOOFED_S + TICK_S)

"""One contract for every adapter that carries EVSEs: what the control may rely on.

The order of the tests is that of a session; the last one takes the equipment away.
"""

import math
import time

import pytest

from agent.messages import EvseStatus, OrderSent, Validity


def test_an_evse_says_what_it_permits_and_what_it_does(adapter):
    status = adapter.status
    assert status.quality is Validity.GOOD
    assert status.charge_max_w >= 0.0 and status.discharge_max_w > 0.0
    assert abs(status.t_utc_s - time.time()) < 60.0
    adapter.until(lambda: adapter.status.p_w is not None)


def test_an_order_is_answered_and_followed(adapter):
    for p_w in (3000.0, -2000.0, 1500.0):
        result = adapter.answer(adapter.order(p_w))
        assert result.accepted, result
        adapter.until(lambda p_w=p_w: adapter.delivers(p_w))
        assert adapter.last(OrderSent, seq=adapter.seq).p_w == pytest.approx(p_w, abs=1.0)


def test_the_same_order_again_changes_nothing(adapter):
    adapter.answer(adapter.order(2500.0))
    adapter.until(lambda: adapter.delivers(2500.0))
    before = len(adapter.received)
    issued_s = time.monotonic()
    for _ in range(3):
        adapter.order(2500.0, seq=adapter.seq, issued_s=issued_s)
    start_s = time.monotonic()
    adapter.until(lambda: time.monotonic() > start_s + 1.5)
    reported = [m.p_w for m in adapter.received[before:] if isinstance(m, EvseStatus)]
    assert all(abs(p_w - 2500.0) <= adapter.tolerance_w for p_w in reported)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_power_never_reaches_the_vehicle(adapter, value):
    adapter.answer(adapter.order(2000.0))
    adapter.until(lambda: adapter.delivers(2000.0))
    before = len(adapter.received)
    adapter.order(value)
    start_s = time.monotonic()
    adapter.until(lambda: time.monotonic() > start_s + 1.0)
    for message in adapter.received[before:]:
        if isinstance(message, EvseStatus):
            assert message.p_w is not None and math.isfinite(message.p_w)
            assert -11_000.0 <= message.p_w <= 11_000.0
            assert message.setpoint_w is None or math.isfinite(message.setpoint_w)
    assert adapter.answer(adapter.order(1000.0)).accepted
    adapter.until(lambda: adapter.delivers(1000.0))


def test_an_order_ends_with_its_lease(adapter):
    adapter.answer(adapter.order(3500.0, lease_s=3.0))
    adapter.until(lambda: adapter.delivers(3500.0))
    adapter.until(lambda: not adapter.delivers(3500.0) and adapter.status.p_w < 100.0)


def test_equipment_that_is_gone_is_told_at_once_and_not_taken_for_power(adapter):
    adapter.answer(adapter.order(1000.0))
    adapter.until(lambda: adapter.delivers(1000.0))
    adapter.device.kill()

    def lost():
        status = adapter.status
        usable = status.online and status.plugged and status.quality is Validity.GOOD
        return not usable and not (status.p_w or 0.0) > 100.0

    adapter.until(lost)

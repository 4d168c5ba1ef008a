"""The worker with devices on loopback: orders, leases, watchdog, stalled and lying devices."""

import asyncio
import time

import pytest

from agent.errors import AlarmCode
from agent.messages import (
    Alarm,
    ControlRequest,
    FieldReading,
    Measurement,
    OrderResult,
    OrderSent,
    RequestKind,
    Validity,
)
from agent.vehicles.field.description import find_description, shipped_folder
from agent.vehicles.field.inverter import REVERSION_S
from agent.vehicles.simulated.analyser import SimulatedAnalyser
from tests.field.site import Inverter, Site, device, served

JANITZA = find_description("janitza-umg604", (shipped_folder(),))


def run(scenario):
    asyncio.run(scenario)


def order_writes(inverter):
    control = inverter.map.models[704]
    at = control.address + control.points["WSetEna"].offset
    return [write for write in inverter.writes if write[1] == at and len(write[2]) == 4]


def test_an_order_reaches_the_inverter_and_its_power_comes_back(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            status = site.status()
            assert (status.charge_max_w, status.discharge_max_w) == (11_000.0, 11_000.0)
            assert (status.soc_pct, status.capacity_wh, status.model) == (
                60.0,
                60_000.0,
                "Simulated inverter",
            )
            result = await site.result(site.order(4000.0))
            assert result.accepted
            assert site.last(OrderSent).p_w == 4000.0
            await site.until(lambda: site.status().p_w == 4000.0)
            assert site.status().setpoint_w == 4000.0
            assert (await site.result(site.order(-2500.0, q_var=800.0))).accepted
            await site.until(lambda: (site.status().p_w, site.status().q_var) == (-2500.0, 800.0))

    run(scenario())


def test_an_order_is_renewed_until_its_lease_ends_and_then_zero(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            await site.result(site.order(3000.0, lease_s=REVERSION_S + 2.5))
            ordered_s = time.monotonic()
            await site.until(lambda: time.monotonic() > ordered_s + REVERSION_S + 1.0)
            assert inverter.map.get(704, "WSet") == 3000.0
            await site.until(lambda: site.status().p_w == 0.0)
            assert inverter.map.get(704, "WSet") == 0.0

    run(scenario())


def test_the_same_order_again_writes_nothing_more_than_its_renewal(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            await site.result(site.order(1500.0))
            written, start_s = len(order_writes(inverter)), time.monotonic()
            for _ in range(20):
                assert (await site.result(site.order(1500.0))).accepted
            renewals = time.monotonic() - start_s + 1.0
            assert len(order_writes(inverter)) - written <= renewals
            assert {write[2] for write in order_writes(inverter)} == {(1, 1, 0, 1500)}

    run(scenario())


def test_bad_orders_are_refused_with_their_reason(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            for value in (float("nan"), float("inf"), 11_500.0, -11_500.0):
                result = await site.result(site.order(value))
                assert not result.accepted and result.reason
            late = await site.result(site.order(100.0, issued_s=time.monotonic() - 60.0))
            assert "lease" in late.reason
            assert all(write[2][2:] == (0, 0) for write in order_writes(inverter))

    run(scenario())


def test_an_inverter_that_refuses_or_forgets_the_write_refuses_the_order(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            inverter.refuse = 3
            assert not (await site.result(site.order(1000.0))).accepted
            inverter.refuse = None
            await site.ready()
            assert (await site.result(site.order(1000.0))).accepted

    run(scenario())


def test_when_the_control_is_gone_the_inverter_goes_to_zero_within_its_reversion_time(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            await site.result(site.order(5000.0, lease_s=600.0))
            await site.until(lambda: site.status().p_w == 5000.0)
            site.hub.close()
            site.hub = None
            gone_s = time.monotonic()
            while inverter.p_w > 0.0:
                inverter.step()
                assert time.monotonic() < gone_s + 3 * REVERSION_S
                await asyncio.sleep(0.02)
            last_s = max(write[0] for write in order_writes(inverter))
            assert last_s < gone_s + 0.5
            assert time.monotonic() - last_s < REVERSION_S + 1.0

    run(scenario())


def test_an_orderly_end_of_the_worker_orders_zero_at_once(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port:
            async with Site(tmp_path, [device(port=port)]) as site:
                await site.ready()
                await site.result(site.order(5000.0))
            assert inverter.map.get(704, "WSet") == 0.0

    run(scenario())


def test_the_worker_ends_although_a_cancellation_meets_a_devices_answer(tmp_path):
    """`asyncio.wait_for` of Python 3.11 then returns the answer; the worker must not go on."""

    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port:
            async with Site(tmp_path, [device(port=port)]) as site:
                await site.ready()
                task, asked = site.worker.tasks["inverter1"], []
                run = task.conversation.run

                async def lossy(dialogue):
                    asked.append(dialogue)
                    try:
                        return await asyncio.shield(asyncio.ensure_future(run(dialogue)))
                    except asyncio.CancelledError:
                        return task.readings

                task.conversation.run = lossy
                await site.until(lambda: len(asked) > 3)
            assert site.running.done()

    run(scenario())


def test_a_stalled_and_an_absent_device_delay_no_other(tmp_path):
    async def scenario():
        good, stalled = Inverter(), Inverter()
        async with served(good.device()) as port, served(stalled.device()) as slow:
            devices = [
                device("good", port=port, poll_s=0.1),
                device("slow", port=slow, timeout_s=0.5),
                device("absent", port=1),
            ]
            async with Site(tmp_path, devices) as site:
                await site.ready("good")
                await site.ready("slow")
                stalled.stall_s = 100.0
                await site.until(lambda: not site.status("slow").online)
                before, start_s = site.worker.tasks["good"].counters.polls, time.monotonic()
                taken_s = []
                for step in range(10):
                    at_s = time.monotonic()
                    await site.result(site.order(100.0 * (step + 1), evse_id="good"), "good")
                    taken_s.append(time.monotonic() - at_s)
                elapsed_s = time.monotonic() - start_s
                polls = site.worker.tasks["good"].counters.polls - before
                assert sorted(taken_s)[5] < 0.5
                assert polls >= 1 or elapsed_s < 0.2
                assert not (await site.result(site.order(5.0, evse_id="slow"), "slow")).accepted
                stalled.stall_s = 0.0
                await site.ready("slow")

    run(scenario())


def test_a_device_that_lies_loses_its_quality_and_raises_an_alarm(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            inverter.grid_hz = 25.0
            await site.until(lambda: site.status().quality is Validity.INVALID)
            found = await site.until(lambda: site.alarm(AlarmCode.STATION_LOST, "inverter1"))
            assert "25 Hz" in found.text
            inverter.grid_hz = 50.0
            await site.until(lambda: site.status().quality is Validity.GOOD)
            await site.until(lambda: site.alarm(AlarmCode.STATION_LOST, "inverter1") is None)

    run(scenario())


def test_a_ground_fault_in_the_inverter_turns_its_light_red(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            inverter.alarm(1)
            await site.until(lambda: site.status().fault == "ground fault")
            found = await site.until(lambda: site.alarm(AlarmCode.EVSE_FAULT, "inverter1"))
            assert found.text == "ground fault; EVSE LED red"
            inverter.alarm(0)
            await site.until(lambda: site.alarm(AlarmCode.EVSE_FAULT, "inverter1") is None)
            assert site.status().fault == ""

    run(scenario())


ANALYSER_FILE = """
name = "Test analyser"
source = "made for this test"
[groups]
fast = 0.1
[[value]]
quantity = "p_w"
address = 0
type = "float32"
unit = "W"
[[value]]
quantity = "dc_injection_a"
address = 2
type = "float32"
unit = "A"
[[input]]
quantity = "ground_fault"
address = 7
"""


def test_dc_injection_and_ground_fault_at_an_evse_stop_it_with_the_rank_of_safety(tmp_path):
    async def scenario():
        (tmp_path / "analyser.toml").write_text(ANALYSER_FILE)
        values = {"p_w": 1000.0, "dc_injection_a": 0.05}
        analyser = SimulatedAnalyser(
            find_description(str(tmp_path / "analyser.toml"), ()), lambda: values
        )
        async with served(analyser.device()) as port:
            keys = {"type": "analyser.toml", "evse": "CS1/1", "dc_injection_limit_a": 0.08}
            async with Site(tmp_path, [device("pq1", "analyser", port, **keys)]) as site:
                await site.until(lambda: site.last(FieldReading, device="pq1"))
                values["dc_injection_a"] = -0.12
                found = await site.until(lambda: site.alarm(AlarmCode.EVSE_FAULT, "CS1/1"))
                assert found.text == "DC injection of -0.12 A (limit 0.08 A); EVSE LED red"
                stop = await site.until(lambda: site.last(ControlRequest))
                assert (stop.kind, stop.target, stop.authority) == (RequestKind.STOP, "CS1/1", 0)
                values |= {"dc_injection_a": 0.0, "ground_fault": 1.0}
                red = "ground fault; EVSE LED red"
                await site.until(lambda: site.last(Alarm, source="CS1/1", active=True, text=red))
                values["ground_fault"] = 0.0
                await site.until(lambda: site.alarm(AlarmCode.EVSE_FAULT, "CS1/1") is None)
                end = await site.until(lambda: site.last(ControlRequest, kind=RequestKind.WITHDRAW))
                assert end.setting == stop.request_id

    run(scenario())


def test_a_meter_at_the_point_of_connection_is_a_source_of_frequency_and_power(tmp_path):
    async def scenario():
        values = {"f_hz": 49.93, "p_w": 2400.0, "p_l1_w": 800.0, "p_l2_w": 800.0, "p_l3_w": 800.0}
        values |= {f"v_l{n}_v": 229.0 + n for n in (1, 2, 3)}
        analyser = SimulatedAnalyser(JANITZA, lambda: values)
        async with served(analyser.device()) as port:
            table = device("pcc", "meter", port, type="janitza-umg604", frequency=True)
            async with Site(tmp_path, [table]) as site:
                found = await site.until(lambda: site.last(Measurement))
                assert found.source == "pcc"
                assert found.f_hz == pytest.approx(49.93, abs=1e-5)
                assert found.p_w == pytest.approx(2400.0)
                assert found.v1_v == pytest.approx(231.0)
                assert found.uncertainty_hz == 0.01
                assert found.quality is Validity.GOOD
                values["f_hz"] = 5.0
                await site.until(lambda: site.last(Measurement).quality is Validity.INVALID)

    run(scenario())


def test_an_older_order_than_the_one_in_force_is_refused(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port, Site(tmp_path, [device(port=port)]) as site:
            await site.ready()
            await site.result(site.order(1000.0, seq=10))
            site.order(500.0, seq=9, issued_s=time.monotonic() - 5.0)
            result = await site.until(lambda: site.last(OrderResult, seq=9))
            assert "older" in result.reason
            assert inverter.map.get(704, "WSet") == 1000.0

    run(scenario())

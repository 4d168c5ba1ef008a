"""Orders on real sockets: what leaves, what comes back, and what the control is told."""

import asyncio
import math
import time

import pytest

from agent.messages import EvseStatus, GridSignal, ModeOrder, OrderSent, Setpoint, Validity
from agent.ocpp import Version
from agent.vehicles.stations.capability import StationModel, StationModels
from agent.vehicles.stations.dialect import Policy


def period_of(message):
    profile = message[3].get("chargingProfile") or message[3]["csChargingProfiles"]
    schedule = profile["chargingSchedule"]
    schedule = schedule[0] if isinstance(schedule, list) else schedule
    return schedule, schedule["chargingSchedulePeriod"][0]


def test_a_v2x_station_is_discharged_with_a_dead_man(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            status = here.status()
            assert (status.charge_max_w, status.discharge_max_w) == (11000.0, 10000.0)
            before = time.monotonic()
            await here.order(5000.0, lease_s=12.5, wire_s=1.25)
            message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            schedule, period = period_of(message)
            assert period["operationMode"] == "CentralSetpoint"
            assert period["setpoint"] == -5000.0
            assert schedule["duration"] == 12
            assert message[3]["chargingProfile"]["transactionId"] == "tx1"
            assert (await here.result()).accepted
            sent = here.sent()
            assert sent.p_w == 5000.0
            assert sent.wire_s == 1.25
            assert before <= sent.sent_s <= time.monotonic()
            await here.until(lambda: here.status().setpoint_w == 5000.0)

    asyncio.run(scenario())


@pytest.mark.parametrize("version", [Version.V201, Version.V16])
def test_older_stations_are_charged_less_but_never_discharged(site, version):
    async def scenario():
        async with site() as here:
            peer = await here.charging(version=version)
            status = here.status()
            assert status.discharge_max_w == 0.0
            assert status.base_w == -11000.0
            assert "discharge" in status.cannot
            for seq, (ordered, limit) in enumerate(((-4000.0, 4000.0), (5000.0, 0.0)), start=1):
                await here.order(ordered, seq=seq)
                message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
                schedule, period = period_of(message)
                assert period == {"startPeriod": 0, "limit": limit}
                assert schedule["duration"] == 30 or schedule["duration"] == 29
                assert (await here.result(seq)).accepted
                assert here.sent(seq).p_w == -limit

    asyncio.run(scenario())


def test_a_2_1_vehicle_that_did_not_ask_for_bpt_is_only_limited(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            await peer.call("BootNotification", messages["boot_2"])
            await peer.call("TransactionEvent", messages["transaction"]("Started"))
            assert here.status().discharge_max_w == 0.0
            await here.order(5000.0)
            _, period = period_of(await peer.expect("SetChargingProfile", {"status": "Accepted"}))
            assert period == {"startPeriod": 0, "limit": 0.0}

    asyncio.run(scenario())


@pytest.mark.parametrize("p_w", [math.nan, math.inf, -math.inf])
def test_setpoints_that_are_not_finite_never_reach_a_station(site, p_w):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            await here.order(p_w)
            result = await here.result()
            assert not result.accepted
            assert "finite" in result.reason
            assert here.sent() is None
            assert all(call[2] != "SetChargingProfile" for call in list(peer.calls._queue))

    asyncio.run(scenario())


def test_orders_stay_within_station_and_vehicle(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            for seq, (ordered, on_wire) in enumerate(((1e6, -10000.0), (-1e6, 11000.0)), start=1):
                await here.order(ordered, seq=seq)
                message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
                assert period_of(message)[1]["setpoint"] == on_wire
                await here.result(seq)

    asyncio.run(scenario())


def test_a_rejected_order_is_reported_with_the_stations_reason(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            await here.order(1000.0)
            reply = {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidProfile"}}
            await peer.expect("SetChargingProfile", reply)
            result = await here.result()
            assert (result.accepted, result.reason) == (False, "Rejected InvalidProfile")
            assert here.status().setpoint_w is None

    asyncio.run(scenario())


def test_while_a_station_thinks_only_the_newest_order_waits(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            await here.order(1000.0, seq=1)
            first = await peer.expect("SetChargingProfile")
            for seq in (2, 3, 4):
                await here.order(1000.0 * seq, seq=seq)
            await peer.reply(first, {"status": "Accepted"})
            second = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            assert period_of(second)[1]["setpoint"] == -4000.0
            await here.result(4)
            assert here.fleet.orders.counters.superseded == 2
            assert here.sent(2) is None
            assert here.sent(3) is None

    asyncio.run(scenario())


def test_a_silent_station_delays_no_other(site):
    async def scenario():
        async with site(call_timeout_s=0.3) as here:
            mute = await here.charging("MUTE")
            quick = await here.charging("QUICK")
            await here.order(1000.0, "MUTE/1")
            for seq in range(1, 6):
                await here.order(1000.0 + seq, "QUICK/1", seq=seq)
                await quick.expect("SetChargingProfile", {"status": "Accepted"})
                assert (await here.result(seq, "QUICK/1")).accepted
            result = await here.result(1, "MUTE/1")
            assert not result.accepted
            assert result.reason.startswith("Timeout")
            assert mute.closed.is_set() is False

    asyncio.run(scenario())


def test_a_station_that_is_lost_is_offline_at_once_and_its_order_fails(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            await here.order(1000.0)
            await peer.expect("SetChargingProfile")
            peer.socket.transport.abort()
            status = await here.until(lambda: (s := here.status()) and not s.online and s)
            assert not status.plugged
            assert status.quality is Validity.INVALID
            assert status.p_w is None
            assert (await here.result()).reason.startswith("Closed")
            await here.order(1000.0, seq=2)
            assert (await here.result(2)).reason == "the station is not connected"

    asyncio.run(scenario())


def test_an_order_for_nobody_or_too_late_is_refused(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            await peer.call("BootNotification", messages["boot_2"])
            occupied = {"timestamp": messages["now"](), "connectorStatus": "Available"}
            await peer.call("StatusNotification", {**occupied, "evseId": 1, "connectorId": 1})
            await here.order(1000.0, seq=1)
            assert "no vehicle" in (await here.result(1)).reason
            await peer.call("TransactionEvent", messages["transaction"]("Started"))
            here.fleet.order(Setpoint("CS1/1", 2, 1.0, 1.0, time.monotonic() - 2.0))
            assert "lease" in (await here.result(2)).reason
            told = len(here.told)
            await here.order(1000.0, "OTHER/1", seq=3)
            await here.order(1000.0, "CS1/7", seq=3)
            await here.order(1000.0, "CS1/x", seq=3)
            assert len(here.told) == told

    asyncio.run(scenario())


def test_latency_runs_from_the_order_on_the_wire_to_delivered_power(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            await here.order(5000.0)
            await peer.expect("SetChargingProfile", {"status": "Accepted"})
            sent_s = (await here.until(lambda: here.sent())).sent_s
            half = messages["transaction"]("Updated", power_w=2500.0, seq=1)
            await peer.call("TransactionEvent", half)
            assert math.isnan(here.status().latency_s)
            await asyncio.sleep(0.05)
            await peer.call("TransactionEvent", messages["transaction"]("Updated", power_w=4900.0))
            status = here.status()
            assert status.p_w == 4900.0
            assert 0.05 <= status.latency_s <= time.monotonic() - sent_s

    asyncio.run(scenario())


def test_power_beyond_reason_is_a_fault_of_the_meter(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            await peer.call("TransactionEvent", messages["transaction"]("Updated", power_w=3000.0))
            await peer.call("TransactionEvent", messages["transaction"]("Updated", power_w=3e6))
            assert here.status().p_w == 3000.0
            assert here.fleet.stations["CS1"].evses[1].rejected == 1

    asyncio.run(scenario())


def test_the_capability_table_decides_signs_units_steps_and_pace(site):
    async def scenario():
        model = StationModel(
            name="odd",
            vendor="v",
            model="m",
            setpoint_sign=-1,
            step_w=500.0,
            discharge_max_w=4000.0,
            discharge_min_w=1000.0,
            min_interval_s=0.2,
        )
        policy = Policy(models=StationModels((model,)))
        async with site(policy=policy) as here:
            peer = await here.charging()
            await here.order(3777.0, seq=1)
            message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            assert period_of(message)[1]["setpoint"] == 3500.0
            await here.result(1)
            assert here.sent(1).p_w == 3500.0
            await here.order(9000.0, seq=2)
            await here.order(800.0, seq=3)
            message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            assert period_of(message)[1]["setpoint"] == 0.0
            await here.result(3)
            assert here.sent(2) is None
            assert here.sent(3).sent_s - here.sent(1).sent_s >= 0.2

    asyncio.run(scenario())


def test_a_station_that_takes_updates_gets_them_after_the_first_profile(site):
    async def scenario():
        models = StationModels((StationModel(vendor="v", dynamic_updates=True),))
        async with site(policy=Policy(models=models)) as here:
            peer = await here.charging()
            await here.order(1000.0, seq=1)
            first = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            await here.result(1)
            await here.order(2000.0, seq=2)
            update = await peer.expect("UpdateDynamicSchedule", {"status": "Accepted"})
            assert update[3] == {
                "chargingProfileId": first[3]["chargingProfile"]["id"],
                "scheduleUpdate": {"setpoint": -2000.0},
            }
            assert (await here.result(2)).accepted
            pulled = await peer.call(
                "PullDynamicScheduleUpdate", {"chargingProfileId": update[3]["chargingProfileId"]}
            )
            assert pulled == {"status": "Accepted", "scheduleUpdate": {"setpoint": -2000.0}}
            nothing = await peer.call("PullDynamicScheduleUpdate", {"chargingProfileId": 5})
            assert nothing["status"] == "Rejected"

    asyncio.run(scenario())


def test_what_a_station_says_about_itself_narrows_its_table(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.connect(version=Version.V201)
            await peer.call("BootNotification", messages["boot_2"])
            message = await peer.expect("GetVariables")
            values = {"Enabled": "true", "ProfileStackLevel": "2", "RateUnit": "A"}
            await peer.reply(
                message,
                {
                    "getVariableResult": [
                        {
                            "attributeStatus": "Accepted",
                            "attributeValue": values[item["variable"]["name"]],
                            **item,
                        }
                        for item in message[3]["getVariableData"]
                    ]
                },
            )
            await peer.call("TransactionEvent", messages["transaction"]("Started"))
            await here.order(-6900.0)
            message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            schedule, period = period_of(message)
            assert (schedule["chargingRateUnit"], period["limit"]) == ("A", 10.0)
            assert message[3]["chargingProfile"]["stackLevel"] == 2

    asyncio.run(scenario())


def test_a_1_6_station_without_smart_charging_is_visible_and_takes_no_orders(site):
    async def scenario():
        async with site() as here:
            peer = await here.connect(version=Version.V16)
            await peer.call("BootNotification", {"chargePointVendor": "v", "chargePointModel": "m"})
            features = {"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core"}
            await peer.expect("GetConfiguration", {"configurationKey": [features]})
            start = {"connectorId": 1, "idTag": "t", "meterStart": 0}
            await peer.call("StartTransaction", {**start, "timestamp": "2026-01-01T00:00:00Z"})
            status = await here.until(lambda: (s := here.status()) and s.plugged and s)
            assert status.cannot == ("orders", "discharge", "reactive power")
            assert status.charge_max_w == 0.0
            await here.order(-1000.0)
            assert "no orders" in (await here.result()).reason

    asyncio.run(scenario())


def mode_order(mode, **options):
    return ModeOrder("CS1/1", 9, mode, 60.0, time.monotonic(), **options)


def test_local_frequency_hands_the_droop_to_the_station(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            curve = ((49.0, 20_000.0), (49.98, 0.0), (50.02, 0.0), (51.0, -20_000.0))
            here.fleet.order(
                mode_order(
                    "LocalFrequency", freq_watt=curve, signal_watt=((-1, -500.0), (1, 500.0))
                )
            )
            message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            schedule, period = period_of(message)
            assert period["operationMode"] == "LocalFrequency"
            powers = [point["power"] for point in period["v2xFreqWattCurve"]]
            assert powers == [-10_000.0, 0.0, 0.0, 11_000.0]
            assert schedule["duration"] in {59, 60}
            assert "startSchedule" in schedule
            assert (await here.result(9)).accepted
            await here.until(lambda: here.status().local_frequency)
            here.fleet.signal(GridSignal(1, time.time()))
            signal = await peer.expect("AFRRSignal", {"status": "Accepted"})
            assert signal[3]["signal"] == 1
            await here.order(100.0, seq=10)
            await peer.expect("SetChargingProfile", {"status": "Accepted"})
            await here.until(lambda: not here.status().local_frequency)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("mode", "field"),
    [
        ("Idle", None),
        ("ChargingOnly", "limit"),
        ("ExternalSetpoint", "dischargeLimit"),
        ("CentralFrequency", "setpoint"),
    ],
)
def test_other_modes_of_block_q(site, mode, field):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            here.fleet.order(mode_order(mode, p_w=100.0, discharge_limit_w=5000.0))
            message = await peer.expect("SetChargingProfile", {"status": "Accepted"})
            schedule, period = period_of(message)
            assert period["operationMode"] == mode
            assert field is None or field in period
            assert schedule["duration"] in {59, 60}
            assert (await here.result(9)).accepted

    asyncio.run(scenario())


def test_modes_are_refused_where_they_cannot_be(site):
    async def scenario():
        async with site() as here:
            await here.charging(version=Version.V201)
            here.fleet.order(mode_order("Idle"))
            assert "no operation modes" in (await here.result(9)).reason
        async with site() as here:
            await here.charging()
            here.fleet.order(mode_order("Teleport"))
            assert "no operation mode" in (await here.result(9)).reason
            here.told.clear()
            here.fleet.order(mode_order("LocalFrequency"))
            assert "freq_watt" in (await here.result(9)).reason

    asyncio.run(scenario())


def test_a_vehicle_that_could_discharge_is_asked_to(site, messages):
    async def scenario():
        async with site() as here:
            peer = await here.connect()
            await peer.call("BootNotification", messages["boot_2"])
            await peer.call("TransactionEvent", messages["transaction"]("Started"))
            needs = {
                "requestedEnergyTransfer": "AC_three_phase",
                "availableEnergyTransfer": ["AC_three_phase", "AC_BPT"],
            }
            await peer.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})
            message = await peer.expect("NotifyAllowedEnergyTransfer", {"status": "Accepted"})
            assert message[3] == {"transactionId": "tx1", "allowedEnergyTransfer": ["AC_BPT"]}
            await peer.call("NotifyEVChargingNeeds", messages["needs"])
            assert here.status().discharge_max_w == 10_000.0

    asyncio.run(scenario())


def test_limits_of_others_at_the_station_are_kept(site):
    async def scenario():
        async with site() as here:
            peer = await here.charging()
            schedule = {
                "id": 1,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 3000.0}],
            }
            limit = {
                "chargingLimit": {"chargingLimitSource": "EMS"},
                "chargingSchedule": [schedule],
            }
            await peer.call("NotifyChargingLimit", limit)
            assert here.status().charge_max_w == 3000.0
            await peer.call("ClearedChargingLimit", {"chargingLimitSource": "EMS"})
            assert here.status().charge_max_w == 11_000.0

    asyncio.run(scenario())


def test_a_status_that_repeats_an_accepted_order_waits_for_a_meter_value(
    site, messages, monkeypatch
):
    monkeypatch.setattr("agent.vehicles.stations.fleet.SETTLE_S", 3600.0)

    async def scenario():
        async with site() as here:
            peer = await here.charging()
            for seq, p_w in enumerate((1000.0, 2000.0, 3000.0), start=1):
                await here.order(p_w, seq=seq)
                await peer.expect("SetChargingProfile", {"status": "Accepted"})
                await here.result(seq)
            told = [m for m in here.told if isinstance(m, EvseStatus) and m.setpoint_w is not None]
            assert [m.setpoint_w for m in told] == [1000.0]  # the mode changed with the first
            await peer.call("TransactionEvent", messages["transaction"]("Updated", power_w=3000.0))
            assert here.status().setpoint_w == 3000.0

    asyncio.run(scenario())


def test_statuses_are_stated_again_for_a_new_control(site):
    async def scenario():
        async with site() as here:
            await here.charging("A")
            await here.charging("B", version=Version.V16)
            here.told.clear()
            here.fleet.restate()
            assert {m.evse_id for m in here.told if isinstance(m, EvseStatus)} == {"A/1", "B/1"}
            assert not any(isinstance(message, OrderSent) for message in here.told)

    asyncio.run(scenario())

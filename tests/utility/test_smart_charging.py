"""Upstream profiles as leased requests: what enters the control, and what is refused and why."""

import asyncio
import datetime

import pytest

from agent.messages import SITE, Authority, RequestKind

V2X = "CS1/1"


def run(scenario):
    asyncio.run(scenario())


def in_seconds(seconds):
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.isoformat()


def v2x_profile(tools, period, evse=0, **more):
    schedule = {"chargingSchedulePeriod": [{"startPeriod": 0, **period}]}
    return tools.limit_profile(0, evse, schedule=schedule, **more)


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1"])
def test_a_negative_limit_is_refused_never_taken_for_a_discharge(make_site, tools, protocol):
    async def scenario():
        async with tools.Csms((protocol,)) as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            answer = await csms.call("SetChargingProfile", tools.limit_profile(-5000))
            assert answer["status"] == "Rejected"
            assert "cannot order a discharge" in answer["statusInfo"]["additionalInfo"]
            assert site.requests == []

    run(scenario)


def test_before_2_1_a_setpoint_is_a_violation_of_the_schema(make_site, tools):
    async def scenario():
        async with tools.Csms(("ocpp2.0.1",)) as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            answer = await csms.ask("SetChargingProfile", tools.setpoint_profile(-5000))
            assert answer[0] == 4
            assert site.requests == []

    run(scenario)


def test_a_discharge_of_who_cannot_is_refused_with_the_reason(make_site, tools):
    async def scenario():
        unable = tools.evse("CS2/1", discharge_max_w=0.0, cannot=("discharge",))
        async with tools.Csms() as csms, make_site(csms, [tools.evse(), unable]) as site:
            await site.connected()
            number = site.client.transactions.number_of("CS2/1")
            answer = await csms.call("SetChargingProfile", tools.setpoint_profile(-5000, number))
            assert answer["statusInfo"]["additionalInfo"] == f"EVSE {number} cannot discharge"
            answer = await csms.call("SetChargingProfile", tools.setpoint_profile(-5000, 99))
            assert answer["statusInfo"]["additionalInfo"] == "there is no EVSE 99"

    run(scenario)


def test_limits_narrow_and_the_stations_own_go_to_the_site(make_site, tools):
    async def scenario():
        charging = tools.evse(p_w=-9000.0, base_w=-9000.0)
        async with tools.Csms(("ocpp2.0.1",)) as csms, make_site(csms, [charging]) as site:
            await site.connected()
            assert (await csms.call("SetChargingProfile", tools.limit_profile(6000))) == {
                "status": "Accepted"
            }
            station = tools.limit_profile(
                2000, 0, id=11, chargingProfilePurpose="ChargingStationMaxProfile"
            )
            assert (await csms.call("SetChargingProfile", station))["status"] == "Accepted"
            assert site.in_force() == {(V2X, "charge-limit"): 6000, (SITE, "charge-limit"): 2000}
            await tools.until(lambda: site.statuses[V2X].p_w == pytest.approx(-2000, abs=60))
            ranks = {request.authority for request in site.requests}
            assert ranks == {Authority.CSMS}

    run(scenario)


def test_the_rank_is_that_of_the_settings(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms:
            options = {"authority": "balancing-authority"}
            async with make_site(csms, [tools.evse()], **options) as site:
                await site.connected()
                sent = tools.setpoint_profile(
                    -3000, 0, chargingProfilePurpose="ChargingStationMaxProfile"
                )
                assert (await csms.call("SetChargingProfile", sent))["status"] == "Accepted"
                (request,) = site.of(RequestKind.WATT_SETPOINT, test=False)
                assert (request.target, request.value) == (SITE, 3000.0)
                assert request.authority is Authority.BALANCING_AUTHORITY
                await tools.until(lambda: site.statuses[V2X].p_w == pytest.approx(3000, abs=60))

    run(scenario)


def test_a_dynamic_profile_is_updated_by_push_and_by_pull(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            csms.answers["PullDynamicScheduleUpdate"] = {
                "status": "Accepted",
                "scheduleUpdate": {"setpoint": 1000},
            }
            await csms.call("SetChargingProfile", tools.setpoint_profile(-1000))
            update = {"chargingProfileId": 10, "scheduleUpdate": {"setpoint": -2500}}
            assert (await csms.call("UpdateDynamicSchedule", update))["status"] == "Accepted"
            await tools.until(lambda: site.statuses[V2X].p_w == pytest.approx(2500, abs=60))
            update["chargingProfileId"] = 77
            assert (await csms.call("UpdateDynamicSchedule", update))["status"] == "Rejected"
            pulling = tools.setpoint_profile(-500, dynUpdateInterval=1)
            assert (await csms.call("SetChargingProfile", pulling))["status"] == "Accepted"
            await tools.until(lambda: site.statuses[V2X].p_w == pytest.approx(-1000, abs=60))

    run(scenario)


def test_duration_is_a_dead_man_and_a_start_in_the_future_waits(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            sent = tools.setpoint_profile(-3000, kind="Absolute", duration=2)
            sent["chargingProfile"]["chargingSchedule"][0]["startSchedule"] = in_seconds(1.5)
            assert (await csms.call("SetChargingProfile", sent))["status"] == "Accepted"
            assert site.in_force() == {}
            assert site.of(RequestKind.WATT_SETPOINT, test=True)  # the control was asked
            await tools.until(lambda: (V2X, "watt-setpoint") in site.in_force(), "its start")
            await tools.until(lambda: site.in_force() == {}, "its end")
            await tools.until(lambda: site.client.smart.store.by_id == {}, "it is forgotten")

    run(scenario)


def test_the_restoration_signal_moves_along_the_profile_s_curve(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            signal = {"timestamp": in_seconds(0), "signal": 50}
            assert (await csms.call("AFRRSignal", signal))["status"] == "Rejected"
            droop = site.settings_now
            full_hz = droop["db_uf_hz"] + droop["k_uf"] * 50.0 + 0.1
            period = {
                "operationMode": "LocalFrequency",
                "v2xFreqWattCurve": [
                    {"frequency": 50.0 - full_hz, "power": -11000},
                    {"frequency": 50.0 - droop["db_uf_hz"], "power": 0},
                    {"frequency": 50.0 + droop["db_of_hz"], "power": 0},
                    {"frequency": 50.0 + full_hz, "power": 11000},
                ],
                "v2xSignalWattCurve": [
                    {"signal": -100, "power": 8000},
                    {"signal": 100, "power": -8000},
                ],
            }
            answer = await csms.call("SetChargingProfile", v2x_profile(tools, period))
            assert answer == {"status": "Accepted"}
            assert site.settings_now["k_uf"] > droop["k_uf"]
            assert (await csms.call("AFRRSignal", signal))["status"] == "Accepted"
            await tools.until(lambda: site.statuses[V2X].p_w == pytest.approx(4000, abs=80))

    run(scenario)


def test_a_steeper_droop_from_afar_is_refused_in_the_control_s_words(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            steep = [
                {"frequency": 49.99, "power": -11000},
                {"frequency": 49.995, "power": 0},
                {"frequency": 50.005, "power": 0},
                {"frequency": 50.01, "power": 11000},
            ]
            period = {"operationMode": "LocalFrequency", "v2xFreqWattCurve": steep}
            answer = await csms.call("SetChargingProfile", v2x_profile(tools, period))
            assert answer["status"] == "Rejected"
            assert "never widened" in answer["statusInfo"]["additionalInfo"]

    run(scenario)


def test_profiles_are_reported_and_those_of_the_station_survive_a_restart(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms:
            async with make_site(csms, [tools.evse()]) as site:
                await site.connected()
                await csms.call("SetChargingProfile", tools.limit_profile(4000))
                tx = site.client.transactions.running[1].transaction_id
                more = {"chargingProfilePurpose": "TxProfile", "id": 12, "transactionId": tx}
                await csms.call("SetChargingProfile", tools.limit_profile(3000, **more))
                wanted = {"requestId": 7, "chargingProfile": {"stackLevel": 1}}
                assert await csms.call("GetChargingProfiles", wanted) == {"status": "Accepted"}
                reports = await tools.until(
                    lambda: (
                        len(csms.of("ReportChargingProfiles")) == 2
                        and csms.of("ReportChargingProfiles")
                    )
                )
                assert [each["tbc"] for each in reports] == [True, False]
                assert site.in_force()[V2X, "charge-limit"] == 3000
                site.change(V2X, plugged=False)
                await tools.until(lambda: list(site.client.smart.store.by_id) == [10], "its end")
                folder = site.settings.gateway.state_dir.parent
            async with make_site(csms, [tools.evse()], folder=folder) as again:
                assert list(again.client.smart.store.by_id) == [10]
                await tools.until(lambda: again.in_force().get((V2X, "charge-limit")) == 4000)

    run(scenario)


def test_the_composite_schedule_shows_what_will_be(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            steps = [
                {"startPeriod": 0, "limit": 4000},
                {"startPeriod": 60, "operationMode": "CentralSetpoint", "setpoint": -2000},
            ]
            schedule = {"chargingSchedulePeriod": steps, "duration": 120}
            sent = tools.limit_profile(0, schedule=schedule)
            assert (await csms.call("SetChargingProfile", sent))["status"] == "Accepted"
            wanted = {"evseId": 1, "duration": 600, "chargingRateUnit": "W"}
            answer = await csms.call("GetCompositeSchedule", wanted)
            periods = answer["schedule"]["chargingSchedulePeriod"]
            assert [each["startPeriod"] for each in periods] == pytest.approx([0, 60, 120], abs=1)
            assert periods[0]["limit"] == 4000
            assert periods[1]["setpoint"] == -2000
            assert periods[2] == {"startPeriod": periods[2]["startPeriod"], "limit": 11000}

    run(scenario)


def test_der_controls_narrow_are_reported_and_alarms_go_up(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            control = {
                "isDefault": True,
                "controlId": "limit-1",
                "controlType": "LimitMaxDischarge",
                "limitMaxDischarge": {"priority": 1, "pctMaxDischargePower": 40.0},
            }
            assert (await csms.call("SetDERControl", control))["status"] == "Accepted"
            assert site.in_force() == {(SITE, "watt-limit"): 4400.0}
            steep = {
                "isDefault": True,
                "controlId": "droop-1",
                "controlType": "FreqDroop",
                "freqDroop": {
                    "priority": 1, "overFreq": 50.001, "underFreq": 49.999,
                    "overDroop": 0.0001, "underDroop": 0.0001, "responseTime": 0.0,
                },
            }  # fmt: skip
            answer = await csms.call("SetDERControl", steep)
            assert answer["status"] == "Rejected"
            assert "never widened" in answer["statusInfo"]["additionalInfo"]
            other = {**control, "controlType": "FixedVar", "controlId": "x"}
            del other["limitMaxDischarge"]
            other["fixedVar"] = {"priority": 1, "setpoint": 1.0, "unit": "PctMaxVar"}
            assert (await csms.call("SetDERControl", other))["status"] == "NotSupported"
            assert (await csms.call("GetDERControl", {"requestId": 3}))["status"] == "Accepted"
            (report,) = await tools.until(lambda: csms.of("ReportDERControl"))
            assert report["limitMaxDischarge"][0]["id"] == "limit-1"
            assert report["freqDroop"][0]["id"] == "local"
            cleared = {"isDefault": True, "controlId": "limit-1"}
            assert (await csms.call("ClearDERControl", cleared))["status"] == "Accepted"
            assert site.in_force() == {}
            site.f_hz = 49.2
            (alarm,) = await tools.until(lambda: csms.of("NotifyDERAlarm")[:1])
            assert alarm["gridEventFault"] == "UnderFrequency"
            site.f_hz = 50.0
            await tools.until(lambda: any(a.get("alarmEnded") for a in csms.of("NotifyDERAlarm")))

    run(scenario)


def test_variables_reports_and_triggers(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            asked = [
                {"component": {"name": "V2XChargingCtrlr"}, "variable": {"name": "Enabled"}},
                {"component": {"name": "NoSuch"}, "variable": {"name": "X"}},
            ]
            answer = await csms.call("GetVariables", {"getVariableData": asked})
            states = [each["attributeStatus"] for each in answer["getVariableResult"]]
            assert states == ["Accepted", "UnknownComponent"]
            interval = {
                "component": {"name": "SampledDataCtrlr"},
                "variable": {"name": "TxUpdatedInterval"},
            }
            wishes = [{**interval, "attributeValue": value} for value in ("1", "0")]
            answer = await csms.call("SetVariables", {"setVariableData": wishes})
            states = [each["attributeStatus"] for each in answer["setVariableResult"]]
            assert states == ["Accepted", "Rejected"]
            await tools.until(lambda: len(csms.of("TransactionEvent")) >= 3, "meter values")
            base = {"requestId": 1, "reportBase": "FullInventory"}
            assert (await csms.call("GetBaseReport", base))["status"] == "Accepted"
            await tools.until(lambda: csms.of("NotifyReport")[-1:] and not
                              csms.of("NotifyReport")[-1]["tbc"])  # fmt: skip
            for wanted in ("BootNotification", "StatusNotification", "MeterValues"):
                before = len(csms.of(wanted))
                answer = await csms.call("TriggerMessage", {"requestedMessage": wanted})
                assert answer == {"status": "Accepted"}
                await tools.until(lambda w=wanted, b=before: len(csms.of(w)) > b, wanted)
            answer = await csms.call("RequestStartTransaction", {
                "idToken": {"idToken": "T", "type": "Central"}, "remoteStartId": 1,
            })  # fmt: skip
            assert answer["status"] == "Rejected"
            assert (await csms.ask("GetLog", {
                "logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "x"},
            }))[2] == "NotSupported"  # fmt: skip

    run(scenario)


def test_a_control_that_does_not_answer_is_a_refusal_and_the_wish_comes_again(
    make_site, tools, monkeypatch
):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            site.mute = True
            monkeypatch.setattr("agent.utility.context.ANSWER_S", 0.3)
            monkeypatch.setattr(site.context.request.__func__, "__kwdefaults__", {
                **site.context.request.__func__.__kwdefaults__, "timeout_s": 0.3,
            })  # fmt: skip
            answer = await csms.call("SetChargingProfile", tools.limit_profile(4000))
            assert answer["status"] == "Rejected"
            assert "does not answer" in answer["statusInfo"]["additionalInfo"]
            site.mute = False
            answer = await csms.call("SetChargingProfile", tools.limit_profile(4000))
            assert answer == {"status": "Accepted"}

    run(scenario)

"""The OCPP client against a CSMS on the `websockets` library."""

import asyncio

import pytest

from agent.errors import AlarmCode


@pytest.mark.parametrize("protocol", ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"])
def test_boots_beats_and_tells_of_its_evses(make_site, tools, protocol):
    async def scenario():
        async with tools.Csms(protocols=(protocol,), interval=1) as csms:
            evses = [tools.evse("CS1/1"), tools.evse("CS1/2", plugged=False)]
            async with make_site(csms, evses) as site:
                await site.connected()
                await tools.until(lambda: len(csms.of("Heartbeat")) >= 2, "heartbeats")
                await tools.until(lambda: len(csms.of("StatusNotification")) >= 2, "states")
                assert csms.paths == ["/ocpp/GW1"]
                starts = csms.of("StartTransaction") + [
                    each for each in csms.of("TransactionEvent") if each["eventType"] == "Started"
                ]
                assert len(starts) == 1
                assert site.client.state.version.subprotocol == protocol

    asyncio.run(scenario())


def test_a_profile_becomes_a_leased_request_and_clearing_ends_it(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            answer = await csms.call("SetChargingProfile", tools.setpoint_profile(-5000))
            assert answer == {"status": "Accepted"}
            await tools.until(lambda: site.statuses["CS1/1"].p_w == pytest.approx(5000, abs=60))
            cleared = await csms.call("ClearChargingProfile", {"chargingProfileId": 10})
            assert cleared == {"status": "Accepted"}
            await tools.until(lambda: abs(site.statuses["CS1/1"].p_w) < 60)
            assert site.in_force() == {}

    asyncio.run(scenario())


def test_a_lost_csms_is_an_alarm_that_its_return_clears(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            await csms.close()
            csms.drop()
            alarm = await tools.until(lambda: site.alarm(AlarmCode.UPSTREAM_LOST), "an alarm")
            assert "no CSMS" in alarm.text
            await csms.open()
            await tools.until(lambda: site.alarm(AlarmCode.UPSTREAM_LOST) is None, "its end")

    asyncio.run(scenario())

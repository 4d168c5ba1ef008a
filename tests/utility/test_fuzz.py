"""A CSMS that sends anything: nothing impossible is asked of the control, and the client stays."""

import asyncio
import json
import math
import random

import pytest

from agent.messages import RequestKind

GARBAGE = (
    "", "[]", "{}", "null", "[2]", '[2,"a"]', '[2,"a","SetChargingProfile"]', "[2,1,2,3]",
    '[9,"x","y",{}]', '[2,"n","SetChargingProfile",{"evseId":NaN}]', "[" * 500 + "]" * 500,
    '[2,"b","SetChargingProfile",{"evseId":1e999}]', '[3,"unknown",{}]', '[4,"unknown","X","",{}]',
    '[6,"s","NotifyPeriodicEventStream",{}]', "[2,\"" + "i" * 99 + '","Reset",{}]', "\u0000",
)  # fmt: skip
VALUES = (
    0, -1, 1, -5000, 5000, 1e9, -1e9, 1e12, -1e12, 1e308, 3.3, "7", None, True, [], {},
)  # fmt: skip


def mutated(rng, sent):
    """Return a SetChargingProfile with one to four values replaced, added or removed."""
    sent = json.loads(json.dumps(sent))
    schedule = sent["chargingProfile"]["chargingSchedule"][0]
    period = schedule["chargingSchedulePeriod"][0]
    names = (
        "limit", "setpoint", "dischargeLimit", "setpoint_L2", "operationMode", "v2xBaseline",
        "numberPhases", "startPeriod", "duration", "chargingRateUnit", "chargingProfilePurpose",
        "chargingProfileKind", "stackLevel", "id", "transactionId", "startSchedule",
    )  # fmt: skip
    words = ("Idle", "CentralSetpoint", "LocalFrequency", "Dynamic", "Recurring", "W", "A",
             "TxProfile", "ChargingStationMaxProfile", "2026-01-01T00:00:00Z", "x")  # fmt: skip
    for _ in range(rng.randint(1, 4)):
        node = rng.choice((sent["chargingProfile"], schedule, period))
        name = rng.choice(names)
        if rng.random() < 0.2:
            node.pop(name, None)
        else:
            node[name] = rng.choice(VALUES + words)
    sent["evseId"] = rng.choice((0, 1, 1, 1, 2, -1, 10**9))
    return sent


async def campaign(site, csms, tools, count, seed):
    rng = random.Random(seed)
    accepted = 0
    for number in range(count):
        if rng.random() < 0.1:
            await csms.sockets[-1].send(rng.choice(GARBAGE))
            continue
        sent = tools.setpoint_profile(rng.choice((-3000, 3000)))
        answer = await csms.ask("SetChargingProfile", mutated(rng, sent))
        assert answer[0] in (3, 4)
        accepted += answer[0] == 3 and answer[2]["status"] == "Accepted"
        if number % 20 == 19:
            await csms.ask("ClearChargingProfile", {"chargingProfileCriteria": {}})
    for request in site.requests:
        assert math.isfinite(request.value)
        assert abs(request.value) < 1e9
        assert 0.0 < request.lease_s <= site.settings.utility.lease_s
        limits = (RequestKind.CHARGE_LIMIT, RequestKind.WATT_LIMIT, RequestKind.SETTING)
        assert request.kind not in limits or request.value >= 0.0
    assert all(abs(ordered_w) <= 11_001.0 for _, ordered_w, _ in site.powers)
    assert len(csms.sockets) == 1, "the client was driven off"
    assert (await csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"}))["status"]
    return accepted


@pytest.mark.parametrize("seed", [1, 2])
def test_anything_from_the_csms_is_answered_and_nothing_impossible_is_asked(make_site, tools, seed):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            assert await campaign(site, csms, tools, 120, seed) > 0

    asyncio.run(scenario())


@pytest.mark.soak
def test_campaign_of_messages_from_a_hostile_csms(make_site, tools, record_property):
    async def scenario():
        async with tools.Csms() as csms, make_site(csms, [tools.evse()]) as site:
            await site.connected()
            accepted = 0
            for seed in range(100):
                accepted += await campaign(site, csms, tools, 1000, seed)
                site.requests.clear()
                site.powers.clear()
            record_property("messages", 100_000)
            record_property("accepted", accepted)

    asyncio.run(scenario())

"""From a token to orders, once; and what is told, written and alarmed when it is refused."""

import asyncio

import pytest
from loguru import logger

from agent.errors import AlarmCode, RefusedError, SignatureError
from agent.messages import Authority, RequestKind, RequestStatus
from tests.utility.dispatch.conftest import NOW, Site, claims_of, jws


def take(site, token, **more):
    async def scenario():
        return await site.desk.take(token, "192.0.2.7", **more)

    return asyncio.run(scenario())


def refused(site, token):
    before = len(site.requests)
    with pytest.raises(SignatureError) as caught:
        take(site, token)
    assert len(site.requests) == before
    return caught.value.cause


@pytest.fixture
def log():
    lines = []
    number = logger.add(lambda message: lines.append(message.record["message"]), level=0)
    yield lines
    logger.remove(number)


def test_orders_enter_as_leased_requests_of_the_balancing_authority(site, key):
    orders = [
        {"kind": "watt-setpoint", "value": 5000.0, "lease_s": 60.0},
        {"kind": "charge-limit", "value": 0.0, "lease_s": 30.0, "target": "CS1/1", "test": True},
        {"kind": "withdraw", "lease_s": 1.0, "setting": "dispatch:t-0/0"},
    ]
    answer = take(site, jws(key, claims_of(orders=orders)))
    assert [outcome.request_id for outcome in answer.outcomes] == [
        "dispatch:t-1/0",
        "dispatch:t-1/1",
        "dispatch:t-1/2",
    ]
    assert answer.ok
    assert [request.kind for request in site.requests] == [
        RequestKind.WATT_SETPOINT,
        RequestKind.CHARGE_LIMIT,
        RequestKind.WITHDRAW,
    ]
    for request, order in zip(site.requests, orders, strict=True):
        assert request.authority is Authority.BALANCING_AUTHORITY
        assert request.origin == "dispatch:tso.example"
        assert request.lease_s == order["lease_s"]
        assert request.value == order.get("value", 0.0)
        assert request.target == order.get("target", "site")
        assert request.test == order.get("test", False)


def test_the_answer_tells_the_acceptance_or_after_a_wait_the_end(site, key):
    assert take(site, jws(key, claims_of(1))).outcomes[0].status is RequestStatus.ACCEPTED
    site.final = RequestStatus.FAILED
    answer = take(site, jws(key, claims_of(2)), wait_s=5.0)
    assert answer.outcomes[0].status is RequestStatus.FAILED
    assert not answer.ok


def test_a_replay_is_refused_before_and_after_a_restart(site, key):
    token = jws(key, claims_of(3))
    take(site, token)
    assert refused(site, token).startswith("replay: jti t-3")
    site.ledger.close()
    site.start()
    assert refused(site, token).startswith("replay: jti t-3")
    assert refused(site, jws(key, claims_of(3, jti="other"))).startswith("replay: ctr 3")
    assert refused(site, jws(key, claims_of(2))).startswith("replay: ctr 2")
    assert take(site, jws(key, claims_of(4))).ok


def test_the_same_token_twice_at_the_same_time_is_carried_out_once(site, key):
    token = jws(key, claims_of())

    async def scenario():
        takes = (site.desk.take(token, "x") for _ in range(8))
        return await asyncio.gather(*takes, return_exceptions=True)

    results = asyncio.run(scenario())
    assert len([result for result in results if isinstance(result, SignatureError)]) == 7
    assert len(site.requests) == 1


def test_a_refusal_is_logged_audited_and_alarmed_with_its_cause(site, key, log):
    site.utc = NOW + 3600.0
    refused(site, jws(key, claims_of()))
    (line,) = [line for line in log if line.startswith("Payload Signature Invalid")]
    assert "clock skew: the token expired 3570.0 s ago" in line
    assert "timedatectl set-ntp true" in line
    assert site.audited == [line]
    alarm = site.alarms[-1]
    assert (alarm.code, alarm.active) == (AlarmCode.PAYLOAD_SIGNATURE_INVALID, True)
    assert alarm.text == line
    assert "timedatectl set-ntp true" in alarm.advice
    site.utc = NOW
    take(site, jws(key, claims_of()))
    assert not site.alarms[-1].active


def test_a_clock_stepped_by_an_hour_either_way_lets_nothing_in(site, key):
    take(site, jws(key, claims_of(1)))
    withheld = jws(key, claims_of(2, now=NOW - 3600.0))
    for step in (3600.0, -3600.0):
        site.utc = NOW + step
        assert refused(site, jws(key, claims_of(1))).startswith("clock skew")
        assert refused(site, jws(key, claims_of(9))).startswith("clock skew")
    # a step back makes an old token, that was never delivered, look fresh again
    assert refused(site, withheld) == "replay: issued before a token that was accepted"
    site.utc = NOW + 1.0
    assert take(site, jws(key, claims_of(9))).ok


def test_nothing_is_accepted_while_the_clock_is_not_synchronised(site, key):
    site.synchronised = False
    site.snapshot()
    cause = refused(site, jws(key, claims_of(1)))
    assert cause.startswith("clock skew: this gateway's clock is not synchronised")
    assert "timedatectl set-ntp true" in cause
    site.synchronised = True
    site.snapshot()
    assert take(site, jws(key, claims_of(1))).ok


def test_a_site_without_a_time_service_may_be_configured(tmp_path, verifier, key):
    site = Site(tmp_path, verifier, synchronised=False, accept_unsynchronised=True).start()
    site.ledger.begin(NOW - 60.0)
    assert take(site, jws(key, claims_of())).ok


def test_a_fresh_record_begins_only_with_a_good_clock(tmp_path, verifier, key):
    site = Site(tmp_path, verifier, synchronised=False, utc=12.0).start()
    refused(site, jws(key, claims_of(1)))
    assert not site.ledger.begun
    site.synchronised, site.utc = True, NOW
    site.snapshot()
    assert refused(site, jws(key, claims_of(1))).startswith("replay: issued before the record")
    site.utc = NOW + 6.0
    assert take(site, jws(key, claims_of(2, now=NOW + 6.0))).ok


def test_without_the_control_nothing_is_used_up(site, key, monkeypatch):
    monkeypatch.setattr(site.context.fleet, "heard_s", -100.0)
    with pytest.raises(RefusedError, match="does not answer"):
        take(site, jws(key, claims_of(1)))
    site.snapshot()
    assert take(site, jws(key, claims_of(1))).ok


def test_a_flood_of_forgeries_does_not_flood_the_log(site, log):
    async def scenario():
        for _ in range(500):
            with pytest.raises(SignatureError):
                await site.desk.take("a.b.c", "192.0.2.7")

    asyncio.run(scenario())
    assert 20 <= len(site.audited) <= 40
    assert site.context.counters["dispatch_refused"] == 500


def test_the_alarm_clears_by_itself(site, key, monkeypatch):
    refused(site, "a.b.c")
    monkeypatch.setattr("agent.utility.dispatch.desk.ALARM_S", 0.0)

    async def scenario():
        running = asyncio.create_task(site.desk.run())
        async with asyncio.timeout(20.0):
            while site.alarms[-1].active:
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(scenario())

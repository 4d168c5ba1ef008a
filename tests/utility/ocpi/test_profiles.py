"""Charging profiles of partners become leased limits, and their results come back."""

import asyncio
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpi_types import v2_2_1 as peer

from agent.messages import Authority, ControlRequest, RequestKind
from agent.utility.api.rate import RateLimit
from agent.utility.ocpi.objects import SetChargingProfile
from agent.utility.ocpi.profile_desk import RESULT_S
from agent.utility.ocpi.profiles import plan_of, start_utc_s
from agent.utility.ocpi.reply import OcpiError
from agent.utility.ocpi.times import format_time
from tests.utility.ocpi.conftest import running, started, status, until


def limits(*rows):
    return [{"start_period": at, "limit": limit} for at, limit in rows]


def data(answer):
    body = answer.json()
    assert answer.status_code == 200
    assert body["status_code"] == 1000, body
    assert peer.ChargingProfileResponse.from_dict(body["data"]).to_dict() == body["data"]
    return body["data"]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """The tests ask more often than a partner may."""

    def quick(burst, per_s):
        return RateLimit(burst * 10.0, per_s)

    monkeypatch.setattr("agent.utility.ocpi.app.RateLimit", quick)


def test_a_profile_becomes_a_leased_limit_and_its_result_comes_back(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        answer = await partner.put_profile(session, charging_profile_period=limits((0, 4140.0)))
        assert data(answer) == {"result": "ACCEPTED", "timeout": RESULT_S}
        result = await partner.result("set")
        assert result == {"result": "ACCEPTED"}
        assert peer.ChargingProfileResult.from_dict(result).to_dict() == result
        (request,) = gateway.requests
        assert request.kind is RequestKind.CHARGE_LIMIT
        assert request.authority is Authority.MARKET
        assert (request.target, request.value) == ("CS001/1", 4140.0)
        assert request.origin == "ocpi:DE*ABC"
        assert request.lease_s == gateway.settings.utility.lease_s
        headers = partner.asked[-1].headers
        assert headers["ocpi-from-party-id"] == "V2G"
        assert headers["ocpi-to-party-id"] == "ABC"
        assert headers["x-request-id"]

    play(scenario)


def test_a_negative_limit_is_refused_clearly_and_orders_nothing(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        for unit in ("W", "A"):
            answer = await partner.put_profile(
                session,
                charging_rate_unit=unit,
                charging_profile_period=limits((0, 10.0), (60, -16.0)),
            )
            assert (answer.status_code, answer.json()["status_code"]) == (200, 2001)
            message = answer.json()["status_message"]
            assert f"charging_profile_period[1].limit is -16 {unit}" in message
            assert "cannot order discharge" in message
            assert "data" not in answer.json()
        assert gateway.requests == []
        assert "set" not in partner.results

    play(scenario)


def test_limits_change_on_time_without_a_gap_and_end(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        periods = limits((0, 7000.0), (1, 3000.0), (2, 5000.0))
        start = format_time(time.time())
        await partner.put_profile(
            session, charging_profile_period=periods, duration=3, start_date_time=start
        )
        seen = []

        def ended():
            if gateway.limits != seen[-1:]:
                seen.extend(gateway.limits[-1:])
            return seen and not gateway.force

        await until(ended)
        assert seen == [7000.0, 3000.0, 5000.0]
        sent = [value for kind, value in gateway.history if kind == "limit"]
        assert sent == seen
        # the next limit is always in force before the last one is withdrawn
        assert [kind for kind, _ in gateway.history] == [
            "limit", "limit", "withdraw", "limit", "withdraw", "withdraw",
        ]  # fmt: skip
        assert all(request.lease_s <= 3.1 + 2.0 for request in gateway.requests[:1])

    play(scenario)


def test_a_lease_is_renewed_before_it_ends(play, partner, gateway):
    gateway.utility = {"lease_s": 5.0}

    async def scenario(world):
        session = await world.session()
        await partner.put_profile(session, charging_profile_period=limits((0, 2000.0)))
        await until(lambda: gateway.limits)
        await until(lambda: len([1 for kind, _ in gateway.history if kind == "limit"]) >= 3)
        assert gateway.limits == [2000.0]
        assert {value for kind, value in gateway.history if kind == "limit"} == {2000.0}

    play(scenario)


def test_a_new_profile_takes_the_place_of_the_old_one(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        for number, limit in enumerate((3000.0, 6000.0, 1000.0)):
            name = f"set-{number}"
            await partner.put_profile(session, name, charging_profile_period=limits((0, limit)))
            assert await partner.result(name) == {"result": "ACCEPTED"}
            await until(lambda limit=limit: gateway.limits == [limit])

    play(scenario)


def test_a_cleared_profile_leaves_no_limit(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        path = f"2.2.1/chargingprofiles/{session}"
        url = {"response_url": f"{partner.base}/result/clear"}
        assert data(await partner.ask("DELETE", path, params=url))["result"] == "ACCEPTED"
        assert await partner.result("clear") == {"result": "UNKNOWN"}
        await partner.put_profile(session, charging_profile_period=limits((0, 3000.0)))
        await partner.result("set")
        assert data(await partner.ask("DELETE", path, params=url))["result"] == "ACCEPTED"
        await until(lambda: partner.results["clear"][-1] == {"result": "ACCEPTED"})
        assert gateway.limits == []

    play(scenario)


def test_the_end_of_the_session_ends_the_limit(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        await partner.put_profile(session, charging_profile_period=limits((0, 3000.0)))
        await partner.result("set")
        assert gateway.limits == [3000.0]
        gateway.show(status(plugged=False))
        await until(lambda: gateway.limits == [])
        answer = await partner.put_profile(session, charging_profile_period=limits((0, 1.0)))
        assert data(answer)["result"] == "REJECTED"

    play(scenario)


@pytest.mark.parametrize("way", ["refuse", "fail"])
def test_what_the_control_refuses_or_cannot_reach_is_rejected(way, play, partner, gateway):
    setattr(gateway, way, True)

    async def scenario(world):
        session = await world.session()
        await partner.put_profile(session, charging_profile_period=limits((0, 3000.0)))
        assert await partner.result("set") == {"result": "REJECTED"}
        await until(lambda: gateway.limits == [])

    play(scenario)


def test_the_active_profile_shows_the_profile_within_the_capacity(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        path = f"2.2.1/chargingprofiles/{session}"

        async def active(name):
            url = f"{partner.base}/result/{name}"
            query = {"duration": "600", "response_url": url}
            assert data(await partner.ask("GET", path, params=query))["result"] == "ACCEPTED"
            result = await partner.result(name)
            assert peer.ActiveChargingProfileResult.from_dict(result).to_dict() == result
            profile = result["profile"]["charging_profile"]
            assert profile["charging_rate_unit"] == "W"
            assert profile["duration"] == 600
            return profile["charging_profile_period"]

        assert await active("before") == limits((0, 11000.0))
        start = format_time(time.time())
        await partner.put_profile(
            session,
            start_date_time=start,
            charging_rate_unit="A",
            charging_profile_period=limits((0, 10.0), (300, 32.0)),
        )
        await partner.result("set")
        shown = await active("after")
        assert [row["limit"] for row in shown] == [6900.0, 11000.0]
        assert 200 <= shown[1]["start_period"] <= 300
        for query in ({"duration": "0"}, {"duration": "x"}, {"duration": "86401"}, {}):
            query["response_url"] = f"{partner.base}/result/x"
            assert (await partner.ask("GET", path, params=query)).json()["status_code"] == 2001

    play(scenario)


def test_a_change_that_others_made_is_pushed(play, partner, gateway, monkeypatch):
    monkeypatch.setattr("agent.utility.ocpi.profile_desk.PUSH_S", 0.0)

    async def scenario(world):
        session = await world.session()
        await partner.put_profile(session, charging_profile_period=limits((0, 9000.0)))
        await partner.result("set")
        gateway.show()
        await asyncio.sleep(0.1)
        assert partner.pushed == {}
        gateway.show(status(charge_max_w=7400.0))
        await until(lambda: partner.pushed.get(session))
        now = time.time()
        other = ControlRequest(
            "scada-1", Authority.SCADA, "hmi", RequestKind.CHARGE_LIMIT, "CS001/1",
            2000.0, 60.0, time.monotonic(), now,
        )  # fmt: skip
        gateway.foreign = (other,)
        gateway.show()
        await until(lambda: len(partner.pushed[session]) == 2)
        first, second = partner.pushed[session]
        for pushed, limit in ((first, 7400.0), (second, 2000.0)):
            assert peer.ActiveChargingProfile.from_dict(pushed).to_dict() == pushed
            assert pushed["charging_profile"]["charging_profile_period"] == limits((0, limit))

    play(scenario)


def test_results_go_nowhere_else(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        profile = {"charging_rate_unit": "W", "charging_profile_period": limits((0, 1.0))}
        for url in ("http://127.0.0.1:1/x", "https://attacker.example/x", "ftp://x", "x"):
            body = {"charging_profile": profile, "response_url": url}
            path = f"2.2.1/chargingprofiles/{session}"
            answers = [
                await partner.ask("PUT", path, json=body),
                await partner.ask("DELETE", path, params={"response_url": url}),
                await partner.ask("GET", path, params={"response_url": url, "duration": "60"}),
            ]
            for answer in answers:
                assert answer.json()["status_code"] == 2001
                assert answer.json()["status_message"].startswith("response_url ")
        assert gateway.requests == []

    play(scenario)


def test_unknown_sessions_and_haste_are_told(play, partner, monkeypatch):
    def slow(burst, per_s):
        return RateLimit(1.0, 1e-6)

    monkeypatch.setattr("agent.utility.ocpi.app.RateLimit", slow)

    async def scenario(world):
        profile = {"charging_profile_period": limits((0, 1.0))}
        assert data(await partner.put_profile("none", **profile))["result"] == "UNKNOWN_SESSION"
        session = await world.session()
        assert data(await partner.put_profile(session, **profile))["result"] == "ACCEPTED"
        assert data(await partner.put_profile(session, **profile))["result"] == "TOO_OFTEN"

    play(scenario)


def test_a_profile_that_is_over_is_refused(play, partner):
    async def scenario(world):
        answer = await partner.put_profile(
            await world.session(),
            start_date_time="2020-01-01T00:00:00Z",
            duration=60,
            charging_profile_period=limits((0, 1.0)),
        )
        assert answer.json()["status_code"] == 2001
        assert "ended already" in answer.json()["status_message"]

    play(scenario)


def test_a_partner_that_cannot_be_told_changes_nothing(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        body = {
            "charging_profile": {
                "charging_rate_unit": "W",
                "charging_profile_period": limits((0, 3000.0)),
            },
            "response_url": f"{partner.base}/there/is/nothing",
        }
        await partner.ask("PUT", f"2.2.1/chargingprofiles/{session}", json=body)
        await until(lambda: gateway.context.counters.get("ocpi_untold"))
        assert gateway.limits == [3000.0]

    play(scenario)


def test_a_restart_resumes_profiles_with_their_own_times(gateway, partner):
    async def scenario():
        async with running(gateway, partner) as world:
            session = await world.session()
            start = format_time(time.time() - 100.0)
            await partner.put_profile(
                session,
                start_date_time=start,
                charging_profile_period=limits((0, 9000.0), (90, 2500.0)),
            )
            await until(lambda: gateway.limits == [2500.0])
            gateway.force.clear()  # the process is gone and its leases are over
            async with started(gateway, partner, int(partner.base.rpartition(":")[2])):
                await until(lambda: gateway.limits == [2500.0])
                path = f"2.2.1/chargingprofiles/{session}"
                url = {"response_url": f"{partner.base}/result/clear"}
                await partner.ask("DELETE", path, params=url)
                assert await partner.result("clear") == {"result": "ACCEPTED"}
                assert gateway.limits == []

    asyncio.run(scenario())


def test_the_end_of_a_registration_ends_its_profiles(play, partner, gateway):
    async def scenario(world):
        session = await world.session()
        await partner.put_profile(session, charging_profile_period=limits((0, 3000.0)))
        await partner.result("set")
        await partner.ask("DELETE", "2.2.1/credentials")
        gateway.show()
        await until(lambda: gateway.limits == [])

    play(scenario)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "charging_rate_unit": st.sampled_from(["W", "A", "VA"]) | json_values,
        "start_date_time": st.just("2026-01-01T00:00:00Z") | json_values,
        "duration": st.integers(-5, 10**12) | json_values,
        "min_charging_rate": json_values,
        "charging_profile_period": st.lists(
            st.fixed_dictionaries({"start_period": json_values, "limit": json_values}), max_size=3
        )
        | json_values,
    },
)


@settings(max_examples=100, deadline=None)
@given(fields | json_values)
def test_whatever_comes_is_a_valid_plan_or_a_named_error(content):
    body = {"charging_profile": content, "response_url": "https://x.example/"}
    try:
        profile = msgspec.convert(body, SetChargingProfile).charging_profile
        plan = plan_of(profile, start_utc_s(profile, 0.0), 690.0)
    except (msgspec.ValidationError, OcpiError):
        return
    assert all(0.0 <= limit <= 1e9 * 690.0 for limit in plan.limits_w)
    assert list(plan.starts_s) == sorted(set(plan.starts_s))

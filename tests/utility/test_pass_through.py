"""Stations behind the gateway, each on its own connection to the CSMS."""

import asyncio
import json

import pytest

from agent.messages import StationAnswer, StationCall
from agent.ocpp import Version
from agent.utility.csms.stations import StationLinks


@pytest.fixture
def both(make_site):
    """Return a factory: a site whose stations keep their own connections."""

    class Both:
        def __init__(self, *arguments, **options):
            self.site = make_site(*arguments, **options)

        async def __aenter__(self):
            await self.site.__aenter__()
            self.links = StationLinks(self.site.context, self.site.client.addresses)
            self.running = asyncio.create_task(self.links.run())
            return self.site

        async def __aexit__(self, *_):
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
            await self.site.__aexit__(*_)

    return Both


def socket_of(csms, identity):
    for path, socket in zip(csms.paths, csms.sockets, strict=True):
        if path == f"/ocpp/{identity}":
            return socket
    return None


STATIONS = {"S21": "OCPP 2.1", "S201": "OCPP 2.0.1", "S16": "OCPP 1.6J"}


def evses(tools):
    make = {"vendor": "Example", "model": "X1"}
    return [tools.evse(f"{name}/1", protocol=label, **make) for name, label in STATIONS.items()]


def test_the_csms_sees_each_station_under_its_name_and_in_its_version(both, tools):
    async def scenario():
        async with tools.Csms() as csms, both(csms, evses(tools)) as site:
            for name, label in STATIONS.items():
                socket = await tools.until(lambda name=name: socket_of(csms, name), name)
                version = next(each for each in Version if each.label == label)
                assert socket.subprotocol == version.subprotocol
            await tools.until(lambda: len(csms.of("BootNotification")) == 4)
            makes = json.dumps(csms.of("BootNotification"))
            assert makes.count("Example") == 3
            site.change("S16/1", online=False)
            await tools.until(lambda: socket_of(csms, "S16").close_code is not None, "its end")

    asyncio.run(scenario())


def test_calls_pass_down_and_questions_pass_up(both, tools):
    async def scenario():
        async with tools.Csms() as csms, both(csms, evses(tools)) as site:
            socket = await tools.until(lambda: socket_of(csms, "S201"))
            await tools.until(lambda: len(csms.of("BootNotification")) == 4)
            log = {"status": "Accepted", "filename": "log.tar"}
            site.station_answers["GetLog"] = json.dumps(log).encode()
            wish = {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "x"}}
            assert await csms.call("GetLog", wish, socket) == log
            (call,) = [m for m in site.told if isinstance(m, StationCall)]
            assert (call.station, call.action, json.loads(call.payload)) == ("S201", "GetLog", wish)

            csms.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked"}}
            token = {"idToken": {"idToken": "T", "type": "Central"}}
            question = StationCall("q1", "S201", "Authorize", json.dumps(token).encode(), True)
            await tools.until(lambda: site.context.counters.get("csms_stations") == 3.0)
            site.context.take(question)
            answer = await tools.until(
                lambda: next((m for m in site.told if isinstance(m, StationAnswer)), None)
            )
            assert json.loads(answer.payload) == csms.answers["Authorize"]
            assert csms.of("Authorize") == [token]

    asyncio.run(scenario())


def test_power_is_not_ordered_of_a_single_station(both, tools):
    async def scenario():
        async with tools.Csms() as csms, both(csms, evses(tools)) as site:
            socket = await tools.until(lambda: socket_of(csms, "S21"))
            answer = await csms.call("SetChargingProfile", tools.limit_profile(1000), socket)
            assert answer["status"] == "Rejected"
            assert "of the gateway" in answer["statusInfo"]["additionalInfo"]
            assert not [m for m in site.told if isinstance(m, StationCall)]

    asyncio.run(scenario())


def test_a_station_s_error_reaches_the_csms_with_its_code(both, tools):
    async def scenario():
        async with tools.Csms() as csms, both(csms, evses(tools)) as site:
            socket = await tools.until(lambda: socket_of(csms, "S21"))
            site.context.call_station = failing
            answer = await csms.ask("ClearCache", {}, socket)
            assert answer[0] == 4
            assert answer[2:4] == ["SecurityError", "not for you"]

    async def failing(station, action, payload):
        return StationAnswer("r", station, error="SecurityError: not for you")

    asyncio.run(scenario())

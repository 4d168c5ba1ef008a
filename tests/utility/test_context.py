"""The context that the services of the utility process share."""

import asyncio
import time

import pytest

from agent.config import Settings
from agent.errors import AlarmCode
from agent.messages import (
    Alarm,
    Authority,
    ControlRequest,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    StationAnswer,
    StationCall,
)
from agent.utility.context import SILENT, Context


@pytest.fixture
def told():
    return []


@pytest.fixture
def context(told, tmp_path):
    return Context(Settings(path=tmp_path / "agent.toml"), "utility", told.append)


def ask(context, **more):
    options = {"origin": "test", "authority": Authority.CSMS, "lease_s": 10.0, **more}
    return context.request(RequestKind.WATT_SETPOINT, 5000.0, **options)


def test_an_acceptance_is_an_answer_unless_the_end_is_wanted(context, told):
    async def scenario():
        asked = [asyncio.create_task(ask(context)), asyncio.create_task(ask(context, final=True))]
        await asyncio.sleep(0)
        first, second = [message for message in told if isinstance(message, ControlRequest)]
        for request in (first, second):
            context.take(RequestOutcome(request.request_id, RequestStatus.ACCEPTED))
        assert (await asked[0]).status is RequestStatus.ACCEPTED
        assert not asked[1].done()
        context.take(RequestOutcome(second.request_id, RequestStatus.COMPLETED))
        assert (await asked[1]).status is RequestStatus.COMPLETED

    asyncio.run(scenario())


def test_a_control_that_is_silent_is_a_failure_with_a_reason(context):
    outcome = asyncio.run(ask(context, timeout_s=0.01))
    assert (outcome.status, outcome.reason) == (RequestStatus.FAILED, SILENT)


def test_a_station_is_called_and_answers(context, told):
    async def scenario():
        calling = asyncio.create_task(context.call_station("CS1", "GetVariables", b"{}"))
        await asyncio.sleep(0)
        (call,) = [message for message in told if isinstance(message, StationCall)]
        context.take(StationAnswer(call.request_id, "CS1", b'{"a":1}'))
        assert (await calling).payload == b'{"a":1}'

    asyncio.run(scenario())


def test_a_station_that_asks_hears_that_nobody_listens(context, told):
    context.take(StationCall("r1", "CS1", "Authorize", b"{}", from_station=True))
    assert told[-1].error == "no CSMS"


def test_alarms_are_stated_again_to_a_new_control_until_they_clear(context, told):
    def alarm(active):
        context.alarm(AlarmCode.UPSTREAM_LOST, active, "csms", "gone", "look")

    alarm(active=False)
    assert told == []
    alarm(active=True)
    context.connected()
    assert [message.active for message in told if isinstance(message, Alarm)] == [True, True]
    alarm(active=False)
    context.connected()
    assert [message.active for message in told] == [True, True, False]


def test_ids_are_unique_over_processes(told, tmp_path):
    settings = Settings(path=tmp_path / "agent.toml")
    made = [Context(settings, "utility", told.append) for _ in range(2)]
    assert len({context.new_id() for context in made for _ in range(50)}) == 100


def test_events_of_a_restarted_process_do_not_replace_older_ones(told, tmp_path):
    settings = Settings(path=tmp_path / "agent.toml")
    Context(settings, "utility", told.append).audit("service", "csms", "one")
    time.sleep(0.001)
    Context(settings, "utility", told.append).audit("service", "csms", "two")
    assert told[0].key != told[1].key

"""The HTTPS port against clients that are slow, silent, or many."""

import asyncio
import contextlib
import ssl
import time

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from agent.config import Settings
from agent.config.utility import Utility
from agent.errors import AlarmCode, HandshakeTimeoutError
from agent.utility.api import protocol, service
from agent.utility.api.rate import NAMES_MAX, RateLimit
from agent.utility.api.server import ApiServer
from agent.utility.api.service import LateHandshakes
from agent.utility.context import Context
from tests.utility.certificates import Authority

HANG_S = 20.0


async def hello(request):
    return PlainTextResponse("hello")


@contextlib.asynccontextmanager
async def served(on_timeout=lambda _error: None, **options):
    server = ApiServer(Utility(**options), Starlette(routes=[Route("/", hello)]), on_timeout)
    running = asyncio.create_task(server.run())
    try:
        yield server.port
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def ended(reader):
    """Whether the other side closed within the time that a test may take."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), HANG_S) is not None
    return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_who_does_not_finish_its_headers_is_let_go(sent, monkeypatch):
    monkeypatch.setattr(protocol, "HEADERS_S", 0.3)

    async def scenario():
        async with served() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert await ended(reader)
            writer.close()

    asyncio.run(scenario())


def test_a_second_request_has_no_more_time_than_the_first(monkeypatch):
    monkeypatch.setattr(protocol, "HEADERS_S", 0.5)

    async def scenario():
        async with served() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200" in await reader.readline()
            writer.write(b"GET / HT")
            assert await ended(reader)
            writer.close()

    asyncio.run(scenario())


def test_a_request_that_takes_long_to_answer_is_not_cut(monkeypatch):
    monkeypatch.setattr(protocol, "HEADERS_S", 0.2)

    async def slow(request):
        await asyncio.sleep(0.8)
        return PlainTextResponse("late")

    async def scenario():
        server = ApiServer(Utility(), Starlette(routes=[Route("/", slow)]))
        running = asyncio.create_task(server.run())
        async with httpx.AsyncClient(timeout=HANG_S, trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/")).text == "late"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


def test_one_address_cannot_hold_every_connection(monkeypatch):
    monkeypatch.setattr(protocol, "PER_ADDRESS", 4)

    async def scenario():
        async with served() as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await ended(reader)
            writer.close()
            for _, other in held:
                other.close()
            deadline = time.monotonic() + HANG_S
            while protocol._open and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(timeout=HANG_S, trust_env=False) as client:
                assert (await client.get(f"http://127.0.0.1:{port}/")).text == "hello"

    asyncio.run(scenario())


def test_a_handshake_that_never_ends_is_ended_and_its_peer_and_stage_are_named(tmp_path):
    pem, private = Authority(tmp_path).issue("gateway")
    late = []

    async def scenario():
        options = {"api_certificate": pem, "api_key": private, "handshake_timeout_s": 1.0}
        async with served(late.append, **options) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            address, number = writer.get_extra_info("sockname")
            assert await ended(reader)
            writer.close()
            deadline = time.monotonic() + HANG_S
            while not late and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
        [error] = late
        assert (error.peer, error.stage) == (f"{address}:{number}", "tls")
        assert f"{error.code}" in str(error)

    asyncio.run(scenario())


def test_late_handshakes_are_one_alarm_that_ends_when_none_follows(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "CLEAR_S", 0.2)
    sent = []
    context = Context(Settings(path=tmp_path / "agent.toml"), "utility", sent.append)

    async def scenario():
        late = LateHandshakes(context)
        for number in range(3):
            late.add(HandshakeTimeoutError(f"192.0.2.{number}:4711", "tls"))
        raised = sent[-1]
        assert (raised.code, raised.active) == (AlarmCode.HANDSHAKE_TIMEOUT, True)
        assert "192.0.2.2:4711 at tls" in raised.text
        deadline = time.monotonic() + HANG_S
        while sent[-1].active and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    asyncio.run(scenario())
    assert {alarm.source for alarm in sent} == {service.SOURCE}
    assert [alarm.active for alarm in sent] == [True, True, True, False]
    assert context.counters["api_handshake_timeouts"] == 3


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(tmp_path):
    authority = Authority(tmp_path)
    pem, private = authority.issue("gateway")

    async def scenario():
        async with served(api_certificate=pem, api_key=private) as port:
            context = ssl.create_default_context(cafile=authority.pem)
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", port, ssl=context)
            modern = ssl.create_default_context(cafile=authority.pem)
            async with httpx.AsyncClient(verify=modern, timeout=HANG_S) as client:
                assert (await client.get(f"https://127.0.0.1:{port}/")).text == "hello"

    asyncio.run(scenario())


def test_a_rate_refills_and_forgets_the_oldest_names():
    limit = RateLimit(burst=3.0, per_s=1.0)
    assert [limit.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.allows("a", 1.0), limit.allows("a", 1.0)] == [True, False]
    assert limit.allows("b", 1.0)
    for number in range(2 * NAMES_MAX):
        limit.allows(f"n{number}", 2.0)
    assert len(limit._buckets) == NAMES_MAX

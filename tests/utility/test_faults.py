"""What a bad network, a silent CSMS and a killed process do, and do not do."""

import asyncio
import contextlib
import importlib.util
import socket
import time
from pathlib import Path

import pytest

from agent.errors import AlarmCode
from agent.messages import RequestKind

_spec = importlib.util.spec_from_file_location("proxy", Path(__file__).with_name("proxy.py"))
proxy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(proxy)
LEASE_S = 5.0


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_lost_csms_leaves_the_droop_and_its_bias_ends_with_the_lease(
    make_site, tools, how, record_property
):
    """failure-semantics: ≤ lease + 100 ms after the CSMS was last heard."""

    async def scenario():
        async with tools.Csms(interval=1) as csms, proxy.Proxy(csms.port) as wire:
            url = f"ws://localhost:{wire.port}/ocpp"
            site = make_site(None, [tools.evse()], url=url, lease_s=LEASE_S, f_hz=49.9)
            async with site:
                await site.connected()
                sent = tools.setpoint_profile(-3000)
                assert await csms.call("SetChargingProfile", sent) == {"status": "Accepted"}
                key = ("CS1/1", "watt-setpoint")
                await tools.until(lambda: key in site.in_force(), "the bias")
                await asyncio.sleep(1.5)  # through renewals
                if how == "cut":
                    await csms.close()
                    wire.cut()
                else:
                    wire.stalled = True
                await tools.until(lambda: key not in site.in_force(), "its end")
                ended_s = time.monotonic()
                heard_s = site.client.smart.heard_s
                ends = [r.received_s + r.lease_s for r in site.of(RequestKind.WATT_SETPOINT)]
                assert max(ends) <= heard_s + LEASE_S + 0.01
                record_property("bias_after_lease_ms", (ended_s - heard_s - LEASE_S) * 1e3)
                assert site.loop_view.droop_w > 1000.0
                await tools.until(lambda: site.statuses["CS1/1"].p_w > 1000.0, "the droop")

    asyncio.run(scenario())


def test_heartbeats_survive_a_cellular_link_of_three_seconds(make_site, tools):
    """The time to answer follows the measured round trip; nothing is given up or sent twice."""

    async def scenario():
        async with tools.Csms(interval=1) as csms, proxy.Proxy(csms.port, 1.5) as wire:
            url = f"ws://localhost:{wire.port}/ocpp"
            # 1 s would be far too little: the bound below shows that the measure decides.
            site = make_site(None, [tools.evse()], url=url, call_timeout_min_s=1.0)
            async with site:
                await site.connected()
                await tools.until(lambda: site.client.state.heartbeats >= 2, "two heartbeats", 60)
                assert site.client.state.connects == 1
                assert site.client.state.round_trip_s == pytest.approx(3.0, abs=1.0)
                assert 3.0 < site.client.timeout_s < 30.0
                assert len(csms.of("BootNotification")) == 1
                started = csms.of("TransactionEvent")
                assert len({each["seqNo"] for each in started}) == len(started)

    asyncio.run(scenario())


@pytest.mark.parametrize("cuts", [6, pytest.param(500, marks=pytest.mark.soak)])
def test_cuts_lose_no_transaction_message_and_keep_their_order(
    make_site, tools, cuts, record_property
):
    async def scenario():
        async with tools.Csms(interval=1) as csms, proxy.Proxy(csms.port, 0.02) as wire:
            url = f"ws://localhost:{wire.port}/ocpp"
            evses = [tools.evse(f"CS{n}/1") for n in range(3)]
            site = make_site(None, evses, url=url, meter_interval_s=1.0)
            async with site:
                for _ in range(cuts):
                    await asyncio.sleep(0.7)
                    wire.cut()
                for each in evses:
                    site.change(each.evse_id, plugged=False)
                await tools.until(lambda: not site.client.transactions.running, "the ends")
                await tools.until(lambda: len(site.client.journal) == 0, "an empty journal")
                assert wire.connections >= 4
                record_property("cuts", cuts)
                record_property("messages", len(csms.of("TransactionEvent")))
                by_name = {}
                for event in csms.of("TransactionEvent"):
                    name = event["transactionInfo"]["transactionId"]
                    by_name.setdefault(name, []).append((event["seqNo"], event["eventType"]))
                assert len(by_name) == 3
                for events in by_name.values():
                    first_seen = list(dict.fromkeys(events))  # a repeated one is the same one
                    assert [number for number, _ in first_seen] == list(range(len(first_seen)))
                    assert first_seen[0][1] == "Started"
                    assert first_seen[-1][1] == "Ended"
                assert any(each["offline"] for each in csms.of("TransactionEvent"))

    asyncio.run(scenario())


@contextlib.contextmanager
def full_backlog():
    """A port that answers no SYN: its backlog is full and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        time.sleep(0.1)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("stage", ["tcp", "tls", "websocket", "boot"])
def test_a_handshake_that_does_not_end_is_alarm_0x22_with_peer_and_stage(
    make_site, tools, pki, stage
):
    async def scenario():
        async with contextlib.AsyncExitStack() as stack:
            csms = await stack.enter_async_context(tools.Csms())
            csms.answers["BootNotification"] = lambda _payload: None
            silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
            stack.callback(silent.close)
            ports = {
                "tcp": lambda: stack.enter_context(full_backlog()),
                "boot": lambda: csms.port,
            }
            port = ports.get(stage, lambda: silent.sockets[0].getsockname()[1])()
            scheme = "wss" if stage == "tls" else "ws"
            url = f"{scheme}://127.0.0.1:{port}/ocpp"
            options = {"ca": pki.ca} if stage == "tls" else {}
            site = make_site(None, url=url, handshake_timeout_s=1.0, **options)
            async with site:
                alarm = await tools.until(lambda: site.alarm(AlarmCode.HANDSHAKE_TIMEOUT))
                assert alarm.text.startswith("0x22")
                assert f"127.0.0.1:{port} at {stage}" in alarm.text

    asyncio.run(scenario())


def test_the_csms_may_ask_for_patience_at_boot(make_site, tools):
    async def scenario():
        async with tools.Csms() as csms:
            states = iter(["Pending", "Rejected"])
            accepted = csms._answer("BootNotification", {})

            def boot(_payload):
                status = next(states, "Accepted")
                return {**accepted, "status": status, "interval": 1}

            csms.answers["BootNotification"] = boot
            async with make_site(csms, [tools.evse()]) as site:
                await site.connected()
                assert len(csms.of("BootNotification")) == 3
                assert len(csms.sockets) == 1

    asyncio.run(scenario())


def test_a_csms_that_refuses_is_named_with_what_to_do(make_site, tools):
    async def scenario():
        async with tools.Csms(protocols=("ocpp1.5",)) as csms, make_site(csms) as site:
            alarm = await tools.until(lambda: site.alarm(AlarmCode.UPSTREAM_LOST))
            assert "websocket" in alarm.text

    asyncio.run(scenario())

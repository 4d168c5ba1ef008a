"""Simulated charging stations: `python -m agent.vehicles.simulated.station --url ws://HOST:PORT`.

Each is one EVSE with a vehicle that is plugged in, connects to the gateway over a real WebSocket
and does what a real one does: boots, starts a transaction, says what the vehicle can do, carries
out charging profiles until their `duration` ends, and reports its meter. With `--json` every order
that arrives is one line on standard output, with the monotonic time of its arrival.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
from loguru import logger
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from agent.logs import set_up_logging
from agent.ocpp import Answered, CallReceived, Session, Version
from agent.vehicles.simulated.behaviour import Behaviour
from agent.vehicles.simulated.profile import ProfileOrder
from agent.vehicles.simulated.station2 import Station2
from agent.vehicles.simulated.station16 import Station16
from agent.worker import end_with_parent, loop_policy

RECONNECT_S: Final = (0.2, 5.0)
DEFAULT_MIX: Final = "2.1:3,2.0.1:1,1.6:1"
_VERSIONS: Final = {"2.1": Version.V21, "2.0.1": Version.V201, "1.6": Version.V16}

_connecting: Final = asyncio.Semaphore(200)
"""Thousands of stations in one process connect one after the other, as those of a site do."""

Report = Callable[[Mapping[str, Any]], None]


class SimulatedStation(WSListener):
    """One station: a connection, a session, and a behaviour that decides what to say.

    Args:
        url: The gateway's address without the identity.
        identity: Last segment of the path.
        report: Told of every order that arrives.
    """

    def __init__(self, url: str, identity: str, version: Version, report: Report) -> None:
        self.identity = identity
        self.behaviour: Behaviour = (
            Station16(identity) if version is Version.V16 else Station2(identity, version)
        )
        self._url = f"{url.rstrip('/')}/{identity}"
        self._version = version
        self._report = report
        self._session = self._new_session()
        self._transport: WSTransport | None = None
        self._tick: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Stay connected until cancelled; the pause between attempts doubles up to its limit."""
        pause_s = RECONNECT_S[0]
        headers = {"Sec-WebSocket-Protocol": self._version.subprotocol}
        while True:
            try:
                async with _connecting:
                    transport, _ = await ws_connect(lambda: self, self._url, extra_headers=headers)
            except (OSError, WSError, TimeoutError) as error:
                logger.debug("{}: {}", self.identity, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2.0 * pause_s, RECONNECT_S[1])
                continue
            pause_s = RECONNECT_S[0]
            await transport.wait_disconnected()
            await asyncio.sleep(pause_s)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Say who it is."""
        self._transport = transport
        self._session = self._new_session()
        self.behaviour.connected()
        self._advance()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Forget the connection; the vehicle's order lives on until it ends by itself."""
        self._transport = None
        if self._tick is not None:
            self._tick.cancel()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one message of the gateway."""
        now_s = time.monotonic()
        if frame.msg_type is WSMsgType.TEXT:
            for event in self._session.receive(frame.get_payload_as_bytes(), now_s):
                match event:
                    case CallReceived():
                        self._take_call(event, now_s)
                    case Answered():
                        self.behaviour.answered(event, now_s)
            self._flush()
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def _take_call(self, call: CallReceived, now_s: float) -> None:
        answer, order = self.behaviour.called(call, now_s)
        self._session.answer(call.message_id, answer)
        if order is not None:
            self._report(_order_line(self.identity, call, order, now_s))

    def _advance(self) -> None:
        """One step of the vehicle's physics, and what it makes the station say."""
        self.behaviour.advance(time.monotonic())
        self._flush()

    def _schedule(self, now_s: float) -> None:
        """Wake up when the vehicle has something to do or an answer is overdue."""
        if self._tick is not None:
            self._tick.cancel()
        if self._transport is not None:
            wake_s = min(self.behaviour.next_s(now_s), self._session.deadline_s, now_s + 60.0)
            loop = asyncio.get_running_loop()
            self._tick = loop.call_later(max(0.0, wake_s - now_s), self._advance)

    def _flush(self) -> None:
        now_s = time.monotonic()
        for action, payload in self.behaviour.take_calls():
            self._session.call(action, payload, tag=action)
        outgoing, _ = self._session.take_outgoing(now_s)
        for item in outgoing:
            if self._transport is not None:
                self._transport.send(WSMsgType.TEXT, item.data)
        if now_s >= self._session.deadline_s:
            self._session.expire(now_s)
        self._schedule(now_s)

    def _new_session(self) -> Session:
        return Session(self._version, secrets.token_hex(4) + "-", call_timeout_s=30.0)


def _order_line(
    identity: str, call: CallReceived, order: ProfileOrder, now_s: float
) -> dict[str, Any]:
    return {
        "station": identity,
        "evse": order.evse,
        "received_s": now_s,
        "action": call.action,
        "p_w": order.p_w,
        "duration_s": order.duration_s,
        "operation_mode": order.operation_mode,
    }


def versions_of(mix: str, count: int) -> list[Version]:
    """Return `count` versions in the proportions of a mix such as `2.1:3,2.0.1:1,1.6:1`.

    Raises:
        ValueError: The mix names an unknown version or no positive share.
    """
    shares: list[tuple[Version, int]] = []
    for part in mix.split(","):
        name, _, share = part.strip().partition(":")
        if name not in _VERSIONS or not (share or "1").isdecimal() or int(share or "1") < 0:
            raise ValueError(f"{part.strip()!r} is not VERSION:SHARE with {', '.join(_VERSIONS)}")
        shares.append((_VERSIONS[name], int(share or "1")))
    pattern = [version for version, share in shares for _ in range(share)]
    if not pattern:
        raise ValueError("the mix is empty")
    return list(itertools.islice(itertools.cycle(pattern), count))


def _identities(prefix: str) -> Iterator[str]:
    return (f"{prefix}{number:04d}" for number in itertools.count(1))


async def run(arguments: argparse.Namespace) -> None:
    """Run all stations until SIGTERM or SIGINT."""
    report = _print_json if arguments.json else _log_order
    versions = versions_of(arguments.mix, arguments.count)
    stations = [
        SimulatedStation(arguments.url, identity, version, report)
        for identity, version in zip(_identities(arguments.prefix), versions, strict=False)
    ]
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    tasks = [asyncio.create_task(station.run()) for station in stations]
    await stopped.wait()
    for task in tasks:
        task.cancel()


def _print_json(line: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def _log_order(line: Mapping[str, Any]) -> None:
    logger.info("{station}/{evse}: {p_w:.0f} W for {duration_s} s", **line)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="simulated OCPP charging stations")
    parser.add_argument("--url", required=True, help="ws://HOST:PORT of the gateway")
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--mix", default=DEFAULT_MIX, help=f"default {DEFAULT_MIX}")
    parser.add_argument("--prefix", default="SIM", help="start of every identity")
    parser.add_argument("--json", action="store_true", help="one JSON line for every order")
    parser.add_argument("--supervised", action="store_true", help="end with the parent process")
    arguments = parser.parse_args()
    try:
        versions_of(arguments.mix, arguments.count)
    except ValueError as error:
        parser.error(f"--mix: {error}")
    set_up_logging("simulated-stations")
    if arguments.supervised:
        end_with_parent()
    asyncio.set_event_loop_policy(loop_policy())
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()

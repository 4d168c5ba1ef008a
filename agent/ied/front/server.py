"""Listens, admits, and hands every admitted client to the engine."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from loguru import logger

from agent.errors import ConfigurationError, HandshakeTimeoutError, UnavailableError
from agent.ied.front.admission import Admission, Limits
from agent.ied.front.relay import EngineSide, Relay
from agent.ied.front.tls import TlsGate
from agent.ied.port import Engine, Session

_CHECK_S: Final = 0.5
_REFUSED: Final = "refused: "
_HINTS: Final = {
    errno.EADDRINUSE: "another program serves this port; `ss -ltnp` names it",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE; or choose ied.port = 10102",
    errno.EADDRNOTAVAIL: "no interface has this address",
}
__all__ = ["Front", "Limits"]

Admit = Callable[[Session, ssl.SSLObject | None], Session | str]


class Front:
    """Listeners with common limits; each with TLS or without.

    Args:
        engine: Serves the admitted clients.
        limits: How many, how long, from where.
        audit: Told of every association, refusal and end.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        audit: Callable[[Session, str, str], None],
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._audit = audit
        self._numbers = itertools.count(1)
        self._relays: dict[Relay, tuple[Session, float]] = {}
        self._servers: list[asyncio.Server] = []
        self._gates: list[TlsGate] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.admission = Admission(limits)

    async def start(
        self, host: str, port: int, gate: TlsGate | None = None, admit: Admit | None = None
    ) -> int:
        """Listen; returns the port.

        Args:
            host: Address to bind.
            port: 0 lets the system choose.
            gate: TLS and the judgement of certificates; None is plain MMS.
            admit: Turns a plain client into its session, or into a reason to refuse it.

        Raises:
            UnavailableError: The system refuses the address or the port.
        """
        loop = asyncio.get_running_loop()
        judge = gate.admit if gate is not None else admit or _everybody
        try:
            server = await loop.create_server(
                lambda: Relay(_Listener(self, gate, judge), loop.time, self._limits.backlog_bytes),
                host,
                port,
                backlog=256,
            )
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "")
            what = f"MMS cannot listen on {host}:{port}: {error.strerror or error}"
            raise UnavailableError(f"{what} ({hint})" if hint else what) from error
        if not self._servers:
            self._spawn(self._watch())
        self._servers.append(server)
        if gate is not None:
            self._gates.append(gate)
        return int(server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and end every association."""
        for server in self._servers:
            server.close()
        for relay in list(self._relays):
            relay.end("the gateway stops")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def accepted(self, relay: Relay, gate: TlsGate | None, judge: Admit) -> None:
        """A TCP connection is up: count it, then TLS, then judgement."""
        transport = relay.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        if transport is None or peer is None:
            relay.end("gone before it was accepted")
            return
        session = Session(next(self._numbers), str(peer[0]), int(peer[1]))
        reason = self.admission.connect(session.address)
        if reason:
            self._audit(session, "refused", reason)
            transport.abort()
            return
        self._relays[relay] = (session, asyncio.get_running_loop().time())
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if gate is None:
            self._judge(relay, session, judge, None)
        else:
            transport.pause_reading()
            self._spawn(self._secure(relay, session, gate, judge))

    def associated(self, relay: Relay) -> None:
        """The engine has answered the association request."""
        self.admission.associate()
        session, _ = self._relays[relay]
        self._audit(session, "associated", session.role)

    def ended(self, relay: Relay, reason: str) -> None:
        """A relay has ended; free what it counted for."""
        entry = self._relays.pop(relay, None)
        if entry is not None:
            self.admission.leave(entry[0].address, relay.associated)
            refused = reason.startswith(_REFUSED)
            event, detail = ("refused", reason[len(_REFUSED) :]) if refused else ("ended", reason)
            self._audit(entry[0], event, detail)
            for gate in self._gates:
                gate.forget(entry[0])

    def _judge(
        self, relay: Relay, session: Session, judge: Admit, tls: ssl.SSLObject | None
    ) -> None:
        admitted = judge(session, tls)
        if isinstance(admitted, str):
            relay.end(f"{_REFUSED}{admitted}")
            return
        self._relays[relay] = (admitted, self._relays[relay][1])
        self._spawn(self._connect(relay, admitted))

    async def _secure(self, relay: Relay, session: Session, gate: TlsGate, judge: Admit) -> None:
        """The TLS handshake; nothing else waits for it."""
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                relay.plain,
                relay,
                gate.context,
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake_s,
            )
        except (OSError, TimeoutError) as error:
            late = isinstance(error, ConnectionAbortedError | TimeoutError)
            cause = str(HandshakeTimeoutError(str(session), "tls")) if late else f"TLS: {error}"
            relay.end(f"{_REFUSED}{cause}")
            return
        if transport is None or relay not in self._relays:
            relay.end(f"{_REFUSED}gone during the TLS handshake")
            return
        relay.secured(transport)
        self._judge(relay, session, judge, transport.get_extra_info("ssl_object"))

    async def _connect(self, relay: Relay, session: Session) -> None:
        loop = asyncio.get_running_loop()
        try:
            stream = await loop.run_in_executor(None, self._engine.connect, session)
            stream.setblocking(False)
            await loop.create_connection(lambda: EngineSide(relay), sock=stream)
        except OSError as error:
            relay.end(f"the engine refuses: {error}")

    async def _watch(self) -> None:
        """End what takes too long: handshakes, idle associations, sessions past their age."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_CHECK_S)
            self._reload()
            for relay, (session, since_s) in list(self._relays.items()):
                reason = self._overdue(relay, session, since_s, loop.time())
                if reason:
                    relay.end(reason)

    def _reload(self) -> None:
        """Use changed certificates and revocation lists; end whom they no longer admit."""
        for gate in self._gates:
            try:
                gate.reload()
            except ConfigurationError as error:
                logger.error("TLS files are not used: {}", error)
            for relay, (session, _) in list(self._relays.items()):
                reason = gate.unwanted(session)
                if reason:
                    relay.end(f"{_REFUSED}{reason}")

    def _overdue(self, relay: Relay, session: Session, since_s: float, now_s: float) -> str:
        limits = self._limits
        if not relay.associated:
            late = now_s - since_s > limits.handshake_s
            cause = HandshakeTimeoutError(str(session), "association")
            return f"{_REFUSED}{cause}" if late else ""
        if limits.idle_s and now_s - relay.last_request_s > limits.idle_s:
            return "no request for too long"
        longest_s = limits.tls_session_s if session.identity else limits.session_s
        if longest_s and now_s - since_s > longest_s:
            return "the session is too old"
        return ""

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Listener:
    """What a relay of one listener tells the front."""

    def __init__(self, front: Front, gate: TlsGate | None, judge: Admit) -> None:
        self._front = front
        self._gate = gate
        self._judge = judge

    def accepted(self, relay: Relay) -> None:
        """The TCP connection is up."""
        self._front.accepted(relay, self._gate, self._judge)

    def associated(self, relay: Relay) -> None:
        """The engine has answered the association."""
        self._front.associated(relay)

    def ended(self, relay: Relay, reason: str) -> None:
        """The client or the engine is gone."""
        self._front.ended(relay, reason)


def _everybody(session: Session, _tls: ssl.SSLObject | None) -> Session | str:
    return session

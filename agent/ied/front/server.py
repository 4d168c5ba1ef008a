"""Listens, admits, and hands every admitted client to the engine."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from agent.errors import UnavailableError
from agent.ied.front.admission import Admission, Limits
from agent.ied.front.relay import EngineSide, Relay
from agent.ied.port import Engine, Session

_CHECK_S: Final = 0.5
_HINTS: Final = {
    errno.EADDRINUSE: "another program serves this port; `ss -ltnp` names it",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE; or choose ied.port = 10102",
    errno.EADDRNOTAVAIL: "no interface has this address",
}
__all__ = ["Front", "Limits"]

Admit = Callable[[Session, "ssl.SSLObject | None"], "Session | str"]


class Front:
    """One listener; TLS where a context is given.

    Args:
        engine: Serves the admitted clients.
        limits: How many, how long, from where.
        audit: Told of every association, refusal and end.
        admit: Turns the first sight of a client into its session, or into a reason to refuse.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        audit: Callable[[Session, str, str], None],
        admit: Admit = lambda session, _tls: session,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._audit = audit
        self._admit = admit
        self._numbers = itertools.count(1)
        self._relays: dict[Relay, tuple[Session, float]] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.admission = Admission(limits)
        self.port = 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen.

        Raises:
            UnavailableError: The system refuses the address or the port.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Relay(self, loop.time, self._limits.backlog_bytes),
                host,
                port,
                ssl=tls,
                ssl_handshake_timeout=self._limits.handshake_s if tls else None,
                backlog=256,
            )
        except OSError as error:
            hint = _HINTS.get(error.errno or 0, "")
            what = f"MMS cannot listen on {host}:{port}: {error.strerror or error}"
            raise UnavailableError(f"{what} ({hint})" if hint else what) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._spawn(self._watch())

    async def stop(self) -> None:
        """Stop listening and end every association."""
        if self._server is not None:
            self._server.close()
        for relay in list(self._relays):
            relay.end("the gateway stops")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def accepted(self, relay: Relay) -> None:
        """A transport is up: count it, find its session, connect it to the engine."""
        transport = relay.transport
        assert transport is not None  # noqa: S101 - a relay reports itself once it has one
        address, port = transport.get_extra_info("peername")[:2]
        session = Session(next(self._numbers), str(address), int(port))
        reason = self.admission.connect(session.address)
        if reason:
            self._refuse(relay, session, reason)
            return
        self._relays[relay] = (session, asyncio.get_running_loop().time())
        admitted = self._admit(session, transport.get_extra_info("ssl_object"))
        if isinstance(admitted, str):
            relay.end(f"refused: {admitted}")
            return
        self._relays[relay] = (admitted, asyncio.get_running_loop().time())
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._spawn(self._connect(relay, admitted))

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
            self._audit(entry[0], "ended", reason)

    def end_if(self, unwanted: Callable[[Session], str]) -> None:
        """End every association for which a reason is returned (a revoked certificate)."""
        for relay, (session, _) in list(self._relays.items()):
            reason = unwanted(session)
            if reason:
                relay.end(reason)

    def _refuse(self, relay: Relay, session: Session, reason: str) -> None:
        self._audit(session, "refused", reason)
        if relay.transport is not None:
            relay.transport.close()

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
            for relay, (_, since_s) in list(self._relays.items()):
                reason = self._overdue(relay, since_s, loop.time())
                if reason:
                    relay.end(reason)

    def _overdue(self, relay: Relay, since_s: float, now_s: float) -> str:
        limits = self._limits
        if not relay.associated:
            late = now_s - since_s > limits.handshake_s
            return "no association in time" if late else ""
        if limits.idle_s and now_s - relay.last_request_s > limits.idle_s:
            return "no request for too long"
        if limits.session_s and now_s - since_s > limits.session_s:
            return "the session is too old"
        return ""

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

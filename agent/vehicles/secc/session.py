"""One vehicle's session: frames in, the package's state machine, frames out.

Replaces the package's receive loop, which takes whatever one `read` returns for one message,
waits a minute for a dead link, and opens the contactor two seconds after the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from iso15118.secc.comm_session_handler import SECCCommunicationSession
from iso15118.shared.exceptions import InvalidV2GTPMessageError
from iso15118.shared.exi_codec import EXI
from iso15118.shared.messages.enums import SessionStopAction
from iso15118.shared.messages.iso15118_20.common_messages import AuthorizationReq
from iso15118.shared.messages.iso15118_20.common_types import ResponseCode
from iso15118.shared.messages.v2gtp import V2GTPMessage
from iso15118.shared.states import Pause, Terminate

from agent.errors import DecodeError, HandshakeTimeoutError, ProtocolError
from agent.vehicles.secc.controller import Controller
from agent.vehicles.secc.v2gtp import read_frame

MTU_HINT: Final = (
    "packets of the certificate exchange may be lost: check the path with ping -6 -s 1452"
)
CERTIFICATE_HINT: Final = "check both certificate chains and the clocks"


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """Why a session ended.

    Attributes:
        regular: The vehicle said goodbye (SessionStop), or we asked it to.
        paused: It will come back and resume.
        under_load: Energy flowed when it ended.
        stage: State of the protocol at the end.
        error: What went wrong, where something did.
    """

    regular: bool
    paused: bool
    under_load: bool
    stage: str
    reason: str
    error: Exception | None = None


class Session(SECCCommunicationSession):  # type: ignore[misc]
    """The package's session object, driven by `run` instead of its own loop.

    Args:
        setup_timeout_s: Longest silence before the charge loop, for the 0x22 alarm.
        on_progress: Called after every answer that went out.
    """

    session_id: str
    ev_session_context: Any

    def __init__(
        self,
        transport: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        config: Any,
        controller: Controller,
        setup_timeout_s: float,
        on_progress: Callable[[], None],
    ) -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        super().__init__(transport, queue, config, controller, controller.options.evse_id)
        self.controller = controller
        self._setup_timeout_s = setup_timeout_s
        self._on_progress = on_progress

    @property
    def peer(self) -> str:
        """Address of the vehicle."""
        return str(self.peer_name[0])

    @property
    def stage(self) -> str:
        """Name of the protocol's state."""
        return str(self.current_state)

    def resume_from(self, paused: Session) -> None:
        """Let the vehicle rejoin a session that it paused ([V2G2-741], [V2G20-1017])."""
        self.session_id = paused.session_id
        self.ev_session_context = paused.ev_session_context or self.ev_session_context

    async def run(self) -> SessionEnd:
        """Serve the vehicle until the session ends; the contactor is open afterwards."""
        try:
            await self._serve()
        except EOFError:
            return await self._end("the vehicle closed the connection", None)
        except asyncio.CancelledError:
            await self._end("cancelled", None)
            raise
        except (ProtocolError, OSError) as error:
            return await self._end(str(error), error)
        except Exception as error:
            # The package raises whatever its state machines meet in a peer's message.
            text = f"{type(error).__name__} in {self.stage}: {error}".splitlines()[0]
            return await self._end(text[:200], ProtocolError(text[:200]))
        paused = self.current_state.next_state is Pause or (
            self.stop_reason is not None and self.stop_reason.stop_action is SessionStopAction.PAUSE
        )
        reason = self.stop_reason.reason if self.stop_reason else ""
        regular = bool(self.stop_reason and self.stop_reason.successful)
        stage = self.stage
        await self._open_contactor()
        return SessionEnd(regular, paused and regular, False, stage, reason)

    async def _serve(self) -> None:
        timeout_s = self._setup_timeout_s
        while True:
            frame = await self._receive(timeout_s)
            await self._process(frame)
            answer = self.current_state.next_v2gtp_msg
            if answer is not None:
                self.writer.write(answer.to_bytes())
                await self.writer.drain()
                self.last_message_sent = answer
            self.controller.refresh()
            self._on_progress()
            if self.current_state.next_state in (Terminate, Pause):
                return
            timeout_s = float(self.current_state.next_msg_timeout)
            self.go_to_next_state()

    async def _receive(self, timeout_s: float) -> bytes:
        if not self.controller.in_loop:
            timeout_s = min(timeout_s, self._setup_timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                return await read_frame(self.reader)
        except TimeoutError as error:
            if self.controller.in_loop:
                raise ProtocolError(f"nothing for {timeout_s:g} s in {self.stage}") from error
            raise HandshakeTimeoutError(self.peer, self.stage, self._hint()) from error

    def _hint(self) -> str:
        return MTU_HINT if self.is_tls else "the vehicle stopped answering"

    async def _process(self, frame: bytes) -> None:
        try:
            message = V2GTPMessage.from_bytes(self.protocol, frame)
        except InvalidV2GTPMessageError as error:
            raise DecodeError(f"not a V2GTP message of {self.protocol.name}: {error}") from error
        decoded = EXI().from_exi(message.payload, self.get_exi_ns(message.payload_type))
        if isinstance(decoded, AuthorizationReq) and self._refuse_contract(decoded):
            return
        await self.current_state.process_message(decoded, message.payload)

    def _refuse_contract(self, request: AuthorizationReq) -> bool:
        """Refuse what the package lets pass in -20: a wrong challenge, an unverified chain."""
        if request.pnc_params is None:
            return False
        chain = request.pnc_params.contract_cert_chain
        code = None
        if request.pnc_params.gen_challenge != self.gen_challenge:
            code, reason = ResponseCode.FAILED, "another session's challenge was signed"
        else:
            certificates = [chain.certificate, *chain.sub_certificates.certificates]
            reason = self.controller.check_contract(certificates)
            code = ResponseCode.FAILED if reason else None
        if code is None:
            return False
        self.current_state.stop_state_machine(reason, request, code)
        return True

    async def stop(self, reason: str) -> None:
        """Open the contactor; the package's own stop waits two seconds before it does."""
        del reason
        await self._open_contactor()

    async def _end(self, reason: str, error: Exception | None) -> SessionEnd:
        under_load = self.controller.in_loop and self.controller.evse.stage.read().p_w != 0
        stage = self.stage
        await self._open_contactor()
        return SessionEnd(False, False, under_load, stage, reason, error)

    async def _open_contactor(self) -> None:
        await self.controller.stop_charger()

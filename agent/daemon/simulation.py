"""LPHD.Sim of the gateway: whether simulated sampled values and GOOSE count.

The control holds the switch, so that neither the IED nor the process bus loses it when one of them
starts anew. A start of the control itself begins with what `process_bus.simulation` says
(docs/adr/0182-simulation.md).
"""

from __future__ import annotations

import time
from typing import Final

from loguru import logger

from agent.audit import Kind
from agent.daemon.desk import REFUSED_BY_AUDIT, AuditDesk
from agent.link import Hub, Peer
from agent.messages import (
    Authority,
    ControlRequest,
    RequestOutcome,
    RequestStatus,
    Role,
    Simulation,
)

ALLOWED: Final = (Authority.LOCAL_OPERATOR, Authority.SCADA)
NO_PROCESS_BUS: Final = "no process bus worker is connected"


class SimulationSwitch:
    """Carries out requests of kind `simulation`, and tells every process bus worker.

    Args:
        accept: Where the switch stands at the start.
        hub: Where the workers are.
        desk: Where outcomes go, once they are in the audit.
    """

    def __init__(self, accept: bool, hub: Hub, desk: AuditDesk) -> None:
        self.accept = accept
        self._hub = hub
        self._desk = desk

    def operate(self, request: ControlRequest) -> None:
        """Switch, and answer."""
        wanted = bool(request.value)
        word = "accepted" if wanted else "refused"
        what = f"{request.request_id}: simulated streams {word}"
        self._desk.note(Kind.MODE, request.origin, what, request.authority.name)
        if request.authority not in ALLOWED:
            self._answer(request, RequestStatus.REFUSED, "only station and local operator may")
            return
        if not self._desk.writable:
            self._answer(request, RequestStatus.REFUSED, REFUSED_BY_AUDIT)
            return
        if not [peer for peer in self._hub.peers if _is_process_bus(peer)]:
            self._answer(request, RequestStatus.REFUSED, NO_PROCESS_BUS)
            return
        self.accept = wanted
        logger.warning("simulated sampled values and GOOSE are {} by {}", word, request.origin)
        for peer in self._hub.peers:
            self.tell(peer)
        self._answer(request, RequestStatus.COMPLETED, f"simulated streams {word}")

    def tell(self, peer: Peer) -> None:
        """Tell one worker where the switch stands, if it is one of the process bus."""
        if _is_process_bus(peer):
            self._hub.send(peer, Simulation(self.accept))

    def _answer(self, request: ControlRequest, status: RequestStatus, reason: str) -> None:
        outcome = RequestOutcome(request.request_id, status, reason, t_utc_s=time.time())
        self._desk.answer(outcome, request.origin, "simulation")


def _is_process_bus(peer: Peer) -> bool:
    return peer.hello is not None and peer.hello.role is Role.PROCESS_BUS

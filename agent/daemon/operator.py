"""What is asked of the daemon itself: alarms seen, configuration read again, LPHD.Sim."""

from __future__ import annotations

import time
from dataclasses import replace

from loguru import logger

from agent.audit import Kind
from agent.config import Settings, load_settings
from agent.config.workers import plan_workers
from agent.control import State
from agent.daemon.alarms import AlarmBoard
from agent.daemon.desk import AuditDesk
from agent.daemon.parameters import control_parameters
from agent.daemon.reload import Difference, compare
from agent.daemon.simulation import SimulationSwitch
from agent.daemon.workers import Supervisor
from agent.errors import ConfigurationError
from agent.link import Hub
from agent.messages import (
    Acknowledge,
    ControlRequest,
    Reload,
    RequestOutcome,
    RequestStatus,
    Shutdown,
)


class OperatorDesk:
    """Answers what the control does not decide; it is in the audit before the answer leaves.

    Args:
        settings: Those in force.
        external_workers: systemd starts the workers.
    """

    def __init__(
        self,
        settings: Settings,
        hub: Hub,
        supervisor: Supervisor,
        alarms: AlarmBoard,
        desk: AuditDesk,
        *,
        external_workers: bool,
    ) -> None:
        self._settings = settings
        self._hub = hub
        self._supervisor = supervisor
        self._alarms = alarms
        self._desk = desk
        self._external = external_workers
        self.simulation = SimulationSwitch(settings.process_bus.simulation, hub, desk)

    def handle(self, message: Acknowledge | Reload | ControlRequest, state: State) -> State:
        """Do what is asked; return the control's state, with new parameters where they changed."""
        if isinstance(message, ControlRequest):
            self.simulation.operate(message)
            return state
        if isinstance(message, Acknowledge):
            self._acknowledge(message)
            return state
        return self._reload(message, state)

    def _acknowledge(self, message: Acknowledge) -> None:
        seen = self._alarms.acknowledge(message.code, message.source)
        for alarm in seen:
            self._desk.note(Kind.ALARM, message.origin, f"{alarm.code} acknowledged", alarm.source)
        if seen:
            self._answer(message, RequestStatus.COMPLETED, f"{len(seen)} acknowledged")
        else:
            self._answer(message, RequestStatus.REFUSED, "no such alarm is active")

    def _reload(self, message: Reload, state: State) -> State:
        try:
            settings = load_settings(self._settings.path)
            parameters = control_parameters(settings)
        except ConfigurationError as error:
            self._answer(message, RequestStatus.REFUSED, str(error))
            return state
        difference = compare(self._settings, settings)
        if difference.fixed:
            reason = "only a restart changes " + "; ".join(difference.fixed)
            self._answer(message, RequestStatus.REFUSED, reason)
            return state
        for value in difference.values:
            self._desk.note(Kind.SETTING, message.origin, value, "reload")
        started, missing = self._renew_workers(message, difference, settings)
        self._settings = settings
        changed = f"{len(difference.values)} values changed"
        again = f"; started anew: {', '.join(started)}" if started else ""
        todo = f"; now: systemctl start {' '.join(missing)}" if missing else ""
        logger.info("configuration read again for {}: {}{}", message.origin, changed, again)
        self._answer(message, RequestStatus.COMPLETED, changed + again + todo)
        return replace(state, parameters=parameters)

    def _renew_workers(
        self, message: Reload, difference: Difference, settings: Settings
    ) -> tuple[list[str], list[str]]:
        """End those that read something else now; return their names, and units to start."""
        planned = plan_workers(settings)
        running = {peer.hello.name for peer in self._hub.peers if peer.hello is not None}
        started: list[str] = []
        for peer in self._hub.peers:
            hello = peer.hello
            if hello is None or hello.name not in self._workers():
                continue
            if message.workers or hello.role in difference.roles:
                self._hub.send(peer, Shutdown("reload", again=True))
                started.append(hello.name)
        if not self._external:
            self._supervisor.replan(planned)
            return sorted(started), []
        # Only systemd can start what did not run before.
        absent = [spec.name for spec in planned if spec.name not in running]
        return sorted(started), [f"v2g-{name}.service" for name in absent]

    def _workers(self) -> set[str]:
        """Names that belong to workers, not to tools."""
        return {spec.name for spec in plan_workers(self._settings)}

    def _answer(self, message: Acknowledge | Reload, status: RequestStatus, reason: str) -> None:
        outcome = RequestOutcome(message.request_id, status, reason, t_utc_s=time.time())
        self._desk.answer(outcome, message.origin, type(message).__name__.lower())

"""Settings → the parts of the daemon, put together once."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Sequence

from loguru import logger

from agent import notify
from agent.audit import AuditLog, load_key
from agent.config import Settings
from agent.control import Parameters, parameters_from
from agent.daemon.loop import ControlLoop
from agent.daemon.workers import Supervisor, WorkerSpec, plan_workers
from agent.errors import EX_CONFIG, UnavailableError
from agent.link import Hub


def control_parameters(settings: Settings) -> Parameters:
    """Return what the control needs of the settings.

    Raises:
        ConfigurationError: An unknown preset, or values that the preset does not allow.
    """
    return parameters_from(
        control=settings.control,
        grid=settings.grid,
        profile=settings.power,
        where=str(settings.path),
    )


def run_daemon(settings: Settings, *, external_workers: bool = False) -> int:
    """Run until SIGTERM; return the exit code.

    Args:
        settings: Checked settings.
        external_workers: systemd starts the workers; none is started here.

    Raises:
        ConfigurationError: The control's parameters contradict each other.
        UnavailableError: Another daemon runs here, or a folder cannot be written.
    """
    parameters = control_parameters(settings)
    _make_folders(settings)
    hub = Hub(settings.control_socket)
    specs: Sequence[WorkerSpec] = () if external_workers else plan_workers(settings)
    supervisor = Supervisor(settings, specs, hub.watch, hub.unwatch)
    audit = AuditLog(
        settings.gateway.log_dir / "stability-audit.log", load_key(settings.gateway.state_dir)
    )
    try:
        loop = ControlLoop(settings, parameters, hub, supervisor, audit)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda n, _: loop.stop(signal.Signals(n).name))
        audit.append("start", "v2g-daemon", f"pid {os.getpid()}, {settings.path}")
        supervisor.start()
        notify.ready()
        gc.freeze()  # what lives now lives to the end; later collections need not visit it
        loop.run()
        return _exit_code(supervisor)
    finally:
        notify.stopping()
        supervisor.stop()
        audit.append("stop", "v2g-daemon", f"pid {os.getpid()}")
        audit.close()
        hub.close()


def _exit_code(supervisor: Supervisor) -> int:
    if supervisor.start_failure is None:
        return 0
    name, code = supervisor.start_failure
    kind = "its configuration" if code == EX_CONFIG else "what the system refused"
    logger.error("worker {} could not start: see {} above; exit {}", name, kind, code)
    return code


def _make_folders(settings: Settings) -> None:
    gateway = settings.gateway
    for folder in (gateway.run_dir, gateway.state_dir, gateway.log_dir):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"{folder}: cannot be made: {error.strerror}") from error
        if not os.access(folder, os.W_OK):
            raise UnavailableError(f"{folder}: cannot be written by uid {os.getuid()}")

"""Settings → the parts of the daemon, put together once."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loguru import logger

from agent.audit import AuditLog, Kind
from agent.config import Settings
from agent.config.workers import WorkerSpec, plan_workers
from agent.daemon.identity import permits
from agent.daemon.loop import ControlLoop
from agent.daemon.parameters import control_parameters
from agent.daemon.workers import Supervisor
from agent.errors import EX_CONFIG, UnavailableError
from agent.link import Hub
from agent.notify import Notifier

REAL_TIME_PRIORITY: Final = 10


def audit_key(settings: Settings) -> bytes:
    """Return the key of the audit's chain, made at the first start.

    systemd hands it over as the credential `audit.key`; elsewhere it lies in the state folder,
    readable by this user only.

    Raises:
        UnavailableError: It can be neither read nor made.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (given := Path(credentials) / "audit.key").exists():
        return given.read_bytes()
    path = settings.gateway.state_dir / "audit.key"
    try:
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(secrets.token_bytes(32))
        return path.read_bytes()
    except OSError as error:
        raise UnavailableError(f"{path}: {error.strerror}") from error


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
    hub = Hub(settings.control_socket, permits=permits)
    specs: Sequence[WorkerSpec] = () if external_workers else plan_workers(settings)
    supervisor = Supervisor(settings, specs, hub.watch, hub.unwatch)
    audit = AuditLog(
        settings.gateway.log_dir / "stability-audit.log",
        audit_key(settings),
        anchor=lambda head: logger.info("{}", head),  # the journal leaves the machine
    )
    notifier = Notifier()
    try:
        loop = ControlLoop(
            settings, parameters, hub, supervisor, audit, notifier,
            external_workers=external_workers,
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda n, _: loop.stop(signal.Signals(n).name))
        why = f"pid {os.getpid()}, {settings.path}"
        audit.append(Kind.SERVICE, "v2g-daemon", "start", why, durable=False)
        supervisor.start()
        _take_real_time_priority()
        notifier.ready()
        gc.freeze()  # what lives now lives to the end; later collections need not visit it
        loop.run()
        return _exit_code(supervisor)
    finally:
        notifier.stopping()
        supervisor.stop()
        audit.append(Kind.SERVICE, "v2g-daemon", "stop", f"pid {os.getpid()}", durable=False)
        audit.close()
        hub.close()


def _take_real_time_priority() -> None:
    """Tick on time on a busy machine, where the system permits it; workers do not inherit it."""
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, policy, os.sched_param(REAL_TIME_PRIORITY))


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

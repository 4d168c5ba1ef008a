"""What every worker process shares: its start, its link to the control, its heartbeat.

A worker is `python -m agent.<room>.worker --config FILE --name NAME [--supervised PID]`. It says
`Hello`, sends a `Heartbeat` twice a second, and ends with the daemon when the daemon started it
(`--supervised`); under systemd it stays, reconnects and states its values again. With `--standby`
it has loaded everything and waits until it is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loguru import logger

from agent.certificates import expiry
from agent.config import DEFAULT_PATH, Settings, load_settings
from agent.errors import EX_AGAIN, AgentError, DecodeError
from agent.heap import Reserve
from agent.link import Batched, Link
from agent.logs import set_up_logging
from agent.messages import AnyMessage, Heartbeat, Message, Role, Shutdown
from agent.notify import Notifier

HEARTBEAT_S: Final = 0.5
EXPIRY_S: Final = 60.0
"""The certificates of a worker are looked at this often."""
EXPIRES: Final = "expires_utc_s:"
"""Counters that begin so tell when the certificate of that setting expires."""
RECONNECT_S: Final = 0.2
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True)
class Worker:
    """A started worker: its settings, its link, and counters that the heartbeat carries."""

    name: str
    settings: Settings
    link: Link
    counters: dict[str, float] = field(default_factory=dict)
    notifier: Notifier = field(default_factory=Notifier)
    supervised: bool = False
    """The daemon started it, not systemd."""
    again: bool = False
    """It ends to be started anew with other settings."""

    _expiry_due_s: float = 0.0
    _reserve: Reserve = field(default_factory=lambda: Reserve(time.monotonic()))

    def ends_on(self, message: Shutdown) -> bool:
        """Whether the control's word ends this process.

        A worker that systemd started outlives the control; only new settings end it.
        """
        self.again = message.again
        return message.again or self.supervised or not self.notifier.active

    def heartbeat(self) -> None:
        """Tell the control, and systemd where it started us, that this process is alive."""
        now_s = time.monotonic()
        if now_s >= self._expiry_due_s:
            self._expiry_due_s = now_s + EXPIRY_S
            self.counters.update(certificate_expiries(self.settings, self.link.hello.role))
        self._reserve.look(now_s)
        self.counters["objects"] = sys.getallocatedblocks()
        self.link.send(Heartbeat(self.name, now_s, dict(self.counters)))
        self.notifier.ready_once()
        self.notifier.feed(now_s)


def certificate_expiries(settings: Settings, role: Role) -> dict[str, float]:
    """Return when the certificates expire that a role's table names (UTC seconds)."""
    section = getattr(settings, str(role), None)
    found: dict[str, float] = {}
    for name in getattr(section, "__struct_fields__", ()):
        path = getattr(section, name)
        if name.endswith("certificate") and isinstance(path, Path):
            try:
                found[EXPIRES + name] = expiry(path)
            except (OSError, DecodeError):
                continue  # the worker itself says what is wrong with its files
    return found


def run_worker(
    role: Role,
    main: Callable[[Worker], int | None],
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """Entry point of a worker module: parse, load, start, run `main`, exit with its code.

    An `AgentError` ends the process with its message and its exit code; anything else is logged
    with its traceback and ends it with 1, and the daemon starts it again.

    Args:
        role: Whose worker this is.
        main: Serves until it is told to stop; returns the exit code.
        prepare: What a stand-in does while it waits, so that it need not when it is called.
    """
    arguments = _parse_arguments(role)
    set_up_logging(arguments.name)
    if arguments.supervised is not None:
        end_with_parent(arguments.supervised)
    if arguments.standby:
        prepare()
        if not sys.stdin.readline():
            sys.exit(0)  # never needed
    try:
        settings = load_settings(arguments.config)
        link = Link(settings.control_socket, role, arguments.name)
        supervised = arguments.supervised is not None
        worker = Worker(arguments.name, settings, link, supervised=supervised)
        code = main(worker)
        code = code or (EX_AGAIN if worker.again else 0)
    except AgentError as error:
        logger.error("{}", error)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 0
    except Exception:
        logger.exception("the worker ends")
        code = 1
    sys.exit(code or 0)


def _parse_arguments(role: Role) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"v2g-agent worker: {role}")
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH)
    parser.add_argument("--name", default=str(role))
    parser.add_argument(
        "--supervised",
        type=int,
        nargs="?",
        const=0,
        metavar="PID",
        help="end with the parent process, which is PID",
    )
    parser.add_argument(
        "--standby", action="store_true", help="wait for a line on standard input, then start"
    )
    return parser.parse_args()


def end_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to end this process when its parent dies, however it dies.

    Args:
        parent: The pid of the parent that started it; one that died before this call is then
            noticed too.
    """
    parent = parent or os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the call
        sys.exit(0)


class AsyncLink:
    """A worker's link inside asyncio: reads, reconnects, and beats, until `Shutdown`.

    Args:
        worker: The started worker.
        on_message: Called for every message from the control.
        on_connect: Called after every connect; state the current values here.
    """

    def __init__(
        self,
        worker: Worker,
        on_message: Callable[[AnyMessage], None],
        on_connect: Callable[[], None] = lambda: None,
    ) -> None:
        self._worker = worker
        self._link = worker.link
        self._on_message = on_message
        self._on_connect = on_connect
        self._stopped = asyncio.Event()
        self._reading: int = -1
        self._writing = False

    def send(self, message: Message) -> None:
        """Send to the control; the newest of each key waits while it does not read."""
        self._link.send(message)
        self._watch_writes()

    def send_all(self, batch: Sequence[Batched]) -> None:
        """Send the messages of one turn to the control, many in a datagram."""
        self._link.send_all(batch)
        self._watch_writes()

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    async def run(self) -> None:
        """Serve the link until the daemon says `Shutdown`, SIGTERM comes, or `stop` is called."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        try:
            while not self._stopped.is_set():
                if not self._link.connected:
                    self._connect()
                self._worker.heartbeat()
                self._watch_writes()
                pause_s = HEARTBEAT_S if self._link.connected else RECONNECT_S
                await self._pause(pause_s)
        finally:
            self._unwatch()
            self._link.close()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            pass

    def _connect(self) -> None:
        self._unwatch()
        if self._link.connect():
            self._reading = self._link.fileno()
            asyncio.get_running_loop().add_reader(self._reading, self._read)
            self._on_connect()

    def _read(self) -> None:
        for message in self._link.receive():
            if isinstance(message, Shutdown):
                if self._worker.ends_on(message):
                    self._stopped.set()
            else:
                self._on_message(message)
        if not self._link.connected:
            self._unwatch()

    def _watch_writes(self) -> None:
        if self._link.pending and not self._writing:
            self._writing = True
            asyncio.get_running_loop().add_writer(self._link.fileno(), self._write)

    def _write(self) -> None:
        if self._link.flush():
            self._writing = False
            asyncio.get_running_loop().remove_writer(self._reading)

    def _unwatch(self) -> None:
        if self._reading >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._reading)
            loop.remove_writer(self._reading)
        self._reading, self._writing = -1, False


def loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """Return uvloop's where it is installed: a third less CPU a message, the same behaviour."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.DefaultEventLoopPolicy()
    import uvloop

    policy: asyncio.AbstractEventLoopPolicy = uvloop.EventLoopPolicy()
    return policy


def merge_counters(worker: Worker, counters: Mapping[str, float], prefix: str = "") -> None:
    """Copy counters into the next heartbeat, under an optional prefix."""
    worker.counters.update({f"{prefix}{name}": value for name, value in counters.items()})

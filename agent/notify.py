"""Telling systemd how the process is (sd_notify(3)): ready, alive, what it does.

Outside systemd every call does nothing. The watchdog is fed by the control tick itself, so that a
loop that stands still is restarted even while its process lives.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Final

MICRO: Final = 1e-6


class Notifier:
    """Datagrams to the service manager; never blocks and never raises.

    Args:
        environment: Where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        self._fed_s = 0.0
        self._told_ready = False
        self.watchdog_s = _watchdog_s(environment)
        address = environment.get("NOTIFY_SOCKET", "")
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            try:
                self._socket.connect("\0" + address[1:] if address.startswith("@") else address)
            except OSError:
                self.close()

    @property
    def active(self) -> bool:
        """A service manager listens."""
        return self._socket is not None

    def ready(self, status: str = "") -> bool:
        """The start is complete (READY=1)."""
        return self._send("READY=1" + _status(status))

    def ready_once(self) -> None:
        """Say READY=1 the first time; for loops whose first turn is their readiness."""
        if not self._told_ready:
            self._told_ready = True
            self.ready()

    def status(self, text: str) -> bool:
        """One line for `systemctl status` (STATUS=)."""
        return self._send(_status(text).lstrip())

    def reloading(self) -> bool:
        """A reload begins (RELOADING=1); `ready` ends it."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """The end begins (STOPPING=1)."""
        return self._send("STOPPING=1" + _status(status))

    def feed(self, now_s: float) -> bool:
        """Say that the loop turned (WATCHDOG=1), at most four times in a watchdog period.

        Args:
            now_s: CLOCK_MONOTONIC of the tick.
        """
        if self.watchdog_s <= 0 or now_s - self._fed_s < self.watchdog_s / 4:
            return False
        self._fed_s = now_s
        return self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.send(text.encode("utf-8", "replace"))
        except OSError:
            return False
        return True


def _status(text: str) -> str:
    return f"\nSTATUS={' '.join(text.split())}" if text else ""


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Period in seconds that this process must feed; 0 for none (sd_watchdog_enabled(3))."""
    try:
        period_s = int(environment.get("WATCHDOG_USEC", "0")) * MICRO
        pid = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return 0.0
    return period_s if pid == os.getpid() else 0.0

"""A virtual charging cable: two Ethernet interfaces joined, with IPv6 link-local addresses."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.errors import UnavailableError

_ADDRESS_TIMEOUT_S: Final = 3.0


@contextmanager
def cable(station: str, vehicle: str) -> Iterator[None]:
    """Join two new interfaces for the time of the context; needs CAP_NET_ADMIN.

    Args:
        station: Name of the EVSE's end, at most 15 characters.
        vehicle: Name of the vehicle's end.

    Raises:
        UnavailableError: The system refuses, or there is no `ip` program.
    """
    if shutil.which("ip") is None:
        raise UnavailableError("the program `ip` (iproute2) is not installed")
    _ip("link", "add", station, "type", "veth", "peer", "name", vehicle)
    try:
        for name in (station, vehicle):
            # Duplicate address detection would keep the addresses unusable for a second.
            Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")
            _ip("link", "set", name, "up")
        _wait_for_addresses(station, vehicle)
        yield
    finally:
        _ip("link", "del", station)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _wait_for_addresses(*names: str) -> None:
    deadline = time.monotonic() + _ADDRESS_TIMEOUT_S
    while time.monotonic() < deadline:
        lines = Path("/proc/net/if_inet6").read_text().split("\n")
        if all(any(line.endswith(f" {name}") for line in lines) for name in names):
            return
        time.sleep(0.02)
    raise UnavailableError(f"{', '.join(names)}: no IPv6 link-local addresses")

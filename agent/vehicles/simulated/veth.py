"""Two virtual Ethernet interfaces joined (veth), for a process bus or a charging cable."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute, NetlinkError

from agent.errors import UnavailableError

_ADDRESS_TIMEOUT_S: Final = 3.0


@contextlib.contextmanager
def veth_pair(one: str, other: str) -> Iterator[None]:
    """Join two new interfaces for the time of the context; needs CAP_NET_ADMIN.

    Args:
        one: Name of an end, at most 15 characters.
        other: Name of the other end.

    Raises:
        UnavailableError: The system refuses.
    """
    _add(one, other)
    try:
        yield
    finally:
        with contextlib.suppress(NetlinkError, OSError), IPRoute() as routes:
            for index in routes.link_lookup(ifname=one):
                routes.link("del", index=index)


@contextlib.contextmanager
def cable(station: str, vehicle: str) -> Iterator[None]:
    """Join a virtual charging cable: a pair whose ends have IPv6 link-local addresses.

    Args:
        station: Name of the EVSE's end.
        vehicle: Name of the vehicle's end.

    Raises:
        UnavailableError: As `veth_pair`, or the addresses do not come.
    """
    with veth_pair(station, vehicle):
        _wait_for_addresses(station, vehicle)
        yield


def _add(one: str, other: str) -> None:
    try:
        with IPRoute() as routes:
            routes.link("add", ifname=one, kind="veth", peer={"ifname": other})
            for name in (one, other):
                # Duplicate address detection would keep the addresses unusable for a second.
                with contextlib.suppress(OSError):
                    Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")
                routes.link("set", index=routes.link_lookup(ifname=name)[0], state="up")
    except (NetlinkError, OSError) as error:
        raise UnavailableError(f"no interface pair {one}, {other}: {error}") from error


def _wait_for_addresses(*names: str) -> None:
    deadline = time.monotonic() + _ADDRESS_TIMEOUT_S
    while time.monotonic() < deadline:
        lines = Path("/proc/net/if_inet6").read_text().split("\n")
        if all(any(line.endswith(f" {name}") for line in lines) for name in names):
            return
        time.sleep(0.02)
    raise UnavailableError(f"{', '.join(names)}: no IPv6 link-local addresses")

"""A gateway and its surroundings: two network namespaces joined by a veth pair."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

GATEWAY_ADDRESSES = ("10.77.0.1/16", "fd77::1/64")
OUTSIDE_ADDRESSES = (
    "10.77.0.2/16", "10.77.0.3/16", "10.77.0.9/16", "10.77.1.5/16", "10.77.9.1/16",
    "fd77::2/64", "fd77::3/64",
)  # fmt: skip
REPOSITORY = Path(__file__).resolve().parents[2]

LISTEN = """
import json, select, socket, sys
sockets = []
for port in json.loads(sys.argv[1]):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    sockets.append(s)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u.bind(("::", 15118))
print("ready", flush=True)
while True:
    for s in select.select([*sockets, u], [], [])[0]:
        if s is u:
            data, peer = u.recvfrom(100)
            u.sendto(data, peer)
        else:
            s.accept()[0].close()
"""
PROBE = """
import concurrent.futures, json, socket, sys
def probe(source, target, port, kind="tcp"):
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(0.7)
    try:
        if source:
            s.bind((source, 0))
        s.connect(socket.getaddrinfo(target, port, family, s.type)[0][4])
        if kind == "udp":
            s.send(b"?")
            s.recv(10)
        return "open"
    except TimeoutError:
        return "dropped"
    except OSError as error:
        return "refused"
    finally:
        s.close()
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(lambda each: probe(*each), json.loads(sys.argv[1])))))
"""


@dataclass
class Site:
    """Names of the two namespaces and of the interface at the gateway."""

    gateway: str
    outside: str
    interface: str = "bus"

    def inside(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the gateway's namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", self.gateway, *command],
            capture_output=True,
            text=True,
            check=check,
        )

    def probe(self, *probes: tuple[object, ...], where: str = "", user: str = "") -> list[str]:
        """Try connections (source, target, port, kind) and return what became of each."""
        as_user = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
        done = subprocess.run(
            ["ip", "netns", "exec", where or self.outside, *as_user,
             "/usr/bin/python3", "-c", PROBE, json.dumps(probes)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return list(json.loads(done.stdout))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def site() -> Iterator[Site]:
    """Two joined namespaces with listeners in the gateway, removed at the end."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    made = Site(f"v2gfw{os.getpid()}g", f"v2gfw{os.getpid()}o")
    try:
        _run("ip", "netns", "add", made.gateway)
        _run("ip", "netns", "add", made.outside)
        _join(made)
        with (
            _listeners(made.gateway, [22, 80, 102, 3782, 8080, 9000, 50000]),
            _listeners(made.outside, [9999]),
        ):
            yield made
    finally:
        for name in (made.gateway, made.outside):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _join(site: Site) -> None:
    _run("ip", "-n", site.gateway, "link", "add", site.interface, "type", "veth",
         "peer", "name", site.interface, "netns", site.outside)  # fmt: skip
    no_dad = f"echo 0 > /proc/sys/net/ipv6/conf/{site.interface}/accept_dad"
    for name, addresses in ((site.gateway, GATEWAY_ADDRESSES), (site.outside, OUTSIDE_ADDRESSES)):
        _run("ip", "netns", "exec", name, "sh", "-c", no_dad)
        _run("ip", "-n", name, "link", "set", site.interface, "up")
        _run("ip", "-n", name, "link", "set", "lo", "up")
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            _run("ip", "-n", name, "addr", "add", address, "dev", site.interface, *nodad)


class _listeners:  # noqa: N801 - reads as the context it is
    def __init__(self, namespace: str, ports: list[int]) -> None:
        self._command = ["ip", "netns", "exec", namespace, sys.executable, "-c", LISTEN]
        self._ports = json.dumps(ports)

    def __enter__(self) -> None:
        self._process = subprocess.Popen([*self._command, self._ports], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

"""Every adapter that carries EVSEs, as processes, with a control's end of their link."""

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.link import Hub
from agent.messages import EvseStatus, OrderResult, Setpoint

HANG_S = 60.0


class Adapter:
    """One worker with one EVSE behind it, seen from the control.

    `device` is the process of the equipment; `settles_s` is how long its power may stay away from
    an order, and `rest_w` what it does without one.
    """

    rest_w = 0.0
    tolerance_w = 60.0

    def __init__(self, folder, stack):
        self.folder = folder
        self._stack = stack
        self.received = []
        self.seq = 0
        (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
        head = '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
        self.config = folder / "agent.toml"
        self.config.write_text(head + 'power_profile = "power-profile.conf"\n' + self.settings())
        (folder / "state").mkdir()
        self.hub = Hub(folder / "run" / "control.sock")
        stack.callback(self.hub.close)
        self.worker = self.start(self.module, "--config", str(self.config), *self.name_arguments())
        self.device = self.start(*self.equipment())

    def name_arguments(self):
        return ()

    def start(self, module, *arguments):
        process = subprocess.Popen([sys.executable, "-m", module, *arguments])

        def end():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

        self._stack.callback(end)
        return process

    def until(self, condition, seconds=HANG_S):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, self.received[-4:]
            self.received += [message for _, message in self.hub.poll(0.02).received]
        return value

    def last(self, kind, **fields):
        for message in reversed(self.received):
            if isinstance(message, kind) and all(
                getattr(message, name) == value for name, value in fields.items()
            ):
                return message
        return None

    @property
    def status(self):
        return self.last(EvseStatus)

    def ready(self):
        status = self.status
        return status and status.online and status.plugged and status.discharge_max_w > 0

    def order(self, p_w, *, lease_s=60.0, seq=None, issued_s=None):
        self.seq = self.seq + 1 if seq is None else seq
        issued_s = time.monotonic() if issued_s is None else issued_s
        order = Setpoint(self.status.evse_id, self.seq, p_w, lease_s, issued_s)
        for peer in self.hub.peers:
            self.hub.send(peer, order)
        return self.seq

    def answer(self, seq):
        return self.until(lambda: self.last(OrderResult, seq=seq))

    def delivers(self, p_w):
        status = self.status
        return status.p_w is not None and abs(status.p_w - p_w) <= self.tolerance_w


class Field(Adapter):
    module = "agent.vehicles.field.worker"

    def settings(self):
        self.ports = [free_port(), free_port()]
        return f"""
            [stations]
            host = "127.0.0.1"
            [[field.device]]
            name = "inverter1"
            role = "inverter"
            host = "127.0.0.1"
            port = {self.ports[0]}
            """

    def equipment(self):
        inverter, analyser = (str(port) for port in self.ports)
        ports = ("--inverter-port", inverter, "--analyser-port", analyser)
        return ("agent.vehicles.simulated.field", *ports)


class Stations(Adapter):
    module = "agent.vehicles.stations.worker"
    tolerance_w = 250.0

    def settings(self):
        self.port = free_port()
        return f'[stations]\nhost = "127.0.0.1"\nport = {self.port}\n'

    def equipment(self):
        url = ("--url", f"ws://127.0.0.1:{self.port}")
        return ("agent.vehicles.simulated.station", *url, "--count", "1", "--mix", "2.1:1")


class SeccInterface(Adapter):
    module = "agent.vehicles.secc.worker"

    def settings(self):
        from agent.vehicles.pki import make_demo_pki
        from agent.vehicles.simulated.veth import cable

        self.ends = f"vc{os.getpid()}s", f"vc{os.getpid()}e"
        with ThreadPoolExecutor(1) as outside:
            outside.submit(self._stack.enter_context, cable(*self.ends)).result()
        make_demo_pki(self.folder / "pki")
        return f"""
            [stations]
            host = "127.0.0.1"
            [secc]
            pki = "pki"
            auth_modes = ["EIM"]
            [[secc.evse]]
            interface = "{self.ends[0]}"
            """

    def name_arguments(self):
        return ("--name", f"secc@{self.ends[0]}")

    def equipment(self):
        arguments = ("--interface", self.ends[1], "--pki", str(self.folder / "pki"))
        return ("agent.vehicles.simulated.evcc", *arguments, "--period", "0.1", "--cycles", "0")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(
    scope="module",
    params=[Field, Stations, pytest.param(SeccInterface, marks=pytest.mark.root)],
    ids=["field", "stations", "secc"],
)
def adapter(request, tmp_path_factory):
    """One EVSE that is ready, behind each adapter."""
    if request.param is SeccInterface:
        if os.geteuid() != 0:
            pytest.skip("needs root to make veth interfaces")
        if importlib.util.find_spec("iso15118") is None:
            pytest.skip("iso15118 is not installed")
    with contextlib.ExitStack() as stack:
        made = request.param(tmp_path_factory.mktemp("contract"), stack)
        made.until(made.ready)
        yield made

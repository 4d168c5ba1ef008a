"""Simulated devices on loopback, and the field worker in this process with its control."""

import asyncio
import contextlib
import time

from pymodbus.server import ModbusTcpServer

from agent.config import load_settings
from agent.link import Hub, Link
from agent.messages import (
    Alarm,
    EvseStatus,
    Heartbeat,
    OrderResult,
    Role,
    Setpoint,
)
from agent.vehicles.field.worker import FieldWorker
from agent.vehicles.simulated.inverter import SimulatedInverter
from agent.worker import Worker

HANG_S = 40.0


@contextlib.asynccontextmanager
async def served(device, **options):
    """Serve a `SimDevice` over Modbus/TCP; yield its port."""
    server = ModbusTcpServer(device, address=("127.0.0.1", 0), **options)
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


def write_configuration(folder, devices, *, field="", grid=""):
    (folder / "power-profile.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\n")
    head = '[gateway]\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
    head += 'power_profile = "power-profile.conf"\n[stations]\nhost = "127.0.0.1"\n'
    path = folder / "agent.toml"
    path.write_text(head + f"[grid]\n{grid}\n[field]\n{field}\n" + "\n".join(devices))
    return path


def device(name="inverter1", role="inverter", port=0, **keys):
    lines = [f'name = "{name}"', f'role = "{role}"']
    if port:
        lines += ['host = "127.0.0.1"', f"port = {port}"]
    for key, value in keys.items():
        text = str(value).lower() if isinstance(value, bool) else value
        lines.append(f'{key} = "{text}"' if isinstance(value, str) else f"{key} = {text}")
    return "[[field.device]]\n" + "\n".join(lines) + "\n"


class Site:
    """The worker, and what it said."""

    def __init__(self, folder, devices, *, field="", grid=""):
        self.config = write_configuration(folder, devices, field=field, grid=grid)
        self.settings = load_settings(self.config)
        self.hub = None
        self.received = []
        self.seq = 0

    async def __aenter__(self):
        self.hub = Hub(self.settings.control_socket)
        link = Link(self.settings.control_socket, Role.FIELD, "field")
        self.worker = FieldWorker(Worker("field", self.settings, link))
        self.running = asyncio.create_task(self.worker.run())
        return self

    async def __aexit__(self, *_):
        self.worker._link.stop()
        await asyncio.wait_for(self.running, HANG_S)
        if self.hub is not None:
            self.hub.close()

    async def until(self, condition):
        deadline = time.monotonic() + HANG_S
        while not (value := condition()):
            assert not self.running.done(), self.running.exception()
            assert time.monotonic() < deadline, self.received[-6:]
            await asyncio.sleep(0.005)
            self.read()
        return value

    def read(self):
        if self.hub is not None:
            self.received += [message for _, message in self.hub.poll(0.0).received]

    def last(self, message_type, /, **fields):
        for message in reversed(self.received):
            if isinstance(message, message_type) and all(
                getattr(message, name) == value for name, value in fields.items()
            ):
                return message
        return None

    def status(self, evse_id="inverter1"):
        return self.last(EvseStatus, evse_id=evse_id)

    def counters(self):
        beat = self.last(Heartbeat)
        return beat.counters if beat else {}

    async def ready(self, evse_id="inverter1"):
        def plugged():
            status = self.status(evse_id)
            return status is not None and status.online and status.plugged

        await self.until(plugged)

    def order(self, p_w, *, lease_s=30.0, evse_id="inverter1", seq=None, issued_s=None, q_var=0.0):
        self.seq = self.seq + 1 if seq is None else seq
        at_s = time.monotonic() if issued_s is None else issued_s
        order = Setpoint(evse_id, self.seq, p_w, lease_s, at_s, q_var=q_var)
        for peer in self.hub.peers:
            self.hub.send(peer, order)
        return self.seq

    async def result(self, seq, evse_id="inverter1"):
        return await self.until(lambda: self.last(OrderResult, evse_id=evse_id, seq=seq))

    def alarm(self, code, source):
        found = self.last(Alarm, code=code, source=source)
        return found if found is not None and found.active else None


class Inverter(SimulatedInverter):
    """Also notes what was written, and can refuse, stall or forget."""

    __slots__ = ("deaf", "refuse", "stall_s", "writes")

    def __post_init__(self):
        SimulatedInverter.__post_init__(self)
        self.writes, self.refuse, self.stall_s, self.deaf = [], None, 0.0, False

    async def act(self, function_code, start_address, address, count, current, values):
        if self.stall_s:
            await asyncio.sleep(self.stall_s)
        if values is not None:
            self.writes.append((time.monotonic(), address, tuple(values)))
            if self.refuse is not None:
                return self.refuse
            if self.deaf:
                values[:] = current[address - start_address :][: len(values)]
        return await SimulatedInverter.act(
            self, function_code, start_address, address, count, current, values
        )

"""TCP, Modbus/TCP Security and RTU: real sockets, real TLS, a pair of pseudo-terminals."""

import asyncio
import contextlib
import os
import ssl
import time
import tty

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTlsServer

from agent.config.field import Field, FieldDevice
from agent.vehicles.field.described import DescribedDevice
from agent.vehicles.field.description import find_description, shipped_folder
from agent.vehicles.field.dialogue import (
    DeviceRefusedError,
    DeviceTimeoutError,
    Pause,
    Read,
    Table,
    Write,
)
from agent.vehicles.field.port import Ports
from agent.vehicles.field.sunspec import discover
from agent.vehicles.simulated.analyser import SimulatedAnalyser
from tests.field.pki import Pki
from tests.field.site import Inverter, served

SDM630 = find_description("eastron-sdm630", (shipped_folder(),))


def one(request):
    answer = yield request
    return answer


def conversation(tmp_path, port, **keys):
    device = FieldDevice(name="d", role="meter", host="127.0.0.1", port=port, **keys)
    return Ports(Field(device=(device,)), tmp_path).conversation(device)


def test_a_refused_register_says_so_with_its_code(tmp_path):
    async def scenario():
        async with served(Inverter().device()) as port:
            talk = conversation(tmp_path, port)
            with pytest.raises(DeviceRefusedError) as caught:
                await talk.run(one(Read(Table.HOLDING, 10, 2)))
            assert caught.value.code == 2
            with pytest.raises(DeviceRefusedError):
                await talk.run(one(Write(40_002, (7,))))
            talk.port.close()

    asyncio.run(scenario())


def test_no_answer_is_a_timeout_and_the_next_request_connects_anew(tmp_path):
    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port:
            talk = conversation(tmp_path, port, timeout_s=0.4)
            inverter.stall_s = 30.0
            with pytest.raises(DeviceTimeoutError):
                await talk.run(one(Read(Table.HOLDING, 40_000, 2)))
            inverter.stall_s = 0.0
            assert await talk.run(one(Read(Table.HOLDING, 40_000, 2))) == (0x5375, 0x6E53)
            talk.port.close()

    asyncio.run(scenario())


def test_nobody_there_is_a_timeout(tmp_path):
    talk = conversation(tmp_path, 1, timeout_s=0.5)
    with pytest.raises(DeviceTimeoutError):
        asyncio.run(talk.run(one(Read(Table.HOLDING, 0, 1))))


def test_requests_keep_the_pace_of_the_device(tmp_path):
    async def scenario():
        async with served(Inverter().device()) as port:
            talk = conversation(tmp_path, port, pace_s=0.1)
            start_s = time.monotonic()
            for _ in range(4):
                await talk.run(one(Read(Table.HOLDING, 40_000, 2)))
            assert time.monotonic() - start_s >= 0.3
            assert await talk.run(one(Pause(0.01))) == ()
            talk.port.close()

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def secure(device, pki):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server[0], pki.server[1])
    context.load_verify_locations(pki.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ModbusTlsServer(
        device, framer=FramerType.SOCKET, address=("127.0.0.1", 0), sslctx=context
    )
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


def test_modbus_tcp_security_with_a_client_certificate(tmp_path):
    async def scenario():
        pki, stranger = Pki(tmp_path / "pki"), Pki(tmp_path / "other")
        async with secure(Inverter().device(), pki) as port:
            device = FieldDevice(name="d", role="meter", host="127.0.0.1", port=port, tls=True)

            async def models(certificate, ca):
                settings = Field(
                    device=(device,), certificate=certificate[0], key=certificate[1], ca=ca
                )
                ports = Ports(settings, tmp_path)
                try:
                    return set((await ports.conversation(device).run(discover())).models)
                finally:
                    ports.close()

            assert 704 in await models(pki.client, pki.ca)
            for certificate, ca in ((stranger.client, pki.ca), (pki.client, stranger.ca)):
                with pytest.raises(DeviceTimeoutError):
                    await models(certificate, ca)

    asyncio.run(scenario())


def test_rtu_over_a_pair_of_terminals_two_devices_on_one_line(tmp_path):
    """A late unit on the same line costs its own timeout; the other is read before and after."""

    async def scenario():
        one_end, other_end = pair()
        values = {"p_w": 1234.5, "f_hz": 50.02, "p_l1_w": 1234.5}
        meter = SimulatedAnalyser(SDM630, lambda: values)
        slow = SlowAnalyser(SDM630, lambda: values)
        server = ModbusSerialServer(
            [meter.device(5), slow.device(9)], port=other_end.name, baudrate=115_200
        )
        await server.serve_forever(background=True)
        try:
            keys = {"serial": one_end.name, "baud": 115_200, "parity": "N", "role": "meter"}
            present = FieldDevice(name="a", unit=5, **keys)
            absent = FieldDevice(name="b", unit=9, timeout_s=0.3, **keys)
            ports = Ports(Field(device=(present, absent)), tmp_path)
            talk, silent = ports.conversation(present), ports.conversation(absent)
            assert talk.port is silent.port
            device = DescribedDevice(SDM630)
            first = await talk.run(device.poll((0, 1)))
            with pytest.raises(DeviceTimeoutError):
                await silent.run(DescribedDevice(SDM630).poll((0,)))
            second = await talk.run(device.poll((0, 1)))
            for readings in (first, second):
                assert (readings.p_w, readings.p_phase_w[0]) == (1234.5, 1234.5)
                assert readings.f_hz == pytest.approx(50.02, abs=1e-5)
            ports.close()
        finally:
            await server.shutdown()
            for end in (one_end, other_end):
                end.close()

    asyncio.run(scenario())


class SlowAnalyser(SimulatedAnalyser):
    """Answers when nobody waits for it any more."""

    __slots__ = ()

    async def act(self, *request):
        await asyncio.sleep(0.5)
        return await SimulatedAnalyser.act(self, *request)


class End:
    """The slave side of a pseudo-terminal."""

    def __init__(self, master, slave):
        self.master, self.slave = master, slave
        self.name = os.ttyname(slave)

    def close(self):
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)


def pair():
    """Two terminals that carry to each other what is written into them."""
    ends = []
    for _ in range(2):
        master, slave = os.openpty()
        tty.setraw(master)
        tty.setraw(slave)
        ends.append(End(master, slave))
    loop = asyncio.get_running_loop()
    for here, there in (ends, ends[::-1]):
        loop.add_reader(
            here.master, lambda a=here.master, b=there.master: os.write(b, os.read(a, 1024))
        )
    return ends

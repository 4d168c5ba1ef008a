"""One connection to Modbus devices: TCP, TLS, or a serial line that several devices share.

pymodbus frames and matches; what it must not do is retry or reconnect behind our back, because a
device that stalls has to cost exactly one timeout.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from pathlib import Path
from typing import Final, TypeVar

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.transport import CommParams, CommType

from agent.config.field import Field, FieldDevice
from agent.errors import ConfigurationError, Finding
from agent.vehicles.field.dialogue import (
    DeviceError,
    DeviceRefusedError,
    DeviceTimeoutError,
    Dialogue,
    Pause,
    Read,
    Registers,
    Request,
    Table,
    Write,
)

SILENCE: Final = 50
"""Unanswered requests that pymodbus bears before it closes a line; we close much earlier."""
GATEWAY_FAILED: Final = (0x0A, 0x0B)
"""Exceptions of a gateway that does not reach the device behind it."""
T = TypeVar("T")

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class SecureClient(AsyncModbusTcpClient):
    """Modbus/TCP Security: the MBAP frames of Modbus/TCP inside TLS (MB-TCP-Security v3.6).

    pymodbus's own TLS client sends the bare PDU without the MBAP header, which no device with
    that specification understands.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout_s: float) -> None:
        self.comm_params = CommParams(
            comm_type=CommType.TLS,
            host=host,
            port=port,
            sslctx=context,
            comm_name="modbus",
            reconnect_delay=0.0,
            timeout_connect=timeout_s,
        )
        super().__init__(host, framer=FramerType.SOCKET, port=port, retries=0)


class Port:
    """A connection, opened when it is needed; requests of several devices take turns.

    Args:
        make: Makes a client that is not connected yet.
        name: For messages: address or serial port.
        shared: Other devices use it too, so one device's silence does not close it.
    """

    def __init__(self, make: ClientMaker, name: str, *, shared: bool = False) -> None:
        self.name = name
        self._make = make
        self._shared = shared
        self._client: ModbusBaseClient | None = None
        self._turn = asyncio.Lock()
        self.requests = 0

    async def ask(self, unit: int, request: Read | Write, timeout_s: float) -> Registers:
        """Send one request and return the registers of its answer.

        Raises:
            DeviceTimeoutError: No connection, or no answer within `timeout_s`.
            DeviceRefusedError: An exception response.
            DeviceError: An answer that does not belong to the request.
        """
        async with self._turn:
            client = await self._connected(timeout_s)
            self.requests += 1
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await _send(client, unit, request)
            except (TimeoutError, ModbusException, OSError) as error:
                if not self._shared or not client.connected:
                    self.close()
                raise DeviceTimeoutError(f"{self.name} unit {unit}: no answer") from error
        return _registers(answer, request, f"{self.name} unit {unit}")

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        if self._client is not None:
            self._client.close()
        self._client = None

    async def _connected(self, timeout_s: float) -> ModbusBaseClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        client = self._make(timeout_s)
        client.set_max_no_responses(SILENCE)
        try:
            async with asyncio.timeout(timeout_s):
                reached = await client.connect()
        except (TimeoutError, ModbusException, OSError) as error:
            client.close()
            raise DeviceTimeoutError(f"{self.name}: no connection ({error})") from error
        if not reached:
            client.close()
            raise DeviceTimeoutError(f"{self.name}: no connection")
        self._client = client
        return client


class Conversation:
    """A device's own way of using a port: unit, timeout, and least time between requests."""

    def __init__(self, port: Port, unit: int, timeout_s: float, pace_s: float = 0.0) -> None:
        self.port = port
        self.pace_s = pace_s
        self._unit = unit
        self._timeout_s = timeout_s
        self._free_s = 0.0

    async def run(self, dialogue: Dialogue[T]) -> T:
        """Carry out a dialogue and return its result.

        Raises:
            DeviceError: What the dialogue did not handle.
        """
        reply: Registers | None = None
        error: DeviceError | None = None
        try:
            while True:
                try:
                    if error is not None:
                        request = dialogue.throw(error)
                    else:
                        request = next(dialogue) if reply is None else dialogue.send(reply)
                except StopIteration as end:
                    result: T = end.value
                    return result
                reply, error = await self._answer(request)
        finally:
            dialogue.close()

    async def _answer(self, request: Request) -> tuple[Registers, DeviceError | None]:
        if isinstance(request, Pause):
            await asyncio.sleep(request.seconds)
            return (), None
        await asyncio.sleep(self._free_s - time.monotonic())
        try:
            return await self.port.ask(self._unit, request, self._timeout_s), None
        except DeviceError as failure:
            return (), failure
        finally:
            self._free_s = time.monotonic() + self.pace_s


class ClientMaker:
    """Makes the client of one configured address.

    Args:
        device: Where the device is.
        context: TLS, where it has it.
    """

    def __init__(self, device: FieldDevice, context: ssl.SSLContext | None) -> None:
        self._device = device
        self._context = context

    def __call__(self, timeout_s: float) -> ModbusBaseClient:
        """Return a client that is not connected."""
        device = self._device
        if device.serial:
            return AsyncModbusSerialClient(
                device.serial,
                baudrate=device.baud,
                parity=device.parity,
                stopbits=device.stop_bits,
                reconnect_delay=0,
                timeout=timeout_s,
                retries=0,
            )
        if self._context is not None:
            return SecureClient(device.host, device.tcp_port, self._context, timeout_s)
        return AsyncModbusTcpClient(
            device.host, port=device.tcp_port, reconnect_delay=0, timeout=timeout_s, retries=0
        )


class Ports:
    """All connections: one a TCP device, one a serial line."""

    def __init__(self, settings: Field, where: Path) -> None:
        self._context = client_context(settings, where)
        self._lines: dict[str, Port] = {}
        self._all: list[Port] = []

    def conversation(self, device: FieldDevice, pace_s: float = 0.0) -> Conversation:
        """Return the way to a device."""
        port = self._lines.get(device.serial) if device.serial else None
        if port is None:
            name = device.serial or f"{device.host}:{device.tcp_port}"
            maker = ClientMaker(device, self._context if device.tls else None)
            port = Port(maker, name, shared=bool(device.serial))
            self._all.append(port)
            if device.serial:
                self._lines[device.serial] = port
        return Conversation(port, device.unit, device.timeout_s, max(device.pace_s, pace_s))

    def close(self) -> None:
        """Close every connection."""
        for port in self._all:
            port.close()


def client_context(settings: Field, where: Path) -> ssl.SSLContext | None:
    """Return the TLS context of Modbus/TCP Security; None where no device uses it.

    TLS 1.2 or newer, both sides with a certificate (MB-TCP-Security v3.6).

    Raises:
        ConfigurationError: A file that cannot be used.
    """
    if settings.certificate is None or settings.key is None or settings.ca is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(settings.ca)
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        finding = Finding(f"{where}: field.certificate", f"cannot be used: {error}")
        raise ConfigurationError((finding,)) from error
    return context


async def _send(client: ModbusBaseClient, unit: int, request: Read | Write) -> ModbusPDU:
    if isinstance(request, Write):
        return await client.write_registers(
            request.address, list(request.registers), device_id=unit
        )
    read = {
        Table.HOLDING: client.read_holding_registers,
        Table.INPUT: client.read_input_registers,
        Table.DISCRETE: client.read_discrete_inputs,
    }[request.table]
    return await read(request.address, count=request.count, device_id=unit)


def _registers(answer: ModbusPDU, request: Read | Write, who: str) -> Registers:
    if answer.isError():
        code = int(getattr(answer, "exception_code", 0))
        if code in GATEWAY_FAILED:
            raise DeviceTimeoutError(f"{who}: its gateway gets no answer (code {code})")
        raise DeviceRefusedError(f"{who} refuses register {request.address}: code {code}", code)
    if isinstance(request, Write):
        return ()
    if request.table is Table.DISCRETE:
        found = tuple(int(bit) for bit in answer.bits[: request.count])
    else:
        found = tuple(answer.registers)
    if len(found) != request.count:
        raise DeviceError(f"{who} gave {len(found)} registers for {request.count}")
    return found

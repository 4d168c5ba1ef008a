"""SunSpec devices of others' making: registers by pysunspec2, server jsmodbus (npm)."""

import asyncio
import contextlib
import json
import shutil
import struct
from importlib.resources import files
from pathlib import Path

import pytest
import sunspec2.file.client as pysunspec2

PEERS = Path(__file__).parents[1] / "peers"
NODE = shutil.which("node")
needs_jsmodbus = pytest.mark.skipif(
    NODE is None or not (PEERS / "node_modules" / "jsmodbus").is_dir(),
    reason="npm peers are not installed: npm ci --prefix tests/peers",
)
DEVICE_1547 = files("sunspec2") / "tests" / "test_data" / "device_1547.json"
"""The device of pysunspec2's own tests: models 1 and 701 to 713."""
END = b"\xff\xff\x00\x00"


def encoded(path, base):
    """Return pysunspec2's device of a JSON file, and its registers from `base` on."""
    device = pysunspec2.FileClientDevice(str(path), addr=base + 2)
    device.scan()
    data = b"SunS" + b"".join(model.get_mb() for model in device.model_list) + END
    return device, list(struct.unpack(f">{len(data) // 2}H", data))


class Server:
    """A running jsmodbus server.

    Attributes:
        port: Of 127.0.0.1.
        written: What it was asked to write: (address, registers).
    """

    def __init__(self, process, port):
        self.process, self.port, self.written = process, port, []

    async def listen(self):
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            self.written.append((message["address"], tuple(message["registers"])))


@contextlib.asynccontextmanager
async def jsmodbus(base, registers):
    """Serve holding registers; yield a `Server`."""
    process = await asyncio.create_subprocess_exec(
        NODE, "modbus.js", cwd=PEERS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    listening = None
    try:
        process.stdin.write(json.dumps({"start": base, "registers": registers}).encode())
        process.stdin.close()
        server = Server(process, json.loads(await process.stdout.readline())["port"])
        listening = asyncio.create_task(server.listen())
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if listening is not None:
            await listening

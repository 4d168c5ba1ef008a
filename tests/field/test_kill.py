"""kill -9: whatever is killed, the inverter is at 0 W within its reversion time."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from agent.config import load_settings
from agent.link import Hub
from agent.messages import EvseStatus, Setpoint
from agent.vehicles.field.inverter import REVERSION_S
from tests.field.site import HANG_S, Inverter, device, served, write_configuration


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_frozen_agent_leaves_the_inverter_at_zero_within_5_s(tmp_path, number):
    """Measured at the inverter, from the kill on."""

    async def scenario():
        inverter = Inverter()
        async with served(inverter.device()) as port:
            config = write_configuration(tmp_path, [device(port=port)])
            hub = Hub(load_settings(config).control_socket)
            command = [sys.executable, "-m", "agent.vehicles.field.worker", "--config", str(config)]
            worker = subprocess.Popen([*command, "--name", "field", "--supervised"])
            try:
                await until(lambda: ready(hub))
                order = Setpoint("inverter1", 1, 7000.0, 600.0, time.monotonic())
                hub.send(hub.peers[0], order)
                await until(lambda: hub.poll(0.0) and inverter.p_w == 7000.0)
                os.kill(worker.pid, number)
                killed_s = time.monotonic()

                def at_zero():
                    inverter.step()
                    return inverter.p_w == 0.0

                await until(at_zero)
                took_s = time.monotonic() - killed_s
                assert took_s <= REVERSION_S + 0.5
                print(f"at 0 W {took_s:.2f} s after signal {number}")
            finally:
                worker.kill()
                worker.wait()
                hub.close()

    asyncio.run(scenario())


def ready(hub):
    messages = [message for _, message in hub.poll(0.0).received]
    return any(isinstance(m, EvseStatus) and m.online and m.plugged for m in messages)


async def until(condition):
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)

"""The whole way: a station, the stations' process, the control, the utility process, a CSMS."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def gateway(folder, csms, stations_port):
    """Daemon, stations worker, utility worker and two simulated stations, as processes."""
    (folder / "power.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE_KW=11.0\n")
    config = folder / "agent.toml"
    config.write_text(
        '[gateway]\nname = "GW1"\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
        'power_profile = "power.conf"\n[ied]\nenabled = false\n[stations]\nhost = "127.0.0.1"\n'
        f'port = {stations_port}\nauthorization = "upstream"\n[utility]\nurl = "{csms.url}"\n'
        "reconnect_min_s = 0.2\nreconnect_max_s = 1.0\n"
    )
    own = ("--config", str(config))
    url = ("--url", f"ws://127.0.0.1:{stations_port}", "--count", "2", "--mix", "2.1:1,1.6:1")
    commands = [
        ("agent.cli.daemon", *own, "--external-workers"),
        ("agent.vehicles.stations.worker", *own, "--name", "stations"),
        ("agent.utility.worker", *own, "--name", "utility"),
        ("agent.vehicles.simulated.station", *url),
    ]
    processes = [
        subprocess.Popen([sys.executable, "-m", *command], cwd=REPOSITORY) for command in commands
    ]
    try:
        yield
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(20)


@pytest.mark.timeout(300)
def test_the_csms_reaches_each_station_and_power_stays_with_the_gateway(tools, tmp_path):
    async def scenario():
        async with tools.Csms(interval=1) as csms, gateway(tmp_path, csms, free_port()):
            socket = await tools.until(lambda: socket_of(csms, "SIM0001"), "a station", 120)
            assert socket.subprotocol == "ocpp2.1"
            await tools.until(lambda: len(csms.of("BootNotification")) >= 3, "boots", 90)
            wish = {"requestedMessage": "Heartbeat"}
            answer = await csms.call("TriggerMessage", wish, socket)
            assert answer["status"] == "Accepted"  # the station's own answer
            old = await tools.until(lambda: socket_of(csms, "SIM0002"), "the other", 90)
            assert old.subprotocol == "ocpp1.6"
            assert (await csms.call("Reset", {"type": "Soft"}, old))["status"] == "Accepted"
            await tools.until(lambda: csms.of("TransactionEvent"), "transactions", 90)
            answer = await csms.call("UpdateFirmware", firmware(), socket)
            assert answer["status"] == "Accepted"
            assert (await csms.call("SetChargingProfile", tools.limit_profile(1), socket))[
                "status"
            ] == "Rejected"

    asyncio.run(scenario())


def socket_of(csms, identity):
    found = [s for path, s in zip(csms.paths, csms.sockets, strict=True) if path.endswith(identity)]
    return found[-1] if found else None


def firmware():
    return {
        "requestId": 1,
        "firmware": {"location": "https://x.example/f", "retrieveDateTime": "2027-01-01T00:00:00Z"},
    }

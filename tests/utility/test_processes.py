"""The daemon and the utility worker as processes; the worker is killed, the CSMS comes and goes."""

import asyncio
import contextlib
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from agent.link import Link
from agent.messages import Heartbeat, Measurement, Role, Setpoint, Snapshot, Validity

REPOSITORY = Path(__file__).resolve().parents[2]
LEASE_S = 5.0


class Gateway:
    """Processes in a folder; the stations and the process bus are played by the test."""

    def __init__(self, folder, port, tools):
        self.folder, self.tools = folder, tools
        self.statuses = [tools.evse(f"CS{n}/1") for n in (1, 2)]
        self.setpoints, self.snapshot, self.processes = {}, None, []
        (folder / "power.conf").write_text("MAX_V2G_DISCHARGE_KW=11.0\nMAX_CHARGE_KW=11.0\n")
        self.config = folder / "agent.toml"
        self.config.write_text(
            '[gateway]\nname = "GW1"\nrun_dir = "run"\nstate_dir = "state"\nlog_dir = "log"\n'
            'power_profile = "power.conf"\n[ied]\nenabled = false\n[control]\n'
            "ramp_share_per_s = 1.0\n[utility]\n"
            f'url = "ws://localhost:{port}/ocpp"\nreconnect_min_s = 0.1\nreconnect_max_s = 1.0\n'
            f"lease_s = {LEASE_S}\nmeter_interval_s = 1.0\npass_through = false\n"
        )

    def start(self, module, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--config", str(self.config), *arguments],
            cwd=REPOSITORY,
        )
        self.processes.append(process)
        return process

    async def __aenter__(self):
        self.start("agent.cli.daemon", "--external-workers")
        self.link = Link(self.folder / "run" / "control.sock", Role.STATIONS, "stations")
        await self.tools.until(self.link.connect, "the daemon")
        self.watcher = Link(self.link.path, Role.HMI, "watcher")
        assert self.watcher.connect()
        self.bus = Link(self.link.path, Role.PROCESS_BUS, "processbus")
        assert self.bus.connect()
        self.playing = asyncio.create_task(self.play())
        return self

    async def __aexit__(self, *_):
        self.playing.cancel()
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(15)

    async def play(self):
        told_s = 0.0
        while True:
            now_s = time.monotonic()
            self.bus.send(
                Measurement(
                    "MU",
                    time.time(),
                    50.0,
                    0.0,
                    230.0,
                    Validity.GOOD,
                    now_s,
                    now_s,
                    uncertainty_hz=1e-4,
                    v_phase_v=(230.0,) * 3,
                    smp_synch=2,
                )
            )
            for message in self.link.receive():
                if isinstance(message, Setpoint):
                    self.setpoints[message.evse_id] = message.p_w
            for message in self.watcher.receive():
                if isinstance(message, Snapshot):
                    self.snapshot = message
            if now_s - told_s > 0.3:
                told_s = now_s
                for status in self.statuses:
                    self.link.send(self.now(status))
                for link in (self.link, self.watcher, self.bus):
                    link.send(Heartbeat(link.hello.name, now_s))
            await asyncio.sleep(0.02)

    def now(self, status):
        p_w = self.setpoints.get(status.evse_id, 0.0)
        return msgspec.structs.replace(
            status, p_w=p_w, setpoint_w=p_w, published_s=time.monotonic(), t_utc_s=time.time()
        )


def in_force(gateway):
    """What the CSMS still has in the control."""
    return [r for r in gateway.snapshot.requests if r.origin == "csms"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def queued(gateway):
    """Records in the journal, read beside the worker that writes it."""
    with contextlib.closing(sqlite3.connect(gateway.folder / "state" / "csms.sqlite")) as file:
        try:
            return file.execute("SELECT count(*) FROM outbox").fetchone()[0]
        except sqlite3.OperationalError:  # the worker is about to make its tables
            return 0


@pytest.mark.timeout(300)
def test_kill_9_loses_no_transaction_message_and_a_bias_ends_with_its_lease(
    tools, tmp_path, record_property
):
    async def scenario():
        csms = tools.Csms(interval=1)
        csms.port = free_port()
        async with Gateway(tmp_path, csms.port, tools) as gateway:
            worker = gateway.start("agent.utility.worker", "--name", "utility")
            path = tmp_path / "state" / "csms.sqlite"
            await tools.until(lambda: path.exists() and queued(gateway) >= 6, "records", 100)
            worker.kill()
            worker.wait()
            gateway.start("agent.utility.worker", "--name", "utility")
            async with csms:
                await check_bias(gateway, csms)
                check_order(csms)

    async def check_bias(gateway, csms):
        await tools.until(lambda: len(csms.of("TransactionEvent")) > 10, "the records", 100)
        evse = csms.of("TransactionEvent")[0]["evse"]["id"]
        answer = await csms.call("SetChargingProfile", tools.setpoint_profile(-4000, evse))
        assert answer == {"status": "Accepted"}
        await tools.until(lambda: any(p > 3500 for p in gateway.setpoints.values()), "discharge")
        gateway.processes[-1].kill()
        killed_s = time.monotonic()
        held = in_force(gateway)
        assert held
        await tools.until(lambda: not in_force(gateway), "the end of the lease")
        record_property("bias_after_kill_s", time.monotonic() - killed_s)
        assert all(r.received_s + r.lease_s <= killed_s + LEASE_S + 0.1 for r in held)
        await tools.until(lambda: all(abs(p) < 60 for p in gateway.setpoints.values()), "zero")

    def check_order(csms):
        by_name = {}
        for event in csms.of("TransactionEvent"):
            name = event["transactionInfo"]["transactionId"]
            by_name.setdefault(name, []).append((event["seqNo"], event["eventType"]))
        assert len(by_name) == 2  # the same transactions, over the kill
        for events in by_name.values():
            once = list(dict.fromkeys(events))
            assert [number for number, _ in once] == list(range(len(once)))
            assert once[0] == (0, "Started")

    asyncio.run(scenario())

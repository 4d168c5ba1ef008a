"""Real brokers on free loopback ports: nats-server and mosquitto, as Debian ships them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest


def free_port() -> int:
    """Return a loopback TCP port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], timeout_s: float = 20.0, pause_s: float = 0.02):
    """Return the condition's first true value; fail when it does not come in time."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if value := condition():
            return value
        time.sleep(pause_s)
    pytest.fail(f"did not happen within {timeout_s} s")


def find(program: str) -> str:
    """Return the path of a broker; Debian keeps them where users' PATH does not lead."""
    path = shutil.which(program) or f"/usr/sbin/{program}"
    if not Path(path).exists():
        pytest.skip(f"{program} is not installed (apt-get install {program})")
    return path


@dataclass
class Broker:
    """A broker process with its own folder; killed and started again on the same port."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return how it is started."""
        raise NotImplementedError

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        log = (self.folder / "broker.log").open("ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        log.close()
        wait_for(self._accepts)

    def kill(self) -> None:
        """SIGKILL: nothing is saved, nobody is told."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stall(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the process, if it runs."""
        if self.process is not None:
            self.kill()

    def cpu_s(self) -> float:
        """Return the CPU time that this process has used."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _accepts(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail((self.folder / "broker.log").read_text()[-2000:])
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
        except OSError:
            return False
        return True


@dataclass
class NatsServer(Broker):
    """nats-server with JetStream on disk; `config` is added to the configuration file."""

    config: str = ""

    def command(self) -> list[str]:
        file = self.folder / "nats.conf"
        store = self.folder / "jetstream"
        file.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{store}" }}\n{self.config}'
        )
        return [find("nats-server"), "-c", str(file)]

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"


@dataclass
class Mosquitto(Broker):
    """mosquitto that writes its persistence file with every change."""

    config: str = ""

    def command(self) -> list[str]:
        file = self.folder / "mosquitto.conf"
        listener = self.config or f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
        file.write_text(
            f"{listener}\npersistence true\npersistence_location {self.folder}/\n"
            "autosave_interval 1\nautosave_on_changes false\nmax_queued_messages 0\n"
            f"max_inflight_messages 20\nuser {os.environ.get('USER', 'root')}\n"
        )
        return [find("mosquitto"), "-c", str(file)]

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

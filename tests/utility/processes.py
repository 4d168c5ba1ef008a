"""The utility worker as a process of its own."""

import signal
import socket
import subprocess
import sys

from tests.gateway.conftest import REPOSITORY, wait_for


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class UtilityProcess:
    """`python -m agent.utility.worker` on a configuration with an `api_port`."""

    def __init__(self, config, port):
        self.config, self.port = config, port
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "agent.utility.worker", "--config", self.config]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)

        def serves():
            assert self.process.poll() is None, self.process.stderr.read()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for(serves, 60.0)

    def kill(self):
        """Kill it as a crash does; nothing where it ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process.stderr.close()

    def end(self):
        """End it as systemd does; return its log."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=30)[1]

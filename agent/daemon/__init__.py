"""The composition root: control loop, workers, audit. No network socket in this process."""

from agent.daemon.parameters import control_parameters
from agent.daemon.wiring import run_daemon

__all__ = ["control_parameters", "run_daemon"]

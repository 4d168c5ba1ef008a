"""The composition root: control loop, workers, audit. No network socket in this process."""

from agent.daemon.parameters import control_parameters
from agent.daemon.wiring import run_daemon
from agent.daemon.workers import WorkerSpec, plan_workers

__all__ = ["WorkerSpec", "control_parameters", "plan_workers", "run_daemon"]
